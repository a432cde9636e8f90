"""Runs compared with known answers."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import digit_classification_detector as detector
from digit_classification.detection.truth import NONE, LabelsError, Score, read_truth
from digit_classification.results.records import Result
from tests.drawing import draw_digit, png

Detect = Callable[..., int]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(text: str, name: str = "truth.csv") -> list[tuple[str, str]]:
    Path(name).write_text(text, encoding="utf-8")
    return [(answer.path, answer.label) for answer in read_truth(Path(name)).answers]


def results(*paths: str) -> list[Result]:
    return [Result(path, "ok", 7, 0.75) for path in paths]


def labels(text: str, *paths: str, name: str = "truth.csv") -> dict[str, str | None]:
    """What is known of pictures that the detector names so."""
    read(text, name)
    score = Score(read_truth(Path(name)))
    for result in results(*paths):
        score.add(result)
    return score.labels()


# ------------------------------------------------------------------------------------ the file


@pytest.mark.parametrize(
    "text",
    [
        "path,digit\na.png,7\nb.png,1\n",
        "a.png,7\nb.png,1\n",
        "a.png;7\nb.png;1\n",
        "a.png\t7\r\nb.png\t1\r\n",
        "\ufeffpath,digit\na.png,7\nb.png,1\n",
        "digit,file\n7,a.png\n1,b.png\n",
        "7,a.png\n1,b.png\n",
        "who,picture,what\nx,a.png,7.0\ny,b.png,1.0\n".replace("what", "class"),
        "scan,what\na.png,7\nb.png,1\n",
        "path,digit,confidence,status,reason,label\na.png,1,0.5,ok,,7\nb.png,1,0.9,ok,,1\n",
        "path,digit,sha256\na.png,7,9f86\nb.png,1,6030\n",
        "\npath,digit\n\na.png, 7\nb.png,1 \n\n",
    ],
)
def test_any_two_columns_that_are_a_path_and_a_digit(text: str) -> None:
    assert read(text) == [("a.png", "7"), ("b.png", "1")]


@pytest.mark.parametrize("word", ["", "none", "blank", "Empty", "no digit", "-", "several", "NaN"])
def test_no_digit_is_an_answer(word: str) -> None:
    assert read(f"path,digit\na.png,{word}\nb.png,7\n") == [("a.png", NONE), ("b.png", "7")]


def test_a_name_that_was_made_harmless_for_spreadsheets() -> None:
    assert read("path,digit\n'=7.png,7\n'a'.png,1\n") == [("=7.png", "7"), ("'a'.png", "1")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "There is no file of labels 'truth.csv': check --labels."),
        ("", COLUMNS := "'truth.csv' should have a column of paths and one of digits: write"
            " `path,digit` as its first line."),
        ("a.png\nb.png\n", COLUMNS),
        ("1,7\n2,8\n", COLUMNS),
        ("path,digit\n", "'truth.csv' has no answers: write a line for each picture below the"
            " first."),
        ("path,digit\na.png,7\nb.png,eight\n", "'truth.csv', line 3: the label 'eight' should be"
            " one of 0 to 9, or none where there is no digit."),
        ("path,digit\na.png,7\nb.png\n", "'truth.csv', line 3 has too few cells: write a path and"
            " a digit, or delete it."),
        ("path,digit\na.png,7\n./a.png,1\n", "'truth.csv', line 3: './a.png' is 1, but 7 in line"
            " 2: delete the wrong one."),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used(text: str | None, message: str) -> None:
    if text is not None:
        Path("truth.csv").write_text(text)
    with pytest.raises(LabelsError) as caught:
        read_truth(Path("truth.csv"))
    assert str(caught.value) == message


def test_a_file_that_is_no_text() -> None:
    Path("truth.csv").write_bytes(b"path,digit\n\xff\xfe.png,7\n")
    with pytest.raises(LabelsError, match=r"^'truth.csv' is no CSV file in UTF-8: .*: save it as"):
        read_truth(Path("truth.csv"))
    with pytest.raises(LabelsError, match=r"^'.' cannot be read: .*: check --labels\.$"):
        read_truth(Path("."))


# ------------------------------------------------------------------------- whose answer it is


def test_paths_as_given_relative_to_the_file_or_by_name(folder: Path) -> None:
    (folder / "set").mkdir()
    text = "path,digit\nimg/a.png,1\nb.png,2\nlost/c.png,3\n"
    paths = ["set/img/a.png", "set/b.png", "elsewhere/c.png", "d.png"]
    expected = {"set/img/a.png": "1", "set/b.png": "2", "elsewhere/c.png": "3"}
    assert labels(text, *paths, name="set/truth.csv") == expected
    absolute = [str(folder / path) for path in paths]
    known = labels(text, *absolute, name="set/truth.csv")
    assert known == {str(folder / path): label for path, label in expected.items()}


def test_a_name_that_several_have_is_no_answer() -> None:
    assert labels("a/7.png,7\nb/7.png,1\n8.png,8\n", "c/7.png") == {}
    assert labels("7.png,7\n", "a/7.png", "b/7.png") == {}
    assert labels("7.png,7\n", "a/7.png") == {"a/7.png": "7"}
    # The picture itself is preferred to another of its name.
    assert labels("7.png,7\n", "a/7.png", "7.png", "b/7.png") == {"7.png": "7"}


def test_odd_names(folder: Path) -> None:
    undecodable = os.fsdecode(b"\xff.png") if os.name != "nt" else "x.png"
    text = 'path,digit\n"a, b.png",1\n"two\nlines.png",2\nscans.zip/a/7.png,7\n\\xff.png,5\n'
    paths = ["a, b.png", "two\nlines.png", "scans.zip/a/7.png"]
    assert labels(text, *paths) == dict(zip(paths, ("1", "2", "7"), strict=True))
    if os.name != "nt":
        assert labels(text, undecodable) == {undecodable: "5"}
    assert labels("C:\\scans\\7.png,7\nC:\\scans\\8.png,8\n", "scans/7.png") == {"scans/7.png": "7"}


# --------------------------------------------------------------------------------- by the detector


@pytest.fixture
def detect(model: Path, folder: Path, sqlite_url: str) -> Detect:
    """Read a 1, a 7, a blank page, and a picture that is none, of which truth.csv has three."""
    (folder / "scans").mkdir()
    for digit in (1, 7):
        (folder / f"scans/{digit}.png").write_bytes(png(draw_digit(digit, seed=500)))
    (folder / "scans/blank.png").write_bytes(png(np.full((90, 90), 230, np.uint8)))
    (folder / "scans/none.png").write_bytes(b"")
    (folder / "truth.csv").write_text(
        "path,digit\nscans/1.png,1\nscans/7.png,8\nscans/blank.png,none\nscans/gone.png,3\n"
    )

    def detect(*arguments: object) -> int:
        words = [*arguments, "--model", model, "--database", sqlite_url]
        return detector.main([*map(str, words)])

    return detect


def comparison(text: str) -> list[str]:
    """Return the lines of a comparison, without the table and with shares masked."""
    lines = [re.sub(r" [\d.]+%,", " N%,", line) for line in text.splitlines()]
    begin = next(n for n, line in enumerate(lines) if line.startswith("Right: "))
    return [
        line for line in lines[begin:] if line.strip() and not re.match(r" +([0-9n─]|0 )", line)
    ]


EXPECTED = [
    "Right: 2 of 3 (66.7%)",
    "  ok: 1 of 2 (50.0%)",
    "  rejected: 1 of 1 (100.0%)",
    "Confusion matrix: rows are the true digits, columns what was read.",
    "Mistakes, the most confident first: 1",
    "  scans/7.png: 7 N%, should be 8",
    "without an answer in 'truth.csv': 1",
    "answers in 'truth.csv' for no picture, or for several of that name: 1",
]


def test_a_run_is_compared_with_the_right_digits(
    detect: Detect, capsys: pytest.CaptureFixture[str]
) -> None:
    assert detect("scans", "--labels", "truth.csv", "--min-confidence", 0) == 1
    captured = capsys.readouterr()
    assert comparison(captured.out) == EXPECTED
    table = [line.split() for line in captured.out.splitlines()]
    assert [*"0123456789", "none"] in table
    assert ["8", *"·······1···"] in table
    assert ["none", *"··········1"] in table
    assert "4 images in " in captured.err
    # Again, of the stored run, and without its pictures.
    for name in ("1.png", "7.png", "blank.png"):
        Path(f"scans/{name}").unlink()
    assert detect("--show", "latest", "--labels", "truth.csv") == 0
    assert comparison(capsys.readouterr().out) == EXPECTED


def test_lines_for_programs_are_not_mixed_with_the_comparison(
    detect: Detect, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--labels", "truth.csv", "--min-confidence", 0]
    assert detect("scans", *options, "--format", "csv", "--quiet") == 1
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 5
    assert comparison(captured.err) == EXPECTED
    assert detect("scans", *options, "--output", "digits.csv", "--quiet") == 1
    captured = capsys.readouterr()
    assert comparison(captured.out) == EXPECTED
    assert captured.err == ""
    assert len(Path("digits.csv").read_text().splitlines()) == 5
    assert detect("scans/1.png", "scans/7.png", *options) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("scans/1.png: 1 ")
    assert "Right: 1 of 2 (50.0%)\n" in captured.err


def test_answers_that_are_for_other_pictures(
    detect: Detect, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("truth.csv").write_text("path,digit\nother/77.png,7\n")
    assert detect("scans", "--labels", "truth.csv", "--quiet") == 1
    assert capsys.readouterr().out == (
        "No answer in 'truth.csv' is for one of the 4 pictures: its paths, such as"
        " 'other/77.png', should be as the run has them.\n"
    )


def test_a_dry_run_reads_the_answers(detect: Detect, capsys: pytest.CaptureFixture[str]) -> None:
    assert detect("scans", "--labels", "truth.csv", "--dry-run") == 0
    assert "  compare them with 4 answers in truth.csv\n" in capsys.readouterr().out
    assert detect("scans", "--labels", "missing.csv", "--dry-run") == 2
    message = "Error: There is no file of labels 'missing.csv': check --labels.\n"
    assert capsys.readouterr().err == message
    assert detect("scans", "--labels", "missing.csv") == 2
    assert capsys.readouterr().err == message


def test_many_mistakes_are_counted_and_named_with_verbose(
    detect: Detect, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(12):
        (folder / f"scans/x{number}.png").write_bytes(png(draw_digit(7, seed=500 + number)))
    rows = "".join(f"x{number}.png,1\n" for number in range(12))
    Path("truth.csv").write_text(f"path,digit\n{rows}")
    assert detect("scans", "--labels", "truth.csv", "--quiet") == 1
    out = capsys.readouterr().out
    assert "Right: 0 of 12 (0.0%)\n" in out
    assert out.count("should be 1") == 10
    assert "  and 2 more (-v names all)\n" in out
    assert detect("scans", "--labels", "truth.csv", "-v") == 1
    assert capsys.readouterr().out.count("should be 1") == 12


@pytest.mark.parametrize("stored", [False, True])
def test_the_review_page_has_the_answers(detect: Detect, stored: bool) -> None:
    options = ["--labels", "truth.csv", "--report", "page.html"]
    if stored:
        # Moved pictures are on the page under their new paths.
        assert detect("scans", "--sort-into", "sorted", "--move", "--min-confidence", 0) == 1
        assert detect("--show", "latest", *options) == 0
    else:
        assert detect("scans", *options) == 1
    page = Path("page.html").read_text(encoding="utf-8")
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
    truth = {Path(item[0]).name: item[8] for item in json.loads(data)["items"]}
    assert truth == {"1.png": 1, "7.png": 8, "blank.png": "none", "none.png": None}


def test_no_digit_is_right_of_a_file_that_is_no_picture(
    detect: Detect, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("truth.csv").write_text("none.png,none\n1.png,none\n")
    assert detect("scans", "--labels", "truth.csv", "--quiet") == 1
    out = capsys.readouterr().out
    assert "Right: 1 of 2 (50.0%)\n" in out
    assert "  error: 1 of 1 (100.0%)\n" in out
    assert "  scans/1.png: 1 " in out
    assert ", should be none\n" in out
