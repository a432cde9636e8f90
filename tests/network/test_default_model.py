"""The model that comes with the program reads for whoever has none, and names none."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

import digit_classification_detector as detector
from benchmarks import default_model
from benchmarks.pictures import load_digits
from digit_classification.config import ModelSettings, Settings, load_settings
from digit_classification.network.default_model import DEFAULT_MODEL, model_to_read
from digit_classification.network.model_file import ModelError, load_model
from digit_classification.network.number import read_numbers
from digit_classification.pictures.images import grey_from_array
from digit_classification.training.numbers.drawing import Layout, draw_number
from digit_classification_detector import DigitPredictor
from tests.documents import ROOT

SAMPLE = str(ROOT / "samples/3-one-bit.png")
NOTICE = (
    "No model at 'digit_classification.keras' yet: reading with the one that comes with the "
    "program.\n"
)
NOT_THERE = (
    "Error: There is no model at '{}': train one with digit_classification_model_trainer.py, or "
    "name another with --model.\n"
)


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with config.yaml as it comes."""
    shutil.copy(ROOT / "config.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DIGITS_MODEL_PATH", raising=False)
    return tmp_path


def read(*options: str) -> int:
    return detector.main([SAMPLE, "--database", "none", *options])


def test_it_reads_until_there_is_one(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert read() == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("3 ")
    assert shown.err == NOTICE
    shutil.copy(model, "digit_classification.keras")
    assert read() == 0
    assert capsys.readouterr().err == ""


def test_a_rehearsal_says_so_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert read("--dry-run") == 0
    shown = capsys.readouterr()
    assert f"with the model {DEFAULT_MODEL}, made " in shown.out
    assert shown.err == NOTICE


@pytest.mark.parametrize("name", ["mine.keras", "digit_classification.keras"])
def test_it_never_reads_in_the_place_of_one_that_is_named(
    name: str, desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert read("--model", name) == 2
    assert capsys.readouterr().err == NOT_THERE.format(name)
    monkeypatch.setenv("DIGITS_MODEL_PATH", name)
    assert read() == 2
    assert capsys.readouterr().err == NOT_THERE.format(name)
    with pytest.raises(ModelError, match="There is no model at"):
        DigitPredictor(name)


def test_nor_of_one_that_the_settings_file_names(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (desk / "mine.yaml").write_text("model: {path: mine.keras}\n")
    assert read("--config", "mine.yaml") == 2
    assert capsys.readouterr().err == NOT_THERE.format("mine.keras")


def test_who_names_a_model_in_python_gets_that_one() -> None:
    assert model_to_read(Settings().model) == DEFAULT_MODEL
    assert model_to_read(load_settings().model) == DEFAULT_MODEL
    named = ModelSettings(path=Path("digit_classification.keras"))
    assert model_to_read(named) == named.path


def test_a_model_made_elsewhere_needs_keras(
    made_elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelError) as caught:
        load_model(made_elsewhere)
    assert str(caught.value) == (
        f"'{made_elsewhere}' was not made by the trainer, and Keras, which computes such models, "
        "is not installed: pip install -r requirements.txt."
    )


@pytest.fixture
def made_elsewhere(tmp_path: Path) -> Path:
    """The beginning of a Keras archive without a card, which is all that is looked at."""
    import zipfile

    path = tmp_path / "foreign.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", "{}")
    return path


def test_putting_it_in_place_again_changes_nothing(tmp_path: Path) -> None:
    assert default_model.main(["--from", str(DEFAULT_MODEL), "--to", str(tmp_path)]) == 0
    for name in ("default.keras", "card.json", "README.md", "SHA256SUMS"):
        assert (tmp_path / name).read_bytes() == (DEFAULT_MODEL.parent / name).read_bytes()


def test_a_model_of_other_digits_does_not_come_along(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert default_model.main(["--from", str(model), "--to", str(tmp_path / "place")]) == 2
    assert capsys.readouterr().err == (
        f"'{model}' was not trained and tested on the bundled MNIST.\n"
    )
    assert not (tmp_path / "place").exists()


def test_digits_that_touch_are_read_at_once() -> None:
    """More numbers are read rightly than by cutting digits apart alone; each sign has its place."""
    model = load_model(DEFAULT_MODEL)
    assert model.judge is not None
    rng = np.random.default_rng(1)
    digits = load_digits(ROOT / "dataset/mnist-test.zip")
    pictures = [draw_number(rng, digits, Layout("overlapping", count=(2, 2))) for _ in range(60)]
    greys = [grey_from_array(picture.pixels) for picture in pictures]
    right = []
    for judge in (model.judge, replace(model.judge, pairs=None)):
        readings = read_numbers(greys, "auto", model.number_network, judge)
        right.append(sum(r.text == p.text for r, p in zip(readings, pictures, strict=True)))
        for reading in readings:
            assert "".join(sign.text for sign in reading.digits) == (reading.text or "")
            lefts = [sign.box[0] for sign in reading.digits]
            assert lefts == sorted(lefts)
            for sign in reading.digits:
                if sign.text.isdigit():
                    assert sign.probabilities is not None
                    assert sum(sign.probabilities) == pytest.approx(1, abs=1e-5)
                    assert sign.image is not None
                    assert sign.image.shape == (28, 28)
    assert right[0] > right[1]


def test_the_other_ink_is_tried_where_a_number_is_not_understood() -> None:
    """Of a sheet on a desk the desk is more even, and its wood is taken for what is written on."""
    model = load_model(DEFAULT_MODEL)
    digits = load_digits(ROOT / "dataset/mnist-test.zip")
    layout = Layout("apart", "desk", count=(2, 6), real=True)
    picture = draw_number(np.random.default_rng(0), digits, layout)
    grey = grey_from_array(picture.pixels)
    [found] = read_numbers([grey], "auto", model.number_network, model.judge)
    [light] = read_numbers([grey], "never", model.number_network, model.judge)
    assert (found.text, light.text == picture.text) == (picture.text, False)


@pytest.mark.parametrize("gap", [6, 10, 16])
def test_a_four_of_two_leaning_strokes_is_no_eleven(gap: int) -> None:
    """Its strokes stand side by side once they are upright, but not as they were written."""
    model = load_model(DEFAULT_MODEL)
    page = np.full((140, 180), 250, np.uint8)
    for stroke in ([(105, 20), (65, 80), (85, 76)], [(113 + gap, 50), (75 + gap, 110)]):
        cv2.polylines(page, [np.array(stroke)], False, 60, 6, cv2.LINE_AA)
    [reading] = read_numbers([page], "auto", model.number_network, model.judge)
    assert reading.text == "4"


@pytest.mark.parametrize(("height", "pen"), [(4, 4), (4, 8), (8, 4), (8, 8)])
def test_a_wave_is_no_number(height: int, pen: int) -> None:
    model = load_model(DEFAULT_MODEL)
    page = np.full((60, 180), 235, np.uint8)
    x = np.arange(10, 170, 4)
    way = np.stack([x, 30 + height * np.sin(x / 6)], axis=1).round().astype(np.int32)
    cv2.polylines(page, [way], False, 50, pen, cv2.LINE_AA)
    [reading] = read_numbers([page], "auto", model.number_network, model.judge)
    assert (reading.text, reading.rejection) == (None, "no number")
