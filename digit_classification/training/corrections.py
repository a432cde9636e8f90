"""Corrections: pictures that a person has labelled, to be learned with the dataset.

The review page of the detector writes them, as a CSV file with a row for each picture:

    path,digit,sha256,run
    scans/0017.png,7,9f86d081884c7d65…,20261122-185501-a3f9cd21b

The path is as the detector was given it, or archive.zip/member; the checksum, of the file's
content, and the run, which says where the result is stored, may be left out.

Of numbers it has a row for each digit, with what the network saw of it, a PNG in base64; or, where
no digits follow from the number, one row without a digit, which is left out:

    path,digit,sha256,run,number,place,image
    scans/0047.png,4,60303ae22b998861…,20261122-185501-a3f9cd21b,47,1,iVBORw0KGgoAAAANSUhEUgAA…

Of forms it has a further column `cell`: which of the cells of its file that is, from 1.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from digit_classification.names import printable
from digit_classification.pictures.decode import DEFAULT_LIMITS, Limits
from digit_classification.pictures.images import SIDE
from digit_classification.pictures.png import decode_plain_png
from digit_classification.pictures.prepare import Prepared, prepare_all
from digit_classification.pictures.sources import find_named
from digit_classification.training.datasets.dataset import CLASSES, Dataset, DatasetError, Findings

COLUMNS = ("path", "digit", "sha256")
MORE_COLUMNS = ("run", "number", "place", "image", "cell")
REQUIRED = frozenset(("path", "digit"))
NO_DIGITS = "as many signs were not read"


@dataclass(frozen=True)
class CorrectionRow:
    """A row of the file; `where` names it in an error."""

    where: str
    path: str
    label: int | None  # None where no digit follows from the number
    sha256: str | None
    seen: np.ndarray | None = None  # (28, 28) uint8, the digit itself, of a number
    number: str | None = None  # which all rows of the picture have
    run: str | None = None
    cell: int | None = None  # of a form, from 1


def read_corrections(path: Path, *, workers: int = 0, limits: Limits = DEFAULT_LIMITS) -> Dataset:
    """Read the pictures that the CSV file at `path` names, under the labels that it gives them.

    Raises DatasetError if the file is not as above, if a picture is gone, unreadable or another
    than was reviewed, or if the same picture has two labels.
    """
    rows = list(read_rows(path))
    findings = Findings()
    findings.left_out += [(row.path, NO_DIGITS) for row in rows if row.label is None]
    rows = [row for row in rows if row.label is not None]
    pictures = _pictures(rows, workers, limits)
    digits, labels, names, checksums = [], [], [], []
    first: dict[str, CorrectionRow] = {}  # by the checksum of the picture
    for row, picture in zip(rows, pictures, strict=True):
        shown = f"{row.where}: '{printable(row.path)}'"
        if picture.digit is None or picture.sha256 is None:
            raise DatasetError(
                f"{shown} cannot be read ({picture.error}): train in the folder in which the "
                "detector ran, correct the path if the picture was moved, or delete the row."
            )
        if row.seen is None and row.sha256 not in (None, picture.sha256):
            raise DatasetError(
                f"{shown} has changed since it was reviewed: review it anew, or delete the row."
            )
        earlier = first.setdefault(picture.sha256, row)
        if earlier.label != row.label:
            raise DatasetError(
                f"{shown} is a {row.label}, but a {earlier.label} as '{printable(earlier.path)}' "
                "in an earlier row: delete the wrong one."
            )
        if earlier is not row:
            findings.duplicates.append((row.path, earlier.path))
        elif not picture.shows_ink:
            findings.left_out.append((row.path, picture.rejection or "no ink"))
        else:
            digits.append(picture.digit)
            labels.append(row.label)
            names.append(row.path)
            checksums.append(picture.sha256)
            if picture.rejection is not None:
                findings.doubtful.append((row.path, picture.rejection))
    if not names:
        raise DatasetError(f"'{path}' holds no correction that can be learned: leave it out.")
    return Dataset(path, np.stack(digits), np.array(labels, np.uint8), names, findings, checksums)


def _pictures(rows: Sequence[CorrectionRow], workers: int, limits: Limits) -> Iterator[Prepared]:
    """Yield what each row is about: its picture, read and prepared, or the digit that it holds."""
    sources = (find_named(row.path) for row in rows if row.seen is None)
    pictures = prepare_all(sources, workers=workers, limits=limits)
    for row in rows:
        if row.seen is None:
            yield next(pictures)
        else:
            checksum = hashlib.sha256(row.seen.tobytes()).hexdigest()
            yield Prepared(find_named(row.path), checksum, row.seen)


def relabel(dataset: Dataset, corrections: Dataset) -> tuple[Dataset, set[str]]:
    """Give the pictures of `dataset` the labels of `corrections`.

    Returns the dataset, and the checksums of the pictures that have another label than before.
    """
    corrected = dict(zip(corrections.checksums, corrections.labels, strict=True))
    pairs = zip(dataset.checksums, dataset.labels, strict=True)
    labels = np.array([corrected.get(checksum, label) for checksum, label in pairs], np.uint8)
    changed = {dataset.checksums[i] for i in np.flatnonzero(labels != dataset.labels)}
    return replace(dataset, labels=labels), changed


def only_new(corrections: Dataset, datasets: Iterable[Dataset]) -> Dataset:
    """Return the corrections of pictures that are in none of `datasets`."""
    known = {checksum for dataset in datasets for checksum in dataset.checksums}
    new = [i for i, checksum in enumerate(corrections.checksums) if checksum not in known]
    return replace(
        corrections,
        digits=corrections.digits[new],
        labels=corrections.labels[new],
        names=[corrections.names[i] for i in new],
        checksums=[corrections.checksums[i] for i in new],
    )


def read_rows(path: Path) -> Iterator[CorrectionRow]:
    """Yield the rows of the CSV file at `path`; raises DatasetError if it is not as above."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            yield from _parse(path, csv.reader(file, strict=True))
    except FileNotFoundError:
        raise DatasetError(f"There is no file of corrections '{path}': check its name.") from None
    except OSError as error:
        raise DatasetError(
            f"'{path}' cannot be read: {error.strerror}: check its name and its permissions."
        ) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"'{path}' is no CSV file in UTF-8: {error}: save it as one.") from None


def _parse(path: Path, lines: Any) -> Iterator[CorrectionRow]:
    """Check each line of a csv.reader; the header may come again where files were joined."""
    header: list[str] = next(lines, [])
    allowed = {*COLUMNS, *MORE_COLUMNS}
    if not REQUIRED <= set(header) <= allowed or len(set(header)) < len(header):
        raise DatasetError(
            f"'{path}' begins with '{','.join(header)[:80]}' instead of '{','.join(COLUMNS)}': "
            "download the corrections from a review page, or write that as its first line."
        )
    for cells in lines:
        where = f"'{path}', line {lines.line_num}"
        if not cells or cells == header:
            continue
        if len(cells) != len(header):
            raise DatasetError(
                f"{where} has {len(cells)} cells instead of {len(header)}: a name with a comma "
                "needs quotes around it."
            )
        row = dict(zip(header, cells, strict=True))
        number, run = row.get("number") or None, row.get("run") or None
        if row["digit"] not in CLASSES and not (number and not row["digit"]):
            raise DatasetError(f"{where}: the digit '{row['digit']}' should be one of 0 to 9.")
        sha256 = row.get("sha256", "").lower()
        if not re.fullmatch("([0-9a-f]{64})?", sha256):
            raise DatasetError(
                f"{where}: the checksum '{sha256}' should have 64 hexadecimal digits: leave the "
                "cell empty, or download the corrections anew."
            )
        label = int(row["digit"]) if row["digit"] else None
        seen = _seen(row["image"], where) if row.get("image") and label is not None else None
        cell = _cell(row.get("cell", ""), where)
        yield CorrectionRow(where, row["path"], label, sha256 or None, seen, number, run, cell)


def _cell(text: str, where: str) -> int | None:
    """Return the number of a cell; None of a picture that is no form."""
    if not text:
        return None
    if not re.fullmatch("[1-9][0-9]{0,8}", text, re.ASCII):
        raise DatasetError(
            f"{where}: the cell '{printable(text)}' should be a number from 1: download the"
            " corrections anew."
        )
    return int(text)


def _seen(text: str, where: str) -> np.ndarray:
    """Return the pixels of a digit that is in the file itself."""
    try:
        pixels = decode_plain_png(base64.b64decode(text, validate=True))
    except ValueError:
        pixels = None
    if pixels is None or pixels.shape != (SIDE, SIDE):
        raise DatasetError(
            f"{where}: the image should be a grey PNG of {SIDE} by {SIDE} pixels in base64:"
            " download the corrections anew."
        )
    return pixels
