"""What of a picture of a number is taken for its signs, and what for print."""

from __future__ import annotations

import numpy as np
import pytest

from digit_classification.pictures.numbers import see
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
