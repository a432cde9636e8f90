"""The corrections of a review page, on their way to the rows that they correct."""

from __future__ import annotations

import getpass
from collections import defaultdict
from pathlib import Path

from digit_classification.detection.truth import NUMBER
from digit_classification.names import printable
from digit_classification.results.corrections import Correction
from digit_classification.results.records import LONGEST_NUMBER
from digit_classification.training.corrections import CorrectionRow, read_rows
from digit_classification.training.datasets.dataset import DatasetError


def read_stored_corrections(path: Path) -> dict[Correction, str]:
    """Return what the file at `path` says of stored pictures, each with the place of its row.

    The rows of a number are one correction.

    Raises DatasetError if the file cannot be used, if a row does not say which stored picture it is
    for, or if two rows say different things of one.
    """
    corrections: dict[Correction, str] = {}
    earlier: defaultdict[str, list[Correction]] = defaultdict(list)  # by path
    for row in read_rows(path):
        correction = Correction(row.path, _text(row), row.sha256, row.run, row.cell)
        for other in earlier[row.path]:
            if other.text != correction.text and _may_be_one(other, correction):
                raise DatasetError(
                    f"{row.where}: {correction.named} is {correction.text}, but {other.text}"
                    f" in {corrections[other]}: delete the wrong one."
                )
        if correction not in corrections:
            corrections[correction] = row.where
            earlier[row.path].append(correction)
    if not corrections:
        raise DatasetError(f"'{path}' holds no corrections: download them from a review page.")
    return corrections


def _text(row: CorrectionRow) -> str:
    """Return the right number, or the right digit."""
    if row.run is None and row.sha256 is None:
        raise DatasetError(
            f"{row.where}: '{printable(row.path)}' has neither a run nor a checksum, so it could be"
            " any picture of that name: add a column `run`, with a run that --runs lists."
        )
    if row.number is None:
        return str(row.label)
    if not NUMBER.fullmatch(row.number) or len(row.number) > LONGEST_NUMBER:
        raise DatasetError(
            f"{row.where}: the number '{printable(row.number)}' should be one such as 47, -3 or"
            f" 12,5, of at most {LONGEST_NUMBER} signs."
        )
    return row.number


def _may_be_one(a: Correction, b: Correction) -> bool:
    """Whether two corrections of the same path may be for the same row."""
    runs, checksums = {a.run_id, b.run_id} - {None}, {a.image_sha256, b.image_sha256} - {None}
    return a.cell == b.cell and len(runs) < 2 and len(checksums) < 2


def user_name() -> str | None:
    """Return who is logged in, or None where nobody is known, as in some containers."""
    try:
        return printable(getpass.getuser()) or None
    except (OSError, KeyError, ImportError):
        return None
