"""A table of pixels: a row for each image, with its label in one of the columns.

    label,pixel0,pixel1,…      Kaggle's train.csv; the names may be missing, as in mnist_train.csv
    5,0,0,…

The columns may be in any order if they have names, and else the label is the first or the last;
commas, semicolons, tabs or blanks are between them.  Rows and their number are bounded.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import re
import warnings
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, cast

import numpy as np

from digit_classification.pictures.sources import MAX_FILE_BYTES, Source
from digit_classification.training.datasets.arrays import (
    check_size,
    contents_of,
    cut_off,
    read_bounded,
)
from digit_classification.training.datasets.dataset import DatasetError
from digit_classification.training.datasets.found import Contents, Found, Part, by_role
from digit_classification.training.datasets.idx import GZIP_START, is_on_its_side, unpacked_start

LABEL_NAMES = frozenset(("label", "labels", "digit", "class", "target", "y", "number", "value"))
MAX_LINE_BYTES = 2**20
_LEAST_COLUMNS = 17  # 4×4 pixels and a label
_PORTION_BYTES = 4 * 2**20  # of lines, read at a time
_LARGEST_LABEL = 99  # of those that may be left out as no digits


@dataclass(frozen=True)
class Table:
    """A table, of which the first line is known.

    Attributes:
        delimiter: between the columns; None for blanks.
        first: the cells of the first line.
        named: whether these are the names of the columns.
    """

    name: str
    source: Source
    delimiter: str | None
    first: list[str]
    named: bool


def open_table(name: str, source: Source) -> Table | None:
    """Return the table in a file of text; None if it is none.

    Raises DatasetError if its first line is longer than any that is read.
    """
    start = unpacked_start(source.start(MAX_LINE_BYTES + 1), MAX_LINE_BYTES + 1)
    line, end, _ = start.partition(b"\n")
    if not line or b"\0" in line:
        return None
    try:
        text = line.decode("utf-8-sig").rstrip("\r")
    except UnicodeDecodeError:
        return None
    if not end and len(start) > MAX_LINE_BYTES:
        raise _too_long(name)
    delimiter = max(",;\t", key=text.count)
    if not text.count(delimiter):
        delimiter = " "
    cells = text.split() if delimiter == " " else next(csv.reader([text], delimiter=delimiter))
    named = not all(_is_number(cell) for cell in cells)
    return Table(name, source, None if delimiter == " " else delimiter, cells, named)


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def has_pixels(table: Table) -> bool:
    """Whether a table has a column for each pixel of a picture, with or without labels."""
    return len(table.first) >= _LEAST_COLUMNS and len(_pixel_columns(table)) >= _LEAST_COLUMNS - 1


def _pixel_columns(table: Table) -> list[int]:
    """Return the columns whose names are alike but for their numbers, in the order of these."""
    if not table.named:
        return [*range(len(table.first))]
    alike: dict[str, list[int]] = {}
    for column, cell in enumerate(table.first):
        if re.search(r"\d", cell):
            alike.setdefault(re.sub(r"\d+", "#", cell), []).append(column)
    most = max(alike.values(), key=len, default=[])
    return sorted(most, key=lambda column: [*map(int, re.findall(r"\d+", table.first[column]))])


def _label_column(table: Table) -> int | None:
    """Return the column of the labels by its name; None if there is none."""
    pixels = {*_pixel_columns(table)}
    rest = [column for column in range(len(table.first)) if column not in pixels]
    by_name = [column for column in rest if table.first[column].strip().lower() in LABEL_NAMES]
    if len(by_name) == 1:
        return by_name[0]
    return rest[0] if len(rest) == 1 else None


def _has_labels(table: Table) -> bool:
    if table.named:
        return _label_column(table) is not None
    count = len(table.first) - 1
    return math.isqrt(count) ** 2 == count


def find_table(tables: Sequence[Table], part: Part) -> Found | None:
    """Return the table of pixels among these; None if there is none.

    Raises DatasetError if none has labels, or if there are several.
    """
    tables = [table for table in tables if has_pixels(table)]
    if not tables:
        return None
    labelled = [table for table in tables if _has_labels(table)]
    if not labelled:
        raise DatasetError(
            f"'{tables[0].name}' has {len(tables[0].first):,} columns of pixels and none of labels:"
            " name a table with one, such as Kaggle's train.csv."
        )
    roles = by_role(labelled, lambda table: table.name)
    training, test = roles["training"], roles["test"]
    several = test if part == "test" and test else training
    if len(several) > 1:
        raise DatasetError(
            f"'{several[0].name}' and '{several[1].name}' are both tables of pixels: name one of "
            "them with --dataset."
        )
    table = several[0]
    return Found(
        f"table of {len(table.first):,} columns '{table.name}'",
        lambda: _read(table),
        stray=[other.name for other in tables if other not in (*training, *test)],
        beside=[other.source for other in (*training, *test)],
        holds_test=len(test) == 1,
    )


# --------------------------------------------------------------------------------------- reading


def _read(table: Table) -> Contents:
    values = _numbers(table)
    if table.named:
        label, pixels = _label_column(table), _pixel_columns(table)
    else:
        label = _first_or_last(values, table.name)
        pixels = [column for column in range(values.shape[1]) if column != label]
    labels = values[:, label]
    in_order = pixels == [*range(pixels[0], pixels[0] + len(pixels))]
    images = values[:, pixels[0] : pixels[-1] + 1] if in_order else values[:, pixels]
    side = math.isqrt(len(pixels))
    if is_on_its_side(table.name) and side * side == len(pixels):
        images = images.reshape(-1, side, side).transpose(0, 2, 1)
    return contents_of(images, labels, table.name)


def _numbers(table: Table) -> np.ndarray:
    """Return the numbers of all rows, (rows, columns), uint8 if they are bytes and else float32."""
    parts: list[np.ndarray] = []
    size, row = 0, 1
    for lines in _portions(table):
        part = _parse(lines, table, row)
        size, row = size + part.nbytes, row + len(part)
        check_size(table.name, size)
        parts.append(part)
    if not parts:
        raise DatasetError(f"'{table.name}' has names of columns, and no rows: check the file.")
    return np.concatenate(parts)


def _parse(lines: list[str], table: Table, row: int) -> np.ndarray:
    """Return the numbers in some lines, the first of which is this row."""

    def parse(dtype: type) -> np.ndarray:
        return np.loadtxt(
            lines, dtype, comments=None, delimiter=table.delimiter, quotechar='"', ndmin=2
        )

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)  # it would cut 0.5 to 0
            numbers = parse(np.int32)
    except ValueError:
        try:
            numbers = parse(np.float32)
        except ValueError as error:
            raise DatasetError(
                f"'{table.name}' cannot be read in or after row {row:,}, where something else than "
                f"numbers stands, or too few of them ({error}): correct it there."
            ) from None
    if numbers.shape[1] != len(table.first):
        raise DatasetError(
            f"'{table.name}' has {numbers.shape[1]:,} columns in or after row {row:,} instead of "
            f"{len(table.first):,}: correct it there."
        )
    is_bytes = numbers.dtype == np.int32 and numbers.min() >= 0 and numbers.max() <= 255
    return numbers.astype(np.uint8 if is_bytes else np.float32)


def _portions(table: Table) -> Iterator[list[str]]:
    """Yield the lines of a table that hold its rows, some at a time."""
    lines = _lines(table)
    if table.named:
        next(lines)
    portion: list[str] = []
    size = 0
    for line in lines:
        if not line.isspace():
            portion.append(line)
            size += len(line)
        if size >= _PORTION_BYTES:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _lines(table: Table) -> Iterator[str]:
    """Yield the lines of a table, each of bounded length."""
    content = read_bounded(table.name, table.source, MAX_FILE_BYTES)
    stream: BinaryIO = io.BytesIO(content)
    if content.startswith(GZIP_START):
        stream = cast(BinaryIO, gzip.GzipFile(fileobj=stream))
    total = 0
    try:
        while line := stream.readline(MAX_LINE_BYTES + 1):
            total += len(line)
            if len(line) > MAX_LINE_BYTES:
                raise _too_long(table.name)
            check_size(table.name, total // 4)  # a number takes two to four bytes
            yield line.decode("latin-1")
    except (EOFError, OSError, zlib.error):
        raise cut_off(table.name) from None


def _too_long(name: str) -> DatasetError:
    return DatasetError(
        f"'{name}' has a line of more than {MAX_LINE_BYTES >> 20} MiB, which is no picture: check "
        "the file."
    )


def _first_or_last(values: np.ndarray, name: str) -> int:
    """Return which column holds the labels: whole numbers of more kinds than a border has."""
    kinds = {}
    for column in (0, values.shape[1] - 1):
        found = np.unique(values[:, column])
        if found.min() >= 0 and found.max() <= _LARGEST_LABEL and (found == found.round()).all():
            kinds[column] = (bool(found.max() <= 9), len(found))
    best = max(kinds, key=lambda column: kinds[column], default=None)
    if best is None or kinds[best][1] < 2 or [*kinds.values()].count(kinds[best]) > 1:
        raise DatasetError(
            f"Neither the first nor the last column of '{name}' holds labels of 0 to 9 for certain:"
            " give the columns names in a first line, that of the labels label."
        )
    return best
