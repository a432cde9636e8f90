#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Train a network to read handwritten digits, and save it as one model file.

    python digit_classification_model_trainer.py
    python digit_classification_model_trainer.py --dataset my_digits --model my_digits.keras
    python digit_classification_model_trainer.py --report report
    python digit_classification_model_trainer.py --fine-tune digit_classification.keras \
        --dataset my_digits --model mine.keras
    python digit_classification_model_trainer.py --skip-training --export onnx

A dataset is a folder or a zip with a folder of images for each digit, or another form that
docs/datasets.md lists.  Without options, the settings in config.yaml apply: the bundled MNIST.

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
import sys
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from digit_classification.cli.interruption import ending_in_order, exit_status
from digit_classification.cli.quiet import import_keras
from digit_classification.cli.terminal import Terminal, error_text, make_console, waiting
from digit_classification.commands.train.checks import check_destinations
from digit_classification.commands.train.export import export
from digit_classification.commands.train.fine_tuning import run_fine_tuning
from digit_classification.commands.train.metrics import write_metrics
from digit_classification.commands.train.options import build_parser, check_combination
from digit_classification.commands.train.plan import print_plan, without_cache
from digit_classification.config import Settings, load_settings
from digit_classification.errors import UserError
from digit_classification.files import folder_beside
from digit_classification.network import inference
from digit_classification.network.architecture import (
    build_learning_network,
    build_saved_network,
    find_temperature,
)
from digit_classification.network.model_file import save_model, saving, stamped
from digit_classification.pictures.decode import Limits
from digit_classification.reports.evaluation import print_evaluation
from digit_classification.reports.training_record import Training
from digit_classification.reports.training_report import check_report, write_report
from digit_classification.settings import settings_text
from digit_classification.training.augmentation import augment
from digit_classification.training.checkpoint import (
    Checkpoint,
    check_same_images,
    checkpoint_path,
    load_checkpoint,
    settings_to_keep,
)
from digit_classification.training.datasets.dataset import CLASSES
from digit_classification.training.epochs import Scores, TrainingLoop
from digit_classification.training.judging import JudgeTraining, train_judge
from digit_classification.training.learner import Learner, check_size
from digit_classification.training.parts import ArrayPair, ArrayPairs, Parts, read_parts
from digit_classification.training.scores import score_test

TRAINER_SECTIONS = ("dataset", "model", "training")
DISTORTED = 8  # of each digit, in the report


class DigitClassifier:
    """Trains a dense network on a dataset, from reading it to saving the model.

    `dataset` replaces the settings' datasets by arrays: images and labels, or two such pairs, the
    second for the test.  `output` takes results, `messages` progress; both are rich consoles.
    With `resume`, `train` goes on where an interrupted training of the same stopped.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        dataset: ArrayPair | ArrayPairs | None = None,
        output: Console | None = None,
        messages: Console | None = None,
        quiet: bool = False,
        verbose: bool = False,
        resume: bool = False,
    ) -> None:
        self.settings = settings or load_settings()
        self.terminal = Terminal(
            output or make_console(), messages or make_console(stderr=True), quiet, verbose
        )
        self.resume = resume
        self.arrays = dataset
        self.parts: Parts | None = None  # of the dataset, once it is read
        self.model: Any = None  # a keras.Sequential, once built
        self.curve: list[Scores] = []  # the scores of each epoch
        self.seconds = 0.0  # that the training took
        self.interrupted_by: int | None = None  # the signal that asked for the end, if one did
        self.judging = JudgeTraining()  # what came of the judge's training
        self.temperature = 1.0  # by which the logits are divided in the saved network
        self.probabilities = np.empty((0, len(CLASSES)))  # of the test images, once evaluated
        self.evaluation: dict[str, Any] | None = None
        self.saved = False

    @property
    def checkpoint(self) -> Path:
        """Where an interrupted training is kept until it is resumed or replaced."""
        return checkpoint_path(self.settings.model.path)

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C, or a signal like it, has ended the training early."""
        return self.interrupted_by is not None

    def _load_and_preprocess_data(self) -> Parts:
        """Read the dataset, normalise its images, and split them into three parts, once.

        The network learns from the training part; every choice is made on the validation part;
        the test part is only ever reported on.

        Raises DatasetError if a dataset cannot be used.
        """
        if self.parts is None:
            self.parts = read_parts(self.settings, self.terminal, self.arrays)
        return self.parts

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

    def prepare(self) -> tuple[Parts, Checkpoint | None]:
        """Return what `train` begins with: the images, and the checkpoint that it resumes.

        Raises CheckpointError if there is none to resume, or if it is of another training;
        DatasetError if a dataset cannot be used.
        """
        if not self.resume:
            return self._load_and_preprocess_data(), None
        kept = load_checkpoint(self.checkpoint, settings_to_keep(self.settings.training))
        parts = self._load_and_preprocess_data()
        check_same_images(self.checkpoint, kept, parts.sha256)
        return parts, kept

    def train(self) -> None:
        """Train on freshly distorted images each epoch, and keep the best epoch's network.

        The best epoch has the lowest loss on the validation part, which is also what the
        network's confidence is calibrated on.  Ctrl-C ends the training after the running
        epoch, a second one at once (KeyboardInterrupt).

        Raises what `prepare` does, and TrainingError if the network is too large to be saved, or
        if the training diverges.
        """
        training = self.settings.training
        check_size(training)
        parts, kept = self.prepare()
        with waiting(self.terminal.messages, "Starting TensorFlow", quiet=self.terminal.quiet):
            self._build_model()
            learner = Learner(self.model, training, len(parts.training))
        loop = TrainingLoop(learner, parts, training, self.checkpoint, self.terminal)
        if kept is not None:
            loop.resume(kept)
        elif self.checkpoint.exists():
            self.terminal.tell(
                f"'{self.checkpoint}' of an interrupted training will be replaced; "
                "--resume-training would go on from there."
            )
        loop.run()
        self.curve, self.seconds = loop.curve, loop.seconds
        self.interrupted_by = loop.interrupted_by
        self.model.set_weights(loop.best_weights)
        logits = learner.read(parts.validation.digits)
        self.temperature = find_temperature(logits, parts.validation.labels)
        self.model = build_saved_network(self.model, self.temperature, parts.digits)
        if training.scenes and not self.interrupted:
            self.judging = train_judge(self.model, parts, self.settings, self.terminal)
            self.interrupted_by = self.judging.interrupted_by

    def evaluate(self) -> dict[str, Any]:
        """Evaluate on the test part; print and return the scores.

        `accuracy` and `loss`; `digits`, for each digit its precision, recall, f1 and support;
        `confusion_matrix`, rows the true digit, columns the digit read.
        """
        parts = self._load_and_preprocess_data()
        self.probabilities = inference.network_of(self.model)(parts.test.digits)
        self.evaluation = score_test(self.probabilities, parts.test.labels)
        print_evaluation(
            self.terminal.output,
            self.evaluation,
            corrections=parts.datasets.get("corrections"),
            judge=self.judging.scores,
            tables=not self.terminal.quiet,
        )
        return self.evaluation

    def save_model(self, path: Path | None = None) -> Path:
        """Save the network and its card as one file; return its path.

        Raises ModelError if it cannot be written; a model that was there before stays then.
        """
        path = path or self.settings.model.path
        with waiting(self.terminal.messages, "Saving the model", quiet=self.terminal.quiet):
            save_model(path, self.model, self._card(), self.judging.judge)
        self.saved = True
        if not self.interrupted:
            self.checkpoint.unlink(missing_ok=True)
        return path

    def write_report(self, folder: Path) -> None:
        """Write a report of the training and the test into the new `folder`.

        Raises ModelError if it cannot be written, or if `folder` is there already.
        """
        check_report(folder)
        parts = self._load_and_preprocess_data()
        # The first image of each digit: those drawn by the program come last.
        first = [np.flatnonzero(parts.training.labels == digit)[0] for digit in parts.digits]
        examples = parts.training.digits[first]
        rng = np.random.default_rng(self.settings.training.seed)
        training = Training(
            model=self.settings.model.path,
            card=stamped(self._card()),
            settings=settings_text(self.settings, TRAINER_SECTIONS, absolute=True),
            parts=parts,
            limits=Limits(**self.settings.images.model_dump()),
            probabilities=self.probabilities,
            examples=examples,
            # A call draws with one pen.
            distorted=np.stack([augment(examples, rng) for _ in range(DISTORTED)], axis=1),
        )
        with self.terminal.progress("Drawing the report") as progress:
            write_report(folder, training, progress)
        self.terminal.tell(f"Wrote the report to {folder / 'index.html'}.")

    def _card(self) -> dict[str, Any]:
        """Return what the model file says about itself."""
        return {
            "classes": [*map(str, self._load_and_preprocess_data().digits)],
            "datasets": {
                name: {"path": str(data.path), "sha256": data.sha256, "counts": data.counts}
                for name, data in self._load_and_preprocess_data().datasets.items()
            },
            "settings": self.settings.model_dump(
                mode="json", include={"dataset", "training", "images"}
            ),
            "seed": self.settings.training.seed,
            "interrupted": self.interrupted,
            "temperature": self.temperature,
            "training_seconds": round(self.seconds, 1),
            "history": self.curve,
            "test": self.evaluation,
            "judge": self.judging.scores,
        }


@ending_in_order()
def main(argv: list[str] | None = None) -> int:
    """Run the trainer; return the exit status."""
    parser = build_parser()
    arguments = parser.parse(argv)
    check_combination(parser, arguments)
    terminal = Terminal(
        make_console(), make_console(stderr=True), arguments.quiet, arguments.verbose
    )
    classifier = None
    try:
        settings = load_settings(arguments, arguments.config)
        if arguments.verbose:
            terminal.tell(settings_text(settings, TRAINER_SECTIONS))
        if arguments.skip_training:
            export(arguments, settings, terminal)
            return 0
        if arguments.fine_tune:
            run_fine_tuning(arguments, settings, terminal)
            return 0
        check_size(settings.training)
        check_destinations(arguments, settings)
        classifier = DigitClassifier(
            without_cache(settings) if arguments.dry_run else settings,
            output=terminal.output,
            messages=terminal.messages,
            quiet=arguments.quiet,
            verbose=arguments.verbose,
            resume=arguments.resume_training,
        )
        if arguments.dry_run:
            print_plan(arguments, settings, *classifier.prepare(), terminal.output)
            return 0
        return _train(classifier, arguments)
    except UserError as error:
        terminal.messages.print(error_text(error))
        return 2
    except KeyboardInterrupt as interruption:
        saved = classifier is not None and classifier.saved
        outcome = "the model is saved" if saved else "no model was saved"
        terminal.messages.print(f"Interrupted: {outcome}.")
        return exit_status(interruption)


def _train(classifier: DigitClassifier, arguments: argparse.Namespace) -> int:
    """Train, evaluate and save, and write what else is asked for; return the exit status."""
    settings, terminal = classifier.settings, classifier.terminal
    with saving(settings.model.path), folder_beside(settings.model.path):
        pass  # now, rather than after an hour: permissions alone do not tell on every system
    classifier.train()
    evaluation = classifier.evaluate()
    path = classifier.save_model()
    best = "the best epoch so far" if classifier.interrupted else "the model"
    terminal.tell(f"Saved {best} to {path} ({path.stat().st_size / 1e6:.1f} MB).")
    if arguments.metrics:
        write_metrics(arguments.metrics, evaluation)
    if arguments.report:
        classifier.write_report(arguments.report)
    if arguments.export:
        export(arguments, settings, terminal)
    if classifier.interrupted_by is None:
        return 0
    done, epochs = len(classifier.curve), settings.training.epochs
    terminal.tell(f"Epoch {done} of {epochs}: --resume-training goes on from there.")
    return 128 + classifier.interrupted_by


if __name__ == "__main__":
    sys.exit(main())
