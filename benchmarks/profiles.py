#!/usr/bin/env python3
"""Where the time goes on each way through the detector, part by part, on one core.

    python benchmarks/profiles.py start MODEL PICTURE
    python benchmarks/profiles.py digit MODEL FOLDER

Prints one JSON object: the milliseconds of CPU time of each part, for each picture.  What a part
calls that is a part itself counts there alone.  `benchmarks/speed.py` makes its table of them.
"""

from __future__ import annotations

import os

if __name__ == "__main__":
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # as in the detector, before NumPy is imported

import functools
import importlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parent.parent)

OTHER = "all else"
# What is called there, and which part of the work that is.
PARTS: dict[str, str] = {
    "pictures.sources.Source.read": "reading the file",
    "pictures.prepare.hashlib.sha256": "its checksum",
    "pictures.prepare.decode": "decoding",
    "pictures.prepare.decode_pages": "decoding",
    "pictures.images.grey_from_array": "grey",
    "pictures.images.normalize_ready": "MNIST's form",
    "detection.reading.choose": "network, judge, further looks",
    "detection.reading._result": "the result",
    "network.number.see": "finding the line",
    "network.numbers.ways.cut_further": "cutting it further",
    "network.number.look_elsewhere": "looking elsewhere",
    "network.number.find_row": "looking for boxes",
    "network.numbers.ways.score": "network and judge",
    "network.numbers.ways.best_paths": "the best path",
    "network.number.choose": "as one digit, network and judge",
    "network.form.find_cells": "finding the cells",
    "results.database.ResultsDatabase.add": "storing",
}


class Clock:
    """Adds up the CPU time of parts; that of a part within another counts for the inner one."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._stack: list[str] = [OTHER]
        self._last = time.process_time()

    def turn(self, name: str | None) -> None:
        """Begin a part, or go back to the one around it."""
        now = time.process_time()
        part = self._stack[-1]
        self.seconds[part] = self.seconds.get(part, 0.0) + now - self._last
        self._last = now
        if name is None:
            self._stack.pop()
        else:
            self._stack.append(name)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count what is done meanwhile as this part."""
        self.turn(name)
        try:
            yield
        finally:
            self.turn(None)


def _timed(function: Callable[..., Any], clock: Clock, name: str) -> Callable[..., Any]:
    @functools.wraps(function)
    def timed(*arguments: Any, **options: Any) -> Any:
        with clock.part(name):
            return function(*arguments, **options)

    return timed


def install(clock: Clock, parts: Mapping[str, str]) -> None:
    """Have the clock count what PARTS names, for the rest of this process."""
    for place, name in parts.items():
        holder: Any = None
        *path, last = place.split(".")
        for split in range(len(path), 0, -1):
            try:
                holder = importlib.import_module(".".join(["digit_classification", *path[:split]]))
            except ModuleNotFoundError:
                continue
            for each in path[split:]:
                holder = getattr(holder, each)
            break
        setattr(holder, last, _timed(getattr(holder, last), clock, name))


def start(model: str, picture: str) -> dict[str, float]:
    """Return the milliseconds from the start of Python to a stored result."""
    clock = Clock()
    clock.seconds["Python"] = clock._last  # since the start of the process
    with clock.part("importing NumPy, OpenCV, Pillow, sqlite3"):
        import sqlite3

        import cv2
        import numpy as np
        import PIL.Image

        assert sqlite3, (cv2, np, PIL.Image)
    with clock.part("importing pydantic and PyYAML"):
        import pydantic
        import yaml

        assert pydantic, yaml
    with clock.part("the settings' types"):
        import digit_classification.settings

        assert digit_classification.settings
    with clock.part("importing the program"):
        import digit_classification_detector as detector
    own = {"load_settings": "config.yaml", "load_model": "the model", "_classify": "one picture"}
    for name, part in own.items():
        setattr(detector, name, _timed(getattr(detector, name), clock, part))
    with tempfile.TemporaryDirectory() as folder:
        words = [picture, "--model", model, "--database", f"sqlite:///{folder}/d.db", "--quiet"]
        with open(os.devnull, "w", encoding="utf-8") as nowhere:
            sys.stdout, standard = nowhere, sys.stdout
            detector.main(words)
            sys.stdout = standard
    clock.turn(OTHER)
    return {part: 1000 * seconds for part, seconds in clock.seconds.items()}


def each(read: str, model: str, folder: str) -> dict[str, float]:
    """Return the milliseconds of each picture in a folder, read as a digit, number or form."""
    os.environ.update(DIGITS_DETECTION_WORKERS="1", DIGITS_DETECTION_READ=read)
    import digit_classification_detector as detector
    from digit_classification.results.database import ResultsDatabase

    count = len(os.listdir(folder))
    with tempfile.TemporaryDirectory() as scratch:
        url = f"sqlite:///{scratch}/d.db"
        with ResultsDatabase.open(url) as database:
            predictor = detector.DigitPredictor(model, database=database)
            for _ in predictor.classify_images([min(Path(folder).iterdir()).as_posix()]):
                pass  # once, for what is imported with the first
            clock = Clock()
            install(clock, PARTS)
            for _ in predictor.classify_images([folder]):
                pass
            clock.turn(OTHER)
    return {part: 1000 * seconds / count for part, seconds in clock.seconds.items()}


def main(command: str, *arguments: str) -> None:
    """Print a profile."""
    profile = start(*arguments) if command == "start" else each(command, *arguments)
    print(json.dumps(profile))


if __name__ == "__main__":
    main(*sys.argv[1:])
