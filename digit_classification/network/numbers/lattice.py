"""The best ways through the segments of a line (LeCun et al. 1998, section VII).

Nodes are the places between segments, an edge takes one or more segments for a sign or passes one
over, and its weight is a logarithm of a probability.  Dynamic programming from left to right keeps
the best ways to each node whose texts differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

POINTS = ",."
MINUS = "-"


@dataclass(frozen=True)
class Edge:
    """One or more segments taken for a sign, or passed over.

    Attributes:
        first, last: the segments, the last not included.
        text: the sign; empty where they are passed over.
        weight: the logarithm of how probable that is.
        candidate: its position among the candidates, of a digit; else -1.
    """

    first: int
    last: int
    text: str
    weight: float
    candidate: int = -1


@dataclass(frozen=True)
class Path:
    """A way through all segments."""

    text: str
    weight: float
    edges: tuple[Edge, ...]


def best_paths(edges: Iterable[Edge], segments: int, most: int) -> list[Path]:
    """Return at most so many paths whose texts are numbers, all different, the best first."""
    arriving: list[list[Edge]] = [[] for _ in range(segments + 1)]
    for edge in edges:
        arriving[edge.last].append(edge)
    paths: list[list[Path]] = [[Path("", 0.0, ())]]
    for node in range(1, segments + 1):
        best: dict[str, Path] = {}
        for edge in arriving[node]:
            for before in paths[edge.first]:
                if not _goes_on(before.text, edge.text):
                    continue
                text, weight = before.text + edge.text, before.weight + edge.weight
                known = best.get(text)
                if known is None or weight > known.weight:
                    best[text] = Path(text, weight, (*before.edges, edge))
        paths.append(_best(best.values(), most))
    return [path for path in paths[-1] if _is_number(path.text)]


def _best(paths: Iterable[Path], most: int) -> list[Path]:
    return sorted(paths, key=lambda path: (-path.weight, path.text))[:most]


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
