"""A small network that judges whether a proposal shows one whole digit.

The digit network has to read whatever it is shown: half a digit, two of them, a tick.  The judge
tells which proposal of a picture is worth reading.  It is a dense network of its own, so that
reading loses nothing, and is computed as exactly as `inference` computes that.  Its inputs are

- what the digit network makes of the digit: logarithms of its probabilities, and its last hidden
  layer (its pixels were tried as well, and added nothing),
- the ink around the digit that is left out, (28, 28) pixels,
- the proposal's numbers, within the bounds of those that it was trained on.

Like the network it comes in a file that may be a stranger's: numbers whose count must be right,
each of a bounded size.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from digit_classification.network.inference import (
    MAX_LAYERS,
    Activations,
    Layer,
    NetworkError,
    activation_layer,
    after_activations,
    after_pixels,
    layer_shapes,
    log,
    pixel_layer,
    softmax,
    take_arrays,
    through,
)
from digit_classification.pictures.proposals import CONTEXT, NUMBERS, Proposal

if TYPE_CHECKING:
    from digit_classification.network.numbers.certainty import NumberCertainty
    from digit_classification.network.numbers.pairs import Pairs

CLASSES = ("whole", "other", "several", "blank")  # what a proposal shows
# What may be true of a choice: the digit is read rightly, or is another; or there is not one.
OUTCOMES = ("right", "misread", "no digit", "several", "blank")
FEATURES = 13  # of a choice, which its outcomes are computed from: see `choice`
MAX_PARAMETERS = 2**22  # 16 MB; the default judge has about 270,000
_LARGEST = 1e6  # a weight: whatever the inputs, no sum is infinite then
LEAST_PROBABILITY = 1e-4  # the less likely digits say no more
LOG_SCALE = 4  # brings these logarithms to -2.3 to 0, the range of the other inputs


@runtime_checkable
class ReadingNetwork(Protocol):
    """A network of digits that shows its last hidden layer, too."""

    def with_hidden(self, digits: np.ndarray) -> tuple[np.ndarray, Activations]:
        """Return the probabilities of (n, 28, 28) uint8 digits, and the hidden layer."""


@dataclass(frozen=True)
class Inputs:
    """What a judge sees of n proposals.

    Attributes:
        contexts: (n, 784) uint8, the ink around each digit.
        rest: (n, len(NUMBERS) + 10) float64: numbers, not bounded yet, and logarithms of
            probabilities.
        hidden: the digit network's last hidden layer.
        probabilities: (n, 10) float32, what the digit network reads.
    """

    contexts: np.ndarray
    rest: np.ndarray
    hidden: Activations
    probabilities: np.ndarray


def inputs_of(proposals: Sequence[Proposal], network: ReadingNetwork) -> Inputs:
    """Return what a judge sees of proposals, one at least."""
    digits = np.stack([each.digit for each in proposals])
    probabilities, hidden = network.with_hidden(digits)
    contexts = np.stack([each.context for each in proposals]).reshape(len(digits), -1)
    numbers = np.stack([each.numbers for each in proposals])
    rest = np.concatenate([numbers, log_probabilities(probabilities)], axis=1)
    return Inputs(contexts, rest, hidden, probabilities)


def log_probabilities(probabilities: np.ndarray) -> np.ndarray:
    """Return the logarithms that a judge is given, (n, 10) float64, -2.3 to 0."""
    bounded = np.maximum(probabilities.astype(np.float64), LEAST_PROBABILITY)
    return log(bounded) / LOG_SCALE


def inputs_width(hidden_width: int) -> int:
    """Return how many inputs a judge has beside a digit network with so wide a hidden layer."""
    return CONTEXT**2 + len(NUMBERS) + 10 + hidden_width


@dataclass(frozen=True)
class Judge:
    """A judge as it is computed; `Judge.of` and `Judge.unpack` make one.

    Attributes:
        context, rest, hidden: the three parts of the first layer, for the three kinds of input.
        later: the other layers.
        bounds: (2, len(NUMBERS)) float64, the least and the largest of each number in training.
        certainty: the logistic regression from a choice's features to its OUTCOMES.
        widths: of the layers, from the inputs to the classes.
        content: the same as it is stored.
        numbers: how sure the signs of a number are; None in models that were not made for it.
        pairs: what reads two digits that touch; None in models that were not made for it.
    """

    context: Layer
    rest: Layer
    hidden: Layer
    later: tuple[Layer, ...]
    bounds: np.ndarray
    certainty: Layer
    widths: tuple[int, ...]
    content: bytes = field(repr=False)
    numbers: NumberCertainty | None = None
    pairs: Pairs | None = None

    @classmethod
    def of(
        cls,
        layers: Sequence[tuple[np.ndarray, np.ndarray]],
        bounds: np.ndarray,
        certainty: tuple[np.ndarray, np.ndarray],
    ) -> Judge:
        """Return the judge that a trainer has learned.

        Args:
            layers: kernels, (in, out), and biases; ReLU between them, a softmax after the last.
                The first is for [context / 255, numbers, logarithms, hidden layer].
            bounds: (2, len(NUMBERS)), the least and the largest of each number.
            certainty: weights, (FEATURES, len(OUTCOMES)), and biases of the multinomial logistic
                regression of `Choice.features`.

        Raises NetworkError if it is none that could be loaded again.
        """
        widths = [len(layers[0][0]), *(len(bias) for _, bias in layers)]
        numbers = [bounds, *itertools.chain.from_iterable(layers), *certainty]
        content = b"".join(np.asarray(each).astype("<f4").tobytes() for each in numbers)
        hidden_width = widths[0] - inputs_width(0)
        return cls.unpack({"widths": widths, "numbers": list(NUMBERS)}, content, hidden_width)

    def with_layers(self, layers: Sequence[tuple[np.ndarray, np.ndarray]]) -> Judge:
        """Return this judge with other layers of the same widths, in the form that `of` takes."""
        bounds, *_, weights, bias = self._arrays()
        judge = Judge.of(layers, bounds, (weights, bias))
        return replace(judge, numbers=self.numbers, pairs=self.pairs)

    @property
    def layers(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Kernels and biases, float32, in the form that `of` takes."""
        arrays = self._arrays()[1:-2]
        return list(zip(arrays[::2], arrays[1::2], strict=True))

    def _arrays(self) -> list[np.ndarray]:
        return list(take_arrays(np.frombuffer(self.content, "<f4"), _shapes(self.widths)))

    def pack(self) -> tuple[dict[str, Any], bytes]:
        """Return what `unpack` makes this judge of: what a model's card says, and the numbers.

        These are little-endian float32: bounds, then each kernel, row by row, with its bias, then
        the weights and the biases of the regression.
        """
        return {"widths": list(self.widths), "numbers": list(NUMBERS)}, self.content

    @classmethod
    def unpack(cls, card: object, content: bytes, hidden_width: int) -> Judge:
        """Return the judge that `pack` packed, for a digit network with so wide a hidden layer.

        Raises NetworkError if it is none, or one for another network.
        """
        widths = _widths(card, hidden_width)
        if len(content) != packed_size(card, hidden_width):
            raise NetworkError("a judge's weights of another length")
        values = np.frombuffer(content, "<f4").astype(np.float32, copy=False)
        if not (np.abs(values) <= _LARGEST).all():  # nor what is no number
            raise NetworkError(f"a judge's weight is not from {-_LARGEST:.0f} to {_LARGEST:.0f}")
        bounds, first, bias, *others, weights, lean = take_arrays(values, _shapes(widths))
        return cls(
            context=pixel_layer(first[: CONTEXT**2], bias),
            rest=activation_layer(
                first[CONTEXT**2 : inputs_width(0)], np.zeros_like(bias), signed=True
            ),
            hidden=activation_layer(first[inputs_width(0) :], np.zeros_like(bias)),
            later=tuple(map(activation_layer, others[::2], others[1::2])),
            bounds=bounds.astype(np.float64),
            certainty=activation_layer(weights, lean, signed=True),
            widths=widths,
            content=content,
        )

    def __call__(self, inputs: Inputs) -> np.ndarray:
        """Return the probabilities of CLASSES, (n, 4) float64."""
        rest = np.clip(inputs.rest, -_LARGEST, _LARGEST)
        numbers = rest[:, : len(NUMBERS)]
        np.clip(numbers, self.bounds[0], self.bounds[1], out=numbers)
        values = after_pixels(self.context, inputs.contexts)
        values += after_activations(self.rest, Activations.of(rest))
        values += after_activations(self.hidden, inputs.hidden)
        return softmax(through(self.later, values))

    def outcomes(self, features: np.ndarray) -> np.ndarray:
        """Return the probabilities of OUTCOMES, (n, 5) float64, of (n, FEATURES) float64."""
        return softmax(after_activations(self.certainty, Activations.of(features)))


def _shapes(widths: Sequence[int]) -> list[tuple[int, ...]]:
    """Return the shapes of what a judge is packed as."""
    certainty = (FEATURES, len(OUTCOMES)), (len(OUTCOMES),)
    return [(2, len(NUMBERS)), *layer_shapes(widths), *certainty]


def packed_size(card: object, hidden_width: int) -> int:
    """Return the length in bytes of what `Judge.pack` packed.

    Raises NetworkError unless the card is one of a judge for such a digit network.
    """
    widths = _widths(card, hidden_width)
    parameters = sum((rows + 1) * columns for rows, columns in itertools.pairwise(widths))
    if parameters > MAX_PARAMETERS:
        raise NetworkError(f"a judge of more than {MAX_PARAMETERS:,} weights")
    return 4 * sum(map(math.prod, _shapes(widths)))


def _widths(card: object, hidden_width: int) -> tuple[int, ...]:
    """Return the widths that a stranger's card gives, if a judge can have them here."""
    widths = card.get("widths") if isinstance(card, Mapping) else None
    if not isinstance(widths, list) or not 2 <= len(widths) <= MAX_LAYERS:
        raise NetworkError("a judge without widths")
    assert isinstance(card, Mapping)
    if card.get("numbers") != list(NUMBERS):
        raise NetworkError("a judge of other numbers")
    if not all(type(width) is int and 1 <= width <= MAX_PARAMETERS for width in widths):
        raise NetworkError(f"a judge's width is not from 1 to {MAX_PARAMETERS}")
    if widths[0] != inputs_width(hidden_width) or widths[-1] != len(CLASSES):
        raise NetworkError("a judge for another network")
    return tuple(widths)
