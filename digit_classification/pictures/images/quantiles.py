"""Medians and quantiles of the pixels, pieces and lines of a picture.

NumPy's own are as good, and general: for ten numbers most of their 30 microseconds goes into that,
and a picture asks for dozens.  Nor do these import numpy.ma, which takes as long as a picture.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import ArrayLike

ENOUGH = 25_000  # pixels, by which it is seen what most of a picture's are like


def thinned(pixels: np.ndarray) -> np.ndarray:
    """Return (h, w) pixels, of a large picture only every second or so of them."""
    step = max(1, math.isqrt(pixels.size // ENOUGH))
    return pixels[::step, ::step]


def median(values: ArrayLike) -> float:
    """Return the median of one number or more, of any shape."""
    return quantile(values, 0.5)


def quantile(values: ArrayLike, share: float) -> float:
    """Return what this share, 0 to 1, of one number or more, of any shape, is no larger than.

    Between two of them it is interpolated, as `np.quantile` does.
    """
    [found] = quantiles(values, share)
    return found


def quantiles(values: ArrayLike, *shares: float) -> list[float]:
    """Return the `quantile` of each of these shares."""
    flat = np.asarray(values).ravel()
    places = [share * (len(flat) - 1) for share in shares]
    lower = [math.floor(place) for place in places]
    upper = [min(place + 1, len(flat) - 1) for place in lower]
    if flat.dtype == np.uint8:  # counted sooner than sorted
        reached = np.cumsum(cv2.calcHist([flat], [0], None, [256], [0, 256]), dtype=np.int64)
        found = np.searchsorted(reached, lower + upper, side="right").tolist()
    else:
        found = np.partition(flat, lower + upper)[lower + upper].tolist()
    both = zip(places, lower, found[: len(shares)], found[len(shares) :], strict=True)
    return [float(below + (above - below) * (place - low)) for place, low, below, above in both]


def weighted_quantile(values: np.ndarray, share: float, weights: np.ndarray) -> float:
    """Return the least of the values, (n,), up to which this share of the weights, (n,), lies."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    first = int(np.searchsorted(reached, share * reached[-1]))
    return float(values[order[min(first, len(order) - 1)]])
