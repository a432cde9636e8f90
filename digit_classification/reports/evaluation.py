"""How good the network is, in words and tables on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from digit_classification.cli.terminal import confusion_table, make_table
from digit_classification.cli.wording import counted
from digit_classification.names import printable
from digit_classification.training.datasets.dataset import CLASSES, Dataset


def print_evaluation(
    output: Console,
    evaluation: dict[str, Any],
    *,
    corrections: Dataset | None = None,
    judge: Mapping[str, Any] | None = None,
    tables: bool = True,
) -> None:
    """Print the scores of the test and of the judge, and whether `corrections` were learned."""
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
    if judge is not None:
        output.print(judge_in_words(judge))


def judge_in_words(scores: Mapping[str, Any]) -> str:
    """Return what the judge makes of the simulated pictures that were kept back from it."""
    words = []
    if scores["with_digit"]:
        words.append(
            f"of {scores['with_digit']:,} simulated pictures with a digit {scores['right']:.1%} "
            f"are read rightly and {scores['wrong']:.1%} wrongly"
        )
    if scores["without_digit"]:
        words.append(
            f"of {scores['without_digit']:,} without one {scores['read_as_digit']:.1%} are read as "
            "one"
        )
    return f"Judge: {'; '.join(words)}, the others are uncertain or rejected."
