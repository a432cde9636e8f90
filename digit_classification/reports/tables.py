"""What the trainer prints: the dataset, what of it was not used, and how good the network is."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from digit_classification.cli.terminal import confusion_table, make_table
from digit_classification.names import printable
from digit_classification.reports.training_record import counted
from digit_classification.training.dataset import CLASSES, Dataset, Report


def counts_table(parts: dict[str, np.ndarray]) -> Table:
    """Return a table of the images per digit in each part, given as labels."""
    table = make_table("digit", *parts)
    columns = [np.bincount(labels, minlength=10) for labels in parts.values()]
    for name, counts in zip(CLASSES, zip(*columns, strict=True), strict=True):
        table.add_row(name, *(f"{count:,}" for count in counts))
    table.add_section()
    table.add_row("all", *(f"{column.sum():,}" for column in columns))
    return table


def print_report(messages: Console, report: Report, named: int | None) -> None:
    """Say what of a dataset was not used as it is, naming `named` of each kind, or all."""
    for what, files in (
        ("left out, unreadable", report.left_out),
        ("left out, the same image as", report.duplicates),
        ("ignored, no images", [(name, "") for name in report.stray]),
        ("kept, but doubtful", report.doubtful),
    ):
        if files:
            messages.print(f"{len(files):,} {what}:")
        for name, reason in files[:named]:
            messages.print(f"  {printable(name)}" + (f": {printable(reason)}" if reason else ""))
        if len(files) > len(files[:named]):
            messages.print(f"  and {len(files) - len(files[:named]):,} more (-v names all)")


def print_evaluation(
    output: Console,
    evaluation: dict[str, Any],
    *,
    corrections: Dataset | None = None,
    tables: bool = True,
) -> None:
    """Print the figures of the test, and whether `corrections` were learned for them."""
    line = (
        f"Test accuracy: {evaluation['accuracy']:.2%} of {evaluation['images']:,} images, "
        f"loss {evaluation['loss']:.4f}"
    )
    if corrections is not None:
        count = counted(len(corrections), "correction")
        line += f", with {count} of {printable(str(corrections.path))}"
    output.print(line)
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
    output.print(confusion_table(CLASSES, evaluation["confusion_matrix"]))
