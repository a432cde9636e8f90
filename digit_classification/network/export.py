"""A trained model in the forms that other programs run.

    onnx          one file, for ONNX Runtime, OpenCV, browsers, .NET, ...
    tflite        one file, for LiteRT (TensorFlow Lite), on phones and small boards
    saved_model   a folder, for TensorFlow and TensorFlow Serving

All take float32 pixels, (n, 28, 28), 0 to 255, light ink on black in MNIST's convention, and
give float32 probabilities, (n, 10).  What brings a picture to that form is
`digit_classification.pictures.images.normalize`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from digit_classification.cli.quiet import import_keras, native_output_discarded
from digit_classification.files import check_creatable, folder_beside, put_in_place
from digit_classification.network.model_file import ModelError, load_model
from digit_classification.pictures.images import SIDE

FORMATS = ("onnx", "tflite", "saved_model")
ONNX_REQUIREMENT = "onnx==1.23.2"
# Read by ONNX Runtime since 1.12 (2022), and by what is as old.
ONNX_OPSET, ONNX_IR = 17, 8


def default_destination(model: Path, format_name: str) -> Path:
    """Return where the export of a model goes unless the user says otherwise: beside it."""
    if format_name == "saved_model":
        return model.with_name(f"{model.stem}_saved_model")
    return model.with_suffix(f".{format_name}")


def check_export(format_name: str, destination: Path) -> None:
    """Find out, before a training, whether its model can be exported.

    Raises ModelError if something is at `destination` already, if nothing can be written there,
    or if a package is missing.
    """
    if os.path.lexists(destination):
        raise ModelError(
            f"'{destination}' is there already, and an export overwrites nothing: delete it, or "
            "name another with --export-to."
        )
    with _exporting(destination):
        check_creatable(destination, with_folders=True)
    if format_name == "onnx" and importlib.util.find_spec("onnx") is None:
        raise ModelError(
            f"Exporting to ONNX needs a package: python -m pip install {ONNX_REQUIREMENT}."
        )


def check_exportable(path: Path) -> Mapping[str, Any]:
    """Return the card of the model file at `path`.

    Raises ModelError if it cannot be used, or was not made by the trainer.
    """
    card = load_model(path).card
    if card is None:
        raise ModelError(
            f"'{path}' was not made by the trainer: export it with Keras, model.export(...)."
        )
    return card


def export_model(path: Path, format_name: str, destination: Path) -> None:
    """Write the model file at `path`, one that the trainer made, in another format.

    It is written beside `destination` first and then takes its name, whole or not at all.

    Raises ModelError if the model cannot be used, or if `destination` cannot be written.
    """
    card = check_exportable(path)
    with _exporting(destination), folder_beside(destination) as folder:
        new = folder / destination.name
        if format_name == "tflite":
            new.write_bytes(_to_tflite(load_keras(path)))
        elif format_name == "onnx":
            new.write_bytes(_to_onnx(load_keras(path), card["preparation"]))
        else:
            with native_output_discarded():
                load_keras(path).export(new, format="tf_saved_model", verbose=False)
        check_export(format_name, destination)  # a training takes long; somebody may have come
        put_in_place(new, destination)


@contextlib.contextmanager
def _exporting(destination: Path) -> Iterator[None]:
    """Turn what the operating system says into a sentence about the export."""
    try:
        yield
    except OSError as error:
        raise ModelError(
            f"The export cannot be written to '{destination}': {error.strerror}: name another "
            "place with --export-to."
        ) from None


def load_keras(path: Path) -> Any:
    return import_keras().models.load_model(path, compile=False, safe_mode=True)


def _to_tflite(model: Any) -> bytes:
    import tensorflow

    with native_output_discarded():
        network: bytes = tensorflow.lite.TFLiteConverter.from_keras_model(model).convert()
    return network


def _to_onnx(model: Any, preparation: dict[str, Any]) -> bytes:
    """Return the network as an ONNX graph: Mul, Flatten, Gemm and Relu, Gemm and Softmax.

    Keras's own export needs tf2onnx, which goes through TensorFlow's graph; a network this plain
    is sooner written down.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    layers = import_keras().layers
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []

    def add(operation: str, *constants: np.ndarray, **attributes: Any) -> None:
        """Append a node that takes the output of the one before, and these constants."""
        source = nodes[-1].output[0] if nodes else "pixels"
        result = f"{operation.lower()}_{len(nodes)}"
        names = [f"{result}_{number}" for number in range(len(constants))]
        weights.extend(map(numpy_helper.from_array, constants, names))
        nodes.append(helper.make_node(operation, [source, *names], [result], **attributes))

    for layer in model.layers:
        if isinstance(layer, layers.Rescaling):
            add("Mul", np.array(layer.scale, np.float32))
        elif isinstance(layer, layers.Flatten):
            add("Flatten", axis=1)
        elif isinstance(layer, layers.Dense):
            add("Gemm", *layer.get_weights())
            add({"relu": "Relu", "softmax": "Softmax"}[layer.activation.__name__])
    nodes[-1].output[0] = "probabilities"
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", SIDE, SIDE])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 10])],
        weights,
    )
    network = helper.make_model(
        graph,
        producer_name="digit_classification",
        opset_imports=[helper.make_opsetid("", ONNX_OPSET)],
        ir_version=ONNX_IR,
    )
    helper.set_model_props(network, {"preparation": json.dumps(preparation)})
    onnx.checker.check_model(network, full_check=True)
    content: bytes = network.SerializeToString()
    return content
