"""The network as the detector computes it: the same as Keras computes from the same file."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from digit_classification.cli.quiet import import_keras
from digit_classification.network import inference
from digit_classification.network.architecture import build_learning_network, build_saved_network
from digit_classification.network.model_file import load_model, save_model
from digit_classification.pictures.images import PREPARATION

RANDOM = np.random.default_rng(7)
DIGITS = RANDOM.integers(0, 256, (300, 28, 28), dtype=np.uint8)


@pytest.mark.parametrize("hidden_units", [[64], [48, 32, 16]])
def test_it_computes_what_keras_computes(hidden_units: list[int], tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    learned = build_learning_network(hidden_units)
    learned.set_weights(
        [
            RANDOM.normal(0, 0.3, w.shape) if w.ndim == 2 else RANDOM.uniform(0.5, 1.5, w.shape)
            for w in learned.get_weights()
        ]
    )
    save_model(path, build_saved_network(learned, temperature=1.7), {})

    loaded = load_model(path)
    assert loaded.card is not None
    assert loaded.card["widths"] == [784, *hidden_units, 10]
    assert loaded.card["preparation"] == PREPARATION
    keras = import_keras().models.load_model(path, safe_mode=True)
    theirs = keras.predict(DIGITS.astype(np.float32), verbose=0)
    ours = loaded.network(DIGITS)
    assert (ours.shape, ours.dtype) == ((300, 10), np.float32)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    np.testing.assert_allclose(ours.sum(axis=1), 1, atol=1e-5)
    assert ours.std(axis=0).max() > 0.01  # else anything would agree


@pytest.mark.parametrize("widths", [[784, 32, 10], [784, 800, 10]])
def test_a_result_does_not_depend_on_what_is_read_with_it(widths: list[int]) -> None:
    content = RANDOM.normal(0, 0.1, inference.packed_size(widths) // 4).astype("<f4").tobytes()
    network = inference.unpack(widths, content)
    whole = network(DIGITS)
    for first, last in ((0, 1), (1, 300), (7, 39), (40, 60), (299, 300)):
        np.testing.assert_array_equal(network(DIGITS[first:last]), whole[first:last])


def test_another_network_is_not_packed() -> None:
    with pytest.raises(inference.NetworkError, match="only dense layers with ReLU"):
        inference.pack(build_learning_network([16]))


def test_the_weights_lie_in_the_file_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    model = build_saved_network(build_learning_network([16]), 1.0)
    save_model(path, model, {"classes": list("0123456789")})
    with zipfile.ZipFile(path) as archive:
        content = archive.read("digit_classification/weights.f32")
        card = json.loads(archive.read("digit_classification/card.json"))
    expected = np.concatenate([array.ravel() for array in model.get_weights()])
    np.testing.assert_array_equal(np.frombuffer(content, "<f4"), expected)
    assert card["classes"] == list("0123456789")
