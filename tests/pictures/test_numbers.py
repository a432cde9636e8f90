"""What of a picture of a number is taken for its signs, and what for print."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from digit_classification.pictures.images import grey_from_array
from digit_classification.pictures.numbers import see
from digit_classification.training.numbers.drawing import Layout, draw_number
from digit_classification.training.scenes import Digits
from tests.drawing import draw_digit

HEIGHT = 80  # pixels, of the digits


def picture(left: int = 0) -> np.ndarray:
    """Three digits on paper, with so much room in front of them."""
    page = np.full((160, left + 340), 235, np.uint8)
    for place, digit in enumerate((3, 5, 8)):
        x = left + 30 + 100 * place
        page[40 : 40 + HEIGHT, x : x + HEIGHT] -= (draw_digit(digit, side=HEIGHT) * 0.8).astype(
            np.uint8
        )
    return page


@pytest.mark.parametrize("thickness", [2, 3, 5, 8])
@pytest.mark.parametrize("width", [20, 28, 36])
def test_a_minus_is_no_printed_line(width: int, thickness: int) -> None:
    page = picture(left=90)
    page[78 : 78 + thickness, 50 : 50 + width] = 40
    seen = see(page, "auto")
    assert seen.line is not None
    assert (len(seen.segments), seen.line.left_out) == (4, ())


def test_a_printed_line_is_left_out() -> None:
    page = picture()
    page[128:131, 10:330] = 40
    seen = see(page, "auto")
    assert seen.line is not None
    assert (len(seen.segments), seen.line.left_out) == (3, ("printed lines",))


@pytest.mark.parametrize(("rise", "left_out"), [(0.0, ("printed lines",)), (3.0, ())])
def test_only_what_is_straight_is_a_printed_line(rise: float, left_out: tuple[str, ...]) -> None:
    """Of what joins digits: bars of 5 and 7, and feet of 2, written in a row, are none."""
    page = picture()
    x = np.arange(20, 321, 10)
    way = np.stack([x, 100 + rise * np.sin(x / 20)], axis=1).round().astype(np.int32)
    cv2.polylines(page, [way], False, 40, 3, cv2.LINE_AA)
    seen = see(page, "auto")
    assert seen.line is not None
    assert seen.line.left_out == left_out


@pytest.mark.parametrize("light_ink", [False, True])
@pytest.mark.parametrize("end", [345, 360, 375])
def test_a_ring_around_a_number_is_left_out(end: int, light_ink: bool) -> None:
    """A teacher's mark on a page: drawn all around, but for a gap, or a little more than that."""
    page = cv2.copyMakeBorder(picture(), 120, 120, 60, 60, cv2.BORDER_CONSTANT, value=235)
    ringed = page.copy()
    cv2.ellipse(ringed, (230, 200), (210, 85), 5, 0, end, 60, 5, cv2.LINE_AA)
    page, ringed = (255 - each if light_ink else each for each in (page, ringed))
    plain, seen = see(page, "auto"), see(ringed, "auto")
    assert plain.line is not None
    assert seen.line is not None
    assert (len(seen.segments), seen.line.left_out) == (3, ("a ring around it",))
    boxes = np.array(
        [[each.box_of(i, i + 1, page.shape) for i in range(3)] for each in (plain, seen)]
    )
    assert abs(boxes[0] - boxes[1]).max() < 0.01


def test_a_zero_around_a_speck_is_no_ring() -> None:
    page = picture(left=90)
    cv2.ellipse(page, (60, 80), (26, 38), 0, 0, 360, 60, 5, cv2.LINE_AA)
    page[76:82, 57:63] = 60
    seen = see(page, "auto")
    assert seen.line is not None
    assert seen.line.left_out == ()


def test_boxes_in_a_row_are_no_ring() -> None:
    """Photographed askew they have no corners, but a wall between any two digits."""
    page = cv2.copyMakeBorder(picture(), 120, 120, 60, 60, cv2.BORDER_CONSTANT, value=235)
    for left in (80, 180, 280):
        cv2.rectangle(page, (left, 145), (left + 100, 255), 60, 3)
    turn = cv2.getRotationMatrix2D((230, 200), 7, 1)
    seen = see(cv2.warpAffine(page, turn, page.shape[::-1], borderValue=235), "auto")
    assert seen.line is None or "a ring around it" not in seen.line.left_out


def segments_of(page: np.ndarray) -> int:
    seen = see(page, "auto")
    assert seen.line is not None
    return len(seen.segments)


@pytest.mark.parametrize("side", [4, 7, 10, 12])
def test_a_point_is_a_piece_of_its_own(side: int) -> None:
    page = picture()
    page[106 - side : 106, 116 : 116 + side] = 40
    assert segments_of(page) == 4


@pytest.mark.parametrize(
    ("x", "y", "grey", "segments"),
    [
        pytest.param(176, 101, 40, 4, id="a point"),
        pytest.param(30, 101, 40, 3, id="in front"),
        pytest.param(400, 101, 40, 3, id="behind"),
        pytest.param(176, 60, 40, 3, id="too high"),
        pytest.param(176, 101, 130, 3, id="too light"),
    ],
)
def test_a_speck_half_as_wide_as_the_pen_is_a_point_or_nothing(
    x: int, y: int, grey: int, segments: int
) -> None:
    page = np.pad(picture(left=60), ((0, 0), (0, 30)), constant_values=235)
    page[y : y + 4, x : x + 4] = grey
    assert segments_of(page) == segments


def test_a_minus_below_the_bar_of_a_digit_is_a_piece_of_its_own() -> None:
    page = np.full((160, 220), 235, np.uint8)
    page[40:46, 60:130] = 40  # a 7, whose bar reaches back over the minus
    for row in range(46, 120):
        x = 124 - (row - 46) // 2
        page[row, x : x + 7] = 40
    page[76:81, 56:92] = 40
    assert segments_of(page) == 2


@pytest.mark.parametrize("light_ink", [False, True])
@pytest.mark.parametrize("line", [2, 5, 7])
def test_a_box_cut_out_along_its_lines_is_no_paper(line: int, light_ink: bool) -> None:
    page = picture()[42:118, 20:320]  # tight, so that ink and lines are much of it
    page[:line], page[-line:], page[:, :line], page[:, -line:] = 40, 40, 40, 40
    seen = see(255 - page if light_ink else page, "auto")
    assert seen.line is not None
    assert (seen.line.dark_ink, len(seen.segments)) == (not light_ink, 3)


@pytest.mark.parametrize("light", [0.5, 0.7])
@pytest.mark.parametrize("width", [30, 50, 80])
def test_a_narrow_shadow_is_no_ink(width: int, light: float) -> None:
    page = picture()
    height = len(page)
    band = np.array([(90, 0), (90 + width, 0), (130 + width, height), (130, height)])
    shadow = cv2.GaussianBlur(cv2.fillPoly(np.zeros(page.shape), [band], 1.0), (0, 0), 3)
    assert segments_of((page * (1 - (1 - light) * shadow)).astype(np.uint8)) == 3


@pytest.mark.parametrize("pen", [5, 7])
@pytest.mark.parametrize("rise", [0, 3, 10])
def test_the_long_bar_of_a_digit_is_no_printed_line(rise: int, pen: int) -> None:
    page = picture(left=150)
    seven = np.array([(20, 44 + rise), (135, 44), (77, 119)])
    cv2.polylines(page, [seven], False, 40, pen, cv2.LINE_AA)
    seen = see(page, "auto")
    assert seen.line is not None
    assert (len(seen.segments), seen.line.left_out) == (4, ())


@pytest.mark.parametrize("desk", [60, 110])
@pytest.mark.parametrize("turn", [-4, 0, 4])
def test_the_edge_of_a_sheet_is_no_ink(desk: int, turn: int) -> None:
    """Light falls on it from one side, and its first and last digits are near its edges."""
    sheet = picture()[25:135, 22:318]
    sheet = (sheet * np.linspace(0.75, 1, sheet.shape[1])).astype(np.uint8)
    page = np.full((260, 480), desk, np.uint8)
    page[75 : 75 + sheet.shape[0], 90 : 90 + sheet.shape[1]] = sheet
    about = cv2.getRotationMatrix2D((240, 130), turn, 1)
    page = cv2.warpAffine(page, about, page.shape[::-1], borderValue=desk)
    seen = see(cv2.GaussianBlur(page, (0, 0), 1), "auto")
    assert seen.line is not None
    assert (len(seen.segments), seen.line.left_out) == (3, ("what lies around the paper",))


def test_a_pen_too_thin_to_be_seen_from_afar_is_seen_as_it_is() -> None:
    """Digits are looked at in one height, in which a line of a pixel in 290 is lost."""
    page = np.full((290, 145), 190, np.uint8)
    for path in ([(77, 39), (19, 106), (116, 106)], [(101, 10), (103, 280)]):
        cv2.polylines(page, [np.array(path)], False, 160, 1, cv2.LINE_AA)
    grain = np.random.default_rng(0).normal(0, 4, page.shape)
    seen = see(np.clip(page + grain, 0, 255).astype(np.uint8), "auto")
    assert (seen.said, seen.line is not None) == (None, True)


@pytest.mark.parametrize("seed", [9, 13, 18, 32])
def test_beyond_the_picture_there_are_no_marks(seed: int) -> None:
    """From close by, the lines along which it was cut out would go on, and seem to be digits."""
    digits = Digits(np.stack([draw_digit(digit, side=28) for digit in range(10)]), np.arange(10))
    layout = Layout("close", "box", (2, 6), slope=4, real=True)
    page = grey_from_array(draw_number(np.random.default_rng(seed), digits, layout).pixels)
    line = see(page, "auto").line
    assert line is not None
    rows, columns = np.nonzero(line.marks.mask)
    x, y = line.back[:, :2] @ np.array([columns, rows]) + line.back[:, 2:]
    assert min(x.min(), y.min()) > -1
    assert (x.max() < page.shape[1], y.max() < page.shape[0]) == (True, True)
