"""The scores of the test as a file, for `--metrics`."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

from digit_classification.config import SettingsError
from digit_classification.files import check_creatable, check_writable, may_replace, replacing

MAX_METRICS_BYTES = 2**20


def check_metrics(path: Path) -> None:
    """Raise SettingsError if the scores cannot be written to `path`."""
    try:
        check_writable(path)
        if path.is_file():  # a new one takes its place
            check_creatable(path)
        replaceable = may_replace(path, _holds_metrics)
    except OSError as error:
        raise SettingsError(
            f"'{path}' cannot be written: {error.strerror}: name another file with --metrics."
        ) from None
    if not replaceable:
        raise SettingsError(
            f"--metrics '{path}' is there already and holds no figures of a training: name another "
            "file, or move that one away."
        )


def _holds_metrics(path: Path) -> bool:
    """Whether a file was written by write_metrics."""
    if path.stat().st_size > MAX_METRICS_BYTES:
        return False
    try:
        scores = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    return isinstance(scores, dict) and {"accuracy", "confusion_matrix"} <= scores.keys()


def write_metrics(path: Path, evaluation: dict[str, Any]) -> None:
    """Write the scores of the test as JSON.

    Raises SettingsError if they cannot be written.
    """
    text = json.dumps(evaluation, indent=2) + "\n"
    try:
        if not may_replace(path, _holds_metrics):  # somebody has come during the training
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        if path.exists() and not path.is_file():  # a device or a pipe takes what it is given
            path.write_text(text, encoding="utf-8")
            return
        with replacing(path) as file:
            file.write(text.encode())
    except OSError as error:
        raise SettingsError(
            f"The model is saved, but the figures cannot be written to '{path}': {error.strerror}: "
            "find them in its digit_classification/card.json."
        ) from None
