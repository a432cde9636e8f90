"""Forms from the command line: what is printed, stored, written as a table, resumed and refused.

What reads them is scripted here, picture by picture, unless a test says otherwise.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from openpyxl import Workbook, load_workbook

import digit_classification_detector as detector
from digit_classification.detection.forms import pages as forms
from digit_classification.network.form import FormCell
from digit_classification.network.number import NumberDigit, NumberReading
from digit_classification.results.database import ResultsDatabase
from digit_classification.results.parquet.dataset import ParquetDataset
from digit_classification.results.records import StoredResult
from tests.conftest import PASSWORD_VARIABLE
from tests.drawing import draw_digit, png
from tests.interrupting import stopped_at_batch

Detect = Callable[..., int]

# What stands in each cell, row by row: a number, nothing (""), or what is none ("?").  The first of
# a row may be in a later column.
SCRIPT: dict[str, list[list[str | None]]] = {
    "empty.png": [],
    "marks.png": [["?", "12"], ["007", ""], ["-3,5", "4!"]],
    "small.png": [[None, "8"], ["", "15"]],
}


def scripted(
    greys: Sequence[np.ndarray],
    invert: str,
    network: object,
    judge: object,
    constraint: str | None = None,
) -> list[list[FormCell]]:
    """Read what the script has for a picture, whose name is in its pixels."""
    assert judge is not None
    return [_scripted(bytes(grey[0]).rstrip(b"\xff").decode()) for grey in greys]


def _scripted(name: str) -> list[FormCell]:
    return [
        FormCell(row, column, (0.25 * column, 0.125 * row, 0.25, 0.125), _reading(text))
        for row, texts in enumerate(SCRIPT[name], 1)
        for column, text in enumerate(texts, 1)
        if text is not None
    ]


def _reading(text: str) -> NumberReading:
    if text in ("", "?"):
        return NumberReading(None, None, (), "blank image" if not text else "no number", ())
    share = 0.5 if text.endswith("!") else 0.96875
    text = text.rstrip("!")
    signs = [
        NumberDigit(
            sign,
            (0.25, 0.25, 0.125, 0.125),
            share,
            tuple(share if digit == int(sign) else (1 - share) / 9 for digit in range(10))
            if sign.isdecimal()
            else None,
            None,
        )
        for sign in text
    ]
    return NumberReading(text, share, tuple(signs), None, ())


def named(name: str) -> bytes:
    """A picture that holds its name."""
    pixels = np.full((40, 120), 255, np.uint8)
    pixels[0, : len(name)] = np.frombuffer(name.encode(), np.uint8)
    return png(pixels)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the pictures of the script, in `scans`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scans").mkdir()
    for name in SCRIPT:
        (tmp_path / "scans" / name).write_bytes(named(name))
    return tmp_path


@pytest.fixture
def detect(trained: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Detect:
    return detecting(trained, scripted, monkeypatch)


def detecting(model: Path, read_forms: object, monkeypatch: pytest.MonkeyPatch) -> Detect:
    """Return what runs the detector on one process, forms being read by `read_forms`."""
    monkeypatch.setattr(forms, "read_forms", read_forms)
    monkeypatch.setenv("DIGITS_DETECTION_WORKERS", "1")

    def detect(*arguments: object, database: str = "none", read: str | None = "form") -> int:
        words = [*arguments, "--model", model, "--database", database]
        words += [] if read is None else ["--read", read]
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


LINES = """\
scans/empty.png: rejected: no table
scans/marks.png: row 1, column 1: rejected: no number
scans/marks.png: row 1, column 2: 12 96.9%
scans/marks.png: row 2, column 1: 007 96.9%
scans/marks.png: row 2, column 2: rejected: blank image
scans/marks.png: row 3, column 1: -3,5 96.9%
scans/marks.png: row 3, column 2: 4 50.0% (uncertain) (in doubt: 4 in place 1 (50.0%))
scans/small.png: row 1, column 2: 8 96.9%
scans/small.png: row 2, column 1: rejected: blank image
scans/small.png: row 2, column 2: 15 96.9%
"""
CSV = """\
path,digit,confidence,status,reason,number,page,row,column,left,top,width,height,field
scans/small.png,8,0.968750,ok,,8,1,1,2,0.500000,0.125000,0.250000,0.125000,
scans/small.png,,,rejected,blank image,,1,2,1,0.250000,0.250000,0.250000,0.125000,
scans/small.png,,0.968750,ok,,15,1,2,2,0.500000,0.250000,0.250000,0.125000,
"""
TABLE = """\
,12
007,
"-3,5",4

,8
,15
"""


# ------------------------------------------------------------------------------------------ lines


@pytest.mark.parametrize(
    ("paths", "format_name", "expected"),
    [
        (["scans"], "text", LINES),
        (["scans/small.png"], "csv", CSV),
        (["scans"], "table", TABLE),
    ],
)
def test_what_is_printed(
    paths: list[str],
    format_name: str,
    expected: str,
    detect: Detect,
    database_url: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    detect(*paths, "--format", format_name, database=database_url)
    assert capsys.readouterr().out == expected
    # Again, of the stored run, without being told what it read.
    options = ["--show", "latest", "--format", format_name]
    assert detect(*options, database=database_url, read=None) == 0
    assert capsys.readouterr().out == expected


def test_json_has_the_cell(detect: Detect, capsys: pytest.CaptureFixture[str]) -> None:
    detect("scans/small.png", "scans/empty.png", "--format", "jsonl")
    first, *_, none = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["number"], first["page"], first["row"], first["column"]) == ("8", 1, 1, 2)
    assert first["box"] == {"left": 0.5, "top": 0.125, "width": 0.25, "height": 0.125}
    assert [sign["text"] for sign in first["digits"]] == ["8"]
    assert (none["reason"], none["page"], none["box"]) == ("no table", None, None)


def test_empty_cells_do_not_make_a_run_incomplete(
    detect: Detect, capsys: pytest.CaptureFixture[str]
) -> None:
    assert detect("scans/small.png") == 0
    assert detect("scans/marks.png") == 1  # a cell holds something that is no number
    assert detect("scans/empty.png") == 1  # no table


def test_a_run_is_summed_up_by_its_cells(
    detect: Detect, capsys: pytest.CaptureFixture[str]
) -> None:
    assert detect("scans") == 1
    assert re.sub(r"in \d.*", "in N", capsys.readouterr().err) == (
        "10 cells in N\n"
        "                              \n"
        " digits of the number   cells \n"
        " ──────────────────────────── \n"
        "                    1       2 \n"
        "                    2       3 \n"
        "                    3       1 \n"
        "                              \n"
        "empty: 2\n"
        "uncertain: 1\n"
        "rejected: 2\n"
        "  scans/empty.png: rejected: no table\n"
        "  scans/marks.png: row 1, column 1: rejected: no number\n"
    )


# ---------------------------------------------------------------------------------------- storing


@pytest.mark.parametrize("kind", ["sqlite", "mysql", "parquet"])
def test_what_is_stored(kind: str, detect: Detect, request: pytest.FixtureRequest) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    url = "parquet:results" if kind == "parquet" else request.getfixturevalue(f"{kind}_url")
    assert detect("scans", database=url) == 1
    found = [
        (row.file_name, row.cell and (row.cell.row, row.cell.column), row.number, row.status)
        for row in rows(url)
    ]
    assert found == [
        ("empty.png", None, None, "rejected"),
        ("marks.png", (1, 1), None, "rejected"),
        ("marks.png", (1, 2), "12", "ok"),
        ("marks.png", (2, 1), "007", "ok"),
        ("marks.png", (2, 2), None, "rejected"),
        ("marks.png", (3, 1), "-3,5", "ok"),
        ("marks.png", (3, 2), "4", "uncertain"),
        ("small.png", (1, 2), "8", "ok"),
        ("small.png", (2, 1), None, "rejected"),
        ("small.png", (2, 2), "15", "ok"),
    ]
    assert [sign.text for row in rows(url) for sign in row.digits] == [*"12007-3,54815"]


def test_a_resumed_run_reads_the_forms_that_it_lacks(
    detect: Detect, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All cells of a form are stored at once, so that none is left out or stored twice."""
    monkeypatch.setenv("DIGITS_DETECTION_BATCH_SIZE", "1")
    with stopped_at_batch(3, KeyboardInterrupt()):
        assert detect("scans", database=database_url) == 130
    assert [row.file_name for row in rows(database_url)] == ["empty.png", *["marks.png"] * 6]
    read: list[int] = []

    def counting(greys: Sequence[np.ndarray], *arguments: Any) -> list[list[FormCell]]:
        read.append(len(greys))
        return scripted(greys, *arguments)

    monkeypatch.setattr(forms, "read_forms", counting)
    assert detect("--resume", database=database_url) == 1
    assert read == [1]
    names = [row.file_name for row in rows(database_url)]
    assert names == ["empty.png", *["marks.png"] * 6, *["small.png"] * 3]


# ----------------------------------------------------------------------------------------- tables


def test_a_workbook_looks_like_the_form(detect: Detect, folder: Path) -> None:
    for _ in range(2):  # the second replaces the first
        assert detect("scans", "--output", "marks.xlsx") == 1
    book = load_workbook(folder / "marks.xlsx")
    assert book.sheetnames == ["marks.png", "small.png"]
    marks = book["marks.png"]
    assert [[cell.value for cell in row] for row in marks.iter_rows()] == [
        [None, 12],
        [7, None],
        [-3.5, 4],
    ]
    assert marks["A2"].number_format == "000"
    assert marks["A3"].number_format == "0.0"
    fills = {cell.coordinate: cell.fill.fgColor.rgb for row in marks for cell in row}
    assert {place: fill[2:] for place, fill in fills.items() if fill[2:] != "000000"} == {
        "A1": "F8CBAD",
        "B3": "FFF2CC",
    }
    assert marks["A1"].comment.text == "no number"
    assert marks["B3"].comment.text == "in doubt: 4 in place 1 (50.0%)"
    assert [[cell.value for cell in row] for row in book["small.png"].iter_rows()] == [
        [None, 8],
        [None, 15],
    ]


def test_what_no_number_of_a_workbook_holds_is_text(
    detect: Detect, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SCRIPT, "small.png", [["1.234,5", "12345678901234567890"]])
    assert detect("scans/small.png", "--output", "long.xlsx") == 0
    (row,) = load_workbook(folder / "long.xlsx").worksheets[0].iter_rows()
    assert [(cell.value, cell.data_type) for cell in row] == [
        ("1.234,5", "s"),
        ("12345678901234567890", "s"),
    ]


def test_sheets_have_names_that_excel_takes(
    detect: Detect, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("a", "b"):
        (folder / place).mkdir()
        (folder / place / "[a very long name of a scanned form].png").write_bytes(
            named("small.png")
        )
    assert detect("a", "b", "--output", "long.xlsx") == 0
    assert load_workbook(folder / "long.xlsx").sheetnames == [
        "_a very long name of a scanned ",
        "_a very long name of a scan (2)",
    ]


def test_a_workbook_of_others_is_not_replaced(
    detect: Detect, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Workbook().save(folder / "theirs.xlsx")
    before = (folder / "theirs.xlsx").read_bytes()
    assert detect("scans", "--output", "theirs.xlsx") == 2
    assert capsys.readouterr().err == (
        "Error: --output 'theirs.xlsx' is there already and holds no results that this program"
        " wrote: name another file, or move that one away.\n"
    )
    assert (folder / "theirs.xlsx").read_bytes() == before


def test_no_workbook_is_left_of_a_run_that_stops(
    detect: Detect, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> list[list[FormCell]]:
        raise KeyboardInterrupt

    monkeypatch.setattr(forms, "read_forms", interrupted)
    assert detect("scans", "--output", "marks.xlsx") == 130
    assert not [*folder.glob("*marks.xlsx*")]


# --------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *(
            (
                ["--read", "form", option, "place"],
                f"{option} is for pictures of one digit or number, and these are forms: leave it"
                " out; --format table or csv shows what is read in each cell.",
            )
            for option in ("--labels", "--save-normalized", "--sort-into")
        ),
        (
            ["--read", "number", "--format", "table"],
            "A table has the rows and columns of a form: add --read form, or choose another"
            " --format or --output.",
        ),
        (
            ["--output", "digits.xlsx"],
            "A xlsx has the rows and columns of a form: add --read form, or choose another"
            " --format or --output.",
        ),
        (
            ["--read", "form", "--top-k", "2"],
            "--top-k ranks the readings of one digit, and these are numbers: leave it out; --format"
            " jsonl has the probabilities of each of their digits.",
        ),
    ],
)
@pytest.mark.parametrize("dry", [True, False])
def test_what_is_refused(
    dry: bool,
    options: list[str],
    message: str,
    detect: Detect,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [*options, *(["--dry-run"] if dry else [])]
    assert detect("scans", *words, database="sqlite:///new.db", read=None) == 2
    assert capsys.readouterr().err == f"Error: {message}\n"
    assert not (folder / "new.db").exists()


def test_runs_are_no_table(
    detect: Detect, sqlite_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    detect("scans", database=sqlite_url)
    capsys.readouterr()
    assert detect("--runs", "--format", "table", database=sqlite_url, read=None) == 2
    assert "Error: A table has the rows and columns of a form" in capsys.readouterr().err


def test_a_dry_run_says_that_forms_are_read(
    detect: Detect, capsys: pytest.CaptureFixture[str]
) -> None:
    assert detect("scans", "--dry-run", "--output", "marks.xlsx") == 0
    out = capsys.readouterr().out
    assert "\n  read a number in each cell of the forms\n" in out
    assert "\n  print them as xlsx to marks.xlsx\n" in out


def test_a_library_reads_forms(
    trained: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For once, what reads them is real; it need not read them rightly."""
    monkeypatch.setenv("DIGITS_DETECTION_READ", "form")
    page = np.full((400, 600), 255, np.uint8)
    for at in (20, 200, 380):
        page[at - 1 : at + 2, 20:581] = 0
    for at in (20, 200, 400, 580):
        page[20:381, at - 1 : at + 2] = 0
    page[60:160, 260:360] = 255 - draw_digit(7, side=100)
    predictor = detector.DigitPredictor(trained)
    cells = predictor.read_form(page)
    assert [(cell.row, cell.column) for cell in cells] == [
        *((1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)),
    ]
    assert [cell.reading.rejection for cell in cells if (cell.row, cell.column) != (1, 2)] == [
        "blank image"
    ] * 5
    seven = cells[1]
    assert seven.box == pytest.approx((1 / 3, 0.05, 1 / 3, 0.45), abs=0.01)
    for digit in seven.reading.digits:
        left, top, width, height = digit.box
        assert 255 / 600 < left < left + width < 365 / 600
        assert 55 / 400 < top < top + height < 165 / 400
    assert predictor.read_form(page[:100, 220:380]) == []
    with pytest.raises(ValueError, match="call read_form or classify_images instead"):
        predictor.predict(page)
