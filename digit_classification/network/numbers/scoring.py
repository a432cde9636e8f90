"""What candidates show: read by the digit network, judged by the judge, many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from digit_classification.network.inference import log
from digit_classification.network.judge import CLASSES, Judge, ReadingNetwork, inputs_of
from digit_classification.network.numbers.certainty import CONTEXT_FEATURES, candidate_features
from digit_classification.network.numbers.context import context_features
from digit_classification.network.numbers.lattice import Edge, log_odds
from digit_classification.network.numbers.pairs import Pairs, PairScores, pair_features
from digit_classification.pictures.images.convention import PAIR_SHAPE
from digit_classification.pictures.numbers import Seen
from digit_classification.pictures.numbers.candidates import Candidate
from digit_classification.pictures.numbers.pairs import Pair

_WHOLE = CLASSES.index("whole")
_AS_MUCH_AS = 1.5  # digits that are whole: so much speaks for the two of a pair
LIKELY = 2e-3  # of a digit's: less likely ones make no edge


@dataclass(frozen=True)
class Scores:
    """What n candidates show.

    Attributes:
        classes: (n, 4) float64, the judge's CLASSES.
        probabilities: (n, 10) float32, what the network reads.
        whole: (n,) float64, how probable it is that each is one whole digit.
        pairs: what pairs of the same view show; None where nothing reads them.
    """

    classes: np.ndarray
    probabilities: np.ndarray
    whole: np.ndarray
    pairs: PairScores | None = None

    def __getitem__(self, part: slice) -> Scores:
        return Scores(self.classes[part], self.probabilities[part], self.whole[part])


_NOTHING = Scores(np.zeros((0, len(CLASSES))), np.zeros((0, 10), np.float32), np.zeros(0))


def score(views: Sequence[Seen], network: ReadingNetwork, judge: Judge | None) -> list[Scores]:
    """Read and judge the candidates of each view; without a judge each is a whole digit."""
    candidates = [each for view in views for each in view.candidates]
    if not candidates:
        return [_NOTHING] * len(views)
    inputs = inputs_of([each.proposal for each in candidates], network)
    if judge is None:
        classes = np.zeros((len(candidates), len(CLASSES)))
        classes[:, _WHOLE] = 1
        return _of_each(views, Scores(classes, inputs.probabilities, classes[:, _WHOLE]))
    classes = judge(inputs)
    certainty = judge.numbers
    if certainty is None:
        return _of_each(views, Scores(classes, inputs.probabilities, classes[:, _WHOLE]))
    places = np.array([each.place for each in candidates])
    whole = certainty.alone(candidate_features(classes, inputs.probabilities, places))
    alone = _of_each(views, Scores(classes, inputs.probabilities, whole))
    scored = alone
    if certainty.in_context is not None:
        whole = certainty.in_context(np.concatenate([*map(features_in_context, views, alone)]))
        scored = _of_each(views, Scores(classes, inputs.probabilities, whole))
    if judge.pairs is None:
        return scored
    pairs = score_pairs(views, alone, judge.pairs)
    return [replace(each, pairs=two) for each, two in zip(scored, pairs, strict=True)]


def score_pairs(views: Sequence[Seen], alone: Sequence[Scores], network: Pairs) -> list[PairScores]:
    """Read and judge the pairs of each view, whose candidates have these scores by themselves."""
    read = read_pairs(views, network)
    both = network.believed(np.concatenate([*map(features_of_pairs, views, alone, read)]))
    parts = _parts([len(view.pairs) for view in views])
    return [replace(each, both=both[part]) for each, part in zip(read, parts, strict=True)]


def read_pairs(views: Sequence[Seen], network: Pairs) -> list[PairScores]:
    """Return what the pairs of each view show by themselves."""
    images = [pair.image for view in views for pair in view.pairs]
    read = network.read(np.stack(images) if images else np.zeros((0, *PAIR_SHAPE), np.uint8))
    return [read[part] for part in _parts([len(view.pairs) for view in views])]


def features_of_pairs(view: Seen, alone: Scores, read: PairScores) -> np.ndarray:
    """Return `pair_features` of a view's pairs, which show this by themselves."""
    return pair_features(view.pairs, read, view.candidates, alone.whole, alone.probabilities)


def features_in_context(view: Seen, scores: Scores) -> np.ndarray:
    """Return `context_features` of a view whose candidates have these scores by themselves."""
    candidates = view.candidates
    if not candidates:
        return np.zeros((0, CONTEXT_FEATURES))
    return context_features(
        np.array([each.first for each in candidates], int),
        np.array([each.last for each in candidates], int),
        len(view.segments),
        scores.whole,
        scores.probabilities,
        np.array([each.place for each in candidates]),
    )


def _of_each(views: Sequence[Seen], scores: Scores) -> list[Scores]:
    """Return the scores of each view's own candidates."""
    return [scores[part] for part in _parts([len(view.candidates) for view in views])]


def _parts(lengths: Sequence[int]) -> list[slice]:
    """Return which part of a row each of the arrays is that it was made of."""
    ends = np.cumsum(lengths).tolist()
    return [slice(end - length, end) for length, end in zip(lengths, ends, strict=True)]


def digit_edges(candidates: Sequence[Candidate], scores: Scores) -> list[Edge]:
    """Return the edges of what candidates may be read as."""
    odds = log_odds(scores.whole)
    which, digits = np.nonzero(scores.probabilities > LIKELY)
    read = scores.probabilities[which, digits].astype(np.float64)
    weights = (odds[which] + log(read)).tolist()
    probabilities = (scores.whole[which] * read).tolist()
    edges = zip(which.tolist(), digits.tolist(), weights, probabilities, strict=True)
    return [
        Edge(candidates[i].first, candidates[i].last, str(digit), weight, probability, i)
        for i, digit, weight, probability in edges
    ]


def pair_edges(pairs: Sequence[Pair], scores: PairScores | None) -> list[Edge]:
    """Return the edges of what pairs may be read as."""
    if scores is None or not pairs:
        return []
    odds = _AS_MUCH_AS * log_odds(scores.both)
    read = scores.left[:, :, None] * scores.right[:, None]
    read[[pair.last - pair.first < 2 for pair in pairs]] = 0  # nobody could say where either is
    which, left, right = np.nonzero(read > LIKELY)
    likely = read[which, left, right]
    weights = (odds[which] + log(likely)).tolist()
    probabilities = (scores.both[which] * likely).tolist()
    texts = (f"{one}{two}" for one, two in zip(left.tolist(), right.tolist(), strict=True))
    edges = zip(which.tolist(), texts, weights, probabilities, strict=True)
    return [
        Edge(pairs[i].first, pairs[i].last, text, weight, probability, pair=i)
        for i, text, weight, probability in edges
    ]
