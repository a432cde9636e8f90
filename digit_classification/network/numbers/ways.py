"""The paths through each view of a picture, and which view is believed."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from digit_classification.network.judge import Judge, ReadingNetwork
from digit_classification.network.numbers.certainty import number_features
from digit_classification.network.numbers.lattice import Path, best_paths
from digit_classification.network.numbers.scoring import Scores, digit_edges, pair_edges, score
from digit_classification.network.numbers.signs import sign_edges
from digit_classification.pictures.numbers import Seen, cut_further

_MOST, MOST_CONSTRAINED = 6, 60  # paths that are kept
_WIDE = 1.15  # heights of the line: what is wider may be two digits
_CONVINCING = 0.9  # of the least sure sign that is read without a look at cuts
_ENOUGH = 0.3  # the confidence with which neither the other ink nor a part is looked at
_TWO = 0.2  # how probable it is that a piece is two digits, if it is looked at for cuts
_MUCH = 2.0  # times as sure
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


def find_ways(
    seen: Sequence[Seen],
    network: ReadingNetwork,
    judge: Judge | None,
    fits: re.Pattern[str] | None,
) -> list[Way]:
    """Return the best way through each view, all read and judged at once.

    Args:
        seen: the views.
        network: reads digits.
        judge: judges candidates.
        fits: what the text must be.
    """
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
        ways[i] = replace(ways[i], confidence=confidence)
    return ways


def cut_where_doubtful(
    ways: Sequence[Way],
    network: ReadingNetwork,
    judge: Judge | None,
    fits: re.Pattern[str] | None,
) -> list[Way]:
    """Return ways through pieces, and where those do not convince through cuts of them."""
    cuts = [
        [] if _convinces(way) or way.seen.line is None else cut_further(way.seen, sure_pieces(way))
        for way in ways
    ]
    return [
        _cut_or_whole(whole, [way for way in cut if way.paths])
        for whole, cut in zip(ways, _ways_of_each(cuts, network, judge, fits), strict=True)
    ]


def _cut_or_whole(whole: Way, cut: Sequence[Way]) -> Way:
    """Return the way through cuts, if there is one: it shows more of the same line.

    Unless it is much less sure: where nothing touches, cuts are only in the way.
    """
    best = _best(cut) if cut else whole
    return whole if whole.confidence > _MUCH * best.confidence else best


def in_other_ink_where_hopeless(
    ways: Sequence[Way],
    others: Sequence[Callable[[], Seen]],
    network: ReadingNetwork,
    judge: Judge | None,
    fits: re.Pattern[str] | None,
) -> list[Way]:
    """Return ways, and where they are hardly believed those of the other ink that are believed.

    Args:
        ways: of each picture.
        others: makes the view of light ink for dark, or of dark ink for light.
        network: reads digits.
        judge: judges candidates.
        fits: what the text must be.
    """
    hopeless = [i for i, way in enumerate(ways) if way.confidence < _ENOUGH]
    firsts = find_ways([others[i]() for i in hopeless], network, judge, fits)
    found = dict(zip(hopeless, cut_where_doubtful(firsts, network, judge, fits), strict=True))
    better = {i: way for i, way in found.items() if way.confidence >= _ENOUGH}
    return [better.get(i, way) for i, way in enumerate(ways)]


def look_elsewhere_where_hopeless(
    ways: Sequence[Way],
    parts: Sequence[Callable[[], list[Seen]]],
    network: ReadingNetwork,
    judge: Judge | None,
    fits: re.Pattern[str] | None,
) -> list[Way]:
    """Return ways, and where those are hardly believed better ones in parts of the picture.

    Args:
        ways: of each picture.
        parts: makes the views of its parts.
        network: reads digits.
        judge: judges candidates.
        fits: what the text must be.
    """
    views = [
        [] if way.confidence >= _ENOUGH else make() for way, make in zip(ways, parts, strict=True)
    ]
    # A part in which fewer signs are read leaves some out.
    return [
        _best([way, *(other for other in others if _length(other) >= _length(way))])
        for way, others in zip(ways, _ways_of_each(views, network, judge, fits), strict=True)
    ]


def _ways_of_each(
    views: Sequence[Sequence[Seen]],
    network: ReadingNetwork,
    judge: Judge | None,
    fits: re.Pattern[str] | None,
) -> list[list[Way]]:
    """Find the ways of all views of all pictures at once."""
    found = iter(find_ways([*itertools.chain.from_iterable(views)], network, judge, fits))
    return [[next(found) for _ in some] for some in views]


def _best(ways: Sequence[Way]) -> Way:
    return max(ways, key=lambda way: (bool(way.paths), way.confidence))


def _length(way: Way) -> int:
    """Return how many signs are read."""
    return len(way.paths[0].text) if way.paths else 0


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
