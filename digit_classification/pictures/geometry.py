"""Small matrices that map places in one picture to places in another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the product of two small matrices, which no BLAS kernel rounds in its own way."""
    return (a[:, :, None] * b[None]).sum(axis=1)


def inverse(matrix: np.ndarray) -> np.ndarray:
    """Return the inverse of a (3, 3) matrix, by cofactors."""
    (a, b, c), (d, e, f), (g, h, i) = matrix.tolist()
    cofactors = np.array(
        [
            [e * i - f * h, c * h - b * i, b * f - c * e],
            [f * g - d * i, a * i - c * g, c * d - a * f],
            [d * h - e * g, b * g - a * h, a * e - b * d],
        ]
    )
    inverse: np.ndarray = cofactors / (
        a * cofactors[0, 0] + b * cofactors[1, 0] + c * cofactors[2, 0]
    )
    return inverse


def mapped(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Map points, (n, 2), by a (3, 3) matrix."""
    whole = product(matrix, np.concatenate([points.T, np.ones((1, len(points)))]))
    mapped: np.ndarray = (whole[:2] / whole[2]).T
    return mapped


def corners(box: Sequence[float]) -> np.ndarray:
    """Return the corners, (4, 2) float64, clockwise, of left, top, right and bottom."""
    left, top, right, bottom = box
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], float)


def box_in_shares(
    back: np.ndarray, box: Sequence[float], shape: tuple[int, ...]
) -> tuple[float, float, float, float]:
    """Return left, top, width and height around a box, in shares of a picture of this shape.

    Args:
        back: (2, 3) float64, from the pixels that the box is in to the picture's.
        box: left, top, right, bottom, the last two not included.
        shape: height and width of the picture.
    """
    left, top, right, bottom = box
    ends = np.array([[left, right, left, right], [top, top, bottom, bottom], [1] * 4], float)
    ends[:2] -= 0.5  # the outer edges of the pixels
    places = (product(back, ends) + 0.5) / [[shape[1]], [shape[0]]]
    low, high = np.clip(places.min(axis=1), 0, 1), np.clip(places.max(axis=1), 0, 1)
    return float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1])


def straight(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return slope and height at 0 of the line nearest to points, (n,) each, by least squares."""
    x_mean, y_mean = float(x.mean()), float(y.mean())
    spread = float(((x - x_mean) ** 2).sum())
    slope = float(((x - x_mean) * (y - y_mean)).sum()) / spread if spread else 0.0
    return slope, y_mean - slope * x_mean
