"""The zoo's benchmark: its arithmetic on figures that can be checked by hand, a tiny run."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.accuracy import TEST_SET, thin_out
from benchmarks.pictures import (
    ACROSS,
    COUNT,
    END,
    GAP,
    NAME,
    ROOT,
    SIDE,
    START,
    Row,
    as_markdown,
    draw,
    figures,
    load_digits,
    main,
    means,
)
from benchmarks.zoo import KINDS, UNSEEN
from digit_classification.results.records import Result, Status
from tests.drawing import write_dataset


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty of MNIST's test digits."""
    return thin_out(TEST_SET, tmp_path_factory.mktemp("zoo") / "digits.zip", 60)


def read(status: Status, digit: int | None = None) -> Result:
    return Result("", status, digit)


def test_a_digit_is_right_if_it_is_given_whether_certain_or_not() -> None:
    results = [read("ok", 1), read("uncertain", 2), read("ok", 9), read("rejected")]
    clean = [read("ok", 1), read("ok", 2), read("ok", 3), read("rejected")]
    assert figures(["1", "2", "3", "4"], results, clean) == {
        "uncertain": 0.25,
        "rejected": 0.25,
        "right": 0.5,
        "wrong_ok": 0.25,
        "clean": 0.75,
        "of_clean": pytest.approx(2 / 3),
    }


def test_without_a_digit_whatever_is_ok_is_wrong() -> None:
    results = [read("ok", 1), read("uncertain", 2), read("rejected"), read("error")]
    shares = {"ok": 0.25, "uncertain": 0.25, "rejected": 0.5}
    assert figures(["blank", "several", "no digit", "blank"], results, []) == shares


def rows_with_digit() -> list[Row]:
    """Two models' figures of two kinds, one of which the judge never saw."""
    kept = {"uncertain": [0.0, 0.0], "rejected": [0.0, 0.0], "wrong_ok": [0.0, 0.0]}
    kept |= {"clean": [1.0, 0.8], "of_clean": [1.0, 1.0]}
    return [
        Row("tight cut", True, {"right": [1.0, 0.8], **kept}),
        Row("comb", False, {"right": [0.6, 0.4], **kept, "of_clean": [0.6, 0.5]}),
    ]


def test_the_means_are_of_kinds_for_each_model() -> None:
    seen, unseen, everything = means(rows_with_digit())
    assert seen.figures["right"] == [1.0, 0.8]
    assert unseen.figures["of_clean"] == [0.6, 0.5]
    assert everything.figures["right"] == pytest.approx([0.8, 0.6])
    assert everything.figures["of_clean"] == pytest.approx([0.8, 0.75])


def test_the_tables_mark_what_the_judge_never_saw_and_show_the_spread() -> None:
    without = {"ok": [0.1], "uncertain": [0.2], "rejected": [0.7]}
    lines = as_markdown([*rows_with_digit(), Row("face", False, without)], "notes").splitlines()
    assert lines[0] == "notes"
    cells = "100.0 ± 0.0"
    zero = "0.0 ± 0.0"
    assert (
        f"| tight cut | 90.0 ± 14.1 | {zero} | {zero} | {zero} | 90.0 ± 14.1 | {cells} |" in lines
    )
    assert [line for line in lines if line.startswith("| comb * | 50.0 ± 14.1 |")]
    assert "| face * | 10.0 | 20.0 | 70.0 |" in lines
    assert "| **mean of all kinds** | 10.0 | 20.0 | 70.0 |" in lines


def test_the_pictures_are_always_the_same_with_their_digit_clean_beside_them(digits: Path) -> None:
    loaded = load_digits(digits)
    assert loaded.images.shape == (60, 28, 28)
    for name in ("tight cut", "sudoku, printed digit", "comb"):
        first, second = (list(draw(name, KINDS[name], loaded, 3)) for _ in range(2))
        for one, other in zip(first, second, strict=True):
            assert np.array_equal(one.scene.pixels, other.scene.pixels)
            assert one.clean is not None
            assert other.clean is not None
            assert np.array_equal(one.clean, other.clean)
            assert one.clean[[0, -1]].min() == 255  # paper on all sides
            assert one.clean[:, [0, -1]].min() == 255
            assert one.clean.min() <= 40  # ink
    assert [each.clean for each in draw("face", KINDS["face"], loaded, 2)] == [None, None]


def test_a_tiny_run_reads_all_kinds_and_says_how_to_repeat_it(
    trained: Path,
    digits: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kinds = dict(list(KINDS.items())[1::3])  # all there are, for the sake of time
    monkeypatch.setattr("benchmarks.pictures.KINDS", kinds)
    model = shutil.copy(trained, tmp_path / "digits.keras")
    page = tmp_path / "pictures.md"
    page.write_text(f"# Before\n\n{START}\n\noutdated\n\n{END}\n\nAfter\n", encoding="utf-8")
    options = ["--model", str(model), "--digits", str(digits), "--count", "1"]
    assert main([*options, "--markdown", str(page)]) == 0
    shown = capsys.readouterr()
    text = page.read_text(encoding="utf-8")
    assert shown.out.strip() in text
    assert "outdated" not in text
    assert str(tmp_path) not in text
    assert (
        "\n    $ python benchmarks/pictures.py --count 1 --digits digits.zip --model digits.keras\n"
    ) in text
    assert f"{len(kinds)}/{len(kinds)} {list(kinds)[-1]}\n" in shown.err

    rows = dict(re.findall(r"^\| ([^|]+) \|(.+) \|$", text, re.MULTILINE))
    assert {f"{name} *" if name in UNSEEN else name for name in kinds} <= rows.keys()
    everything = re.findall(r"^\| \*\*mean of all kinds\*\* \| (.+) \|$", text, re.MULTILINE)
    with_digit = [float(cell) for cell in everything[0].split(" | ")]
    right, wrong_ok, _, rejected, clean, _ = with_digit
    assert clean > 85
    assert 30 < right <= clean  # guessing would be right in one of ten
    assert right + wrong_ok + rejected <= 100.1
    assert sum(float(cell) for cell in everything[1].split(" | ")) == pytest.approx(100, abs=0.2)


def test_a_sheet_alone_needs_no_model_and_shows_a_pair_of_each_kind(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = tmp_path / "zoo.png"
    assert main(["--seeds", "--digits", str(digits), "--sheet", str(sheet)]) == 0
    assert capsys.readouterr() == ("", "")
    with Image.open(sheet) as image:
        assert image.format == "PNG"
        pixels = np.asarray(image.convert("RGB"))
    down, across = (2 * GAP + SIDE + NAME), (3 * GAP + 2 * SIDE)
    cells = pixels[: down * (len(pixels) // down)].reshape(-1, down, ACROSS, across, 3)
    cells = cells.swapaxes(1, 2).reshape(-1, down, across, 3)
    names = cells[:, GAP + SIDE :]
    assert np.count_nonzero(names.min(axis=(1, 2, 3)) < 80) == len(KINDS)


def test_wrong_input_ends_with_one_sentence(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def error(*options: str) -> str:
        assert main(list(options)) == 2
        said = capsys.readouterr()
        assert said.out == ""
        return said.err.replace("\n", " ").strip()

    assert error("--seeds") == ("Error: There is nothing to do: give --model, --seeds or --sheet.")
    nowhere = str(tmp_path / "no" / "pictures.md")
    assert error("--markdown", nowhere) == (
        f"Error: '{nowhere}' cannot be written: make its folder first."
    )
    missing = str(tmp_path / "missing.zip")
    assert f"'{missing}'" in error("--digits", missing)
    model = str(tmp_path / "missing.keras")
    assert f"'{model}'" in error("--digits", str(digits), "--model", model)
    incomplete = write_dataset(tmp_path / "digits", per_class=1)
    shutil.rmtree(incomplete / "4")
    assert error("--digits", str(incomplete)) == (
        f"Error: '{incomplete}' holds no picture of 4: each digit needs one in the folder of its "
        "name."
    )
    (incomplete / "0" / "000.png").rename(incomplete / "four.png")
    assert error("--digits", str(incomplete)) == (
        f"Error: '{incomplete}' cannot be used (invalid literal for int() with base 10: 'digits'): "
        "it should hold pictures in folders named 0 to 9."
    )


def test_no_pictures_at_all_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["--count", "0"])
    assert exit_.value.code == 2
    assert "'0' is no number of pictures: give 1 or more\n" in capsys.readouterr().err


def test_the_committed_tables_have_a_row_for_each_kind() -> None:
    page = (ROOT / "benchmarks/pictures.md").read_text(encoding="utf-8")
    measured = page.split(START)[1].split(END)[0]
    named = re.findall(r"^\| ([^|*]+?)(?: \*)? \| [\d.]+", measured, re.MULTILINE)
    assert named == [name for name, kind in KINDS.items() if kind.answer_kind == "digit"] + [
        name for name, kind in KINDS.items() if kind.answer_kind != "digit"
    ]
    assert COUNT >= 50  # else a kind's share of 2 % could not be told from none
