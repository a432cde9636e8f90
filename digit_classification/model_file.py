"""One self-contained model file: a Keras archive that carries what the detector needs.

A `.keras` file is a zip.  Beside Keras's own members, which `keras.models.load_model` reads as
in any other, this one holds

    digit_classification/card.json        how it was made, and how well it does
    digit_classification/network.tflite   the same network in LiteRT form, which starts in
                                          a tenth of a second, without TensorFlow
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import platform
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from digit_classification import __version__, images
from digit_classification.quiet import import_keras, native_output_discarded
from digit_classification.sources import DAMAGED_ZIP

CARD = "digit_classification/card.json"
NETWORK = "digit_classification/network.tflite"
MAX_MODEL_BYTES = 2**30

# (n, 28, 28) uint8 digits -> (n, 10) float32 probabilities, each row adding up to 1
Network = Callable[[np.ndarray], np.ndarray]


class ModelError(Exception):
    """The model file cannot be used; the message is one sentence for the user."""


@dataclass(frozen=True)
class Model:
    """A network, ready to classify, and where it came from."""

    path: Path
    sha256: str  # of the file
    card: Mapping[str, Any] | None  # None for a .keras file made elsewhere
    network: Network


# ------------------------------------------------------------------------------------- saving


def check_destination(path: Path) -> None:
    """Find out before the training whether its model can be saved at `path`.

    Raises ModelError if it cannot.
    """
    with _folder_beside(path):
        pass
    if path.is_dir():
        raise ModelError(f"'{path}' is a folder: name a file with --model.")


def save_model(path: Path, model: Any, card: Mapping[str, Any]) -> None:
    """Write the Keras `model` and its `card` to `path`, whole or not at all.

    Everything is written beside `path` first and then takes its name in one step, so that a
    crash leaves the file that was there.

    Raises ModelError if `path` cannot be written.
    """
    with _folder_beside(path) as folder:
        whole = folder / "model.keras"
        with native_output_discarded():
            model.save(whole)
        with zipfile.ZipFile(whole, "a", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(CARD, json.dumps(_stamped(card), indent=2, ensure_ascii=False))
            # Not compressed: weights hardly shrink, and each start would unpack them.
            archive.writestr(NETWORK, _to_litert(model), zipfile.ZIP_STORED)
        with open(whole, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(whole, path)


@contextlib.contextmanager
def _folder_beside(path: Path) -> Iterator[Path]:
    """A folder of its own on the file system of `path`, gone afterwards."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as folder:
            yield Path(folder)
    except OSError as error:
        raise ModelError(f"The model cannot be saved at '{path}': {error.strerror}.") from None


def _stamped(card: Mapping[str, Any]) -> dict[str, Any]:
    """Return the card with what is true of every model that this program saves."""
    import keras
    import sklearn
    import tensorflow

    return {
        "format": 1,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "versions": {
            "digit_classification": __version__,
            "python": platform.python_version(),
            "keras": keras.__version__,
            "tensorflow": tensorflow.__version__,
            "scikit-learn": sklearn.__version__,
            "numpy": np.__version__,
        },
        "preparation": images.PREPARATION,
        **card,
    }


def _to_litert(model: Any) -> bytes:
    import tensorflow

    with native_output_discarded():
        network: bytes = tensorflow.lite.TFLiteConverter.from_keras_model(model).convert()
    return network


# ------------------------------------------------------------------------------------ loading


def load_model(path: Path, notice: Callable[[str], None] = lambda text: None) -> Model:
    """Load the model file at `path`; one made elsewhere is loaded with Keras, said by `notice`.

    Raises ModelError if there is none, if it is no model, or if it does not fit.
    """
    if not path.is_file():
        raise ModelError(
            f"There is no model at '{path}': train one with "
            "digit_classification_model_trainer.py, or name another with --model."
        )
    content = _read_file(path)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
            if "metadata.json" not in names:
                raise ModelError(f"'{path}' is a zip, but no Keras model: name a .keras file.")
            card = _read_card(archive, path) if CARD in names else None
            network = archive.read(NETWORK) if card else b""
    except DAMAGED_ZIP:
        raise ModelError(_why_no_archive(path, content)) from None
    except KeyError:
        raise ModelError(f"'{path}' holds no '{NETWORK}': train the model again.") from None

    sha256 = hashlib.sha256(content).hexdigest()
    if card is None:
        notice(f"'{path}' was not made by the trainer: loading it with Keras, which takes longer.")
        return Model(path, sha256, None, _keras_network(path))
    return Model(path, sha256, card, _litert_network(path, network))


def _read_card(archive: zipfile.ZipFile, path: Path) -> dict[str, Any]:
    try:
        card = json.loads(archive.read(CARD))
        preparation = card["preparation"]
    except (ValueError, KeyError, TypeError):
        raise ModelError(f"'{path}' has a damaged card: train the model again.") from None
    if preparation != images.PREPARATION:
        raise ModelError(
            f"'{path}' was trained on images prepared in another way ({preparation}) than this "
            f"version prepares them ({images.PREPARATION}): train the model again."
        )
    return dict(card)


def _read_file(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_MODEL_BYTES:
            raise ModelError(f"'{path}' is too large for a model of digits: check --model.")
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"The model '{path}' cannot be read: {error.strerror}.") from None


def _why_no_archive(path: Path, content: bytes) -> str:
    if content.startswith(b"\x89HDF\r\n\x1a\n"):
        return (
            f"'{path}' is an HDF5 model, which can run code when it is loaded: "
            "save it as .keras with Keras, or train a new one."
        )
    if not content:
        return f"The model '{path}' is empty: train it again."
    return f"'{path}' is no Keras model, or is damaged: name a .keras file with --model."


def _litert_network(path: Path, content: bytes) -> Network:
    from ai_edge_litert.interpreter import Interpreter

    try:
        with native_output_discarded():
            interpreter = Interpreter(model_content=content)
            interpreter.allocate_tensors()
        (inputs,), (outputs,) = interpreter.get_input_details(), interpreter.get_output_details()
    except (ValueError, RuntimeError):
        raise ModelError(f"The network in '{path}' is damaged: train the model again.") from None
    _check_shapes(path, tuple(inputs["shape_signature"]), tuple(outputs["shape_signature"]))

    def network(digits: np.ndarray) -> np.ndarray:
        if interpreter.get_input_details()[0]["shape"][0] != len(digits):
            interpreter.resize_tensor_input(inputs["index"], digits.shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(inputs["index"], digits.astype(np.float32))
        interpreter.invoke()
        probabilities: np.ndarray = interpreter.get_tensor(outputs["index"])
        return probabilities

    return network


def _keras_network(path: Path) -> Network:
    keras = import_keras()
    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
        input_shape, output_shape = tuple(model.input_shape), tuple(model.output_shape)
    except Exception as error:  # Keras raises whatever the archive makes it stumble over
        reason = str(error).strip().splitlines()[0].rstrip(".") if str(error) else type(error)
        raise ModelError(f"Keras cannot load '{path}': {reason}.") from None
    _check_shapes(path, input_shape, output_shape)

    # A model without a Rescaling layer expects what tutorials feed it: pixels from 0 to 1.
    rescales = any(isinstance(layer, keras.layers.Rescaling) for layer in model.layers)
    scale = 1.0 if rescales else 1 / 255

    def network(digits: np.ndarray) -> np.ndarray:
        pixels = digits.reshape(-1, *input_shape[1:]).astype(np.float32) * scale
        return _as_probabilities(model.predict_on_batch(pixels))

    return network


def _check_shapes(path: Path, inputs: tuple[int, ...], outputs: tuple[int, ...]) -> None:
    side = images.SIDE
    fits = inputs[1:] in ((side, side), (side, side, 1), (side * side,))
    if not fits or outputs[1:] != (10,):
        raise ModelError(
            f"'{path}' maps inputs of shape {inputs[1:]} to {outputs[1:]}, not {(side, side)} "
            "images to ten digits: name a model of digits."
        )


def _as_probabilities(outputs: np.ndarray) -> np.ndarray:
    """Return rows of probabilities, also from a network that ends in logits."""
    if outputs.min() >= 0 and np.allclose(outputs.sum(axis=1), 1, atol=1e-3):
        return outputs
    exponentials = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))
