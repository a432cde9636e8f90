"""What is equally far apart, as printed lines are and strokes of a pen are not."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from digit_classification.pictures.geometry import straight

MOST = 30  # sides, or teeth
THICKER = 6  # pixels by which they may be thicker than the lines
STRAY = 3  # columns by which one may be off where it is looked for
SIDE = 0.8  # of its height: a side is dark
SEEN = 0.5  # of its height: of a side where one must be
_PARTS = 1, 2, 3  # of the distance of two sides: how far sides are apart


@dataclass(frozen=True)
class Family:
    """What is equally far apart: where, and how dark it is there, 0 to 1, (n,) each."""

    step: float
    places: np.ndarray
    seen: np.ndarray


def find_family(middles: np.ndarray, seen: np.ndarray, least: float, near: float) -> Family | None:
    """Return what of some places, (n,), is equally far apart, at `least` so far; None if nothing.

    Args:
        middles: the places.
        seen: (w,), how surely there is a side in each column, 0 to 1.
        least: columns between two.
        near: columns by which one may be off.
    """
    nearby = cv2.dilate(seen[None].astype(np.float32), np.ones((1, 2 * STRAY + 1), np.uint8))[0]
    best: tuple[float, Family] | None = None
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
                score = np.where(shares > SIDE, 1, np.where(shares > SEEN, -0.7, -1.5)).sum()
                score -= 0.2 * np.count_nonzero(~fits) + ((off[fits] / near) ** 2).sum()
                if best is None or score > best[0]:
                    best = float(score), Family(step, places, shares)
    return None if best is None else best[1]


def runs_of(on: np.ndarray, widest: int) -> list[tuple[int, int]]:
    """Return the first and last of neighbours that are on, (n,) bool, if they are not too many."""
    edges = np.diff(np.concatenate([[0], on.astype(int), [0]]))
    firsts, ends = np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist()
    return [(a, b - 1) for a, b in zip(firsts, ends, strict=True) if b - a <= widest]
