"""What the benchmark of forms counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import forms
from digit_classification.network.form import BLANK_CELL, FormCell
from digit_classification.network.number import NumberReading
from digit_classification.training.numbers.forms import DrawnCell, FormPicture


def read(row: int, column: int, text: str | None, confidence: float = 0.99) -> FormCell:
    reading = BLANK_CELL if text is None else NumberReading(text, confidence, (), None, ())
    return FormCell(row, column, (0.1 * column, 0.1 * row, 0.1, 0.1), reading)


def test_what_becomes_of_each_cell_is_counted() -> None:
    texts = ["47", "8", "15", None, None, "3", "6"]
    truth = [
        DrawnCell(1, place, (0.1 * place, 0.1, 0.1 * place + 0.1, 0.2), text, printed=place == 7)
        for place, text in enumerate(texts, 1)
    ]
    cells = [
        read(1, 1, "47"),
        read(1, 2, "8", 0.4),
        read(1, 3, "75"),
        read(1, 4, "1", 0.4),
        read(1, 5, None),
        read(1, 7, "60"),
        read(5, 5, None),
    ]
    score = forms.Score()
    score.add(FormPicture(np.zeros((9, 9, 3), np.uint8), tuple(truth)), cells, 0.85)
    assert (score.cells, score.found, score.placed, score.invented) == (7, 6, 6, 1)
    assert (score.numbers, score.right, score.ok, score.wrong_ok) == (4, 2, 2, 1)
    assert (score.empty, score.empty_read, score.printed, score.printed_ok) == (2, 1, 1, 1)
    assert forms.total([score, score]).row()[:7] == [
        *("85.7", "85.7", "14.3", "50.0", "50.0", "50.0", "100.0")
    ]


def test_a_count_or_a_model_that_cannot_be(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        forms.main(["--count", "0"])
    assert ended.value.code == 2
    assert "--count is 0: give 1 or more" in capsys.readouterr().err
    assert forms.main(["--model", str(Path("no.keras"))]) == 2
    assert "no.keras" in capsys.readouterr().err
