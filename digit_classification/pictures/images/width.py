"""Step 6: bring the width of the strokes into the range that MNIST's digits have."""

from __future__ import annotations

import math

import cv2
import numpy as np

from digit_classification.pictures.images.convention import BOX, FINE

_STROKE_WIDTHS = (1.9, 4.0)  # pixels of 28: what 90 % of MNIST's training digits have


def with_usual_width(strokes: np.ndarray) -> np.ndarray:
    """Thicken or thin strokes whose width MNIST does not have, before they are made small."""
    scale = BOX * FINE / max(strokes.shape)
    if scale > 1:
        size = (max(1, round(strokes.shape[1] * scale)), max(1, round(strokes.shape[0] * scale)))
        strokes = cv2.resize(strokes, size, interpolation=cv2.INTER_LANCZOS4)
    longest = max(strokes.shape)
    narrow, wide = (width * longest / BOX for width in _STROKE_WIDTHS)
    for threshold in (127, 159, 191):  # a higher one thins, and opens loops that are nearly shut
        ink = (strokes > threshold).astype(np.uint8)
        if not ink.any():
            return strokes
        inside = _depths(ink)
        width = _mean_width(inside)
        if width <= wide:
            break
    usual = min(max(width, narrow), wide)
    if threshold == 127 and abs(usual - width) < 0.006 * longest:
        return strokes
    # The longer side grows with the stroke, and is brought back to the box afterwards.
    grow = (usual - width) / (2 - 2 * usual / longest)
    room = max(1, math.ceil(grow + 1))  # all that it may reach
    outside = cv2.distanceTransform(1 - _with_paper(ink, room), cv2.DIST_L2, 5)
    depth = _with_paper(inside[1:-1, 1:-1], room) - outside + (grow + 0.5)
    return (np.minimum(np.maximum(depth, 0), 1) * 255).astype(np.uint8)


def stroke_width(ink: np.ndarray) -> float:
    """Return the mean width in pixels of what is 1 in (h, w) uint8, which is not all 0."""
    return _mean_width(_depths(ink))


def _depths(ink: np.ndarray) -> np.ndarray:
    """Return how far each pixel is from paper, float32, with a pixel of paper around."""
    return cv2.distanceTransform(_with_paper(ink, 1), cv2.DIST_L2, 5)


def _with_paper(ink: np.ndarray, room: int) -> np.ndarray:
    """Return what is 0 on paper with so many pixels of it around: a tenth of NumPy's time."""
    return cv2.copyMakeBorder(ink, room, room, room, room, cv2.BORDER_CONSTANT)


def _mean_width(depths: np.ndarray) -> float:
    """Depths run from 0 to w/2 across a stroke of w."""
    return 3 * float((depths * depths).sum() / depths.sum())
