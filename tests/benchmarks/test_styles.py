"""The benchmark that leaves styles out, on very little."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.accuracy import TEST_SET, thin_out
from benchmarks.styles import Row, as_table, folds, main, measure
from digit_classification.settings import TrainingSettings
from digit_classification.training.parts import Part
from digit_classification.training.styles.book import read_book
from digit_classification.training.styles.draw import draw_digits

BOOK = read_book()


def test_each_style_is_left_out_once_with_none_of_its_digit() -> None:
    out = list(folds(BOOK))
    assert sorted(style.title for fold in out for style in fold) == sorted(
        style.title for style in BOOK
    )
    for fold in out:
        assert len({style.digit for style in fold}) == len(fold)


class Nearest:
    """Reads a digit as the one that it is most like, of those learned: no training to wait for."""

    def __init__(self, digits: Part, _: TrainingSettings) -> None:
        self.learned = digits.digits.reshape(len(digits), -1).astype(np.float32)
        self.labels = digits.labels

    def read(self, digits: np.ndarray) -> np.ndarray:
        """Return minus the distance to the nearest of each digit, (n, 10)."""
        pixels = digits.reshape(len(digits), -1).astype(np.float32)
        distances = np.linalg.norm(pixels[:, None] - self.learned, axis=2)
        nearest = [distances[:, self.labels == digit] for digit in range(10)]
        return np.stack([-each.min(axis=1, initial=np.inf) for each in nearest], axis=1)


def test_a_style_is_read_worse_if_it_was_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A one that looks like a seven, among sevens and other ones."""
    monkeypatch.setattr("benchmarks.styles.train", Nearest)
    titles = {"1 stem", "1 with a straight flag", "7 plain", "7 upright"}
    styles = [style for style in BOOK if style.title in titles]
    digits, labels = draw_digits(80, np.random.default_rng(0), [styles[0], styles[2]])
    settings = TrainingSettings(drawn_share=1.0)
    told: list[str] = []
    rows = measure(Part(digits, labels, []), styles, settings, 30, told.append)
    assert [row.style for row in rows] == styles
    assert told == [f"Training {number} of 2, without 2 styles" for number in (1, 2)]
    flagged = rows[1]
    assert flagged.style.title == "1 with a straight flag"
    assert flagged.left_out < 0.5 < 0.8 < flagged.learned


def test_the_worst_style_stands_first() -> None:
    rows = [Row(BOOK[0], 1.0, 1.0), Row(BOOK[1], 0.5, 0.9)]
    assert as_table(rows).splitlines()[2:] == [
        "| mean of 2 styles | 75.0% | 95.0% |",
        "| worst style | 50.0% | 90.0% |",
        f"| {BOOK[1].title} | 50% | 90% |",
        f"| {BOOK[0].title} | 100% | 100% |",
    ]


def test_the_script_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    some = thin_out(TEST_SET, tmp_path / "some.zip", 400)  # all 60,000 would take long to read
    monkeypatch.setattr("benchmarks.styles.TRAINING_SET", some)
    assert main(["--quick", "--hidden-units", "8"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("| style | left out | learned |\n")
    assert "| mean of 20 styles |" in captured.out
    assert "Training 2 of 2, without 10 styles" in captured.err
