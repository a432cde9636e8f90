"""Two digits that touch, read at once: a dense network of both, and how far it is believed.

Holistic reading of touching digits is known to beat cutting where strokes share ink (Hochuli et
al. 2018, "Handwritten digit segmentation: is it still necessary?").  Here it is one more edge of
the lattice, beside what the cuts give.  The network says of an image which digit is on the left,
which on the right, and whether these are two digits, and whole; a smaller one adds what the cuts
say of the same ink.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from digit_classification.network.inference import (
    Layer,
    NetworkError,
    activation_layer,
    after_pixels,
    layer_shapes,
    log,
    pixel_layer,
    softmax,
    take_arrays,
    through,
)
from digit_classification.network.numbers.certainty import BoundedNetwork, Fitted, flat
from digit_classification.network.numbers.lattice import log_odds
from digit_classification.pictures.images.convention import PAIR_SHAPE

if TYPE_CHECKING:  # whoever reads digits alone needs none of it
    from digit_classification.pictures.numbers.candidates import Candidate
    from digit_classification.pictures.numbers.pairs import Pair

OUTPUTS = 21  # ten for the digit on the left, ten for that on the right, one for their being two
WIDTHS = (math.prod(PAIR_SHAPE), 512, 256, OUTPUTS)
FEATURES = 24  # of a pair, which `Pairs.believed` is asked with
BELIEF_WIDTHS = (FEATURES, 32, 16, 1)
_LEAST = 1e-5  # of a probability, whose logarithm is a feature
_ALIKE = 1e-4  # the least probability of two readings' being alike
_NONE = -8.0  # a way that there is not
_LARGEST = 1e4  # a weight
_READING = tuple(layer_shapes(WIDTHS))
_BELIEF = ((2, FEATURES), *layer_shapes(BELIEF_WIDTHS))
PACKED_SIZE = 2 * sum(map(math.prod, (*_READING, *_BELIEF)))


@dataclass(frozen=True)
class PairScores:
    """What n pairs show.

    Attributes:
        left, right: (n, 10) float64, what either digit is.
        both: (n,) float64, how probable it is that there are two digits, and whole ones.
    """

    left: np.ndarray
    right: np.ndarray
    both: np.ndarray

    def __getitem__(self, part: slice) -> PairScores:
        return PairScores(self.left[part], self.right[part], self.both[part])


@dataclass(frozen=True)
class Pairs:
    """Reads pairs; computed as exactly as `inference` does.

    Attributes:
        content: all weights as they are stored, little-endian float16: the first kernel is rounded
            to as many bits anyway.
    """

    content: bytes = field(repr=False)

    @classmethod
    def of(cls, layers: Sequence[tuple[np.ndarray, np.ndarray]], belief: Fitted) -> Pairs:
        """Return that of weights that were learned.

        Args:
            layers: kernels and biases of WIDTHS, for images / 255; ReLU between them.
            belief: of BELIEF_WIDTHS.
        """
        arrays = [*itertools.chain(*layers), *flat(belief)]
        return cls.unpack(b"".join(np.asarray(each).astype("<f2").tobytes() for each in arrays))

    @classmethod
    def unpack(cls, content: bytes) -> Pairs:
        """Return that of `content`; raises NetworkError if it is none."""
        if len(content) != PACKED_SIZE:
            raise NetworkError("weights of pairs of another length")
        # Neither what is no number is less.
        if not (np.abs(np.frombuffer(content, "<f2")) <= _LARGEST).all():
            raise NetworkError(f"a weight of pairs is not from {-_LARGEST:.0f} to {_LARGEST:.0f}")
        return cls(content)

    @cached_property
    def _arrays(self) -> list[np.ndarray]:
        values = np.frombuffer(self.content, "<f2").astype(np.float32)
        return list(take_arrays(values, (*_READING, *_BELIEF)))

    @cached_property
    def _layers(self) -> tuple[Layer, ...]:
        kernel, bias, *later = self._arrays[: len(_READING)]
        return (pixel_layer(kernel, bias), *map(activation_layer, later[::2], later[1::2]))

    @cached_property
    def _belief(self) -> BoundedNetwork:
        return BoundedNetwork.of(self._arrays[len(_READING) :])

    def read(self, images: np.ndarray) -> PairScores:
        """Return what (n, 22, 36) uint8 images show, by themselves."""
        first, *later = self._layers
        values = after_pixels(first, images.reshape(len(images), WIDTHS[0]))
        values = through(later, values)
        two = np.concatenate([np.zeros((len(values), 1)), values[:, 20:]], axis=1)
        return PairScores(softmax(values[:, :10]), softmax(values[:, 10:20]), softmax(two)[:, 1])

    def believed(self, features: np.ndarray) -> np.ndarray:
        """Return how probable it is that pairs are two digits, (n,), by (n, FEATURES) float64."""
        return self._belief(features)


def pair_features(
    pairs: Sequence[Pair],
    scores: PairScores,
    candidates: Sequence[Candidate],
    whole: np.ndarray,
    read: np.ndarray,
) -> np.ndarray:
    """Return what speaks for pairs and against them, (n, FEATURES) float64.

    Args:
        pairs: of a view.
        scores: what they show by themselves.
        candidates: of the same view.
        whole: (m,) how probable it is, by itself, that each candidate is one whole digit.
        read: (m, 10) what it may be.
    """
    if not pairs:
        return np.zeros((0, FEATURES))
    odds, known = log_odds(whole).tolist(), _places(candidates)
    rows = []
    for index, pair in enumerate(pairs):
        one, two, three, cut = _weights(pair, known, odds)
        agreed = _NONE
        if cut is not None:
            left, right = known[pair.first, cut], known[cut, pair.last]
            alike = _alike(scores.left[index], read[left])
            alike *= _alike(scores.right[index], read[right])
            agreed = math.log(max(alike, _ALIKE))
        rows.append([one, two, three, agreed])
    both = np.clip(scores.both, _LEAST, 1 - _LEAST)
    best = [np.clip(each.max(axis=1), _LEAST, 1 - _LEAST) for each in (scores.left, scores.right)]
    places = np.array([pair.place for pair in pairs])
    columns = [
        log(both)[:, None],
        log(1 - both)[:, None],
        *(log(each)[:, None] for each in best),
        *(log(1 - each)[:, None] for each in best),
        places,
        places[:, :2] ** 2,
        log(np.maximum(places[:, 1:3], 0.02)),
        np.array(rows),
    ]
    return np.concatenate(columns, axis=1)


def _alike(one: np.ndarray, other: np.ndarray) -> float:
    """Return how probable it is that two readings, (10,) each, name the same digit."""
    return math.fsum((one * other).tolist())


def best_cut(pair: Pair, candidates: Sequence[Candidate], whole: np.ndarray) -> int | None:
    """Return the segment from which on the second digit is, as the candidates have it, if any."""
    *_, cut = _weights(pair, _places(candidates), log_odds(whole).tolist())
    return cut


def _places(candidates: Sequence[Candidate]) -> dict[tuple[int, int], int]:
    return {(each.first, each.last): i for i, each in enumerate(candidates)}


def _weights(
    pair: Pair, known: dict[tuple[int, int], int], odds: list[float]
) -> tuple[float, float, float, int | None]:
    """Return the weight of a pair's ink as one, two and three digits, and where the two are cut."""

    def weight(*places: int) -> float:
        found = [known.get(span) for span in itertools.pairwise(places)]
        return math.fsum(_NONE if each is None else odds[each] for each in found)

    first, last = pair.first, pair.last
    inner = range(first + 1, last)
    cut = max(
        (each for each in inner if (first, each) in known and (each, last) in known),
        key=lambda each: weight(first, each, last),
        default=None,
    )
    two = 2 * _NONE if cut is None else weight(first, cut, last)
    three = [weight(first, *cuts, last) for cuts in itertools.combinations(inner, 2)]
    return weight(first, last), two, max(three, default=3 * _NONE), cut
