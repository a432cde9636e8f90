#!/usr/bin/env python3
# PYTHON_ARGCOMPLETE_OK
"""Train a network to read handwritten digits, and save it as one model file.

    python digit_classification_model_trainer.py
    python digit_classification_model_trainer.py --dataset my_digits --model my_digits.keras
    python digit_classification_model_trainer.py --report report
    python digit_classification_model_trainer.py --skip-training --export onnx

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
import errno
import functools
import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from digit_classification.cli.command_line import CommandLine
from digit_classification.cli.interruption import asking_first, ending_in_order, exit_status
from digit_classification.cli.quiet import import_keras
from digit_classification.cli.terminal import (
    error_text,
    make_console,
    progress_bar,
    waiting,
)
from digit_classification.config import (
    Settings,
    SettingsError,
    TrainingSettings,
    add_setting,
    load_settings,
)
from digit_classification.files import (
    PlaceError,
    check_apart,
    check_creatable,
    check_writable,
    folder_beside,
    may_replace,
    replacing,
)
from digit_classification.network import inference
from digit_classification.network.architecture import (
    build_learning_network,
    build_saved_network,
    cross_entropy,
    find_temperature,
)
from digit_classification.network.export import (
    FORMATS,
    check_export,
    check_exportable,
    default_destination,
    export_model,
)
from digit_classification.network.model_file import (
    ModelError,
    check_destination,
    save_model,
    saving,
    stamped,
)
from digit_classification.pictures import images
from digit_classification.pictures.decode import Limits
from digit_classification.reports.tables import counts_table, print_evaluation, print_report
from digit_classification.reports.training_record import Training, duration
from digit_classification.reports.training_report import check_report, write_report
from digit_classification.settings import settings_text
from digit_classification.training.augmentation import augment
from digit_classification.training.checkpoint import (
    SECONDS_BETWEEN,
    Checkpoint,
    CheckpointError,
    check_checkpoint,
    checkpoint_path,
    damaged,
    load_checkpoint,
    save_checkpoint,
)
from digit_classification.training.corrections import only_new, read_corrections, relabel
from digit_classification.training.dataset import (
    CLASSES,
    Dataset,
    DatasetError,
    Report,
    read_dataset,
)
from digit_classification.training.drawn import draw_digits
from digit_classification.training.learner import Epoch, make_learner, make_reader, steps_per_epoch

TRAINER_SECTIONS = ("dataset", "model", "training")
DISTORTED = 8  # of each digit, in the report
MAX_METRICS_BYTES = 2**20
NAMED = 10  # files named on the terminal; the report on a large dataset should stay readable

EXIT_STATUS = """\
exit status:
  0    the model is trained, evaluated and saved
  2    the command line, a setting or the dataset is wrong
  130  interrupted with Ctrl-C; the first one saves the best epoch so far
  143  the same with SIGTERM, 129 with SIGHUP (a closed terminal)
"""
# Without a number: as patient as it takes to lose nothing by it, measured in docs/training.md.
PATIENCE = 20


class TrainingError(Exception):
    """The training cannot go on; the message is one sentence for the user."""


# What the user can put right on the command line.
USER_ERRORS = (
    CheckpointError,
    DatasetError,
    ModelError,
    PlaceError,
    SettingsError,
    TrainingError,
)


class DigitClassifier:
    """Trains a dense network on a folder-per-class dataset, from reading it to saving the model.

    `output` takes results, `messages` progress; both are rich consoles.  With `resume`, `train`
    goes on where an interrupted training of the same settings and images stopped.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        output: Console | None = None,
        messages: Console | None = None,
        quiet: bool = False,
        verbose: bool = False,
        resume: bool = False,
    ) -> None:
        self.settings = settings or load_settings()
        self.limits = Limits(**self.settings.images.model_dump())
        self.output = output or make_console()
        self.messages = messages or make_console(stderr=True)
        self.quiet = quiet
        self.verbose = verbose
        self.resume = resume
        self.interrupted = False  # whether Ctrl-C, or a signal like it, has asked for the end
        self._signal_number = int(signal.SIGINT)
        self._acknowledged = False
        self.model: Any = None  # a keras.Sequential, once built
        self.evaluation: dict[str, Any] | None = None
        self.temperature = 1.0  # by which the logits are divided in the saved network
        self.seconds = 0.0  # that the training took
        self._history: list[dict[str, float]] = []
        self._loaded = False

    # ------------------------------------------------------------------------------- the data

    def _load_and_preprocess_data(self) -> None:
        """Read the dataset, normalise its images, and split them into three parts.

        The network learns from the training part; every choice is made on the validation part;
        the test part is only ever reported on.

        Raises DatasetError if a dataset cannot be used.
        """
        settings = self.settings.dataset
        corrections = None
        if settings.corrections is not None:
            corrections = read_corrections(settings.corrections, limits=self.limits)
        self.datasets = {"dataset": self._read(settings.path)}
        if settings.test_path is not None:
            self.datasets["test_dataset"] = self._read(settings.test_path)
        new = None if corrections is None else self._correct(corrections)
        digits, labels = self.datasets["dataset"].digits, self.datasets["dataset"].labels
        if settings.test_path is not None:
            test = self.datasets["test_dataset"]
            self.test_digits, self.test_labels = test.digits, test.labels
            self.test_names = test.names
        else:
            kept, held_back = self._split(labels, settings.test_fraction)
            self.test_digits, self.test_labels = digits[held_back], labels[held_back]
            names = self.datasets["dataset"].names
            self.test_names = [names[index] for index in held_back]
            digits, labels = digits[kept], labels[kept]
        kept, held_back = self._split(labels, settings.validation_fraction)
        self.train_digits, self.train_labels = digits[kept], labels[kept]
        self.validation_digits, self.validation_labels = digits[held_back], labels[held_back]
        self.datasets = {name: data.without_digits() for name, data in self.datasets.items()}
        if new is not None:
            self._learn_too(new.digits, new.labels)
        self._add_drawn_digits()
        self._loaded = True
        if not self.quiet:
            read = len(self.train_labels) - self.drawn
            parts = {
                "training": self.train_labels[:read],
                "drawn for it": self.train_labels[read:],
                "validation": self.validation_labels,
                "test": self.test_labels,
            }
            self.output.print(counts_table({k: v for k, v in parts.items() if len(v)}))

    def _add_drawn_digits(self) -> None:
        """Add drawn digits to the training part only: choices are made on real ones."""
        count = round(self.settings.training.drawn_share * len(self.train_labels))
        self.drawn = count
        rng = np.random.default_rng(self.settings.training.seed)
        self._learn_too(*draw_digits(count, rng))

    def _correct(self, corrections: Dataset) -> Dataset:
        """Correct the labels of the datasets; return what of the corrections they do not hold.

        New pictures go to the training part: a test stays the same with and without them.
        """
        changed: set[str] = set()
        for name, dataset in self.datasets.items():
            self.datasets[name], of_these = relabel(dataset, corrections)
            changed |= of_these
        new = only_new(corrections, self.datasets.values())
        self.datasets["corrections"] = corrections
        if not self.quiet:
            self.messages.print(
                f"Corrections in {corrections.path}: {len(corrections):,}; "
                f"images added: {len(new):,}; labels replaced: {len(changed):,}; "
                f"labelled so already: {len(corrections) - len(new) - len(changed):,}"
            )
            self._print_report(corrections.report)
        return new

    def _learn_too(self, digits: np.ndarray, labels: np.ndarray) -> None:
        self.train_digits = np.concatenate([self.train_digits, digits])
        self.train_labels = np.concatenate([self.train_labels, labels])

    def _read(self, path: Path) -> Dataset:
        with progress_bar(self.messages, quiet=self.quiet) as progress:
            task = progress.add_task(f"Reading {path}", total=None)
            dataset = read_dataset(
                path,
                strict=self.settings.dataset.strict,
                limits=self.limits,
                cache=self.settings.dataset.cache,
                progress=lambda done, total: progress.update(task, completed=done, total=total),
            )
        if not self.quiet:
            self.messages.print(f"Read {len(dataset):,} images of {path}")
            self._print_report(dataset.report)
        return dataset

    def _print_report(self, report: Report) -> None:
        print_report(self.messages, report, None if self.verbose else NAMED)

    def _split(self, labels: np.ndarray, fraction: float) -> tuple[np.ndarray, np.ndarray]:
        """Split stratified and seeded: return the indices of the images kept and held back.

        At least one image of each digit is held back.
        """
        from sklearn.model_selection import train_test_split

        counts = np.bincount(labels, minlength=10)
        rarest = int(counts.argmin())
        held_back_count = max(len(CLASSES), round(len(labels) * fraction))
        if counts[rarest] < 2 or len(labels) - held_back_count < len(CLASSES):
            raise DatasetError(
                f"The dataset is too small to split: {len(labels)} images, {counts[rarest]} of the "
                f"digit {rarest}, with {fraction:g} of them held back: add images, or change the "
                "fractions."
            )
        kept, held_back = train_test_split(
            np.arange(len(labels)),
            test_size=held_back_count,
            random_state=self.settings.training.seed,
            stratify=labels,
        )
        return kept, held_back

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
        training = self.settings.training
        _check_size(training)
        kept = load_checkpoint(self.checkpoint, self._to_keep()) if self.resume else None
        if not self._loaded:
            self._load_and_preprocess_data()
        with waiting(self.messages, "Starting TensorFlow", quiet=self.quiet):
            self._build_model()
            count = len(self.train_labels)
            self._optimizer, learn = make_learner(self.model, training, count)
            self._read_digits = make_reader(self.model)
        best_weights = self._begin(kept)
        begin = last_checkpoint = time.monotonic() - self.seconds
        with (
            asking_first(self._stop_after_epoch),
            progress_bar(self.messages, quiet=self.quiet) as progress,
            contextlib.closing(self._images_by_epoch(len(self._history) + 1)) as images_by_epoch,
        ):
            steps = steps_per_epoch(training, count)
            done = len(self._history)
            task = progress.add_task(
                "Training", total=training.epochs * steps, completed=done * steps
            )

            def advance(steps_done: int) -> None:
                progress.advance(task, steps_done)
                self._acknowledge_interruption()

            while not self._is_finished():
                epoch = len(self._history) + 1
                figures = learn(next(images_by_epoch), advance)
                figures |= self._validate()
                if not np.isfinite([*figures.values()]).all():
                    raise TrainingError(
                        f"The training diverged in epoch {epoch}: try a --learning-rate below "
                        f"{training.learning_rate:g}, or a larger --batch-size."
                    )
                self._history.append({"epoch": epoch, **figures})
                if self._best_epoch()["epoch"] == epoch:
                    best_weights = self.model.get_weights()
                self.seconds = time.monotonic() - begin
                self._print_epoch(epoch, figures)
                self._acknowledge_interruption()
                if self.interrupted or time.monotonic() - last_checkpoint > SECONDS_BETWEEN:
                    self._save_checkpoint(best_weights)
                    last_checkpoint = time.monotonic()
                if self.interrupted:
                    break
        self.model.set_weights(best_weights)
        logits = self._read_digits(self.validation_digits)
        self.temperature = find_temperature(logits, self.validation_labels)
        self.model = build_saved_network(self.model, self.temperature)

    def _is_finished(self) -> bool:
        """Whether all epochs are done, or the last ones brought nothing (early stopping)."""
        done, training = len(self._history), self.settings.training
        if done >= training.epochs:
            return True
        patience = training.early_stopping
        if patience is None or done - self._best_epoch()["epoch"] < patience:
            return False
        self.tell(f"Stopped early: no lower validation loss for {patience} epochs.")
        return True

    def _best_epoch(self) -> dict[str, float]:
        """Return the figures of the first epoch with the lowest validation loss."""
        none = {"epoch": 0, "validation_loss": np.inf}
        return min(self._history, key=lambda figures: figures["validation_loss"], default=none)

    # ---------------------------------------------------------------------------- checkpoints

    @property
    def checkpoint(self) -> Path:
        """Where an interrupted training is kept until it is resumed or replaced."""
        return checkpoint_path(self.settings.model.path)

    def _begin(self, kept: Checkpoint | None) -> list[np.ndarray]:
        """Begin anew, or where an interrupted training stopped; return its best weights.

        Raises CheckpointError if that one learned from other images.
        """
        if kept is None:
            if self.checkpoint.exists():
                self.tell(
                    f"'{self.checkpoint}' of an interrupted training will be replaced; "
                    "--resume-training would go on from there."
                )
            weights: list[np.ndarray] = self.model.get_weights()
            return weights
        self.check_same_images(kept)
        try:
            self.model.set_weights(kept.weights)
            for variable, value in zip(self._optimizer.variables, kept.optimizer, strict=True):
                variable.assign(value)
        except ValueError:  # of other shapes, or too few
            raise damaged(self.checkpoint) from None
        self._history, self.seconds = kept.history, kept.seconds
        self.tell(f"Resuming after epoch {len(self._history)}.")
        return kept.best_weights

    def check_same_images(self, kept: Checkpoint) -> None:
        """Raise CheckpointError if a training learned from other images than those read here."""
        if kept.images != self._images_sha256:
            raise CheckpointError(
                f"The training interrupted in '{self.checkpoint}' learned from other images than "
                "these: give it the same, or train without --resume-training."
            )

    def _save_checkpoint(self, best_weights: list[np.ndarray]) -> None:
        """Keep the state after this epoch; where that fails, say so and go on."""
        state = Checkpoint(
            settings=self._to_keep(),
            images=self._images_sha256,
            history=self._history,
            seconds=self.seconds,
            weights=self.model.get_weights(),
            optimizer=[variable.numpy() for variable in self._optimizer.variables],
            best_weights=best_weights,
        )
        try:
            save_checkpoint(self.checkpoint, state)
        except CheckpointError as error:
            self.tell(f"Warning: {error}")

    def _to_keep(self) -> dict[str, Any]:
        """Return the settings that a resumed training must share with the interrupted one."""
        settings = self.settings.training.model_dump(mode="json")
        return {f"training.{key}": value for key, value in settings.items()}

    @functools.cached_property
    def _images_sha256(self) -> str:
        """Checksum of the images that are learned from and chosen on, in their order."""
        checksum = hashlib.sha256()
        for digits, labels in (
            (self.train_digits, self.train_labels),
            (self.validation_digits, self.validation_labels),
        ):
            checksum.update(np.ascontiguousarray(digits).data)
            checksum.update(np.ascontiguousarray(labels).data)
        return checksum.hexdigest()

    def tell(self, text: str) -> None:
        if not self.quiet:
            self.messages.print(text)

    def _stop_after_epoch(self, signal_number: int) -> None:
        # Nothing is printed here: the signal may have come in the middle of printing.
        self.interrupted = True
        self._signal_number = signal_number

    def _acknowledge_interruption(self) -> None:
        if self.interrupted and not self._acknowledged:
            self._acknowledged = True
            self.messages.print(
                "Stopping after this epoch, with the best one saved. Ctrl-C again stops at once."
            )

    def _images_by_epoch(self, first: int) -> Generator[Epoch, None, None]:
        """Yield what is learned in each epoch; distorted images are made an epoch ahead."""
        epochs = range(first, self.settings.training.epochs + 1)
        if not self.settings.training.distort:  # nothing to wait for
            yield from map(self._images_of_epoch, epochs)
            return
        with ThreadPoolExecutor(max_workers=1) as background:
            upcoming = background.submit(self._images_of_epoch, first)
            for epoch in epochs:
                ready = upcoming.result()
                if epoch < epochs[-1]:
                    upcoming = background.submit(self._images_of_epoch, epoch + 1)
                yield ready

    def _images_of_epoch(self, epoch: int) -> Epoch:
        """Return the training part and its order in this epoch, the images distorted anew."""
        rng = np.random.default_rng((self.settings.training.seed, epoch))
        order = rng.permutation(len(self.train_labels))
        if not self.settings.training.distort:
            return self.train_digits, self.train_labels, order
        digits = augment(self.train_digits, rng, order)
        return digits, self.train_labels[order], np.arange(len(order))

    def _validate(self) -> dict[str, float]:
        logits = self._read_digits(self.validation_digits)
        hits = logits.argmax(axis=1) == self.validation_labels
        return {
            "validation_loss": cross_entropy(logits, self.validation_labels),
            "validation_accuracy": float(hits.mean()),
        }

    def _print_epoch(self, epoch: int, figures: dict[str, float]) -> None:
        epochs = self.settings.training.epochs
        self.tell(
            f"epoch {epoch:>{len(str(epochs))}}/{epochs}"
            f"  loss {figures['loss']:.4f}  accuracy {figures['accuracy']:.2%}"
            f"  validation loss {figures['validation_loss']:.4f}"
            f"  accuracy {figures['validation_accuracy']:.2%}"
            f"  {duration(self.seconds / epoch * (epochs - epoch))} left"
        )

    # -------------------------------------------------------------------------------- results

    def evaluate(self) -> dict[str, Any]:
        """Evaluate on the test part; print and return the figures.

        `accuracy` and `loss`; `digits`, for each digit its precision, recall, f1 and support;
        `confusion_matrix`, rows the true digit, columns the digit read.
        """
        from sklearn.metrics import confusion_matrix, log_loss, precision_recall_fscore_support

        probabilities = inference.network_of(self.model)(self.test_digits)
        self.test_probabilities = probabilities
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
        print_evaluation(
            self.output,
            self.evaluation,
            corrections=self.datasets.get("corrections"),
            tables=not self.quiet,
        )
        return self.evaluation

    def save_model(self, path: Path | None = None) -> Path:
        """Save the network and its card as one file; return its path.

        Raises ModelError if it cannot be written; a model that was there before stays then.
        """
        path = path or self.settings.model.path
        with waiting(self.messages, "Saving the model", quiet=self.quiet):
            save_model(path, self.model, self._card())
        if not self.interrupted:
            self.checkpoint.unlink(missing_ok=True)
        return path

    def write_report(self, folder: Path) -> None:
        """Write a report of the training and the test into the new `folder`.

        Raises ModelError if it cannot be written, or if `folder` is there already.
        """
        check_report(folder)
        seed = self.settings.training.seed
        # The first image of each digit: those drawn by the program come last.
        examples = np.stack([self.train_digits[self.train_labels == d][0] for d in range(10)])
        rng = np.random.default_rng(seed)
        training = Training(
            model=self.settings.model.path,
            card=stamped(self._card()),
            settings=settings_text(self.settings, TRAINER_SECTIONS, absolute=True),
            parts={
                "training": self.train_labels,
                "validation": self.validation_labels,
                "test": self.test_labels,
            },
            drawn=self.drawn,
            datasets=[*self.datasets.values()],
            limits=self.limits,
            test_path=self.settings.dataset.test_path or self.settings.dataset.path,
            test_digits=self.test_digits,
            test_names=self.test_names,
            probabilities=self.test_probabilities,
            examples=examples,
            # A call draws with one pen.
            distorted=np.stack([augment(examples, rng) for _ in range(DISTORTED)], axis=1),
        )
        with progress_bar(self.messages, quiet=self.quiet) as progress:
            task = progress.add_task("Drawing the report", total=None)
            write_report(
                folder,
                training,
                lambda done, total: progress.update(task, completed=done, total=total),
            )
        self.tell(f"Wrote the report to {folder / 'index.html'}.")

    def _card(self) -> dict[str, Any]:
        """Return what the model file says about itself."""
        return {
            "classes": list(CLASSES),
            "datasets": {
                name: {"path": str(data.path), "sha256": data.sha256, "counts": data.counts}
                for name, data in self.datasets.items()
            },
            "settings": self.settings.model_dump(
                mode="json", include={"dataset", "training", "images"}
            ),
            "seed": self.settings.training.seed,
            "interrupted": self.interrupted,
            "temperature": self.temperature,
            "training_seconds": round(self.seconds, 1),
            "history": self._history,
            "test": self.evaluation,
        }


# --------------------------------------------------------------------------------- command line


def build_parser() -> CommandLine:
    parser = CommandLine(
        "Train a network to read handwritten digits, and save it as one model file.",
        exit_status=EXIT_STATUS,
        example="--dataset my_digits --epochs 20 --report report",
    )
    data = parser.add_group("dataset", example="--dataset my_digits --test-dataset test.zip")
    add_setting(data, "--dataset", "dataset.path", metavar="PATH")
    add_setting(data, "--test-dataset", "dataset.test_path", metavar="PATH")
    add_setting(data, "--corrections", "dataset.corrections", metavar="FILE")
    add_setting(data, "--strict", "dataset.strict", action="store_true")
    add_setting(
        data,
        "--no-cache",
        "dataset.cache",
        action="store_false",
        help="prepare every image again, and keep nothing beside the dataset",
    )
    training = parser.add_group("training", example="--hidden-units 800 400 --epochs 50 --seed 7")
    add_setting(training, "--epochs", "training.epochs", metavar="N")
    add_setting(training, "--hidden-units", "training.hidden_units", metavar="N", nargs="+")
    add_setting(training, "--batch-size", "training.batch_size", metavar="N")
    add_setting(training, "--learning-rate", "training.learning_rate", metavar="RATE")
    add_setting(training, "--seed", "training.seed", metavar="N")
    add_setting(
        training,
        "--early-stopping",
        "training.early_stopping",
        metavar="PATIENCE",
        nargs="?",
        const=PATIENCE,
        help="end the training after PATIENCE epochs without a lower validation loss "
        f"({PATIENCE} if no number is given)",
    )
    training.add_argument(
        "--resume-training",
        action="store_true",
        help="go on with the interrupted training whose checkpoint lies beside the model",
    )
    result = parser.add_group("result", example="--model mine.keras --report report")
    add_setting(result, "--model", "model.path", metavar="FILE")
    result.add_argument(
        "--metrics", type=Path, metavar="FILE", help="also write the test figures as JSON"
    )
    result.add_argument(
        "--report",
        type=Path,
        metavar="DIR",
        help="also write a page that shows how good the model is, into the new folder DIR",
    )
    export = parser.add_group("export", example="--skip-training --model mine.keras --export onnx")
    export.add_argument(
        "--export", choices=FORMATS, help="also write the model in a form that other programs run"
    )
    export.add_argument(
        "--export-to", type=Path, metavar="PATH", help="where that goes (default: beside the model)"
    )
    export.add_argument(
        "--skip-training", action="store_true", help="export the existing model, without training"
    )
    parser.add_general_options(
        dry_run="read the dataset and say what would be done; train and write nothing",
        quiet="print nothing but the test accuracy and errors",
        verbose="name every file that is left out, and print the settings",
    )
    return parser


@ending_in_order()
def main(argv: list[str] | None = None) -> int:
    """Run the trainer; return the exit status."""
    parser = build_parser()
    arguments = parser.parse(argv)
    _check_combination(parser, arguments)
    messages = make_console(stderr=True)
    path = None  # of the model, once it is saved
    try:
        settings = load_settings(arguments, arguments.config)
        if arguments.verbose:
            messages.print(settings_text(settings, TRAINER_SECTIONS))
        if arguments.skip_training:
            _export(arguments, settings, messages)
            return 0
        classifier = DigitClassifier(
            settings,
            messages=messages,
            quiet=arguments.quiet,
            verbose=arguments.verbose,
            resume=arguments.resume_training,
        )
        _check_size(settings.training)
        _check_destinations(arguments, settings)
        if arguments.dry_run:
            _print_plan(classifier, arguments)
            return 0
        with saving(settings.model.path), folder_beside(settings.model.path):
            pass  # now, rather than after an hour: permissions alone do not tell on every system
        classifier.train()
        evaluation = classifier.evaluate()
        path = classifier.save_model()
        best = "the best epoch so far" if classifier.interrupted else "the model"
        classifier.tell(f"Saved {best} to {path} ({path.stat().st_size / 1e6:.1f} MB).")
        if arguments.metrics:
            _write_metrics(arguments.metrics, evaluation)
        if arguments.report:
            classifier.write_report(arguments.report)
        if arguments.export:
            _export(arguments, settings, messages)
    except USER_ERRORS as error:
        messages.print(error_text(error))
        return 2
    except KeyboardInterrupt as interruption:
        messages.print("Interrupted: " + ("the model is saved." if path else "no model was saved."))
        return exit_status(interruption)
    if classifier.interrupted:
        done, epochs = len(classifier._history), settings.training.epochs
        classifier.tell(f"Epoch {done} of {epochs}: --resume-training goes on from there.")
    return 128 + classifier._signal_number if classifier.interrupted else 0


def _check_combination(parser: CommandLine, arguments: argparse.Namespace) -> None:
    """Refuse options that make no sense together; exits with status 2."""
    if arguments.skip_training:
        if arguments.export is None:
            parser.error(
                f"--skip-training needs --export {'|'.join(FORMATS)}: name a form to export"
            )
        for flag in ("resume_training", "report", "metrics"):
            if getattr(arguments, flag):
                parser.error(f"--{flag.replace('_', '-')} needs a training: no --skip-training")
    if arguments.export_to and arguments.export is None:
        parser.error(f"--export-to needs --export {'|'.join(FORMATS)}")


def _check_size(training: TrainingSettings) -> None:
    """Raise TrainingError if the network would be larger than a model file may hold."""
    try:
        inference.packed_size([images.SIDE**2, *training.hidden_units, len(CLASSES)])
    except inference.NetworkError as error:
        widths = ", ".join(f"{units:,}" for units in training.hidden_units)
        raise TrainingError(
            f"A network with hidden layers of {widths} cannot be saved ({error}): choose smaller "
            "--hidden-units."
        ) from None


def _check_destinations(arguments: argparse.Namespace, settings: Settings) -> None:
    """Find out before the training whether what comes of it can be written; write nothing."""
    model, checkpoint = settings.model.path, checkpoint_path(settings.model.path)
    export = _export_destination(arguments, settings) if arguments.export else None
    data, folders = settings.dataset, ("--report",) if arguments.report else ()
    check_apart(
        {
            "--model": model,
            "--model (its checkpoint)": checkpoint,
            "--metrics": arguments.metrics,
            "--report": arguments.report,
            "--export-to": export,
        },
        {
            "--dataset": data.path,
            "--test-dataset": data.test_path,
            "--corrections": data.corrections,
            "--config": arguments.config,
        },
        new_folders=folders,
    )
    check_destination(model)
    check_checkpoint(checkpoint)
    if arguments.metrics:
        _check_metrics(arguments.metrics)
    if arguments.report:
        check_report(arguments.report)
    if export is not None:
        check_export(arguments.export, export)


def _check_metrics(path: Path) -> None:
    """Raise SettingsError if the figures cannot be written to `path`."""
    try:
        check_writable(path)
        if path.is_file():  # a new one takes its place
            check_creatable(path)
        replaceable = may_replace(path, _holds_metrics)
    except OSError as error:
        raise SettingsError(
            f"'{path}' cannot be written: {error.strerror}: name another file with --metrics."
        ) from None
    if not replaceable:
        raise SettingsError(
            f"--metrics '{path}' is there already and holds no figures of a training: name another "
            "file, or move that one away."
        )


def _holds_metrics(path: Path) -> bool:
    """Whether a file was written by _write_metrics."""
    if path.stat().st_size > MAX_METRICS_BYTES:
        return False
    try:
        figures = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    return isinstance(figures, dict) and {"accuracy", "confusion_matrix"} <= figures.keys()


def _export_destination(arguments: argparse.Namespace, settings: Settings) -> Path:
    beside: Path = default_destination(settings.model.path, arguments.export)
    return arguments.export_to or beside


def _export(arguments: argparse.Namespace, settings: Settings, messages: Console) -> None:
    model, destination = settings.model.path, _export_destination(arguments, settings)
    check_apart({"--model": model, "--export-to": destination}, {})
    check_export(arguments.export, destination)
    if arguments.dry_run:
        check_exportable(model)
        print(f"Would export {settings.model.path} to {destination}. Nothing was written.")
        return
    with waiting(messages, f"Exporting to {destination}", quiet=arguments.quiet):
        export_model(settings.model.path, arguments.export, destination)
    if not arguments.quiet:
        messages.print(f"Exported the model to {destination}.")


def _print_plan(classifier: DigitClassifier, arguments: argparse.Namespace) -> None:
    """Read the dataset, and say what a training would do."""
    settings, training = classifier.settings, classifier.settings.training
    checkpoint = classifier.checkpoint
    kept = None
    if arguments.resume_training:
        kept = load_checkpoint(checkpoint, classifier._to_keep())
    classifier.settings = settings.model_copy(
        update={"dataset": settings.dataset.model_copy(update={"cache": False})}
    )  # a cache is a file, too
    classifier._load_and_preprocess_data()
    if kept is not None:
        classifier.check_same_images(kept)
    shape = " - ".join(map(str, [images.SIDE**2, *training.hidden_units, len(CLASSES)]))
    steps = steps_per_epoch(training, len(classifier.train_labels))
    plan = [
        f"Would train a network of {shape} for {training.epochs} epochs of "
        f"{steps:,} batches of {training.batch_size}",
    ]
    if training.early_stopping:
        plan.append(f"  or until {training.early_stopping} of them bring no lower validation loss")
    if kept is not None:
        plan.append(f"  resuming after epoch {len(kept.history)}")
    replaced = ", replacing the one that is there" if settings.model.path.exists() else ""
    plan.append(f"  save the model to {settings.model.path}{replaced}")
    if arguments.metrics:
        plan.append(f"  write the test figures to {arguments.metrics}")
    if arguments.report:
        plan.append(f"  write a report into the new folder {arguments.report}")
    if arguments.export:
        plan.append(f"  export the model to {_export_destination(arguments, settings)}")
    classifier.output.print("\n".join([*plan, "Nothing was written."]))


def _write_metrics(path: Path, evaluation: dict[str, Any]) -> None:
    text = json.dumps(evaluation, indent=2) + "\n"
    try:
        if not may_replace(path, _holds_metrics):  # somebody has come during the training
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        if path.exists() and not path.is_file():  # a device or a pipe takes what it is given
            path.write_text(text, encoding="utf-8")
            return
        with replacing(path) as file:
            file.write(text.encode())
    except OSError as error:
        raise SettingsError(
            f"The model is saved, but the figures cannot be written to '{path}': {error.strerror}: "
            "find them in its digit_classification/card.json."
        ) from None


if __name__ == "__main__":
    sys.exit(main())
