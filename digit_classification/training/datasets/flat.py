"""Pictures that are not sorted: a table, or their names, say which digits they are.

labels.csv                 any two columns that are the path of a picture and its digit
3_001.png, img-0017-3.png  the digit first, last, or behind `digit`, `label` or `class`
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from digit_classification.pictures.sources import IMAGE_SUFFIXES, Source
from digit_classification.training.datasets.arrays import read_bounded
from digit_classification.training.datasets.dataset import DatasetError, digit_of
from digit_classification.training.datasets.found import (
    Contents,
    File,
    Found,
    Part,
    by_role,
    name_of,
)
from digit_classification.training.datasets.table import LABEL_NAMES, Table

MAX_TABLE_BYTES = 64 * 2**20
_MOST_COLUMNS = 64
_MOST_FOLDERS = 8  # in a path of a table, beyond which it is not looked for
# Where a digit stands in a name without its suffix, by itself: one of these must fit all names.
_IN_NAMES = {
    "first": re.compile(r"([0-9])[ _.(-].*"),
    "last": re.compile(r".*[^0-9.]([0-9])"),
    "behind a word": re.compile(r"(?:.*[^a-z])?(?:digit|label|class|num)[ _-]?([0-9])(?![0-9]).*"),
}


@dataclass(frozen=True)
class _Labels:
    """A table, understood: the labels of its pictures."""

    table: Table
    pictures: Mapping[str, tuple[File, str]]  # by name: the file and its label
    absent: Sequence[str]  # names in it that no file has


def is_picture(source: Source) -> bool:
    return PurePosixPath(source.name).suffix.lower() in IMAGE_SUFFIXES


def labelled_by_table(files: Sequence[File], tables: Sequence[Table], part: Part) -> Found | None:
    """Return the pictures that a table gives labels; None if no table names any of them.

    Raises DatasetError if several columns, or several tables, may be meant.
    """
    pictures = [file for file in files if is_picture(file[1])]
    found = [labels for table in tables if (labels := _understand(table, pictures)) is not None]
    if not found:
        return None
    roles = by_role(found, lambda labels: labels.table.name)
    several = roles["test"] if part == "test" and roles["test"] else roles["training"]
    if len(several) > 1:
        raise DatasetError(
            f"'{several[0].table.name}' and '{several[1].table.name}' both name pictures and their "
            "digits: name one of them with --dataset."
        )
    (labels,) = several
    used = {name for each in found for name in each.pictures}
    return Found(
        f"pictures with labels in '{labels.table.name}'",
        lambda: _contents(labels.pictures),
        stray=[name_of(file) for file in files if not is_picture(file[1])],
        unlabelled=[
            *((name, f"in '{labels.table.name}', but not there") for name in labels.absent),
            *(
                (name, f"not in '{labels.table.name}'")
                for name in map(name_of, pictures)
                if name not in used
            ),
        ],
        beside=[labels.table.source, *(file[1] for file, _ in labels.pictures.values())],
        holds_test=len(roles["test"]) == 1,
    )


def _contents(pictures: Mapping[str, tuple[File, str]]) -> Contents:
    sources = [source for (_, source), _ in pictures.values()]
    labels = [label for _, label in pictures.values()]
    return Contents([*pictures], labels, sources.__getitem__)


def _understand(table: Table, pictures: Sequence[File]) -> _Labels | None:
    """Find the column of paths and that of digits; None if there are none."""
    width = len(table.first)
    if not 2 <= width <= _MOST_COLUMNS or not pictures:
        return None
    rows = [row for row in _rows(table) if len(row) == width]
    by_name = _by_name(pictures)
    hits = [sum(_plain(row[column]) in by_name for row in rows) for column in range(width)]
    paths = max(range(width), key=lambda column: hits[column])
    if not hits[paths]:
        return None
    if _plain(rows[0][paths]) not in by_name and table.named:
        rows = rows[1:]  # the names of the columns
    label = _label_column(table, rows, paths)
    labelled: dict[str, tuple[File, str]] = {}
    absent = []
    for row in rows:
        file = by_name.get(_plain(row[paths]))
        if file is None:
            absent.append(row[paths])
        elif labelled.setdefault(name_of(file), (file, row[label]))[1] != row[label]:
            raise DatasetError(
                f"'{name_of(file)}' has two labels in '{table.name}', '{row[label]}' and "
                f"'{labelled[name_of(file)][1]}': delete the wrong row."
            )
    return _Labels(table, labelled, absent)


def _rows(table: Table) -> list[list[str]]:
    content = read_bounded(table.name, table.source, MAX_TABLE_BYTES)
    try:
        text = content.decode("utf-8-sig")
        return [*csv.reader(io.StringIO(text, newline=""), delimiter=table.delimiter or " ")]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(
            f"'{table.name}' is no CSV file in UTF-8: {error}: save it as one."
        ) from None


def _plain(path: str) -> str:
    return path.strip().replace("\\", "/").removeprefix("./")


def _by_name(pictures: Sequence[File]) -> dict[str, File]:
    """Return the pictures by their names, and by all ends of these that only one of them has."""
    ends = [
        ("/".join(file[0][start:]), file)
        for file in pictures
        for start in range(max(0, len(file[0]) - _MOST_FOLDERS), len(file[0]))
    ]
    counts = Counter(end for end, _ in ends)
    return {end: file for end, file in ends if counts[end] == 1 or end == name_of(file)}


def _label_column(table: Table, rows: Sequence[Sequence[str]], paths: int) -> int:
    """Return the column of labels: by its name, or the only one that holds mostly digits."""
    others = [column for column in range(len(table.first)) if column != paths]
    named = [column for column in others if table.first[column].strip().lower() in LABEL_NAMES]
    if len(named) == 1:
        return named[0]
    mostly = [
        column
        for column in others
        if 2 * sum(digit_of(row[column]) is not None for row in rows) > len(rows)
    ]
    if len(mostly) != 1:
        raise DatasetError(
            f"'{table.name}' names pictures, but {len(mostly) or 'none'} of its columns may hold "
            "their digits: give the one that does the name label."
        )
    return mostly[0]


def labelled_by_names(files: Sequence[File]) -> Found | None:
    """Return pictures whose names all hold their digit at the same place; None if they do not.

    Raises DatasetError if there are two such places.
    """
    pictures = [file for file in files if is_picture(file[1])]
    stems = [PurePosixPath(file[0][-1]).stem for file in pictures]
    found: dict[str, list[str]] = {}
    for place, pattern in _IN_NAMES.items():
        matches = [pattern.fullmatch(stem.lower()) for stem in stems]
        labels = [match[1] for match in matches if match is not None]
        if pictures and len(labels) == len(stems) and len({*labels}) > 1:
            found[place] = labels
    if not found:
        return None
    if len({tuple(labels) for labels in found.values()}) > 1:
        raise DatasetError(
            f"The names of the pictures hold a digit in two places, as '{pictures[0][0][-1]}' does "
            f"({' and '.join(found)}): write the right ones into a labels.csv beside them, "
            "with the columns path and digit."
        )
    place, labels = next(iter(found.items()))
    sources = [source for _, source in pictures]
    contents = Contents([name_of(file) for file in pictures], labels, sources.__getitem__)
    return Found(
        f"pictures whose names have their digit {place}",
        lambda: contents,
        stray=[name_of(file) for file in files if not is_picture(file[1])],
    )
