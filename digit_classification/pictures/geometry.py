"""Small matrices that map places in one picture to places in another."""

from __future__ import annotations

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
