"""The training report: a folder that answers how good a model is, and what it gets wrong.

index.html            everything below on one page, which needs no network and no other file
report.txt            the same in words, for a terminal
metrics.json          test figures: accuracy and its interval, per digit, calibration, ...
history.csv           loss and accuracy after each epoch
mistakes.csv          every mistake on the test images, the most confident first
left_out.csv          what of the datasets was not used, or is doubtful, and why
settings.yaml         the settings in effect; --config reads it
*.png                 the pictures of the page
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from digit_classification.cli.wording import duration
from digit_classification.files import check_creatable, folder_beside, put_in_place
from digit_classification.names import defused, escape_undecodable, printable
from digit_classification.network.model_file import ModelError
from digit_classification.reports import charts
from digit_classification.reports.evaluation import (
    OF_FEW,
    digit_in_words,
    judge_in_words,
    share_in_words,
)
from digit_classification.reports.markup import in_both_themes
from digit_classification.reports.page import make_page
from digit_classification.reports.training_record import (
    MISTAKES,
    PAIRS,
    SAMPLES,
    Training,
    full_name,
    left_out,
    measure,
    open_picture,
)
from digit_classification.training.datasets.dataset import Dataset
from digit_classification.training.scores import reliability, scores_by_digit, share_of

CAPTIONS = {
    "loss": "Loss after each epoch, on the training images (distorted anew each time) and on the "
    "validation images (as they are).",
    "error": "Share of mistakes after each epoch. The training images are distorted, and so harder "
    "than the validation images.",
    "confusion_counts": "Images of each true digit (rows) by the digit that was read (columns). "
    "Only mistakes are coloured.",
    "confusion_shares": "The same, each row as shares of its digit.",
    "reliability": "Accuracy of the test images by their confidence. On the dashed line, of the "
    "images at 90 %, nine in ten are right.",
}


def check_report(folder: Path) -> None:
    """Find out before the training whether its report can be written into `folder`.

    Raises ModelError if something is there already, or if it cannot be made.
    """
    if os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
        raise ModelError(
            f"'{folder}' is there already, and a report overwrites nothing: name a new folder "
            "with --report."
        )
    with _reporting(folder):
        check_creatable(folder, with_folders=True)
    charts.quiet_matplotlib()


def write_report(
    folder: Path,
    training: Training,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write the report into the new `folder`, whole or not at all.

    Raises ModelError if that cannot be written.
    """
    metrics = measure(training)
    drawings = _charts(training, metrics)
    with _new_folder(folder) as new:
        texts = {
            "metrics.json": json.dumps(metrics, indent=2) + "\n",
            "history.csv": _as_csv(training.card["history"]),
            "mistakes.csv": _mistakes_csv(training),
            "left_out.csv": _left_out_csv(training.datasets),
            "settings.yaml": training.settings,
            "report.txt": _as_text(training, metrics),
        }
        for name, text in texts.items():
            (new / name).write_text(text, encoding="utf-8", newline="")
        drawn: dict[str, str] = {}
        sheets = _sheets(training)
        for done, (name, draw) in enumerate({**drawings, **sheets}.items(), 1):
            content = charts.render(draw, charts.LIGHT, "png")
            (new / f"{name}.png").write_bytes(content)
            if name in drawings:
                drawn[name] = in_both_themes(draw, CAPTIONS[name])
            progress(done, len(drawings) + len(sheets))
        (new / "index.html").write_text(make_page(training, metrics, drawn), encoding="utf-8")
        put_in_place(new, folder)


@contextlib.contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """A folder on the file system of `folder`, to be renamed to it, or gone afterwards."""
    with _reporting(folder), folder_beside(folder) as beside:
        new = beside / folder.name  # not `beside` itself, which nobody else may read
        new.mkdir()
        yield new


@contextlib.contextmanager
def _reporting(folder: Path) -> Iterator[None]:
    """Turn what the operating system says into a sentence."""
    try:
        yield
    except OSError as error:
        raise ModelError(
            f"The report cannot be written to '{folder}': {error.strerror}: name another place "
            "with --report."
        ) from None


# ------------------------------------------------------------------------------- tables and text


def _as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow([defused(escape_undecodable(str(cell))) for cell in row])
    return stream.getvalue()


def _mistakes_csv(training: Training) -> str:
    return _table(
        ("path", "digit", "read_as", "confidence", "probability_of_digit"),
        (
            (
                full_name(training.tested.path, training.parts.test.names[index]),
                training.truth[index],
                training.read[index],
                f"{training.confidences[index]:.6f}",
                f"{training.probabilities[index, training.truth[index]]:.6f}",
            )
            for index in training.mistakes
        ),
    )


def _left_out_csv(datasets: Sequence[Dataset]) -> str:
    return _table(
        ("path", "what", "why"),
        (
            (full_name(path, name), kind.name, why)
            for kind in left_out(datasets)
            for path, name, why in kind.files
        ),
    )


def _columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines of columns, two blanks apart, each aligned to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in (header, *rows)
    ]


def _as_text(training: Training, metrics: Mapping[str, Any]) -> str:
    """Return the report in words, at most 100 columns wide but for the paths."""
    low, high = metrics["accuracy_interval_95"]
    rows = scores_by_digit(metrics)
    lines = [
        f"Training report of {training.model}",
        "",
        f"Test accuracy      {metrics['accuracy']:.2%}  (95 % interval {low:.2%} to {high:.2%})",
        f"Mistakes           {metrics['mistakes']:,} of {metrics['images']:,} test images",
        f"Loss               {metrics['loss']:.4f}",
        f"Calibration error  {metrics['calibration_error']:.2%}",
        f"Best epoch         {metrics['best_epoch']} of {metrics['epochs']}"
        + (" (interrupted)" if metrics["interrupted"] else ""),
        f"Training time      {duration(metrics['training_seconds'])}",
        "",
        *_columns(
            ["digit", "precision", " recall", "     F1", " images"],
            [digit_in_words(row) for row in rows],
        ),
        *([OF_FEW] if any(row.f1 is None for row in rows) else []),
        "",
        "Most confused",
        *(
            f"  {pair['digit']} read as {pair['read_as']}: {pair['images']:,} times,"
            f" {share_in_words(share_of(pair))} of the images of {pair['digit']}"
            for pair in metrics["most_confused"][:PAIRS]
        ),
        "",
        "Worst mistakes",
        *(
            f"  {training.truth[index]} read as {training.read[index]},"
            f" {training.confidences[index]:.1%} confident: "
            + printable(full_name(training.tested.path, training.parts.test.names[index]))
            for index in training.mistakes[:MISTAKES]
        ),
        "",
        "At least this confidence   images   mistakes",
        *(
            f"{row['min_confidence']:>24.1%}  {row['share']:>7.2%}   {row['mistakes']:>8,}"
            for row in metrics["by_min_confidence"]
        ),
        *(["", judge_in_words(metrics["judge"])] if metrics["judge"] else []),
        "",
        "Left out of the datasets, or doubtful",
        *(f"  {len(kind.files):>7,}  {kind.title}" for kind in left_out(training.datasets)),
    ]
    return "\n".join(lines) + "\n"


# -------------------------------------------------------------------------------------- pictures


def _charts(training: Training, metrics: Mapping[str, Any]) -> dict[str, charts.Draw]:
    curve, best = training.card["history"], metrics["best_epoch"]
    matrix = np.array(metrics["confusion_matrix"])
    bins = reliability(training.confidences, training.read == training.truth)
    return {
        "loss": charts.learning_curve(curve, best, "loss"),
        "error": charts.learning_curve(curve, best, "error"),
        "confusion_counts": charts.confusion_matrix(matrix, normalised=False),
        "confusion_shares": charts.confusion_matrix(matrix, normalised=True),
        "reliability": charts.reliability_diagram(bins),
    }


def _sheets(training: Training) -> dict[str, charts.Draw]:
    """Return the pictures made of digits, which the page shows one by one."""
    rows = np.concatenate([training.examples[:, np.newaxis], training.distorted], axis=1)
    sheets = {
        "augmented": charts.sheet(
            [*rows.reshape(-1, *rows.shape[2:])],
            [""] * len(rows) * len(rows[0]),
            len(rows[0]),
            "Training images (left) and what the network learned from",
        )
    }
    worst = training.mistakes[:MISTAKES]
    if len(worst):
        sheets["mistakes"] = charts.sheet(
            [*training.parts.test.digits[worst]],
            [
                f"{training.truth[index]} read as {training.read[index]}\n"
                f"{training.confidences[index]:.1%}"
                for index in worst
            ],
            8,
            "Worst mistakes",
        )
    files = [file for kind in left_out(training.datasets) for file in kind.files[:SAMPLES]]
    shown = [(open_picture(path, name, training.limits), why) for path, name, why in files]
    pictures = [(np.asarray(picture), why) for picture, why in shown if picture is not None]
    if pictures:
        sheets["left_out"] = charts.sheet(
            [picture for picture, _ in pictures],
            [printable(why)[:24] for _, why in pictures],
            8,
            "Left out, or doubtful",
        )
    return sheets
