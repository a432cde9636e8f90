"""The trained network as plain arrays: the trainer writes them, the detector computes with them.

A network of dense layers is a few matrix products, so it needs no engine.  Safety decides as well:
an engine in C++ follows the offsets and shapes of a stranger's file; a checksum would find damage
there but no malice, and trying the file in another process first would cost more than the engine
itself.  Here a file is a row of numbers whose length must be right, and any numbers are harmless.

The same digit gives the same bits on every machine.  How a sum of fractions rounds depends on the
order of its terms, and that on the processor, the number of threads and the other digits of the
batch.  So only whole numbers are summed, small enough for every sum on the way to be exact:

- *Pixels* are whole, 0 to 255.  The first kernel is rounded to whole numbers of 11 bits or so,
  times a power of two for each unit; its sums stay within the 24 bits of a float32, the faster
  product.
- *Activations* are rounded to 24 bits of the largest of their digit, the later kernels to what is
  left of the 53 bits of a float64.

All other steps take one element at a time and are among those that IEEE 754 rounds in one way only
(+, -, *, /, rint, powers of two): NumPy's own `exp` is not, and differs between processors.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from digit_classification.cli.quiet import import_keras
from digit_classification.pictures import images

MAX_PARAMETERS = 2**27  # half a gigabyte; the default network has 954,010
MAX_WIDTH = 2**16
MAX_LAYERS = 64
BATCH = 1024  # digits computed at a time: bounds the memory, the result is the same

# (n, 28, 28) uint8 digits -> (n, 10) float32 probabilities, each row adding up to 1
Network = Callable[[np.ndarray], np.ndarray]

PIXEL = 255  # the largest
ACTIVATION_BITS = 24
LOGIT_RANGE = 80.0  # e^-80 of the largest probability: the next would not be normal in float32


@dataclass(frozen=True)
class Layer:
    """A dense layer as it is computed: (inputs @ whole) * step + bias.

    Attributes:
        whole: (in, out) whole numbers in float32 for pixels, in float64 for activations.
        step: (out,) float64, what 1 in `whole` stands for.
        bias: (out,) float64.
    """

    whole: np.ndarray
    step: np.ndarray
    bias: np.ndarray


class Activations(NamedTuple):
    """Numbers of a layer as they are multiplied: whole * 2^exponents.

    `whole` is (n, width) float64, whole numbers of 24 bits at most, and `exponents` (n, 1) int.
    """

    whole: np.ndarray
    exponents: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> Activations:
        """Round (n, width) float64 to 24 bits of the largest of each row."""
        _, exponents = np.frexp(np.abs(values).max(axis=1, keepdims=True))
        exponents -= ACTIVATION_BITS
        whole = values * np.ldexp(1.0, -exponents)
        return cls(np.rint(whole, out=whole), exponents)


@dataclass(frozen=True)
class DenseNetwork:
    """A Network of dense layers, ReLU between them and a softmax after the last."""

    layers: tuple[Layer, ...]

    def __call__(self, digits: np.ndarray) -> np.ndarray:
        return self.with_hidden(digits)[0]

    def with_hidden(self, digits: np.ndarray) -> tuple[np.ndarray, Activations]:
        """Return the probabilities, and the last layer's inputs, (n, hidden_width).

        Without a hidden layer, these are the pixels, 0 to 1.
        """
        parts = [self._compute(digits[i : i + BATCH]) for i in range(0, len(digits), BATCH)]
        probabilities, hidden = zip(*parts, strict=True)
        whole, exponents = (np.concatenate(each) for each in zip(*hidden, strict=True))
        return np.concatenate(probabilities), Activations(whole, exponents)

    @property
    def hidden_width(self) -> int:
        return len(self.layers[-1].whole)

    def _compute(self, digits: np.ndarray) -> tuple[np.ndarray, Activations]:
        with np.errstate(over="ignore", invalid="ignore"):  # huge weights; the caller looks
            pixels = digits.reshape(len(digits), -1)
            values = after_pixels(self.layers[0], pixels)
            if len(self.layers) == 1:
                return softmax(values).astype(np.float32), Activations.of(pixels / PIXEL)
            for layer in self.layers[1:]:
                hidden = Activations.of(np.maximum(values, 0, out=values))
                values = after_activations(layer, hidden)
            return softmax(values).astype(np.float32), hidden


class NetworkError(ValueError):
    """Widths or weights are not those of a network of digits."""


def pack(model: Any) -> tuple[list[int], bytes]:
    """Return the widths and the weights of what `network.build_saved_network` returns.

    The weights are little-endian float32: for each dense layer its kernel, (in, out), row by row,
    and its bias.

    Raises NetworkError if the model computes anything else.
    """
    layers = import_keras().layers
    *before, last = [layer for layer in model.layers if isinstance(layer, layers.Dense)]
    others = (layers.InputLayer, layers.Rescaling, layers.Flatten, layers.Dense)
    activations = [layer.activation.__name__ for layer in (*before, last)]
    if not all(isinstance(layer, others) for layer in model.layers) or (
        activations != ["relu"] * len(before) + ["softmax"]
    ):
        raise NetworkError("only dense layers with ReLU, and a softmax after the last, are saved")
    arrays = [layer.get_weights() for layer in (*before, last)]
    widths = [len(arrays[0][0]), *(len(bias) for _, bias in arrays)]
    content = b"".join(array.astype("<f4").tobytes() for pair in arrays for array in pair)
    return widths, content


def network_of(model: Any) -> DenseNetwork:
    """Return what the detector will compute with this Keras model, once it is saved."""
    return unpack(*pack(model))


def packed_size(widths: object) -> int:
    """Return the length in bytes of the weights of a network of these widths.

    Raises NetworkError unless they are those of a network from images to ten digits, of a
    bounded size.
    """
    if not isinstance(widths, list) or not 2 <= len(widths) <= MAX_LAYERS:
        raise NetworkError("no list of widths")
    if not all(type(width) is int and 1 <= width <= MAX_WIDTH for width in widths):
        raise NetworkError(f"a width is not from 1 to {MAX_WIDTH}")
    if widths[0] != images.SIDE**2 or widths[-1] != 10:
        raise NetworkError("not from images to ten digits")
    parameters = sum((rows + 1) * columns for rows, columns in itertools.pairwise(widths))
    if parameters > MAX_PARAMETERS:
        raise NetworkError(f"more than {MAX_PARAMETERS:,} weights")
    return 4 * parameters


def unpack(widths: Sequence[int], content: bytes) -> DenseNetwork:
    """Return the network that `pack` packed, its inputs digits of 0 to 255.

    Raises NetworkError if `content` has another length, or holds what is no number.
    """
    if len(content) != packed_size(list(widths)):
        raise NetworkError("weights of another length")
    weights = np.frombuffer(content, "<f4").astype(np.float32, copy=False)
    if not np.isfinite(weights).all():
        raise NetworkError("a weight is no number")
    arrays = take_arrays(weights, layer_shapes(widths))
    (kernel, bias), *later = zip(arrays, arrays, strict=True)
    return DenseNetwork((pixel_layer(kernel, bias), *(activation_layer(*each) for each in later)))


def take_arrays(values: np.ndarray, shapes: Iterable[tuple[int, ...]]) -> Iterator[np.ndarray]:
    """Yield arrays of these shapes that lie one after the other in a row of numbers."""
    start = 0
    for shape in shapes:
        end = start + math.prod(shape)
        yield values[start:end].reshape(shape)
        start = end


def layer_shapes(widths: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Yield the shapes of kernels, (in, out), and biases, (out,), as they lie in a file."""
    for rows, columns in itertools.pairwise(widths):
        yield rows, columns
        yield (columns,)


def pixel_layer(kernel: np.ndarray, bias: np.ndarray) -> Layer:
    """Return a layer of a float32 kernel for pixels / 255."""
    whole, step = _whole_pixel_kernel(kernel)
    return Layer(whole, step / PIXEL, bias.astype(np.float64))


def activation_layer(kernel: np.ndarray, bias: np.ndarray, *, signed: bool = False) -> Layer:
    """Return a layer of a float32 kernel for activations, or for numbers of either sign."""
    # Inputs below 0 add to what those above subtract.
    reach = 2**53 >> ACTIVATION_BITS + signed
    whole, step = _whole(kernel.astype(np.float64), 28, reach)
    return Layer(whole, step, bias.astype(np.float64))


def rounded_for_pixels(kernel: np.ndarray) -> np.ndarray:
    """Return a first layer's kernel, (784, out) float32, rounded as `unpack` rounds it.

    A network that is saved so is the same to Keras and to the detector.
    """
    whole, step = _whole_pixel_kernel(kernel)
    return whole * step.astype(np.float32)


def _whole_pixel_kernel(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return _whole(kernel, 13, 2**24 // PIXEL)


def _whole(kernel: np.ndarray, bits: int, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """Round a kernel to whole numbers times a step, a power of two for each unit.

    The numbers are 2**bits at most, few enough to be added up exactly here.  Those of a unit
    that are positive add up to `reach` at most, and those that are negative, too: so no sum of
    products of some of them with inputs from 0 to 1 is further from 0, in whatever order.
    What is rounded already stays as it is.

    Returns:
        The whole numbers, (in, out), of the kernel's dtype, and the steps, (out,) float64.
    """
    mantissas, exponents = np.frexp(np.maximum(kernel.max(axis=0), -kernel.min(axis=0)))
    exponents -= mantissas == 0.5  # 2**bits itself is no reason for a larger step
    exponents = np.maximum(exponents, -100) - bits  # what is smaller yet is 0
    while True:
        whole = kernel * np.ldexp(1.0, -exponents).astype(kernel.dtype)
        np.rint(whole, out=whole)
        furthest = (np.abs(whole).sum(axis=0) + np.abs(whole.sum(axis=0))) / 2
        if (furthest <= reach).all():
            return whole, np.ldexp(1.0, exponents)
        # By the least that brings them within reach: what reaches it exactly is not too far.
        exponents += np.maximum(np.frexp((furthest - 1) / reach)[1], 0)


def after_pixels(layer: Layer, pixels: np.ndarray) -> np.ndarray:
    """Return (n, out) float64 of pixels, (n, 784) uint8; most of them are black in all digits."""
    used = np.flatnonzero(pixels.any(axis=0))
    values = (pixels[:, used].astype(np.float32) @ layer.whole[used]).astype(np.float64)
    values *= layer.step
    values += layer.bias
    return values


def after_activations(layer: Layer, activations: Activations) -> np.ndarray:
    """Return (n, out) float64."""
    values = activations.whole @ layer.whole
    values *= np.ldexp(1.0, activations.exponents)
    values *= layer.step
    values += layer.bias
    return values


def through(layers: Iterable[Layer], values: np.ndarray) -> np.ndarray:
    """Return the logits, (n, out) float64, of the later layers by the first one's values.

    ReLU stands before each of them; `values` are overwritten.
    """
    for layer in layers:
        values = after_activations(layer, Activations.of(np.maximum(values, 0, out=values)))
    return values


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities of (n, classes) float64."""
    exponentials = exp(logits - logits.max(axis=1, keepdims=True))
    total = functools.reduce(np.add, exponentials.T)  # from the first to the last
    return exponentials / total[:, None]


def exp(values: np.ndarray) -> np.ndarray:
    """e^x of float64 not above 0, 80 below at most: to 13 digits, and alike on all processors."""
    powers = np.maximum(values, -LOGIT_RANGE) / math.log(2)
    whole = np.rint(powers)
    rest = (powers - whole) * math.log(2)  # -0.35 to 0.35
    total = np.ones_like(rest)
    for n in range(12, 0, -1):  # Taylor's series as Horner has it
        total *= rest / n
        total += 1
    return np.ldexp(total, whole.astype(np.int32))


def log(values: np.ndarray) -> np.ndarray:
    """The natural logarithm of float64 above 0: to 14 digits, and alike on all processors."""
    mantissas, exponents = np.frexp(values)
    low = mantissas < math.sqrt(0.5)
    mantissas, exponents = np.where(low, 2 * mantissas, mantissas), exponents - low
    ratio = (mantissas - 1) / (mantissas + 1)  # -0.172 to 0.172
    square, total = ratio * ratio, np.zeros_like(ratio)
    for n in range(19, 0, -2):  # the series of atanh
        total *= square
        total += 2 / n
    return total * ratio + exponents * math.log(2)
