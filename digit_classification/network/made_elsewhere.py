"""A .keras file made elsewhere, run by Keras in a process of its own.

Keras's safe mode refuses Lambda layers, but a stranger's file meets HDF5 and TensorFlow all the
same, which are written in C and C++ and trust sizes.  So

- of the archive only Keras's own three members are used, each bounded, copied to a new file;
- its configuration may name the layers below, and nothing else;
- it is built without weights first, to see how large it is;
- in which form it expects its pixels is tried out (`input_forms`);
- all of this happens in a process that may crash, or be ended when it hangs, without harm.
"""

from __future__ import annotations

import functools
import json
import multiprocessing
import os
import signal
import tempfile
import zipfile
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from digit_classification.cli.quiet import import_keras
from digit_classification.network.inference import MAX_PARAMETERS, Network, NetworkError
from digit_classification.network.input_forms import TRIALS, InputForm, find_form
from digit_classification.parallel.processes import starting_processes
from digit_classification.pictures import images
from digit_classification.pictures.archive import Archive, ArchiveError

METADATA, CONFIG, WEIGHTS = "metadata.json", "config.json", "model.weights.h5"
LIMITS = {METADATA: 2**16, CONFIG: 2**20, WEIGHTS: 4 * MAX_PARAMETERS}  # bytes
MAX_OUTPUT = 2**20  # values that a layer computes for one image
BATCH = 64  # images at a time: 256 MiB for such a layer
MAX_ANSWER = 2**16  # bytes
TIMEOUT_S = 120  # importing TensorFlow takes up to 10 on a slow machine

_LAYERS = frozenset(
    (
        *("InputLayer", "Rescaling", "Normalization", "Flatten", "Reshape", "Permute"),
        *("Dense", "Conv2D", "SeparableConv2D", "DepthwiseConv2D", "ZeroPadding2D"),
        *("MaxPooling2D", "AveragePooling2D", "GlobalMaxPooling2D", "GlobalAveragePooling2D"),
        *("Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax"),
        *("BatchNormalization", "LayerNormalization", "Add", "Multiply", "Concatenate"),
        *("Dropout", "SpatialDropout2D", "GaussianDropout", "GaussianNoise"),
        *("RandomRotation", "RandomTranslation", "RandomZoom"),
    )
)
# What a configuration may name: module -> classes, None for all that Keras exports there.
_ALLOWED: dict[str | None, frozenset[str] | None] = {
    None: frozenset({"__keras_tensor__", "__tuple__"}),
    "keras": frozenset({"Sequential", "Model", "DTypePolicy"}),
    "keras.models": frozenset({"Sequential", "Model"}),
    "keras.src.models.functional": frozenset({"Functional"}),
    "keras.layers": _LAYERS,
    "keras.initializers": None,
    "keras.regularizers": None,
    "keras.constraints": None,
}


def load_foreign(archive: Archive, path: Path, notice: Callable[[str], None]) -> Network:
    """Return the network in the .keras archive at `path`; `notice` hears what its input is.

    Raises NetworkError with a short reason.
    """
    parent, child = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "model.keras"
        _copy_bounded(archive, copy)
        process = context.Process(target=_serve, args=(child, str(copy)), daemon=True)
        with starting_processes():
            process.start()
        child.close()  # the parent's end then tells when the process is gone
        answer = json.loads(_receive(parent, process))
    if "problem" in answer:
        raise NetworkError(answer["problem"])
    _check_shapes(tuple(answer["inputs"]), tuple(answer["outputs"]))

    def compute(digits: np.ndarray, form: InputForm) -> np.ndarray:
        portions = [digits[i : i + BATCH] for i in range(0, len(digits), BATCH)]
        return np.concatenate([_ask(parent, process, portion, form) for portion in portions])

    form, count = find_form(compute, rescales=answer["rescales"])
    notice(f"It reads {count} of {TRIALS} trial digits with pixels of {form.name}.")
    return functools.partial(compute, form=form)


def _copy_bounded(archive: Archive, copy: Path) -> None:
    """Write a .keras file anew that holds what was looked at, and nothing else."""
    further = sorted(set(archive.namelist()) - set(LIMITS))
    if further:
        raise NetworkError(f"it holds '{further[0]}', which no plain network of digits needs")
    try:
        members = {name: archive.read_member(name, limit) for name, limit in LIMITS.items()}
        members[CONFIG] = _checked_config(members[CONFIG])
    except KeyError as error:
        raise NetworkError(f"it lacks the member {error}") from None
    except ArchiveError as error:
        raise NetworkError(f"one of its members is {error}") from None
    with zipfile.ZipFile(copy, "w") as whole:
        for name, content in members.items():
            whole.writestr(name, content)


def _checked_config(content: bytes) -> bytes:
    try:
        config = json.loads(content)
        if not isinstance(config, dict):
            raise ValueError
        config.pop("compile_config", None)  # its optimizer and loss are for training
        _check_classes(config)
        return json.dumps(config).encode()
    except (ValueError, RecursionError) as error:
        if isinstance(error, NetworkError):
            raise
        raise NetworkError("its configuration is damaged") from None


def _check_classes(part: object) -> None:
    """Refuse a configuration that names anything but known layers and what belongs to them."""
    if isinstance(part, dict):
        if "class_name" in part:
            module, name = part.get("module"), part["class_name"]
            known = isinstance(module, str | None) and isinstance(name, str)
            allowed = _ALLOWED.get(module, frozenset()) if known else frozenset()
            if not known or (allowed is not None and name not in allowed):
                raise NetworkError(
                    f"it holds {module}.{name}, which is no layer of a plain network of digits"
                )
            if part.get("registered_name") not in (None, name):
                raise NetworkError(f"it holds code of its own, {part['registered_name']}")
        part = list(part.values())
    if isinstance(part, list):
        for inner in part:
            _check_classes(inner)


def _check_shapes(inputs: tuple[int, ...], outputs: tuple[int, ...]) -> None:
    side = images.SIDE
    fits = inputs[1:] in ((side, side), (side, side, 1), (side * side,))
    if not fits or outputs[1:] != (10,):
        raise NetworkError(
            f"it maps inputs of shape {inputs[1:]} to {outputs[1:]}, not {(side, side)} "
            "images to ten digits"
        )


def _ask(connection: Connection, process: Any, digits: np.ndarray, form: InputForm) -> np.ndarray:
    try:
        connection.send_bytes(form(digits).tobytes())
    except OSError:
        raise NetworkError("Keras's process has ended") from None
    answer = _receive(connection, process)
    if len(answer) != 4 * 10 * len(digits):
        raise NetworkError("Keras cannot compute with it")
    return _as_probabilities(np.frombuffer(answer, np.float32).reshape(-1, 10))


def _receive(connection: Connection, process: Any) -> bytes:
    try:
        if connection.poll(TIMEOUT_S):
            return connection.recv_bytes(MAX_ANSWER)
    except (EOFError, OSError):
        process.join(TIMEOUT_S)
        raise NetworkError(f"Keras's process crashed, exit code {process.exitcode}") from None
    process.kill()
    raise NetworkError(f"Keras has not answered for {TIMEOUT_S} s")


def _as_probabilities(outputs: np.ndarray) -> np.ndarray:
    """Return rows of probabilities, also from a network that ends in logits."""
    if outputs.min() >= 0 and np.allclose(outputs.sum(axis=1), 1, atol=1e-3):
        return outputs
    exponentials = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


# ------------------------------------------------------------------------- in Keras's process


def _serve(connection: Connection, path: str) -> None:
    """Load the model at `path`, tell its shapes, and answer digits with outputs until the end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    try:
        compute, rescales, inputs, outputs = _load(path)
    except Exception as error:  # Keras raises whatever the archive makes it stumble over
        lines = str(error).strip().splitlines() or [type(error).__name__]
        problem = f"Keras cannot load it: {lines[0][:200].rstrip('.')}"
        connection.send_bytes(json.dumps({"problem": problem}).encode())
        return
    about = {"inputs": inputs, "outputs": outputs, "rescales": rescales}
    connection.send_bytes(json.dumps(about).encode())
    while True:
        try:
            pixels = np.frombuffer(connection.recv_bytes(), np.float32)
        except EOFError:  # the parent is done
            return
        connection.send_bytes(compute(pixels).astype(np.float32).tobytes())


def _load(path: str) -> tuple[Any, bool, tuple[int | None, ...], tuple[int | None, ...]]:
    """Return the function that computes, whether the model rescales, and its shapes."""
    keras = import_keras()
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read(CONFIG))
    # In this scope variables have shapes, but take no memory.
    with keras.StatelessScope(initialize_variables=False):
        _check_size(keras, keras.saving.deserialize_keras_object(config, safe_mode=True))
    keras.backend.clear_session()
    model = keras.models.load_model(path, compile=False, safe_mode=True)
    inputs, outputs = tuple(model.input_shape), tuple(model.output_shape)
    rescales = any(isinstance(layer, keras.layers.Rescaling) for layer in model.layers)

    def compute(pixels: np.ndarray) -> np.ndarray:
        return np.asarray(model.predict_on_batch(pixels.reshape(-1, *inputs[1:])))

    return compute, rescales, inputs, outputs


def _check_size(keras: Any, model: Any) -> None:
    if model.count_params() > MAX_PARAMETERS:
        raise ValueError(f"more than {MAX_PARAMETERS:,} weights")
    for layer in model.layers:
        if hasattr(layer, "layers"):
            _check_size(keras, layer)
        for output in keras.tree.flatten(layer.output):
            if np.prod([side or 1 for side in output.shape], dtype=float) > MAX_OUTPUT:
                raise ValueError(
                    f"the layer '{layer.name}' computes more than {MAX_OUTPUT:,} values"
                )
