"""What candidates show: read by the digit network, judged by the judge, many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from digit_classification.network.inference import log
from digit_classification.network.judge import CLASSES, Judge, ReadingNetwork, inputs_of
from digit_classification.network.numbers.certainty import CONTEXT_FEATURES, candidate_features
from digit_classification.network.numbers.context import context_features
from digit_classification.network.numbers.lattice import Edge
from digit_classification.pictures.numbers import Seen
from digit_classification.pictures.numbers.candidates import Candidate

_WHOLE = CLASSES.index("whole")
_LEAST, _MOST = 1e-5, 0.98  # of a probability, whose odds are used
LIKELY = 2e-3  # of a digit's: less likely ones make no edge


@dataclass(frozen=True)
class Scores:
    """What n candidates show.

    Attributes:
        classes: (n, 4) float64, the judge's CLASSES.
        probabilities: (n, 10) float32, what the network reads.
        whole: (n,) float64, how probable it is that each is one whole digit.
    """

    classes: np.ndarray
    probabilities: np.ndarray
    whole: np.ndarray

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
    if certainty.in_context is None:
        return alone
    whole = certainty.in_context(np.concatenate([*map(features_in_context, views, alone)]))
    return _of_each(views, Scores(classes, inputs.probabilities, whole))


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
    ends = np.cumsum([len(view.candidates) for view in views]).tolist()
    return [scores[end - len(view.candidates) : end] for view, end in zip(views, ends, strict=True)]


def digit_edges(candidates: Sequence[Candidate], scores: Scores) -> list[Edge]:
    """Return the edges of what candidates may be read as."""
    whole = np.clip(scores.whole, _LEAST, _MOST)
    odds = log(whole / (1 - whole))
    which, digits = np.nonzero(scores.probabilities > LIKELY)
    read = scores.probabilities[which, digits].astype(np.float64)
    weights = (odds[which] + log(read)).tolist()
    probabilities = (scores.whole[which] * read).tolist()
    edges = zip(which.tolist(), digits.tolist(), weights, probabilities, strict=True)
    return [
        Edge(candidates[i].first, candidates[i].last, str(digit), weight, probability, i)
        for i, digit, weight, probability in edges
    ]
