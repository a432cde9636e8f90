"""Known answers: how many pictures of a run were read rightly, and which were not.

They come from a CSV file with a row for each picture:

    path,digit
    scans/0017.png,7
    scans/0018.png,none

The path is as the detector was given it, relative to the folder of the file, or merely the name of
the file, where one picture is called so.  `none`, `blank` or nothing stands for no digit: right is
then to give none, because the picture is rejected or because there is no picture.

Where numbers are read, they stand there as the pictures have them, such as 47, -3 or "12,5"; right
is a number with the same signs.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PureWindowsPath
from typing import TypeAlias

from rich.console import Console
from rich.table import Table

from digit_classification.cli.terminal import confusion_table, make_table
from digit_classification.detection.writers import as_text
from digit_classification.errors import UserError
from digit_classification.names import escape_undecodable, printable, undefused
from digit_classification.results.records import Result

NONE = "none"  # the label of a picture that shows none, or several
NO_DIGIT_WORDS = frozenset(
    ("", "-", "-1", "blank", "empty", "nan", "no digit", "no_digit", "none", "null", "several")
)
NO_NUMBER_WORDS = (NO_DIGIT_WORDS - {"-1"}) | {"no number", "no_number"}
NUMBER = re.compile(r"-?[0-9]+([.,][0-9]+)*")
# Names of columns, the most telling first: a file may have what was read beside what is right.
PATH_COLUMNS = ("path", "file", "filename", "file_name", "image", "picture", "name")
LABEL_COLUMNS = ("label", "truth", "true", "expected", "answer", "class", "digit")
NUMBER_COLUMNS = (*LABEL_COLUMNS[:-1], "number", "digit")
ROWS = (*"0123456789", NONE)


LabelOf: TypeAlias = Callable[[str], str | None]  # from a cell; None if it is no label


class LabelsError(UserError):
    """The file of labels cannot be used; the message is one sentence for the user."""


@dataclass(frozen=True)
class Answer:
    """A row of the file: the label is `0` to `9`, a number, or NONE."""

    path: str
    label: str
    line: int

    def is_right(self, result: Result) -> bool:
        return self.label == (NONE if result.text is None else result.text)


@dataclass(frozen=True)
class Truth:
    """The answers of a file, found by the paths of pictures."""

    path: Path
    answers: Sequence[Answer]
    by_path: dict[str, Answer] = field(repr=False)
    by_name: dict[str, Answer] = field(repr=False)  # where one answer is for a file of that name
    of_numbers: bool = False

    @classmethod
    def of(cls, path: Path, answers: Sequence[Answer], *, of_numbers: bool = False) -> Truth:
        """Take answers, the paths of which are relative to this folder, or to that of `path`.

        Raises LabelsError if two are of the same picture and differ.
        """
        by_path: dict[str, Answer] = {}
        for answer in answers:
            before = by_path.setdefault(_key(answer.path), answer)
            if before.label != answer.label:
                raise LabelsError(
                    f"'{path}', line {answer.line}: '{printable(answer.path)}' is {answer.label},"
                    f" but {before.label} in line {before.line}: delete the wrong one."
                )
        answers = [*by_path.values()]
        for answer in answers:
            by_path.setdefault(_key(os.path.join(path.parent, answer.path)), answer)
        names = Counter(_file_name(answer.path) for answer in answers)
        by_name = {_file_name(a.path): a for a in answers if names[_file_name(a.path)] == 1}
        return cls(path, answers, by_path, by_name, of_numbers)


class Score:
    """Compares the results of a run with what is known."""

    def __init__(self, truth: Truth) -> None:
        self.truth = truth
        self.total = 0  # results
        # The one result of each answer; None where several pictures have that name.
        self._by_path: dict[Answer, Result] = {}
        self._by_name: dict[Answer, Result | None] = {}

    def add(self, result: Result) -> None:
        self.total += 1
        answer = self.truth.by_path.get(_key(result.path))
        if answer is not None:
            self._by_path[answer] = _shortened(answer, result)
            return
        answer = self.truth.by_name.get(_file_name(result.path))
        if answer is not None:
            several = answer in self._by_name
            self._by_name[answer] = None if several else _shortened(answer, result)

    def pairs(self) -> Iterator[tuple[Answer, Result]]:
        """Yield each answer that one picture of the run has, with its result."""
        for answer in self.truth.answers:
            result = self._by_path.get(answer) or self._by_name.get(answer)
            if result is not None:
                yield answer, result

    def labels(self) -> dict[str, str | None]:
        """Return what is known of the run's pictures, by their paths; None where it is none."""
        return {
            result.path: None if answer.label == NONE else answer.label
            for answer, result in self.pairs()
        }


def _shortened(answer: Answer, result: Result) -> Result:
    """Keep the probabilities of mistakes only, which are named: a run may be of any length."""
    return replace(result, probabilities=None) if answer.is_right(result) else result


def _key(path: str) -> str:
    return os.path.normcase(os.path.abspath(escape_undecodable(path)))


def _file_name(path: str) -> str:
    return PureWindowsPath(escape_undecodable(path)).name  # of either kind of slash


def print_score(output: Console, score: Score, named: int | None) -> None:
    """Print how many are right, the confusion matrix, and `named` of the mistakes, or all."""
    pairs = [*score.pairs()]
    file = f"'{printable(str(score.truth.path))}'"
    if not pairs:
        output.print(
            f"No answer in {file} is for one of the {score.total:,} pictures: its paths, such as"
            f" '{printable(score.truth.answers[0].path)}', should be as the run has them."
        )
        return
    right = sum(answer.is_right(result) for answer, result in pairs)
    output.print(f"Right: {_share(right, len(pairs))}")
    for status in ("ok", "uncertain", "rejected", "error"):
        of_these = [answer.is_right(r) for answer, r in pairs if r.status == status]
        if of_these:
            output.print(f"  {status}: {_share(sum(of_these), len(of_these))}")
    if score.truth.of_numbers:
        output.print(_by_length(pairs))
    else:
        output.print("Confusion matrix: rows are the true digits, columns what was read.")
        output.print(confusion_table(ROWS, _confusion(pairs)))
    _print_mistakes(output, pairs, named)
    if score.total > len(pairs):
        output.print(f"without an answer in {file}: {score.total - len(pairs):,}")
    if len(score.truth.answers) > len(pairs):
        missing = len(score.truth.answers) - len(pairs)
        output.print(f"answers in {file} for no picture, or for several of that name: {missing:,}")


def _share(right: int, count: int) -> str:
    return f"{right:,} of {count:,} ({right / count:.1%})"


def _confusion(pairs: Sequence[tuple[Answer, Result]]) -> list[list[int]]:
    """Return (11, 11) counts: the last row is no digit, the last column none read."""
    matrix = [[0] * len(ROWS) for _ in ROWS]
    for answer, result in pairs:
        matrix[ROWS.index(answer.label)][-1 if result.digit is None else result.digit] += 1
    return matrix


def _by_length(pairs: Sequence[tuple[Answer, Result]]) -> Table:
    """Return how many numbers of each length are right, in digits; 0 is no number."""
    count: Counter[int] = Counter()
    right: Counter[int] = Counter()
    for answer, result in pairs:
        length = sum(sign.isdecimal() for sign in answer.label)
        count[length] += 1
        right[length] += answer.is_right(result)
    table = make_table("digits of the number", "right", "of")
    for length in sorted(count):
        table.add_row(str(length or NONE), f"{right[length]:,}", f"{count[length]:,}")
    return table


def _print_mistakes(
    output: Console, pairs: Sequence[tuple[Answer, Result]], named: int | None
) -> None:
    mistakes = [(answer, result) for answer, result in pairs if not answer.is_right(result)]
    if not mistakes:
        return
    mistakes.sort(key=lambda pair: -(pair[1].confidence or 0))
    output.print(f"Mistakes, the most confident first: {len(mistakes):,}")
    for answer, result in mistakes[:named]:
        output.print(f"  {as_text(result)}, should be {answer.label}")
    if len(mistakes) > len(mistakes[:named]):
        output.print(f"  and {len(mistakes) - len(mistakes[:named]):,} more (-v names all)")


# -------------------------------------------------------------------------------- the CSV file


def read_truth(path: Path, *, numbers: bool = False) -> Truth:
    """Read the answers in the CSV file at `path`, as above: digits, or else `numbers`.

    Commas, semicolons or tabs are between the cells.  A first line with names says which column is
    the path and which the digit; without one, that is seen from what is in them.

    Raises LabelsError if it is no such file.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = _read_rows(file.read())
    except FileNotFoundError:
        raise LabelsError(f"There is no file of labels '{path}': check --labels.") from None
    except OSError as error:
        raise LabelsError(f"'{path}' cannot be read: {error.strerror}: check --labels.") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise LabelsError(f"'{path}' is no CSV file in UTF-8: {error}: save it as one.") from None
    label_of = _number if numbers else _digit
    named = NUMBER_COLUMNS if numbers else LABEL_COLUMNS
    columns = _named_columns(rows, named) or _seen_columns(rows, label_of)
    if columns is None:
        what = "numbers" if numbers else "digits"
        raise LabelsError(
            f"'{path}' should have a column of paths and one of {what}: write `path,digit` as its"
            " first line."
        )
    at_path, at_label, has_header = columns
    answers = [
        Answer(*_cells(path, line, cells, at_path, at_label, label_of), line)
        for line, cells in rows[has_header:]
    ]
    if not answers:
        raise LabelsError(
            f"'{path}' has no answers: write a line for each picture below the first."
        )
    return Truth.of(path, answers, of_numbers=numbers)


def _read_rows(text: str) -> list[tuple[int, list[str]]]:
    """Return the rows that are not empty, each with the number of its line."""
    first = text.lstrip().partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    return [(lines.line_num, cells) for cells in lines if any(cell.strip() for cell in cells)]


def _named_columns(
    rows: Sequence[tuple[int, list[str]]], label_columns: Sequence[str]
) -> tuple[int, int, bool] | None:
    """Return the places of path and label if the first row names them."""
    names = [cell.strip().lower() for cell in rows[0][1]] if rows else []
    paths = [names.index(name) for name in PATH_COLUMNS if name in names]
    labels = [names.index(name) for name in label_columns if name in names]
    return (paths[0], labels[0], True) if paths and labels else None


def _seen_columns(
    rows: Sequence[tuple[int, list[str]]], label_of: LabelOf
) -> tuple[int, int, bool] | None:
    """Return the places of path and label: of the columns, one alone has nothing but labels."""
    body = [cells for _, cells in rows[1:] or rows]
    columns = [*zip(*body, strict=False)]
    labels = [
        place
        for place, cells in enumerate(columns)
        if all(label_of(cell) is not None for cell in cells) and any(map(str.strip, cells))
    ]
    paths = [place for place, cells in enumerate(columns) if all(map(str.strip, cells))]
    paths = [place for place in paths if place not in labels]
    if len(labels) != 1 or not paths:
        return None
    first = rows[0][1]
    has_header = labels[0] < len(first) and label_of(first[labels[0]]) is None
    return paths[0], labels[0], has_header


def _cells(
    path: Path, line: int, cells: Sequence[str], at_path: int, at_label: int, label_of: LabelOf
) -> tuple[str, str]:
    if len(cells) <= max(at_path, at_label):
        raise LabelsError(
            f"'{path}', line {line} has too few cells: write a path and a digit, or delete it."
        )
    label = label_of(cells[at_label])
    if label is None and label_of is _number:
        raise LabelsError(
            f"'{path}', line {line}: the label '{cells[at_label]}' should be a number such as 47,"
            " -3 or 12,5, or none where there is no number."
        )
    if label is None:
        raise LabelsError(
            f"'{path}', line {line}: the label '{cells[at_label]}' should be one of 0 to 9, or none"
            " where there is no digit."
        )
    name = cells[at_path]
    return undefused(name), label


def _digit(cell: str) -> str | None:
    """Return a digit, NONE, or None if the cell is no label; spreadsheets write 7.0 as well."""
    word = cell.strip().lower()
    if word in NO_DIGIT_WORDS:
        return NONE
    return word[0] if re.fullmatch(r"[0-9](\.0+)?", word) else None


def _number(cell: str) -> str | None:
    """Return a number as it stands there, NONE, or None if the cell is no label."""
    word = cell.strip().lower()
    if word in NO_NUMBER_WORDS:
        return NONE
    return word if NUMBER.fullmatch(word) else None
