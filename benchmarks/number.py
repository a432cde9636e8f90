#!/usr/bin/env python3
"""Measure how numbers of several digits are read, written and set in many ways.

    python benchmarks/number.py --model digit_classification.keras
    python benchmarks/number.py --model digit_classification.keras --count 500
    python benchmarks/number.py --model digit_classification.keras --hands photos --hands scans
    python benchmarks/number.py --model digit_classification.keras --peers

The numbers are drawn, always the same ones, of MNIST's test digits, which no training sees.  With
--hands they are drawn of other people's digits as well: of the pictures that the `labels.tsv` of a
folder lists, as the preparation sees them.  With --peers tesseract (digits only, one line) and
rapidocr read the same pictures, as far as they are installed.  The table goes to standard output,
progress to standard error.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in the detector

import cv2
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run from a checkout, which is not installed

from benchmarks.accuracy import (  # noqa: E402
    NO_DIGIT,
    TEST_SET,
    BenchmarkError,
    check_outputs,
    in_table,
    write_markdown,
)
from benchmarks.pictures import load_digits  # noqa: E402
from digit_classification.cli.terminal import make_console  # noqa: E402
from digit_classification.config import Settings  # noqa: E402
from digit_classification.network.model_file import Model, ModelError, load_model  # noqa: E402
from digit_classification.network.number import read_numbers  # noqa: E402
from digit_classification.pictures.images import grey_from_array  # noqa: E402
from digit_classification.pictures.prepare import prepare_all  # noqa: E402
from digit_classification.pictures.sources import SourceError  # noqa: E402
from digit_classification.settings import SURE_OF_NUMBER  # noqa: E402
from digit_classification.training.numbers.drawing import (  # noqa: E402
    Layout,
    NumberPicture,
    draw_number,
)
from digit_classification.training.scenes import Digits  # noqa: E402

START, END = "<!-- numbers: written by benchmarks/number.py -->", "<!-- end of numbers -->"
COUNT = 200  # numbers of each kind
ONE_TO_EIGHT = (1, 8)

KINDS = {
    "4 digits, apart": Layout("apart", count=(4, 4)),
    "4 digits, close": Layout("close", count=(4, 4)),
    "4 digits, two of them touching": Layout("touching", count=(4, 4), contacts=1),
    "4 digits, all touching": Layout("touching", count=(4, 4)),
    "4 digits, two of them overlapping": Layout("overlapping", count=(4, 4), contacts=1),
    "4 digits, all overlapping": Layout("overlapping", count=(4, 4)),
    "slanted base line": Layout("apart", "plain", slope=15, count=(2, 8), real=True),
    "8 digits in a comb": Layout("apart", "comb", count=(8, 8), real=True),
    "a box for each digit": Layout("apart", "boxes", ONE_TO_EIGHT, real=True),
    "one box around all": Layout("close", "box", ONE_TO_EIGHT, real=True),
    "on paper": Layout("close", "plain", ONE_TO_EIGHT, slope=4, real=True),
    "on ruled paper": Layout("apart", "ruled", ONE_TO_EIGHT, slope=4, real=True),
    "on squared paper": Layout("apart", "squared", ONE_TO_EIGHT, slope=2, real=True),
    "a sheet on a desk": Layout("apart", "desk", ONE_TO_EIGHT, real=True),
    "with minus, comma or point": Layout("apart", "plain", ONE_TO_EIGHT, signs=1, real=True),
}


@dataclass(frozen=True)
class Answer:
    """What a reader says of a picture: a text, or None; and whether it stands by it."""

    text: str | None
    ok: bool = True


Reader = Callable[[Sequence[np.ndarray]], list[Answer]]  # of pictures as a file holds them


def draw(name: str, digits: Digits, count: int) -> list[NumberPicture]:
    """Return `count` pictures of a kind; always the same ones."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return [draw_number(rng, digits, KINDS[name]) for _ in range(count)]


def digits_of_hands(folders: Sequence[Path]) -> Digits:
    """Return the digits of tables of pictures, but for those that the preparation rejects.

    Raises BenchmarkError or SourceError if there are none of each digit.
    """
    images, labels = [], []
    for folder in folders:
        pictures = in_table(folder.name, folder)
        prepared = prepare_all(pictures.sources)
        for label, each in zip(pictures.labels.tolist(), prepared, strict=True):
            if label != NO_DIGIT and each.digit is not None and each.rejection is None:
                images.append(each.digit)
                labels.append(label)
    missing = sorted({*range(10)} - {*labels})
    if missing:
        listed = ", ".join(f"'{folder}'" for folder in folders)
        raise BenchmarkError(f"{listed}: no picture of {', '.join(map(str, missing))}; add one.")
    return Digits(np.stack(images), np.array(labels))


# ---------------------------------------------------------------------------------- who reads


def reader_of(model: Model) -> Reader:
    """Return what reads with this model; confident readings are `ok`."""

    def read(pictures: Sequence[np.ndarray]) -> list[Answer]:
        greys = [grey_from_array(pixels) for pixels in pictures]
        readings = read_numbers(greys, "auto", model.number_network, model.judge, None)
        return [Answer(each.text, (each.confidence or 0) >= SURE_OF_NUMBER) for each in readings]

    return read


def peers() -> dict[str, Reader]:
    """Return what else is installed here and reads digits."""
    found: dict[str, Reader] = {}
    if shutil.which("tesseract"):
        found["tesseract, digits only"] = _tesseract
    try:
        from rapidocr_onnxruntime import RapidOCR  # type: ignore[import-not-found]
    except ImportError:
        return found
    engine = RapidOCR()

    def rapidocr(pictures: Sequence[np.ndarray]) -> list[Answer]:
        answers = []
        for pixels in pictures:
            colour = pixels if pixels.ndim == 3 else cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
            lines, _ = engine(np.ascontiguousarray(colour[..., ::-1]))
            answers.append(Answer(_signs_of("".join(line[1] for line in lines or []))))
        return answers

    found["rapidocr"] = rapidocr
    return found


def _tesseract(pictures: Sequence[np.ndarray]) -> list[Answer]:
    answers = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "number.png"
        for pixels in pictures:
            Image.fromarray(pixels).save(path)
            options = ("--psm", "7", "-c", "tessedit_char_whitelist=0123456789-,.")
            done = subprocess.run(
                ["tesseract", path, "-", *options], capture_output=True, text=True, check=False
            )
            answers.append(Answer(_signs_of(done.stdout)))
    return answers


def _signs_of(text: str) -> str | None:
    """Return the signs of a number in a text, which may hold spaces."""
    return re.sub(r"[^0-9,.-]", "", text) or None


# ---------------------------------------------------------------------------------- the table


def row_of(name: str, pictures: Sequence[NumberPicture], answers: Sequence[Answer]) -> list[str]:
    """Return the cells of a kind's row."""
    right = [a.text == p.text for p, a in zip(pictures, answers, strict=True)]
    ok = [a.text is not None and a.ok for a in answers]
    shares = (
        np.mean(right),
        np.mean([o and not r for o, r in zip(ok, right, strict=True)]),
        np.mean([a.text is not None and not o for a, o in zip(answers, ok, strict=True)]),
        np.mean([a.text is None for a in answers]),
    )
    return [name, *(f"{100 * share:.1f}" for share in shares)]


def run(readers: dict[str, Reader], digits: Digits, count: int) -> list[list[str]]:
    """Return the rows of all kinds, those of each reader together."""
    messages = make_console(stderr=True)
    rows = []
    for reader, read in readers.items():
        for name in KINDS:
            pictures = draw(name, digits, count)
            start = time.perf_counter()
            answers = read([picture.pixels for picture in pictures])
            seconds = time.perf_counter() - start
            messages.print(f"{reader}, {name}: {count / seconds:.0f} a second")
            rows.append([reader, *row_of(name, pictures, answers)])
    return rows


def as_table(rows: Sequence[Sequence[str]]) -> str:
    """Return Markdown with these rows."""
    columns = ("who reads", "what", "right", "wrong as `ok`", "`uncertain`", "rejected")
    lines = ["| " + " | ".join(columns) + " |", "| --- | --- |" + " ---: |" * 4]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; return the exit status."""
    parser = argparse.ArgumentParser(description="Measure how numbers are read.")
    parser.add_argument("--model", type=Path, default=Settings().model.path)
    parser.add_argument("--count", type=int, default=COUNT, help="numbers of each kind")
    parser.add_argument("--digits", type=Path, default=TEST_SET, help="what they are drawn of")
    parser.add_argument(
        "--hands",
        type=Path,
        metavar="DIR",
        action="append",
        default=[],
        help="other people's digits, listed in DIR/labels.tsv, of which numbers are drawn, too",
    )
    parser.add_argument("--peers", action="store_true", help="others read the same pictures, too")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="also write the table to FILE"
    )
    arguments = parser.parse_args(argv)
    if arguments.count < 1:
        parser.error(f"--count is {arguments.count}: give 1 or more")
    cv2.setNumThreads(1)
    try:
        check_outputs(arguments.markdown)
        readers = {"ours": reader_of(load_model(arguments.model))}
        digits = load_digits(arguments.digits)
        hands = digits_of_hands(arguments.hands) if arguments.hands else None
    except (ModelError, SourceError, BenchmarkError) as error:
        print(error, file=sys.stderr)
        return 2
    rows = run(readers | (peers() if arguments.peers else {}), digits, arguments.count)
    if hands is not None:
        ours = {"ours, other hands": readers["ours"]}
        rows += run(ours, hands, arguments.count)
    text = (
        f"{date.today()}, {arguments.model.name}, {arguments.count} numbers of each kind; in %.\n\n"
        f"{as_table(rows)}\n"
    )
    if arguments.markdown:
        write_markdown(arguments.markdown, text, START, END)
    sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
