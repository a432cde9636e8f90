"""Signs and shapes that the judge never sees, as paths like those of the trainer's marks."""

from __future__ import annotations

import numpy as np

from digit_classification.training.scenes.marks import Paths, arc, closed, curve, equals, line
from digit_classification.training.scenes.strokes import Rng


def percent(rng: Rng) -> Paths:
    size = rng.uniform(0.3, 0.42)
    return [line(0, 1, 0.9, 0), arc(0.15, 0.2, size, size), arc(0.78, 0.8, size, size)]


def hash_sign(rng: Rng) -> Paths:
    lean = rng.uniform(0, 0.2)
    upright = [line(x + lean, 0, x, 1) for x in (0.3, 0.65)]
    return [*upright, line(0.05, 0.35, 1, 0.33), line(0, 0.68, 0.95, 0.66)]


def plus_minus(rng: Rng) -> Paths:
    return [line(0, 0.4, 0.8, 0.4), line(0.4, 0, 0.4, 0.8), line(0, 1, 0.8, 1)]


def asterisk(rng: Rng) -> Paths:
    first = rng.uniform(0, np.pi)
    angles = first + np.arange(3) * np.pi / 3
    return [
        line(0.5 + np.cos(a) / 2, 0.5 + np.sin(a) / 2, 0.5 - np.cos(a) / 2, 0.5 - np.sin(a) / 2)
        for a in angles
    ]


def root(rng: Rng) -> Paths:
    end = rng.uniform(1, 1.8)
    return [np.array([(0, 0.6), (0.12, 0.5), (0.3, 1), (0.55, 0), (end, 0)])]


def ampersand(rng: Rng) -> Paths:
    return [
        curve(
            [
                (0.85, 1),
                (0.3, 0.3),
                (0.35, 0.02),
                (0.58, 0.12),
                (0.5, 0.35),
                (0.1, 0.65),
                (0.2, 0.97),
                (0.55, 0.9),
                (0.85, 0.5),
            ]
        )
    ]


def not_equal(rng: Rng) -> Paths:
    return [*equals(rng), line(0.7, -0.3, 0.3, 0.75)]


def sign(rng: Rng) -> Paths:
    signs = (percent, hash_sign, plus_minus, asterisk, root, ampersand, not_equal)
    return signs[rng.integers(len(signs))](rng)


def other_shape(rng: Rng) -> Paths:
    """Return a spiral, a house, a cube, a flower, waves, stairs, a fish or a zigzag."""
    angle = np.linspace(0, rng.uniform(2.5, 4) * 2 * np.pi, 90)
    spiral = 0.5 + (angle / angle[-1] / 2)[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    bloom = np.linspace(0, 2 * np.pi, 90)
    petals = 0.5 + (0.3 + 0.2 * np.cos(5 * bloom))[:, None] * np.stack(
        [np.cos(bloom), np.sin(bloom)], 1
    )
    x = np.linspace(0, 2, 60)
    steps = [(i / 4 + a, 1 - i / 4 - b) for i in range(4) for a, b in ((0, 0), (0, 0.25))]
    teeth = [(i / 5, (i % 2) * rng.uniform(0.4, 1)) for i in range(8)]
    shapes: list[Paths] = [
        [spiral],
        [
            *closed([(0, 0.45), (1, 0.45), (1, 1), (0, 1)]),
            np.array([(0, 0.45), (0.5, 0), (1, 0.45)]),
            np.array([(0.4, 1), (0.4, 0.7), (0.6, 0.7), (0.6, 1)]),
        ],
        [
            *closed([(0, 0.3), (0.7, 0.3), (0.7, 1), (0, 1)]),
            np.array([(0, 0.3), (0.3, 0), (1, 0), (1, 0.7), (0.7, 1)]),
            line(0.7, 0.3, 1, 0),
        ],
        [petals],
        [np.stack([x, 0.5 + 0.3 * np.sin(x * np.pi * k + d)], 1) for k, d in ((2, 0), (2, 1.5))],
        [np.array([*steps, (1, 0)])],
        [
            curve([(1.6, 0), (1.1, 0.7), (0.5, 1), (0, 0.5), (0.5, 0), (1.1, 0.3), (1.6, 1)]),
            arc(0.3, 0.4, 0.05, 0.05),
        ],
        [np.array(teeth)],
    ]
    return shapes[rng.integers(len(shapes))]
