"""Numbers from the command line: what is printed, stored, sorted, compared, resumed and refused.

What reads them is scripted here, picture by picture, unless a test says otherwise.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import digit_classification_detector as detector
from digit_classification.detection import numbers
from digit_classification.network.number import NumberDigit, NumberReading
from digit_classification.results.database import ResultsDatabase
from digit_classification.results.parquet.dataset import ParquetDataset
from digit_classification.results.records import StoredResult
from tests.conftest import PASSWORD_VARIABLE
from tests.documents import ROOT
from tests.drawing import draw_digit, png
from tests.interrupting import stopped_at_batch

Detect = Callable[..., int]

# What is read of each picture: the number, and how sure each of its signs is.
SCRIPT: dict[str, tuple[str | None, list[float]]] = {
    "1984.png": ("1984", [0.99, 0.98, 0.99, 0.97]),
    "47.png": ("47", [0.99, 0.61]),
    "7.png": ("7", [0.98]),
    "blank.png": (None, []),
    "minus.png": ("-12,5", [0.99, 0.98, 0.99, 0.99, 0.98]),
    "three.png": ("333", [0.93, 0.94, 0.95]),
}
REASONS = {"blank.png": "blank image"}


def scripted(
    greys: Sequence[np.ndarray],
    invert: str,
    network: object,
    judge: object,
    constraint: str | None = None,
) -> list[NumberReading]:
    """Read what the script has for a picture, whose name is in its pixels."""
    assert judge is not None
    return [_scripted(bytes(grey[0]).rstrip(b"\xff").decode(), constraint) for grey in greys]


def _scripted(name: str, constraint: str | None) -> NumberReading:
    text, shares = SCRIPT[name]
    if text is None or (constraint is not None and not re.fullmatch(constraint, text)):
        return NumberReading(None, None, (), REASONS.get(name, "no number"), ())
    signs = [
        NumberDigit(
            sign,
            (0.1 * place, 0.25, 0.08, 0.5),
            share,
            tuple(share if digit == int(sign) else (1 - share) / 9 for digit in range(10))
            if sign.isdecimal()
            else None,
            np.full((28, 28), 10 * int(sign) + 1, np.uint8) if sign.isdecimal() else None,
        )
        for place, (sign, share) in enumerate(zip(text, shares, strict=True))
    ]
    left_out = ("a mark",) if name == "1984.png" else ()
    return NumberReading(text, float(np.prod(shares)), tuple(signs), None, left_out)


def named(name: str) -> bytes:
    """A picture that holds its name."""
    pixels = np.full((40, 120), 255, np.uint8)
    pixels[0, : len(name)] = np.frombuffer(name.encode(), np.uint8)
    return png(pixels)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the pictures of the script, and one that is none, in `scans`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scans").mkdir()
    for name in SCRIPT:
        (tmp_path / "scans" / name).write_bytes(named(name))
    (tmp_path / "scans/broken.png").write_bytes(b"")
    return tmp_path


@pytest.fixture
def detect(trained: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Detect:
    """Run the detector on one process."""
    monkeypatch.setattr(numbers, "read_numbers", scripted)
    monkeypatch.setenv("DIGITS_DETECTION_WORKERS", "1")

    def detect(*arguments: object, database: str = "none", read: str | None = "number") -> int:
        words = [*arguments, "--model", trained, "--database", database]
        words += [] if read is None else ["--read", read, "--min-confidence", "0.9"]
        return detector.main([*map(str, words)])

    return detect


def rows(url: str) -> list[StoredResult]:
    """What the newest run has stored."""
    database: Any
    if url.startswith("parquet:"):
        database = ParquetDataset.open(url)
    else:
        database = ResultsDatabase.open(url, password=os.environ.get(PASSWORD_VARIABLE))
    with database:
        run, *_ = database.runs()
        return list(database.rows(run.info.id))


def shares(text: str) -> str:
    """A text with its percentages left out, which are only as exact as they are printed."""
    return re.sub(r"\d+\.\d%", "N%", text)


# ------------------------------------------------------------------------------------------ lines

LINES = """\
scans/1984.png: 1984 93.2% (without a mark)
scans/47.png: 47 60.4% (uncertain) (in doubt: 7 in place 2 (61.0%))
scans/7.png: 7 98.0%
scans/blank.png: rejected: blank image
scans/broken.png: error: the file is empty
scans/minus.png: -12,5 93.2%
scans/three.png: 333 83.0% (uncertain) (in doubt: 3 in place 1 (93.0%))
"""
CSV = """\
path,digit,confidence,status,reason,number
scans/1984.png,,0.931683,ok,without a mark,1984
scans/47.png,,0.603900,uncertain,in doubt: 7 in place 2 (61.0%),47
scans/7.png,7,0.980000,ok,,7
scans/blank.png,,,rejected,blank image,
scans/broken.png,,,error,the file is empty,
scans/minus.png,,0.931875,ok,,"-12,5"
scans/three.png,,0.830490,uncertain,in doubt: 3 in place 1 (93.0%),333
"""


@pytest.mark.parametrize(("format_name", "expected"), [("text", LINES), ("csv", CSV)])
def test_a_line_for_each_number(
    format_name: str,
    expected: str,
    detect: Detect,
    database_url: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert detect("scans", "--format", format_name, database=database_url) == 1
    assert capsys.readouterr().out == expected
    # Again, of the stored run, without being told what it read.
    options = ["--show", "latest", "--format", format_name]
    assert detect(*options, database=database_url, read=None) == 0
    assert capsys.readouterr().out == expected


def test_json_has_the_digits(detect: Detect, capsys: pytest.CaptureFixture[str]) -> None:
    detect("scans/minus.png", "scans/blank.png", "--format", "jsonl")
    minus, blank = map(json.loads, capsys.readouterr().out.splitlines())
    assert [*minus] == [
        *("path", "digit", "confidence", "status", "reason", "probabilities", "number", "digits")
    ]
    assert (minus["number"], minus["digit"], minus["probabilities"]) == ("-12,5", None, None)
    assert [sign["text"] for sign in minus["digits"]] == [*"-12,5"]
    assert minus["digits"][0]["probabilities"] is None
    assert minus["digits"][1] == {
        "text": "1",
        "box": {"left": 0.1, "top": 0.25, "width": 0.08, "height": 0.5},
        "confidence": 0.98,
        "probabilities": pytest.approx([0.02 / 9, 0.98, *[0.02 / 9] * 8]),
    }
    assert (blank["number"], blank["digits"], blank["reason"]) == (None, [], "blank image")


def test_lines_of_numbers_are_known_again(detect: Detect, folder: Path) -> None:
    """As results of this program, which a next run may overwrite."""
    for name in ("numbers.txt", "numbers.csv", "numbers.jsonl"):
        for _ in range(2):
            assert detect("scans", "--output", name) == 1
        assert (folder / name).read_text()


def test_digits_are_printed_as_ever(
    detect: Detect, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "7.png").write_bytes(png(draw_digit(7, seed=500)))
    outputs = []
    for options in ([], ["--format", "csv"], ["--format", "jsonl"]):
        for read in ("digit", None):
            detect("7.png", *options, read=read)
            outputs.append(capsys.readouterr().out)
    assert outputs[::2] == outputs[1::2]
    header, row = csv.reader(io.StringIO(outputs[2]))
    assert header == ["path", "digit", "confidence", "status", "reason"]
    assert len(row) == 5
    assert [*json.loads(outputs[4])] == [*header, "probabilities"]


def test_a_run_is_summed_up_by_the_length_of_its_numbers(
    detect: Detect, capsys: pytest.CaptureFixture[str]
) -> None:
    assert detect("scans") == 1
    err = capsys.readouterr().err
    assert re.sub(r"in \d.*", "in N", err) == (
        "7 images in N\n"
        "                               \n"
        " digits of the number   images \n"
        " ───────────────────────────── \n"
        "                    1        1 \n"
        "                    2        1 \n"
        "                    3        2 \n"
        "                    4        1 \n"
        "                               \n"
        "uncertain: 2\n"
        "rejected: 1\n"
        "error: 1\n"
        "  scans/blank.png: rejected: blank image\n"
        "  scans/broken.png: error: the file is empty\n"
    )


# ---------------------------------------------------------------------------------------- storing


@pytest.mark.parametrize("kind", ["sqlite", "mysql", "parquet"])
def test_what_is_stored(kind: str, detect: Detect, request: pytest.FixtureRequest) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    url = "parquet:results" if kind == "parquet" else request.getfixturevalue(f"{kind}_url")
    assert detect("scans", database=url) == 1
    stored = {str(row.file_name): row for row in rows(url)}
    assert {name: row.number for name, row in stored.items()} == {
        **{name: text for name, (text, _) in SCRIPT.items()},
        "broken.png": None,
    }
    assert {name: row.digit for name, row in stored.items() if row.digit is not None} == {
        "7.png": 7
    }
    assert stored["7.png"].probabilities == stored["7.png"].digits[0].probabilities
    assert [row.file_name for row in stored.values() if row.probabilities is not None] == ["7.png"]
    for name, (text, sure) in SCRIPT.items():
        signs = stored[name].digits
        assert [(sign.position, sign.text) for sign in signs] == [*enumerate(text or "", 1)]
        assert [sign.confidence for sign in signs] == sure


def test_digits_have_no_number(
    detect: Detect, folder: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "7.png").write_bytes(png(draw_digit(7, seed=500)))
    detect("7.png", database=sqlite_url, read=None)
    (row,) = rows(sqlite_url)
    assert row.digit is not None or row.status == "rejected"
    assert (row.number, row.digits) == (None, ())


def test_a_number_that_no_column_takes_is_rejected(
    detect: Detect, mysql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SCRIPT, "7.png", ("7" * 65, [0.99] * 65))
    assert detect("scans", database=mysql_url) == 1
    (row,) = (row for row in rows(mysql_url) if row.file_name == "7.png")
    assert (row.status, row.number, row.digits) == ("rejected", None, ())
    assert row.reason == "found 65 signs, more than 64"


# ----------------------------------------------------------------------- what else is made of them


def test_numbers_are_sorted_by_their_length(detect: Detect, folder: Path, sqlite_url: str) -> None:
    assert detect("scans", "--sort-into", "sorted", database=sqlite_url) == 1
    made = sorted(str(path.relative_to(folder)) for path in folder.glob("sorted/*/*"))
    assert made == [
        "sorted/1-digit/7.png",
        "sorted/3-digits/minus.png",
        "sorted/4-digits/1984.png",
        "sorted/rejected/blank.png",
        "sorted/uncertain/47.png",
        "sorted/uncertain/three.png",
    ]
    assert {row.sorted_to for row in rows(sqlite_url) if row.sorted_to} == {*made}


def test_what_the_network_saw_of_each_digit_is_written(detect: Detect, folder: Path) -> None:
    assert detect("scans", "--save-normalized", "seen") == 1
    seen = {path.name: np.asarray(Image.open(path)) for path in folder.glob("seen/*")}
    assert sorted(name for name in seen if "minus" in name) == [
        "000006-minus-2.png",
        "000006-minus-3.png",
        "000006-minus-5.png",
    ]
    assert np.array_equal(seen["000002-47-1.png"], np.full((28, 28), 41, np.uint8))
    assert len(seen) == 4 + 2 + 1 + 3 + 3


def test_numbers_are_compared_as_they_are_written(
    detect: Detect, folder: Path, sqlite_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "truth.csv").write_text(
        "path,digit\nscans/1984.png,1984\nscans/47.png,41\nscans/7.png,07\nscans/blank.png,none\n"
        'scans/minus.png,"-12,5"\nscans/three.png,-\n'
    )
    expected = (
        "Right: 3 of 6 (50.0%)\n"
        "  ok: 2 of 3 (66.7%)\n"
        "  uncertain: 0 of 2 (0.0%)\n"
        "  rejected: 1 of 1 (100.0%)\n"
        "                                   \n"
        " digits of the number   right   of \n"
        " ───────────────────────────────── \n"
        "                 none       1    2 \n"
        "                    2       0    2 \n"
        "                    3       1    1 \n"
        "                    4       1    1 \n"
        "                                   \n"
        "Mistakes, the most confident first: 3\n"
        "  scans/7.png: 7 98.0%, should be 07\n"
        "  scans/three.png: 333 83.0% (uncertain) (in doubt: 3 in place 1 (93.0%)), should be"
        " none\n"
        "  scans/47.png: 47 60.4% (uncertain) (in doubt: 7 in place 2 (61.0%)), should be 41\n"
        "without an answer in 'truth.csv': 1\n"
    )
    assert detect("scans", "--labels", "truth.csv", "--quiet", database=sqlite_url) == 1
    assert capsys.readouterr().out == expected
    options = ["--show", "latest", "--labels", "truth.csv", "--quiet"]
    assert detect(*options, database=sqlite_url, read=None) == 0
    assert capsys.readouterr().out == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "path,digit\nscans/7.png,seven\n",
            "'truth.csv', line 2: the label 'seven' should be a number such as 47, -3 or 12,5, or"
            " none where there is no number.",
        ),
        (
            "scans/7.png\n",
            "'truth.csv' should have a column of paths and one of numbers: write `path,digit` as"
            " its first line.",
        ),
    ],
)
def test_answers_that_are_no_numbers(
    text: str, message: str, detect: Detect, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "truth.csv").write_text(text)
    assert detect("scans", "--labels", "truth.csv") == 2
    assert capsys.readouterr().err == f"Error: {message}\n"


def test_a_dry_run_says_that_numbers_are_read(
    detect: Detect, capsys: pytest.CaptureFixture[str]
) -> None:
    assert detect("scans", "--dry-run") == 0
    assert "\n  read a number in each\n" in capsys.readouterr().out
    assert detect("scans", "--dry-run", "--constraint", r"\d{4}") == 0
    assert "\n  read a number in each, one that fits \\d{4}\n" in capsys.readouterr().out
    assert detect("scans", "--dry-run", read=None) == 0
    assert "number" not in capsys.readouterr().out


def test_a_library_reads_as_the_settings_say(
    detect: Detect, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIGITS_DETECTION_READ", "number")
    predictor = detector.DigitPredictor(trained)
    result = predictor.predict("scans/47.png")
    assert (result.text, result.number, result.digit, result.status) == (
        *("47", "47", None, "uncertain"),
    )
    from_array = predictor.predict(np.asarray(Image.open("scans/1984.png")))
    assert (from_array.number, len(from_array.digits)) == ("1984", 4)


def items_of(page: Path) -> list[list[Any]]:
    text = page.read_text(encoding="utf-8")
    begin = text.index(">", text.index('id="data"')) + 1
    items: list[list[Any]] = json.loads(text[begin : text.index("</script>", begin)])["items"]
    return items


def test_the_review_page_of_a_run_and_of_the_stored_run(
    detect: Detect,
    folder: Path,
    model: Path,
    sqlite_url: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert detect("scans", "--report", "first.html", database=sqlite_url) == 1
    options = ["--show", "latest", "--report"]
    assert detect(*options, "again.html", database=sqlite_url, read=None) == 0
    items = items_of(folder / "first.html")
    assert items_of(folder / "again.html") == items
    assert {item[0]: item[2] for item in items} == {
        **{f"scans/{name}": text for name, (text, _) in SCRIPT.items()},
        "scans/broken.png": None,
    }
    assert [sign[0] for item in items if item[2] == "-12,5" for sign in item[9]] == [*"-12,5"]
    pictures = [
        re.findall('"signs":.*', (folder / name).read_text(encoding="utf-8"))
        for name in ("first.html", "again.html")
    ]
    assert pictures[0] == pictures[1] != []
    # What the network saw is only known of the run's own model.
    capsys.readouterr()
    words = [*options, "other.html", "--database", sqlite_url, "--model", model]
    assert detector.main([*map(str, words)]) == 2
    said = capsys.readouterr().err
    assert said.endswith("…: its review page needs that one, name it with --model.\n")


# -------------------------------------------------------------------------- constraint and refusals


def test_a_constraint_reaches_what_reads(
    detect: Detect, sqlite_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert detect("scans", "--constraint", r"\d{4}", database=sqlite_url) == 1
    found = {row.file_name: row.number for row in rows(sqlite_url) if row.number is not None}
    assert found == {"1984.png": "1984"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--read", "number", "--constraint", "("],
            "detection.constraint = ( (from the command line) is not valid: it is no regular"
            " expression: missing ), unterminated subpattern at position 0.",
        ),
        (
            ["--constraint", r"\d"],
            r"detection.constraint = \d (from the command line) is not valid: it is for numbers;"
            " add `--read number`, or leave it out.",
        ),
        (
            ["--read", "word"],
            "detection.read = word (from the command line) is not valid: input should be"
            " 'digit', 'number' or 'form'.",
        ),
        (
            ["--read", "number", "--top-k", 3],
            "--top-k ranks the readings of one digit, and these are numbers: leave it out; --format"
            " jsonl has the probabilities of each of their digits.",
        ),
    ],
)
@pytest.mark.parametrize("dry", [True, False])
def test_what_is_refused(
    dry: bool,
    options: list[object],
    message: str,
    detect: Detect,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [*options, *(["--dry-run"] if dry else [])]
    assert detect("scans", *words, database="sqlite:///new.db", read=None) == 2
    assert capsys.readouterr().err == f"Error: {message}\n"
    assert not (folder / "new.db").exists()


def test_shown_numbers_have_no_ranks_either(
    detect: Detect, sqlite_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    detect("scans", database=sqlite_url)
    capsys.readouterr()
    assert detect("--show", "latest", "--top-k", 2, database=sqlite_url, read=None) == 2
    assert "Error: --top-k ranks the readings of one digit" in capsys.readouterr().err


@pytest.mark.parametrize("dry", [True, False])
def test_a_model_without_a_judge_reads_no_numbers(
    dry: bool, model: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["scans", "--read", "number", "--model", str(model), "--database", "none"]
    assert detector.main([*words, *(["--dry-run"] if dry else [])]) == 2
    assert capsys.readouterr().err == (
        f"Error: The model '{model}' has no judge, which numbers are read with: train one with the"
        " trainer, or leave out --read.\n"
    )


# --------------------------------------------------------------------------------------- resuming


@pytest.fixture
def stopped(detect: Detect, database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with a run of numbers that stopped after three of the pictures."""
    monkeypatch.setenv("DIGITS_DETECTION_BATCH_SIZE", "3")
    with stopped_at_batch(2, KeyboardInterrupt()):
        assert detect("scans", "--constraint", r"\d+|-.*", database=database_url) == 130
    assert len(rows(database_url)) == 3
    return database_url


def test_a_run_of_numbers_goes_on(
    detect: Detect, stopped: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    options = ["--constraint", r"\d+|-.*", "--format", "csv"]
    assert detect("--resume", *options, database=stopped) == 1
    assert capsys.readouterr().out == CSV
    stored = rows(stopped)
    assert len(stored) == 7
    for row in stored:
        assert "".join(sign.text for sign in row.digits) == (row.number or "")


@pytest.mark.parametrize(
    ("read", "options", "message"),
    [
        (None, [], "detection.read = number, and not digit"),
        ("number", [], r"detection.constraint = \d+|-.*, and not none"),
        ("number", ["--constraint", r"\d+"], r"detection.constraint = \d+|-.*, and not \d+"),
    ],
)
def test_a_run_goes_on_as_it_began(
    read: str | None,
    options: list[str],
    message: str,
    detect: Detect,
    stopped: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    capsys.readouterr()
    assert detect("--resume", *options, database=stopped, read=read) == 2
    said = capsys.readouterr().err
    assert f"was started with {message}: set it back, or start a new run" in said


def test_a_run_from_before_there_were_numbers_goes_on_with_digits(
    detect: Detect,
    folder: Path,
    sqlite_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It knows nothing of the setting, and so went as its default has it."""
    with monkeypatch.context() as patch:
        patch.setattr(detector, "run_settings", lambda *_, **__: {"detection": {"invert": "auto"}})
        patch.setattr(ResultsDatabase, "add", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        assert detect("scans", database=sqlite_url, read=None) == 130
    capsys.readouterr()
    assert detect("--resume", database=sqlite_url) == 2
    said = capsys.readouterr().err
    assert "was started with detection.read = digit, and not number: set it back" in said
    assert detect("--resume", database=sqlite_url, read=None) == 1


# ------------------------------------------------------------------------------ read for once


def test_a_number_that_is_really_read(
    trained: Path, folder: Path, sqlite_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is stored hangs together, whatever is read."""
    for name in SCRIPT:
        (folder / "scans" / name).unlink()
    page = np.concatenate([draw_digit(digit, seed=500) for digit in (4, 7)], axis=1)
    (folder / "scans/47.png").write_bytes(png(page))
    (folder / "scans/blank.png").write_bytes(png(np.full((90, 90), 230, np.uint8)))
    words = ["scans", "--read", "number", "--model", str(trained), "--database", sqlite_url]
    assert detector.main([*words, "--format", "text"]) == 1
    lines = capsys.readouterr().out.splitlines()
    number, blank, _ = rows(sqlite_url)
    assert (blank.status, blank.reason, blank.number) == ("rejected", "blank image", None)
    if number.number is None:
        assert number.status == "rejected"
        assert lines[0].startswith("scans/47.png: rejected: ")
        return
    assert shares(lines[0]).startswith(f"scans/47.png: {number.number} N%")
    assert "".join(sign.text for sign in number.digits) == number.number
    boxes = [(sign.left, sign.top, sign.width, sign.height) for sign in number.digits]
    assert all(0 <= share <= 1 for box in boxes for share in box)
    assert [box[0] for box in boxes] == sorted(box[0] for box in boxes)


def digit_samples() -> list[tuple[str, str]]:
    """Name and digit of the samples that show one."""
    with (ROOT / "samples/expected.csv").open(encoding="utf-8", newline="") as file:
        return [(name, answer) for name, answer in csv.reader(file) if len(answer) == 1]


@pytest.mark.parametrize(("name", "answer"), digit_samples())
def test_a_picture_of_one_digit_is_a_number_of_one(trained: Path, name: str, answer: str) -> None:
    reading = detector.DigitPredictor(trained).read_number(ROOT / "samples" / name)
    assert reading.text == answer


def test_where_a_line_is_doubtful_a_picture_is_read_as_one_of_a_digit(trained: Path) -> None:
    predictor = detector.DigitPredictor(trained)
    picture = ROOT / "samples/1-ruled-paper.jpg"  # its rules leave marks in the line
    number, [digit] = predictor.read_number(picture), predictor.predict([picture])
    assert (number.text, number.confidence) == ("1", digit.confidence)
    assert len(number.digits) == 1
    assert number.digits[0].probabilities == digit.probabilities
    longer = predictor.read_number(picture, constraint=r"\d\d")
    assert longer.text is None or len(longer.text) == 2
