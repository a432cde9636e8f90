"""What candidates show: read by the digit network, judged by the judge, many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from digit_classification.network.inference import log
from digit_classification.network.judge import CLASSES, Judge, ReadingNetwork, inputs_of
from digit_classification.network.numbers.lattice import Edge
from digit_classification.pictures.numbers.candidates import Candidate

_WHOLE = CLASSES.index("whole")
_LEAST = 1e-5  # of a probability
_LIKELY = 2e-3  # of a digit's: less likely ones make no edge


@dataclass(frozen=True)
class Scores:
    """What n candidates show.

    Attributes:
        whole: (n,) float64, how probable it is that each is one whole digit.
        probabilities: (n, 10) float32, what the network reads in it.
    """

    whole: np.ndarray
    probabilities: np.ndarray

    def __getitem__(self, part: slice) -> Scores:
        return Scores(self.whole[part], self.probabilities[part])


def score(candidates: Sequence[Candidate], network: ReadingNetwork, judge: Judge | None) -> Scores:
    """Read and judge candidates; without a judge each is a whole digit."""
    if not candidates:
        return Scores(np.zeros(0), np.zeros((0, 10), np.float32))
    inputs = inputs_of([each.proposal for each in candidates], network)
    whole = np.ones(len(candidates)) if judge is None else judge(inputs)[:, _WHOLE]
    return Scores(whole, inputs.probabilities)


def digit_edges(candidates: Sequence[Candidate], scores: Scores) -> list[Edge]:
    """Return the edges of what candidates may be read as."""
    whole = log(np.maximum(scores.whole, _LEAST))
    read = log(np.maximum(scores.probabilities.astype(np.float64), _LEAST))
    edges = []
    for index, each in enumerate(candidates):
        for digit in np.flatnonzero(scores.probabilities[index] > _LIKELY).tolist():
            weight = float(whole[index] + read[index, digit])
            edges.append(Edge(each.first, each.last, str(digit), weight, index))
    return edges
