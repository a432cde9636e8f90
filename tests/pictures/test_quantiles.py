"""Medians and quantiles are NumPy's, whatever they are computed from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from digit_classification.pictures.images.quantiles import (
    median,
    quantile,
    quantiles,
    thinned,
    weighted_quantile,
)

SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 12))
NUMBERS = arrays(np.float64, SHAPES, elements=st.floats(-1e6, 1e6))
PIXELS = arrays(np.uint8, SHAPES)


@given(NUMBERS | PIXELS, st.floats(0, 1))
def test_a_quantile_is_numpys(values: np.ndarray, share: float) -> None:
    assert quantile(values, share) == pytest.approx(np.quantile(values, share), abs=1e-6)
    assert median(values) == pytest.approx(np.median(values), abs=1e-6)


@given(PIXELS, st.lists(st.floats(0, 1), min_size=1, max_size=4))
def test_several_are_each_by_itself(values: np.ndarray, shares: list[float]) -> None:
    assert quantiles(values, *shares) == [quantile(values, share) for share in shares]


@given(arrays(np.float64, st.integers(1, 30), elements=st.integers(0, 99)), st.data())
def test_weights_count_as_often_as_they_say(values: np.ndarray, data: st.DataObject) -> None:
    weights = data.draw(arrays(np.int64, len(values), elements=st.integers(1, 5)))
    expected = np.quantile(np.repeat(values, weights), 0.5, method="inverted_cdf")
    assert weighted_quantile(values, 0.5, weights) == expected


def test_what_weighs_nothing_is_passed_over() -> None:
    assert weighted_quantile(np.array([1.0, 2.0, 3.0]), 0.6, np.array([0, 1, 0])) == 2.0


@pytest.mark.parametrize("shape", [(1, 1), (150, 160), (300, 400), (1, 90_000)])
def test_of_a_large_picture_some_pixels_are_enough(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).normal(size=shape)
    kept = thinned(pixels)
    assert kept.size == pixels.size or 20_000 < kept.size < 60_000
    assert median(kept) == pytest.approx(median(pixels), abs=0.03)
