"""The teeth of a comb: what stands on one line, equally far apart and equally high."""

from __future__ import annotations

import cv2
import numpy as np

from digit_classification.pictures.forms.lines import Line, upright
from digit_classification.pictures.images.quantiles import median
from digit_classification.pictures.ruled.family import (
    MOST,
    STRAY,
    THICKER,
    Family,
    find_family,
    runs_of,
)

_TALLEST = 0.9, 0.75  # of the picture: what is above a comb's line, and its teeth
_LOWEST = 0.07
_THICKEST = 9  # pixels from the middle of a side to its edge
_REACH = STRAY + _THICKEST  # columns around a side that are looked at
_FAINTER = 0.35  # of how clear a comb's teeth are: another one beyond them
_EDGE = 0.2  # of its own darkness: less is beside it


def find_teeth(
    darkness: np.ndarray, dark: np.ndarray, base: int, thickness: int, line: Line
) -> list[Line]:
    """Return a comb's teeth, from left to right; rows and columns are changed for each other.

    Args:
        darkness: the picture, (h, w) uint8.
        dark: where it is as dark as lines, (h, w) bool.
        base: the row where the line's upper edge is.
        thickness: of lines.
        line: on which the teeth stand.
    """
    found = _first_teeth(dark, base, thickness, line)
    return [] if found is None else _whole_comb(darkness, line, *found)


def _first_teeth(
    dark: np.ndarray, base: int, thickness: int, line: Line
) -> tuple[list[int], Line] | None:
    """Return the columns of teeth that are clearly seen, three at least, and what one is like."""
    height, width = dark.shape
    above = dark[max(0, round(base - _TALLEST[0] * height)) : max(0, base)][::-1]
    if len(above) < 8:
        return None
    run = np.cumprod(above, axis=0).sum(axis=0)  # how far up it is dark, from the line
    best: tuple[float, int, Family] | None = None
    tallest = round(_TALLEST[1] * height)
    for tall in np.unique(np.geomspace(_LOWEST * height, tallest, 18).astype(int)).tolist():
        ends = (run >= tall) & (run < 1.25 * tall + 4)
        found = runs_of(run >= tall, thickness + THICKER + 1)
        middles = [(first + last) / 2 for first, last in found if ends[first : last + 1].any()]
        if not 3 <= len(middles) <= MOST:
            continue
        seen = cv2.dilate(ends.astype(np.float32)[None], np.ones((1, 3), np.uint8))[0]
        family = find_family(np.array(middles), seen, 0.2 * height, max(3.0, 0.03 * height))
        if family is None:
            continue
        share = float(np.mean(family.seen > 0.5))
        score = len(family.places) * (2 * share - 1)
        least = (4, 0.85) if line.goes_across(width) else (1, 0.6)
        if score >= least[0] and share >= least[1] and (best is None or score > best[0]):
            best = score, tall, family
    if best is None:
        return None
    _, tall, family = best
    places = []
    for place in np.rint(family.places).astype(int).tolist():
        near = np.arange(max(0, place - STRAY), min(width, place + STRAY + 1))
        if len(near) and run[near].max() > 0.4 * tall:
            place = int(near[np.minimum(run[near], 1.2 * tall + 3).argmax()])
        places.append(place)
    return places, upright(0, 0, round(base - 1.15 * tall - 2), base, thickness)


def _whole_comb(darkness: np.ndarray, line: Line, first: list[int], like: Line) -> list[Line]:
    """Return a comb's teeth and the others on its line, where and as thick as they are seen.

    The blur around them counts: it is not written either.
    """
    places = [*map(float, first)]
    step = median(np.diff(places))
    clear = _FAINTER * median([_clearness(_profile(darkness, like, place)) for place in places])
    for last, way in ((places[0], -step), (places[-1], step)):
        place = last + way
        while _is_on(line, place, darkness.shape[1]) or (
            0 <= place < darkness.shape[1] and _clearness(_profile(darkness, like, place)) > clear
        ):
            places.append(_seen_at(darkness, like, place, 3))
            place = places[-1] + way
    places.sort()
    widths = [_thickness(_profile(darkness, like, place)) for place in places]
    thickness = round(median(widths))
    middles = [_seen_at(darkness, like, place, thickness) for place in places]
    return [Line(like.start, np.full(len(like.rows), middle), thickness) for middle in middles]


def _is_on(line: Line, place: float, width: int) -> bool:
    """Whether a tooth must stand on a comb's line: between its ends, if they are seen."""
    if line.goes_across(width):
        return min(abs(place), abs(place - width)) < STRAY
    return line.start - STRAY <= place <= line.end + STRAY


def _profile(darkness: np.ndarray, side: Line, place: float) -> np.ndarray:
    """Return how dark it is across a side like this one in another column, (2 * _REACH + 1,)."""
    columns = round(place) + np.arange(-_REACH, _REACH + 1)
    across = darkness[side.start : side.end, np.clip(columns, 0, darkness.shape[1] - 1)]
    return np.asarray(np.median(across, axis=0))


def _clearness(profile: np.ndarray) -> float:
    """Return how much darker a side is than what lies beside it."""
    beside = max(float(profile[:STRAY].mean()), float(profile[-STRAY:].mean()))
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
    darkest = np.where(aside <= STRAY, sums - 1e-3 * aside, -1).argmax()
    return round(place) - _REACH + float(middles[darkest])
