#!/usr/bin/env python3
"""Train the model that comes with the program, and put it in place with its card and checksum.

    python benchmarks/default_model.py
    python benchmarks/default_model.py --from digit_classification.keras   # trained already

The training is the trainer's own on the bundled MNIST.  What Keras wrote into its file is packed,
which changes no weight; what the detector reads is not, as to unpack it would take 20 ms each time.
Its card loses the paths of the machine that it was trained on.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # beside this file, numbers.py would hide the module of that name

import digit_classification_model_trainer as trainer  # noqa: E402
from digit_classification.files import replacing  # noqa: E402
from digit_classification.network.default_model import DEFAULT_MODEL  # noqa: E402
from digit_classification.network.model_file import CARD, ModelError, load_model  # noqa: E402
from digit_classification.settings import Settings, as_text  # noqa: E402

TRAINER = "digit_classification_model_trainer.py"
DATASETS = {"dataset": "mnist-train.zip", "test_dataset": "mnist-test.zip"}


def main(argv: Sequence[str] | None = None) -> int:
    """Put the model in place; return the exit status."""
    arguments = build_parser().parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        model = arguments.model
        if model is None:
            model = Path(folder) / DEFAULT_MODEL.name
            options = ["--config", str(ROOT / "config.yaml"), "--model", str(model)]
            if status := trainer.main(options):
                return status
        try:
            put_in_place(model, arguments.to)
        except ModelError as error:
            print(error, file=sys.stderr)
            return 2
    print(f"{arguments.to / DEFAULT_MODEL.name} is in place: run the tests, and commit the folder.")
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description="Train the model that comes with the program.")
    parser.add_argument(
        "--from", dest="model", type=Path, metavar="FILE", help="take this model, trained already"
    )
    parser.add_argument(
        "--to",
        type=Path,
        default=DEFAULT_MODEL.parent,
        metavar="FOLDER",
        help="where to put it (default: where the detector finds it)",
    )
    return parser


def put_in_place(model: Path, folder: Path) -> None:
    """Write the model, packed, into the folder, with its card, its page and its checksum.

    Raises ModelError if it is none that the trainer made of the bundled MNIST.
    """
    card = _card_without_paths(model)
    with replacing(folder / DEFAULT_MODEL.name) as file, zipfile.ZipFile(model) as archive:
        _pack(archive, card, file)
    packed = load_model(folder / DEFAULT_MODEL.name)
    _write(folder / "card.json", json.dumps(card, indent=2) + "\n")
    _write(folder / "README.md", _page(card, packed.path, packed.sha256))
    _write(folder / "SHA256SUMS", f"{packed.sha256}  {DEFAULT_MODEL.name}\n")


def _card_without_paths(model: Path) -> dict[str, Any]:
    """Return the card of the model, its datasets called as they are here."""
    card: dict[str, Any] = dict(load_model(model).card or {})
    datasets = card.get("datasets", {})
    for key, name in DATASETS.items():
        if Path(datasets.get(key, {}).get("path", "")).name != name:
            raise ModelError(f"'{model}' was not trained and tested on the bundled MNIST.")
        datasets[key]["path"] = f"dataset/{name}"
    settings = card["settings"]["dataset"]
    settings["path"], settings["test_path"] = (f"dataset/{name}" for name in DATASETS.values())
    return card


def _pack(archive: zipfile.ZipFile, card: Mapping[str, Any], file: Any) -> None:
    """Copy the members of a model file, with this card, and deflated but for the weights."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for name in archive.namelist():
            content = json.dumps(card).encode() if name == CARD else archive.read(name)
            method = zipfile.ZIP_STORED if name.endswith((".f32", ".f16")) else zipfile.ZIP_DEFLATED
            packed.writestr(zipfile.ZipInfo(name), content, method)


def _write(path: Path, text: str) -> None:
    with replacing(path) as file:
        file.write(text.encode())


def _page(card: Mapping[str, Any], path: Path, sha256: str) -> str:
    """Return what a person should know of the model, as Markdown."""
    test, versions = card["test"], card["versions"]
    judge = card.get("judge") or {}
    rows = {
        "made by": f"`{shlex.join(['python', TRAINER, *_options(card)])}`",
        "on": f"{card['created'][:10]}, in {card['training_seconds']:.0f} s, with Python "
        f"{versions['python']}, TensorFlow {versions['tensorflow']}, Keras {versions['keras']}",
        "learned from": "the 60,000 training images of the bundled MNIST, digits drawn by the "
        "program, and pictures simulated by it",
        "MNIST's test set": f"{test['accuracy']:.2%} of {test['images']:,} images, "
        f"loss {test['loss']:.4f}",
        "simulated pictures": f"{judge['right_of_ok']:.1%} of what is read without doubt is right; "
        f"a digit is seen in {judge['read_as_digit']:.1%} of those without"
        if judge
        else "none: it has no judge",
        "widths": " - ".join(map(str, card["widths"]))
        + (f"; of the judge {' - '.join(map(str, judge['widths']))}" if judge else ""),
        "size": f"{path.stat().st_size / 1e6:.1f} MB",
        "SHA-256": f"`{sha256}`",
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    return f"""# The model that comes with the program

It reads as long as you have trained none of your own, and name none with `--model`.

| | |
| --- | --- |
{table}

`card.json` has all settings, every epoch, and the figures of each digit. The file is as the trainer
wrote it, but packed: the weights are the same to the last bit. Written, with this page, by
`python benchmarks/default_model.py`; `sha256sum --check SHA256SUMS` checks it.
"""


def _options(card: Mapping[str, Any]) -> Iterator[str]:
    """Yield the options with which the training was not the default one."""
    default = json.loads(Settings().training.model_dump_json())
    for key, value in card["settings"]["training"].items():
        if value != default.get(key):
            yield f"--{key.replace('_', '-')}"
            yield as_text(value).strip("[]").replace(",", "")


if __name__ == "__main__":
    sys.exit(main())
