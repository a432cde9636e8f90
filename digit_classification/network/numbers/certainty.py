"""How sure a candidate, and a whole number, may be: two small logistic regressions.

A judge learns from pictures of one digit.  In a number more is known of a candidate: how high the
line is, how wide a digit of it may be, whether a cut or paper bounds it.  The first regression adds
that to what judge and digit network say; the second gives the probability that all signs of the
best path are right.  Both are fitted on drawn numbers (`training/numbers/`), and kept in the card
of the model file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from digit_classification.network.inference import (
    Activations,
    Layer,
    NetworkError,
    activation_layer,
    after_activations,
    log,
    softmax,
)
from digit_classification.network.numbers.lattice import Path
from digit_classification.pictures.numbers import Seen

CANDIDATE_FEATURES = 61
NUMBER_FEATURES = 11
_LEAST = 1e-6  # of a probability, whose logarithm is a feature
_WORST = 12.0  # minus the logarithm of the least probable path
_LARGEST = 1e4  # a weight


@dataclass(frozen=True)
class NumberCertainty:
    """Both regressions, each with two columns of weights: for what is not so, and for what is."""

    candidates: Layer
    numbers: Layer
    card: dict[str, Any] = field(repr=False)

    @classmethod
    def of(
        cls,
        candidates: tuple[np.ndarray, np.ndarray],
        numbers: tuple[np.ndarray, np.ndarray],
    ) -> NumberCertainty:
        """Return that of weights, (CANDIDATE_FEATURES or NUMBER_FEATURES,), each with its bias."""
        card = {
            name: [float(np.float32(value)) for value in (*np.ravel(weights), float(bias))]
            for name, (weights, bias) in (("candidates", candidates), ("numbers", numbers))
        }
        return cls.unpack(card)

    @classmethod
    def unpack(cls, card: object) -> NumberCertainty:
        """Return that of a model's card; raises NetworkError if it is none."""
        if not isinstance(card, Mapping):
            raise NetworkError("a certainty of numbers that is none")
        own = {
            "candidates": _weights(card.get("candidates"), CANDIDATE_FEATURES),
            "numbers": _weights(card.get("numbers"), NUMBER_FEATURES),
        }
        return cls(**{name: _layer(values) for name, values in own.items()}, card=own)

    def pack(self) -> dict[str, Any]:
        """Return what `unpack` makes this of."""
        return self.card

    def whole(self, features: np.ndarray) -> np.ndarray:
        """Return how probable it is that candidates are one whole digit each, (n,) float64."""
        return _probability(self.candidates, features)

    def right(self, features: np.ndarray) -> np.ndarray:
        """Return how probable it is that numbers are right in every sign, (n,) float64."""
        return _probability(self.numbers, features)


def _weights(values: object, count: int) -> list[float]:
    if not isinstance(values, list) or len(values) != count + 1:
        raise NetworkError("a certainty of numbers of another length")
    for value in values:
        if type(value) not in (int, float) or not abs(value) <= _LARGEST:  # nor what is no number
            raise NetworkError(
                f"a certainty's weight is not from {-_LARGEST:.0f} to {_LARGEST:.0f}"
            )
    return [float(value) for value in values]


def _layer(values: Sequence[float]) -> Layer:
    weights = np.array(values, np.float32)
    kernel = np.stack([np.zeros_like(weights), weights], axis=1)
    return activation_layer(kernel[:-1], kernel[-1], signed=True)


def _probability(layer: Layer, features: np.ndarray) -> np.ndarray:
    if not len(features):
        return np.zeros(0)
    return softmax(after_activations(layer, Activations.of(features)))[:, 1]


def candidate_features(
    classes: np.ndarray, probabilities: np.ndarray, places: np.ndarray
) -> np.ndarray:
    """Return what speaks for candidates and against them, (n, CANDIDATE_FEATURES) float64.

    Args:
        classes: (n, 4) float64, what the judge takes them for, shown as if cut out alone.
        probabilities: (n, 10) float32, what the digit network reads.
        places: (n, 10) float64, as `Candidate.place` says.
    """
    read = np.maximum(probabilities.astype(np.float64), _LEAST)
    best = np.minimum(read.max(axis=1), 1 - _LEAST)
    sizes = log(np.maximum(places[:, :3], 0.02))
    # What is all of its pieces, and bounded by paper, is more often whole than its form says.
    apart = (places[:, 9] > 0.999)[:, None]
    convinced = log(np.maximum(classes[:, :1], _LEAST))
    columns = [
        log(np.maximum(classes, _LEAST)),
        log(np.maximum(read, 1e-4)) / 4,
        log(best)[:, None],
        log(1 - best)[:, None],
        places,
        sizes,
        places[:, :4] ** 2,
        apart * np.concatenate([places[:, 7:8] == 1, convinced, sizes], axis=1),
        apart * sizes**2,
        # A 1 is narrower than a 0: what is read in it says how wide it may be.
        probabilities * sizes[:, 2:3],
        probabilities * sizes[:, 2:3] ** 2,
    ]
    return np.concatenate(columns, axis=1)


def number_features(seen: Seen, path: Path, other: float) -> np.ndarray:
    """Return what speaks for the best path of a view and against it, (NUMBER_FEATURES,) float64.

    Args:
        seen: the view.
        path: the best through it.
        other: the weight of the best path with another text; minus infinity if there is none.
    """
    signs = sorted(log_of(edge.probability) for edge in path.edges if edge.text)
    passed = [edge for edge in path.edges if not edge.text]
    second = signs[1] if len(signs) > 1 else 0.0
    areas = seen.segments.areas
    left_over = sum(int(areas[edge.first : edge.last].sum()) for edge in passed)
    digits = [edge for edge in path.edges if edge.candidate >= 0]
    heights = [seen.candidates[edge.candidate].place[0] for edge in digits]
    cuts = sum(seen.candidates[edge.candidate].place[5] for edge in digits)
    return np.array(
        [
            max(sum(signs), -_WORST),
            signs[0],
            second,
            _odds(signs[0]),
            min(path.weight - other, _WORST),
            math.log(len(signs)),
            left_over / max(1, int(areas.sum())),
            max(sum(log_of(edge.probability) for edge in passed), -_WORST),
            max((abs(math.log(max(each, 0.05))) for each in heights), default=0.0),
            cuts / len(signs),
            float(seen.cut),
        ]
    )


def log_of(probability: float) -> float:
    """Return the logarithm of a probability, which may be 0."""
    return math.log(max(probability, _LEAST))


def _odds(weight: float) -> float:
    """Return the logarithm of the odds of a probability whose logarithm is given."""
    share = min(max(math.exp(weight), _LEAST), 1 - 1e-4)
    return math.log(share / (1 - share))
