"""Digits drawn by the program, for the training."""

from __future__ import annotations

import numpy as np

from digit_classification.training.drawn import STYLES, draw_digits


def test_every_style_is_drawn_about_as_often() -> None:
    digits, labels = draw_digits(3 * len(STYLES), np.random.default_rng(0))
    assert digits.shape == (3 * len(STYLES), 28, 28)
    assert digits.dtype == np.uint8
    expected = sorted(label for label, _ in STYLES.values() for _ in range(3))
    assert sorted(labels.tolist()) == expected


def test_each_digit_is_another_one_in_mnist_s_convention() -> None:
    digits, _ = draw_digits(200, np.random.default_rng(0))
    assert len({digit.tobytes() for digit in digits}) == 200
    rows, columns = (digits > 64).any(axis=2).sum(axis=1), (digits > 64).any(axis=1).sum(axis=1)
    longest = np.maximum(rows, columns)
    assert np.all((longest >= 18) & (longest <= 22))
    assert np.all(digits.reshape(200, -1).max(axis=1) > 200)


def test_the_same_state_draws_the_same_digits() -> None:
    one, other = (draw_digits(50, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[1], other[1])


def test_none() -> None:
    digits, labels = draw_digits(0, np.random.default_rng(0))
    assert (digits.shape, labels.shape) == ((0, 28, 28), (0,))
