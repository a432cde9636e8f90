"""From ink to a picture: as drawn, on paper, or cut out and stretched by a program."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from digit_classification.training.styles.hand import Rng

HEIGHTS = (8, 20, 200)  # pixels of a digit: the least, the commonest, the most
# Of the pictures: as on a screen, and as programs cut them; the others are on paper.
_DRAWN_SHARE = 0.3
_CUT_SHARE = 0.2
_BOXES = (8, 12, 16, 16, 16, 16, 20, 24, 32)  # pixels: 16x16 is the commonest
_WIDEST = 2.5  # times its width, to which a digit is stretched: a 1 would be a block


def any_height(rng: Rng) -> float:
    """Return a digit's height: few are very small, and few so large that they cost time."""
    return float(np.exp(rng.triangular(*np.log(HEIGHTS))))


def take(ink: np.ndarray, rng: Rng) -> np.ndarray:
    """Return a picture, (h, w) uint8, of ink, (h, w) uint8 that is cut to it."""
    kind = rng.random()
    take_one: Callable[[np.ndarray, Rng], np.ndarray]
    if kind < _DRAWN_SHARE:
        take_one = on_a_screen
    elif kind < _DRAWN_SHARE + _CUT_SHARE:
        take_one = cut_to_a_box
    else:
        take_one = on_paper
    return take_one(ink, rng)


def on_a_screen(ink: np.ndarray, rng: Rng) -> np.ndarray:
    """Return the ink with some space around, light on dark or dark on light."""
    picture = _with_space(ink, rng, 0.1, 0.4)
    return 255 - picture if rng.random() < 0.3 else picture


def on_paper(ink: np.ndarray, rng: Rng) -> np.ndarray:
    """Return a scan or a photo: paper and ink are grey, light fades, the lens blurs."""
    cover = _with_space(ink, rng, 0.1, 0.4).astype(np.float32) / 255
    rows, columns = cover.shape
    if rng.random() < 0.5:
        cover = cv2.GaussianBlur(cover, (0, 0), max(0.3, rng.uniform(0, 0.025) * rows))
    paper, contrast = rng.uniform(150, 250), rng.uniform(0.35, 0.95)
    fading = rng.uniform(-0.12, 0.12, 2)
    light = 1 + fading[0] * np.linspace(-1, 1, columns, dtype=np.float32)
    light = light + fading[1] * np.linspace(-1, 1, rows, dtype=np.float32)[:, None]
    grey = paper * light * (1 - contrast * cover)
    noise = rng.uniform(0, 6) * rng.standard_normal(cover.shape, np.float32)
    return np.asarray(np.clip(grey + noise, 0, 255), np.uint8)


def cut_to_a_box(ink: np.ndarray, rng: Rng) -> np.ndarray:
    """Return the ink as segmenting programs store it: cut to it, and stretched to a square.

    Some keep the proportions in part, some are black and white, some leave a border.
    """
    rows, columns = ink.shape
    side = int(rng.choice(_BOXES))
    kept = rng.choice((0.0, rng.uniform(0, 0.6)))  # of the proportions, as an exponent
    proportion = min(rows, columns) / max(rows, columns)
    short = max(1, round(side * min(proportion**kept, _WIDEST * proportion)))
    size = (short, side) if columns < rows else (side, short)
    cut = cv2.resize(ink, size, interpolation=cv2.INTER_AREA)
    if side >= 16 and rng.random() < 0.4:
        cut = np.where(cut > rng.uniform(0.25, 0.5) * cut.max(), 255, 0).astype(np.uint8)
    picture = np.pad(cut, rng.integers(4, size=(2, 2)))
    return 255 - picture if rng.random() < 0.3 else picture


def _with_space(ink: np.ndarray, rng: Rng, least: float, most: float) -> np.ndarray:
    """Return the ink with space on each side, in parts of its longer side."""
    space = rng.uniform(least, most, (2, 2)) * max(ink.shape)
    return np.pad(ink, np.maximum(2, np.rint(space).astype(int)))
