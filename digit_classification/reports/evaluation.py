"""How good the network is, in words and tables on the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from digit_classification.cli.terminal import confusion_table, make_table
from digit_classification.cli.wording import counted
from digit_classification.names import printable
from digit_classification.training.dataset import CLASSES, Dataset


def print_evaluation(
    output: Console,
    evaluation: dict[str, Any],
    *,
    corrections: Dataset | None = None,
    tables: bool = True,
) -> None:
    """Print the scores of the test, and whether `corrections` were learned for them."""
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
    for name, scores in evaluation["digits"].items():
        per_digit.add_row(
            name,
            f"{scores['precision']:.2%}",
            f"{scores['recall']:.2%}",
            f"{scores['f1']:.2%}",
            f"{scores['support']:,}",
        )
    output.print(per_digit)
    output.print("Confusion matrix: rows are the true digits, columns what was read.")
    output.print(confusion_table(CLASSES, evaluation["confusion_matrix"]))
