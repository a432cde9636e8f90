"""The network as the detector computes it: what Keras computes, and the same bits everywhere."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from digit_classification.cli.quiet import import_keras
from digit_classification.network import inference
from digit_classification.network.architecture import build_learning_network, build_saved_network
from digit_classification.network.model_file import load_model, save_model
from digit_classification.pictures.images import PREPARATION
from tests.documents import ROOT
from tests.kernels import BEYOND_BASELINE, kernels

DIGITS = np.random.default_rng(7).integers(0, 256, (300, 28, 28), dtype=np.uint8)


@pytest.fixture
def random() -> np.random.Generator:
    """Numbers that are the same whichever tests ran before."""
    return np.random.default_rng(8)


@pytest.mark.parametrize("hidden_units", [[64], [48, 32, 16]])
def test_it_computes_what_keras_computes(
    hidden_units: list[int], random: np.random.Generator, tmp_path: Path
) -> None:
    path = tmp_path / "m.keras"
    learned = build_learning_network(hidden_units)
    learned.set_weights(
        [
            random.normal(0, 0.3, w.shape) if w.ndim == 2 else random.uniform(0.5, 1.5, w.shape)
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


WIDTHS = ([784, 10], [784, 32, 10], [784, 800, 10], [784, 300, 200, 100, 10])


def packed(widths: list[int]) -> bytes:
    """Return weights of the sizes that are learned, from whole numbers: alike on any machine."""
    random = np.random.default_rng(len(widths))
    whole = random.integers(-1000, 1001, inference.packed_size(widths) // 4)
    return (whole / 8192).astype("<f4").tobytes()


def ink() -> np.ndarray:
    """Return (1200, 28, 28) uint8, a fifth of it ink; more than are computed at a time."""
    random = np.random.default_rng(3)
    pixels = random.integers(0, 256, (1200, 28, 28), dtype=np.uint8)
    return np.where(random.integers(0, 5, pixels.shape) == 0, pixels, 0).astype(np.uint8)


@pytest.mark.same_results
@pytest.mark.parametrize("widths", WIDTHS)
def test_a_result_does_not_depend_on_what_is_read_with_it(widths: list[int]) -> None:
    network, digits = inference.unpack(widths, packed(widths)), ink()
    whole = network(digits)
    assert (whole.max(axis=1) < 0.999).mean() > 0.1  # else anything would agree
    for first, last in ((0, 1), (1, 300), (7, 39), (1000, 1100), (1199, 1200)):
        np.testing.assert_array_equal(network(digits[first:last]), whole[first:last])
    order = np.random.default_rng(5).permutation(len(digits))
    np.testing.assert_array_equal(network(digits[order]), whole[order])


@pytest.mark.same_results
@pytest.mark.parametrize("widths", WIDTHS)
def test_a_result_does_not_depend_on_the_number_of_threads(widths: list[int]) -> None:
    network, digits = inference.unpack(widths, packed(widths)), ink()
    computed = []
    for threads in (1, 2, 3):
        with threadpool_limits(threads, user_api="blas"):
            computed.append(network(digits))
    np.testing.assert_array_equal(computed[0], computed[1])
    np.testing.assert_array_equal(computed[0], computed[2])


# Of `fingerprint()`, on an AMD EPYC with AVX-512.  Another value elsewhere is a fault.
EVERYWHERE = "65648e87de6e226dc1a5522ec43a42db83ed9791339a0723fbfda2588061cb92"


def fingerprint() -> str:
    """Return what all bits of the networks' probabilities come to."""
    found = hashlib.sha256()
    for widths in WIDTHS:
        found.update(inference.unpack(widths, packed(widths))(ink()).astype("<f4").tobytes())
    return found.hexdigest()


@pytest.mark.same_results
def test_the_bits_are_those_of_every_machine() -> None:
    assert fingerprint() == EVERYWHERE


OLD = ("Prescott", "Sandybridge")


def test_the_bits_are_those_of_every_kernel() -> None:
    code = (
        "from threadpoolctl import threadpool_info\n"
        "from tests.network.test_inference import fingerprint\n"
        "print(threadpool_info()[0].get('architecture'), fingerprint())"
    )
    computed_by = set()
    for kernel in kernels():
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            cwd=ROOT,
            env={
                **os.environ,
                "OPENBLAS_CORETYPE": kernel,
                "OPENBLAS_NUM_THREADS": "2",
                # NumPy's own loops as older processors have them
                "NPY_DISABLE_CPU_FEATURES": BEYOND_BASELINE if kernel in OLD else "",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        computer, bits = done.stdout.split()
        assert bits == EVERYWHERE, computer
        computed_by.add(computer)
    assert len(computed_by) >= min(3, len(kernels())), computed_by  # the name was obeyed


def exact(digits: np.ndarray, layers: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Return the logits, (n, 10) float64, of kernels and biases."""
    values = digits.reshape(len(digits), -1) / 255
    for kernel, bias in layers[:-1]:
        values = np.maximum(values @ kernel.astype(float) + bias, 0)
    kernel, bias = layers[-1]
    return values @ kernel.astype(float) + bias


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1.0, 1e4, 1e30])
def test_weights_of_any_size(scale: float, random: np.random.Generator) -> None:
    """A later layer makes up for the first one's size: the logits stay as they are."""
    first = random.normal(0, 0.05, (784, 40)).astype(np.float32)
    first[:, 0] = 0  # a dead unit
    first[1:, 1] = 0  # a unit of one weight
    last, bias = random.normal(0, 0.5, (40, 10)), random.normal(0, 0.1, 10)
    arrays = [first * scale, np.zeros(40), last / scale, bias]
    content = b"".join(array.astype("<f4").tobytes() for array in arrays)
    ours = np.log(inference.unpack([784, 40, 10], content)(DIGITS).astype(float))
    theirs = exact(DIGITS, [(first, np.zeros(40)), (last, bias)])
    ours, theirs = (logits - logits.mean(axis=1, keepdims=True) for logits in (ours, theirs))
    np.testing.assert_allclose(ours, theirs, atol=0.02)  # the first kernel has 11 bits or so
    assert theirs.std() > 0.5


def test_the_worst_picture_for_the_sums(random: np.random.Generator) -> None:
    """All ink on weights of one sign: the largest sums that there can be are exact, too."""
    kernel = np.tile(random.integers(1, 100, (784, 1)), (1, 10)).astype(np.float32)
    kernel[:, 5:] *= -1
    bias = np.arange(10)
    content = kernel.astype("<f4").tobytes() + bias.astype("<f4").tobytes()
    network = inference.unpack([784, 10], content)
    white = np.full((1, 28, 28), 255, np.uint8)
    one = inference.rounded_for_pixels(kernel).astype(float).sum(axis=0) + bias
    expected = np.exp(np.maximum(one - one.max(), -80))
    np.testing.assert_allclose(network(white)[0], expected / expected.sum(), rtol=1e-6)


@pytest.mark.parametrize("seed", range(25))
def test_a_rounded_kernel_stays_as_it_is(seed: int) -> None:
    random = np.random.default_rng(seed)
    for kernel in (random.normal(0, 0.1, (784, 300)), random.standard_cauchy((784, 300))):
        once = inference.rounded_for_pixels(kernel.astype(np.float32))
        np.testing.assert_array_equal(inference.rounded_for_pixels(once), once)
        assert (once != kernel).mean() > 0.5
        largest = np.abs(kernel).max(axis=0)
        assert (np.abs(once - kernel) <= largest / 2**6).all()


def test_probabilities_far_apart_add_up_to_one() -> None:
    bias = np.array([0, -1, -20, -79, -81, -1e4, -1e30, -3e38, 3, 2])
    content = bytes(4 * 7840) + bias.astype("<f4").tobytes()
    probabilities = inference.unpack([784, 10], content)(DIGITS[:1])[0]
    assert (probabilities > np.finfo(np.float32).tiny).all()  # none that a processor may call 0
    exponentials = np.exp(np.maximum(bias - 3, -80))
    np.testing.assert_allclose(probabilities, exponentials / exponentials.sum(), rtol=2e-7)


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
