"""The trained network as plain arrays: the trainer writes them, the detector computes with them.

A network of dense layers is a few matrix products, so it needs no engine.  Against one that runs
a network file (LiteRT 2.3), measured with 784-800-10, on one core:

                                        engine      NumPy
    load, until it can be called         21 ms     2.5 ms
    first image                          10 ms     0.4 ms
    1,000 images more                    13 ms      14 ms

Safety decides as well.  An engine in C++ follows the offsets and shapes of a stranger's file; a
checksum would find damage there but no malice, and trying the file in another process first
would cost more than the engine itself.  Here a file is a row of numbers whose length must be
right, and any numbers are harmless.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from digit_classification.cli.quiet import import_keras
from digit_classification.pictures import images

MAX_PARAMETERS = 2**27  # half a gigabyte; the default network has 636,010
MAX_WIDTH = 2**16
MAX_LAYERS = 64
# Digits computed at a time, always as many: how a matrix product rounds depends on its shape (and
# on the number of threads: the detector has one), and a result must not depend on which other
# pictures were read with it.
BLOCK = 64

# (n, 28, 28) uint8 digits -> (n, 10) float32 probabilities, each row adding up to 1
Network = Callable[[np.ndarray], np.ndarray]
Layers = list[tuple[np.ndarray, np.ndarray]]  # kernels, (in, out), and biases, (out,)


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


def network_of(model: Any) -> Network:
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


def unpack(widths: Sequence[int], content: bytes) -> Network:
    """Return the network that `pack` packed, its inputs digits of 0 to 255.

    Raises NetworkError if `content` has another length, or holds what is no number.
    """
    if len(content) != packed_size(list(widths)):
        raise NetworkError("weights of another length")
    weights = np.frombuffer(content, "<f4").astype(np.float32, copy=False)
    if not np.isfinite(weights).all():
        raise NetworkError("a weight is no number")
    layers: Layers = []
    start = 0
    for rows, columns in itertools.pairwise(widths):
        kernel = weights[start : start + rows * columns].reshape(rows, columns)
        start += rows * columns
        layers.append((kernel, weights[start : start + columns]))
        start += columns

    return functools.partial(_read, layers)  # which can be sent to another process


def _read(layers: Layers, digits: np.ndarray) -> np.ndarray:
    blocks = (digits[i : i + BLOCK] for i in range(0, len(digits), BLOCK))
    return np.concatenate([_compute(layers, _filled(block))[: len(block)] for block in blocks])


def _filled(digits: np.ndarray) -> np.ndarray:
    """Return a whole block that begins with these digits."""
    return np.pad(digits, ((0, BLOCK - len(digits)), (0, 0), (0, 0)))


def _compute(layers: Layers, digits: np.ndarray) -> np.ndarray:
    """Rescaling, dense layers with ReLU, and a softmax after the last."""
    values = digits.reshape(len(digits), -1) * np.float32(1 / 255)
    with np.errstate(over="ignore", invalid="ignore"):  # huge weights; the caller looks
        for kernel, bias in layers[:-1]:
            values = values @ kernel
            values += bias
            np.maximum(values, 0, out=values)
        kernel, bias = layers[-1]
        logits = values @ kernel + bias
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        return exponentials / exponentials.sum(axis=1, keepdims=True)
