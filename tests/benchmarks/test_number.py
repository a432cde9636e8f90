"""The benchmark of numbers: whose digits they are drawn of, and what its table says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.number import digits_of_hands, main
from digit_classification.network.default_model import DEFAULT_MODEL
from tests.drawing import draw_digit


def hands(folder: Path, digits: list[int]) -> Path:
    folder.mkdir()
    for digit in digits:
        Image.fromarray(draw_digit(digit, side=96)).save(folder / f"{digit}.png")
    Image.fromarray(np.full((60, 60), 255, np.uint8)).save(folder / "blank.png")
    lines = ["file\tlabel", *(f"{digit}.png\t{digit}" for digit in digits), "blank.png\tblank"]
    (folder / "labels.tsv").write_text("\n".join(lines) + "\n")
    return folder


def test_numbers_are_drawn_of_other_peoples_digits(tmp_path: Path) -> None:
    few, more = hands(tmp_path / "few", [0, 1, 2, 3]), hands(tmp_path / "more", [*range(4, 10)])
    drawn_of = digits_of_hands([few, more])
    assert drawn_of.labels.tolist() == [*range(10)]
    assert drawn_of.images.shape == (10, 28, 28)


def test_a_digit_that_nobody_wrote_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = hands(tmp_path / "hands", [0, 1, 2, 3, 4, 5, 6])
    assert main(["--model", str(DEFAULT_MODEL), "--hands", str(folder)]) == 2
    assert capsys.readouterr().err == f"'{folder}': no picture of 7, 8, 9; add one.\n"


def test_each_reader_and_kind_has_a_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = hands(tmp_path / "hands", [*range(10)])
    assert main(["--model", str(DEFAULT_MODEL), "--count", "1", "--hands", str(folder)]) == 0
    table = capsys.readouterr().out
    assert table.count("| ours | ") == table.count("| ours, other hands | ") == 15
