"""Lines that are printed on paper: frames, rules, grids, combs.

All draw on a sheet at places in pixels; widths are in pixels too and may be fractions.
"""

from __future__ import annotations

import cv2
import numpy as np

from . import noise
from .sheet import Ink, Rng, Sheet

_SHIFT = 4  # bits of a pixel that OpenCV draws to


def stroke(
    rng: Rng,
    sheet: Sheet,
    ends: tuple[float, float, float, float],
    width: float,
    ink: Ink,
    *,
    dash: tuple[float, float] | None = None,
    broken: float = 0.0,
) -> None:
    """Draw a straight line.

    Args:
        rng: where the gaps come from.
        sheet: what is drawn on.
        ends: x and y of the one end, x and y of the other.
        width: pixels.
        ink: the ink.
        dash: length of a dash and of a gap, in pixels.
        broken: share of the line that is missing in places.
    """
    mask = np.zeros((sheet.height, sheet.width), np.uint8)
    _draw(mask, ends, width, dash)
    x, y, w, h = cv2.boundingRect(mask)
    if not w:
        return
    coverage = mask[y : y + h, x : x + w].astype(np.float32) * np.float32(min(1.0, width) / 255)
    if broken:
        gaps = noise.clouds(rng, h, w, 0.7) > np.quantile(noise.fine(rng, 8, 8), broken)
        coverage *= gaps
    sheet.write(rng, coverage, x, y, ink)


def _draw(
    mask: np.ndarray,
    ends: tuple[float, float, float, float],
    width: float,
    dash: tuple[float, float] | None,
) -> None:
    first, last = np.array(ends[:2]), np.array(ends[2:])
    length = float(np.hypot(*(last - first)))
    if dash is None:
        spans = [(0.0, length)]
    else:
        starts = np.arange(0, length, sum(dash)).tolist()
        spans = [(s, min(length, s + dash[0])) for s in starts]
    along = (last - first) / max(length, 1e-6)
    across = np.array([-along[1], along[0]]) * max(1.0, width) / 2
    for start, end in spans:
        a, b = first + along * start, first + along * end
        corners = np.array([a - across, b - across, b + across, a + across])
        points = np.rint((corners - 0.5) * 2**_SHIFT).astype(np.int32)
        cv2.fillConvexPoly(mask, points, 255, cv2.LINE_AA, _SHIFT)


def frame(
    rng: Rng,
    sheet: Sheet,
    box: tuple[float, float, float, float],
    width: float,
    ink: Ink,
    *,
    sides: str = "ltrb",
    over: float = 0.0,
    dash: tuple[float, float] | None = None,
    broken: float = 0.0,
) -> None:
    """Draw a box.

    Args:
        rng: as of `stroke`.
        sheet: what is drawn on.
        box: left, top, right, bottom of the middle of its lines, in pixels.
        width: pixels.
        ink: the ink.
        sides: which are drawn: l, t, r, b.
        over: by how many pixels lines go on beyond the corners.
        dash: as of `stroke`.
        broken: as of `stroke`.
    """
    left, top, right, bottom = box
    more = over if over else width / 2
    ends = {
        "l": (left, top - more, left, bottom + more),
        "t": (left - more, top, right + more, top),
        "r": (right, top - more, right, bottom + more),
        "b": (left - more, bottom, right + more, bottom),
    }
    for side in sides:
        stroke(rng, sheet, ends[side], width, ink, dash=dash, broken=broken)


def rules(
    rng: Rng, sheet: Sheet, gap: float, width: float, ink: Ink, *, first: float, down: bool = False
) -> None:
    """Rule the whole sheet, `gap` pixels apart from `first` on; `down` for upright rules."""
    mask = np.zeros((sheet.height, sheet.width), np.uint8)
    for at in np.arange(first, sheet.width if down else sheet.height, gap).tolist():
        ends = (at, -9, at, sheet.height + 9) if down else (-9, at, sheet.width + 9, at)
        _draw(mask, ends, width, None)
    coverage = mask.astype(np.float32) * np.float32(min(1.0, width) / 255)
    sheet.write(rng, coverage, 0, 0, ink)


def squares(rng: Rng, sheet: Sheet, gap: float, width: float, ink: Ink) -> None:
    """Rule the sheet both ways."""
    first = rng.uniform(0, gap, 2)
    rules(rng, sheet, gap, width, ink, first=float(first[0]))
    rules(rng, sheet, gap, width, ink, first=float(first[1]), down=True)
