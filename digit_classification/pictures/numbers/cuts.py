"""Where touching digits may be cut: the cheapest ways from top to bottom through a piece of ink.

A cut is a path that goes down a row at a time and at most a column aside, so that it finds its way
between strokes that lean over each other.  It costs the ink that it passes.  That the cheapest path
through each point is known from one pass down and one up is dynamic programming; its local minima
are the narrow places and the notches between contours at which LeCun et al. 1998, section VII.B,
cut as well.
"""

from __future__ import annotations

import numpy as np

_PAPER = 0.03  # the cost of a pixel of paper, that of ink being 1
_ASIDE = 1.3  # times as dear: a step aside
_LEVELS = (0.2, 0.35, 0.5, 0.65, 0.8)  # of the height, at which minima are looked for
_DEAREST = 0.55  # of the piece's height: a cut through more ink is none
_SMALLEST = 0.08  # of a digit's ink: what two cuts must have between them
_WIDTH = 0.7  # of its height: a digit's usual width
_EACH = 4  # cuts for each digit that there may be


def find_cuts(piece: np.ndarray, digit: float) -> np.ndarray:
    """Return cuts of a piece from left to right: (n, h) int, the first column after each.

    They do not cross.

    Args:
        piece: (h, w) uint8.
        digit: how high digits are, in pixels.
    """
    height, width = piece.shape
    digits = max(1.0, width / (_WIDTH * digit))
    most = round(_EACH * digits)
    if width < 6 or height < 8:
        return np.zeros((0, height), int)
    cost = np.where(piece > 0, 1.0, _PAPER).astype(np.float32)
    cost += np.float32(1e-3) * abs(np.arange(width, dtype=np.float32) / width - 0.5)
    down, came_down = _pass(cost)
    up, came_up = _pass(cost[::-1])
    up, came_up = up[::-1], came_up[::-1]
    through = down + up - cost
    places: list[tuple[float, int, int]] = []
    for level in _LEVELS:
        row = int(level * (height - 1))
        values = through[row]
        inner = values[1:-1]
        lowest = (inner <= values[:-2]) & (inner < values[2:])
        lowest &= inner <= max(_DEAREST * height, 4)
        places += [(float(values[c]), row, int(c)) for c in np.flatnonzero(lowest) + 1]
    places.sort()
    total = float(np.count_nonzero(piece))
    least = _SMALLEST * total / digits
    left_of = np.cumsum(piece > 0, axis=1)  # ink up to and with each column
    chosen: list[np.ndarray] = []
    profiles: list[np.ndarray] = []
    rows = np.arange(height)
    for _, row, column in places:
        path = _path(came_down, came_up, row, column)
        profile = np.where(path > 0, left_of[rows, np.maximum(path - 1, 0)], 0)
        if not least < profile.sum() < total - least:
            continue
        if any(abs(profile - other).sum() < least for other in profiles):
            continue
        chosen.append(path)
        profiles.append(profile)
        if len(chosen) == most:
            break
    if not chosen:
        return np.zeros((0, height), int)
    return np.sort(np.stack(chosen), axis=0)


def _pass(cost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the cost of the cheapest path to each pixel from the first row, and the step to it."""
    height, width = cost.shape
    total = np.empty_like(cost)
    came = np.zeros(cost.shape, np.int8)  # from the left (-1), above or the right (1)
    total[0] = cost[0]
    around = np.full((3, width), np.inf, np.float32)
    for row in range(1, height):
        above = total[row - 1]
        around[0, 1:] = above[:-1]
        around[1] = above
        around[2, :-1] = above[1:]
        here = cost[row]
        around[0] += _ASIDE * here
        around[1] += here
        around[2] += _ASIDE * here
        best = around.argmin(axis=0)
        total[row] = np.take_along_axis(around, best[None], 0)[0]
        came[row] = best - 1
    return total, came


def _path(came_down: np.ndarray, came_up: np.ndarray, row: int, column: int) -> np.ndarray:
    """Return the column of the cheapest path through a pixel in each row."""
    height = len(came_down)
    path = np.empty(height, int)
    path[row] = at = column
    for above in range(row, 0, -1):
        at += int(came_down[above, at])
        path[above - 1] = at
    at = column
    for below in range(row, height - 1):
        at += int(came_up[below, at])
        path[below + 1] = at
    return path
