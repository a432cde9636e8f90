"""What the trainer makes of datasets that lack something, or come as arrays."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from digit_classification.config import Settings, TrainingSettings
from digit_classification.network.model_file import load_model
from digit_classification_detector import DigitPredictor
from digit_classification_model_trainer import DigitClassifier
from tests.drawing import draw_digit, write_dataset
from tests.trainer import run

SMALL = ("--hidden-units", 32, "--batch-size", 16)
pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tmp_path / "digits.keras"


def test_a_model_of_nine_digits_never_answers_with_the_tenth(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, test = write_dataset(tmp_path / "digits"), write_dataset(tmp_path / "test", 2)
    shutil.rmtree(folder / "0")
    options = [*SMALL, "--dataset", folder, "--model", model, "--epochs", 10]
    assert run(*options) == 2
    assert capsys.readouterr().err.endswith(
        f"Error: '{folder}' has no images of the digit 0 (found '1', '2', '3', '4', '5', '6', "
        "'7', '8', '9'): add some, or train without with --lenient.\n"
    )
    options += ["--lenient", "--test-dataset", test, "--report", tmp_path / "report"]
    assert run(*options, "--scenes", 20) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert (
        "The model will read the digits 1, 2, 3, 4, 5, 6, 7, 8, 9 and answer with no other." in said
    )
    assert "2 test images left out, of digits that the training lacks: 0" in said

    loaded = load_model(model)
    assert loaded.card is not None
    assert loaded.card["classes"] == list("123456789")
    assert loaded.card["test"]["images"] == 18
    zeros = np.stack([draw_digit(0, seed) for seed in range(100, 150)])
    noise = np.random.default_rng(0).integers(0, 256, (200, 28, 28), np.uint8)
    probabilities = loaded.network(np.concatenate([zeros, noise]))
    assert (probabilities[:, 0] < 1e-30).all()
    assert (probabilities.argmax(axis=1) != 0).all()
    results = DigitPredictor(model, settings=Settings()).predict(list(zeros))
    assert {result.digit for result in results} <= {None, *range(1, 10)}

    metrics = json.loads((tmp_path / "report/metrics.json").read_text())
    assert set(metrics["digits"]) == set("123456789")


def test_few_images_are_warned_of_and_their_figures_carry_an_interval(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, test = write_dataset(tmp_path / "digits", 70), write_dataset(tmp_path / "test", 1)
    for file in sorted((folder / "3").iterdir())[12:]:
        file.unlink()
    options = [*SMALL, "--dataset", folder, "--test-dataset", test, "--model", model]
    assert run(*options, "--epochs", 20, "--report", tmp_path / "report") == 0
    printed = capsys.readouterr()
    assert (
        "Warning: few images to learn from: 11 of the digit 3. Add some: below 60 of each, a "
        "network misreads many."
    ) in " ".join(printed.err.split())
    evaluation = json.loads((tmp_path / "report/metrics.json").read_text())
    right = [name for name, row in evaluation["digits"].items() if row["recall"] == 1]
    assert right  # each of them is one image
    text = (tmp_path / "report/report.txt").read_text()
    page = (tmp_path / "report/index.html").read_text()
    for shown in (printed.out, text):
        lines = [line.split() for line in shown.splitlines() if line.strip()]
        for name in right:
            (line,) = [words for words in lines if words[0] == name and "–" in words]
            assert " ".join(line).endswith("100.00% (21% to 100%) – 1")
        assert "In brackets, of fewer than 30 images: the 95 % confidence interval" in shown
    assert "<td>100.00&nbsp;% (21 to 100&nbsp;%)</td>" in page
    assert "<td>100.00&nbsp;%</td>" not in page.split("Each digit")[1].split("</table>")[0]
    accuracy = evaluation["accuracy"]
    assert f"Test accuracy: {accuracy:.2%} (" in printed.out


@pytest.mark.parametrize("zipped", [False, True])
def test_a_parent_of_train_and_test_is_both(
    zipped: bool, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parent = tmp_path / "mine"
    write_dataset(parent / "train", 4)
    write_dataset(parent / "test", 3, first_seed=50)
    if zipped:
        parent = tmp_path / "mine.zip"
        with zipfile.ZipFile(parent, "w") as archive:
            for file in sorted((tmp_path / "mine").rglob("*.png")):
                archive.write(file, file.relative_to(tmp_path).as_posix())
    options = [*SMALL, "--dataset", parent, "--model", model, "--epochs", 2]
    assert run(*options, "--report", tmp_path / "report") == 0
    said = " ".join(capsys.readouterr().err.split())
    assert f"Read 40 images of {parent} (class folders, for the training)" in said
    assert f"Read 30 images of {parent} (class folders, for the test)" in said
    card = load_model(model).card
    assert card is not None
    assert card["test"]["images"] == 30
    assert set(card["datasets"]) == {"dataset", "test_dataset"}
    assert "tested on the test set there" in (tmp_path / "report/index.html").read_text()
    mistakes = (tmp_path / "report/mistakes.csv").read_text().splitlines()[1:]
    for line in mistakes:
        assert f"{parent.as_posix()}/{'mine/' * zipped}test/" in line


def test_a_test_set_that_is_named_comes_first(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_dataset(tmp_path / "mine/train", 4)
    write_dataset(tmp_path / "mine/test", 3, first_seed=50)
    other = write_dataset(tmp_path / "other", 2, first_seed=90)
    options = [*SMALL, "--dataset", tmp_path / "mine", "--test-dataset", other]
    assert run(*options, "--model", model, "--dry-run") == 0
    assert f"Read 20 images of {other} (class folders)" in " ".join(capsys.readouterr().err.split())


def arrays(per_class: int, first_seed: int) -> tuple[np.ndarray, np.ndarray]:
    labels = np.repeat(np.arange(10), per_class)
    seeds = np.tile(np.arange(first_seed, first_seed + per_class), 10)
    return np.stack([draw_digit(*pair) for pair in zip(labels, seeds, strict=True)]), labels


@pytest.mark.parametrize("pairs", [1, 2])
def test_arrays_in_python(pairs: int) -> None:
    silent = Console(quiet=True)
    settings = Settings(training=TrainingSettings(epochs=10, batch_size=16, scenes=0))
    training, test = arrays(10, 0), arrays(3, 50)
    classifier = DigitClassifier(
        settings,
        dataset=(training, test) if pairs == 2 else training,
        output=silent,
        messages=silent,
    )
    classifier.train()
    evaluation = classifier.evaluate()
    assert evaluation["images"] == (30 if pairs == 2 else 20)
    assert evaluation["accuracy"] > 0.5
    assert classifier.parts is not None
    assert classifier.parts.datasets["dataset"].counts == {str(digit): 10 for digit in range(10)}
