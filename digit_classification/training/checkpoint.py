"""What an interrupted training needs to go on: kept beside the model until it is saved.

The file is a NumPy archive without pickled objects, so that reading one runs no code.  It holds
the network and the optimiser as the last epoch left them, the network of the best epoch, and the
scores of all epochs.  Everything else (the order of the images and their distortions) follows
from the seed and the number of the epoch, so that a resumed training ends with the same bits as
one that was never interrupted.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from digit_classification.errors import UserError
from digit_classification.files import may_replace, replacing
from digit_classification.pictures.archive import DAMAGED
from digit_classification.settings import TrainingSettings

MAX_BYTES = 2**32
LONGEST_START = 64  # bytes, in which the name of a zip's first member stands
ABOUT = "about"  # the member with everything that is no array
# In the file: in the code.
ABOUT_KEYS = {"settings": "settings", "images": "images", "history": "curve", "seconds": "seconds"}
ARRAY_KEYS = ("weights", "optimizer", "best_weights")


class CheckpointError(UserError):
    """The training cannot be resumed; the message is one sentence for the user."""


@dataclass(frozen=True)
class Checkpoint:
    """A training between two epochs."""

    settings: Mapping[str, Any]  # that it must go on with
    images: str  # SHA-256 of the images that it must go on with
    curve: list[dict[str, float]]  # the scores of each epoch so far
    seconds: float  # that these epochs took
    weights: list[np.ndarray]  # of the network
    optimizer: list[np.ndarray]  # its momentum and its count of steps
    best_weights: list[np.ndarray]  # of the network after its best epoch


def checkpoint_path(model: Path) -> Path:
    """Return where the checkpoint of a training lies whose model goes to `model`."""
    return model.with_name(f"{model.name}.checkpoint")


def check_checkpoint(path: Path) -> None:
    """Find out before the training whether checkpoints may be kept at `path`.

    Raises CheckpointError if what is there is none.
    """
    try:
        replaceable = not path.is_dir() and may_replace(path, _is_checkpoint)
    except OSError:
        replaceable = False
    if not replaceable:
        raise CheckpointError(
            f"'{path}', where the training keeps what it needs to be resumed, is something else: "
            "move it away, or name another place with --model."
        )


def _is_checkpoint(path: Path) -> bool:
    """Whether the file begins like a checkpoint, were it damaged or not."""
    with open(path, "rb") as file:
        start = file.read(LONGEST_START)
    return start.startswith(b"PK") and f"{ABOUT}.npy".encode() in start


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint whole or not at all.

    Raises CheckpointError if it cannot be written.
    """
    about = {key: getattr(checkpoint, field) for key, field in ABOUT_KEYS.items()}
    members = {ABOUT: np.frombuffer(json.dumps(about).encode(), np.uint8)}
    for kind in ARRAY_KEYS:
        for number, array in enumerate(getattr(checkpoint, kind)):
            members[f"{kind}-{number:03}"] = array
    try:
        with replacing(path) as file:
            np.savez(file, allow_pickle=False, **members)
    except OSError as error:
        raise CheckpointError(
            f"The checkpoint '{path}' cannot be written: {error.strerror}: without it the training "
            "cannot be resumed; make room."
        ) from None


def load_checkpoint(path: Path, settings: Mapping[str, Any]) -> Checkpoint:
    """Read the checkpoint of a training with these settings.

    Raises CheckpointError if there is none, if it is damaged, or if its settings were others.
    """
    about, arrays = _read(path)
    if sorted(about) != sorted(ABOUT_KEYS):
        raise damaged(path)
    for key, value in settings.items():
        earlier = about["settings"].get(key)
        if earlier != value:
            raise CheckpointError(
                f"The training interrupted in '{path}' had {key} = {json.dumps(earlier)}, not "
                f"{json.dumps(value)}: give it the same, or train without --resume-training."
            )
    kinds: dict[str, Any] = {
        kind: [arrays[name] for name in sorted(arrays) if name.startswith(f"{kind}-")]
        for kind in ARRAY_KEYS
    }
    return Checkpoint(**{ABOUT_KEYS[key]: value for key, value in about.items()}, **kinds)


def settings_to_keep(training: TrainingSettings) -> dict[str, Any]:
    """Return the settings that a resumed training must share with the interrupted one."""
    return {f"training.{key}": value for key, value in training.model_dump(mode="json").items()}


def check_same_images(path: Path, checkpoint: Checkpoint, images: str) -> None:
    """Raise CheckpointError if the training at `path` learned from others than `images`."""
    if checkpoint.images != images:
        raise CheckpointError(
            f"The training interrupted in '{path}' learned from other images than "
            "these: give it the same, or train without --resume-training."
        )


def _read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
                raise damaged(path)
        with np.load(path, allow_pickle=False) as members:
            arrays = {name: members[name] for name in members.files}
        return dict(json.loads(arrays.pop(ABOUT).tobytes())), arrays
    except FileNotFoundError:
        raise CheckpointError(
            f"There is no interrupted training to resume ('{path}' is not there): train without "
            "--resume-training."
        ) from None
    except OSError as error:
        raise CheckpointError(
            f"'{path}' cannot be read: {error.strerror}: train without --resume-training."
        ) from None
    except (*DAMAGED, KeyError, TypeError):
        raise damaged(path) from None


def damaged(path: Path) -> CheckpointError:
    return CheckpointError(f"'{path}' is damaged: delete it, and train without --resume-training.")
