"""What stands upright: the sides of boxes, the teeth of a comb, the lines of squared paper."""

from __future__ import annotations

import itertools

import cv2
import numpy as np

from digit_classification.pictures.forms.lines import Line, upright
from digit_classification.pictures.images.quantiles import median
from digit_classification.pictures.ruled.comb import find_teeth
from digit_classification.pictures.ruled.family import (
    MOST,
    SEEN,
    SIDE,
    THICKER,
    Family,
    find_family,
    runs_of,
)
from digit_classification.pictures.ruled.lines import tone_of

_DARK = 0.4  # of the lines' own darkness: a side is at least so dark
_CROSSING = 0.7  # of its height, likewise: a line of squared paper
_MOSTLY = 0.75  # of the places where one must be: there is one
_NARROW = 0.55  # of its height: a box is wider
_APART = 0.3  # of a box: the gap between two is less
_SQUARE = 0.6  # of the distance of level lines: upright ones are no nearer to each other
_GRID = 0.6  # of what is beside a row: lines that go on there are squared paper's


def find_sides(darkness: np.ndarray, lines: list[Line]) -> list[Line]:
    """Return the sides of boxes, from left to right; rows and columns are changed for each other.

    Args:
        darkness: the picture, (h, w) uint8.
        lines: its level lines, from the top down.
    """
    if not lines:
        return []
    dark, thickness, rows = _dark(darkness, lines)
    room = thickness // 2 + 1
    bands = [
        (top + room, bottom - room)
        for top, bottom in itertools.pairwise(rows)
        if bottom - top > 14 + 2 * room
    ]
    if bands:
        top, bottom = max(bands, key=lambda band: band[1] - band[0])
        between = _between(dark, top, bottom, thickness)
        if between is not None:
            if _goes_on(dark, between[1], top, bottom):
                return []
            return _box_sides(*between)
    return find_teeth(darkness, dark, rows[-1] - room, thickness, lines[-1])


def find_grid(darkness: np.ndarray, lines: list[Line]) -> list[Line]:
    """Return the upright lines of squared paper, (h, w) uint8, which cross all of its level lines.

    None where it has no level line, or a single one that no three cross at equal distances.
    """
    if not lines:
        return []
    dark, thickness, rows = _dark(darkness, lines)
    room = thickness // 2 + 1
    height = len(darkness)
    bands = [
        (max(0, top + room), bottom - room)
        for top, bottom in itertools.pairwise([-room, *rows, height + room])
        if bottom - top > 10 + 2 * room
    ]
    if not bands:
        return []
    seen = np.mean([dark[top:bottom].mean(axis=0) for top, bottom in bands], axis=0)
    runs = runs_of(seen >= _CROSSING, thickness + THICKER)
    uprights = [upright(first, last, 0, height - thickness, thickness) for first, last in runs]
    middles = np.array([line.rows[0] for line in uprights])
    apart = median(np.diff(rows)) if len(rows) > 1 else height
    family = find_family(middles, seen, _SQUARE * apart, _near(apart)) if len(runs) > 2 else None
    if len(lines) == 1:
        return uprights if family and np.mean(family.seen > _CROSSING) > _MOSTLY else []
    if family is None:
        return uprights if len(runs) > 1 else []
    # Upright strokes of a pen stand between the lines.
    off = abs(family.places[:, None] - middles).min(axis=0)
    return [line for line, far in zip(uprights, off, strict=True) if far < _near(apart)]


def _dark(darkness: np.ndarray, lines: list[Line]) -> tuple[np.ndarray, int, list[int]]:
    """Return where it is as dark as lines, (h, w) bool; how thick they are, and in which rows."""
    level = median([tone_of(darkness, line) for line in lines])
    dark = cv2.dilate(darkness, np.ones((1, 3), np.uint8)) > _DARK * level
    thickness = round(median([line.thickness for line in lines]))
    return dark, thickness, [round(median(line.rows)) for line in lines]


def _between(
    dark: np.ndarray, top: int, bottom: int, thickness: int
) -> tuple[list[Line], Family] | None:
    """Return what may be sides between two lines, and those equally far apart; None if none are."""
    size = bottom - top
    seen = dark[top:bottom].mean(axis=0)
    runs = runs_of(seen >= SIDE, max(thickness + THICKER, round(_APART * size)))
    if not 3 <= len(runs) <= MOST:
        return None
    uprights = [upright(first, last, top, bottom, thickness) for first, last in runs]
    middles = np.array([line.rows[0] for line in uprights])
    family = find_family(middles, seen, _NARROW * size, _near(size))
    if family is None or np.mean(family.seen > 0.7) < _MOSTLY:
        return None
    return uprights, family


def _box_sides(uprights: list[Line], family: Family) -> list[Line]:
    """Return the sides: those equally far apart, the outermost ones, their partners beside them."""
    near = _near(len(uprights[0].rows))
    middles = np.array([line.rows[0] for line in uprights])
    off = abs(family.places - middles[:, None])
    chosen = set(np.flatnonzero(off.min(axis=1) < near).tolist()) | {0, len(uprights) - 1}
    chosen |= _partners(middles, family, near, chosen)
    unseen = family.places[(off.min(axis=0) >= near) & (family.seen > SEEN)]
    model = uprights[0]
    sides = [uprights[i] for i in chosen]
    sides += [Line(model.start, np.full(len(model.rows), place), 3) for place in unseen]
    return sorted(sides, key=lambda side: float(side.rows[0]))


def _near(size: float) -> float:
    """Return by how many columns a side of a box so high may be off."""
    return max(3.0, 0.05 * size)


def _partners(middles: np.ndarray, family: Family, near: float, chosen: set[int]) -> set[int]:
    """Return the sides across a gap from others, where boxes stand apart."""
    rest = [i for i in range(len(middles)) if i not in chosen]
    best: list[int] = []
    for i in rest:
        beside = (middles[i] - family.places[0]) % family.step
        away = (middles[rest] - family.places[0] - beside + family.step / 2) % family.step
        alike = [j for j, off in zip(rest, away, strict=True) if abs(off - family.step / 2) < near]
        if min(beside, family.step - beside) < _APART * family.step and len(alike) > len(best):
            best = alike
    return set(best) if len(best) >= max(2, 0.6 * (len(family.places) - 2)) else set()


def _goes_on(dark: np.ndarray, family: Family, top: int, bottom: int) -> bool:
    """Whether sides go on above and below, as the lines of squared paper do."""
    size = (bottom - top) // 3
    parts = dark[max(0, top - size - 4) : max(0, top - 4)], dark[bottom + 4 : bottom + 4 + size]
    columns = np.clip(np.rint(family.places).astype(int), 0, dark.shape[1] - 1)
    shares = [part[:, columns].mean() for part in parts if len(part) > 0.4 * size]
    return max(shares, default=0.0) > _GRID
