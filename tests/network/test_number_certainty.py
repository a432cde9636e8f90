"""How sure a number may be: what is stored of it, and what it says."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from digit_classification.network.inference import NetworkError
from digit_classification.network.numbers.certainty import (
    CANDIDATE_FEATURES,
    NUMBER_FEATURES,
    PACKED_SIZE,
    WIDTHS,
    NumberCertainty,
)

RNG = np.random.default_rng(4)
BOUNDS = np.stack([np.full(CANDIDATE_FEATURES, -2.0), np.full(CANDIDATE_FEATURES, 3.0)])
LAYERS = [
    (RNG.normal(0, 0.12, shape), RNG.normal(0, 0.1, shape[1]))
    for shape in itertools.pairwise(WIDTHS)
]
REGRESSION = RNG.normal(0, 0.3, (NUMBER_FEATURES, 1)), np.array([0.4])


def certainty() -> NumberCertainty:
    return NumberCertainty.of(BOUNDS, LAYERS, REGRESSION)


def sigmoid(logits: np.ndarray) -> list[float]:
    return [1 / (1 + math.exp(-logit)) for logit in logits[:, 0].tolist()]


def test_it_is_a_network_of_bounded_features() -> None:
    features = RNG.normal(0, 3, (40, CANDIDATE_FEATURES))
    values = np.clip(features, *BOUNDS)
    for kernel, bias in LAYERS[:-1]:
        values = np.maximum(values @ kernel + bias, 0)
    kernel, bias = LAYERS[-1]
    expected = sigmoid(values @ kernel + bias)
    assert certainty().whole(features) == pytest.approx(expected, abs=1e-5)
    assert np.ptp(expected) > 0.2  # they differ


def test_a_number_is_judged_by_a_regression() -> None:
    features = RNG.normal(0, 2, (20, NUMBER_FEATURES))
    weights, bias = REGRESSION
    assert certainty().right(features) == pytest.approx(
        sigmoid(features @ weights + bias), abs=1e-6
    )


def test_of_none_it_says_nothing() -> None:
    assert certainty().whole(np.zeros((0, CANDIDATE_FEATURES))).tolist() == []
    assert certainty().right(np.zeros((0, NUMBER_FEATURES))).tolist() == []


@pytest.mark.same_results
def test_a_candidate_is_judged_alike_whatever_it_is_judged_with() -> None:
    features = RNG.normal(0, 3, (300, CANDIDATE_FEATURES))
    together = certainty().whole(features)
    alone = np.concatenate([certainty().whole(row[None]) for row in features])
    assert together.tobytes() == alone.tobytes()


def test_it_is_the_same_once_it_is_stored() -> None:
    again = NumberCertainty.unpack(certainty().content)
    features = RNG.normal(0, 3, (9, CANDIDATE_FEATURES))
    assert again.whole(features).tobytes() == certainty().whole(features).tobytes()
    assert len(again.content) == PACKED_SIZE


@pytest.mark.parametrize("content", [b"", bytes(PACKED_SIZE - 4), bytes(PACKED_SIZE + 1)])
def test_one_of_another_length_is_refused(content: bytes) -> None:
    with pytest.raises(NetworkError, match=r"^a certainty of numbers of another length$"):
        NumberCertainty.unpack(content)


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), 2e4])
def test_one_of_absurd_weights_is_refused(value: float) -> None:
    damaged = certainty().content[:-4] + np.array([value], "<f4").tobytes()
    with pytest.raises(NetworkError, match=r"^a certainty's weight is not from -10000 to 10000$"):
        NumberCertainty.unpack(damaged)
