"""Two digits that touch, as the network sees both."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digit_classification.pictures.images.convention import BOX, PAIR_SHAPE
from digit_classification.pictures.numbers import cut_further, see
from digit_classification.pictures.numbers.pairs import pair_image
from tests.drawing import draw_digit

HEIGHT = 80  # pixels, of the digits


def pair(left: int, right: int, gap: int) -> np.ndarray:
    """Strokes of two digits, (h, w) uint8, so many pixels apart."""
    inks = []
    for digit in (left, right):
        ink = draw_digit(digit, side=HEIGHT)
        x, _, w, _ = cv2.boundingRect(ink)
        inks.append(ink[:, x : x + w])
    first, second = (ink.shape[1] for ink in inks)
    strokes = np.zeros((HEIGHT, first + gap + second), np.uint8)
    strokes[:, :first] = inks[0]
    part = strokes[:, first + gap :]
    np.maximum(part, inks[1], out=part)
    return strokes


def on_paper(strokes: np.ndarray) -> np.ndarray:
    return np.pad((235 - 0.8 * strokes).astype(np.uint8), 40, constant_values=235)


@given(st.integers(0, 9), st.integers(0, 9), st.integers(-12, 6), st.floats(0.3, 3.0))
def test_a_pair_is_as_high_as_a_digit_and_in_the_middle(
    left: int, right: int, gap: int, scale: float
) -> None:
    strokes = cv2.resize(
        pair(left, right, gap), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA
    )
    image = pair_image(strokes)
    assert (image.shape, image.dtype) == (PAIR_SHAPE, np.dtype(np.uint8))
    x, y, w, h = cv2.boundingRect((image > 40).astype(np.uint8))
    assert BOX - 2 <= h <= BOX
    assert abs(y + h / 2 - PAIR_SHAPE[0] / 2) <= 1
    assert abs(x + w / 2 - PAIR_SHAPE[1] / 2) <= 1.5


@pytest.mark.parametrize(
    ("squeeze", "least", "most"), [(0.4, 16, 24), (1.0, 26, 36), (3.0, 36, 36)]
)
def test_its_width_is_brought_halfway_to_the_usual(squeeze: float, least: int, most: int) -> None:
    strokes = cv2.resize(pair(5, 6, 0), None, fx=squeeze, fy=1, interpolation=cv2.INTER_AREA)
    _, _, w, _ = cv2.boundingRect((pair_image(strokes) > 40).astype(np.uint8))
    assert least <= w <= most


def test_of_nothing_it_is_empty() -> None:
    assert not pair_image(np.zeros((30, 40), np.uint8)).any()


def test_where_digits_touch_there_is_a_pair() -> None:
    first = see(on_paper(pair(5, 6, -2)), "auto")
    assert [(each.first, each.last) for each in first.pairs] == [(0, 1)]
    [cut] = cut_further(first)
    assert (0, len(cut.segments)) in [(each.first, each.last) for each in cut.pairs]
    assert all(each.last - each.first >= 2 for each in cut.pairs)


def test_where_digits_stand_apart_there_is_none() -> None:
    first = see(on_paper(pair(5, 6, 12)), "auto")
    assert len(first.segments) == 2
    [cut] = cut_further(first)
    pieces = cut.segments.pieces
    assert all(pieces[each.first] == pieces[each.last - 1] for each in cut.pairs)
