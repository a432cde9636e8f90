"""Step 4: how much darker, or lighter, than the paper around it each pixel is."""

from __future__ import annotations

import cv2
import numpy as np

from digit_classification.pictures.images.convention import SMALL
from digit_classification.pictures.images.grey import reduce
from digit_classification.pictures.images.quantiles import quantile, thinned


def ink_strength(
    grey: np.ndarray, dark_ink: bool, *, flat: bool = False, near: float | None = None
) -> np.ndarray:
    """How far each pixel is from the paper around it, 0 for paper; (h, w) float32.

    Paper that is `flat` has one tone: so it is taken where a picture is too small to tell.  It is
    looked for within so many pixels as `near` says, if it does: the edge of a shadow needs it close
    by, but no stroke may be twice as wide.
    """
    if not dark_ink:
        grey = 255 - grey
    if flat or max(grey.shape) <= SMALL:
        light = quantile(grey, 0.9)
        return np.asarray(np.maximum(light - grey.astype(np.float32), 0))
    if near is None:
        small = cv2.medianBlur(reduce(grey, 80), 3)
        furthest = max(small.shape) / 5
    else:
        small = in_detail(grey)
        furthest = near * max(small.shape) / max(grey.shape)
    paper = without_dark_strokes(small, furthest)
    paper = cv2.resize(cv2.blur(paper, (3, 3)), grey.shape[::-1]).astype(np.float32)
    ink = paper - grey
    if dark_ink:
        ink *= 255 / np.maximum(paper, 32)  # ink takes its share of the light that falls on it
    return np.asarray(ink - quantile(thinned(ink), 0.25))  # noise lifts a closing above the paper


def in_detail(grey: np.ndarray) -> np.ndarray:
    """Return a picture with 40 pixels on its shorter side, or 80 on its longer one, at most."""
    return cv2.medianBlur(reduce(grey, max(80, 40 * max(grey.shape) // min(grey.shape))), 3)


def without_dark_strokes(small: np.ndarray, furthest: float) -> np.ndarray:
    """Return a picture, (h, w) uint8, as if nothing were written on it in dark ink.

    Its paper is what is light within so many pixels: a morphological closing.
    """
    radius = min(max(2, round(furthest)), max(small.shape) // 5)
    window = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    # With room around it, lest light that fades towards the border look like ink there.
    roomy = cv2.copyMakeBorder(small, radius, radius, radius, radius, cv2.BORDER_REPLICATE)
    return cv2.morphologyEx(roomy, cv2.MORPH_CLOSE, window)[radius:-radius, radius:-radius]
