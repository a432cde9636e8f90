"""Forms without lines, known again by a mark in each corner, however the page lies."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from digit_classification.pictures.forms.fields import find_fields
from digit_classification.pictures.forms.marks import find_marked_page
from digit_classification.pictures.forms.table import Cell
from digit_classification.pictures.forms.template import Template, TemplateField, TemplatePage
from tests.drawing import draw_digit

WIDTH, HEIGHT = 700, 900
CORNERS = ((50, 60), (640, 60), (640, 840), (50, 840))
# The middle of each field, and the digit in it.
WRITTEN = {"first": ((200, 250), 2), "second": ((450, 250), 7), "third": ((200, 600), 5)}


def sheet(shape: str = "square", missing: int = 0) -> np.ndarray:
    """A page with marks in its corners, but for so many, and three digits."""
    page = np.full((HEIGHT, WIDTH), 255, np.uint8)
    for x, y in CORNERS[missing:]:
        if shape == "square":
            cv2.rectangle(page, (x - 11, y - 11), (x + 11, y + 11), 0, -1)
        else:
            cv2.circle(page, (x, y), 12, 20, -1)
    for (x, y), digit in WRITTEN.values():
        page[y - 30 : y + 30, x - 30 : x + 30] &= 255 - draw_digit(digit, digit, side=60)
    return page


def template() -> Template:
    fields = [
        TemplateField(
            name=name, box=((x - 50) / WIDTH, (y - 45) / HEIGHT, 100 / WIDTH, 90 / HEIGHT)
        )
        for name, ((x, y), _) in WRITTEN.items()
    ]
    marks = tuple((x / WIDTH, y / HEIGHT) for x, y in CORNERS)
    page = TemplatePage.model_validate({"aspect": WIDTH / HEIGHT, "marks": marks})
    return Template(fields=tuple(fields), page=page)


def seen(page: np.ndarray, corners: list[tuple[int, int]], side: int = 1100) -> np.ndarray:
    """The page on a dark desk, its corners there, clockwise from its top left."""
    ends = np.array([(0, 0), (WIDTH, 0), (WIDTH, HEIGHT), (0, HEIGHT)], np.float32)
    forth = cv2.getPerspectiveTransform(ends, np.array(corners, np.float32))
    desk = np.full((side, side), 60, np.uint8)
    return cv2.warpPerspective(
        page, forth, (side, side), dst=desk, borderMode=cv2.BORDER_TRANSPARENT
    )


VIEWS = {
    "straight": sheet(),
    "discs": sheet("disc"),
    "upside down": np.ascontiguousarray(np.rot90(sheet(), 2)),
    "on its left side": np.ascontiguousarray(np.rot90(sheet())),
    "on its right side": np.ascontiguousarray(np.rot90(sheet(), 3)),
    "scanned askew": seen(sheet(), [(120, 90), (780, 150), (700, 1000), (40, 940)]),
    "photographed": seen(sheet(), [(230, 130), (840, 180), (960, 1010), (120, 950)]),
    "larger": cv2.resize(sheet(), None, fx=2.2, fy=2.2, interpolation=cv2.INTER_CUBIC),
}


def as_drawn(cells: list[Cell]) -> list[float]:
    """How far the ink of each field is like the digit that was drawn there, 0 to 1."""
    likeness = []
    for cell, (_, digit) in zip(cells, WRITTEN.values(), strict=True):
        assert cell.image is not None
        found, drawn = (_cropped(255 - cell.image), _cropped(draw_digit(digit, digit, side=60)))
        likeness.append(float(np.corrcoef(found.ravel(), drawn.ravel())[0, 1]))
    return likeness


def _cropped(ink: np.ndarray) -> np.ndarray:
    left, top, width, height = cv2.boundingRect((ink > 80).astype(np.uint8))
    return cv2.resize(ink[top : top + height, left : left + width], (40, 40)).astype(float)


@pytest.mark.parametrize("view", VIEWS)
def test_fields_are_cut_however_the_page_lies(view: str) -> None:
    fields = find_fields(VIEWS[view], "auto", template())
    assert fields.met == 4
    # By the marks alone a page may be upside down: which way reads better, the reader tells.
    best = max((as_drawn(cells) for cells in fields.ways if _all_have_ink(cells)), key=min)
    assert min(best) > 0.75


def _all_have_ink(cells: list[Cell]) -> bool:
    return all(cell.image is not None for cell in cells)


def test_the_places_of_fields_are_those_on_the_picture() -> None:
    first = next(find_fields(VIEWS["straight"], "auto", template()).ways)
    for cell, ((x, y), _) in zip(first, WRITTEN.values(), strict=True):
        left, top, width, height = cell.box
        assert (left + width / 2) * WIDTH == pytest.approx(x, abs=2)
        assert (top + height / 2) * HEIGHT == pytest.approx(y, abs=2)


@pytest.mark.parametrize("missing", [1, 2, 4])
def test_without_all_marks_it_is_another_form(missing: int) -> None:
    fields = find_fields(sheet(missing=missing), "auto", template())
    assert fields.met < 4
    assert [*fields.ways] == []


def test_digits_and_pictures_are_no_marks() -> None:
    """What is solid may be in a form, too: the outermost are taken that are all of one size."""
    page = sheet()
    page[100:160, 300:500] = 0  # a bar
    page[400:440, 330:370] = 0  # a square in the middle
    page[30:45, 100:115] = 0  # a small one, nearer to the corner
    marks = find_marked_page(page, "auto").marks
    assert np.abs(marks - CORNERS).max() < 2
