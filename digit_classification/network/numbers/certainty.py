"""How sure a candidate, and a whole number, may be: two small networks, and a logistic regression.

A judge learns from pictures of one digit.  In a number more is known of a candidate: how high the
line is, how wide a digit of it may be, whether a cut or paper bounds it.  The first network adds
that to what judge and digit network say.  The second adds what the first says of the candidates
around it (`context`): a stroke beside a whole digit is a 1, and one that makes a 4 of its neighbour
is none.  The regression gives the probability that all signs of the best path are right.  All are
fitted on drawn numbers (`training/numbers/`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from digit_classification.network.inference import (
    Activations,
    Layer,
    NetworkError,
    activation_layer,
    after_activations,
    layer_shapes,
    log,
    softmax,
    take_arrays,
    through,
)

if TYPE_CHECKING:  # whoever reads digits alone needs none of it
    from digit_classification.network.numbers.lattice import Path
    from digit_classification.pictures.numbers import Seen

CANDIDATE_FEATURES = 61
CONTEXT_FEATURES = 39
NUMBER_FEATURES = 11
# Whether more of each of these speaks for a number, 1, against it, -1, or either way, 0.
SPEAKS_FOR = (1, 1, 1, 1, 1, 0, -1, 1, -1, 0, 0)
_LEAST = 1e-6  # of a probability, whose logarithm is a feature
_WORST = 12.0  # minus the logarithm of the least probable path
_LARGEST = 1e4  # a weight
WIDTHS = (CANDIDATE_FEATURES, 64, 32, 1)  # of the first network
CONTEXT_WIDTHS = (CONTEXT_FEATURES, 64, 32, 1)  # of the second
_SHAPES = (
    (2, CANDIDATE_FEATURES),
    *layer_shapes(WIDTHS),
    *layer_shapes((NUMBER_FEATURES, 1)),
)
_CONTEXT_SHAPES = ((2, CONTEXT_FEATURES), *layer_shapes(CONTEXT_WIDTHS))
_SIZE = 4 * sum(map(math.prod, _SHAPES))  # bytes, of an earlier version, without the second
PACKED_SIZE = _SIZE + 4 * sum(map(math.prod, _CONTEXT_SHAPES))

# Bounds of the features, (2, in), and kernels, (in, out), with biases: ReLU between them, after the
# last a logit.
Fitted: TypeAlias = tuple[np.ndarray, Sequence[tuple[np.ndarray, np.ndarray]]]


@dataclass(frozen=True)
class BoundedNetwork:
    """A small network, its inputs kept within what it was trained on: beyond, it would guess.

    Attributes:
        bounds: (2, in) float64, the least and the largest of each feature.
        layers: the last with two columns, for what is not so, and for what is.
    """

    bounds: np.ndarray
    layers: tuple[Layer, ...]

    @classmethod
    def of(cls, arrays: Iterable[np.ndarray]) -> BoundedNetwork:
        """Return that of bounds, then kernels and biases in turn, float32."""
        bounds, first, bias, *later, kernel, lean = arrays
        layers = (
            activation_layer(first, bias, signed=True),
            *map(activation_layer, later[::2], later[1::2]),
            activation_layer(_of_two(kernel), _of_two(lean)),
        )
        return cls(bounds.astype(np.float64), layers)

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return how probable it is, (n,) float64, by (n, in) float64 features."""
        if not len(features):
            return np.zeros(0)
        values = np.clip(features, *self.bounds)
        first, *later = self.layers
        values = after_activations(first, Activations.of(values))
        return softmax(through(later, values))[:, 1]


@dataclass(frozen=True)
class NumberCertainty:
    """All three, ready to compute.

    Attributes:
        alone: how probable it is that a candidate is one whole digit, by itself.
        in_context: the same by what is around it; None in models that were not made for it.
        numbers: the regression's layer, with two columns as of `BoundedNetwork`.
        content: the same as it is stored.
    """

    alone: BoundedNetwork
    in_context: BoundedNetwork | None
    numbers: Layer
    content: bytes = field(repr=False)

    @classmethod
    def of(
        cls, alone: Fitted, numbers: tuple[np.ndarray, np.ndarray], in_context: Fitted | None = None
    ) -> NumberCertainty:
        """Return that of weights that were fitted.

        Args:
            alone: of WIDTHS.
            numbers: weights, (NUMBER_FEATURES, 1), and bias, (1,), of the logit.
            in_context: of CONTEXT_WIDTHS.
        """
        arrays = [*flat(alone), *numbers, *(() if in_context is None else flat(in_context))]
        return cls.unpack(b"".join(np.asarray(each).astype("<f4").tobytes() for each in arrays))

    @classmethod
    def unpack(cls, content: bytes) -> NumberCertainty:
        """Return that of `content`: bounds, kernels with biases, weights; little-endian float32.

        Raises NetworkError if it is none.
        """
        if len(content) not in (_SIZE, PACKED_SIZE):
            raise NetworkError("a certainty of numbers of another length")
        values = np.frombuffer(content, "<f4").astype(np.float32, copy=False)
        if not (np.abs(values) <= _LARGEST).all():  # nor what is no number
            raise NetworkError(
                f"a certainty's weight is not from {-_LARGEST:.0f} to {_LARGEST:.0f}"
            )
        *alone, weights, base = take_arrays(values, _SHAPES)
        rest = values[_SIZE // 4 :]
        return cls(
            alone=BoundedNetwork.of(alone),
            in_context=BoundedNetwork.of(take_arrays(rest, _CONTEXT_SHAPES)) if len(rest) else None,
            numbers=activation_layer(_of_two(weights), _of_two(base), signed=True),
            content=content,
        )

    def right(self, features: np.ndarray) -> np.ndarray:
        """Return how probable it is that numbers are right in every sign, (n,) float64."""
        if not len(features):
            return np.zeros(0)
        return softmax(after_activations(self.numbers, Activations.of(features)))[:, 1]


def flat(fitted: Fitted) -> Iterator[np.ndarray]:
    """Return its arrays in the order in which they are stored."""
    bounds, layers = fitted
    return itertools.chain([bounds], *layers)


def _of_two(weights: np.ndarray) -> np.ndarray:
    """Return weights, (…, 1), of the logit of what is so beside those of what is not so: 0."""
    return np.concatenate([np.zeros_like(weights), weights], axis=-1)


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
    left_over = sum(sum(areas[edge.first : edge.last]) for edge in passed)
    places = [seen.candidates[edge.candidate].place for edge in path.edges if edge.candidate >= 0]
    places += [seen.pairs[edge.pair].place for edge in path.edges if edge.pair >= 0]
    heights = [place[0] for place in places]
    cuts = sum(place[5] for place in places)
    return np.array(
        [
            max(sum(signs), -_WORST),
            signs[0],
            second,
            _odds(signs[0]),
            min(path.weight - other, _WORST),
            math.log(len(signs)),
            left_over / max(1, sum(areas)),
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
