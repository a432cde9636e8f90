"""The trainer, as its users meet it: command line, printed results, saved model."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import digit_classification_model_trainer as trainer
from digit_classification.config import TrainingSettings, load_settings
from digit_classification.network.architecture import build_saved_network
from digit_classification.network.model_file import CARD, WEIGHTS, load_model, save_model
from digit_classification.training import epochs
from digit_classification.training.parts import Part
from tests.documents import ROOT
from tests.drawing import draw_digit, write_dataset
from tests.interrupting import during_epoch
from tests.trainer import run

SCRIPT = ROOT / "digit_classification_model_trainer.py"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("trainer") / "digits", per_class=20)


@pytest.fixture(scope="module")
def small(dataset: Path) -> list[object]:
    """Options of a training that takes a second and still learns."""
    steps = ["--epochs", 30, "--batch-size", 16, "--learning-rate", 0.5]
    return ["--dataset", dataset, "--hidden-units", 64, *steps]


def test_trains_evaluates_and_saves(
    small: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, metrics = tmp_path / "digits.keras", tmp_path / "metrics.json"
    assert run(*small, "--model", model, "--metrics", metrics) == 0
    captured = capsys.readouterr()
    figures = json.loads(metrics.read_text())
    assert figures["accuracy"] >= 0.8
    assert figures["images"] == 40  # 20 % of 200
    assert np.sum(figures["confusion_matrix"]) == 40
    assert set(figures["digits"]) == set("0123456789")
    assert set(figures["digits"]["7"]) == {"precision", "recall", "f1", "support"}
    assert f"Test accuracy: {figures['accuracy']:.2%} of 40 images" in captured.out
    assert "Confusion matrix" in captured.out
    assert "epoch 30/30" in captured.err
    assert f"Saved the model to {model}" in captured.err

    card = load_model(model).card
    assert card is not None
    assert card["classes"] == list("0123456789")
    assert card["test"] == figures
    assert card["settings"]["training"]["epochs"] == 30
    assert card["datasets"]["dataset"]["counts"] == {str(digit): 20 for digit in range(10)}
    assert len(card["datasets"]["dataset"]["sha256"]) == 64
    assert {"python", "keras", "tensorflow", "numpy"} <= set(card["versions"])


def test_the_counts_add_up_to_what_was_read(
    small: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "m.keras"
    assert run(*small, "--epochs", 1, "--seed", 3, "--model", model) == 0
    captured = capsys.readouterr()
    assert "Read 200 images of " in captured.err
    table = captured.out.splitlines()
    names = next(line for line in table if "digit" in line)
    assert re.split(r"\s{2,}", names.strip()) == [
        "digit",
        "training",
        "drawn for it",
        "validation",
        "test",
    ]
    total = next(line for line in table if line.split()[:1] == ["all"]).split()
    # A fifth is the test, a tenth of the rest chooses, drawn_share is a tenth of what stays.
    assert [int(cell) for cell in total[1:]] == [144, 14, 16, 40]
    assert run(*small, "--epochs", 1, "--model", model, "--config", undrawn(tmp_path)) == 0
    assert "drawn" not in capsys.readouterr().out


def undrawn(folder: Path) -> Path:
    """Write settings under which no digit is drawn."""
    config = folder / "undrawn.yaml"
    config.write_text("training:\n  drawn_share: 0\n")
    return config


def test_a_separate_test_dataset_is_the_test_set(
    small: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test = write_dataset(tmp_path / "test", per_class=3, first_seed=1000)
    model = tmp_path / "m.keras"
    assert run(*small, "--epochs", 1, "--test-dataset", test, "--model", model, "--quiet") == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("Test accuracy:")
    assert "of 30 images" in captured.out
    assert captured.err == ""


@pytest.mark.same_results
def test_the_same_seed_gives_the_same_network(small: list[object], tmp_path: Path) -> None:
    digits = np.random.default_rng(0).integers(0, 256, (50, 28, 28)).astype(np.uint8)
    outputs = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        path = tmp_path / f"{name}.keras"
        assert run(*small, "--epochs", 2, "--seed", seed, "--model", path, "--quiet") == 0
        outputs.append(load_model(path).network(digits).tolist())
    assert outputs[0] == outputs[1] != outputs[2]


def write_old_model(path: Path) -> bytes:
    """Write what the trainer may replace, as far as it looks; return its content."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(CARD, "{}")
    return path.read_bytes()


def test_saving_keeps_the_old_model_when_it_fails(
    small: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "m.keras"
    old = write_old_model(model)
    classifier = trainer.DigitClassifier(load_settings(environment={}), quiet=True)
    classifier._build_model()

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        save_model(model, build_saved_network(classifier.model, 1.0), {})
    assert model.read_bytes() == old
    assert [file.name for file in tmp_path.iterdir()] == ["m.keras"]


def test_keras_reads_the_model_file_as_any_other(small: list[object], tmp_path: Path) -> None:
    import keras

    path = tmp_path / "m.keras"
    assert run(*small, "--epochs", 2, "--model", path, "--quiet") == 0
    with zipfile.ZipFile(path) as archive:
        assert {CARD, WEIGHTS, "metadata.json", "config.json"} <= set(archive.namelist())
    digits = np.random.default_rng(0).integers(0, 256, (50, 28, 28)).astype(np.uint8)
    by_keras = keras.models.load_model(path).predict(digits, verbose=0)
    np.testing.assert_allclose(load_model(path).network(digits), by_keras, atol=1e-5)
    np.testing.assert_allclose(by_keras.sum(axis=1), 1, atol=1e-5)


def test_a_deep_network(small: list[object], tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    assert run(*small, "--hidden-units", 32, 16, "--epochs", 1, "--model", path, "--quiet") == 0
    assert load_model(path).network(np.zeros((3, 28, 28), np.uint8)).shape == (3, 10)


# ------------------------------------------------------------------------------ interruptions


def start(small: list[object], model: Path) -> subprocess.Popen[str]:
    """Start a long training in a process of its own, and wait until it has learned an epoch."""
    arguments = [*map(str, small), "--epochs", "100000", "--model", str(model)]
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("epoch"):
            return process
    raise AssertionError("the training ended early")


@pytest.mark.skipif(os.name == "nt", reason="a process cannot be sent a Ctrl-C of its own")
def test_ctrl_c_saves_the_best_epoch_so_far(small: list[object], tmp_path: Path) -> None:
    model = tmp_path / "m.keras"
    process = start(small, model)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert_the_best_is_saved(model, out, err)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_so_does_sigterm(
    small: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process: that a signal arrives from outside is tried with Ctrl-C."""
    model = tmp_path / "m.keras"
    with during_epoch(2, lambda: signal.raise_signal(signal.SIGTERM)):
        assert run(*small, "--model", model) == 143
    captured = capsys.readouterr()
    assert_the_best_is_saved(model, captured.out, captured.err)


def assert_the_best_is_saved(model: Path, out: str, err: str) -> None:
    assert "Stopping after this epoch, with the best one saved. Ctrl-C again stops at once." in err
    assert f"Saved the best epoch so far to {model}" in err
    assert "Test accuracy" in out
    card = load_model(model).card
    assert card is not None
    assert card["interrupted"] is True


@pytest.mark.skipif(os.name == "nt", reason="a process cannot be sent a Ctrl-C of its own")
def test_a_second_ctrl_c_stops_at_once(tmp_path: Path) -> None:
    # An epoch of this training takes much longer than to send the two signals.
    dataset = write_dataset(tmp_path / "digits", per_class=20)
    slow = ["--dataset", dataset, "--hidden-units", 4096, "--batch-size", 4]
    slow += ["--learning-rate", 0.01]
    model = tmp_path / "m.keras"
    old = write_old_model(model)
    process = start(slow, model)
    assert process.stderr is not None
    process.send_signal(signal.SIGINT)
    assert any("Stopping after this epoch" in line for line in iter(process.stderr.readline, ""))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.endswith("Interrupted: no model was saved.\n")
    assert "Test accuracy" not in out
    assert model.read_bytes() == old


# ------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--dataset", "missing"],
            "Error: There is no dataset 'missing': name a folder or a file with --dataset.\n",
        ),
        (
            ["--config", "missing.yaml"],
            "Error: There is no settings file 'missing.yaml': check --config.\n",
        ),
        (
            ["--epochs", "0"],
            "Error: training.epochs = 0 (from the command line) is not valid: "
            "input should be greater than or equal to 1.\n",
        ),
        (
            ["--seed", "x"],
            "Error: training.seed = x (from the command line) is not valid: "
            "it should be a whole number.\n",
        ),
    ],
)
def test_user_errors(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", message)


def test_a_dataset_too_small_to_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = write_dataset(tmp_path / "digits", per_class=1)
    assert run("--dataset", dataset, "--quiet") == 2
    assert capsys.readouterr().err == (
        "Error: The dataset is too small to split: 10 images, 1 of the digit 0, with 0.2 of them "
        "held back: add images, or change the fractions.\n"
    )


def test_a_model_that_cannot_be_written(
    small: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    model = tmp_path / "file/m.keras"
    assert run(*small, "--epochs", 1, "--model", model, "--quiet") == 2
    assert f"Error: The model cannot be saved at '{model}'" in capsys.readouterr().err


def test_a_training_that_diverges(
    small: list[object],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Real ones depend on the machine's last digit; what counts is that the loss is no number.
    monkeypatch.setattr(epochs, "cross_entropy", lambda logits, labels: float("nan"))
    model = tmp_path / "m.keras"
    assert run(*small, "--model", model, "--quiet") == 2
    assert capsys.readouterr().err == (
        "Error: The training diverged in epoch 1: try a --learning-rate below 0.5, or a larger "
        "--batch-size.\n"
    )
    assert not model.exists()


def test_a_network_that_is_too_large(
    small: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "m.keras"
    assert run(*small, "--hidden-units", 15000, 15000, "--model", model, "--quiet") == 2
    assert capsys.readouterr().err == (
        "Error: A network with hidden layers of 15,000, 15,000 cannot be saved (more than "
        "134,217,728 weights): choose smaller --hidden-units.\n"
    )
    assert not model.exists()


def test_an_unknown_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run("--epoch", "3")
    assert caught.value.code == 2
    assert "unrecognized arguments: --epoch" in capsys.readouterr().err


def test_importing_the_script_imports_no_tensorflow() -> None:
    code = (
        f"import sys, {SCRIPT.stem};"
        "print(sorted({'tensorflow', 'keras', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("distort", [True, False])
def test_images_are_distorted_unless_that_is_turned_off(distort: bool) -> None:
    drawn = np.stack([draw_digit(digit) for digit in range(10)])
    training = Part(drawn, np.arange(10, dtype=np.uint8), [])
    settings = TrainingSettings(distort=distort)
    digits, labels, order = epochs.images_of_epoch(training, settings, 1)
    digits, labels = digits[order], labels[order]
    assert sorted(labels.tolist()) == list(range(10))
    assert (digits == drawn[labels]).all() == (not distort)
