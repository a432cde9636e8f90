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
    (down, up), (came_down, came_up) = _passes(np.stack([cost, cost[::-1]], axis=1))
    through = down + up[::-1] - cost
    left_of = np.zeros((height, width + 1))  # ink left of each column
    np.cumsum(piece > 0, axis=1, out=left_of[:, 1:])
    costs, paths = [], []
    for level in _LEVELS:
        row = int(level * (height - 1))
        values = through[row]
        inner = values[1:-1]
        lowest = (inner <= values[:-2]) & (inner < values[2:])
        lowest &= inner <= max(_DEAREST * height, 4)
        columns = np.flatnonzero(lowest) + 1
        costs.append(values[columns])
        paths.append(_paths(came_down, came_up[::-1], row, columns))
    every = np.concatenate(paths)
    profiles = left_of[np.arange(height), every]
    before = profiles.sum(axis=1)
    total = left_of[:, -1].sum()
    least = _SMALLEST * total / digits
    chosen: list[int] = []
    for place in np.argsort(np.concatenate(costs), kind="stable").tolist():
        if not least < before[place] < total - least:
            continue
        between = abs(profiles[chosen] - profiles[place]).sum(axis=1)
        if (between >= least).all():
            chosen.append(place)
        if len(chosen) == most:
            break
    return np.sort(every[chosen], axis=0)


def _passes(cost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the costs of the cheapest paths to each pixel from the first row, and the steps to it.

    Args:
        cost: (h, n, w) float32, of n pictures.

    Returns:
        (n, h, w) float32; and int8, from the left (-1), above or the right (1).
    """
    total = np.empty_like(cost)
    came = np.zeros(cost.shape, np.int8)
    total[0] = cost[0]
    aside = _ASIDE * cost
    left, right = (np.full(cost.shape[1:], np.inf, np.float32) for _ in range(2))
    for row in range(1, len(cost)):
        before = total[row - 1]
        np.add(before[:, :-1], aside[row, :, 1:], out=left[:, 1:])
        np.add(before[:, 1:], aside[row, :, :-1], out=right[:, :-1])
        above = before + cost[row]
        best = np.minimum(left, above)
        came[row] = (right < best) * np.int8(1) - (left <= above) * (left <= right)
        np.minimum(best, right, out=total[row])
    return total.swapaxes(0, 1), came.swapaxes(0, 1)


def _paths(came_down: np.ndarray, came_up: np.ndarray, row: int, columns: np.ndarray) -> np.ndarray:
    """Return the columns, (n, h) int, of the cheapest paths through n pixels of a row."""
    height = len(came_down)
    paths = np.empty((height, len(columns)), int)
    paths[row] = columns
    for above in range(row, 0, -1):
        paths[above - 1] = paths[above] + came_down[above, paths[above]]
    for below in range(row, height - 1):
        paths[below + 1] = paths[below] + came_up[below, paths[below]]
    return paths.T
