"""Forms drawn with a known truth: tables and rows of boxes, filled with handwritten numbers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np

from digit_classification.training.scenes import Digits, cameras, letters, lines, papers
from digit_classification.training.scenes.sheet import Ink, Rng, Sheet

Camera = Literal["drawn", "scanned", "photographed", "turned"]
CAMERAS: tuple[Camera, ...] = ("drawn", "scanned", "photographed", "turned")

WIDTH, HEIGHT = 1240, 1754  # pixels: A4 at 150 dots an inch
_EMPTY = 1 / 3  # of the cells that are to be filled in
_HEADINGS = ("No.", "Name", "Marks", "Date", "Total", "Group", "Unit", "Code", "Count", "Sum")

Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels


@dataclass(frozen=True)
class DrawnCell:
    """A cell of a form.

    Attributes:
        row, column: its place, from 1.
        box: left, top, right, bottom in shares of the picture, around what is seen of it.
        text: the number that stands in it; None if it is empty.
        printed: whether it holds printed words instead, which nobody should read.
    """

    row: int
    column: int
    box: Box
    text: str | None
    printed: bool = False


@dataclass(frozen=True)
class FormPicture:
    """A picture of a form: (h, w, 3) uint8, and its cells."""

    pixels: np.ndarray
    cells: tuple[DrawnCell, ...]


@dataclass(frozen=True)
class FormLayout:
    """How a form is ruled.

    Attributes:
        grids: of each table its box in shares of the page, its rows and its columns.
        line: width of the lines in pixels.
        outer: width of the frame, if it is another one.
        strength: how dark they are printed, 0..1.
        dash: length of dashes and of the gaps between them, in pixels, or None.
        broken: share of the lines that did not print.
        apart: pixels between boxes; 0 for a table, whose cells share their lines.
        heading: whether words stand in the first row.
        labels: whether words stand in the first column, or beside rows of boxes.
        digits: of a number, at least and at most.
        uneven: whether columns differ in width.
    """

    grids: tuple[tuple[Box, int, int], ...]
    line: float = 2.0
    outer: float | None = None
    strength: float = 0.9
    dash: tuple[float, float] | None = None
    broken: float = 0.0
    apart: float = 0.0
    heading: bool = False
    labels: bool = False
    digits: tuple[int, int] = (1, 4)
    uneven: bool = False


_PAGE = (0.07, 0.1, 0.93, 0.93)
LAYOUTS = {
    "table of 8 × 5": FormLayout(((_PAGE, 8, 5),), heading=True),
    "list of marks": FormLayout(
        (((0.1, 0.12, 0.9, 0.92), 20, 3),), heading=True, labels=True, uneven=True, digits=(1, 2)
    ),
    "table of 200 cells": FormLayout((((0.04, 0.06, 0.96, 0.95), 25, 8),), 1.5, digits=(1, 3)),
    "faint lines": FormLayout(((_PAGE, 12, 5),), 1.2, strength=0.25, heading=True),
    "dashed lines": FormLayout(((_PAGE, 10, 5),), 1.8, dash=(9.0, 5.0)),
    "broken lines": FormLayout(((_PAGE, 10, 6),), 1.8, strength=0.7, broken=0.06),
    "thick frame": FormLayout(((_PAGE, 9, 4),), 1.5, 7.0, heading=True, uneven=True),
    "boxes in rows": FormLayout(
        tuple(
            ((0.4, top, 0.92, top + 0.035), 1, 8) for top in np.arange(0.12, 0.9, 0.075).tolist()
        ),
        apart=12.0,
        labels=True,
        digits=(1, 1),
    ),
    "combs": FormLayout(
        tuple(
            ((0.35, top, 0.93, top + 0.033), 1, 10) for top in np.arange(0.1, 0.9, 0.07).tolist()
        ),
        1.5,
        labels=True,
        digits=(1, 1),
    ),
    "two tables, one above": FormLayout(
        (((0.08, 0.1, 0.92, 0.42), 6, 4), ((0.08, 0.52, 0.92, 0.9), 7, 6)), heading=True
    ),
    "two tables, side by side": FormLayout(
        (((0.06, 0.12, 0.46, 0.88), 15, 3), ((0.54, 0.12, 0.94, 0.88), 15, 3)), digits=(1, 3)
    ),
    "small table": FormLayout((((0.2, 0.35, 0.75, 0.6), 6, 5),), 1.5, digits=(1, 3)),
}


def draw_form(rng: Rng, digits: Digits, layout: FormLayout, camera: Camera) -> FormPicture:
    """Draw one, a third of its cells empty, and take a picture of it."""
    paper = papers.white if camera == "drawn" else papers.office
    sheet = paper(rng, HEIGHT, WIDTH)
    cells = _print(rng, sheet, layout)
    cells = _fill(rng, sheet, cells, digits, layout)
    sheet, matrix = _take_picture(rng, sheet, camera)
    pixels = np.clip(sheet.pixels + 0.5, 0, 255).astype(np.uint8)
    return FormPicture(pixels, tuple(_seen(cell, matrix, pixels.shape) for cell in cells))


def _print(rng: Rng, sheet: Sheet, layout: FormLayout) -> list[DrawnCell]:
    """Rule the sheet; return its cells, their boxes in pixels."""
    ink = Ink(np.full(3, 20, np.float32), layout.strength)
    black = Ink(np.full(3, 20, np.float32), 0.9)
    title = letters.printed_line(rng, 26, 3)
    sheet.write(rng, title, 0.09 * WIDTH, 0.03 * HEIGHT, black)
    cells: list[DrawnCell] = []
    first_row, above = 0, 0.0
    for box, rows, columns in layout.grids:
        left, top, right, bottom = np.multiply(box, (WIDTH, HEIGHT, WIDTH, HEIGHT)).tolist()
        # Beside the one before it, a table goes on in its rows.
        beside = bool(cells) and top < above
        first = cells[-1].column if beside else 0
        first_row = first_row if beside else max((cell.row for cell in cells), default=0)
        above = bottom
        x, y = _edges(rng, left, right, columns, layout.uneven), _edges(rng, top, bottom, rows)
        if layout.labels and layout.heading is False:
            word = letters.printed_line(rng, 17, 2)
            sheet.write(rng, word, 0.08 * WIDTH, (top + bottom) / 2 - 9, black)
        _rule(rng, sheet, x, y, layout, ink)
        for row in range(rows):
            for column in range(columns):
                cell = (x[column], y[row], x[column + 1] - layout.apart, y[row + 1])
                words = (layout.heading and row == 0) or (
                    layout.heading and layout.labels and column == 0
                )
                if words:
                    _label(rng, sheet, cell, black)
                place = (first_row + row + 1, first + column + 1)
                cells.append(DrawnCell(*place, cell, None, words))
    return cells


def _edges(rng: Rng, low: float, high: float, count: int, uneven: bool = False) -> list[float]:
    shares = np.exp(rng.normal(0, 0.3, count)) if uneven else np.ones(count)
    edges = low + (high - low) * np.concatenate([[0], np.cumsum(shares) / shares.sum()])
    return [float(round(edge)) for edge in edges]


def _rule(
    rng: Rng, sheet: Sheet, x: Sequence[float], y: Sequence[float], layout: FormLayout, ink: Ink
) -> None:
    if layout.apart:
        for left, right in itertools.pairwise(x):
            box = (left, y[0], right - layout.apart, y[-1])
            lines.frame(rng, sheet, box, layout.line, ink, dash=layout.dash, broken=layout.broken)
        return
    ends = [(x[0], at, x[-1], at) for at in y] + [(at, y[0], at, y[-1]) for at in x]
    for each in ends:
        lines.stroke(rng, sheet, each, layout.line, ink, dash=layout.dash, broken=layout.broken)
    if layout.outer is not None:
        lines.frame(rng, sheet, (x[0], y[0], x[-1], y[-1]), layout.outer, ink)


def _label(rng: Rng, sheet: Sheet, cell: Box, ink: Ink) -> None:
    height = min(22, round(0.4 * (cell[3] - cell[1])))
    word = letters.printed(str(rng.choice(_HEADINGS)), height)
    word = word[:, : max(1, round(cell[2] - cell[0] - 14))]
    sheet.write(rng, word, cell[0] + 7, (cell[1] + cell[3] - word.shape[0]) / 2, ink)


def _fill(
    rng: Rng, sheet: Sheet, cells: Sequence[DrawnCell], digits: Digits, layout: FormLayout
) -> list[DrawnCell]:
    """Write a number into two of three cells; all are written by one hand."""
    pen, slant = float(np.exp(rng.uniform(np.log(0.06), np.log(0.12)))), float(rng.normal(0.1, 0.1))
    ink = papers.pen_for(rng, sheet)
    filled = []
    for cell in cells:
        if cell.printed or rng.random() < _EMPTY:
            filled.append(cell)
            continue
        text = "".join(
            map(
                str,
                rng.integers(10, size=int(rng.integers(layout.digits[0], layout.digits[1] + 1))),
            )
        )
        _write(rng, sheet, cell.box, text, digits, pen, slant, ink)
        filled.append(replace(cell, text=text))
    return filled


def _write(
    rng: Rng, sheet: Sheet, box: Box, text: str, digits: Digits, pen: float, slant: float, ink: Ink
) -> None:
    width, depth = box[2] - box[0], box[3] - box[1]
    height = min(depth * float(rng.uniform(0.5, 0.72)), 0.8 * width, 70.0)
    height = min(height, 1.25 * width / len(text))
    gaps = rng.uniform(0.08, 0.25, len(text))
    gaps[-1] = 0
    while True:  # smaller, where the number would reach into the next cell
        written = [
            digits.take(rng, int(sign), height=height, pen=pen, slant=slant)[1] for sign in text
        ]
        long = sum(each.shape[1] for each in written) + height * float(gaps.sum())
        if long <= width - 2 or height < 12:
            break
        height *= 0.9 * (width - 2) / long
    spare = max(0.0, width - long - 6)
    x = box[0] + 3 + spare * float(np.clip(rng.normal(0.5, 0.2), 0.05, 0.95))
    spare = max(0.0, depth - height - 4)
    y = box[1] + 2 + spare * float(np.clip(rng.normal(0.5, 0.22), 0, 1))
    for each, gap in zip(written, gaps, strict=True):
        sheet.write(rng, each, x, y + height - each.shape[0], ink)
        x += each.shape[1] + height * float(gap)


def _take_picture(rng: Rng, sheet: Sheet, camera: Camera) -> tuple[Sheet, np.ndarray]:
    """Return the picture, and the (3, 3) map from the sheet's pixels to its own."""
    if camera == "drawn":
        return sheet, np.eye(3)
    if camera == "scanned":
        sheet, matrix = _lay_down(rng, sheet, papers.white, 1.0, float(rng.normal(0, 1.5)), 0)
        cameras.blur(sheet, float(rng.uniform(0, 0.8)))
        cameras.grain(rng, sheet, float(rng.uniform(0, 3)))
        cameras.jpeg(sheet, int(rng.integers(75, 96)))
        return sheet, matrix
    if camera == "turned":
        degrees = float(rng.uniform(-40, 40)) + 90 * int(rng.integers(4))
    else:
        degrees = float(rng.normal(0, 4))
    desk: Callable[[Rng, int, int], Sheet] = papers.wood
    sheet, matrix = _lay_down(rng, sheet, desk, float(rng.uniform(1.05, 1.25)), degrees, 0.035)
    cameras.shade(rng, sheet, float(rng.uniform(0.05, 0.22)))
    if rng.random() < 0.3:
        cameras.shadow(rng, sheet)
    cameras.blur(sheet, float(rng.uniform(0.4, 1.3)))
    cameras.grain(rng, sheet, float(rng.uniform(0.5, 4)), rng.random() < 0.3)
    cameras.jpeg(sheet, int(rng.integers(65, 93)))
    return sheet, matrix


def _lay_down(
    rng: Rng,
    sheet: Sheet,
    ground: Callable[[Rng, int, int], Sheet],
    room: float,
    degrees: float,
    aside: float,
) -> tuple[Sheet, np.ndarray]:
    """Lay a sheet, turned, on a ground that is `room` times as large; see it from `aside`."""
    angle = np.deg2rad(degrees)
    size = np.array([sheet.width, sheet.height], float)
    half = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * size / 2
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    corners = half @ turn
    corners = corners * (1 + rng.uniform(-aside, aside, (4, 1)) * 2)
    seen = np.ceil(np.ptp(corners, axis=0) * room).astype(int)
    target = corners - corners.min(0) + (seen - np.ptp(corners, axis=0)) * rng.uniform(0.2, 0.8, 2)
    matrix = cv2.getPerspectiveTransform(
        (half + size / 2).astype(np.float32), target.astype(np.float32)
    )
    picture = ground(rng, int(seen[1]), int(seen[0]))
    here = np.zeros((picture.height, picture.width), np.uint8)
    cv2.fillConvexPoly(here, np.rint(target * 16).astype(np.int32), 255, cv2.LINE_AA, 4)
    paper = cv2.warpPerspective(
        sheet.pixels, matrix, (picture.width, picture.height), None, 1, cv2.BORDER_REPLICATE
    )
    picture.pixels += (paper - picture.pixels) * (here.astype(np.float32) / 255)[..., None]
    return picture, matrix


def _seen(cell: DrawnCell, matrix: np.ndarray, shape: tuple[int, ...]) -> DrawnCell:
    left, top, right, bottom = cell.box
    corners = np.array([[left, top, 1], [right, top, 1], [right, bottom, 1], [left, bottom, 1]])
    places = corners @ matrix.T
    places = places[:, :2] / places[:, 2:] / [shape[1], shape[0]]
    low, high = places.min(axis=0), places.max(axis=0)
    return replace(cell, box=(float(low[0]), float(low[1]), float(high[0]), float(high[1])))
