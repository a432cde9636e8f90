"""Which form of pixels a network expects, found without Keras, whose process takes seconds."""

from __future__ import annotations

import numpy as np
import pytest

from digit_classification.network.input_forms import LEAST, TRIALS, InputForm, find_form
from digit_classification.pictures.decode import decode
from tests.documents import ROOT
from tests.foreign import linear_model


@pytest.mark.parametrize(
    ("offset", "factor", "dark", "name"),
    [
        (0, 1 / 255, False, "0 to 1"),
        (0, 1, False, "0 to 255"),
        (127.5, 1 / 127.5, False, "-1 to 1"),
        (0, 1 / 255, True, "0 to 1 inverted"),
    ],
    ids=["0 to 1", "0 to 255", "-1 to 1", "dark on light"],
)
def test_the_form_is_that_in_which_the_trial_is_read(
    offset: float, factor: float, dark: bool, name: str
) -> None:
    weights, biases = linear_model(offset, factor, dark=dark)

    def compute(digits: np.ndarray, form: InputForm) -> np.ndarray:
        return form(digits).reshape(len(digits), -1) @ weights + biases

    form, count = find_form(compute, rescales=False)
    assert form.name == name
    assert LEAST * TRIALS <= count <= TRIALS
    zero = decode((ROOT / "samples/0-light-on-dark-28x28.png").read_bytes()).pixels
    assert compute(zero[None], form).argmax() == 0
