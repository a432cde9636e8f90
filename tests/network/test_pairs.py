"""What reads two digits that touch: what is stored of it, and what it says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from digit_classification.network.inference import NetworkError
from digit_classification.network.numbers.lattice import best_paths
from digit_classification.network.numbers.pairs import (
    BELIEF_WIDTHS,
    FEATURES,
    PACKED_SIZE,
    WIDTHS,
    Pairs,
    PairScores,
    best_cut,
    pair_features,
)
from digit_classification.network.numbers.scoring import pair_edges
from digit_classification.pictures.images.convention import PAIR_SHAPE
from digit_classification.pictures.numbers.candidates import Candidate
from digit_classification.pictures.numbers.pairs import Pair
from digit_classification.pictures.proposals import ready

PLACE = (1.0, 1.6, 1.6, 0.5, 4.0, 0.0, 0.0, 1.0, 1.6, 1.0)
PAIR = Pair(0, 4, np.zeros(PAIR_SHAPE, np.uint8), PLACE)


def layers_of(widths: tuple[int, ...], seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return [
        (rng.normal(0, 1 / np.sqrt(shape[0]), shape), rng.normal(0, 0.1, shape[1]))
        for shape in itertools.pairwise(widths)
    ]


LAYERS, BELIEF = layers_of(WIDTHS, 1), layers_of(BELIEF_WIDTHS, 2)
BOUNDS = np.stack([np.full(FEATURES, -2.0), np.full(FEATURES, 3.0)])


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    return Pairs.of(LAYERS, (BOUNDS, BELIEF))


def images(count: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    return rng.integers(0, 256, (count, *PAIR_SHAPE)).astype(np.uint8)


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def test_both_digits_are_read_by_one_network(pairs: Pairs) -> None:
    values = images(20).reshape(20, -1) / 255
    for kernel, bias in LAYERS[:-1]:
        values = np.maximum(values @ kernel + bias, 0)
    kernel, bias = LAYERS[-1]
    logits = values @ kernel + bias
    scores = pairs.read(images(20))
    assert scores.left == pytest.approx(softmax(logits[:, :10]), abs=5e-3)
    assert scores.right == pytest.approx(softmax(logits[:, 10:20]), abs=5e-3)
    assert scores.both == pytest.approx(1 / (1 + np.exp(-logits[:, 20])), abs=5e-3)


@pytest.mark.same_results
def test_a_pair_is_read_alike_whatever_it_is_read_with(pairs: Pairs) -> None:
    together = pairs.read(images(300))
    for name in ("left", "right", "both"):
        alone = [getattr(pairs.read(image[None]), name) for image in images(300)]
        assert getattr(together, name).tobytes() == np.concatenate(alone).tobytes()


def test_it_is_the_same_once_it_is_stored(pairs: Pairs) -> None:
    again = Pairs.unpack(pairs.content)
    features = np.random.default_rng(5).normal(0, 3, (9, FEATURES))
    assert len(pairs.content) == PACKED_SIZE
    assert again.read(images(3)).left.tobytes() == pairs.read(images(3)).left.tobytes()
    assert again.believed(features).tobytes() == pairs.believed(features).tobytes()
    assert np.ptp(pairs.believed(features)) > 0.05  # they differ


@pytest.mark.parametrize("content", [b"", bytes(PACKED_SIZE - 2), bytes(PACKED_SIZE + 1)])
def test_one_of_another_length_is_refused(content: bytes) -> None:
    with pytest.raises(NetworkError, match=r"^weights of pairs of another length$"):
        Pairs.unpack(content)


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), 2e4])
def test_one_of_absurd_weights_is_refused(pairs: Pairs, value: float) -> None:
    damaged = pairs.content[:-2] + np.array([value], "<f2").tobytes()
    with pytest.raises(NetworkError, match=r"^a weight of pairs is not from -10000 to 10000$"):
        Pairs.unpack(damaged)


# ------------------------------------------------------------------------- beside what cuts give


def candidate(first: int, last: int) -> Candidate:
    return Candidate(first, last, ready(np.zeros((28, 28), np.uint8)), PLACE)


SPANS = [(0, 1), (0, 2), (2, 4), (1, 4), (0, 4)]
CANDIDATES = [candidate(*span) for span in SPANS]


def scores(left: int, right: int, both: float) -> PairScores:
    """Of one pair, surely read as these digits."""
    read = np.full((2, 1, 10), 1e-3)
    read[0, 0, left] = read[1, 0, right] = 0.991
    return PairScores(read[0], read[1], np.array([both]))


@pytest.mark.parametrize(
    ("whole", "cut"), [([0.1, 0.9, 0.9, 0.1, 0.2], 2), ([0.9, 0.1, 0.1, 0.9, 0.2], 1)]
)
def test_a_pair_is_cut_where_both_parts_are_whole(whole: list[float], cut: int) -> None:
    assert best_cut(PAIR, CANDIDATES, np.array(whole)) == cut


def test_where_no_cut_gives_two_digits_there_is_none() -> None:
    assert best_cut(PAIR, [candidate(0, 2), candidate(3, 4)], np.array([0.9, 0.9])) is None
    assert best_cut(Pair(0, 1, PAIR.image, PLACE), CANDIDATES, np.full(5, 0.9)) is None


def test_what_the_cuts_say_is_told() -> None:
    read = np.full((5, 10), 1e-3)
    read[1, 4] = read[2, 7] = 0.991  # by the better cut
    whole = np.array([0.1, 0.9, 0.9, 0.1, 0.2])
    told = pair_features([PAIR], scores(4, 7, 0.9), CANDIDATES, whole, read)
    one, two, three, agreed = told[0, -4:]
    assert one == pytest.approx(np.log(0.2 / 0.8), abs=1e-6)
    assert two == pytest.approx(2 * np.log(0.9 / 0.1), abs=1e-6)
    assert three == pytest.approx(-8)  # its middle is no candidate, the others cancel out
    assert agreed == pytest.approx(0, abs=0.05)
    told = pair_features([PAIR], scores(4, 1, 0.9), CANDIDATES, whole, read)
    assert told[0, -1] < -4


def test_a_pair_is_two_digits_of_the_text() -> None:
    edges = pair_edges([PAIR], scores(4, 7, 0.9))
    [best] = best_paths(edges, 4, 1)
    assert best.text == "47"
    assert best.edges[0].probability == pytest.approx(0.9 * 0.991**2)
    assert pair_edges([Pair(0, 1, PAIR.image, PLACE)], scores(4, 7, 0.9)) == []  # nothing to cut
    assert pair_edges([PAIR], None) == []
