"""Models that Keras has saved without the trainer."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from digit_classification.pictures.decode import decode
from digit_classification.pictures.sources import list_zip
from tests.documents import ROOT


def linear_model(
    offset: float = 0, factor: float = 1 / 255, *, dark: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return weights, (784, 10), and biases of a network without a hidden layer.

    It has learned MNIST from (pixels - offset) * factor, by least squares.
    """
    sources = list(list_zip(str(ROOT / "dataset/mnist-test.zip")))[::4]
    pixels = np.stack([decode(source.read()).pixels.ravel() for source in sources])
    seen = ((255 - pixels if dark else pixels) - np.float64(offset)) * factor
    seen = np.column_stack([seen, np.ones(len(seen))])
    labels = np.array([int((source.member or "").split("/")[-2]) for source in sources])
    spread = np.abs(seen[:, :-1]).max()
    ridge = np.diag([*[20 * spread**2] * 784, 1e-9])
    weights = np.linalg.solve(seen.T @ seen + ridge, seen.T @ np.eye(10)[labels])
    return weights[:-1], weights[-1]


def save_linear_model(
    path: Path, offset: float = 0, factor: float = 1 / 255, *, dark: bool = False
) -> None:
    """Save such a network with Keras."""
    import keras

    network = keras.Sequential(
        [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    network.set_weights(linear_model(offset, factor, dark=dark))
    network.save(path)
