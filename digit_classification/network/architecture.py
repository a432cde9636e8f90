"""The network: flatten, dense hidden layers, ten probabilities.

It has two forms.  The one that learns normalises the input of each activation over the batch
(Ioffe and Szegedy 2015), which lets it take large steps, and ends in logits.  The one that is
saved computes the same with plain dense layers, and its probabilities are calibrated.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from digit_classification.cli.quiet import import_keras
from digit_classification.network.inference import rounded_for_pixels
from digit_classification.pictures import images

DIGITS = 10
Layers = list[tuple[np.ndarray, np.ndarray]]  # kernels, (in, out), and biases
# Where the temperature is looked for.  A small validation set may be read without a mistake,
# and then no temperature would be too low.
TEMPERATURES = (0.5, 5.0)
NEVER = -10_000.0  # the logit of a digit that was not learned: far below any other's


def build_learning_network(hidden_units: Sequence[int]) -> Any:
    """Return the keras.Sequential that learns: (n, 28, 28) pixels, 0 to 255 -> (n, 10) logits."""
    layers = import_keras().layers
    hidden = [
        layer
        for units in hidden_units
        for layer in (
            layers.Dense(units, use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
        )
    ]
    return _sequential([*hidden, layers.Dense(DIGITS)])


def build_saved_network(
    learned: Any, temperature: float, digits: Collection[int] = range(DIGITS)
) -> Any:
    """Return the keras.Sequential to save: (n, 28, 28) pixels -> (n, 10) probabilities.

    Each batch normalisation becomes part of the dense layer before it, and the temperature part
    of the last one, so that nothing but dense layers is left.  The first kernel is rounded as the
    detector will compute with it.  It answers with the `digits` that it has learned and no other.
    """
    layers = import_keras().layers
    dense = [layer for layer in learned.layers if isinstance(layer, layers.Dense)]
    norms = [layer for layer in learned.layers if isinstance(layer, layers.BatchNormalization)]
    *hidden, last = dense
    weights = []
    for layer, norm in zip(hidden, norms, strict=True):
        gamma, beta, mean, variance = norm.get_weights()
        scale = gamma / np.sqrt(variance + norm.epsilon)
        weights += [layer.get_weights()[0] * scale, beta - mean * scale]
    kernel, bias = (array / temperature for array in last.get_weights())
    never = [digit for digit in range(DIGITS) if digit not in digits]
    kernel[:, never], bias[never] = 0, NEVER
    return plain_network([*weights, kernel, bias])


def plain_network(weights: Sequence[np.ndarray], *, learning: bool = False) -> Any:
    """Return a network of plain dense layers with these kernels and biases.

    It is the one to save, its first kernel rounded as the detector computes with it; or, with
    `learning`, one that goes on from there, and gives logits.
    """
    layers = import_keras().layers
    *hidden, last = [len(bias) for bias in weights[1::2]]
    dense = [layers.Dense(units, activation="relu") for units in hidden]
    network = _sequential([*dense, layers.Dense(last, activation=None if learning else "softmax")])
    first, *others = weights
    network.set_weights([first if learning else rounded_for_pixels(first), *others])
    return network


def dense_layers(model: Any) -> Layers:
    """Return kernels and biases of a network of dense layers."""
    dense = import_keras().layers.Dense
    return [tuple(layer.get_weights()) for layer in model.layers if isinstance(layer, dense)]


def _sequential(dense: Sequence[Any]) -> Any:
    keras = import_keras()
    return keras.Sequential(
        [
            keras.Input((images.SIDE, images.SIDE)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            *dense,
        ]
    )


def find_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the number to divide logits by so that confidence matches accuracy.

    It minimises the cross-entropy on held-back images (Guo et al. 2017, "On Calibration of
    Modern Neural Networks").  `logits` are (n, 10), `labels` (n,).
    """
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda logarithm: cross_entropy(logits / np.exp(logarithm), labels),
        bounds=np.log(TEMPERATURES),
        method="bounded",
    )
    return float(np.exp(found.x))


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean cross-entropy in nats of (n, 10) logits with (n,) labels."""
    from scipy.special import log_softmax

    scores = log_softmax(logits.astype(np.float64), axis=1)
    return float(-scores[np.arange(len(labels)), labels].mean())
