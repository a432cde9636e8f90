"""The pictures in samples/ are read as samples/expected.csv says, by a model that has learned."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import digit_classification_detector as detector
from digit_classification_detector import DigitPredictor
from tests.documents import ROOT

SAMPLES = ROOT / "samples"
NONE = "none"  # as a digit: the picture shows no single one
REASONS = {
    "blank-page.jpg": ("rejected", "blank image"),
    "not-an-image.png": ("error", "not an image, or of an unknown format"),
    "two-digits.png": ("rejected", "found 2 digits"),
}


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


EXPECTED = {
    row["path"]: row["digit"] for row in rows((SAMPLES / "expected.csv").read_text("utf-8"))
}


def test_what_is_expected_covers_every_sample() -> None:
    pictures = [file.name for file in SAMPLES.iterdir() if file.suffix not in (".csv", ".py")]
    assert sorted(EXPECTED) == sorted(pictures)
    # The names say what the pictures show.
    for name, digit in EXPECTED.items():
        assert digit == (name[0] if name[0].isdigit() else NONE)
    assert {name for name, digit in EXPECTED.items() if digit == NONE} == REASONS.keys()


def test_every_sample_is_read_as_expected(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    options = ["samples", "--model", str(trained), "--database", "none", "--format", "csv"]
    assert detector.main([*options, "--quiet"]) == 1  # some show no digit
    read = {row["path"].removeprefix("samples/"): row for row in rows(capsys.readouterr().out)}
    assert {name: row["digit"] or NONE for name, row in read.items()} == EXPECTED
    for name, row in read.items():
        if name in REASONS:
            assert (row["status"], row["reason"]) == REASONS[name]
        else:
            assert row["status"] in ("ok", "uncertain")


def test_nearly_every_sample_is_read_with_confidence(trained: Path) -> None:
    """With digits of its own kind a network is sure: one that is not has learned too little."""
    predictor = DigitPredictor(trained)
    digits = [name for name, digit in EXPECTED.items() if digit != NONE]
    unsure = [name for name in digits if predictor.predict(SAMPLES / name).status != "ok"]
    assert unsure in ([], ["1-ruled-paper.jpg"])  # the hardest: 70 to 98 % with twelve models
