"""Step 3: whether the ink is darker than its paper."""

from __future__ import annotations

import math

import cv2
import numpy as np

from digit_classification.pictures.images.convention import SMALL
from digit_classification.pictures.images.ink import in_detail, without_dark_strokes
from digit_classification.pictures.images.quantiles import quantiles

_NEAR = 0.1  # of the shorter side: no stroke is twice as wide
_CLEAR = 0.05  # the difference of two deviations, in their sum, that tells


def has_dark_ink(grey: np.ndarray) -> bool:
    """Whether the paper is the lighter part: what is more even, or holds the border and corners."""
    large = max(grey.shape) > SMALL
    if large:
        more_even = _how_much_more_even_is_light(grey)
        if abs(more_even) > _CLEAR:
            return more_even > 0
    rest: np.ndarray = grey.astype(np.float32)
    if large:
        small = cv2.resize(grey, (64, 64), interpolation=cv2.INTER_AREA)
        small = cv2.copyMakeBorder(small, 20, 20, 20, 20, cv2.BORDER_REFLECT)
        paper = cv2.medianBlur(small, 41)[20:-20, 20:-20]  # whichever is lighter, most is paper
        rest -= cv2.resize(paper, grey.shape[::-1])
        rest = cv2.blur(rest, (3, 3))
    low, high = quantiles(rest, 0.001, 0.999)
    if min(-low, high) > 0.5 * max(-low, high) and _is_of_two_tones(grey):
        rest = grey.astype(np.float32)  # so much ink that it is the median in places
        low, high = quantiles(rest, 0.001, 0.999)
    light = rest > (low + high) / 2
    share = light.mean()
    if abs(share - 0.5) > 0.35:  # no digit holds so much, whatever lies along the border
        return bool(share > 0.5)
    border = np.concatenate([light[0], light[-1], light[1:-1, 0], light[1:-1, -1]]).mean()
    at_corners = np.mean([corner.mean() for corner in corners(light, 12)])
    pieces = [min(4, _count_pieces(part)) for part in (light, ~light)]
    # Weights after a logistic regression on tightly cropped 16x16 digits, in which ink is as much
    # of the border as paper: there the corners tell, and ink hangs together better than paper.
    return bool(border - 0.5 + 0.7 * (at_corners - 0.5) + 0.2 * (pieces[0] - pieces[1]) > 0)


def _how_much_more_even_is_light(grey: np.ndarray) -> float:
    """Compare a picture without its dark strokes to it without its light ones, from -1 to 1.

    Without its strokes paper is even; what the other ink would be written on is not: dark where
    strokes are dense, and light elsewhere.
    """
    small = in_detail(grey)
    furthest = _NEAR * min(small.shape)
    without_dark, without_light = (
        _deviation(without_dark_strokes(each, furthest)) for each in (small, 255 - small)
    )
    both = without_dark + without_light
    return (without_light - without_dark) / both if both else 0.0


def _deviation(grey: np.ndarray) -> float:
    """Return the standard deviation, of sums that are exact, in whatever order they are added."""
    values = grey.astype(np.int64)
    return math.sqrt(values.size * int((values**2).sum()) - int(values.sum()) ** 2) / values.size


def _is_of_two_tones(grey: np.ndarray) -> bool:
    """Whether hardly a pixel lies between the light and the dark: no shadow is on the paper."""
    low, high = quantiles(grey, 0.001, 0.999)
    between = abs(grey - (low + high) / 2) < (high - low) / 4
    return bool(between.mean() < 0.2)


def corners(part: np.ndarray, fraction: int) -> list[np.ndarray]:
    """Return the four corners, each a `fraction`-th of the height and of the width."""
    h, w = (max(1, side // fraction) for side in part.shape)
    return [part[:h, :w], part[:h, -w:], part[-h:, :w], part[-h:, -w:]]


def _count_pieces(part: np.ndarray) -> int:
    """Count the connected pieces of what is True, but for specks."""
    areas = cv2.connectedComponentsWithStats(part.astype(np.uint8))[2][1:, cv2.CC_STAT_AREA]
    return int(np.count_nonzero(areas > part.size / 200))
