"""Digits that touch, as they are drawn to learn from, and what is learned."""

from __future__ import annotations

import numpy as np
import pytest

from digit_classification.network.numbers.pairs import Pairs
from digit_classification.pictures.images.convention import PAIR_SHAPE
from digit_classification.training.numbers import pairs as drawing
from digit_classification.training.numbers.calibration import NO_BELIEF
from digit_classification.training.numbers.pairs import DrawnPairs, draw_pairs, learn_pairs
from digit_classification.training.scenes import Digits
from digit_classification.training.styles.draw import draw_digits


@pytest.fixture(scope="module")
def digits() -> Digits:
    return Digits(*draw_digits(300, np.random.default_rng(1)))


def drawn(digits: Digits, count: int, seed: int) -> DrawnPairs:
    heard: list[tuple[int, int]] = []
    pairs = draw_pairs(digits, count, (seed, 4), lambda *done: heard.append(done))
    assert heard[-1] == (count // 100, count // 100)
    return pairs


def test_most_are_two_digits_and_some_are_not(digits: Digits) -> None:
    pairs = drawn(digits, 600, 1)
    assert pairs.images.shape == (600, *PAIR_SHAPE)
    assert 0.6 < pairs.two.mean() < 0.9
    assert (pairs.digits[pairs.two == 0] == -1).all()
    assert set(pairs.digits[pairs.two == 1].ravel().tolist()) == set(range(10))
    assert pairs.images.any(axis=(1, 2)).all()


def test_the_same_seed_draws_the_same(digits: Digits) -> None:
    first, again, other = (drawn(digits, 200, seed) for seed in (1, 1, 2))
    assert first.images.tobytes() == again.images.tobytes()
    assert first.digits.tolist() == again.digits.tolist()
    assert first.images.tobytes() != other.images.tobytes()


def test_what_is_learned_reads_others(digits: Digits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "BATCH_SIZE", 32)
    monkeypatch.setattr(drawing, "EPOCHS", 4)
    heard: list[tuple[int, int]] = []
    layers = learn_pairs(drawn(digits, 1500, 1), 1, lambda *done: heard.append(done))
    assert heard[-1] == (drawing.EPOCHS, drawing.EPOCHS)
    others = drawn(digits, 300, 2)
    scores = Pairs.of(layers, NO_BELIEF).read(others.images)
    two = others.two == 1
    for side, read in enumerate((scores.left, scores.right)):
        assert (read.argmax(axis=1) == others.digits[:, side])[two].mean() > 0.4  # by chance 0.1
    assert np.median(scores.both[two]) > np.median(scores.both[~two]) + 0.2
