"""The benchmark's arithmetic and its table, on figures that can be checked by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.accuracy import (
    END,
    NO_DIGIT,
    START,
    Reading,
    Row,
    as_markdown,
    calibration_error,
    figures,
    main,
    write_markdown,
)


def test_the_calibration_error_of_two_bins() -> None:
    confidences = np.array([0.9, 0.9, 0.9, 0.9, 0.5, 0.5])
    right = np.array([True, True, True, False, True, False])
    # Four at 0.9 of which 0.75 are right; two at 0.5 of which half are.
    assert calibration_error(confidences, right) == pytest.approx(4 / 6 * 0.15)


def test_a_rejected_picture_counts_as_wrong() -> None:
    reading = Reading(
        digits=np.array([1, 2, 3, NO_DIGIT]),
        confidences=np.array([0.9, 0.5, 0.9, 0.0]),
        statuses=np.array(["ok", "uncertain", "rejected", "error"]),
    )
    found = figures(reading, np.array([1, 2, 3, 4]))
    assert found["accuracy"] == 0.5
    assert found["accuracy_among_ok"] == 1
    assert found["accuracy_ignoring_rejections"] == 0.75
    assert found["uncertain"] == 0.25


def test_the_table_shows_mean_and_spread() -> None:
    row = Row("MNIST test", 10_000, {"accuracy": [0.99, 0.98, 0.97]})
    table = as_markdown([row], "notes")
    assert "| MNIST test | 10,000 | 98.00 ± 1.00 % |" in table


def test_the_table_is_written_between_its_marks(tmp_path: Path) -> None:
    file = tmp_path / "README.md"
    file.write_text(f"before\n{START}\nold\n{END}\nafter\n")
    write_markdown(file, "new")
    text = file.read_text()
    assert "old" not in text
    assert text.startswith(f"before\n{START}\n")
    assert text.endswith(f"{END}\nafter\n")


def test_a_folder_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--photos", "missing"]) == 2
    assert capsys.readouterr().err == (
        "Error: 'missing/labels.tsv' cannot be used "
        "(FileNotFoundError(2, 'No such file or directory')): it should be a table with tabs "
        "between its columns `file` and `label`.\n"
    )
