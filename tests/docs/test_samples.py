"""The pictures in samples/ are read as samples/expected.csv says, by a model that has learned."""

from __future__ import annotations

import csv
import shutil
import sqlite3
import subprocess
import sys
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
    files = filter(Path.is_file, SAMPLES.iterdir())
    pictures = [file.name for file in files if file.suffix not in (".csv", ".py")]
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
    """A judge that learned from half of the pictures that the default one has is nearly sure."""
    predictor = DigitPredictor(trained)
    digits = [name for name, digit in EXPECTED.items() if digit != NONE]
    unsure = [name for name in digits if predictor.predict(SAMPLES / name).status != "ok"]
    assert len(unsure) <= 5


@pytest.mark.skipif(
    not all(map(shutil.which, ("make", "cut", "sed", "diff"))), reason="make demo needs them"
)
def test_make_demo_ends_in_a_comparison(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("DIGITS_DATABASE_URL", f"sqlite:///{(tmp_path / 'd.db').as_posix()}")
    assert "\n\t@$(MAKE) --no-print-directory compare\n\n" in Path("Makefile").read_text("utf-8")

    def compare() -> tuple[int, str, str]:
        options = ["--no-print-directory", "compare", f"BIN={Path(sys.executable).parent}"]
        done = subprocess.run(["make", *options], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    assert detector.main(["samples", "--model", str(trained), "--quiet"]) == 1
    assert compare()[:2] == (0, "All samples were read as expected.\n")

    with sqlite3.connect(tmp_path / "d.db") as connection:
        connection.execute(
            "UPDATE classified_images SET digit = 1 WHERE file_name = '7-shadow.jpg'"
        )
        connection.execute("DELETE FROM classified_images WHERE file_name = 'two-digits.png'")
    connection.close()
    code, output, errors = compare()
    assert code == 2  # make's own
    differences = [line for line in output.splitlines() if line.startswith(("<", ">"))]
    assert differences == ["< 7-shadow.jpg,7", "> 7-shadow.jpg,1", "< two-digits.png,none"]
    assert "\nNot all samples were read as expected: < expected, > read.\n" in errors
