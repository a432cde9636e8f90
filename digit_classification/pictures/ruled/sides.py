"""What stands upright: the sides of boxes, the teeth of a comb, the lines of squared paper."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import cv2
import numpy as np

from digit_classification.pictures.forms.lines import Line
from digit_classification.pictures.geometry import straight

_DARK = 0.4  # of the lines' own darkness: a side is at least so dark
_CROSSING = 0.7  # of its height, likewise: a line of squared paper
_SIDE = 0.8  # of its height: a side is dark
_SEEN = 0.5  # of its height: of a side where one must be
_MOSTLY = 0.75  # of the places where one must be: there is one
_THICKER = 6  # pixels by which a side may be thicker than the lines
_TALLEST = 0.9, 0.75  # of the picture: what is above a comb's line, and its teeth
_LOWEST = 0.07
_NARROW = 0.55  # of its height: a box is wider
_APART = 0.3  # of a box: the gap between two is less
_GRID = 0.6  # of what is beside a row: lines that go on there are squared paper's
_PARTS = 1, 2, 3  # of the distance of two sides: how far sides are apart
_MOST = 30  # sides
_STRAY = 3  # columns by which a side may be off where it was looked for
_THICKEST = 9  # pixels from the middle of a side to its edge
_REACH = _STRAY + _THICKEST  # columns around a side that are looked at
_FAINTER = 0.35  # of how clear a comb's teeth are: another one beyond them
_EDGE = 0.2  # of its own darkness: less is beside it


@dataclass(frozen=True)
class _Family:
    """What is equally far apart: where, and how dark it is there, 0 to 1, (n,) each."""

    step: float
    places: np.ndarray
    seen: np.ndarray


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
    return _whole_comb(darkness, lines[-1], _teeth(dark, rows[-1] - room, thickness, lines[-1]))


def _whole_comb(darkness: np.ndarray, line: Line, teeth: list[Line]) -> list[Line]:
    """Return a comb's teeth and the others on its line, where and as thick as they are seen.

    The blur around them counts: it is not written either.
    """
    if len(teeth) < 3:
        return []
    like = teeth[0]
    places = [float(tooth.rows[0]) for tooth in teeth]
    step = float(np.median(np.diff(places)))
    clear = _FAINTER * np.median([_clearness(_profile(darkness, like, place)) for place in places])
    for last, way in ((places[0], -step), (places[-1], step)):
        place = last + way
        while _is_on(line, place, darkness.shape[1]) or (
            0 <= place < darkness.shape[1] and _clearness(_profile(darkness, like, place)) > clear
        ):
            places.append(_seen_at(darkness, like, place, 3))
            place = places[-1] + way
    places.sort()
    widths = [_thickness(_profile(darkness, like, place)) for place in places]
    thickness = round(float(np.median(widths)))
    middles = [_seen_at(darkness, like, place, thickness) for place in places]
    return [Line(like.start, np.full(len(like.rows), middle), thickness) for middle in middles]


def _is_on(line: Line, place: float, width: int) -> bool:
    """Whether a tooth must stand on a comb's line: between its ends, if they are seen."""
    if _goes_across(line, width):
        return min(abs(place), abs(place - width)) < _STRAY
    return line.start - _STRAY <= place <= line.end + _STRAY


def _goes_across(line: Line, width: int) -> bool:
    """Whether a line goes from border to border, as those of ruled paper do."""
    return line.start <= 3 and line.end >= width - 3


def _profile(darkness: np.ndarray, side: Line, place: float) -> np.ndarray:
    """Return how dark it is across a side like this one in another column, (2 * _REACH + 1,)."""
    columns = round(place) + np.arange(-_REACH, _REACH + 1)
    across = darkness[side.start : side.end, np.clip(columns, 0, darkness.shape[1] - 1)]
    return np.asarray(np.median(across, axis=0))


def _clearness(profile: np.ndarray) -> float:
    """Return how much darker a side is than what lies beside it."""
    beside = max(float(profile[:_STRAY].mean()), float(profile[-_STRAY:].mean()))
    return float(profile[_THICKEST:-_THICKEST].max()) - beside


def _thickness(profile: np.ndarray) -> int:
    """Return how wide the peak in the middle of a profile is."""
    peak = _THICKEST + int(profile[_THICKEST:-_THICKEST].argmax())
    above = profile - profile.min()
    less = above < _EDGE * above[peak]
    before, after = np.flatnonzero(less[:peak]), np.flatnonzero(less[peak:])
    first = int(before[-1]) + 1 if len(before) else 0
    return (peak + int(after[0]) if len(after) else len(profile)) - first


def _seen_at(darkness: np.ndarray, side: Line, place: float, thickness: int) -> float:
    """Return the middle of the darkest stretch so thick near a column, across a side like this."""
    profile = _profile(darkness, side, place)
    sums = np.convolve(profile, np.ones(thickness), "valid")
    middles = np.arange(len(sums)) + (thickness - 1) / 2
    aside = abs(middles - _REACH)
    darkest = np.where(aside <= _STRAY, sums - 1e-3 * aside, -1).argmax()
    return round(place) - _REACH + float(middles[darkest])


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
    runs = _runs(seen >= _CROSSING, thickness + _THICKER)
    uprights = [_upright(first, last, 0, height - thickness, thickness) for first, last in runs]
    if len(lines) > 1:
        return uprights if len(runs) > 1 else []
    middles = np.array([line.rows[0] for line in uprights])
    family = _family(middles, seen, 0.2 * height, _near(height)) if len(runs) > 2 else None
    return uprights if family and np.mean(family.seen > _CROSSING) > _MOSTLY else []


def _dark(darkness: np.ndarray, lines: list[Line]) -> tuple[np.ndarray, int, list[int]]:
    """Return where it is as dark as lines, (h, w) bool; how thick they are, and in which rows."""
    level = float(np.median([_tone(darkness, line) for line in lines]))
    dark = cv2.dilate(darkness, np.ones((1, 3), np.uint8)) > _DARK * level
    thickness = round(float(np.median([line.thickness for line in lines])))
    return dark, thickness, [round(float(np.median(line.rows))) for line in lines]


def _tone(darkness: np.ndarray, line: Line) -> float:
    """Return how dark a line is."""
    columns = np.arange(line.start, line.end)
    rows = np.rint(line.rows).astype(int)[None] + np.arange(-2, 3)[:, None]
    return float(np.median(darkness[np.clip(rows, 0, len(darkness) - 1), columns].max(axis=0)))


def _between(
    dark: np.ndarray, top: int, bottom: int, thickness: int
) -> tuple[list[Line], _Family] | None:
    """Return what may be sides between two lines, and those equally far apart; None if none are."""
    size = bottom - top
    seen = dark[top:bottom].mean(axis=0)
    runs = _runs(seen >= _SIDE, max(thickness + _THICKER, round(_APART * size)))
    if not 3 <= len(runs) <= _MOST:
        return None
    uprights = [_upright(first, last, top, bottom, thickness) for first, last in runs]
    middles = np.array([line.rows[0] for line in uprights])
    family = _family(middles, seen, _NARROW * size, _near(size))
    if family is None or np.mean(family.seen > 0.7) < _MOSTLY:
        return None
    return uprights, family


def _box_sides(uprights: list[Line], family: _Family) -> list[Line]:
    """Return the sides: those equally far apart, the outermost ones, their partners beside them."""
    near = _near(len(uprights[0].rows))
    middles = np.array([line.rows[0] for line in uprights])
    off = abs(family.places - middles[:, None])
    chosen = set(np.flatnonzero(off.min(axis=1) < near).tolist()) | {0, len(uprights) - 1}
    chosen |= _partners(middles, family, near, chosen)
    unseen = family.places[(off.min(axis=0) >= near) & (family.seen > _SEEN)]
    model = uprights[0]
    sides = [uprights[i] for i in chosen]
    sides += [Line(model.start, np.full(len(model.rows), place), 3) for place in unseen]
    return sorted(sides, key=lambda side: float(side.rows[0]))


def _near(size: int) -> float:
    """Return by how many columns a side of a box so high may be off."""
    return max(3.0, 0.05 * size)


def _partners(middles: np.ndarray, family: _Family, near: float, chosen: set[int]) -> set[int]:
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


def _goes_on(dark: np.ndarray, family: _Family, top: int, bottom: int) -> bool:
    """Whether sides go on above and below, as the lines of squared paper do."""
    size = (bottom - top) // 3
    parts = dark[max(0, top - size - 4) : max(0, top - 4)], dark[bottom + 4 : bottom + 4 + size]
    columns = np.clip(np.rint(family.places).astype(int), 0, dark.shape[1] - 1)
    shares = [part[:, columns].mean() for part in parts if len(part) > 0.4 * size]
    return max(shares, default=0.0) > _GRID


def _teeth(dark: np.ndarray, base: int, thickness: int, line: Line) -> list[Line]:
    """Return the teeth of a comb on a line, whose upper edge is at `base`."""
    height, width = dark.shape
    above = dark[max(0, round(base - _TALLEST[0] * height)) : max(0, base)][::-1]
    if len(above) < 8:
        return []
    run = np.cumprod(above, axis=0).sum(axis=0)  # how far up it is dark, from the line
    best: tuple[float, int, _Family] | None = None
    tallest = round(_TALLEST[1] * height)
    for tall in np.unique(np.geomspace(_LOWEST * height, tallest, 18).astype(int)).tolist():
        ends = (run >= tall) & (run < 1.25 * tall + 4)
        found = _runs(run >= tall, thickness + _THICKER + 1)
        middles = [(first + last) / 2 for first, last in found if ends[first : last + 1].any()]
        if not 3 <= len(middles) <= _MOST:
            continue
        seen = cv2.dilate(ends.astype(np.float32)[None], np.ones((1, 3), np.uint8))[0]
        family = _family(np.array(middles), seen, 0.2 * height, max(3.0, 0.03 * height))
        if family is None:
            continue
        share = float(np.mean(family.seen > 0.5))
        score = len(family.places) * (2 * share - 1)
        least = (4, 0.85) if _goes_across(line, width) else (1, 0.6)
        if score >= least[0] and share >= least[1] and (best is None or score > best[0]):
            best = score, tall, family
    if best is None:
        return []
    _, tall, family = best
    top = round(base - 1.15 * tall - 2)
    teeth = []
    for place in np.rint(family.places).astype(int).tolist():
        near = np.arange(max(0, place - 3), min(width, place + 4))
        if len(near) and run[near].max() > 0.4 * tall:
            place = int(near[np.minimum(run[near], 1.2 * tall + 3).argmax()])
        teeth.append(_upright(place - 1, place + 1, top, base, thickness))
    return teeth


def _upright(first: int, last: int, top: int, bottom: int, thickness: int) -> Line:
    start = max(0, top - thickness)
    length = bottom + thickness - start
    return Line(start, np.full(length, (first + last) / 2), max(1, last - first))


def _runs(on: np.ndarray, widest: int) -> list[tuple[int, int]]:
    """Return the first and last of neighbours that are on, (n,) bool, if they are not too many."""
    edges = np.diff(np.concatenate([[0], on.astype(int), [0]]))
    firsts, ends = np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist()
    return [(a, b - 1) for a, b in zip(firsts, ends, strict=True) if b - a <= widest]


def _family(middles: np.ndarray, seen: np.ndarray, least: float, near: float) -> _Family | None:
    """Return what of some places, (n,), is equally far apart, at `least` so far; None if nothing.

    Args:
        middles: the places.
        seen: (w,), how surely there is a side in each column, 0 to 1.
        least: columns between two.
        near: columns by which one may be off.
    """
    nearby = cv2.dilate(seen[None].astype(np.float32), np.ones((1, 2 * _STRAY + 1), np.uint8))[0]
    best: tuple[float, _Family] | None = None
    for i, first in enumerate(middles):
        for other in middles[i + 1 :]:
            for part in _PARTS:
                step = (other - first) / part
                if step < least:
                    break
                count = np.rint((middles - first) / step)
                fits = abs(middles - first - count * step) < near
                # Two of them say it roughly, all that fit say it well.
                step, start = straight(count[fits], middles[fits])
                off = abs(middles - start - count * step)
                fits = off < near
                places = start + step * np.arange(count[fits].min(), count[fits].max() + 1)
                if len(places) < 3:
                    continue
                shares = nearby[np.clip(places.astype(int), 0, len(nearby) - 1)]
                score = np.where(shares > _SIDE, 1, np.where(shares > _SEEN, -0.7, -1.5)).sum()
                score -= 0.2 * np.count_nonzero(~fits) + ((off[fits] / near) ** 2).sum()
                if best is None or score > best[0]:
                    best = float(score), _Family(step, places, shares)
    return None if best is None else best[1]
