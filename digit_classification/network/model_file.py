"""One self-contained model file: a Keras archive that carries what the detector needs.

A `.keras` file is a zip.  Beside Keras's own members, which `keras.models.load_model` reads as
in any other, this one holds

    digit_classification/card.json    how it was made, and how well it does
    digit_classification/weights.f32  the weights of its layers, whose widths are in the card
    digit_classification/judge.f32    those of its judge, if it has one
    digit_classification/numbers.f32  those of the judge's certainty of numbers, if it has one
    digit_classification/pairs.f16    those of what reads two digits that touch, if there is one

which is all that the detector reads: see `inference.py` for why, and for the rounding of the first
kernel.  (Files of earlier versions hold it as it was learned; loading rounds it.)  A file may come
from a stranger, so every member is bounded before it is unpacked, and nothing in it is run.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from digit_classification import __version__
from digit_classification.cli.quiet import native_output_discarded
from digit_classification.errors import UserError
from digit_classification.files import (
    check_creatable,
    check_writable,
    folder_beside,
    may_replace,
    put_in_place,
)
from digit_classification.names import printable
from digit_classification.network import inference
from digit_classification.network.inference import Activations, Network, NetworkError
from digit_classification.network.judge import Judge, ReadingNetwork, packed_size
from digit_classification.network.numbers import certainty, pairs
from digit_classification.pictures import images
from digit_classification.pictures.archive import DAMAGED, Archive, ArchiveError

CARD = "digit_classification/card.json"
WEIGHTS = "digit_classification/weights.f32"
JUDGE = "digit_classification/judge.f32"
NUMBERS = "digit_classification/numbers.f32"
PAIRS = "digit_classification/pairs.f16"
MAX_MODEL_BYTES = 2**31  # Keras's own copy of the weights, and ours
MAX_CARD_BYTES = 2**24
HDF5_START = b"\x89HDF\r\n\x1a\n"
PICKLE_STARTS = tuple(b"\x80" + bytes([protocol]) for protocol in range(2, 6))
PICKLE_SUFFIXES = frozenset({".pkl", ".pickle", ".joblib", ".pt", ".pth", ".ckpt"})


class ModelError(UserError):
    """The model file cannot be used; the message is one sentence for the user."""


@dataclass(frozen=True)
class Model:
    """A network, ready to classify, and where it came from."""

    path: Path
    sha256: str  # of the file
    card: Mapping[str, Any] | None  # None for a .keras file made elsewhere
    network: Network
    judge: Judge | None = None  # that says which way to see a picture is believed

    @property
    def made_elsewhere(self) -> bool:
        """Whether Keras computes its network, in a process that only this one can ask."""
        return self.card is None

    def check_reads_numbers(self) -> None:
        """Raise ModelError if the model cannot tell which part of a picture is a digit."""
        if self.judge is None:
            raise ModelError(
                f"The model '{self.path}' has no judge, which numbers are read with: train one "
                "with the trainer, or leave out --read."
            )

    @property
    def number_network(self) -> ReadingNetwork:
        """What reads the digits of numbers; raises ModelError as `check_reads_numbers`."""
        self.check_reads_numbers()
        assert isinstance(self.network, ReadingNetwork)  # or there could be no judge
        return self.network


# ------------------------------------------------------------------------------------- saving


def check_destination(path: Path) -> None:
    """Find out before the training whether its model can be saved at `path`; write nothing.

    Raises ModelError if it cannot, or if what is there is no model that the trainer made.
    """
    if path.is_dir():
        raise ModelError(f"'{path}' is a folder: name a file with --model.")
    with saving(path):
        check_creatable(path, with_folders=True)  # a new file takes the place of an old one
        if path.exists():
            check_writable(path)
        replaceable = may_replace(path, _is_made_here)
    if not replaceable:
        raise ModelError(
            f"'{path}' is no model that the trainer made, and is not overwritten: move it away, or "
            "name another with --model."
        )


def _is_made_here(path: Path) -> bool:
    """Whether there is a model of the trainer, of this version or an earlier one."""
    try:
        with zipfile.ZipFile(path) as archive:
            return CARD in archive.namelist()
    except DAMAGED:
        return False


def save_model(path: Path, model: Any, card: Mapping[str, Any], judge: Judge | None = None) -> None:
    """Write the Keras `model`, its `card` and its judge to `path`, whole or not at all.

    Raises ModelError if `path` cannot be written, or holds something else than such a model.
    """
    check_destination(path)
    with saving(path), folder_beside(path) as folder:
        whole = folder / "model.keras"
        with native_output_discarded():
            model.save(whole)
        widths, weights = inference.pack(model)
        whole_card = {**stamped(card), "widths": widths}
        if judge is not None:
            judge_card, judge_weights = judge.pack()
            whole_card["judge"] = {**(card.get("judge") or {}), **judge_card}
        with zipfile.ZipFile(whole, "a") as archive:  # stored: packing gains 8 %, costs 20 ms
            archive.writestr(CARD, json.dumps(whole_card, indent=2, ensure_ascii=False))
            archive.writestr(WEIGHTS, weights)
            if judge is not None:
                archive.writestr(JUDGE, judge_weights)
                if judge.numbers is not None:
                    archive.writestr(NUMBERS, judge.numbers.content)
                if judge.pairs is not None:
                    archive.writestr(PAIRS, judge.pairs.content)
        put_in_place(whole, path)


@contextlib.contextmanager
def saving(path: Path) -> Iterator[None]:
    """Turn what the operating system says into a sentence about the model."""
    try:
        yield
    except OSError as error:
        raise ModelError(
            f"The model cannot be saved at '{path}': {error.strerror}: name another place."
        ) from None


def stamped(card: Mapping[str, Any]) -> dict[str, Any]:
    """Return the card with what is true of every model that this program saves."""
    import platform

    import keras
    import sklearn
    import tensorflow

    return {
        "format": 2,
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


# ------------------------------------------------------------------------------------ loading


def load_model(path: Path, notice: Callable[[str], None] = lambda text: None) -> Model:
    """Load the model file at `path`; one made elsewhere is loaded with Keras, said by `notice`.

    Its network raises ModelError, too, if what it computes are no probabilities.

    Raises ModelError if there is none, if it is no model, or if it does not fit.
    """
    if path.is_dir():
        raise ModelError(f"'{path}' is a folder: name a .keras file with --model.")
    if not path.is_file():
        raise ModelError(
            f"There is no model at '{path}': train one with "
            "digit_classification_model_trainer.py, or name another with --model."
        )
    try:
        if path.stat().st_size > MAX_MODEL_BYTES:
            raise ModelError(f"'{path}' is too large for a model of digits: check --model.")
        with Archive(path) as archive:
            return _read_model(archive, path, notice)
    except ArchiveError as error:
        raise ModelError(_why_no_archive(path, error)) from None
    except OSError as error:
        raise ModelError(
            f"The model '{path}' cannot be read: {error.strerror}: check --model."
        ) from None


def _read_model(archive: Archive, path: Path, notice: Callable[[str], None]) -> Model:
    names, sha256 = archive.namelist(), archive.sha256()
    if any(name.endswith("data.pkl") for name in names):
        raise ModelError(_why_no_pickle(path))
    if "metadata.json" not in names:
        raise ModelError(f"'{path}' is a zip, but no Keras model: name a .keras file.")
    try:
        if CARD not in names:
            if not all(map(importlib.util.find_spec, ("keras", "tensorflow"))):
                raise ModelError(
                    f"'{path}' was not made by the trainer, and Keras, which computes such models, "
                    "is not installed: pip install -r requirements.txt."
                )
            from digit_classification.network.made_elsewhere import load_foreign  # what few need

            notice(
                f"'{path}' was not made by the trainer: loading it with Keras, which takes longer."
            )
            foreign = CheckedNetwork(load_foreign(archive, path, notice), path)
            return Model(path, sha256, None, foreign)
        card = _read_card(archive, path)
        weights = archive.read_member(WEIGHTS, inference.packed_size(card["widths"]))
        network = inference.unpack(card["widths"], weights)
        judge = _read_judge(archive, card, network.hidden_width)
        return Model(path, sha256, card, CheckedNetwork(network, path), judge)
    except (NetworkError, ArchiveError) as error:
        raise ModelError(
            f"The network in '{path}' cannot be used ({_shown(error)}): train the model again, or "
            "name another with --model."
        ) from None
    except KeyError:
        raise ModelError(
            f"'{path}' holds no '{WEIGHTS}', as one of an earlier version: train the model again."
        ) from None


def _read_judge(archive: Archive, card: Mapping[str, Any], hidden_width: int) -> Judge | None:
    """Return the judge that goes with the network, if there is one."""
    if JUDGE not in archive.namelist():
        return None
    size = packed_size(card.get("judge"), hidden_width)
    judge = Judge.unpack(card.get("judge"), archive.read_member(JUDGE, size), hidden_width)
    names = archive.namelist()  # models of earlier versions lack what follows
    if NUMBERS in names:
        content = archive.read_member(NUMBERS, certainty.PACKED_SIZE)
        judge = replace(judge, numbers=certainty.NumberCertainty.unpack(content))
    if PAIRS in names:
        content = archive.read_member(PAIRS, pairs.PACKED_SIZE)
        judge = replace(judge, pairs=pairs.Pairs.unpack(content))
    return judge


@dataclass(frozen=True)
class CheckedNetwork:
    """A network that raises ModelError rather than return what is no number."""

    network: Any  # a Network
    path: Path

    def __call__(self, digits: np.ndarray) -> np.ndarray:
        try:
            return self._finite(self.network(digits))
        except NetworkError as error:
            raise ModelError(
                f"The network in '{self.path}' cannot be used: {_shown(error)}."
            ) from None

    def with_hidden(self, digits: np.ndarray) -> tuple[np.ndarray, Activations]:
        """Return the probabilities, and the last layer's inputs, as `DenseNetwork` does."""
        probabilities, hidden = self.network.with_hidden(digits)
        return self._finite(probabilities), hidden

    def _finite(self, probabilities: np.ndarray) -> np.ndarray:
        if not np.isfinite(probabilities).all():
            raise ModelError(
                f"The network in '{self.path}' computes no probabilities: train the model again."
            )
        return probabilities


def _read_card(archive: Archive, path: Path) -> dict[str, Any]:
    try:
        card = json.loads(archive.read_member(CARD, MAX_CARD_BYTES))
        preparation, created = card["preparation"], card["created"]
        if not isinstance(created, str) or len(created) > 64:
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError, ArchiveError):
        raise ModelError(f"'{path}' has a damaged card: train the model again.") from None
    if preparation != images.PREPARATION:
        raise ModelError(
            f"'{path}' was trained on images prepared in another way ({_shown(preparation)}) "
            f"than this version prepares them ({images.PREPARATION}): train the model again."
        )
    return dict(card)


def _shown(text: object) -> str:
    """Return a stranger's words for a message: bounded, and nothing that a terminal obeys."""
    return printable(str(text)[:200])


def _why_no_archive(path: Path, error: ArchiveError) -> str:
    with open(path, "rb") as file:
        start = file.read(16)
    if start.startswith(HDF5_START):
        return (
            f"'{path}' is an HDF5 model, which can run code when it is loaded. If you trust it, "
            "save it as .keras in Python, and name that with --model:\n"
            "    import keras\n"
            f"    keras.models.load_model({str(path)!r}).save({str(path.with_name('new.keras'))!r})"
        )
    if start.startswith(PICKLE_STARTS) or path.suffix.lower() in PICKLE_SUFFIXES:
        return _why_no_pickle(path)
    if not start:
        return f"The model '{path}' is empty: train it again."
    if not start.startswith(b"PK"):
        return f"'{path}' is no Keras model, or is damaged: name a .keras file with --model."
    return f"The model '{path}' is {error}: name another with --model."


def _why_no_pickle(path: Path) -> str:
    return (
        f"'{path}' is a pickle, which can run code when it is loaded: "
        "name a .keras file with --model, or train a new one."
    )
