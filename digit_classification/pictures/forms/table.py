"""The table on a page: its cells, in their places, and what is written in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from digit_classification.pictures.forms.cells import Regions, find_regions, places
from digit_classification.pictures.forms.ink import cut_cells
from digit_classification.pictures.forms.lines import Ruling
from digit_classification.pictures.forms.page import Page, find_page
from digit_classification.pictures.forms.ruling import find_ruling
from digit_classification.pictures.geometry import corners, inverse, mapped, product
from digit_classification.pictures.images import Invert
from digit_classification.pictures.images.grey import reduce

Box = tuple[float, float, float, float]

_SMALL = 0.65  # of a page: a table that fills less is looked at again, from close by
_ROOM = 0.25  # of the table, around it: lines too fine to be seen at first may lie there
FEWEST = 2  # cells: one alone is a frame around something
_BESIDE = (0.7, 1.2)  # of its width, and of its height, the larger: what is seen on either side
_ABOVE = 0.3  # of its height: what is seen above and below
_LONGEST = 2_000  # pixels: a strip is not drawn larger, before it is made small


@dataclass(frozen=True)
class Cell:
    """A cell of a form.

    Attributes:
        row, column: its place, from 1.
        box: left, top, width, height in shares of the picture, around what is seen of it.
        image: (h, w) uint8, what is written in it, dark on white; None if it is empty.
        level: left, top, right, bottom in pixels of the level page.
        back: (3, 3) float64, from places in the image, in its pixels, to shares of the picture.
        sheet: (3, 3) float64, from pixels of the level page to shares of the picture.
    """

    row: int
    column: int
    box: Box
    image: np.ndarray | None
    level: tuple[int, int, int, int]
    back: np.ndarray
    sheet: np.ndarray

    def box_of(self, box: Box) -> Box:
        """Return a box in shares of the image in shares of the picture."""
        assert self.image is not None
        height, width = self.image.shape
        left, top = box[0] * width, box[1] * height
        return _around(self.back, (left, top, left + box[2] * width, top + box[3] * height))


@dataclass(frozen=True)
class Table:
    """The page of a form, and what is ruled on it.

    Attributes:
        page: seen from so near that its lines are seen.
        ruling: its lines.
        regions: the cells between them, `FEWEST` at least.
        shares: (3, 3) float64, from pixels of the page to shares of the picture.
        whole: the page as a whole, which is level as well.
        sheet: (3, 3) float64, from pixels of the page to shares of it as a whole.
    """

    page: Page
    ruling: Ruling
    regions: Regions
    shares: np.ndarray
    whole: Page
    sheet: np.ndarray

    @property
    def aspect(self) -> float:
        """The width of the whole page by its height."""
        height, width = self.whole.darkness.shape
        return width / height


def find_table(grey: np.ndarray, invert: Invert) -> Table | None:
    """Return the page of a form; None where there is no table.  Arguments as of `find_cells`."""
    if min(grey.shape) < 32:
        return None
    page = sheet = find_page(grey, invert)
    ruling = find_ruling(page.darkness)
    box = _small(ruling, page.darkness.shape)
    if box is not None:
        page = page.closer(box)
        ruling = find_ruling(page.darkness)
    regions = find_regions(ruling, page.darkness)
    if len(regions.boxes) < FEWEST:
        return None
    height, width = sheet.darkness.shape
    return Table(
        page,
        ruling,
        regions,
        shares=product(np.diag([1 / grey.shape[1], 1 / grey.shape[0], 1.0]), page.back),
        sheet=product(
            np.diag([1 / width, 1 / height, 1.0]), product(inverse(sheet.back), page.back)
        ),
        whole=sheet,
    )


def find_cells(grey: np.ndarray, invert: Invert) -> list[Cell]:
    """Return the cells of a form, row by row; none where there is no table.

    Args:
        grey: the picture, (h, w) uint8.
        invert: whether its ink is darker than the paper, as of `images.normalize`.
    """
    table = find_table(grey, invert)
    return [] if table is None else _in_order(cut(table, table.ruling, table.regions))


def cut(table: Table, ruling: Ruling, regions: Regions) -> list[Cell]:
    """Return cells of a page, without their places, in the order of their regions."""
    written = cut_cells(table.page.darkness, ruling, regions)
    cells = []
    for level, own in zip(regions.boxes.tolist(), written, strict=True):
        left, top = (0, 0) if own is None else (own.left, own.top)
        back = product(table.shares, np.array([[1.0, 0, left], [0, 1, top], [0, 0, 1]]))
        image = None if own is None else own.image
        box = _around(table.shares, level)
        cells.append(Cell(0, 0, box, image, tuple(level), back, table.shares))
    return cells


def _small(ruling: Ruling, shape: tuple[int, ...]) -> tuple[int, int, int, int] | None:
    """Return left, top, right and bottom around lines that fill only a part of a page, in pixels.

    None where there is no line, or where they fill so much that nothing is gained from close by.
    """
    if not ruling.level or not ruling.upright:
        return None
    left, right = min(line.start for line in ruling.level), max(line.end for line in ruling.level)
    top, bottom = (
        min(line.start for line in ruling.upright),
        max(line.end for line in ruling.upright),
    )
    long = max(right - left, bottom - top)
    if long > _SMALL * max(shape):
        return None
    room = round(_ROOM * long)
    return left - room, top - room, right + room, bottom + room


def _around(back: np.ndarray, box: Sequence[float]) -> Box:
    """Return left, top, width and height around left, top, right and bottom that are mapped."""
    seen = np.clip(mapped(back, corners(box)), 0, 1)
    low, high = seen.min(axis=0).tolist(), seen.max(axis=0).tolist()
    return low[0], low[1], high[0] - low[0], high[1] - low[1]


def turned(cells: list[Cell], quarters: int) -> list[Cell]:
    """Return the cells as they are on the page turned counter-clockwise by quarters of a turn."""
    for _ in range(quarters % 4):
        width = max(cell.level[2] for cell in cells)
        cells = [turned_by_a_quarter(cell, width) for cell in cells]
    return _in_order(cells)


def turned_by_a_quarter(cell: Cell, width: int) -> Cell:
    """Turn a cell, and the page of that width that it is on, counter-clockwise."""
    left, top, right, bottom = cell.level
    level = (top, width - right, bottom, width - left)
    sheet = product(cell.sheet, np.array([[0, -1.0, width], [1, 0, 0], [0, 0, 1]]))
    if cell.image is None:
        return replace(cell, level=level, sheet=sheet)
    turn = np.array([[0, -1.0, cell.image.shape[1]], [1, 0, 0], [0, 0, 1]])
    image = cv2.rotate(cell.image, cv2.ROTATE_90_COUNTERCLOCKWISE)
    return replace(cell, image=image, level=level, back=product(cell.back, turn), sheet=sheet)


def _in_order(cells: list[Cell]) -> list[Cell]:
    found = places(np.array([cell.level for cell in cells]))
    placed = [
        replace(cell, row=row, column=column)
        for cell, (row, column) in zip(cells, found, strict=True)
    ]
    return sorted(placed, key=lambda cell: (cell.row, cell.column))


@dataclass(frozen=True)
class Strip:
    """A part of a page.

    Attributes:
        pixels: (h, w) uint8.
        forth: (3, 3) float64, from shares of the picture to shares of the strip.
    """

    pixels: np.ndarray
    forth: np.ndarray

    def box_of(self, box: Box) -> Box:
        """Return left, top, width and height around a box, all in shares, on the strip."""
        left, top, width, height = box
        return _around(self.forth, (left, top, left + width, top + height))


def cut_strip(grey: np.ndarray, cell: Cell, longest: int) -> Strip:
    """Return a cell and what is beside it, at most `longest` pixels long.

    `grey` is the picture, (h, w) uint8, in which the cell was found.
    """
    left, top, right, bottom = cell.level
    beside = max(_BESIDE[0] * (right - left), _BESIDE[1] * (bottom - top))
    above = _ABOVE * (bottom - top)
    width, height = right - left + 2 * beside, bottom - top + 2 * above
    step = max(1.0, max(width, height) / _LONGEST)
    size = max(1, round(width / step)), max(1, round(height / step))
    window = np.array([[step, 0, left - beside], [0, step, top - above], [0, 0, 1.0]])
    back = product(cell.sheet, window)  # from pixels of the strip to shares of the picture
    pixels = np.diag([grey.shape[1], grey.shape[0], 1.0])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    strip = cv2.warpPerspective(
        grey, product(pixels, back), size, flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    shares = product(np.diag([1 / size[0], 1 / size[1], 1.0]), inverse(back))
    return Strip(reduce(strip, longest), shares)
