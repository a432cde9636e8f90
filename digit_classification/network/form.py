"""What the cells of a form are read as."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from digit_classification.network.judge import Judge, ReadingNetwork
from digit_classification.network.number import NO_NUMBER, NumberReading, read_numbers
from digit_classification.pictures.forms import Cell, find_cells, turned
from digit_classification.pictures.images import BLANK, Invert
from digit_classification.pictures.proposals.regions import DESK

NO_TABLE = "no table"
_CONVINCING = 0.85  # of the numbers' mean confidence: less may be because the page lies on its side
_TRIED = 10  # numbers that are read in each direction
_BETTER = 0.1  # by which the mean of another direction must be higher

BLANK_CELL = NumberReading(None, None, (), BLANK, ())


@dataclass(frozen=True)
class FormCell:
    """A cell of a form, and what is read there.

    Attributes:
        row, column: its place, from 1.
        box: left, top, width, height in shares of the picture.
        reading: what stands there; of an empty cell with the rejection `blank image`. The boxes of
            its digits are in shares of the picture, too.
        page: of a file with several, from 1.
    """

    row: int
    column: int
    box: tuple[float, float, float, float]
    reading: NumberReading
    page: int = 1


def read_forms(
    greys: Sequence[np.ndarray],
    invert: Invert,
    network: ReadingNetwork,
    judge: Judge | None,
    constraint: str | None = None,
) -> list[list[FormCell]]:
    """Read the cells of the form that each grey picture, (h, w) uint8, shows, row by row.

    A picture in which no table is found has no cells.  Arguments as of `read_numbers`; each cell
    that is not empty must fit the constraint.
    """
    forms = []
    for grey in greys:
        cells = find_cells(grey, invert)
        filled = [cell for cell in cells if cell.image is not None]
        readings = _read(filled, network, judge, constraint)
        if filled and _mean(readings) < _CONVINCING:
            cells, readings = _turned(cells, readings, network, judge, constraint)
        found = iter(readings)
        forms.append(
            [
                FormCell(
                    cell.row,
                    cell.column,
                    cell.box,
                    BLANK_CELL if cell.image is None else _placed(next(found), cell),
                )
                for cell in cells
            ]
        )
    return forms


def _read(
    cells: Sequence[Cell], network: ReadingNetwork, judge: Judge | None, constraint: str | None
) -> list[NumberReading]:
    images = [cell.image for cell in cells if cell.image is not None]
    return read_numbers(images, "always", network, judge, constraint) if images else []


def _mean(readings: Sequence[NumberReading]) -> float:
    return sum(reading.confidence or 0.0 for reading in readings) / max(1, len(readings))


def _turned(
    cells: list[Cell],
    readings: list[NumberReading],
    network: ReadingNetwork,
    judge: Judge | None,
    constraint: str | None,
) -> tuple[list[Cell], list[NumberReading]]:
    """Turn a page by quarters if it reads better so; return its cells and what they are read as."""
    best, most = 0, _BETTER + _mean(readings)
    for quarters in (1, 2, 3):
        filled = [cell for cell in turned(cells, quarters) if cell.image is not None]
        some = filled[:: max(1, len(filled) // _TRIED)]
        mean = _mean(_read(some, network, judge, constraint))
        if mean > most:
            best, most = quarters, mean
    if not best:
        return cells, readings
    cells = turned(cells, best)
    filled = [cell for cell in cells if cell.image is not None]
    return cells, _read(filled, network, judge, constraint)


def _placed(reading: NumberReading, cell: Cell) -> NumberReading:
    """Return the reading of a cell, with the boxes of its digits in shares of the picture."""
    if DESK in reading.left_out:  # the cell is all that there is: its paper lies on no other
        return NumberReading(None, None, (), NO_NUMBER, reading.left_out)
    digits = tuple(replace(digit, box=cell.box_of(digit.box)) for digit in reading.digits)
    return replace(reading, digits=digits)
