"""Digits drawn with a pen of our own, in styles that a dataset of one country's writers lacks.

MNIST was written in the United States.  Elsewhere a one has a flag and perhaps a foot, a seven a
bar, a four a closed top, a six a hooked one, a three a flat top, a nine a foot: networks trained
on MNIST alone take such a one for a seven and such a seven for a four.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from digit_classification.parallel import map_in_order
from digit_classification.pictures import images

CANVAS = 112  # pixels of the picture that a digit is drawn in
HEIGHT = 72  # pixels of the digit
POINTS_PER_SPAN = 12
# How far a hand strays: standard deviations, as parts of the digit's height where not said.
STRAY = 0.03  # of each point, unless a style says otherwise
WIDTH = 0.2  # of the logarithm of the digit's width
SLANT = 0.15
PEN = (0.04, 0.13)  # width of the stroke: from, to


class Point(NamedTuple):
    """A point that the pen passes through, in units of the digit's height; y points down."""

    x: float
    y: float
    stray_x: float = STRAY
    stray_y: float = STRAY


P = Point
# A style: its digit, and its strokes.  A stroke is smooth; where one ends at the point at which
# the next begins, the pen turns a corner.
STYLES: dict[str, tuple[int, list[list[Point]]]] = {
    "1 with a flag": (
        1,
        [
            [P(-0.28, 0.28, 0.1, 0.1), P(-0.1, 0.13), P(0, 0, 0, 0)],
            [P(0, 0, 0, 0), P(0.01, 0.5, 0.02), P(0, 1)],
        ],
    ),
    "1 with a long flag": (
        1,
        [
            [P(-0.38, 0.42, 0.08, 0.1), P(0, 0, 0, 0)],
            [P(0, 0, 0, 0), P(0, 1)],
        ],
    ),
    "1 with flag and foot": (
        1,
        [
            [P(-0.22, 0.22, 0.06, 0.06), P(0, 0, 0, 0)],
            [P(0, 0, 0, 0), P(0, 1, 0.02, 0)],
            [P(-0.24, 1, 0.08), P(0.24, 1, 0.08)],
        ],
    ),
    "3 with a flat top": (
        3,
        [
            [P(0, 0.03), P(0.5, 0, 0, 0)],
            [P(0.5, 0, 0, 0), P(0.22, 0.4, 0, 0)],
            [P(0.22, 0.4, 0, 0), P(0.5, 0.52), P(0.52, 0.84), P(0.25, 1), P(0, 0.9)],
        ],
    ),
    "4 with a closed top": (
        4,
        [
            [P(0.5, 0, 0, 0), P(0.22, 0.36), P(0, 0.6, 0, 0)],
            [P(0, 0.6, 0, 0), P(0.68, 0.58, 0.06, 0.08)],
            [P(0.5, 0, 0, 0), P(0.48, 1)],
        ],
    ),
    "4 with a high, closed top": (
        4,
        [
            [P(0.5, 0, 0, 0), P(-0.05, 0.42, 0, 0)],
            [P(-0.05, 0.42, 0, 0), P(0.52, 0.45, 0.05, 0.05)],
            [P(0.5, 0, 0, 0), P(0.5, 1)],
        ],
    ),
    "4 with a short stem": (
        4,
        [
            [P(0.42, 0, 0.06), P(0.2, 0.4), P(0, 0.72, 0, 0)],
            [P(0, 0.72, 0, 0), P(0.7, 0.7, 0.05, 0.05)],
            [P(0.45, 0.45, 0.04, 0.08), P(0.4, 1)],
        ],
    ),
    "6 with a hook": (
        6,
        [
            [
                *(P(0.52, 0.2, 0.05, 0.05), P(0.42, 0.01), P(0.18, 0.16), P(0.04, 0.62)),
                *(P(0.16, 0.97), P(0.42, 0.95), P(0.47, 0.68), P(0.28, 0.58), P(0.08, 0.72)),
            ]
        ],
    ),
    "7 with a bar": (
        7,
        [
            [P(0, 0.05), P(0.55, 0, 0, 0)],
            [P(0.55, 0, 0, 0), P(0.32, 0.45), P(0.2, 1)],
            [P(0.1, 0.53, 0.06, 0.08), P(0.58, 0.5, 0.06, 0.08)],
        ],
    ),
    "7 with a hook and a low bar": (
        7,
        [
            [P(0, 0.2, 0.03, 0.06), P(0.08, 0.02), P(0.3, 0.1), P(0.6, 0, 0, 0)],
            [P(0.6, 0, 0, 0), P(0.38, 0.5), P(0.25, 1)],
            [P(0.06, 0.68, 0.06, 0.08), P(0.62, 0.62, 0.06, 0.08)],
        ],
    ),
    "7 with a dip and a low bar": (
        7,
        [
            [P(0, 0.06), P(0.17, 0.24, 0.03, 0.06), P(0.4, 0.2), P(0.6, 0, 0, 0)],
            [P(0.6, 0, 0, 0), P(0.4, 0.5), P(0.22, 1)],
            [P(0.04, 0.72, 0.06, 0.07), P(0.62, 0.66, 0.06, 0.07)],
        ],
    ),
    "9 with a foot": (
        9,
        [
            [
                *(P(0.5, 0.12), P(0.28, 0), P(0.03, 0.2), P(0.18, 0.45), P(0.46, 0.34)),
                *(P(0.52, 0.12), P(0.54, 0.6), P(0.42, 0.93), P(0.04, 1, 0.05)),
            ]
        ],
    ),
}


def draw_digits(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw `count` digits, of each style about the same number.

    Returns:
        Normalised digits, (count, 28, 28) uint8, and their labels, (count,) uint8.
    """
    styles = list(STYLES.values())
    chosen = [styles[number % len(styles)] for number in range(count)]
    pictures = (_draw(strokes, rng) for _, strokes in chosen)
    digits = list(map_in_order(_normalized, pictures))
    labels = np.array([label for label, _ in chosen], np.uint8)
    return np.array(digits, np.uint8).reshape(-1, images.SIDE, images.SIDE), labels


def _normalized(picture: np.ndarray) -> np.ndarray:
    return images.normalize(picture).digit


def _draw(strokes: list[list[Point]], rng: np.random.Generator) -> np.ndarray:
    """Return a picture of one digit, (CANVAS, CANVAS) uint8, light on dark."""
    width = np.exp(WIDTH * rng.standard_normal())
    slant = SLANT * rng.standard_normal()
    bend = np.array([[width, 0], [-slant, 1]])
    curves = [_curve(_strayed(stroke, rng)) @ bend * HEIGHT for stroke in strokes]
    everything = np.concatenate(curves)
    middle = (everything.min(axis=0) + everything.max(axis=0)) / 2
    picture = np.zeros((CANVAS, CANVAS), np.uint8)
    pen = max(1, round(rng.uniform(*PEN) * HEIGHT))
    for curve in curves:
        points = np.round((curve - middle + CANVAS / 2) * 16).astype(np.int32)  # 4 fractional bits
        cv2.polylines(picture, [points], False, 255, pen, cv2.LINE_AA, shift=4)
    return picture


def _strayed(stroke: list[Point], rng: np.random.Generator) -> np.ndarray:
    """Return where a hand really goes, (n, 2) float."""
    aim = np.array(stroke)
    return np.asarray(aim[:, :2] + aim[:, 2:] * rng.standard_normal((len(stroke), 2)))


def _curve(points: np.ndarray) -> np.ndarray:
    """Return a smooth curve through `points`, (m, 2) float."""
    from scipy.interpolate import CubicSpline

    if len(points) == 2:
        return points
    spans = np.arange(len(points))
    fine = np.linspace(0, spans[-1], spans[-1] * POINTS_PER_SPAN + 1)
    return np.asarray(CubicSpline(spans, points)(fine))
