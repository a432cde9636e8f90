"""What is piped into the detector: a picture, a list of paths, or something else."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import digit_classification_detector as detector
from digit_classification.pictures.sources import Source, SourceError
from digit_classification.pictures.standard_input import NO_LIST, read_stdin
from digit_classification.results.database import ResultsDatabase
from tests.drawing import draw_digit, png, write_dataset

Pipe = Callable[[bytes], None]


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Pipe:
    def pipe(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    return pipe


def as_file(format_name: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(draw_digit(7, side=64)).convert("RGB").save(stream, format_name)
    return stream.getvalue()


@pytest.mark.parametrize("format_name", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "WebP", "PPM"])
def test_the_bytes_of_a_picture_are_that_picture(pipe: Pipe, format_name: str) -> None:
    content = as_file(format_name)
    pipe(content)
    picture = read_stdin()
    assert isinstance(picture, Source)
    assert (picture.name, picture.read(), picture.on_disk) == ("-", content, False)


@pytest.mark.parametrize(
    ("piped", "paths"),
    [
        (b"", []),
        (b"\n", []),
        (b"a.png\r\n\nb c.png\n", ["a.png", "b c.png"]),
        (b"a.png\nlast.png", ["a.png", "last.png"]),
        (b"a.png\0two\nlines.png\0", ["a.png", "two\nlines.png"]),
        (b"a.png\0last.png", ["a.png", "last.png"]),
        (b"two\nlines.png\0", ["two\nlines.png"]),
        (b"BMW/7.png\nP5\nMM.tif\n", ["BMW/7.png", "P5", "MM.tif"]),
        (b"P5\n28.png\n", ["P5", "28.png"]),
        (b"\xef\xbb\xbfscans/7.png\n", ["scans/7.png"]),
        ("é.png\n".encode(), [os.fsdecode("é.png".encode())]),
        (b"x" * 70_000 + b"\n" + b"7.png\n", ["x" * 70_000, "7.png"]),
    ],
)
def test_a_list_of_paths(pipe: Pipe, piped: bytes, paths: list[str]) -> None:
    pipe(piped)
    found = read_stdin()
    assert not isinstance(found, Source)
    assert list(found) == paths


def test_paths_are_read_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with open(reading, encoding="utf-8") as stdin, open(writing, "wb", buffering=0) as writer:
        monkeypatch.setattr(sys, "stdin", stdin)
        writer.write(b"1.png\n")  # without an end: whoever writes may go on any time
        found = read_stdin()
        assert not isinstance(found, Source)
        assert next(found) == "1.png"
        writer.write(b"2.p")
        writer.write(b"ng\n")
        assert next(found) == "2.png"


@pytest.mark.skipif(os.name == "nt", reason="Windows allows no such name")
def test_a_strange_name_that_is_there_is_a_path(pipe: Pipe, tmp_path: Path) -> None:
    name = tmp_path / "bell\x07.png"
    name.touch()
    pipe(os.fsencode(name) + b"\n")
    found = read_stdin()
    assert not isinstance(found, Source)
    assert list(found) == [str(name)]


@pytest.mark.parametrize(
    "piped",
    [
        b"PK\x03\x04\x14\0\0\0\x08\0 a zip",
        b"\x1f\x8b\x08\0\0\0\0\0 a gzip",
        b"\x7fELF\x02\x01\x01\0\0\0\0\0",
        b"\0\0\0",
        "7.png\n8.png\n".encode("utf-16"),
    ],
)
def test_anything_else_is_refused(pipe: Pipe, piped: bytes) -> None:
    pipe(piped)
    with pytest.raises(SourceError) as caught:
        read_stdin()
    assert str(caught.value) == NO_LIST


def test_a_nul_that_comes_late_is_refused(pipe: Pipe) -> None:
    pipe(b"7.png\n" * 20_000 + b"8.png\0")
    found = read_stdin()
    assert not isinstance(found, Source)
    with pytest.raises(SourceError, match=r"^Standard input holds neither"):
        list(found)


# ------------------------------------------------------------------------------ by the detector


@pytest.fixture
def detect(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    monkeypatch.chdir(tmp_path)
    write_dataset(tmp_path / "scans", per_class=2, first_seed=500)

    def detect(*arguments: object, database: str = "none") -> int:
        words = [*arguments, "--model", model, "--database", database]
        return detector.main([str(word) for word in words])

    return detect


def test_a_piped_picture_is_read_and_stored_as_the_one_picture(
    detect: Callable[..., int],
    pipe: Pipe,
    database_url: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pipe(png(draw_digit(7, seed=500)))
    assert detect("-", database=database_url) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("7 ")
    assert captured.out.endswith("%\n")
    assert captured.err == ""
    password = os.environ.get("DIGITS_DATABASE_PASSWORD")
    with ResultsDatabase.open(database_url, password=password) as database:
        (run,) = database.runs()
        (row,) = database.rows(run.info.id)
    assert (row.path, row.digit, list(run.info.sources)) == ("-", 7, ["-"])


def test_a_piped_picture_can_be_sorted(
    detect: Callable[..., int], pipe: Pipe, sqlite_url: str, tmp_path: Path
) -> None:
    content = png(draw_digit(7, seed=500))
    pipe(content)
    assert detect("-", "--sort-into", "sorted", database=sqlite_url) == 0
    (copy,) = [file for file in (tmp_path / "sorted").rglob("*") if file.is_file()]
    assert (copy.parent.name, copy.read_bytes()) == ("7", content)


def test_a_list_by_nuls_is_read(
    detect: Callable[..., int], pipe: Pipe, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe(b"scans/4/000.png\0scans/5\0")
    assert detect("-", "--format", "text", "--quiet") == 0
    lines = capsys.readouterr().out.splitlines()
    names = ["scans/4/000.png", "scans/5/000.png", "scans/5/001.png"]
    assert [line.split(": ")[0] for line in lines] == names


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_what_is_no_list_ends_in_a_sentence(
    detect: Callable[..., int],
    pipe: Pipe,
    options: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    pipe(b"%!PS-Adobe-3.0\n%\xe2\xe3\xcf\xd3\nstream\0\0\0\x01")
    assert detect("-", *options) == 2
    assert capsys.readouterr().err == f"Error: {NO_LIST}\n"


def test_a_path_with_a_nul_is_a_result_with_a_reason(model: Path) -> None:
    predictor = detector.DigitPredictor(model)
    result = predictor.predict("7\0.png")
    assert (result.status, result.reason) == ("error", "no path: it holds a NUL")
    (result,) = predictor.classify_images(["7\0.png"])
    assert (result.status, result.reason) == ("error", "no path: it holds a NUL")
    assert np.all(predictor.predict(draw_digit(7)).digit == 7)
