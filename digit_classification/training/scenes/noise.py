"""Noise at the price of a copy: cut out of two large tiles that are drawn once."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

_SIDE = 1024


@cache
def _white() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((_SIDE, _SIDE), np.float32)


@cache
def _clouds() -> np.ndarray:
    """Noise of all scales, the coarse ones strongest; standard deviation 1."""
    random = np.random.default_rng(2)
    total: np.ndarray = np.zeros((_SIDE, _SIDE), np.float32)
    for cells in (8, 16, 32, 64, 128, 256, 512):
        octave = random.standard_normal((cells, cells), np.float32)
        octave = cv2.copyMakeBorder(octave, 0, 1, 0, 1, cv2.BORDER_WRAP)
        grown = cv2.resize(octave, (_SIDE + _SIDE // cells,) * 2, interpolation=cv2.INTER_CUBIC)
        total += grown[:_SIDE, :_SIDE] * np.float32(8 / cells) ** 0.8
    return total / total.std()


def _cut(rng: np.random.Generator, tile: np.ndarray, height: int, width: int) -> np.ndarray:
    top, left = (int(n) for n in rng.integers(0, _SIDE, 2))
    if top + height <= _SIDE and left + width <= _SIDE:
        return tile[top : top + height, left : left + width]
    rows = np.arange(top, top + height) % _SIDE
    return tile[rows][:, np.arange(left, left + width) % _SIDE]


def fine(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Independent for each pixel: (height, width) float32, mean 0, standard deviation 1."""
    return _cut(rng, _white(), height, width)


@cache
def _grain() -> np.ndarray:
    soft = cv2.GaussianBlur(_white(), (0, 0), 0.9)
    return soft / soft.std()


def paper_grain(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """As `fine`, but neighbouring pixels are alike, as the grain of paper under a pencil is."""
    return _cut(rng, _grain(), height, width)


def clouds(
    rng: np.random.Generator, height: int, width: int, scale: float = 1, stretch: float = 1
) -> np.ndarray:
    """Smooth, of all scales: (height, width) float32, mean about 0, standard deviation about 1.

    Args:
        rng: where the part of the tile comes from.
        height: pixels.
        width: pixels.
        scale: the larger, the coarser.
        stretch: how much longer than high its patches are.
    """
    rows, columns = max(2, round(height / scale)), max(2, round(width / scale / stretch))
    cut = _cut(rng, _clouds(), rows, columns)
    return cv2.resize(cut, (width, height), interpolation=cv2.INTER_LINEAR)


def slope(rng: np.random.Generator, height: int, width: int, cells: int = 3) -> np.ndarray:
    """Something that changes slowly across the picture: (height, width) float32, about -1..1."""
    coarse = rng.uniform(-1, 1, (cells, cells)).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
