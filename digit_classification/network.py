"""The network: flatten, dense hidden layers, ten probabilities.

It has two forms.  The one that learns normalises the input of each activation over the batch
(Ioffe and Szegedy 2015), which lets it take large steps, and ends in logits.  The one that is
saved computes the same with plain dense layers, and its probabilities are calibrated.

An ensemble is several networks that learn side by side from the same batches, and whose logits
are averaged.  Together they are one wider dense network, and are saved as that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from digit_classification import images
from digit_classification.quiet import import_keras

DIGITS = 10
# Where the temperature is looked for.  A small validation set may be read without a mistake,
# and then no temperature would be too low.
TEMPERATURES = (0.5, 5.0)


def build_learning_network(hidden_units: Sequence[int], members: int = 1) -> Any:
    """Return the keras.Sequential that learns: (n, 28, 28) pixels, 0 to 255 -> logits.

    The logits are (n, members, 10): those of so many networks, each with its own hidden units.
    """
    layers = import_keras().layers
    learning = []
    for number, units in enumerate(hidden_units):
        if number == 0:  # all see the same pixels
            learning.append(layers.Dense(members * units, use_bias=False))
        else:
            learning += [
                layers.Reshape((members, hidden_units[number - 1])),
                layers.EinsumDense("nmi,mio->nmo", (members, units)),
                layers.Flatten(),
            ]
        learning += [layers.BatchNormalization(momentum=0.9), layers.ReLU()]
    by_member = layers.Reshape((members, hidden_units[-1]))
    last = layers.EinsumDense("nmi,mio->nmo", (members, DIGITS), bias_axes="mo")
    return _sequential([*learning, by_member, last])


def build_saved_network(learned: Any, temperature: float) -> Any:
    """Return the keras.Sequential to save: (n, 28, 28) pixels -> (n, 10) probabilities.

    Each batch normalisation becomes part of the dense layer before it, and the mean over the
    members and the temperature part of the last one, so that nothing but dense layers is left.
    """
    from scipy.linalg import block_diag

    layers = import_keras().layers
    first, *further = [
        layer.get_weights()
        for layer in learned.layers
        if isinstance(layer, layers.Dense | layers.EinsumDense)
    ]
    norms = [layer for layer in learned.layers if isinstance(layer, layers.BatchNormalization)]
    kernels = [*first, *(block_diag(*kernel) for kernel, *_ in further[:-1])]
    weights = []
    for kernel, norm in zip(kernels, norms, strict=True):
        gamma, beta, mean, variance = norm.get_weights()
        scale = gamma / np.sqrt(variance + norm.epsilon)
        weights += [kernel * scale, beta - mean * scale]
    kernel, bias = further[-1]  # (members, units, 10), (members, 10)
    divisor = len(kernel) * temperature
    weights += [np.concatenate(kernel) / divisor, bias.sum(axis=0) / divisor]
    saved = _sequential(
        [
            *(layers.Dense(kernel.shape[1], activation="relu") for kernel in kernels),
            layers.Dense(DIGITS, activation="softmax"),
        ]
    )
    saved.set_weights(weights)
    return saved


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
