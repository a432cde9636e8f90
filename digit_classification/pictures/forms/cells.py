"""The cells between ruled lines, and in which row and column each of them is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from digit_classification.pictures.forms.lines import Ruling
from digit_classification.pictures.images.quantiles import quantile

_SMALLEST = 14  # pixels: a side of a cell
_FILLS = 0.7  # of the rectangle around it: less is no cell, but what lies around some
_CORNER = 0.2  # of a side at each of its ends
_SIDE = 0.3  # of a cell's side is printed, at least, or of the one across from it
_FAINT, _PALE = 4, 0.4  # of darkness: less is not printed; of the line's own
_LARGEST = 0.5  # of the page: more is the page itself
_MOST = 4_000  # cells: more of them is a texture, or squared paper as a whole
_NEAR = 0.4  # of a cell's side: edges that are so near each other are one


@dataclass(frozen=True)
class Regions:
    """The parts of a page between lines.

    Attributes:
        labels: (h, w) int32, the number of the cell that each pixel lies in, from 1; 0 elsewhere.
        boxes: (n, 4) int, left, top, right, bottom of each cell, in pixels.
    """

    labels: np.ndarray
    boxes: np.ndarray


def draw(ruling: Ruling, shape: tuple[int, ...], thicker: int | None = None) -> np.ndarray:
    """Return a page of this shape, (h, w) uint8, with its lines: 1 pixel, or so much `thicker`."""
    page = np.zeros(shape[:2], np.uint8)
    for lines, upright in ((ruling.level, False), (ruling.upright, True)):
        for line in lines:
            columns = np.arange(line.start, line.end)
            points = np.stack([columns, np.rint(line.rows)], axis=1).astype(np.int32)
            if upright:
                points = points[:, ::-1]
            width = 1 if thicker is None else line.thickness + thicker
            cv2.polylines(page, [np.ascontiguousarray(points)], False, 1, width)
    return page


def find_regions(ruling: Ruling, darkness: np.ndarray) -> Regions:
    """Return the cells of a page, (h, w) uint8 as of `Page.darkness`; none if they are too many."""
    shape = darkness.shape
    lines = draw(ruling, shape)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(1 - lines, connectivity=4)
    x, y, w, h, area = stats[1:].T
    cells = (w >= _SMALLEST) & (h >= _SMALLEST) & (area >= _FILLS * w * h)
    cells &= area <= _LARGEST * shape[0] * shape[1]
    cells &= (x > 0) & (y > 0) & (x + w < shape[1]) & (y + h < shape[0])
    if np.count_nonzero(cells) > _MOST:
        cells[:] = False
    boxes = np.stack([x, y, x + w, y + h], axis=1)
    cells[cells] = _enclosed(boxes[cells], _printed(ruling, darkness))
    cells &= ~_around(boxes, cells)
    numbers = np.zeros(count, np.int32)
    numbers[1:][cells] = np.arange(1, np.count_nonzero(cells) + 1)
    return Regions(numbers[labels], boxes[cells])


def _printed(ruling: Ruling, darkness: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where level and upright lines are printed, and not only drawn out: (h, w) uint8."""
    printed = []
    for lines, upright in ((ruling.level, False), (ruling.upright, True)):
        tone = np.ascontiguousarray(darkness.T) if upright else darkness
        tone = cv2.dilate(tone, np.ones((7, 1), np.uint8))  # a line may stray a little
        seen = np.zeros(tone.shape, np.uint8)
        for line in lines:
            columns = np.arange(line.start, line.end)
            rows = np.clip(np.rint(line.rows).astype(int), 0, len(seen) - 1)
            tones = tone[rows, columns]
            seen[rows, columns] = tones > max(_FAINT, _PALE * quantile(tones, 0.7))
        seen = cv2.dilate(seen, np.ones((7, 1), np.uint8))
        printed.append(np.ascontiguousarray(seen.T) if upright else seen)
    return printed[0], printed[1]


def _enclosed(boxes: np.ndarray, printed: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Return which boxes have printed sides, (n,) bool: one left and right, above and below."""
    level, upright = printed
    enclosed = []
    for left, top, right, bottom in boxes.tolist():
        # Without the corners, where lines of the other direction and their shadows lie.
        wide, high = round(_CORNER * (right - left)), round(_CORNER * (bottom - top))
        across, down = slice(left + wide, right - wide), slice(top + high, bottom - high)
        ends = (level[row, across].mean() for row in (top - 1, bottom))
        sides = (upright[down, column].mean() for column in (left - 1, right))
        enclosed.append(max(ends) > _SIDE and max(sides) > _SIDE)
    return np.array(enclosed, bool)


def _around(boxes: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Return which boxes have a cell within them, as a frame around a table does, (n,) bool."""
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    inside = (middles[None] > boxes[:, None, :2]) & (middles[None] < boxes[:, None, 2:])
    within = inside.all(axis=2) & cells[None]
    np.fill_diagonal(within, False)
    return within.any(axis=1)


def places(boxes: np.ndarray) -> list[tuple[int, int]]:
    """Return row and column, from 1, of each of some boxes, (n, 4): left, top, right, bottom.

    Tables one below the other have their own columns; of tables side by side the second goes on
    with columns where the first ends.
    """
    found = [(0, 0)] * len(boxes)
    first = 0
    for band in _apart(boxes, range(len(boxes)), axis=1, tables=_tables(boxes)):
        rows = _edges(boxes, band, axis=1)
        columns: dict[int, int] = {}
        before = 0
        for stack in _apart(boxes, band, axis=0, tables=None):
            own = _edges(boxes, stack, axis=0)
            columns |= {cell: before + own[cell] for cell in stack}
            before += max(own.values())
        for cell in band:
            found[cell] = (first + rows[cell], columns[cell])
        first += max(rows.values())
    return found


def _tables(boxes: np.ndarray) -> list[int]:
    """Return in which table each box is: boxes that share a line are in one."""
    table = list(range(len(boxes)))
    if not len(boxes):
        return table
    slack = 6
    left, top, right, bottom = boxes.T
    touching = (left[:, None] <= right[None] + slack) & (right[:, None] + slack >= left[None])
    touching &= (top[:, None] <= bottom[None] + slack) & (bottom[:, None] + slack >= top[None])
    for one, other in zip(*np.nonzero(touching), strict=True):
        first, second = _root(table, int(one)), _root(table, int(other))
        table[max(first, second)] = min(first, second)
    return [_root(table, cell) for cell in range(len(boxes))]


def _root(table: list[int], cell: int) -> int:
    while table[cell] != cell:
        cell = table[cell]
    return cell


def _apart(
    boxes: np.ndarray, cells: Sequence[int], axis: int, tables: list[int] | None
) -> list[list[int]]:
    """Return groups of cells that lie apart along an axis, in order; a table stays together."""
    spans: dict[int, list[float]] = {}
    for cell in cells:
        low, high = float(boxes[cell, axis]), float(boxes[cell, axis + 2])
        shrunk = 0.15 * (high - low)
        key = cell if tables is None else tables[cell]
        span = spans.setdefault(key, [low + shrunk, high - shrunk])
        span[0], span[1] = min(span[0], low + shrunk), max(span[1], high - shrunk)
    groups: list[tuple[float, list[int]]] = []  # where each ends, and its keys
    for key in sorted(spans, key=lambda key: spans[key][0]):
        low, high = spans[key]
        if groups and low < groups[-1][0]:
            groups[-1] = (max(groups[-1][0], high), [*groups[-1][1], key])
        else:
            groups.append((high, [key]))
    of_key = {key: index for index, (_, keys) in enumerate(groups) for key in keys}
    found: list[list[int]] = [[] for _ in groups]
    for cell in cells:
        found[of_key[cell if tables is None else tables[cell]]].append(cell)
    return found


def _edges(boxes: np.ndarray, cells: Sequence[int], axis: int) -> dict[int, int]:
    """Return for each cell which of the different edges, from 1, it begins at along an axis."""
    begin = {cell: float(boxes[cell, axis]) for cell in cells}
    least = min(float(boxes[cell, axis + 2] - boxes[cell, axis]) for cell in cells)
    found: dict[int, int] = {}
    number, last = 0, -np.inf
    for cell in sorted(cells, key=lambda cell: begin[cell]):
        if begin[cell] - last > _NEAR * least:
            number += 1
        last = begin[cell]
        found[cell] = number
    return found
