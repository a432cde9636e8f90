"""What the candidates around one say of it, given how probable each is by itself.

In a number exactly one way through its ink is right.  So a candidate is more probable where what is
left and right of it makes whole digits, and less where a wider or narrower one does better.
"""

from __future__ import annotations

import numpy as np

from digit_classification.network.inference import log
from digit_classification.network.numbers.lattice import log_odds

_EXTREME = 1e-6  # of a probability, whose own odds are told
_UNREAD = 1e-4  # of a digit: less is as much
_NONE = -12.0  # the weight where there is no such candidate
_PASSED = -5.0  # of a segment that is passed over


def context_features(
    first: np.ndarray,
    last: np.ndarray,
    segments: int,
    whole: np.ndarray,
    probabilities: np.ndarray,
    places: np.ndarray,
) -> np.ndarray:
    """Return what speaks for the candidates of one view, (n, 39) float64.

    Args:
        first: (n,) int, the first segment of each.
        last: (n,) int, the one behind its last.
        segments: how many there are.
        whole: (n,) float64, how probable it is that each is one whole digit, by itself.
        probabilities: (n, 10) float32, what the digit network reads.
        places: (n, 10) float64, as `Candidate.place` says.
    """
    read = np.maximum(probabilities.astype(np.float64), _UNREAD)
    own = log_odds(whole, _EXTREME, 1 - _EXTREME)
    weight = log_odds(whole) + log(read.max(axis=1))
    before = _best_ways(first, last, segments, weight)
    behind = _best_ways(segments - last, segments - first, segments, weight)[::-1]
    rest = before[first] + behind[last] - before[segments]  # of the best way, but for it

    begin, end = first[:, None], last[:, None]  # of each; below, of all others
    wider = (first <= begin) & (last >= end) & ((first < begin) | (last > end))
    narrower = (first >= begin) & (last <= end) & ((first > begin) | (last < end))
    others = [
        last == begin,  # to its left
        first == end,
        (last == end) & (first < begin),  # it, and more to the left
        (first == begin) & (last > end),
        wider,
        (first == begin) & (last < end),  # its left part
        (last == end) & (first > begin),
        narrower,
        (first < begin) & (last > begin) & (last < end),  # across its left border
        (first > begin) & (first < end) & (last > end),
    ]
    best = [np.where(which, weight, _NONE).max(axis=1, initial=_NONE) for which in others]
    columns = [
        *(own, weight, rest, rest + weight),
        *best,
        *(first == 0, last == segments),
        *(log(read) / 4).T,
        *places.T,
        *log(np.maximum(places[:, :3], 0.02)).T,
    ]
    return np.stack(columns, axis=1).astype(np.float64)


def _best_ways(
    first: np.ndarray, last: np.ndarray, segments: int, weights: np.ndarray
) -> np.ndarray:
    """Return the weight of the best way from the left to each place between segments."""
    arriving: list[list[tuple[int, float]]] = [[] for _ in range(segments + 1)]
    ways = zip(first.tolist(), last.tolist(), weights.tolist(), strict=True)
    for begin, end, weight in ways:
        arriving[end].append((begin, weight))
    best = [0.0]
    for node in range(1, segments + 1):
        through = (best[begin] + weight for begin, weight in arriving[node])
        best.append(max([best[node - 1] + _PASSED, *through]))
    return np.array(best)
