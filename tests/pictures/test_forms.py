"""Forms are found in pictures: their cells, in which row and column, and what is written there."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from digit_classification.pictures.forms.table import Cell, find_cells, turned
from digit_classification.pictures.images import grey_from_array
from digit_classification.training.numbers.forms import (
    LAYOUTS,
    Camera,
    FormPicture,
    draw_form,
)
from digit_classification.training.scenes import Digits
from tests.drawing import draw_digit

WRITTEN = {(1, 1), (2, 3), (3, 2)}


def table(rows: int = 3, columns: int = 4, tone: int = 0, width: int = 3) -> np.ndarray:
    """A table of cells of 120 x 90 pixels, with sevens in some of them."""
    page = np.full((rows * 90 + 80, columns * 120 + 80), 255, np.uint8)
    for row in range(rows + 1):
        y = 40 + 90 * row
        page[y : y + width, 40 : 40 + 120 * columns + width] = tone
    for column in range(columns + 1):
        x = 40 + 120 * column
        page[40 : 40 + 90 * rows + width, x : x + width] = tone
    for row, column in WRITTEN & {(r, c) for r in range(rows + 1) for c in range(columns + 1)}:
        x, y = 40 + 120 * (column - 1) + 35, 40 + 90 * (row - 1) + 20
        digit = 255 - draw_digit(7, seed=row, side=56)
        page[y : y + 56, x : x + 56] = np.minimum(page[y : y + 56, x : x + 56], digit)
    return page


def places(cells: list[Cell]) -> set[tuple[int, int]]:
    return {(cell.row, cell.column) for cell in cells}


def written(cells: list[Cell]) -> set[tuple[int, int]]:
    return {(cell.row, cell.column) for cell in cells if cell.image is not None}


ALL = {(row, column) for row in (1, 2, 3) for column in (1, 2, 3, 4)}


def turn(page: np.ndarray, degrees: float) -> np.ndarray:
    """Turn a page counter-clockwise about its middle, with all of it in view."""
    room = max(page.shape)
    roomy = np.pad(page, room // 3, constant_values=255)
    matrix = cv2.getRotationMatrix2D((roomy.shape[1] / 2, roomy.shape[0] / 2), degrees, 1)
    return cv2.warpAffine(roomy, matrix, roomy.shape[::-1], borderValue=255)


@pytest.mark.parametrize(
    "page",
    [
        table(),
        table(tone=200, width=2),
        255 - table(),
        turn(table(), 17),
        turn(table(), -38),
        cv2.GaussianBlur(table(), (0, 0), 1.5),
        np.pad(table(), 150, constant_values=60),
        cv2.resize(table(), None, fx=3, fy=3),
    ],
    ids=["plain", "faint", "light", "turned", "turned far", "blurred", "desk", "large"],
)
def test_a_table_is_found(page: np.ndarray) -> None:
    cells = find_cells(page, "auto")
    assert [(cell.row, cell.column) for cell in cells] == sorted(ALL)
    assert written(cells) == WRITTEN


def test_boxes_are_in_shares_of_the_picture() -> None:
    page = table()
    height, width = page.shape
    for cell in find_cells(page, "auto"):
        left, top, wide, high = cell.box
        expected = (40 + 120 * (cell.column - 1), 40 + 90 * (cell.row - 1), 120, 90)
        found = (left * width, top * height, wide * width, high * height)
        assert found == pytest.approx(expected, abs=4)


def test_what_is_written_comes_without_lines() -> None:
    cells = find_cells(table(), "auto")
    for cell in cells:
        if cell.image is not None:
            dark = cell.image < 128
            assert 0.01 < dark.mean() < 0.3
            # What surrounds the digit is as white as can be, lines too.
            assert not dark[:3].any()
            assert not dark[:, :3].any()


def test_where_ink_is_told_in_the_picture() -> None:
    page = turn(table(), 17)
    for cell in find_cells(page, "auto"):
        if cell.image is None:
            continue
        y, x = np.nonzero(cell.image < 128)
        height, width = cell.image.shape
        box = (x.min() / width, y.min() / height, np.ptp(x) / width, np.ptp(y) / height)
        left, top, wide, high = cell.box_of(box)
        part = page[
            round(top * page.shape[0]) : round((top + high) * page.shape[0]),
            round(left * page.shape[1]) : round((left + wide) * page.shape[1]),
        ]
        assert (part < 128).sum() == pytest.approx((cell.image < 128).sum(), rel=0.5)


def test_cells_are_turned_with_their_page() -> None:
    cells = find_cells(np.ascontiguousarray(np.rot90(table())), "auto")
    assert places(cells) == {(row, column) for column, row in ALL}
    upright = turned(cells, 3)
    assert [(cell.row, cell.column) for cell in upright] == sorted(ALL)
    assert written(upright) == WRITTEN
    straight = {(cell.row, cell.column): cell for cell in find_cells(table(), "auto")}
    for cell in upright:
        image = straight[cell.row, cell.column].image
        if cell.image is not None and image is not None:
            size = image.shape[::-1]
            assert abs(cv2.resize(cell.image, size).astype(int) - image).mean() < 12


def test_tables_one_below_the_other_have_columns_of_their_own() -> None:
    below = np.full((260, 560), 255, np.uint8)
    below[:, : 3 * 120 + 80] = table(2, 3)
    page = np.concatenate([table(2, 4), below])
    assert places(find_cells(page, "auto")) == {
        *((row, column) for row in (1, 2) for column in (1, 2, 3, 4)),
        *((row, column) for row in (3, 4) for column in (1, 2, 3)),
    }


def test_a_table_beside_another_goes_on_with_its_columns() -> None:
    page = np.concatenate([table(3, 2), table(3, 2)], axis=1)
    assert places(find_cells(page, "auto")) == ALL


def test_merged_cells_are_one() -> None:
    page = table()
    page[44:129, 158:166] = 255  # no line between the first two cells of the first row
    cells = find_cells(page, "auto")
    assert places(cells) == ALL - {(1, 2)}


@pytest.mark.parametrize(
    "page",
    [
        np.full((600, 400), 255, np.uint8),
        np.full((20, 30), 255, np.uint8),
        np.pad(255 - draw_digit(8, side=200), 60, constant_values=255),
        np.random.default_rng(1).integers(0, 255, (500, 700)).astype(np.uint8),
        255 - np.tile(draw_digit(4, side=60), (8, 9)),
    ],
    ids=["white", "tiny", "digit", "noise", "digits"],
)
def test_where_there_is_no_table_there_are_no_cells(page: np.ndarray) -> None:
    assert find_cells(page, "auto") == []


@pytest.mark.parametrize(("squares", "cells"), [(20, 400), (66, 0)])
def test_squared_paper_as_a_whole_is_no_table(squares: int, cells: int) -> None:
    side = 30 * squares
    page = np.full((side + 60, side + 60), 255, np.uint8)
    for line in range(30, side + 31, 30):
        page[line : line + 2, 30 : side + 32] = 0
        page[30 : side + 32, line : line + 2] = 0
    assert len(find_cells(page, "auto")) == cells


# ------------------------------------------------------------------------------- of a whole page


@pytest.fixture(scope="module")
def digits() -> Digits:
    """Digits that are drawn for the test, light on dark."""
    labels = np.repeat(np.arange(10), 3)
    images = [draw_digit(int(digit), seed) for seed, digit in enumerate(labels)]
    return Digits(np.stack(images), labels)


def found(picture: FormPicture) -> tuple[float, list[Cell]]:
    """The share of a form's cells that are found, told by their boxes; and all that are found."""
    cells = find_cells(grey_from_array(picture.pixels, 2400), "auto")
    boxes = np.array([cell.box for cell in cells]).reshape(-1, 4)
    middles = boxes[:, :2] + boxes[:, 2:] / 2
    hits = 0
    for truth in picture.cells:
        low, high = np.array(truth.box[:2]), np.array(truth.box[2:])
        near = abs(middles - (low + high) / 2) < 0.2 * (high - low)
        like = abs(boxes[:, 2:] - (high - low)) < 0.3 * (high - low)
        hits += bool((near & like).all(axis=1).any())
    return hits / len(picture.cells), cells


@pytest.mark.parametrize(
    ("layout", "camera"),
    [
        ("table of 8 × 5", "photographed"),
        ("table of 200 cells", "scanned"),
        ("faint lines", "drawn"),
        ("dashed lines", "photographed"),
        ("thick frame", "turned"),
        ("boxes in rows", "photographed"),
        ("combs", "scanned"),
        ("small table", "turned"),
    ],
)
def test_drawn_forms_are_found(layout: str, camera: Camera, digits: Digits) -> None:
    picture = draw_form(np.random.default_rng(5), digits, LAYOUTS[layout], camera)
    share, cells = found(picture)
    assert share >= 0.96
    assert len(cells) <= 1.03 * len(picture.cells)
    empty = sum(cell.text is None and not cell.printed for cell in picture.cells)
    assert sum(cell.image is None for cell in cells) == pytest.approx(empty, abs=2)
