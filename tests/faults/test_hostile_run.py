"""A run over a stranger's folder, whole: a row for every file, and the run ends as others do."""

from __future__ import annotations

import csv
import itertools
import json
import os
import socket
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import digit_classification_detector as detector
from digit_classification.config import Settings
from digit_classification.pictures.decode import Limits
from digit_classification.results.database import ResultsDatabase
from digit_classification_detector import DigitPredictor
from tests.drawing import draw_digit, png
from tests.faults.hostile import as_zip, mutated_picture, sound_model


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a model, and a folder `theirs`."""
    monkeypatch.chdir(tmp_path)
    Path("m.keras").write_bytes(sound_model())
    Path("theirs").mkdir()
    return tmp_path


def run(*arguments: str) -> int:
    return detector.main(["--model", "m.keras", *arguments])


def rows() -> dict[str, dict[str, str]]:
    with open("out.csv", encoding="utf-8") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
def test_every_file_has_a_row(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in range(80):
        Path(f"theirs/{seed:02}.png").write_bytes(mutated_picture(seed))
    frames = [Image.fromarray(draw_digit(digit, side=96)) for digit in (3, 8)]
    frames[0].save("theirs/moving.gif", save_all=True, append_images=frames[1:])
    os.mkfifo("theirs/pipe.png")
    os.symlink(".", "theirs/again")
    os.symlink("self.png", "theirs/self.png")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("theirs/socket.png")
    Path("bomb.zip").write_bytes(b"PK\5\6" + b"\0" * 10)
    Path("escape.zip").write_bytes(as_zip({"../../=7.png": png(draw_digit(7))}))

    paths = ["theirs", "bomb.zip", "escape.zip"]
    options = ["--format", "csv", "--output", "out.csv", "--database", "sqlite:///r.db"]
    assert run(*paths, *options) == 1
    found = rows()
    names = {str(path) for path in Path("theirs").iterdir()} - {"theirs/again"}
    assert set(found) == names | {"bomb.zip", "escape.zip/../../=7.png"}
    assert found["theirs/pipe.png"]["reason"] == "not a regular file"
    assert found["theirs/socket.png"]["reason"] == "not a regular file"
    assert found["bomb.zip"]["reason"] == "no zip archive, or a damaged one"
    assert "the first of several frames" in found["theirs/moving.gif"]["reason"]
    with ResultsDatabase.open("sqlite:///r.db") as database:
        (stored,) = database.runs()
        assert stored.state == "finished"
        assert {row.path for row in database.rows(stored.info.id)} == set(found)
    assert "Traceback" not in capsys.readouterr().err
    assert not (desk.parent.parent / "=7.png").exists()


def test_an_animation_is_said_to_be_one(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = [Image.fromarray(draw_digit(digit, side=96)) for digit in (3, 8)]
    frames[0].save("7.gif", save_all=True, append_images=frames[1:])
    assert run("7.gif", "--database", "none", "--min-confidence", "0") == 0
    assert capsys.readouterr().out.endswith("% (the first of several frames)\n")
    assert DigitPredictor("m.keras").predict("7.gif").reason == "the first of several frames"
    content = Path("7.gif").read_bytes()
    assert DigitPredictor("m.keras").predict(content).reason == "the first of several frames"


def test_the_settings_bound_what_is_opened(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("theirs/1.png").write_bytes(png(draw_digit(1, side=96)))
    Path("theirs/2.png").write_bytes(png(draw_digit(2)))
    Image.fromarray(draw_digit(3)).save("theirs/3.bmp")
    monkeypatch.setenv("DIGITS_IMAGES_FORMATS", "png")
    monkeypatch.setenv("DIGITS_IMAGES_MAX_PIXELS", "5000")
    run("theirs", "--format", "csv", "--output", "out.csv", "--database", "none")
    assert [row["reason"] for row in rows().values()] == [
        "96x96: more than 5,000 pixels",
        "",
        "not an image, or of an unknown format",
    ]


def test_the_default_limits_are_the_default_settings() -> None:
    settings = Settings().images
    assert Limits(settings.formats, settings.max_pixels) == Limits()


def test_a_model_that_computes_nonsense_ends_the_run(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("theirs/1.png").write_bytes(png(draw_digit(1)))
    with zipfile.ZipFile("m.keras") as sound:
        content = {name: sound.read(name) for name in sound.namelist()}
    name = "digit_classification/weights.f32"
    card = json.loads(content["digit_classification/card.json"])
    widths = card["widths"] = [784, *[16] * 20, 10]
    content["digit_classification/card.json"] = json.dumps(card).encode()
    # Without biases nothing comes of a black picture: only a real one shows what this is.
    parts = [
        np.full(rows * columns, value, "<f4")
        for rows, columns in itertools.pairwise(widths)
        for value, rows in ((3e38, rows), (0, 1))
    ]
    content[name] = b"".join(part.tobytes() for part in parts)
    Path("m.keras").write_bytes(as_zip(content))
    assert run("theirs", "--database", "sqlite:///r.db") == 2
    assert capsys.readouterr().err.startswith(
        "Error: The network in 'm.keras' computes no probabilities: train the model again.\n"
        "To go on with the run:\n"
    )
    with ResultsDatabase.open("sqlite:///r.db") as database:
        assert database.runs()[0].state == "failed"
