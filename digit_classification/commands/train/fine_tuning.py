"""What `--fine-tune` does: a model learns own pictures as well, and what that brought is told."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from digit_classification.cli.command_line import CommandLine
from digit_classification.cli.terminal import Terminal, make_table, waiting
from digit_classification.config import load_settings
from digit_classification.detection.reading import ReadingOptions, ThisMachine
from digit_classification.files import check_apart
from digit_classification.network.export import check_exportable, load_keras
from digit_classification.network.model_file import (
    Model,
    ModelError,
    check_destination,
    load_model,
    save_model,
)
from digit_classification.reports.evaluation import share_in_words
from digit_classification.settings import Settings
from digit_classification.training.corrections import read_corrections
from digit_classification.training.datasets.dataset import Dataset, DatasetError
from digit_classification.training.fine_tuning import (
    Labelled,
    fine_tune,
    of_corrections,
    of_dataset,
)
from digit_classification.training.parts import (
    Part,
    correct_labels,
    limits_of,
    read_datasets,
    split,
)
from digit_classification.training.scores import Share

HELD_OUT_FROM = 50  # pictures: of fewer, those held out would tell little, and be missed
# Options of a training from nothing.
_OTHERS = (
    "training.epochs",
    "training.hidden_units",
    "training.batch_size",
    "training.learning_rate",
    "training.scenes",
    "training.early_stopping",
)


def check_fine_tuning(parser: CommandLine, arguments: argparse.Namespace) -> None:
    """Refuse options that make no sense with --fine-tune; exits with status 2."""
    given = vars(arguments)
    flags = ["resume_training", "skip_training", "report", "metrics", "export", "dry_run"]
    wrong = [flag for flag in flags if given[flag]] + [key for key in _OTHERS if key in given]
    if wrong:
        flag = wrong[0].removeprefix("training.").replace("_", "-")
        parser.error(f"--{flag} is for a training from nothing: leave it out with --fine-tune")
    if "dataset.path" not in given and "dataset.corrections" not in given:
        parser.error("--fine-tune needs your pictures: name them with --dataset or --corrections")


def run_fine_tuning(arguments: argparse.Namespace, settings: Settings, terminal: Terminal) -> None:
    """Adapt a model to the pictures that are named, save it as another, and print what it brought.

    Raises ModelError, DatasetError, SettingsError or PlaceError if it cannot be done.
    """
    base, path = arguments.fine_tune, settings.model.path
    check_apart(
        {"--model": path},
        {
            "--fine-tune": base,
            "--dataset": vars(arguments).get("dataset.path"),
            "--test-dataset": settings.dataset.test_path,
            "--corrections": settings.dataset.corrections,
            "--config": arguments.config,
        },
    )
    check_destination(path)
    before = _base_model(base, terminal)
    learned, held_out = _pictures(arguments, settings, terminal)
    _check_digits(before, learned)
    # What is repeated: the images that a training without options learns from.
    usual = load_settings(None, arguments.config)
    repeated, usual_test = _repeated(usual, terminal)
    begin = time.monotonic()
    with waiting(terminal.messages, "Starting TensorFlow", quiet=terminal.quiet):
        network = load_keras(base)
    network, after = fine_tune(before, network, learned, repeated, settings, terminal)
    seconds = time.monotonic() - begin
    rows = _rows(before, after, held_out, usual, usual_test, settings)
    scores = [row.scores for row in rows]
    if not terminal.quiet:
        table = make_table("images", "before", "after")
        for row in rows:
            table.add_row(row.what, *(share_in_words(share) for share in (row.before, row.after)))
        terminal.output.print(table)
    card = {
        **dict(before.card or {}),
        "fine_tuned": {
            "from": before.sha256,
            "images": len(learned),
            "seed": settings.training.seed,
            "seconds": round(seconds, 1),
            "scores": scores,
        },
    }
    with waiting(terminal.messages, "Saving the model", quiet=terminal.quiet):
        save_model(path, network, card, after.judge)
    terminal.tell(
        f"Saved the model, fine-tuned on {len(learned):,} images, to {path} "
        f"({path.stat().st_size / 1e6:.1f} MB)."
    )


def _base_model(path: Path, terminal: Terminal) -> Model:
    """Return the model that is tuned; raises ModelError if none of its kind can be."""
    check_exportable(path)
    model = load_model(path, notice=terminal.tell)
    if model.judge is None:
        raise ModelError(
            f"The model '{path}' has no judge, which finds the digits in pictures: train one "
            "without --scenes 0, and fine-tune that."
        )
    return model


def _pictures(
    arguments: argparse.Namespace, settings: Settings, terminal: Terminal
) -> tuple[Labelled, Labelled]:
    """Return the pictures to learn, and those to test on, which may be none.

    A test stays the same with and without corrections, as in a training.
    """
    seed, limits = settings.training.seed, limits_of(settings)
    corrections = None
    if settings.dataset.corrections is not None:
        corrections = read_corrections(settings.dataset.corrections, limits=limits)
    if "dataset.path" not in vars(arguments):
        assert corrections is not None
        found = of_corrections(corrections)
        return found, found.take(np.arange(0))
    lenient = settings.dataset.model_copy(update={"lenient": True})  # not of all digits
    datasets = read_datasets(settings.model_copy(update={"dataset": lenient}), terminal)
    new = None if corrections is None else correct_labels(datasets, corrections, terminal)
    learned = of_dataset(datasets["dataset"], "training")
    if "test_dataset" in datasets:
        test = of_dataset(datasets["test_dataset"], "test")
    elif len(learned) < HELD_OUT_FROM:
        terminal.tell(
            f"All {len(learned)} images are learned: with {HELD_OUT_FROM} or more, some would be "
            "held out to test on."
        )
        test = learned.take(np.arange(0))
    else:
        places = [str(place) for place in range(len(learned))]
        whole = Part(learned.digits, learned.labels, places)
        kept, held_out = split(whole, settings.dataset.test_fraction, seed)
        learned, test = (
            learned.take(np.array([int(name) for name in part.names])) for part in (kept, held_out)
        )
    return learned if new is None else learned.joined(of_corrections(new)), test


def _check_digits(model: Model, learned: Labelled) -> None:
    known = {int(digit) for digit in (model.card or {}).get("classes", "0123456789")}
    unknown = sorted({*learned.labels.tolist()} - known)
    if unknown:
        raise DatasetError(
            f"The model '{model.path}' does not read the digits {', '.join(map(str, unknown))}: "
            "train one that does, or leave their images out."
        )


def _repeated(usual: Settings, terminal: Terminal) -> tuple[Dataset, Dataset | None]:
    """Return what a training without options learns from, and is tested on."""
    try:
        datasets = read_datasets(usual, Terminal(terminal.output, terminal.messages, quiet=True))
    except DatasetError as error:
        raise DatasetError(
            f"Fine-tuning repeats the images that config.yaml names, which cannot be read: {error}"
        ) from None
    return datasets["dataset"], datasets.get("test_dataset")


@dataclass(frozen=True)
class _Row:
    """How many of some images are read rightly."""

    what: str
    before: Share
    after: Share

    @property
    def scores(self) -> dict[str, Any]:
        right = {"before": self.before.right, "after": self.after.right}
        return {"images": self.what, "total": self.before.total, **right}


def _rows(
    before: Model,
    after: Model,
    held_out: Labelled,
    usual: Settings,
    usual_test: Dataset | None,
    settings: Settings,
) -> list[_Row]:
    rows = []
    if len(held_out):
        shares = [_read(model, held_out, settings) for model in (before, after)]
        what = f"yours, held out: {len(held_out):,}"
        for name in ("right", "wrong but ok"):
            rows.append(_Row(f"{what}, {name}", *(each[name] for each in shares)))
    if usual_test is not None:
        right = [
            int((model.network(usual_test.digits).argmax(axis=1) == usual_test.labels).sum())
            for model in (before, after)
        ]
        name = f"{usual.dataset.test_path}: {len(usual_test):,}, right"
        rows.append(_Row(name, *(Share(count, len(usual_test)) for count in right)))
    return rows


def _read(model: Model, pictures: Labelled, settings: Settings) -> dict[str, Share]:
    """Read pictures as the detector does."""
    options = ReadingOptions.of(settings)
    limits = replace(options.limits, formats=(*options.limits.formats, "PGM"))
    options = replace(options, limits=limits, read="digit", constraint=None, template=None)
    batches = ThisMachine(settings.detection.workers).read(pictures.sources, model, options)
    results = [result for batch in batches for result in batch.results]
    pairs = list(zip(results, pictures.labels.tolist(), strict=True))
    right = sum(result.digit == label and result.status != "rejected" for result, label in pairs)
    wrong = sum(result.digit != label and result.status == "ok" for result, label in pairs)
    return {"right": Share(right, len(pairs)), "wrong but ok": Share(wrong, len(pairs))}
