"""One epoch after the other: learn, validate, and remember the best network so far.

A training ends after its last epoch; earlier where the validation loss has not fallen for a while
(early stopping), or where somebody stops it.  Now and then it is kept in a checkpoint.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from digit_classification.cli.interruption import asking_first
from digit_classification.cli.terminal import Terminal, progress_bar
from digit_classification.cli.wording import duration
from digit_classification.network.architecture import cross_entropy
from digit_classification.settings import TrainingSettings
from digit_classification.training.augmentation import augment
from digit_classification.training.checkpoint import (
    Checkpoint,
    CheckpointError,
    damaged,
    save_checkpoint,
    settings_to_keep,
)
from digit_classification.training.learner import EpochImages, Learner, TrainingError
from digit_classification.training.parts import Part, Parts

# Between two checkpoints: at most this much work is lost, and the epoch that was running.
SECONDS_BETWEEN = 5.0

Scores = dict[str, float]  # of one epoch: its number, loss and accuracy, the same on validation


class TrainingLoop:
    """The epochs of one training, and what has come of them so far.

    `curve` holds the scores of each epoch, `best_weights` the network of the best one, `seconds`
    how long they took, and `interrupted_by` the signal that ended them, if one did.
    """

    def __init__(
        self,
        learner: Learner,
        parts: Parts,
        settings: TrainingSettings,
        checkpoint: Path,
        terminal: Terminal,
    ) -> None:
        self.learner = learner
        self.parts = parts
        self.settings = settings
        self.checkpoint = checkpoint
        self.terminal = terminal
        self.curve: list[Scores] = []
        self.best_weights: list[np.ndarray] = learner.model.get_weights()
        self.seconds = 0.0
        self.interrupted_by: int | None = None
        self._acknowledged = False

    def resume(self, kept: Checkpoint) -> None:
        """Go on where an interrupted training stopped.

        Raises CheckpointError if its network or its optimiser has another shape.
        """
        try:
            self.learner.model.set_weights(kept.weights)
            for variable, value in zip(
                self.learner.optimizer.variables, kept.optimizer, strict=True
            ):
                variable.assign(value)
        except ValueError:  # of other shapes, or too few
            raise damaged(self.checkpoint) from None
        self.curve, self.seconds, self.best_weights = kept.curve, kept.seconds, kept.best_weights
        self.terminal.tell(f"Resuming after epoch {len(self.curve)}.")

    def run(self) -> None:
        """Train to the end; the first Ctrl-C lets the running epoch be finished.

        Raises TrainingError if the training diverges.
        """
        done, steps = len(self.curve), self.learner.steps
        begin = last_checkpoint = time.monotonic() - self.seconds
        with (
            asking_first(self._stop_after_epoch),
            progress_bar(self.terminal.messages, quiet=self.terminal.quiet) as bar,
            contextlib.closing(
                images_by_epoch(self.parts.training, self.settings, first=done + 1)
            ) as images_of_each,
        ):
            task = bar.add_task(
                "Training", total=self.settings.epochs * steps, completed=done * steps
            )

            def advance(steps_done: int) -> None:
                bar.advance(task, steps_done)
                self._acknowledge_interruption()

            while not self._is_finished():
                self._learn(next(images_of_each), advance)
                self.seconds = time.monotonic() - begin
                self._tell_epoch()
                self._acknowledge_interruption()
                stopping = self.interrupted_by is not None
                if stopping or time.monotonic() - last_checkpoint > SECONDS_BETWEEN:
                    self._save_checkpoint()
                    last_checkpoint = time.monotonic()
                if stopping:
                    break
        if self.settings.scenes and self.interrupted_by is None:
            self._save_checkpoint()  # the judge's training may be interrupted, too

    def _learn(self, images: EpochImages, advance: Callable[[int], None]) -> None:
        """Learn from the images of one epoch, and add its scores to the curve."""
        epoch = len(self.curve) + 1
        scores = self.learner.learn(images, advance)
        scores |= validate(self.learner, self.parts.validation)
        if not np.isfinite([*scores.values()]).all():
            raise TrainingError(
                f"The training diverged in epoch {epoch}: try a --learning-rate below "
                f"{self.settings.learning_rate:g}, or a larger --batch-size."
            )
        self.curve.append({"epoch": epoch, **scores})
        if best_epoch(self.curve) == epoch:
            self.best_weights = self.learner.model.get_weights()

    def _is_finished(self) -> bool:
        """Whether all epochs are done, or the last ones brought nothing (early stopping)."""
        done, patience = len(self.curve), self.settings.early_stopping
        if done >= self.settings.epochs:
            return True
        if patience is None or done - best_epoch(self.curve) < patience:
            return False
        self.terminal.tell(f"Stopped early: no lower validation loss for {patience} epochs.")
        return True

    def _tell_epoch(self) -> None:
        scores, done, epochs = self.curve[-1], len(self.curve), self.settings.epochs
        self.terminal.tell(
            f"epoch {done:>{len(str(epochs))}}/{epochs}"
            f"  loss {scores['loss']:.4f}  accuracy {scores['accuracy']:.2%}"
            f"  validation loss {scores['validation_loss']:.4f}"
            f"  accuracy {scores['validation_accuracy']:.2%}"
            f"  {duration(self.seconds / done * (epochs - done))} left"
        )

    def _save_checkpoint(self) -> None:
        """Keep the state after this epoch; where that fails, say so and go on."""
        state = Checkpoint(
            settings=settings_to_keep(self.settings),
            images=self.parts.sha256,
            curve=self.curve,
            seconds=self.seconds,
            weights=self.learner.model.get_weights(),
            optimizer=[variable.numpy() for variable in self.learner.optimizer.variables],
            best_weights=self.best_weights,
        )
        try:
            save_checkpoint(self.checkpoint, state)
        except CheckpointError as error:
            self.terminal.tell(f"Warning: {error}")

    def _stop_after_epoch(self, signal_number: int) -> None:
        # Nothing is printed here: the signal may have come in the middle of printing.
        self.interrupted_by = signal_number

    def _acknowledge_interruption(self) -> None:
        if self.interrupted_by is not None and not self._acknowledged:
            self._acknowledged = True
            self.terminal.messages.print(
                "Stopping after this epoch, with the best one saved. Ctrl-C again stops at once."
            )


def best_epoch(curve: Sequence[Scores]) -> int:
    """Return the number of the first epoch with the lowest validation loss; 0 without any."""
    if not curve:
        return 0
    return int(min(curve, key=lambda scores: scores["validation_loss"])["epoch"])


def validate(learner: Learner, validation: Part) -> Scores:
    """Return the loss and the accuracy on the validation part."""
    logits = learner.read(validation.digits)
    hits = logits.argmax(axis=1) == validation.labels
    return {
        "validation_loss": cross_entropy(logits, validation.labels),
        "validation_accuracy": float(hits.mean()),
    }


# -------------------------------------------------------------------------- the images of an epoch


def images_by_epoch(
    training: Part, settings: TrainingSettings, *, first: int
) -> Generator[EpochImages, None, None]:
    """Yield what is learned in each epoch; distorted images are made an epoch ahead."""
    epochs = range(first, settings.epochs + 1)
    if not settings.distort:  # nothing to wait for
        for epoch in epochs:
            yield images_of_epoch(training, settings, epoch)
        return
    with ThreadPoolExecutor(max_workers=1) as background:
        upcoming = background.submit(images_of_epoch, training, settings, first)
        for epoch in epochs:
            ready = upcoming.result()
            if epoch < epochs[-1]:
                upcoming = background.submit(images_of_epoch, training, settings, epoch + 1)
            yield ready


def images_of_epoch(training: Part, settings: TrainingSettings, epoch: int) -> EpochImages:
    """Return the training part and its order in this epoch, the images distorted anew."""
    rng = np.random.default_rng((settings.seed, epoch))
    order = rng.permutation(len(training))
    if not settings.distort:
        return EpochImages(training.digits, training.labels, order)
    digits = augment(training.digits, rng, order)
    return EpochImages(digits, training.labels[order], np.arange(len(order)))
