"""From a style to the way of a pen: no two hands go the same, and no hand twice.

A stroke is a cubic spline through where the hand got to, parted at corners.  A hand in a hurry cuts
corners, as fast movements do (Plamondon 1995, "A kinematic theory of rapid human movements"): the
way is smoothed along its length.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from digit_classification.training.styles.book import Point, Style

Rng = np.random.Generator
Way = np.ndarray  # (n, 2) float: x and y of the points that a pen passes, STEP apart

STEP = 0.025  # of the height
_PER_SPAN = 10  # points of a spline between two points of the book
# Standard deviations, as parts of the digit's height where not said.
_WIDTH = 0.2  # of the logarithm of the digit's width
_SLANT = 0.15  # of the tangent
_TURN = 0.07  # radians
_WARP = 0.04  # by which the middle of the digit moves against its ends
_BOW = 0.02  # of a straight line's middle
_FURTHEST = 2.2  # standard deviations that no draw exceeds


@dataclass(frozen=True)
class _Temper:
    """How somebody writes."""

    stray: tuple[float, float]  # times what the book says, from and to
    haste: tuple[float, float]  # of the height: how far along its way a corner is cut
    tremor: tuple[float, float]


_CAREFUL = _Temper(stray=(0.4, 1.0), haste=(0.0, 0.015), tremor=(0.0, 0.008))
_HURRIED = _Temper(stray=(0.8, 1.5), haste=(0.01, 0.045), tremor=(0.0, 0.006))


def write(style: Style, rng: Rng) -> list[Way]:
    """Return the ways of the pen when somebody writes a digit in a style, each (n, 2) float.

    The unit is the height of the digit in the book; the one written may be higher or less high.
    """
    hurried = style.hand == "hurried" or (style.hand == "any" and rng.random() < 0.5)
    temper = _HURRIED if hurried else _CAREFUL
    points = _warped(_strayed(style, rng.uniform(*temper.stray), rng), rng) @ _bend(rng)
    haste, tremor = rng.uniform(*temper.haste), rng.uniform(*temper.tremor)
    ways = []
    for stroke, places in _by_stroke(style, points):
        way = _smoothed(_even(_curve(stroke, places, _BOW * _draws(rng, len(stroke)))), haste)
        way = _with_ends(way, stroke, rng)
        ways.append(way + tremor * _unrest(len(way), rng))
    return ways


def write_model(style: Style) -> list[Way]:
    """Return the ways of the pen when a style is written as the book has it."""
    points = np.array([point[:2] for stroke in style.strokes for point in stroke])
    return [
        _even(_curve(stroke, places, np.zeros(len(stroke))))
        for stroke, places in _by_stroke(style, points)
    ]


def _by_stroke(style: Style, points: np.ndarray) -> Iterator[tuple[tuple[Point, ...], np.ndarray]]:
    start = 0
    for stroke in style.strokes:
        yield stroke, points[start : start + len(stroke)]
        start += len(stroke)


def _draws(rng: Rng, *shape: int) -> np.ndarray:
    """Return normally distributed numbers without the rare, far ones."""
    return np.clip(rng.standard_normal(shape), -_FURTHEST, _FURTHEST)


# --------------------------------------------------------------------------- where the hand gets to


def _strayed(style: Style, times: float, rng: Rng) -> np.ndarray:
    """Return where the points of all strokes come to lie, (n, 2) float."""
    book = [point for stroke in style.strokes for point in stroke]
    aims = np.array([point[:4] for point in book])
    points = aims[:, :2] + times * aims[:, 2:] * _draws(rng, len(book), 2)
    for number, point in enumerate(book):
        if point.same_as is not None:
            points[number] = points[point.same_as]
    return points


def _warped(points: np.ndarray, rng: Rng) -> np.ndarray:
    """Bend a whole digit: what is straight becomes a bow, and what is even, wider at one end."""
    low, high = points.min(axis=0), points.max(axis=0)
    across, down = ((points - low) / np.maximum(high - low, 0.2) * 2 - 1).T
    return points + _WARP * np.stack([across * down, across**2, down**2], 1) @ _draws(rng, 3, 2)


def _bend(rng: Rng) -> np.ndarray:
    """Return what x and y are multiplied by, (2, 2) float: width, slant and turn."""
    wide, slant, turn = _draws(rng, 3) * (_WIDTH, _SLANT, _TURN)
    cos, sin = np.cos(turn), np.sin(turn)
    return np.array([[np.exp(wide), 0], [-slant, 1]]) @ np.array([[cos, sin], [-sin, cos]])


# ------------------------------------------------------------------------------ how it gets there


def _curve(stroke: tuple[Point, ...], places: np.ndarray, bows: np.ndarray) -> np.ndarray:
    """Return the way through a stroke's points, (n, 2) float, with its corners."""
    ends = [0, *(i for i in range(1, len(stroke) - 1) if stroke[i].corner), len(stroke) - 1]
    return np.concatenate(
        [
            _straight(places[start], places[stop], bows[start])
            if stop == start + 1
            else _spline(stroke[start : stop + 1]) @ places[start : stop + 1]
            for start, stop in itertools.pairwise(ends)
        ]
    )


def _straight(start: np.ndarray, stop: np.ndarray, bow: float) -> np.ndarray:
    """Return a line that is not quite straight."""
    share = np.linspace(0, 1, _PER_SPAN)[:, None]
    x, y = stop - start
    return start + share * (x, y) + 4 * bow * share * (1 - share) * np.array((-y, x))


@cache
def _spline(points: tuple[Point, ...]) -> np.ndarray:
    """Return the matrix that makes a smooth curve of wherever these points come to lie.

    A spline is linear in its points; at what time each is passed, the book's places say: by the
    square root of the distance, as in centripetal splines, which do not overshoot.
    """
    from scipy.interpolate import CubicSpline

    aims = np.array([point[:2] for point in points])
    times = np.cumsum([0, *np.sqrt(np.hypot(*np.diff(aims, axis=0).T)).clip(0.05)])
    fine = np.interp(
        np.linspace(0, len(points) - 1, (len(points) - 1) * _PER_SPAN + 1),
        np.arange(len(points)),
        times,
    )
    return np.asarray(CubicSpline(times, np.eye(len(points)), bc_type="natural")(fine))


def _even(way: np.ndarray) -> Way:
    """Return a way's points anew, STEP apart."""
    lengths = np.hypot(*np.diff(way, axis=0).T)
    along = np.concatenate([[0], np.cumsum(lengths)])
    at = np.linspace(0, along[-1], max(3, round(along[-1] / STEP) + 1))
    return np.stack([np.interp(at, along, way[:, 0]), np.interp(at, along, way[:, 1])], axis=1)


def _smoothed(way: Way, haste: float) -> Way:
    """Cut the corners; the ends stay."""
    reach = int(3 * haste / STEP)
    if not reach or len(way) <= 2 * reach:
        return way
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * STEP / haste) ** 2)
    kernel /= kernel.sum()
    before = 2 * way[0] - way[reach:0:-1]
    after = 2 * way[-1] - way[-2 : -reach - 2 : -1]
    padded = np.concatenate([before, way, after])
    return np.stack([np.convolve(padded[:, axis], kernel, "valid") for axis in (0, 1)], axis=1)


def _with_ends(way: Way, stroke: tuple[Point, ...], rng: Rng) -> Way:
    """Let the pen begin and stop early or late, where the book says that it may."""
    for end in (stroke[0], stroke[-1]):
        if end.short or end.past:
            way = _moved_end(way, end, float(_draws(rng)))
        way = way[::-1]  # the other end first; twice is as it was
    return way


def _moved_end(way: Way, end: Point, draw: float) -> Way:
    """Move the first end of a way: forwards for a draw below zero, else backwards."""
    if draw < 0:
        missing = min(round(-draw * end.short / STEP), len(way) // 3)
        return way[missing:]
    more = round(draw * end.past / STEP)
    towards = way[0] - way[min(3, len(way) - 1)]
    length = float(np.hypot(*towards))
    if not more or not length:
        return way
    beyond = np.arange(more, 0, -1)[:, None] * STEP * towards / length
    return np.concatenate([way[0] + beyond, way])


def _unrest(count: int, rng: Rng) -> np.ndarray:
    """Return noise of some five points' length and unit variance, (count, 2) float."""
    noise = rng.standard_normal((count + 4, 2))
    kernel = np.array([1, 2, 3, 2, 1]) / np.sqrt(19)
    return np.stack([np.convolve(noise[:, axis], kernel, "valid") for axis in (0, 1)], axis=1)
