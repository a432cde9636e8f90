"""The fields of a form that returns, cut from its page as cells are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from digit_classification.pictures.forms.cells import Regions, places
from digit_classification.pictures.forms.lines import Line, Ruling
from digit_classification.pictures.forms.marks import MARKS, find_marked_page, straightened
from digit_classification.pictures.forms.page import LEVEL, Page
from digit_classification.pictures.forms.registration import Placement, Seen, register
from digit_classification.pictures.forms.ruling import find_ruling
from digit_classification.pictures.forms.table import (
    Cell,
    Table,
    cut,
    find_table,
    turned_by_a_quarter,
)
from digit_classification.pictures.forms.template import Box, Template
from digit_classification.pictures.geometry import corners, inverse, mapped, product
from digit_classification.pictures.images import Invert

_SAME = 0.6  # of what two boxes cover, they share: a field is a cell of the template


@dataclass(frozen=True)
class Fields:
    """The fields of a page.

    Attributes:
        met: how many cells, or marks, of the template are found there.
        ways: the fields, in the order of the template, each way that the page may lie, the
            likeliest first; none if it is another form.
    """

    met: int
    ways: Iterator[list[Cell]]


def find_fields(grey: np.ndarray, invert: Invert, template: Template) -> Fields:
    """Return the fields of a form.

    Args:
        grey: the picture, (h, w) uint8.
        invert: whether its ink is darker than the paper, as of `images.normalize`.
        template: the fields, and the cells by which the form is known again.
    """
    if template.page.marks is not None:
        return _find_by_marks(grey, invert, template, np.array(template.page.marks))
    table = find_table(grey, invert)
    if table is None:
        return Fields(0, iter(()))
    middle = mapped(inverse(table.sheet), np.array([[0.5, 0.5]]))[0]
    seen = Seen(table.regions.labels, table.regions.boxes, middle)
    model = _ends(template.page.cells, template.page.aspect)
    found, met = register(model, np.array([template.page.aspect, 1.0]) / 2, seen)
    return Fields(met, (_cut_fields(table, template, place) for place in found))


def _find_by_marks(
    grey: np.ndarray, invert: Invert, template: Template, model: np.ndarray
) -> Fields:
    """Return the fields of a form with marks in its corners, (4, 2) in shares of its page."""
    seen = find_marked_page(grey, invert)
    if len(seen.marks) < MARKS:
        return Fields(len(seen.marks), iter(()))
    pages = straightened(seen, model, template.page.aspect)
    return Fields(MARKS, (_cut_where_they_are(each, grey.shape, template) for each in pages))


def _cut_where_they_are(page: Page, shape: tuple[int, ...], template: Template) -> list[Cell]:
    """Cut the fields of a page that lies as the template has it, in a picture of this shape."""
    height, width = page.darkness.shape
    boxes = [field.box for field in template.fields]
    upright = np.diag([width, height, 1.0])
    level = np.array([_drawn(upright, ends, width, height) for ends in _ends(boxes, 1.0)])
    labels = np.zeros((height, width), np.int32)
    for number, (left, top, right, bottom) in enumerate(level.tolist(), 1):
        labels[top:bottom, left:right] = number
    ruling, regions = find_ruling(page.darkness), Regions(labels, level)
    shares = product(np.diag([1 / shape[1], 1 / shape[0], 1.0]), page.back)
    found = cut(Table(page, ruling, regions, shares, page, np.eye(3)), ruling, regions)
    return _placed(found, _ends(boxes, template.page.aspect))


def _placed(cells: list[Cell], boxes: np.ndarray) -> list[Cell]:
    """Return fields with their rows and columns, by left, top, right and bottom, (n, 4)."""
    where = places(np.rint(boxes * LEVEL).astype(int))
    return [
        replace(cell, row=row, column=column)
        for cell, (row, column) in zip(cells, where, strict=True)
    ]


def _ends(boxes: Sequence[Box], aspect: float) -> np.ndarray:
    """Return left, top, right and bottom, (n, 4), of boxes in shares of a page that is 1 high."""
    ends = np.array(boxes, float)
    ends[:, 2:] += ends[:, :2]
    return ends * [aspect, 1, aspect, 1]


def _cut_fields(table: Table, template: Template, place: Placement) -> list[Cell]:
    """Cut the fields of a page: as the cells that they are, or else where the template says."""
    model = _ends(template.page.cells, template.page.aspect)
    boxes = _ends([field.box for field in template.fields], template.page.aspect)
    own = _same(boxes, model)  # of each field, the cell of the template that it is
    cells = np.where(own >= 0, place.cells[own], -1)
    count = len(boxes)
    # The fields first: further cells are there only to keep what is theirs.
    numbers = count + 1 + np.arange(len(table.regions.boxes))
    numbers[cells[cells >= 0]] = 1 + np.flatnonzero(cells >= 0)
    labels = np.concatenate([[0], numbers]).astype(np.int32)[table.regions.labels]
    level = table.regions.boxes[np.maximum(cells, 0)]
    height, width = labels.shape
    forth = product(_lying(place.quarters, width, height), place.forth)
    edges: tuple[list[Line], list[Line]] = [], []
    for field in np.flatnonzero(cells < 0):
        left, top, right, bottom = level[field] = _drawn(forth, boxes[field], width, height)
        here = labels[top:bottom, left:right]
        here[(here == 0) | (here > count)] = field + 1
        if own[field] >= 0:  # its lines are printed, but were not found
            edges[0].extend(Line(left, np.full(right - left, float(y)), 3) for y in (top, bottom))
            edges[1].extend(Line(top, np.full(bottom - top, float(x)), 3) for x in (left, right))
    ruling = Ruling((*table.ruling.level, *edges[0]), (*table.ruling.upright, *edges[1]))
    found = cut(table, ruling, Regions(labels, level))
    for quarter in range(place.quarters):
        side = height if quarter % 2 else width
        found = [turned_by_a_quarter(cell, side) for cell in found]
    return _placed(found, boxes)


def _same(boxes: np.ndarray, model: np.ndarray) -> np.ndarray:
    """Return the cell of a template that each box is, (n,) int; -1 of one that is none."""
    low = np.maximum(boxes[:, None, :2], model[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], model[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    sizes = [(each[:, 2:] - each[:, :2]).prod(axis=1) for each in (boxes, model)]
    share = shared / (sizes[0][:, None] + sizes[1][None] - shared)
    best = share.argmax(axis=1)
    same: np.ndarray = np.where(share.max(axis=1) > _SAME, best, -1)
    return same


def _lying(quarters: int, width: int, height: int) -> np.ndarray:
    """Return the (3, 3) map from a page that is upright to the one, of that size, that lies."""
    back = np.eye(3)
    for _ in range(quarters):
        back = product(back, np.array([[0.0, -1, width], [1, 0, 0], [0, 0, 1]]))
        width, height = height, width
    return back


def _drawn(forth: np.ndarray, box: np.ndarray, width: int, height: int) -> list[int]:
    """Return left, top, right and bottom of a box of the template on a page, in whole pixels."""
    there = mapped(forth, corners(box.tolist()))
    ends = np.rint([*there.min(axis=0), *there.max(axis=0)])
    x0, y0, x1, y1 = np.clip(ends, 1, [width - 2, height - 2] * 2).astype(int).tolist()
    return [x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)]
