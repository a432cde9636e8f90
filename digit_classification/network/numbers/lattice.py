"""The best ways through the segments of a line (LeCun et al. 1998, section VII).

Nodes are the places between segments, and an edge takes one or more segments for a sign or passes
one over.  A path says of each candidate whether it is a digit, of those on it that they are and of
all others that they are not: so its logarithm is, but for a constant, the sum of the logarithms of
the odds on it, and that is an edge's weight.  (A product of probabilities would prefer few wide
digits to many.)  Dynamic programming from left to right keeps the best ways to each node whose
texts differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from digit_classification.network.inference import log

LEAST, MOST = 1e-5, 0.98  # of a probability, whose odds are a weight
POINTS = ",."
MINUS = "-"


class Edge(NamedTuple):
    """One or more segments taken for a sign, or passed over.

    Attributes:
        first, last: the segments, the last not included.
        text: the sign, or two digits that touch; empty where they are passed over.
        weight: the logarithm of the odds that it is that.
        probability: of the same, 0 to 1.
        candidate: its position among the candidates, of a digit; else -1.
        pair: its position among the pairs, of two digits; else -1.
    """

    first: int
    last: int
    text: str
    weight: float
    probability: float
    candidate: int = -1
    pair: int = -1


@dataclass(frozen=True)
class Path:
    """A way through all segments."""

    text: str
    weight: float
    edges: tuple[Edge, ...]


def log_odds(probabilities: np.ndarray, least: float = LEAST, most: float = MOST) -> np.ndarray:
    """Return the logarithms of the odds of probabilities, (n,) float64, which are bounded."""
    bounded = np.clip(probabilities, least, most)
    return log(bounded / (1 - bounded))


def best_paths(edges: Iterable[Edge], segments: int, most: int) -> list[Path]:
    """Return at most so many paths whose texts are numbers, all different, the best first."""
    arriving = _arriving(edges, segments)
    paths: list[list[Path]] = [[Path("", 0.0, ())]]
    for node in range(1, segments + 1):
        best: dict[str, tuple[float, Path, Edge]] = {}
        for alike in arriving[node]:
            for rank, edge in enumerate(alike[:most], start=1):
                # With all better edges and all better ways before them there are enough already.
                for before in paths[edge.first][: most // rank]:
                    if not _goes_on(before.text, edge.text):
                        continue
                    text, weight = before.text + edge.text, before.weight + edge.weight
                    if text not in best or weight > best[text][0]:
                        best[text] = weight, before, edge
        kept = sorted(best.items(), key=lambda item: (-item[1][0], item[0]))[:most]
        paths.append(
            [Path(text, weight, (*before.edges, edge)) for text, (weight, before, edge) in kept]
        )
    return [path for path in paths[-1] if _is_number(path.text)]


def _arriving(edges: Iterable[Edge], segments: int) -> list[list[list[Edge]]]:
    """Return the edges that end at each node, those of the same ink and as many digits together.

    Of such ones, the best first, any goes on where another does, and to another text.
    """
    arriving: list[dict[tuple[int, str | int], list[Edge]]] = [{} for _ in range(segments + 1)]
    for edge in edges:
        kind = len(edge.text) if edge.text.isdigit() else edge.text
        arriving[edge.last].setdefault((edge.first, kind), []).append(edge)
    return [
        [sorted(alike, key=lambda edge: -edge.weight) for alike in bundles.values()]
        for bundles in arriving
    ]


def _goes_on(text: str, sign: str) -> bool:
    """Whether a sign may follow: a minus at the front, one comma or point after a digit."""
    if sign == MINUS:
        return not text
    if sign and sign in POINTS:
        return text[-1:].isdigit() and not any(each in text for each in POINTS)
    return True


def _is_number(text: str) -> bool:
    return text[-1:].isdigit()


def digits_of(path: Path) -> Sequence[Edge]:
    """Return the edges that are signs of the text."""
    return [edge for edge in path.edges if edge.text]
