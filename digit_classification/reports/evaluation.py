"""How good the network is, in words and tables on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from digit_classification.cli.terminal import confusion_table, make_table
from digit_classification.cli.wording import counted
from digit_classification.names import printable
from digit_classification.training.datasets.dataset import CLASSES, Dataset
from digit_classification.training.scores import FEW, DigitScores, Share, scores_by_digit

OF_FEW = f"In brackets, of fewer than {FEW} images: the 95 % confidence interval (Wilson)."


def print_evaluation(
    output: Console,
    evaluation: dict[str, Any],
    *,
    corrections: Dataset | None = None,
    judge: Mapping[str, Any] | None = None,
    tables: bool = True,
) -> None:
    """Print the scores of the test and of the judge, and whether `corrections` were learned."""
    total = evaluation["images"]
    accuracy = Share(round(evaluation["accuracy"] * total), total)
    line = (
        f"Test accuracy: {share_in_words(accuracy)} of {total:,} images, "
        f"loss {evaluation['loss']:.4f}"
    )
    if corrections is not None:
        count = counted(len(corrections), "correction")
        line += f", with {count} of {printable(str(corrections.path))}"
    output.print(line)
    if not tables:
        return
    per_digit = make_table("digit", "precision", "recall", "F1", "images")
    rows = scores_by_digit(evaluation)
    for row in rows:
        per_digit.add_row(*digit_in_words(row))
    output.print(per_digit)
    if any(row.f1 is None for row in rows):
        output.print(OF_FEW)
    output.print("Confusion matrix: rows are the true digits, columns what was read.")
    output.print(confusion_table(CLASSES, evaluation["confusion_matrix"]))
    if judge is not None:
        output.print(judge_in_words(judge))


def digit_in_words(row: DigitScores) -> list[str]:
    """Return the digit, its precision, recall and F1, and its images."""
    f1 = "–" if row.f1 is None else f"{row.f1:.2%}"
    shares = [share_in_words(share) for share in (row.precision, row.recall)]
    return [row.digit, *shares, f1, f"{row.images:,}"]


def share_in_words(share: Share) -> str:
    """Return a percentage, with its interval if it is of few images."""
    if share.value is None:
        return "–"
    if share.interval is None:
        return f"{share.value:.2%}"
    low, high = share.interval
    return f"{share.value:.2%} ({low:.0%} to {high:.0%})"


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
    said = f"Judge: {'; '.join(words)}, the others are uncertain or rejected."
    if "drawn_numbers" in scores:
        numbers = scores["drawn_numbers"]
        said += f" Of {numbers['numbers']:,} numbers {numbers['right']:.1%} are read rightly."
    return said
