"""The paths through each view of a picture, and which view is believed."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from digit_classification.network.judge import Judge, ReadingNetwork
from digit_classification.network.numbers.certainty import number_features
from digit_classification.network.numbers.lattice import Path, best_paths
from digit_classification.network.numbers.scoring import Scores, digit_edges, pair_edges, score
from digit_classification.network.numbers.signs import sign_edges
from digit_classification.pictures.numbers import Seen

_MOST, MOST_CONSTRAINED = 6, 60  # paths that are kept
_WIDE = 1.15  # heights of the line: what is wider may be two digits
_CONVINCING = 0.9  # of the least sure sign that is read without a look at cuts
_ENOUGH = 0.3  # the confidence with which no other part of the picture is looked at
_TWO = 0.2  # how probable it is that a piece is two digits, if it is looked at for cuts
_HARDLY = 0.2  # a mark passed over with less is one that should be looked at


@dataclass(frozen=True)
class Way:
    """The best paths through one view.

    Attributes:
        seen: the view.
        scores: of its candidates.
        paths: with different texts, the best first; none where there is no number.
        features: of the first, (NUMBER_FEATURES,) float64.
        confidence: that every sign of the first is right.
    """

    seen: Seen
    scores: Scores
    paths: list[Path]
    features: np.ndarray | None = None
    confidence: float = 0.0


Further = Callable[[Way], list[Seen]]


def no_further(_: Way) -> list[Seen]:
    """Look no further."""
    return []


def find_ways(
    firsts: Sequence[Seen],
    cuts: Sequence[Further],
    elsewhere: Sequence[Further],
    network: ReadingNetwork,
    judge: Judge | None,
    fits: re.Pattern[str] | None,
) -> list[Way]:
    """Return the way that is believed of each picture.

    Args:
        firsts: its pieces as they are.
        cuts: makes the views with cuts, asked where the pieces as they are do not convince.
        elsewhere: makes views of parts of the picture, asked where those do not either.
        network: reads digits.
        judge: judges candidates.
        fits: what the text must be.
    """
    ways = _ways(firsts, network, judge, fits)
    doubtful = [i for i, way in enumerate(ways) if not _convinces(way)]
    _improve(ways, doubtful, cuts, network, judge, fits, instead=True)
    doubtful = [i for i, way in enumerate(ways) if way.confidence < _ENOUGH]
    _improve(ways, doubtful, elsewhere, network, judge, fits, instead=False)
    return ways


def _improve(
    ways: list[Way],
    doubtful: Sequence[int],
    further: Sequence[Further],
    network: ReadingNetwork,
    judge: Judge | None,
    fits: re.Pattern[str] | None,
    *,
    instead: bool,
) -> None:
    """Look at more views of the doubtful pictures, all at once; take the most certain.

    With `instead` the views are of the same line, and show more of it: they replace the first.
    Otherwise they are of parts of a picture, and one in which fewer signs are read leaves some out.
    """
    views = [further[i](ways[i]) for i in doubtful]
    others = iter(_ways([view for some in views for view in some], network, judge, fits))
    for i, some in zip(doubtful, views, strict=True):
        mine = [next(others) for _ in some]
        known = [] if instead and any(way.paths for way in mine) else [ways[i]]
        if not instead:
            mine = [way for way in mine if _length(way) >= _length(ways[i])]
        ways[i] = max([*known, *mine], key=lambda way: (bool(way.paths), way.confidence))


def _length(way: Way) -> int:
    """Return how many signs are read."""
    return len(way.paths[0].text) if way.paths else 0


def _ways(
    seen: Sequence[Seen],
    network: ReadingNetwork,
    judge: Judge | None,
    fits: re.Pattern[str] | None,
) -> list[Way]:
    """Read and judge all candidates at once, and find the paths of each view."""
    scored = score(seen, network, judge)
    ways = [_way(view, scores, fits) for view, scores in zip(seen, scored, strict=True)]
    certainty = None if judge is None else judge.numbers
    found = [i for i, way in enumerate(ways) if way.paths]
    if certainty is None:
        confidences = [_product(ways[i].paths[0]) for i in found]
    else:
        features = [ways[i].features for i in found]
        confidences = certainty.right(np.array(features)).tolist() if found else []
    for i, confidence in zip(found, confidences, strict=True):
        way = ways[i]
        ways[i] = Way(way.seen, way.scores, way.paths, way.features, confidence)
    return ways


def _way(view: Seen, scores: Scores, fits: re.Pattern[str] | None) -> Way:
    if view.line is None:
        return Way(view, scores, [])
    edges = [
        *digit_edges(view.candidates, scores),
        *pair_edges(view.pairs, scores.pairs),
        *sign_edges(view.line, view.segments),
    ]
    paths = best_paths(edges, len(view.segments), _MOST if fits is None else MOST_CONSTRAINED)
    if not paths:
        return Way(view, scores, [])
    fitting = [path for path in paths if fits is None or fits.fullmatch(path.text)]
    if not fitting:
        return Way(view, scores, [])
    # What is read against the evidence, for the sake of the constraint, must not seem certain.
    best = fitting[0]
    other = max((path.weight for path in paths if path.text != best.text), default=-math.inf)
    if fits is not None and best is paths[0]:
        other = max((path.weight for path in fitting[1:]), default=-math.inf)
    return Way(view, scores, fitting, number_features(view, best, other))


def _product(path: Path) -> float:
    """Return the probability of a path whose signs do not depend on each other."""
    return math.prod(edge.probability for edge in path.edges)


def sure_pieces(way: Way) -> set[int]:
    """Return which segments of a way are surely one digit each, and no parts of wider ones."""
    assert way.seen.line is not None
    read = way.scores.whole * way.scores.probabilities.max(axis=1, initial=0)
    widest = _WIDE * way.seen.line.height
    return {
        each.first
        for each, certain in zip(way.seen.candidates, read.tolist(), strict=True)
        if certain > _CONVINCING and way.seen.segments.boxes[each.first][2] < widest
    } - _maybe_two(way)


def _maybe_two(way: Way) -> set[int]:
    """Return which segments may be two digits that look like one, as a 1 beside another does."""
    if way.scores.pairs is None:
        return set()
    both = way.scores.pairs.both.tolist()
    pairs = zip(way.seen.pairs, both, strict=True)
    return {pair.first for pair, certain in pairs if certain > _TWO}


def _convinces(way: Way) -> bool:
    """Whether the pieces as they are leave no doubt."""
    if not way.paths:
        return False
    sure = sure_pieces(way)
    return all(
        edge.first in sure if edge.candidate >= 0 else edge.probability > _HARDLY
        for edge in way.paths[0].edges
    )
