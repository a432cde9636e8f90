#!/usr/bin/env python3
"""Train a network to read handwritten digits, and save it as one model file.

    python digit_classification_model_trainer.py
    python digit_classification_model_trainer.py --dataset my_digits --model my_digits.keras
    python digit_classification_model_trainer.py --epochs 5 --metrics metrics.json

A dataset is a folder or a zip with a folder of images for each digit, 0 to 9.  Without
options, the settings in config.yaml apply: the bundled MNIST, and digit_classification.keras.

In Python:

    from digit_classification.config import load_settings
    from digit_classification_model_trainer import DigitClassifier

    classifier = DigitClassifier(load_settings())
    classifier.train()
    print(classifier.evaluate()["accuracy"])
    classifier.save_model()
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from digit_classification import __version__, images
from digit_classification.augmentation import augment
from digit_classification.config import Settings, SettingsError, add_setting, load_settings
from digit_classification.dataset import CLASSES, Dataset, DatasetError, Report, read_dataset
from digit_classification.drawn import draw_digits
from digit_classification.model_file import ModelError, check_destination, save_model
from digit_classification.network import (
    build_learning_network,
    build_saved_network,
    cross_entropy,
    find_temperature,
)
from digit_classification.quiet import import_keras
from digit_classification.sources import printable
from digit_classification.terminal import make_console, make_table, progress_bar

STEPS_PER_CALL = 50  # of the optimiser: few enough that Ctrl-C is answered at once
WEIGHT_DECAY = 3e-5
NAMED = 10  # files named on the terminal; the report on a large dataset should stay readable

EXIT_STATUS = """\
exit status:
  0    the model is trained, evaluated and saved
  2    the command line, a setting or the dataset is wrong
  130  interrupted with Ctrl-C; the first one saves the best epoch so far
"""


class TrainingError(Exception):
    """The training cannot go on; the message is one sentence for the user."""


class DigitClassifier:
    """Trains a dense network on a folder-per-class dataset, from reading it to saving the model.

    `output` takes results, `messages` progress; both are rich consoles.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        output: Console | None = None,
        messages: Console | None = None,
        quiet: bool = False,
    ) -> None:
        self.settings = settings or load_settings()
        self.output = output or make_console()
        self.messages = messages or make_console(stderr=True)
        self.quiet = quiet
        self.interrupted = False  # whether Ctrl-C has asked for the end
        self._acknowledged = False
        self.model: Any = None  # a keras.Sequential, once built
        self.evaluation: dict[str, Any] | None = None
        self.temperature = 1.0  # by which the logits are divided in the saved network
        self._history: list[dict[str, float]] = []
        self._loaded = False

    # ------------------------------------------------------------------------------- the data

    def _load_and_preprocess_data(self) -> None:
        """Read the dataset, normalise its images, and split them into three parts.

        The network learns from the training part; every choice is made on the validation part;
        the test part is only ever reported on.

        Raises DatasetError if a dataset cannot be used.
        """
        from sklearn.model_selection import train_test_split

        settings = self.settings.dataset
        dataset = self._read(settings.path)
        digits, labels = dataset.digits, dataset.labels
        self.datasets = {"dataset": dataset.without_digits()}
        if settings.test_path is not None:
            test = self._read(settings.test_path)
            self.datasets["test_dataset"] = test.without_digits()
            self.test_digits, self.test_labels = test.digits, test.labels
        else:
            digits, self.test_digits, labels, self.test_labels = self._split(
                train_test_split, digits, labels, settings.test_fraction
            )
        self.train_digits, self.validation_digits, self.train_labels, self.validation_labels = (
            self._split(train_test_split, digits, labels, settings.validation_fraction)
        )
        self._add_drawn_digits()
        self._loaded = True
        if not self.quiet:
            parts = {
                "training": self.train_labels,
                "validation": self.validation_labels,
                "test": self.test_labels,
            }
            self.output.print(_counts_table(parts))

    def _add_drawn_digits(self) -> None:
        """Add drawn digits to the training part only: choices are made on real ones."""
        count = round(self.settings.training.drawn_share * len(self.train_labels))
        digits, labels = draw_digits(count, np.random.default_rng(self.settings.training.seed))
        self.train_digits = np.concatenate([self.train_digits, digits])
        self.train_labels = np.concatenate([self.train_labels, labels])

    def _read(self, path: Path) -> Dataset:
        with progress_bar(self.messages, quiet=self.quiet) as progress:
            task = progress.add_task(f"Reading {path}", total=None)
            dataset = read_dataset(
                path,
                strict=self.settings.dataset.strict,
                cache=self.settings.dataset.cache,
                progress=lambda done, total: progress.update(task, completed=done, total=total),
            )
        if not self.quiet:
            self.messages.print(f"Read {len(dataset):,} images of {path}")
            _print_report(self.messages, dataset.report)
        return dataset

    def _split(
        self, split: Any, digits: np.ndarray, labels: np.ndarray, fraction: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Split stratified and seeded; at least one image of each digit is held back."""
        counts = np.bincount(labels, minlength=10)
        rarest = int(counts.argmin())
        held_back_count = max(len(CLASSES), round(len(labels) * fraction))
        if counts[rarest] < 2 or len(labels) - held_back_count < len(CLASSES):
            raise DatasetError(
                f"The dataset is too small to split: {len(labels)} images, {counts[rarest]} of the "
                f"digit {rarest}, with {fraction:g} of them held back: add images, or change the "
                "fractions."
            )
        train, held_back, train_labels, held_back_labels = split(
            digits,
            labels,
            test_size=held_back_count,
            random_state=self.settings.training.seed,
            stratify=labels,
        )
        return train, held_back, train_labels, held_back_labels

    # ---------------------------------------------------------------------------- the network

    def _build_model(self) -> None:
        """Build the network: flatten, dense hidden layers, a dense layer of ten outputs.

        Pixels go in as they are, 0 to 255: rescaling is part of the model.
        """
        keras = import_keras()
        import tensorflow as tf

        keras.utils.set_random_seed(self.settings.training.seed)
        # Otherwise sums are added in the order in which threads happen to finish.
        tf.config.experimental.enable_op_determinism()
        self.model = build_learning_network(self.settings.training.hidden_units)

    def train(self) -> None:
        """Train on freshly distorted images each epoch, and keep the best epoch's network.

        The best epoch has the lowest loss on the validation part, which is also what the
        network's confidence is calibrated on.  Ctrl-C ends the training after the running
        epoch, a second one at once (KeyboardInterrupt).
        """
        if not self._loaded:
            self._load_and_preprocess_data()
        self._build_model()
        training = self.settings.training
        epochs = training.epochs
        learn = self._make_learner()
        best_loss, best_weights = np.inf, self.model.get_weights()
        begin = time.monotonic()
        with (
            _ctrl_c_asks_first(self),
            progress_bar(self.messages, quiet=self.quiet) as progress,
            ThreadPoolExecutor(max_workers=1) as background,
        ):
            steps = self._steps_per_epoch()
            task = progress.add_task("Training", total=epochs * steps)

            def advance(steps_done: int) -> None:
                progress.advance(task, steps_done)
                self._acknowledge_interruption()

            upcoming = background.submit(self._distorted_images, 1)
            for epoch in range(1, epochs + 1):
                digits, labels = upcoming.result()
                if epoch < epochs:
                    upcoming = background.submit(self._distorted_images, epoch + 1)
                figures = learn(digits, labels, advance)
                figures |= self._validate()
                if not np.isfinite([*figures.values()]).all():
                    raise TrainingError(
                        f"The training diverged in epoch {epoch}: try a --learning-rate below "
                        f"{training.learning_rate:g}, or a larger --batch-size."
                    )
                self._history.append({"epoch": epoch, **figures})
                if figures["validation_loss"] < best_loss:
                    best_loss, best_weights = figures["validation_loss"], self.model.get_weights()
                self._print_epoch(epoch, figures, time.monotonic() - begin)
                self._acknowledge_interruption()
                if self.interrupted:
                    break
        self.model.set_weights(best_weights)
        logits = self.model.predict(self.validation_digits, batch_size=1000, verbose=0)
        self.temperature = find_temperature(logits, self.validation_labels)
        self.model = build_saved_network(self.model, self.temperature)

    def _acknowledge_interruption(self) -> None:
        if self.interrupted and not self._acknowledged:
            self._acknowledged = True
            self.messages.print(
                "Stopping after this epoch, with the best one saved. Ctrl-C again stops at once."
            )

    def _distorted_images(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the training part in the order of this epoch, the images distorted anew."""
        rng = np.random.default_rng((self.settings.training.seed, epoch))
        order = rng.permutation(len(self.train_labels))
        labels = self.train_labels[order]
        if not self.settings.training.distort:
            return self.train_digits[order], labels
        return augment(self.train_digits, rng, order), labels

    def _steps_per_epoch(self) -> int:
        return max(1, len(self.train_labels) // self.settings.training.batch_size)

    def _make_learner(self) -> Callable[..., dict[str, float]]:
        """Return a function that trains one epoch.

        Nesterov momentum with a learning rate that rises over the first tenth of all steps and
        then falls to zero along a cosine.  TensorFlow runs many steps by one call: with digits,
        returning to Python after each would take longer than the step.
        """
        import keras
        import tensorflow as tf

        training = self.settings.training
        steps = self._steps_per_epoch()
        batch_size = min(training.batch_size, len(self.train_labels))
        total = training.epochs * steps
        warmup = max(1, total // 10)
        schedule = keras.optimizers.schedules.CosineDecay(
            0.0, max(1, total - warmup), warmup_target=training.learning_rate, warmup_steps=warmup
        )
        optimizer = keras.optimizers.SGD(
            schedule, momentum=0.9, nesterov=True, weight_decay=WEIGHT_DECAY
        )
        optimizer.build(self.model.trainable_variables)
        signature = [
            tf.TensorSpec([None, images.SIDE, images.SIDE], tf.uint8),
            tf.TensorSpec([None], tf.uint8),
        ]

        @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
        def learn_batches(digits: Any, labels: Any) -> tuple[Any, Any]:
            loss, right = 0.0, 0
            for start in tf.range(0, tf.shape(digits)[0], batch_size):
                batch = tf.cast(digits[start : start + batch_size], tf.float32)
                truth = tf.cast(labels[start : start + batch_size], tf.int64)
                with tf.GradientTape() as tape:
                    logits = self.model(batch, training=True)
                    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(truth, logits)
                    mean = tf.reduce_mean(losses)
                variables = self.model.trainable_variables
                optimizer.apply(tape.gradient(mean, variables), variables)
                loss += tf.reduce_sum(losses)
                hits = tf.equal(tf.argmax(logits, axis=1), truth)
                right += tf.reduce_sum(tf.cast(hits, tf.int32))
            return loss, right

        def learn(
            digits: np.ndarray, labels: np.ndarray, advance: Callable[[int], None]
        ) -> dict[str, float]:
            loss, right = 0.0, 0
            used = steps * batch_size  # a last, smaller batch would unbalance the normalisation
            for start in range(0, used, STEPS_PER_CALL * batch_size):
                part = slice(start, min(start + STEPS_PER_CALL * batch_size, used))
                part_loss, part_right = learn_batches(digits[part], labels[part])
                loss, right = loss + float(part_loss), right + int(part_right)
                advance(-(-(part.stop - part.start) // batch_size))
            return {"loss": loss / used, "accuracy": right / used}

        return learn

    def _validate(self) -> dict[str, float]:
        logits = self.model.predict(self.validation_digits, batch_size=1000, verbose=0)
        hits = logits.argmax(axis=1) == self.validation_labels
        return {
            "validation_loss": cross_entropy(logits, self.validation_labels),
            "validation_accuracy": float(hits.mean()),
        }

    def _print_epoch(self, epoch: int, figures: dict[str, float], elapsed: float) -> None:
        if self.quiet:
            return
        epochs = self.settings.training.epochs
        self.messages.print(
            f"epoch {epoch:>{len(str(epochs))}}/{epochs}"
            f"  loss {figures['loss']:.4f}  accuracy {figures['accuracy']:.2%}"
            f"  validation loss {figures['validation_loss']:.4f}"
            f"  accuracy {figures['validation_accuracy']:.2%}"
            f"  {_duration(elapsed / epoch * (epochs - epoch))} left"
        )

    # -------------------------------------------------------------------------------- results

    def evaluate(self) -> dict[str, Any]:
        """Evaluate on the test part; print and return the figures.

        `accuracy` and `loss`; `digits`, for each digit its precision, recall, f1 and support;
        `confusion_matrix`, rows the true digit, columns the digit read.
        """
        from sklearn.metrics import confusion_matrix, log_loss, precision_recall_fscore_support

        probabilities = self.model.predict(self.test_digits, batch_size=1000, verbose=0)
        read = probabilities.argmax(axis=1)
        digits = range(len(CLASSES))
        per_digit = zip(
            *precision_recall_fscore_support(
                self.test_labels, read, labels=digits, zero_division=0.0
            ),
            strict=True,
        )
        self.evaluation = {
            "images": len(read),
            "accuracy": float((read == self.test_labels).mean()),
            "loss": float(log_loss(self.test_labels, probabilities, labels=digits)),
            "digits": {
                name: {
                    "precision": float(precision),
                    "recall": float(recall),
                    "f1": float(f1),
                    "support": int(support),
                }
                for name, (precision, recall, f1, support) in zip(CLASSES, per_digit, strict=True)
            },
            "confusion_matrix": confusion_matrix(self.test_labels, read, labels=digits).tolist(),
        }
        _print_evaluation(self.output, self.evaluation, tables=not self.quiet)
        return self.evaluation

    def save_model(self, path: Path | None = None) -> Path:
        """Save the network and its card as one file; return its path.

        Raises ModelError if it cannot be written; a model that was there before stays then.
        """
        path = path or self.settings.model.path
        save_model(path, self.model, self._card())
        return path

    def _card(self) -> dict[str, Any]:
        """Return what the model file says about itself."""
        return {
            "classes": list(CLASSES),
            "datasets": {
                name: {"path": str(data.path), "sha256": data.sha256, "counts": data.counts}
                for name, data in self.datasets.items()
            },
            "settings": self.settings.model_dump(mode="json", include={"dataset", "training"}),
            "seed": self.settings.training.seed,
            "interrupted": self.interrupted,
            "temperature": self.temperature,
            "history": self._history,
            "test": self.evaluation,
        }


@contextlib.contextmanager
def _ctrl_c_asks_first(classifier: DigitClassifier) -> Iterator[None]:
    """Turn the first Ctrl-C into a request to end after the epoch; the second raises."""

    def ask(_signal: int, _frame: FrameType | None) -> None:
        # Nothing is printed here: the signal may have come in the middle of printing.
        classifier.interrupted = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return
    previous = signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


# ------------------------------------------------------------------------------ what is printed


def _counts_table(parts: dict[str, np.ndarray]) -> Table:
    """Return a table of the images per digit in each part, given as labels."""
    table = make_table("digit", *parts)
    columns = [np.bincount(labels, minlength=10) for labels in parts.values()]
    for name, counts in zip(CLASSES, zip(*columns, strict=True), strict=True):
        table.add_row(name, *(f"{count:,}" for count in counts))
    table.add_section()
    table.add_row("all", *(f"{column.sum():,}" for column in columns))
    return table


def _print_report(messages: Console, report: Report) -> None:
    """Say what of a dataset was not used as it is, naming the first few of each kind."""
    _print_files(messages, "left out, unreadable", report.left_out)
    _print_files(messages, "left out, the same image as", report.duplicates)
    _print_files(messages, "ignored, no images", [(name, "") for name in report.stray])
    _print_files(messages, "kept, but doubtful", report.doubtful)


def _print_files(messages: Console, what: str, files: list[tuple[str, str]]) -> None:
    if not files:
        return
    messages.print(f"{len(files):,} {what}:")
    for name, reason in files[:NAMED]:
        messages.print(f"  {printable(name)}" + (f": {printable(reason)}" if reason else ""))
    if len(files) > NAMED:
        messages.print(f"  and {len(files) - NAMED:,} more")


def _print_evaluation(output: Console, evaluation: dict[str, Any], *, tables: bool) -> None:
    output.print(
        f"Test accuracy: {evaluation['accuracy']:.2%} of {evaluation['images']:,} images, "
        f"loss {evaluation['loss']:.4f}"
    )
    if not tables:
        return
    per_digit = make_table("digit", "precision", "recall", "F1", "images")
    for name, figures in evaluation["digits"].items():
        per_digit.add_row(
            name,
            f"{figures['precision']:.2%}",
            f"{figures['recall']:.2%}",
            f"{figures['f1']:.2%}",
            f"{figures['support']:,}",
        )
    output.print(per_digit)
    output.print("Confusion matrix: rows are the true digits, columns what was read.")
    confusion = make_table("", *CLASSES)
    for name, row in zip(CLASSES, evaluation["confusion_matrix"], strict=True):
        confusion.add_row(name, *(str(count) if count else "·" for count in row))
    output.print(confusion)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"


# --------------------------------------------------------------------------------- command line


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Train a network to read handwritten digits, and save it as one model file.",
        epilog=EXIT_STATUS + "\nexample:\n  %(prog)s --dataset my_digits --epochs 20",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    data = parser.add_argument_group("dataset")
    add_setting(data, "--dataset", "dataset.path", metavar="PATH")
    add_setting(data, "--test-dataset", "dataset.test_path", metavar="PATH")
    add_setting(data, "--strict", "dataset.strict", action="store_true")
    add_setting(
        data,
        "--no-cache",
        "dataset.cache",
        action="store_false",
        help="prepare every image again, and keep nothing beside the dataset",
    )
    training = parser.add_argument_group("training")
    add_setting(training, "--epochs", "training.epochs", metavar="N")
    add_setting(training, "--hidden-units", "training.hidden_units", metavar="N", nargs="+")
    add_setting(training, "--batch-size", "training.batch_size", metavar="N")
    add_setting(training, "--learning-rate", "training.learning_rate", metavar="RATE")
    add_setting(training, "--seed", "training.seed", metavar="N")
    result = parser.add_argument_group("result")
    add_setting(result, "--model", "model.path", metavar="FILE")
    result.add_argument(
        "--metrics", type=Path, metavar="FILE", help="also write the test figures as JSON"
    )
    general = parser.add_argument_group("general")
    general.add_argument("--config", type=Path, metavar="FILE", help="read settings from FILE")
    general.add_argument(
        "-q", "--quiet", action="store_true", help="print nothing but the test accuracy and errors"
    )
    general.add_argument("--version", action="version", version=__version__)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the trainer; return the exit status."""
    arguments = build_parser().parse_args(argv)
    messages = make_console(stderr=True)
    try:
        settings = load_settings(arguments, arguments.config)
        classifier = DigitClassifier(settings, messages=messages, quiet=arguments.quiet)
        check_destination(settings.model.path)
        classifier.train()
        evaluation = classifier.evaluate()
        path = classifier.save_model()
        if arguments.metrics:
            _write_metrics(arguments.metrics, evaluation)
    except (SettingsError, DatasetError, TrainingError, ModelError) as error:
        messages.print(f"Error: {error}")
        return 2
    except KeyboardInterrupt:
        messages.print("Interrupted: no model was saved.")
        return 130
    if not arguments.quiet:
        best = "the best epoch so far" if classifier.interrupted else "the model"
        messages.print(f"Saved {best} to {path} ({path.stat().st_size / 1e6:.1f} MB).")
    return 130 if classifier.interrupted else 0


def _write_metrics(path: Path, evaluation: dict[str, Any]) -> None:
    try:
        path.write_text(json.dumps(evaluation, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise SettingsError(
            f"The model is saved, but the figures cannot be written to '{path}': {error.strerror}."
        ) from None


if __name__ == "__main__":
    sys.exit(main())
