"""Boxes, combs, ruled and squared paper around a number: what is found, what is taken out."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digit_classification.network.default_model import DEFAULT_MODEL
from digit_classification.network.model_file import load_model
from digit_classification.network.number import NumberReading, read_numbers
from digit_classification.network.numbers.boxes import read_row
from digit_classification.pictures.numbers import see
from digit_classification.pictures.row import find_row
from digit_classification.pictures.ruled.paper import without_ruling
from digit_classification.settings import SURE
from tests.drawing import draw_digit

CELL = 70  # pixels
PAPER, PRINT, PEN = 225, 90, 50  # grey levels


def page_of(text: str, *, left: int = 40, wide: int = CELL, high: int = 160) -> np.ndarray:
    """Digits on paper, each in the middle of its place, such a `wide` one; blanks are empty."""
    page = np.full((high, 2 * left + wide * len(text)), PAPER, np.uint8)
    for place, digit in enumerate(text):
        if digit == " ":
            continue
        x, y = left + wide * place + (wide - 56) // 2, high // 2 - 28
        ink = draw_digit(int(digit), place, 56) / 255
        here = page[y : y + 56, x : x + 56]
        here[:] = here + ink * (PEN - here.astype(float))
    return page


def in_boxes(text: str, thickness: int = 2) -> np.ndarray:
    page = page_of(text)
    for place in range(len(text)):
        x = 40 + CELL * place
        cv2.rectangle(page, (x, 45), (x + CELL, 115), PRINT, thickness)
    return page


def in_comb(text: str, tooth: int = 28) -> np.ndarray:
    page = page_of(text)
    right = 40 + CELL * len(text)
    cv2.line(page, (40, 115), (right, 115), PRINT, 2)
    for x in range(40, right + 1, CELL):
        cv2.line(page, (x, 115 - tooth), (x, 115), PRINT, 2)
    return page


def turned(page: np.ndarray, degrees: float) -> np.ndarray:
    height, width = page.shape
    about = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    return cv2.warpAffine(page, about, (width, height), borderValue=PAPER)


def read(page: np.ndarray, constraint: str | None = None) -> NumberReading:
    model = load_model(DEFAULT_MODEL)
    return read_numbers([page], "auto", model.network, model.judge, constraint)[0]  # type: ignore[arg-type]


@pytest.mark.parametrize("degrees", [-6, -2, 0, 3, 7])
@pytest.mark.parametrize("draw", [in_boxes, in_comb])
def test_each_box_is_found_in_its_place(draw, degrees: float) -> None:  # type: ignore[no-untyped-def]
    page = turned(draw("405172"), degrees)
    boxes = find_row(page, "auto")
    assert len(boxes) == 6
    middles = [box.place[0] + box.place[2] / 2 for box in boxes]
    expected = [(40 + CELL * (place + 0.5)) / page.shape[1] for place in range(6)]
    assert middles == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("draw", [in_boxes, in_comb])
def test_lines_are_painted_over_and_strokes_are_not(draw) -> None:  # type: ignore[no-untyped-def]
    page = draw("405172")
    for box, bare in zip(find_row(page, "auto"), find_row(draw("      "), "auto"), strict=True):
        assert bare.image.min() > PAPER - 35  # nothing of the lines is left
        assert box.image.min() < PEN + 35


@pytest.mark.parametrize("thickness", [4, 8, 11])
@pytest.mark.parametrize("blur", [1, 7])
def test_thick_teeth_are_painted_over_with_their_blur(thickness: int, blur: int) -> None:
    page = np.full((160, 500), PAPER, np.uint8)
    cv2.rectangle(page, (40, 113), (460, 117), PRINT, -1)
    for x in range(40, 461, CELL):
        x0 = x - thickness // 2
        cv2.rectangle(page, (x0, 75), (x0 + thickness - 1, 115), PRINT, -1)
    boxes = find_row(cv2.GaussianBlur(page, (blur, blur), 0), "auto")
    assert len(boxes) == 6
    for box in boxes:
        assert box.image.min() > PAPER - 35


@pytest.mark.parametrize("end", [0, 1, 5, 6])
def test_a_tooth_that_is_hardly_seen_is_one_between_the_ends_of_its_line(end: int) -> None:
    page = in_comb("405172")
    x = 40 + CELL * end
    page[80:112, x - 3 : x + 4] = PAPER - 20
    middles = [(box.left + box.right) / 2 for box in find_row(page, "auto")]
    expected = [(40 + CELL * (place + 0.5)) / page.shape[1] for place in range(6)]
    assert middles == pytest.approx(expected, abs=0.02)


def test_teeth_that_are_taken_for_ones_are_told_from_them_by_the_comb() -> None:
    page = cv2.GaussianBlur(in_comb("40517", 60), (5, 5), 0)
    assert read(page).text == "40517"


@pytest.mark.parametrize("thickness", [2, 5, 9])
def test_teeth_of_a_comb_without_its_line_are_left_out(thickness: int) -> None:
    page = page_of("405172", high=116)
    for x in range(40, 461, CELL):
        cv2.rectangle(page, (x - thickness // 2, 92), (x + (thickness - 1) // 2, 115), PRINT, -1)
    seen = see(page, "auto")
    assert seen.line is not None
    assert (len(seen.segments), seen.line.left_out) == (6, ("printed lines",))


def test_light_ink_on_dark_paper() -> None:
    assert len(find_row(255 - in_boxes("4051"), "auto")) == 4


def test_boxes_cut_out_along_their_lines() -> None:
    page = in_boxes("4051", 3)[44:117, 39 : 40 + 4 * CELL + 2]
    assert len(find_row(np.ascontiguousarray(page), "auto")) == 4


def test_boxes_that_stand_apart() -> None:
    page = page_of("4051", wide=CELL + 14)
    for place in range(4):
        x = 40 + (CELL + 14) * place + 7
        cv2.rectangle(page, (x, 45), (x + CELL, 115), PRINT, 2)
    assert len(find_row(page, "auto")) == 4


def squared(page: np.ndarray, side: int) -> np.ndarray:
    for x in range(side // 2, page.shape[1], side):
        page[:, x : x + 2] = np.minimum(page[:, x : x + 2], PRINT + 60)
    for y in range(side // 2, page.shape[0], side):
        page[y : y + 2] = np.minimum(page[y : y + 2], PRINT + 60)
    return page


def ruled(page: np.ndarray) -> np.ndarray:
    for y in (38, 119):
        page[y : y + 2] = np.minimum(page[y : y + 2], PRINT + 30)
    return page


@pytest.mark.parametrize(
    "page",
    [
        page_of("405172"),
        page_of("1111"),
        ruled(page_of("405172")),
        squared(page_of("405172"), 32),
        cv2.rectangle(page_of("40"), (36, 40), (184, 120), PRINT, 2),
        np.full((160, 400), PAPER, np.uint8),
        np.full((15, 60), PAPER, np.uint8),
    ],
    ids=["plain", "ones", "ruled", "squared", "one box", "blank", "small"],
)
def test_no_row_of_boxes(page: np.ndarray) -> None:
    assert find_row(page, "auto") == []


@pytest.mark.parametrize("side", [45, 60])
def test_what_stands_on_squared_paper_is_seen_without_it(side: int) -> None:
    seen = see(squared(page_of("405172"), side), "auto")
    assert seen.line is not None
    assert (len(seen.segments), seen.line.left_out) == (6, ("printed lines",))


def test_squared_paper_is_left_out_where_digits_climb() -> None:
    level, page = page_of("405172"), np.full((160, 500), PAPER, np.uint8)
    for place in range(6):
        here = np.s_[:, 40 + CELL * place : 40 + CELL * (place + 1)]
        page[here] = np.roll(level[here], 15 - 6 * place, axis=0)
    seen = see(squared(page, 45), "auto")
    assert seen.line is not None
    assert (len(seen.segments), seen.line.left_out) == (6, ("printed lines",))


def test_a_level_line_under_a_number_is_found_by_the_upright_ones() -> None:
    page = squared(page_of("405172"), 40)
    page[100:102, ::5] = PAPER  # in dashes
    written = without_ruling(page, dark_ink=True)
    assert written is not None
    assert (written[98:104, :30] > PAPER - 35).all()


@pytest.mark.parametrize(("tone", "stays"), [(PEN, True), (PRINT + 60, False)])
def test_a_stroke_along_a_line_stays_if_it_is_darker(tone: int, stays: bool) -> None:
    page = squared(np.full((160, 400), PAPER, np.uint8), 40)
    page[59:63, 145:175] = tone  # on the line at 60
    written = without_ruling(page, dark_ink=True)
    assert written is not None
    assert bool((written[60:62, 150:170] < tone + 35).all()) == stays


def test_a_stroke_between_the_lines_of_squared_paper_is_none_of_them() -> None:
    page = squared(np.full((160, 400), PAPER, np.uint8), 40)  # lines at 20, 60, ... and the next
    page[:, 118:122] = PEN
    written = without_ruling(page, dark_ink=True)
    assert written is not None
    assert (written[:, 119:121] < PEN + 35).mean() > 0.85  # where lines cross it, it may be paper
    beside = np.delete(written, np.s_[112:128], axis=1)
    assert (beside > PAPER - 35).mean() > 0.97


def test_what_stands_on_a_line_is_seen_without_it() -> None:
    seen = see(ruled(page_of("405172")), "auto")
    assert seen.line is not None
    assert (len(seen.segments), seen.line.left_out) == (6, ("printed lines",))


@pytest.mark.parametrize("draw", [in_boxes, in_comb])
def test_a_number_in_boxes_is_read_box_by_box(draw) -> None:  # type: ignore[no-untyped-def]
    page = draw("40 172")  # one box is empty
    reading = read(page)
    assert (reading.text, reading.rejection, reading.left_out) == (
        "40172",
        None,
        ("printed lines",),
    )
    lefts = [digit.box[0] for digit in reading.digits]
    assert lefts == sorted(lefts)
    assert reading.confidence is not None
    assert reading.confidence > 0.5


def test_ink_in_a_box_between_others_is_read_whatever_it_is() -> None:
    page = in_boxes("40 172")
    squiggle = np.array([(-20, 80), (-10, 70), (0, 88), (10, 70), (20, 86)])
    squiggle[:, 0] += 40 + CELL * 5 // 2
    cv2.polylines(page, [squiggle], isClosed=False, color=PEN, thickness=4)
    reading = read(page)
    assert reading.text is not None
    assert (reading.text[:2], reading.text[3:], len(reading.text)) == ("40", "172", 6)
    assert (reading.confidence or 0) < SURE


def test_boxes_that_hold_what_the_constraint_does_not_let_pass() -> None:
    reading = read(in_boxes("4051"), r"1\d{3}")
    assert reading.text is None or reading.text.startswith("1")
    assert (reading.confidence or 0) < SURE  # a person has to look at it


def test_empty_boxes_hold_no_number() -> None:
    model = load_model(DEFAULT_MODEL)
    boxes = find_row(in_boxes("    "), "auto")
    assert len(boxes) == 4
    nothing = [np.zeros(10)] * 4
    assert model.judge is not None
    assert read_row(boxes, nothing, model.number_network, model.judge, None) is None


def test_a_number_on_a_dark_desk_is_no_light_ink() -> None:
    paper = page_of("405", high=120)
    desk = np.full((paper.shape[0] + 120, paper.shape[1] + 140), 60, np.uint8)
    desk[60:-60, 70:-70] = paper
    reading = read(desk)
    assert (reading.text, reading.left_out) == ("405", ("what lies around the paper",))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 90), st.integers(1, 300), st.integers(0, 255), st.integers(0, 2**31))
def test_any_picture_has_boxes_within_it(height: int, width: int, tone: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    page = np.full((height, width), tone, np.uint8)
    for _ in range(rng.integers(8)):
        ends = rng.integers(-20, 320, 4).tolist()
        cv2.line(page, ends[:2], ends[2:], int(rng.integers(256)), int(rng.integers(1, 6)))
    for box in find_row(page, "auto"):
        left, top, across, down = box.place
        assert min(left, top, across, down) >= 0
        assert left + across <= 1 + 1e-9
        assert top + down <= 1 + 1e-9
        assert box.image.dtype == np.uint8
        assert min(box.image.shape) > 0
