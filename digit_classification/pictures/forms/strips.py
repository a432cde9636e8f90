"""A cell as a person looks at it: within its row, seen from straight above."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from digit_classification.pictures.forms import Box, Cell
from digit_classification.pictures.geometry import inverse, mapped, product
from digit_classification.pictures.images.grey import reduce

_BESIDE = (0.7, 1.2)  # of its width, and of its height, the larger: what is seen on either side
_ABOVE = 0.3  # of its height: what is seen above and below
_LONGEST = 2_000  # pixels: a strip is not drawn larger, before it is made small


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
        right, bottom = left + width, top + height
        corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
        there = np.clip(mapped(self.forth, corners), 0, 1)
        low, high = there.min(axis=0).tolist(), there.max(axis=0).tolist()
        return low[0], low[1], high[0] - low[0], high[1] - low[1]


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
    return Strip(reduce(strip, longest), product(np.diag([1 / size[0], 1 / size[1], 1.0]), inverse(back)))
