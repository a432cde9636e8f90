"""What the cells of a form are read as."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from digit_classification.network.judge import Judge, ReadingNetwork
from digit_classification.network.number import (
    NO_NUMBER,
    NumberReading,
    first_impressions,
    read_numbers,
)
from digit_classification.pictures.forms.fields import find_fields
from digit_classification.pictures.forms.table import Cell, find_cells, turned
from digit_classification.pictures.forms.template import Template, TemplateField
from digit_classification.pictures.images import BLANK, Invert
from digit_classification.pictures.proposals.regions import DESK

NO_TABLE = "no table"
_CONVINCING = 0.85  # of the numbers' mean confidence: less may be because the page lies on its side
_TRIED = 15  # numbers that are looked at in each direction
_PROMISING = 0.03  # by which these must be surer for the whole page to be read so
_LIES = 0.8  # the least with which a form lies otherwise than it most likely does
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
        field: the name that a template gives it, or None without one.
        seen: where it is on the page as that is seen, level.
    """

    row: int
    column: int
    box: tuple[float, float, float, float]
    reading: NumberReading
    page: int = 1
    field: str | None = None
    seen: Cell | None = None


@dataclass(frozen=True)
class FilledForm:
    """The fields of a form that returns, as read; none if the page does not match its template.

    Attributes:
        cells: a field each, in the order of the template.
        met: how many of the template's cells were found on the page.
    """

    cells: list[FormCell]
    met: int


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
        forms.append(_form_cells(cells, readings))
    return forms


def _form_cells(
    cells: Sequence[Cell], readings: Sequence[NumberReading], names: Sequence[str] | None = None
) -> list[FormCell]:
    """Return cells with what is read in those of them that are not empty, in order."""
    found = iter(readings)
    return [
        FormCell(
            cell.row,
            cell.column,
            cell.box,
            BLANK_CELL if cell.image is None else _placed(next(found), cell),
            field=None if names is None else names[number],
            seen=cell,
        )
        for number, cell in enumerate(cells)
    ]


def _read(
    cells: Sequence[Cell], network: ReadingNetwork, judge: Judge | None, constraint: str | None
) -> list[NumberReading]:
    images = _images(cells)
    return (
        read_numbers(images, "always", network, judge, constraint, in_boxes=False) if images else []
    )


def _images(cells: Sequence[Cell]) -> list[np.ndarray]:
    """Return what is seen of the cells that are not empty."""
    return [cell.image for cell in cells if cell.image is not None]


def _mean(readings: Sequence[NumberReading]) -> float:
    return sum(reading.confidence or 0.0 for reading in readings) / max(1, len(readings))


def read_fields(
    greys: Sequence[np.ndarray],
    invert: Invert,
    network: ReadingNetwork,
    judge: Judge | None,
    template: Template,
) -> list[FilledForm]:
    """Read the fields of the form that each grey picture, (h, w) uint8, shows.

    Arguments as of `read_numbers`; each field has a constraint of its own.
    """
    forms = []
    for grey in greys:
        fields = find_fields(grey, invert, template)
        best: tuple[list[Cell], list[NumberReading]] = [], []
        most = -_BETTER
        for cells in fields.ways:
            readings = _read_each(cells, template.fields, network, judge)
            mean = _mean(readings)
            is_first = not best[0]
            if mean >= most + _BETTER and (is_first or mean > _LIES):
                best, most = (cells, readings), mean
            if not readings or mean >= _CONVINCING:  # else the page may lie otherwise
                break
        forms.append(FilledForm(_form_cells(*best, template.names), fields.met))
    return forms


def _read_each(
    cells: Sequence[Cell],
    fields: Sequence[TemplateField],
    network: ReadingNetwork,
    judge: Judge | None,
) -> list[NumberReading]:
    """Return what is read in the cells that are not empty, those of one constraint at once."""
    filled = [
        (cell, field.pattern)
        for cell, field in zip(cells, fields, strict=True)
        if cell.image is not None
    ]
    alike: defaultdict[str | None, list[int]] = defaultdict(list)
    for number, (_, pattern) in enumerate(filled):
        alike[pattern].append(number)
    readings: dict[int, NumberReading] = {}
    for pattern, numbers in alike.items():
        some = _read([filled[number][0] for number in numbers], network, judge, pattern)
        readings |= dict(zip(numbers, some, strict=True))
    return [readings[number] for number in range(len(filled))]


def _turned(
    cells: list[Cell],
    readings: list[NumberReading],
    network: ReadingNetwork,
    judge: Judge | None,
    constraint: str | None,
) -> tuple[list[Cell], list[NumberReading]]:
    """Turn a page by quarters if it reads better so; return its cells and what they are read as."""

    def impression(lying: list[Cell]) -> float:
        """Return how sure some of its numbers are at first sight, on average."""
        images = _images(lying)
        some = images[:: max(1, len(images) // _TRIED)]
        sure = first_impressions(some, "always", network, judge, constraint)
        return sum(sure) / max(1, len(sure))

    as_it_lies = impression(cells)
    otherwise = [turned(cells, quarters) for quarters in (1, 2, 3)]
    impressions = [*map(impression, otherwise)]
    best = impressions.index(max(impressions))
    if impressions[best] < as_it_lies + _PROMISING:
        return cells, readings
    again = _read(otherwise[best], network, judge, constraint)
    # Where the first sight was much surer, the whole page need not be by as much.
    gain = _mean(again) - _mean(readings)
    if gain <= 0 or gain + impressions[best] - as_it_lies < _BETTER + _PROMISING:
        return cells, readings
    return otherwise[best], again


def _placed(reading: NumberReading, cell: Cell) -> NumberReading:
    """Return the reading of a cell, with the boxes of its digits in shares of the picture."""
    if DESK in reading.left_out:  # the cell is all that there is: its paper lies on no other
        return NumberReading(None, None, (), NO_NUMBER, reading.left_out)
    digits = tuple(replace(digit, box=cell.box_of(digit.box)) for digit in reading.digits)
    return replace(reading, digits=digits)
