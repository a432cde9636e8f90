"""What hands draw that is no digit: ticks, crosses, operators, shapes, scribbles.

Each function returns paths in units of the mark's height; x points right, y points down.
"""

from __future__ import annotations

import numpy as np

from .strokes import Path, Rng

Paths = list[Path]


def curve(points: list[tuple[float, float]] | np.ndarray, steps: int = 8) -> Path:
    """Return a smooth path through the points (a Catmull-Rom spline)."""
    at = np.asarray(points, float)
    ends = np.concatenate([[2 * at[0] - at[1]], at, [2 * at[-1] - at[-2]]])
    p0, p1, p2, p3 = ends[:-3, None], ends[1:-2, None], ends[2:-1, None], ends[3:, None]
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    spans = p1 + t / 2 * (
        p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0))
    )
    return np.concatenate([spans.reshape(-1, 2), at[-1:]])


def line(x0: float, y0: float, x1: float, y1: float) -> Path:
    """Return a straight path, with points enough to be bent."""
    return np.linspace((x0, y0), (x1, y1), 9)


def arc(
    x: float, y: float, width: float, height: float, first: float = 0, last: float = 360
) -> Path:
    """Return part of an ellipse about (x, y); degrees clockwise from the right."""
    angle = np.deg2rad(np.linspace(first, last, 40))
    return np.stack([x + width / 2 * np.cos(angle), y + height / 2 * np.sin(angle)], axis=1)


def closed(points: list[tuple[float, float]]) -> Paths:
    """Return the straight sides of a polygon, as one path."""
    return [np.asarray([*points, points[0]], float)]


# Ticks, crosses, operators ---------------------------------------------------------------------


def tick(rng: Rng) -> Paths:
    """Return a check mark: a short stroke down, a long one up to the right."""
    low = (rng.uniform(0.2, 0.45), 1.0)
    start = (rng.uniform(-0.1, 0.1), rng.uniform(0.5, 0.8))
    end = (rng.uniform(0.8, 1.5), rng.uniform(-0.1, 0.3))
    bend = rng.uniform(-0.12, 0.12)
    middle = ((low[0] + end[0]) / 2 + bend, (low[1] + end[1]) / 2 + bend)
    style = rng.integers(4)
    if style == 0:  # two straight strokes
        return [np.array([start, low, end])]
    if style == 1:  # the long stroke is bent
        return [np.concatenate([line(*start, *low), curve([low, middle, end])])]
    if style == 2:  # round at the turn
        return [curve([start, ((start[0] + low[0]) / 2, 0.9), low, middle, end])]
    hook = (end[0] + rng.uniform(0.05, 0.25), end[1] + rng.uniform(-0.02, 0.08))
    return [curve([start, low, middle, end, hook])]  # its end turns over


def cross(rng: Rng) -> Paths:
    """Return two strokes that cross, as a box is marked."""
    a, b, c, d = rng.uniform(-0.15, 0.15, 4)
    width = rng.uniform(0.6, 1.2)
    return [line(a, b, width + c, 1 + d), line(width + b, c, d, 1 + a)]


def plus(rng: Rng) -> Paths:
    a, b = rng.uniform(-0.08, 0.08, 2)
    width = rng.uniform(0.8, 1.2)
    return [line(0, 0.5 + a, width, 0.5 + b), line(width / 2 + a, 0, width / 2 + b, 1)]


def times(rng: Rng) -> Paths:
    a, b = rng.uniform(-0.1, 0.1, 2)
    return [line(0, 0, 1 + a, 1), line(1, b, 0, 1 + a)]


def minus(rng: Rng) -> Paths:
    bend, rise = rng.uniform(-0.06, 0.06), rng.uniform(-0.12, 0.12)
    return [curve([(0, rise), (0.5, bend), (rng.uniform(0.7, 1.2), -rise)])]


def equals(rng: Rng) -> Paths:
    gap, rise = rng.uniform(0.25, 0.5), rng.uniform(-0.06, 0.06)
    return [line(0, rise, 1, 0), line(rng.uniform(-0.1, 0.1), gap, 1, gap + rise)]


def divided(rng: Rng) -> Paths:
    gap = rng.uniform(0.2, 0.35)
    dots = [arc(0.5 + rng.uniform(-0.05, 0.05), y, 0.03, 0.03) for y in (-gap, gap)]
    return [line(0, 0, 1, rng.uniform(-0.05, 0.05)), *dots]


def operator(rng: Rng) -> Paths:
    return (plus, times, minus, equals, divided)[rng.integers(5)](rng)


# Signs -----------------------------------------------------------------------------------------


def arrow(rng: Rng) -> Paths:
    head, rise = rng.uniform(0.15, 0.3), rng.uniform(-0.3, 0.3)
    tip = (1.2, rise)
    return [
        line(0, 0, *tip),
        np.array([(1.2 - head, rise - head), tip, (1.2 - head, rise + head)]),
    ]


def punctuation(rng: Rng) -> Paths:
    """Return a question mark, an exclamation mark, quotation marks, a colon, dots or brackets."""
    dot = arc(0.3, 1, 0.04, 0.04)
    marks: list[Paths] = [
        [curve([(0, 0.25), (0.1, 0.03), (0.4, 0), (0.6, 0.2), (0.3, 0.5), (0.3, 0.75)]), dot],
        [line(0.3, 0, 0.3, 0.72), dot],
        [line(0, 0, -0.04, 0.3), line(0.2, 0, 0.16, 0.3)],
        [arc(0.3, 0.4, 0.05, 0.05), dot],
        [arc(x, 0, 0.05, 0.05) for x in (0, 0.35, 0.7)],
        [
            curve([(0.3, 0), (0.05, 0.3), (0.05, 0.7), (0.3, 1)]),
            curve([(0.8, 0), (1.05, 0.3), (1.05, 0.7), (0.8, 1)]),
        ],
        [
            np.array([(0.3, 0), (0, 0), (0, 1), (0.3, 1)]),
            np.array([(0.7, 0), (1, 0), (1, 1), (0.7, 1)]),
        ],
    ]
    return marks[rng.integers(len(marks))]


# Shapes ----------------------------------------------------------------------------------------


def shape(rng: Rng) -> Paths:
    """Return a triangle, a square, a star, an arrow, a heart or a sun, as children draw them."""
    star = [
        (0.5 + r * np.sin(a), 0.5 - r * np.cos(a))
        for r, a in zip([0.5, 0.22] * 5, np.arange(10) * np.pi / 5, strict=True)
    ]
    width = rng.uniform(0.7, 1.5)
    heart = [
        (0.5, 1),
        (0.1, 0.5),
        (0.05, 0.2),
        (0.28, 0.05),
        (0.5, 0.25),
        (0.72, 0.05),
        (0.95, 0.2),
        (0.9, 0.5),
        (0.5, 1),
    ]
    rays = [
        line(
            0.5 + 0.36 * np.cos(a),
            0.5 + 0.36 * np.sin(a),
            0.5 + 0.55 * np.cos(a),
            0.5 + 0.55 * np.sin(a),
        )
        for a in np.arange(8) * np.pi / 4
    ]
    shapes: list[Paths] = [
        closed([(0.5 * width, 0), (width, 1), (0, 1)]),
        closed([(0, 0), (width, 0), (width, 1), (0, 1)]),
        closed(star),
        arrow(rng),
        [curve(heart)],
        [arc(0.5, 0.5, 0.5, 0.5), *rays],
        closed([(0.5, 0), (1, 0.5), (0.5, 1), (0, 0.5)]),
        closed([(0, 0), (1, 0), (0.5, 1)]),
    ]
    return shapes[rng.integers(len(shapes))]


def closed_shape(rng: Rng) -> Path:
    """Return the outline of a shape that can be filled, about 1 high."""
    width = rng.uniform(0.7, 1.8)
    star = [
        (0.5 + r * np.sin(a), 0.5 - r * np.cos(a))
        for r, a in zip([0.5, 0.22] * 5, np.arange(10) * np.pi / 5, strict=True)
    ]
    sides = int(rng.integers(5, 9))
    around = np.arange(sides) * 2 * np.pi / sides
    head = [(0, 0.3), (0.7, 0.3), (0.7, 0), (1.3, 0.5), (0.7, 1), (0.7, 0.7), (0, 0.7)]
    shapes: list[Path] = [
        np.array([(0.5 * width, 0), (width, 1), (0, 1)]),
        np.array([(0, 0), (width, 0), (width, 1), (0, 1)]),
        arc(0.5, 0.5, width, 1),
        np.array(star),
        0.5 + 0.5 * np.stack([np.cos(around), np.sin(around)], axis=1),
        np.array(head),
    ]
    return shapes[rng.integers(len(shapes))]


def scribble(rng: Rng) -> Paths:
    """Return a path that wanders without aim, crossing itself."""
    count = int(rng.integers(8, 28))
    steps = rng.normal(0, 0.35, (count, 2))
    walk = np.cumsum(steps, axis=0) * 0.5
    walk = np.where(rng.random() < 0.5, rng.uniform(0, 1, (count, 2)), walk)
    low, high = walk.min(axis=0), walk.max(axis=0)
    return [curve((walk - low) / max(0.3, (high - low).max()))]


def hatching(rng: Rng) -> Paths:
    """Return one stroke to and fro, as a word is blackened or a patch filled."""
    count = int(rng.integers(7, 22))
    x = np.linspace(0, rng.uniform(0.6, 2), count) + rng.normal(0, 0.03, count)
    y = np.where(np.arange(count) % 2, 1, 0) + rng.normal(0, 0.1, count)
    lean = rng.uniform(-0.3, 0.6)
    points = np.stack([x - lean * y, y], axis=1)
    return [curve(points) if rng.random() < 0.5 else points]
