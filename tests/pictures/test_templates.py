"""The fields of a template are found on other pages of its form, and on no page of another one."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from digit_classification.pictures.forms.fields import find_fields
from digit_classification.pictures.forms.table import Cell, find_table
from digit_classification.pictures.forms.template import Template, TemplateField, TemplatePage
from digit_classification.pictures.geometry import mapped
from digit_classification.pictures.images import grey_from_array
from digit_classification.training.numbers.forms import (
    LAYOUTS,
    Camera,
    FormPicture,
    draw_form,
)
from digit_classification.training.scenes import Digits
from tests.drawing import draw_digit


@pytest.fixture(scope="module")
def digits() -> Digits:
    """Digits that are drawn for the test, light on dark."""
    labels = np.repeat(np.arange(10), 3)
    images = [draw_digit(int(digit), seed) for seed, digit in enumerate(labels)]
    return Digits(np.stack(images), labels)


def template_of(grey: np.ndarray) -> Template:
    """A template of all cells that are found on a page, named by their numbers."""
    table = find_table(grey, "auto")
    assert table is not None
    boxes = table.regions.boxes.astype(float)
    low, high = mapped(table.sheet, boxes[:, :2]), mapped(table.sheet, boxes[:, 2:])
    cells = [tuple(each) for each in np.concatenate([low, high - low], axis=1).tolist()]
    fields = [TemplateField(name=f"f{number}", box=box) for number, box in enumerate(cells)]
    return Template(fields=tuple(fields), page=TemplatePage(aspect=table.aspect, cells=cells))


def middles(boxes: np.ndarray) -> np.ndarray:
    return boxes[:, :2] + boxes[:, 2:] / 2


def nearest(cells: list[Cell], picture: FormPicture) -> list[tuple[int, int]]:
    """Row and column, as drawn, of what lies nearest to each cell."""
    ends = np.array([cell.box for cell in picture.cells])
    drawn = (ends[:, :2] + ends[:, 2:]) / 2
    found = middles(np.array([cell.box for cell in cells]))
    which = ((found[:, None] - drawn[None]) ** 2).sum(axis=2).argmin(axis=1)
    return [(picture.cells[i].row, picture.cells[i].column) for i in which]


def page(layout: str, camera: Camera, seed: int, digits: Digits) -> tuple[FormPicture, np.ndarray]:
    picture = draw_form(np.random.default_rng(seed), digits, LAYOUTS[layout], camera)
    return picture, grey_from_array(picture.pixels, 2400)


@pytest.mark.parametrize(
    ("layout", "camera"),
    [
        ("two tables, one above", "scanned"),
        ("two tables, one above", "photographed"),
        ("two tables, one above", "turned"),
        ("faint lines", "photographed"),
        ("broken lines", "scanned"),
        ("small table", "turned"),
    ],
)
def test_fields_are_found_on_other_pages(layout: str, camera: Camera, digits: Digits) -> None:
    first, grey = page(layout, "scanned", 77, digits)
    template = template_of(grey)
    (same, *_) = find_fields(grey, "auto", template).ways
    second, grey = page(layout, camera, 1, digits)
    fields = find_fields(grey, "auto", template)
    # A table whose rows are alike reads upside down as well: that is for the reader to tell.
    places = [nearest(cells, second) for cells in fields.ways]
    assert nearest(same, first) in places
    assert fields.met >= 0.85 * len(template.fields)


def test_no_field_is_found_on_a_page_of_another_form(digits: Digits) -> None:
    names = ("table of 8 × 5", "faint lines", "two tables, one above", "small table")
    greys = {name: page(name, "scanned", 77, digits)[1] for name in names}
    for one, other in itertools.permutations(names, 2):
        fields = find_fields(greys[other], "auto", template_of(greys[one]))
        assert [*fields.ways] == [], f"{one} on {other}"
    assert find_fields(np.full((300, 200), 255, np.uint8), "auto", template_of(greys[one])).met == 0


# --------------------------------------------------------------------------- on a page of our own

COLUMNS = (40, 160, 320, 520)  # of different widths
ROWS = tuple(range(40, 641, 60))
WIDTH, HEIGHT = 580, 680
WRITTEN = {(0, 0): 2, (1, 2): 7, (3, 1): 5}  # by row and column, from 0


def form(written: dict[tuple[int, int], int], shorter: int = 0) -> np.ndarray:
    """A table with digits in some cells; a line between columns ends so many rows before others."""
    sheet = np.full((HEIGHT, WIDTH), 255, np.uint8)
    for y in ROWS:
        sheet[y : y + 3, COLUMNS[0] : COLUMNS[-1] + 3] = 0
    for x in COLUMNS:
        last = ROWS[-1 - shorter] if x == COLUMNS[1] else ROWS[-1]
        sheet[ROWS[0] : last + 3, x : x + 3] = 0
    for (row, column), digit in written.items():
        ink = 255 - draw_digit(digit, seed=row, side=40)
        top, left = ROWS[row] + 12, COLUMNS[column] + 40
        sheet[top : top + 40, left : left + 40] &= ink
    return sheet


def drawn_in(cell: Cell) -> np.ndarray:
    """Where ink is in a cell, in a square."""
    assert cell.image is not None
    ink = (cell.image < 190).astype(np.uint8)
    left, top, width, height = cv2.boundingRect(ink)
    square = cv2.resize(ink[top : top + height, left : left + width] * 255, (40, 40))
    return np.asarray(square > 127)


def order(template: Template, row: int, column: int) -> int:
    """The place of a cell among the fields of a template, which are by row and column."""
    boxes = middles(np.array([field.box for field in template.fields]))
    at = np.array([(COLUMNS[column] + COLUMNS[column + 1]) / 2, (ROWS[row] + ROWS[row + 1]) / 2])
    return int(np.abs(boxes * (WIDTH, HEIGHT) - at).sum(axis=1).argmin())


@pytest.mark.parametrize("quarters", range(4))
def test_a_page_may_lie_in_any_direction(quarters: int) -> None:
    template = template_of(form({}))
    assert len(template.fields) == 30
    lying = np.ascontiguousarray(np.rot90(form(WRITTEN), quarters))
    (cells, *others) = find_fields(lying, "auto", template).ways
    assert others == []
    filled = {number for number, cell in enumerate(cells) if cell.image is not None}
    assert filled == {order(template, *place) for place in WRITTEN}
    (upright,) = find_fields(form(WRITTEN), "auto", template).ways
    for number in filled:
        one, other = drawn_in(cells[number]), drawn_in(upright[number])
        assert (one & other).sum() > 0.8 * (one | other).sum()


def test_a_cell_that_is_not_found_is_cut_where_the_template_has_it() -> None:
    template = template_of(form({}))
    further = {(9, 0): 8, (9, 1): 4}
    seen = form({**WRITTEN, **further}, shorter=2)
    table = find_table(seen, "auto")
    assert table is not None
    assert len(table.regions.boxes) == 28
    fields = find_fields(seen, "auto", template)
    (cells,) = fields.ways
    assert fields.met == 26
    filled = {number for number, cell in enumerate(cells) if cell.image is not None}
    assert filled == {order(template, *place) for place in (*WRITTEN, *further)}
    left, top, width, height = cells[order(template, 9, 1)].box
    assert (left * WIDTH, top * HEIGHT) == pytest.approx((COLUMNS[1], ROWS[9]), abs=5)
    assert (width * WIDTH, height * HEIGHT) == pytest.approx((160, 60), abs=8)


def test_a_field_may_be_a_part_of_a_cell() -> None:
    whole = template_of(form({}))
    left, top, width, height = whole.fields[order(whole, 0, 2)].box
    halves = [
        TemplateField(name=name, box=(left + start * width, top, width / 2, height))
        for name, start in (("tens", 0.0), ("ones", 0.5))
    ]
    template = Template(fields=tuple(halves), page=whole.page)
    ((tens, ones),) = find_fields(form({(0, 2): 3}), "auto", template).ways
    assert tens.image is not None
    assert ones.image is None


def test_a_row_too_many_or_too_few_is_told_by_where_it_is() -> None:
    """Of a table whose rows are alike."""

    def table(first: int, last: int, shift: int = 0) -> np.ndarray:
        sheet = np.full((900, 500), 255, np.uint8)
        for row in range(first, last + 1):
            sheet[50 + shift + 40 * row :][:3, 40:463] = 0
        for x in (40, 180, 320, 460):
            sheet[50 + shift + 40 * first : 53 + shift + 40 * last, x : x + 3] = 0
        return sheet

    template = template_of(table(0, 20))
    for lost in (table(1, 20), table(0, 19)):
        way, *_ = find_fields(lost, "auto", template).ways
        assert middles(np.array([cell.box for cell in way]))[:, 1] * 900 == pytest.approx(
            middles(np.array([field.box for field in template.fields]))[:, 1] * 900, abs=6
        )
    # Half a row lower on the glass: which one is lost nobody can tell.
    assert [*find_fields(table(1, 20, shift=-20), "auto", template).ways] == []
