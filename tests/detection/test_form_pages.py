"""Files of several pages from the command line: their cells, tables, rows, and what is resumed.

What reads them is scripted here, page by page, unless a test says otherwise.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from openpyxl import load_workbook
from PIL import Image

import digit_classification_detector as detector
from digit_classification.detection.forms import pages as forms
from digit_classification.network.form import FormCell
from digit_classification.pictures import images
from digit_classification.results.database import ResultsDatabase
from tests.detection.test_forms import SCRIPT, Detect, _scripted, detecting, rows
from tests.drawing import draw_digit, pdf_of, png

NAMES = [*SCRIPT]  # of the pages: a page without a table, one of six cells and one of three


def page(name: str) -> np.ndarray:
    """A page whose tone says which of the script it is."""
    return np.full((60, 90), 60 * (NAMES.index(name) + 1), np.uint8)


def scripted(greys: Sequence[np.ndarray], *_: Any) -> list[list[FormCell]]:
    return [_scripted(NAMES[round(float(grey[30].mean()) / 60) - 1]) for grey in greys]


def file_of(*names: str, kind: str = "TIFF") -> bytes:
    stream = io.BytesIO()
    first, *others = (Image.fromarray(page(name)) for name in names)
    first.save(stream, kind, save_all=True, append_images=others)
    return stream.getvalue()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scans").mkdir()
    for name, kind in (("a.pdf", "PDF"), ("b.tif", "TIFF")):
        content = file_of("marks.png", "empty.png", "small.png", kind=kind)
        (tmp_path / "scans" / name).write_bytes(content)
    return tmp_path


@pytest.fixture
def detect(trained: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Detect:
    return detecting(trained, scripted, monkeypatch)


LINES = """\
scans/b.tif: row 1, column 1: rejected: no number
scans/b.tif: row 1, column 2: 12 96.9%
scans/b.tif: row 2, column 1: 007 96.9%
scans/b.tif: row 2, column 2: rejected: blank image
scans/b.tif: row 3, column 1: -3,5 96.9%
scans/b.tif: row 3, column 2: 4 50.0% (uncertain) (in doubt: 4 in place 1 (50.0%))
scans/b.tif: page 2: rejected: no table
scans/b.tif: page 3, row 1, column 2: 8 96.9%
scans/b.tif: page 3, row 2, column 1: rejected: blank image
scans/b.tif: page 3, row 2, column 2: 15 96.9%
"""
TABLE = """\
,12
007,
"-3,5",4

,8
,15
"""
CSV = """\
path,digit,confidence,status,reason,number,page,row,column,left,top,width,height,field
scans/c.tif,,,rejected,no table,,1,0,0,0.000000,0.000000,1.000000,1.000000,
scans/c.tif,8,0.968750,ok,,8,2,1,2,0.500000,0.125000,0.250000,0.125000,
scans/c.tif,,,rejected,blank image,,2,2,1,0.250000,0.250000,0.250000,0.125000,
scans/c.tif,,0.968750,ok,,15,2,2,2,0.500000,0.250000,0.250000,0.125000,
"""


@pytest.mark.parametrize(
    ("path", "format_name", "expected"),
    [
        ("scans", "text", LINES.replace("b.tif", "a.pdf") + LINES),
        ("scans", "table", f"{TABLE}\n{TABLE}"),
        ("scans/c.tif", "csv", CSV),
    ],
)
def test_what_is_printed_page_by_page(
    path: str,
    format_name: str,
    expected: str,
    detect: Detect,
    folder: Path,
    database_url: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if path != "scans":
        (folder / path).write_bytes(file_of("empty.png", "small.png"))
    assert detect(path, "--format", format_name, database=database_url) == 1
    assert capsys.readouterr().out == expected
    options = ["--show", "latest", "--format", format_name]
    assert detect(*options, database=database_url, read=None) == 0
    assert capsys.readouterr().out == expected


def test_a_workbook_has_a_sheet_for_each_page(detect: Detect, folder: Path) -> None:
    long = folder / "scans" / f"{'a long name of ' * 3}.tif"
    long.write_bytes(file_of("small.png", "small.png"))
    assert detect("scans", "--output", "marks.xlsx") == 1
    assert load_workbook(folder / "marks.xlsx").sheetnames == [
        "a long name of a long name of a",
        "a long name of a long name of 2",
        "a.pdf",
        "a.pdf 3",
        "b.tif",
        "b.tif 3",
    ]


@pytest.mark.parametrize("kind", ["sqlite", "mysql", "parquet"])
def test_what_is_stored_of_pages(kind: str, detect: Detect, request: pytest.FixtureRequest) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    url = "parquet:results" if kind == "parquet" else request.getfixturevalue(f"{kind}_url")
    assert detect("scans/b.tif", database=url) == 1
    stored = rows(url)
    assert [row.cell and (row.cell.page, row.cell.number, row.cell.row) for row in stored] == [
        *((1, number, row) for number, row in enumerate((1, 1, 2, 2, 3, 3), 1)),
        (2, 7, 0),
        *((3, number, row) for number, row in enumerate((1, 2, 2), 8)),
    ]
    assert len({row.path_key for row in stored}) == len(stored)
    assert stored[6].reason == "no table"


def test_a_file_of_one_page_is_like_a_picture(
    detect: Detect, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, kind in (("1.pdf", "PDF"), ("1.tif", "TIFF")):
        (folder / name).write_bytes(file_of("empty.png", kind=kind))
        assert detect(name, "--format", "jsonl") == 1
        record = json.loads(capsys.readouterr().out)
        assert (record["reason"], record["page"]) == ("no table", None)


def test_all_pages_of_a_file_are_stored_or_none(
    detect: Detect, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run is stopped in the middle of the second file, and goes on with that file."""
    monkeypatch.setenv("DIGITS_DETECTION_BATCH_SIZE", "1")
    read: list[int] = []

    def counting(greys: Sequence[np.ndarray], *_: Any) -> list[list[FormCell]]:
        read.append(len(greys))
        if len(read) == 5:
            raise KeyboardInterrupt
        return scripted(greys)

    monkeypatch.setattr(forms, "read_forms", counting)
    assert detect("scans", database=sqlite_url) == 130
    assert [row.file_name for row in rows(sqlite_url)] == ["a.pdf"] * 10
    assert detect("--resume", database=sqlite_url) == 1
    assert read == [1] * (5 + 3)
    assert [row.file_name for row in rows(sqlite_url)] == ["a.pdf"] * 10 + ["b.tif"] * 10


def test_a_file_is_stored_in_one_transaction(
    detect: Detect, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIGITS_DETECTION_BATCH_SIZE", "1")
    stored: list[int] = []
    add = ResultsDatabase.add

    def noticing(self: ResultsDatabase, run_id: str, results: Any, **options: Any) -> int:
        stored.append(len(results))
        return add(self, run_id, results, **options)

    monkeypatch.setattr(ResultsDatabase, "add", noticing)
    detect("scans", database=sqlite_url)
    assert stored == [10, 10]


def test_files_that_cannot_be_read_say_why(
    detect: Detect, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "scans/b.tif").write_bytes(b"II*\0 and nothing")
    (folder / "scans/broken.pdf").write_bytes(b"%PDF-1.7 and nothing")
    (folder / "scans/words.pdf").write_bytes(b"no PDF at all")
    (folder / "scans/notes.txt").write_bytes(b"which nobody takes for a form")
    assert detect("scans", "--format", "text") == 1
    captured = capsys.readouterr()
    assert captured.out.splitlines()[10:] == [
        "scans/b.tif: error: not an image, or of an unknown format",
        "scans/broken.pdf: error: damaged PDF",
        "scans/words.pdf: error: not an image, or of an unknown format",
    ]
    assert "ignored, no pictures: scans/notes.txt" in captured.err


def test_pages_come_out_of_zips_and_pipes(
    detect: Detect, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    content = (folder / "scans/a.pdf").read_bytes()
    with zipfile.ZipFile("scans.zip", "w") as archive:
        archive.writestr("in/a.pdf", content)
    assert detect("scans.zip", "--format", "table") == 1
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert detect("-", "--format", "table") == 1
    assert capsys.readouterr().out == TABLE + TABLE


@pytest.mark.parametrize("read", ["digit", "number"])
def test_a_pdf_of_digits_is_told_what_to_do(
    read: str, detect: Detect, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert detect("scans/a.pdf", read=read) == 1
    sentence = "error: a PDF is no picture: read its pages with --read form"
    assert capsys.readouterr().out == f"{sentence}\n"
    detect("scans", "--format", "text", read=read)
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"scans/a.pdf: {sentence}"
    assert "the first of several frames" in second


def drawn() -> bytes:
    """A page with a table of two by three cells, in lines, and a scanned seven in one of them."""
    lines = b"".join(b"%d 20 m %d 380 l S " % (x, x) for x in (20, 200, 400, 580)) + b"".join(
        b"20 %d m 580 %d l S " % (y, y) for y in (20, 200, 380)
    )
    return pdf_of(b"3 w " + lines, b"", box="0 0 600 400")


def test_a_library_reads_all_pages(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For once, what reads them is real."""
    monkeypatch.setenv("DIGITS_DETECTION_READ", "form")
    (tmp_path / "drawn.pdf").write_bytes(drawn())
    scanned = np.full((400, 600), 255, np.uint8)
    for at in (20, 200, 380):
        scanned[at - 1 : at + 2, 20:581] = 0
    for at in (20, 200, 400, 580):
        scanned[20:381, at - 1 : at + 2] = 0
    scanned[60:160, 260:360] = 255 - draw_digit(7, side=100)
    pages = [Image.fromarray(scanned).rotate(turn, expand=True) for turn in (0, 90)]
    pages[0].save(tmp_path / "scanned.tif", save_all=True, append_images=pages[1:])
    predictor = detector.DigitPredictor(trained)
    cells = predictor.read_form(tmp_path / "drawn.pdf")
    places = [(row, column) for row in (1, 2) for column in (1, 2, 3)]
    assert [(cell.page, cell.row, cell.column) for cell in cells] == [(1, *at) for at in places]
    assert {cell.reading.rejection for cell in cells} == {"blank image"}
    cells = predictor.read_form((tmp_path / "scanned.tif").read_bytes())
    assert [cell.page for cell in cells] == [1] * 6 + [2] * 6
    assert predictor.read_form(png(np.full((99, 99), 255, np.uint8))) == []
    with pytest.raises(images.ImageError, match="damaged PDF"):
        predictor.read_form(b"%PDF-1.7")
    result = predictor.classify_images([str(tmp_path / "drawn.pdf")])
    assert [(each.cell and each.cell.page, each.reason) for each in result][-1] == (2, "no table")
