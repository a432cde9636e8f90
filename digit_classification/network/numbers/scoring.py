"""What candidates show: read by the digit network, judged by the judge, many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from digit_classification.network.inference import log
from digit_classification.network.judge import CLASSES, Judge, ReadingNetwork, inputs_of
from digit_classification.network.numbers.certainty import candidate_features
from digit_classification.network.numbers.lattice import Edge
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


def score(candidates: Sequence[Candidate], network: ReadingNetwork, judge: Judge | None) -> Scores:
    """Read and judge candidates; without a judge each is a whole digit."""
    if not candidates:
        return Scores(np.zeros((0, len(CLASSES))), np.zeros((0, 10), np.float32), np.zeros(0))
    inputs = inputs_of([each.proposal for each in candidates], network)
    if judge is None:
        classes = np.zeros((len(candidates), len(CLASSES)))
        classes[:, _WHOLE] = 1
        return Scores(classes, inputs.probabilities, classes[:, _WHOLE])
    classes = judge(inputs)
    whole = classes[:, _WHOLE]
    if judge.numbers is not None:
        places = np.array([each.place for each in candidates])
        features = candidate_features(classes, inputs.probabilities, places)
        whole = judge.numbers.whole(features)
    return Scores(classes, inputs.probabilities, whole)


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
