"""How most pictures come about: a paper, one thing written on it, a camera."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from . import cameras, papers
from .marks import Paths
from .sheet import Ink, Rng, Scene, Sheet
from .strokes import Digits, any_hand, from_paths, write

_STRIPS = 0.12  # of the pictures: cut out of a form, or of a line
_WIDE = 0.15  # of the digits: MNIST has few as wide as a finger draws them on a screen


def side(rng: Rng, low: float = 48, high: float = 240) -> int:
    """Return a length in pixels; small ones are as likely as large ones."""
    return round(float(np.exp(rng.uniform(np.log(low), np.log(high)))))


def size(rng: Rng, low: float = 48, high: float = 240) -> tuple[int, int]:
    """Return height and width of a picture: square, or not by far, or a strip.

    Were all strips of several digits, the judge would take one digit in a strip for several.
    """
    length = side(rng, low, high)
    chance = rng.random()
    if chance < 0.5:
        return length, length
    if chance < 0.5 + _STRIPS:
        root = float(np.sqrt(rng.uniform(1.5, 3)))
        shorter, longer = round(length / root), round(length * root)
        return (shorter, longer) if rng.random() < 0.75 else (longer, shorter)
    return length, round(length * float(np.exp(rng.normal(0, 0.25))))


def put(
    rng: Rng,
    sheet: Sheet,
    coverage: np.ndarray,
    ink: Ink,
    *,
    meant: bool,
    stray: float = 0.5,
    middle: tuple[float, float] = (0.5, 0.5),
) -> tuple[float, float, float, float]:
    """Write about the middle of the sheet.

    Args:
        rng: what chooses the place.
        sheet: what is written on.
        coverage: what is written.
        ink: the ink.
        meant: as in `Sheet.write`.
        stray: how much of the room around it may be used, 0..1.
        middle: the place, in parts of the sheet's width and height.

    Returns:
        Left, top, right, bottom of what was written, in pixels.
    """
    height, width = coverage.shape
    room = np.maximum(0, np.array([sheet.width - width, sheet.height - height])) / 2
    x, y = np.array(middle) * (sheet.width, sheet.height) + room * rng.uniform(-stray, stray, 2)
    left, top = x - width / 2, y - height / 2
    sheet.write(rng, coverage, left, top, ink, meant=meant)
    return left, top, left + width, top + height


def digit_on(
    rng: Rng,
    digits: Digits,
    sheet: Sheet,
    *,
    share: tuple[float, float] = (0.4, 0.8),
    label: int | None = None,
    pen: float | None = None,
    slant: float | None = None,
    ink: Ink | None = None,
    stray: float = 0.5,
    middle: tuple[float, float] = (0.5, 0.5),
) -> int:
    """Write the digit meant, `share` of the sheet's smaller side high; returns its label."""
    height = min(sheet.height, sheet.width) * float(rng.uniform(*share))
    label, coverage = digits.take(rng, label, height=height, pen=pen, slant=slant)
    if rng.random() < _WIDE:
        room = 0.95 * sheet.width / coverage.shape[1]
        wider = min(float(rng.uniform(1.1, 1.7)), max(1.0, room))
        coverage = cv2.resize(coverage, None, fx=wider, fy=1, interpolation=cv2.INTER_LINEAR)
    ink = papers.pen_for(rng, sheet) if ink is None else ink
    put(rng, sheet, coverage, ink, meant=True, stray=stray, middle=middle)
    return label


def written(rng: Rng, paths: Paths, height: float, pen: float | None = None) -> np.ndarray:
    """Return a mark as somebody draws it: coverage, (h, w) float32 in 0..1."""
    hand = any_hand(rng, pen)
    if height >= 40:
        return write(rng, from_paths(paths), height, hand)
    factor = int(np.ceil(40 / height))
    return shrunk(write(rng, from_paths(paths), height * factor, hand), 1 / factor)


def shrunk(coverage: np.ndarray, scale: float) -> np.ndarray:
    """Return coverage at a smaller size."""
    height, width = (max(1, round(n * scale)) for n in coverage.shape)
    return cv2.resize(coverage, (width, height), interpolation=cv2.INTER_AREA)


def like_mnist(coverage: np.ndarray) -> np.ndarray:
    """Return (28, 28) uint8 as MNIST has it: light on dark, 20 pixels, about the centre of mass."""
    small = shrunk(coverage, 20 / max(coverage.shape))
    total = max(float(small.sum()), 1e-6)
    y = float((small.sum(axis=1) @ np.arange(small.shape[0])) / total)
    x = float((small.sum(axis=0) @ np.arange(small.shape[1])) / total)
    sheet = Sheet(np.zeros((28, 28, 3)))
    full = Ink(np.full(3, 255, np.float32))
    whole = small / max(float(small.max()), 1e-6)
    sheet.write(np.random.default_rng(0), whole, 13.5 - x, 13.5 - y, full)
    return sheet.pixels[..., 0].astype(np.uint8)


def show(
    rng: Rng,
    draw: Callable[[float], np.ndarray],
    answer: str,
    *,
    share: tuple[float, float] = (0.35, 0.8),
    ready: float = 0.12,
) -> Scene:
    """Show one thing as pictures of digits show them: ready for MNIST, drawn, scanned, a photo.

    Args:
        rng: what chooses.
        draw: returns the thing's coverage for a height in pixels.
        answer: as in `Scene`; a digit is the one meant.
        share: its height in parts of the picture's smaller side, from and to.
        ready: the share of pictures that are 28x28 and follow MNIST's convention.
    """
    meant = answer.isdigit()
    if rng.random() < ready:
        pixels = like_mnist(draw(80.0))
        return Scene(pixels, pixels.astype(np.float32) / 255 if meant else None, answer)
    sheet = papers.any_paper(rng, *size(rng))
    coverage = draw(min(sheet.height, sheet.width) * float(rng.uniform(*share)))
    room = 0.94 * min(sheet.height / coverage.shape[0], sheet.width / coverage.shape[1])
    if room < 1:
        coverage = shrunk(coverage, room)
    put(rng, sheet, coverage, papers.pen_for(rng, sheet), meant=meant)
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, answer)
