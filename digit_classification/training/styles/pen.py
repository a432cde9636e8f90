"""From the way of a pen to ink: ball pens to brushes, pressure, and ink that fails."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import cv2
import numpy as np

from digit_classification.training.styles.hand import STEP, Rng, Way

_FINE = 96  # pixels: a digit that is less high is drawn larger, and reduced
_FINEST = 0.8  # pixels of a stroke's width: a finer one would not be seen
_BITS = 4  # of the fractions of pixels that OpenCV draws with
_TAPER = 0.12  # of the height: how long a brush takes to land and to lift


@dataclass(frozen=True)
class Pen:
    """What is written with.

    Attributes:
        width: of the stroke, in parts of the digit's height.
        swell: by which pressure changes the width along a stroke, as a share of it.
        edge: how much finer a stroke along the pen's edge is, as a share: a broad nib's.
        angle: of that edge, in radians.
        taper: whether strokes begin and end fine, as a brush's do.
        dry: how much of the ink fails where it fails, 0 to 1.
    """

    width: float
    swell: float = 0.1
    edge: float = 0.0
    angle: float = 0.0
    taper: bool = False
    dry: float = 0.0


def any_pen(rng: Rng) -> Pen:
    """Return somebody's pen."""
    dry = rng.uniform(0.2, 0.6) if rng.random() < 0.15 else 0.0
    kind = rng.random()
    if kind < 0.45:  # ball pens, pencils
        return Pen(rng.uniform(0.03, 0.09), swell=rng.uniform(0, 0.2), dry=dry)
    if kind < 0.75:  # fibre pens, a finger on glass
        return Pen(rng.uniform(0.07, 0.14), swell=rng.uniform(0, 0.1), dry=dry)
    if kind < 0.85:  # markers, chalk
        return Pen(rng.uniform(0.12, 0.17), swell=rng.uniform(0, 0.1), dry=dry)
    if kind < 0.93:  # fountain pens and broad nibs
        return Pen(
            rng.uniform(0.07, 0.14),
            edge=rng.uniform(0.2, 0.6),
            angle=rng.uniform(0.2, 1.2),
            dry=dry,
        )
    return Pen(rng.uniform(0.09, 0.16), swell=rng.uniform(0.15, 0.35), taper=True, dry=dry)


def put_ink(ways: list[Way], pen: Pen, height: float, rng: Rng) -> np.ndarray:
    """Return the ink on some ways, (h, w) uint8, 255 where it covers all; cut to it.

    Args:
        ways: of the pen; their unit is the digit's height.
        pen: what draws.
        height: pixels that this unit is.
        rng: where pressure and failing ink come from.
    """
    times = max(1, -(-_FINE // round(height)))
    scale = height * times
    everything = np.concatenate(ways)
    low = everything.min(axis=0) - pen.width
    columns, rows = ((everything.max(axis=0) + pen.width - low) * scale).astype(int) + 3
    ink = np.zeros((-(-rows // times) * times, -(-columns // times) * times), np.uint8)
    for way in ways:
        widths = np.rint(np.maximum(_widths(way, pen, rng) * scale, _FINEST * times))
        _draw(ink, (way - low) * scale + 1, widths.astype(int))
    if pen.dry:
        ink = _dried(ink, pen.dry, scale, rng)
    if times > 1:
        ink = cv2.resize(ink, None, fx=1 / times, fy=1 / times, interpolation=cv2.INTER_AREA)
    x, y, w, h = cv2.boundingRect((ink > 60).astype(np.uint8))
    return np.ascontiguousarray(ink[y : y + h, x : x + w]) if w else ink


def _widths(way: Way, pen: Pen, rng: Rng) -> np.ndarray:
    """Return the width of a stroke at each point of its way, (n,) float."""
    widths = np.full(len(way), pen.width)
    if pen.swell:
        knots = rng.normal(0, pen.swell, 5)
        share = np.linspace(0, 4, len(way))
        widths *= np.interp(share, np.arange(5), knots).clip(-0.6, 0.6) + 1
    if pen.edge:
        across, down = np.gradient(way, axis=0).T
        along = np.abs(np.cos(np.arctan2(down, across) + pen.angle))
        widths *= 1 - pen.edge * along
    if pen.taper:
        from_end = np.arange(len(way)) * STEP / _TAPER
        widths *= (0.35 + 0.65 * np.minimum(from_end, from_end[::-1])).clip(0, 1)
    return widths


def _draw(ink: np.ndarray, way: Way, widths: np.ndarray) -> None:
    """Draw a stroke of changing width: a line for each part of it that has the same."""
    at = np.rint(way * 2**_BITS).astype(np.int32)
    starts = [0, *(np.flatnonzero(np.diff(widths)) + 1), len(widths)]
    for start, stop in itertools.pairwise(starts):
        part = at[max(0, start - 1) : stop]
        cv2.polylines(ink, [part], False, 255, int(widths[start]), cv2.LINE_AA, _BITS)


def _dried(ink: np.ndarray, dry: float, scale: float, rng: Rng) -> np.ndarray:
    """Take ink away in patches of about the width of a stroke."""
    size = [max(2, round(side / scale / 0.07)) for side in ink.shape]
    patches = rng.random(size, np.float32)
    rows, columns = ink.shape
    noise = cv2.resize(patches, (columns, rows), interpolation=cv2.INTER_LINEAR)
    left = 1 - dry * np.clip(3 * (noise - 0.55), 0, 1)
    return np.asarray(ink * left, np.uint8)
