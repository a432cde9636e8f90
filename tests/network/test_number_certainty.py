"""How sure a number may be: what is stored of it, and what it says."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from digit_classification.network.default_model import DEFAULT_MODEL
from digit_classification.network.inference import NetworkError
from digit_classification.network.model_file import load_model
from digit_classification.network.numbers.certainty import (
    CANDIDATE_FEATURES,
    CONTEXT_FEATURES,
    CONTEXT_WIDTHS,
    NUMBER_FEATURES,
    PACKED_SIZE,
    SPEAKS_FOR,
    WIDTHS,
    BoundedNetwork,
    Fitted,
    NumberCertainty,
)
from digit_classification.network.numbers.context import context_features

RNG = np.random.default_rng(4)


def fitted(widths: tuple[int, ...]) -> Fitted:
    bounds = np.stack([np.full(widths[0], -2.0), np.full(widths[0], 3.0)])
    layers = [
        (RNG.normal(0, 0.12, shape), RNG.normal(0, 0.1, shape[1]))
        for shape in itertools.pairwise(widths)
    ]
    return bounds, layers


ALONE, IN_CONTEXT = fitted(WIDTHS), fitted(CONTEXT_WIDTHS)
REGRESSION = RNG.normal(0, 0.3, (NUMBER_FEATURES, 1)), np.array([0.4])


def normal(spread: float, *shape: int) -> np.ndarray:
    """Return numbers around 0 that are the same whichever tests ran before."""
    return np.random.default_rng(6).normal(0, spread, shape)


def certainty() -> NumberCertainty:
    return NumberCertainty.of(ALONE, REGRESSION, IN_CONTEXT)


def network(name: str) -> BoundedNetwork:
    found = getattr(certainty(), name)
    assert isinstance(found, BoundedNetwork)
    return found


BOTH = [("alone", ALONE), ("in_context", IN_CONTEXT)]


def sigmoid(logits: np.ndarray) -> list[float]:
    return [1 / (1 + math.exp(-logit)) for logit in logits[:, 0].tolist()]


@pytest.mark.parametrize(("name", "weights"), BOTH)
def test_they_are_networks_of_bounded_features(name: str, weights: Fitted) -> None:
    bounds, layers = weights
    features = normal(3, 40, bounds.shape[1])
    values = np.clip(features, *bounds)
    for kernel, bias in layers[:-1]:
        values = np.maximum(values @ kernel + bias, 0)
    kernel, bias = layers[-1]
    expected = sigmoid(values @ kernel + bias)
    assert network(name)(features) == pytest.approx(expected, abs=1e-5)
    assert np.ptp(expected) > 0.2  # they differ


def test_a_number_is_judged_by_a_regression() -> None:
    features = normal(2, 20, NUMBER_FEATURES)
    weights, bias = REGRESSION
    assert certainty().right(features) == pytest.approx(
        sigmoid(features @ weights + bias), abs=1e-6
    )


def test_of_none_it_says_nothing() -> None:
    assert network("alone")(np.zeros((0, CANDIDATE_FEATURES))).tolist() == []
    assert certainty().right(np.zeros((0, NUMBER_FEATURES))).tolist() == []


@pytest.mark.same_results
@pytest.mark.parametrize(("name", "weights"), BOTH)
def test_a_candidate_is_judged_alike_whatever_it_is_judged_with(name: str, weights: Fitted) -> None:
    judge = network(name)
    features = normal(3, 300, weights[0].shape[1])
    together = judge(features)
    alone = np.concatenate([judge(row[None]) for row in features])
    assert together.tobytes() == alone.tobytes()


@pytest.mark.parametrize(("name", "weights"), BOTH)
def test_it_is_the_same_once_it_is_stored(name: str, weights: Fitted) -> None:
    again = NumberCertainty.unpack(certainty().content)
    features = normal(3, 9, weights[0].shape[1])
    assert getattr(again, name)(features).tobytes() == network(name)(features).tobytes()
    assert len(again.content) == PACKED_SIZE


def test_one_of_an_earlier_version_knows_no_context() -> None:
    earlier = NumberCertainty.of(ALONE, REGRESSION)
    assert NumberCertainty.unpack(earlier.content).in_context is None
    features = normal(3, 9, CANDIDATE_FEATURES)
    assert earlier.alone(features).tobytes() == network("alone")(features).tobytes()


@pytest.mark.parametrize("content", [b"", bytes(PACKED_SIZE - 4), bytes(PACKED_SIZE + 1)])
def test_one_of_another_length_is_refused(content: bytes) -> None:
    with pytest.raises(NetworkError, match=r"^a certainty of numbers of another length$"):
        NumberCertainty.unpack(content)


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), 2e4])
def test_one_of_absurd_weights_is_refused(value: float) -> None:
    damaged = certainty().content[:-4] + np.array([value], "<f4").tobytes()
    with pytest.raises(NetworkError, match=r"^a certainty's weight is not from -10000 to 10000$"):
        NumberCertainty.unpack(damaged)


# ---------------------------------------------------------------------------------- in context

# A line of three segments: 0, 1 and 2, and what may be made of neighbours.
SPANS = np.array([(0, 1), (1, 2), (2, 3), (0, 2), (1, 3)])


def in_context(whole: list[float]) -> np.ndarray:
    """The features of these candidates, each of which is surely read as a 1."""
    probabilities = np.full((len(SPANS), 10), 1e-4, np.float32)
    probabilities[:, 1] = 1
    first, last = SPANS.T
    places = np.ones((len(SPANS), 10))
    return context_features(first, last, 3, np.array(whole), probabilities, places)


def test_what_is_around_a_candidate_is_told() -> None:
    features = in_context([0.5, 0.5, 0.5, 0.5, 0.5])
    assert features.shape == (len(SPANS), CONTEXT_FEATURES)
    left, right = features[:, 4], features[:, 5]
    assert (left > -1).tolist() == [False, True, True, False, True]  # what ends where it begins
    assert (right > -1).tolist() == [True, True, False, True, False]
    assert features[:, 14].tolist() == [1, 0, 0, 1, 0]  # it begins the line
    assert features[:, 15].tolist() == [0, 0, 1, 0, 1]


def test_a_candidate_gains_by_whole_neighbours_and_loses_by_a_wider_rival() -> None:
    rest = 2  # the best way through it, but for itself, beside the best of all
    usual = in_context([0.5, 0.1, 0.5, 0.1, 0.1])[1, rest]
    assert in_context([0.95, 0.1, 0.95, 0.1, 0.1])[1, rest] > usual - 1e-9
    assert in_context([0.5, 0.1, 0.5, 0.95, 0.1])[1, rest] < usual
    wider = in_context([0.5, 0.1, 0.5, 0.95, 0.1])[1, 8]
    assert wider == pytest.approx(math.log(0.95 / 0.05), abs=1e-3)
    assert in_context([0.5, 0.1, 0.5, 0.1, 0.1])[4, 11] == pytest.approx(0, abs=1e-3)  # narrower


def test_nothing_that_speaks_against_a_number_makes_it_surer() -> None:
    """As ink that is left over once did, which numbers to fit on hardly have."""
    judge = load_model(DEFAULT_MODEL).judge
    assert judge is not None
    assert judge.numbers is not None
    features = normal(1.0, 50, NUMBER_FEATURES)
    usual = judge.numbers.right(features)
    for place, way in enumerate(SPEAKS_FOR):
        more = features.copy()
        more[:, place] += 0.5
        difference = way * (judge.numbers.right(more) - usual)
        assert (difference > -1e-6).all(), place  # but for the rounding of others beside it
