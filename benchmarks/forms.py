#!/usr/bin/env python3
"""Measure how forms are read: tables and rows of boxes, drawn, scanned, photographed and turned.

    python benchmarks/forms.py --model digit_classification.keras
    python benchmarks/forms.py --model digit_classification.keras --count 4 --markdown table.md

Twelve layouts are drawn, always the same ones, and filled with MNIST's test digits, which no
training sees; a third of their cells are empty.  The tables go to standard output, progress to
standard error.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in the detector

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run from a checkout, which is not installed

from benchmarks.accuracy import (  # noqa: E402
    TEST_SET,
    BenchmarkError,
    check_outputs,
    write_markdown,
)
from benchmarks.pictures import load_digits  # noqa: E402
from digit_classification.cli.terminal import make_console  # noqa: E402
from digit_classification.config import Settings  # noqa: E402
from digit_classification.network.form import FormCell, read_forms  # noqa: E402
from digit_classification.network.model_file import Model, ModelError, load_model  # noqa: E402
from digit_classification.pictures.decode import LONGEST_FORM  # noqa: E402
from digit_classification.pictures.images import grey_from_array  # noqa: E402
from digit_classification.pictures.sources import SourceError  # noqa: E402
from digit_classification.settings import SURE  # noqa: E402
from digit_classification.training.numbers.forms import (  # noqa: E402
    CAMERAS,
    LAYOUTS,
    Camera,
    FormPicture,
    draw_form,
)
from digit_classification.training.scenes import Digits  # noqa: E402

START, END = "<!-- forms: written by benchmarks/forms.py -->", "<!-- end of forms -->"
COUNT = 2  # forms of each layout, by each camera
SAME = 0.6  # of the area of two boxes together they share: they are one cell


@dataclass
class Score:
    """How many cells there are, and what became of them."""

    pages: int = 0
    seconds: float = 0.0
    cells: int = 0
    found: int = 0
    placed: int = 0  # found, and in the right row and column
    invented: int = 0  # found where there is none
    numbers: int = 0
    right: int = 0
    ok: int = 0
    wrong_ok: int = 0
    empty: int = 0
    empty_read: int = 0
    printed: int = 0
    printed_ok: int = 0

    def add(self, picture: FormPicture, read: Sequence[FormCell], threshold: float) -> None:
        """Compare what is read with what was drawn."""
        self.pages += 1
        boxes = np.array([cell.box for cell in read]).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        taken = set()
        for truth in picture.cells:
            self.cells += 1
            at = _same(boxes, np.array(truth.box))
            cell = None if at is None else read[at]
            if at is not None and cell is not None:
                taken.add(at)
                self.found += 1
                self.placed += (cell.row, cell.column) == (truth.row, truth.column)
            text = None if cell is None else cell.reading.text
            ok = text is not None and (cell.reading.confidence or 0) >= threshold if cell else False
            if truth.printed:
                self.printed += 1
                self.printed_ok += ok
            elif truth.text is None:
                self.empty += 1
                self.empty_read += text is not None
            else:
                self.numbers += 1
                self.right += text == truth.text
                self.ok += ok
                self.wrong_ok += ok and text != truth.text
        self.invented += len(read) - len(taken)

    def row(self) -> list[str]:
        """Return the cells of its row in the table."""
        shares = (
            (self.found, self.cells),
            (self.placed, self.cells),
            (self.invented, self.cells),
            (self.right, self.numbers),
            (self.ok - self.wrong_ok, self.ok),
            (self.empty_read, self.empty),
            (self.printed_ok, self.printed),
        )
        texts = [f"{100 * part / whole:.1f}" if whole else "" for part, whole in shares]
        return [*texts, f"{self.pages / self.seconds:.1f}" if self.seconds else ""]


def _same(boxes: np.ndarray, box: np.ndarray) -> int | None:
    """Return which of the boxes, (n, 4): left, top, right, bottom, is that one."""
    if not len(boxes):
        return None
    common = np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2])
    shared = np.clip(common, 0, None).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + (box[2:] - box[:2]).prod()
    shares = shared / (areas - shared)
    best = int(shares.argmax())
    return best if shares[best] > SAME else None


def draw(name: str, camera: Camera, digits: Digits, count: int) -> Iterator[FormPicture]:
    """Yield `count` pictures of a layout; always the same ones."""
    rng = np.random.default_rng(zlib.crc32(f"{name}, {camera}".encode()))
    for _ in range(count):
        yield draw_form(rng, digits, LAYOUTS[name], camera)


def run(model: Model, digits: Digits, count: int) -> tuple[dict[str, Score], dict[str, Score]]:
    """Return the scores by layout, and by camera."""
    messages = make_console(stderr=True)
    layouts: dict[str, Score] = {name: Score() for name in LAYOUTS}
    cameras: dict[str, Score] = {name: Score() for name in CAMERAS}
    for name in LAYOUTS:
        for camera in CAMERAS:
            for picture in draw(name, camera, digits, count):
                begin = time.perf_counter()
                grey = grey_from_array(picture.pixels, LONGEST_FORM)
                network, judge = model.number_network, model.judge
                read = read_forms([grey], "auto", network, judge)[0]
                seconds = time.perf_counter() - begin
                for score in (layouts[name], cameras[camera]):
                    score.add(picture, read, SURE)
                    score.seconds += seconds
        messages.print(f"{name}: {', '.join(layouts[name].row())}")
    return layouts, cameras


def as_table(what: str, scores: dict[str, Score]) -> str:
    """Return Markdown with a row for each score."""
    columns = (
        "cells found",
        "in their row and column",
        "cells invented",
        "numbers right",
        "of what is `ok`, right",
        "empty cells read",
        "words read as `ok`",
        "pages a second, one core",
    )
    lines = [f"| {what} | " + " | ".join(columns) + " |", "| --- |" + " ---: |" * len(columns)]
    lines += [f"| {name} | " + " | ".join(score.row()) + " |" for name, score in scores.items()]
    return "\n".join(lines)


def total(scores: Sequence[Score]) -> Score:
    """Return the sum of scores."""
    whole = Score()
    for name in vars(whole):
        setattr(whole, name, sum(getattr(score, name) for score in scores))
    return whole


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; return the exit status."""
    parser = argparse.ArgumentParser(description="Measure how forms are read.")
    parser.add_argument("--model", type=Path, default=Settings().model.path)
    parser.add_argument("--count", type=int, default=COUNT, help="forms of each, by each camera")
    parser.add_argument("--digits", type=Path, default=TEST_SET, help="what they are filled with")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="also write the tables to FILE"
    )
    arguments = parser.parse_args(argv)
    if arguments.count < 1:
        parser.error(f"--count is {arguments.count}: give 1 or more")
    cv2.setNumThreads(1)
    try:
        check_outputs(arguments.markdown)
        model = load_model(arguments.model)
        digits = load_digits(arguments.digits)
        model.check_reads_numbers()
    except (ModelError, SourceError, BenchmarkError) as error:
        print(error, file=sys.stderr)
        return 2
    layouts, cameras = run(model, digits, arguments.count)
    by_camera = as_table("camera", cameras | {"all": total([*cameras.values()])})
    text = (
        f"{date.today()}, {arguments.model.name}, {arguments.count} of each layout by each camera; "
        f"in %.\n\n{by_camera}\n\n{as_table('layout', layouts)}\n"
    )
    if arguments.markdown:
        write_markdown(arguments.markdown, text, START, END)
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
