"""A trained model learns the pictures of one hand, and forgets little of the others."""

from __future__ import annotations

import hashlib
import tempfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks.accuracy import thin_out
from digit_classification.commands.train import fine_tuning
from digit_classification.network.model_file import load_model
from digit_classification.training.datasets.reading import read_dataset
from digit_classification.training.fine_tuning import network, tuning
from digit_classification_detector import DigitPredictor
from tests.documents import ROOT
from tests.drawing import png, write_dataset
from tests.trainer import run

PICTURES, TESTED = 80, 40
REPEATED = 1000  # images, of the 10,000 in MNIST's test


@cache
def mnist() -> tuple[np.ndarray, np.ndarray]:
    """Return some of MNIST's test images and their labels."""
    with tempfile.TemporaryDirectory() as folder:
        some = thin_out(ROOT / "dataset/mnist-test.zip", Path(folder) / "some.zip", REPEATED)
        dataset = read_dataset(some, cache=False)
    return dataset.digits, dataset.labels


def write_mirrored(folder: Path, start: int, count: int = PICTURES) -> Path:
    """Write digits of a hand that nobody has: on paper, and left and right exchanged."""
    digits, labels = mnist()
    for number in range(start, start + count):
        label = number % 10
        image = digits[labels == label][number // 10][:, ::-1]
        page = np.full((90, 80), 235, np.uint8)
        large = cv2.resize(np.ascontiguousarray(image), (56, 56), interpolation=cv2.INTER_CUBIC)
        page[17:73, 12:68] -= (large.astype(np.float32) * 0.8).astype(np.uint8)
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        (folder / f"{label}/{number}.png").write_bytes(png(page))
    return folder


@pytest.fixture(scope="module")
def repeated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is repeated, and tested on: fewer images than are bundled, for the sake of time."""
    path = tmp_path_factory.mktemp("repeated") / "some.zip"
    return thin_out(ROOT / "dataset/mnist-test.zip", path, REPEATED)


@pytest.fixture(scope="module")
def config(repeated: Path) -> Path:
    path = repeated.with_name("config.yaml")
    path.write_text(f"dataset:\n  path: '{repeated}'\n  test_path: '{repeated}'\n  cache: false\n")
    return path


@pytest.fixture(scope="module")
def tuned(trained: Path, config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tuned")
    own, test = write_mirrored(folder / "own", 0), write_mirrored(folder / "test", PICTURES, TESTED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning, "SCENES", 30)
        patch.setattr(tuning, "DRAWN", 100)
        for name, value in (("STEPS", 100), ("OWN", 32), ("REPEATED", 80), ("DRAWN", 16)):
            patch.setattr(network, name, value)
        before = trained.read_bytes()
        assert (
            run(
                *("--fine-tune", trained, "--dataset", own, "--test-dataset", test),
                *("--model", folder / "mine.keras", "--config", config),
            )
            == 0
        )
        assert trained.read_bytes() == before
    return folder / "mine.keras"


def tuning_of(model: Path) -> dict[str, Any]:
    card = load_model(model).card
    assert card is not None
    return dict(card["fine_tuned"])


def share_right(model: Path, folder: Path) -> float:
    predictor = DigitPredictor(model)
    paths = sorted(folder.glob("*/*.png"))
    results = predictor.predict(list(paths))
    return float(
        np.mean([r.digit == int(p.parent.name) for r, p in zip(results, paths, strict=True)])
    )


def test_the_pictures_are_read_better_and_others_hardly_worse(
    tuned: Path, trained: Path, repeated: Path
) -> None:
    test = tuned.parent / "test"
    before, after = share_right(trained, test), share_right(tuned, test)
    assert after > before + 0.08
    stored = tuning_of(tuned)
    right, _, usual = stored["scores"]
    assert right == {
        "images": f"yours, held out: {TESTED}, right",
        "total": TESTED,
        "before": round(before * TESTED),
        "after": round(after * TESTED),
    }
    assert usual["images"] == f"{repeated}: {REPEATED:,}, right"
    assert usual["after"] > usual["before"] - REPEATED // 50
    assert stored["images"] == PICTURES
    assert stored["seconds"] > 0
    assert stored["from"] == hashlib.sha256(trained.read_bytes()).hexdigest()


def test_the_samples_are_read_as_before(tuned: Path, trained: Path) -> None:
    samples = sorted((ROOT / "samples").glob("*-*"))
    samples.remove(ROOT / "samples/blank-page.jpg")  # few scenes teach nothing of blank pages
    before, after = (
        [result.digit for result in DigitPredictor(model).predict(list(samples))]
        for model in (trained, tuned)
    )
    assert before == after


def test_the_rest_of_the_model_comes_along(tuned: Path, trained: Path) -> None:
    before, after = load_model(trained), load_model(tuned)
    assert before.judge is not None
    assert after.judge is not None
    assert before.judge.numbers is not None
    assert after.judge.numbers is not None
    assert after.judge.numbers.content == before.judge.numbers.content
    assert (after.judge.bounds == before.judge.bounds).all()
    assert after.judge.content != before.judge.content
    assert before.card is not None
    assert after.card is not None
    assert after.card["history"] == before.card["history"]
    with zipfile.ZipFile(tuned) as archive:
        assert archive.testzip() is None


@pytest.fixture
def refused(trained: Path, config: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def refused(*options: object, model: Path = trained) -> str:
        try:
            code: object = run("--fine-tune", model, "--config", config, *options)
        except SystemExit as end:  # as argparse ends for what is wrong on the command line
            code = end.code
        assert code == 2
        return " ".join(capsys.readouterr().err.split())

    return refused


def test_what_is_refused(
    refused: Callable[..., str], trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    own = write_mirrored(tmp_path / "own", 0, 20)
    new = ("--model", tmp_path / "new.keras")
    assert refused(*new).endswith(
        "error: --fine-tune needs your pictures: name them with --dataset or --corrections"
    )
    assert refused("--dataset", own, *new, "--epochs", 3).endswith(
        "error: --epochs is for a training from nothing: leave it out with --fine-tune"
    )
    assert refused("--dataset", own, *new, "--report", "report").endswith(
        "error: --report is for a training from nothing: leave it out with --fine-tune"
    )
    assert "--fine-tune" in refused("--dataset", own, "--model", trained)
    assert refused("--dataset", own, *new, model=tmp_path / "none.keras").startswith(
        f"Error: There is no model at '{tmp_path / 'none.keras'}': train one with "
    )
    assert not (tmp_path / "new.keras").exists()


def test_a_model_without_judge(refused: Callable[..., str], tmp_path: Path) -> None:
    own, model = write_dataset(tmp_path / "own"), tmp_path / "plain.keras"
    small = ("--hidden-units", 8, "--epochs", 1, "--batch-size", 16, "--scenes", 0)
    assert run(*small, "--dataset", own, "--model", model, "--quiet") == 0
    said = refused("--dataset", own, "--model", tmp_path / "new.keras", model=model)
    assert said == (
        f"Error: The model '{model}' has no judge, which finds the digits in pictures: train one "
        "without --scenes 0, and fine-tune that."
    )


def test_pictures_of_nothing(refused: Callable[..., str], tmp_path: Path) -> None:
    for digit in (3, 8):
        for number in range(3):
            (tmp_path / f"own/{digit}").mkdir(parents=True, exist_ok=True)
            page = np.full((90, 80 + number), 235 - digit, np.uint8)
            (tmp_path / f"own/{digit}/{number}.png").write_bytes(png(page))
    said = refused("--dataset", tmp_path / "own", "--model", tmp_path / "new.keras")
    assert said.endswith("None of the 6 pictures shows the digit of its label: check the labels.")


def test_a_small_dataset_and_corrections_are_learned_whole(
    trained: Path,
    config: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tuning, "SCENES", 10)
    monkeypatch.setattr(tuning, "DRAWN", 100)
    monkeypatch.setattr(network, "STEPS", 20)
    own = write_mirrored(tmp_path / "own", 0, fine_tuning.HELD_OUT_FROM - 1)
    others = write_mirrored(tmp_path / "others", 60, 12)
    rows = [f"{path},{path.parent.name}" for path in others.glob("*/*.png")]
    (tmp_path / "corrections.csv").write_text("\n".join(["path,digit", *rows]) + "\n")
    options = ("--dataset", own, "--corrections", "corrections.csv", "--config", config)
    assert run("--fine-tune", trained, *options, "--model", "mine.keras") == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "All 49 images are learned: with 50 or more, some would be held out to test on." in said
    stored = tuning_of(tmp_path / "mine.keras")
    assert stored["images"] == 49 + 12
    assert [row["total"] for row in stored["scores"]] == [REPEATED]
