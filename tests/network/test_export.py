"""A trained model in other forms: the same probabilities, and nothing overwritten."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from digit_classification.network.export import (
    FORMATS,
    ONNX_REQUIREMENT,
    check_export,
    default_destination,
    export_model,
)
from digit_classification.network.model_file import ModelError
from digit_classification.pictures import images
from tests.documents import ROOT
from tests.drawing import draw_digit, write_dataset
from tests.trainer import run

# Drawn digits, and noise, which is where networks differ first.
DIGITS = np.concatenate(
    [
        np.stack([draw_digit(digit, seed) for digit in range(10) for seed in range(5)]),
        np.random.default_rng(0).integers(0, 256, (50, images.SIDE, images.SIDE)),
    ]
).astype(np.float32)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    dataset = write_dataset(tmp_path_factory.mktemp("export") / "digits", per_class=12)
    # Two hidden layers, so that no export can take the network for a shallower one.
    return ["--dataset", dataset, "--hidden-units", 32, 16, "--epochs", 8, "--batch-size", 16]


@pytest.fixture(scope="module")
def model(small: list[object], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "digits.keras"
    assert run(*small, "--model", path, "--quiet") == 0
    return path


def by_keras(model: Path) -> np.ndarray:
    import keras

    probabilities: np.ndarray = keras.models.load_model(model).predict(DIGITS, verbose=0)
    return probabilities


def by_export(format_name: str, path: Path) -> np.ndarray:
    """Run an export as its users do, with the library that is made for it."""
    if format_name == "onnx":
        import onnxruntime

        runtime = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return np.asarray(runtime.run(["probabilities"], {"pixels": DIGITS})[0])
    if format_name == "tflite":
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(str(path))
        (inputs,), (outputs,) = interpreter.get_input_details(), interpreter.get_output_details()
        interpreter.resize_tensor_input(inputs["index"], DIGITS.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(inputs["index"], DIGITS)
        interpreter.invoke()
        return np.asarray(interpreter.get_tensor(outputs["index"]))
    import tensorflow

    served = tensorflow.saved_model.load(str(path))  # its variables live as long as it does
    return np.asarray(served.serve(DIGITS))


@pytest.mark.parametrize("format_name", FORMATS)
def test_an_export_agrees_with_keras(
    format_name: str, model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    destination = tmp_path / "sub" / "digits"
    arguments = ["--model", model, "--export", format_name, "--export-to", destination]
    assert run("--skip-training", *arguments) == 0
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", f"Exported the model to {destination}.\n")
    exported = by_export(format_name, destination)
    assert exported.shape == (100, 10)
    np.testing.assert_allclose(exported, by_keras(model), atol=1e-5)
    assert [file.name for file in destination.parent.iterdir()] == ["digits"]


def test_a_training_exports_its_model_beside_it(small: list[object], tmp_path: Path) -> None:
    model = tmp_path / "mine.keras"
    assert run(*small, "--epochs", 1, "--model", model, "--export", "onnx", "--quiet") == 0
    exported = by_export("onnx", tmp_path / "mine.onnx")
    np.testing.assert_allclose(exported, by_keras(model), atol=1e-5)


def test_the_onnx_file_says_how_pictures_are_prepared(model: Path, tmp_path: Path) -> None:
    import onnx

    export_model(model, "onnx", tmp_path / "digits.onnx")
    network = onnx.load(tmp_path / "digits.onnx")
    properties = {entry.key: entry.value for entry in network.metadata_props}
    assert json.loads(properties["preparation"]) == images.PREPARATION
    assert [node.op_type for node in network.graph.node] == [
        *("Mul", "Flatten", "Gemm", "Relu", "Gemm", "Relu", "Gemm", "Softmax")
    ]


def test_where_an_export_goes_by_default() -> None:
    model = Path("models/my.digits.keras")
    assert [default_destination(model, name).as_posix() for name in FORMATS] == [
        "models/my.digits.onnx",
        "models/my.digits.tflite",
        "models/my.digits_saved_model",
    ]


@pytest.mark.parametrize("format_name", FORMATS)
def test_an_export_overwrites_nothing(
    format_name: str,
    model: Path,
    small: list[object],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    there = tmp_path / "there"
    there.write_bytes(b"mine")
    arguments = ["--export", format_name, "--export-to", there]
    message = (
        f"Error: '{there}' is there already, and an export overwrites nothing: delete it, or name "
        "another with --export-to.\n"
    )
    assert run("--skip-training", "--model", model, *arguments) == 2
    assert capsys.readouterr().err == message
    new = tmp_path / "new.keras"
    assert run(*small, "--model", new, *arguments) == 2  # before the training, not after it
    assert capsys.readouterr().err == message
    assert there.read_bytes() == b"mine"
    assert not new.exists()


def test_an_export_that_cannot_be_written(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_bytes(b"")
    destination = tmp_path / "file" / "digits.tflite"
    arguments = ["--model", model, "--export", "tflite", "--export-to", destination]
    assert run("--skip-training", *arguments) == 2
    assert f"Error: The export cannot be written to '{destination}'" in capsys.readouterr().err


def test_no_model_to_export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "missing.keras"
    assert run("--skip-training", "--model", model, "--export", "tflite") == 2
    assert f"Error: There is no model at '{model}'" in capsys.readouterr().err


def test_a_model_made_elsewhere_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Whatever Keras makes of it, which takes seconds.
    monkeypatch.setattr(
        "digit_classification.network.made_elsewhere.load_foreign", lambda *_: np.zeros
    )
    path = tmp_path / "foreign.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", "{}")
    with pytest.raises(ModelError) as caught:
        export_model(path, "onnx", tmp_path / "foreign.onnx")
    assert str(caught.value) == (
        f"'{path}' was not made by the trainer: export it with Keras, model.export(...)."
    )


def test_without_the_onnx_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelError) as caught:
        check_export("onnx", tmp_path / "digits.onnx")
    assert str(caught.value) == (
        f"Exporting to ONNX needs a package: python -m pip install {ONNX_REQUIREMENT}."
    )
    check_export("tflite", tmp_path / "digits.tflite")


def test_the_package_named_is_the_one_that_is_tested() -> None:
    requirements = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8")
    assert f"\n{ONNX_REQUIREMENT}  # " in requirements


def test_a_dry_run_of_an_export(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    destination = tmp_path / "digits.onnx"
    arguments = ["--model", model, "--export", "onnx", "--export-to", destination, "--dry-run"]
    assert run("--skip-training", *arguments) == 0
    assert capsys.readouterr().out == (
        f"Would export {model} to {destination}. Nothing was written.\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_importing_the_module_imports_no_onnx() -> None:
    import subprocess

    code = "import sys, digit_classification.network.export; print('onnx' in sys.modules)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
