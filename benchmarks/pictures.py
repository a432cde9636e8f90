#!/usr/bin/env python3
"""Measure how each kind of picture is read: with one digit, and without.

    python benchmarks/pictures.py --model digit_classification.keras
    python benchmarks/pictures.py --model digit_classification.keras --count 200
    python benchmarks/pictures.py --seeds --sheet docs/zoo.png

The pictures are drawn (benchmarks/zoo/), always the same ones, from MNIST's test digits, which no
training sees.  The tables go to standard output, progress to standard error.
"""

from __future__ import annotations

import argparse
import platform
import shlex
import sys
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run from a checkout, which is not installed

from benchmarks.accuracy import (  # noqa: E402
    TEST_SET,
    TRAINING_SET,
    BenchmarkError,
    ancestor_pixels,
    check_outputs,
    in_class_folders,
    in_new_process,
    train_ours,
    write_markdown,
)
from benchmarks.zoo import KINDS, UNSEEN  # noqa: E402
from digit_classification.cli.terminal import make_console  # noqa: E402
from digit_classification.config import (  # noqa: E402
    DatasetSettings,
    ModelSettings,
    Settings,
    TrainingSettings,
)
from digit_classification.network.model_file import ModelError  # noqa: E402
from digit_classification.pictures.sources import SourceError  # noqa: E402
from digit_classification.results.records import Result  # noqa: E402
from digit_classification.training.datasets.dataset import DatasetError  # noqa: E402
from digit_classification.training.scenes import Digits, Kind, Scene  # noqa: E402
from digit_classification.training.scenes.letters import FontError  # noqa: E402
from digit_classification.training.scenes.strokes import Hand, from_picture, write  # noqa: E402
from digit_classification_detector import DigitPredictor  # noqa: E402

START, END = "<!-- results: written by benchmarks/pictures.py -->", "<!-- end of results -->"
COUNT = 50  # pictures of each kind

CLEAN_SIDE = 120  # pixels of the picture that a digit is drawn clean in
CLEAN_HEIGHT = 76  # of the digit
CLEAN_INK = 20  # its grey level; the paper's is 255

# The sheet of examples: two pictures of each kind, its name below them.
ACROSS = 6  # kinds in a row
SIDE = 68  # pixels that a picture is made to fit in
NAME = 14  # pixels for the name
GAP = 4
SHEET_COLOURS = 256  # a palette keeps the file as small as a page wants it

DIGIT_COLUMNS = {
    "right": "right",
    "wrong_ok": "wrong as `ok`",
    "uncertain": "`uncertain`",
    "rejected": "rejected",
    "clean": "the same digits clean: right",
    "of_clean": "right, relative to clean",
}
OTHER_COLUMNS = {"ok": "`ok`", "uncertain": "`uncertain`", "rejected": "rejected"}


@dataclass(frozen=True)
class Drawn:
    """A picture, and its digit without anything else: (h, w) uint8, dark on white."""

    scene: Scene
    clean: np.ndarray | None  # None where no digit is meant


@dataclass(frozen=True)
class Row:
    """A line of a table: how one kind, or a group of kinds, was read."""

    name: str
    seen: bool  # whether the judge learns from the kind
    figures: dict[str, list[float]]  # by column: shares, 0 to 1, one for each model

    @property
    def with_digit(self) -> bool:
        return "clean" in self.figures


# --------------------------------------------------------------------------------- the pictures


class FirstChosen(Digits):
    """Digits that remember which was taken first: the one that a scene is about."""

    image: np.ndarray | None = None  # (28, 28) uint8

    def choose(self, rng: np.random.Generator, label: int | None) -> tuple[int, np.ndarray]:
        """Return a digit as `Digits` does."""
        chosen = super().choose(rng, label)
        if self.image is None:
            self.image = chosen[1]
        return chosen


def load_digits(path: Path) -> Digits:
    """Return the digits of a folder or zip with 28×28 pictures in folders 0 to 9, light on dark.

    Raises BenchmarkError or SourceError if there are none to draw from.
    """
    try:
        pictures = in_class_folders("digits", path)
        images = [np.rint(255 * ancestor_pixels(source)) for source in pictures.sources]
    except (ValueError, OSError) as error:
        raise BenchmarkError(
            f"'{path}' cannot be used ({error}): it should hold pictures in folders named 0 to 9."
        ) from None
    missing = sorted(set(range(10)) - set(pictures.labels.tolist()))
    if missing:
        raise BenchmarkError(
            f"'{path}' holds no picture of {', '.join(map(str, missing))}: "
            "each digit needs one in the folder of its name."
        )
    return Digits(np.stack(images).astype(np.uint8), pictures.labels)


def draw(name: str, kind: Kind, digits: Digits, count: int) -> Iterator[Drawn]:
    """Draw `count` pictures of a kind; always the same ones."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    for _ in range(count):
        chosen = FirstChosen(digits.images, digits.labels)
        scene = kind.draw(rng, chosen)
        if scene.ink is None:
            yield Drawn(scene, None)
        elif chosen.image is not None:
            yield Drawn(scene, draw_clean(chosen.image))
        else:  # a printed digit
            yield Drawn(scene, _on_white(_enlarged(scene.ink)))


def draw_clean(image: np.ndarray) -> np.ndarray:
    """Draw one of MNIST's digits, (28, 28) uint8, dark on white: about (120, 120) uint8."""
    large = cv2.resize(image, (112, 112), interpolation=cv2.INTER_CUBIC)
    field = from_picture(large, unit=112 * 20 / 28)  # the digit is 20 of 28 pixels high
    plain = Hand(None, wobble=0.0)
    return _on_white(write(np.random.default_rng(0), field, CLEAN_HEIGHT, plain))


def _enlarged(ink: np.ndarray) -> np.ndarray:
    """Return coverage cut to its ink, CLEAN_HEIGHT pixels high."""
    x, y, w, h = cv2.boundingRect((ink > 0.2).astype(np.uint8))
    width = max(1, round(w * CLEAN_HEIGHT / h))
    return cv2.resize(ink[y : y + h, x : x + w], (width, CLEAN_HEIGHT))


def _on_white(coverage: np.ndarray) -> np.ndarray:
    h, w = coverage.shape
    side = max(CLEAN_SIDE, h + 8, w + 8)
    picture = np.full((side, side), 255, np.uint8)
    top, left = (side - h) // 2, (side - w) // 2
    picture[top : top + h, left : left + w] = 255 - (255 - CLEAN_INK) * coverage
    return picture


# ----------------------------------------------------------------------------------- the figures


def measure(
    predictors: Sequence[DigitPredictor], digits: Digits, count: int, messages: Console
) -> list[Row]:
    """Read `count` pictures of each kind, and the same digits clean, with each model."""
    rows = []
    for number, (name, kind) in enumerate(KINDS.items(), 1):
        messages.print(f"{number}/{len(KINDS)} {name}", highlight=False)
        drawn = list(draw(name, kind, digits, count))
        pixels = [each.scene.pixels for each in drawn]
        pixels += [each.clean for each in drawn if each.clean is not None]
        answers = [each.scene.answer for each in drawn]
        runs = []
        for predictor in predictors:
            results = predictor.predict(pixels)
            runs.append(figures(answers, results[:count], results[count:]))
        rows.append(_row(name, name not in UNSEEN, runs))
    return rows


def _row(name: str, seen: bool, runs: Sequence[dict[str, float]]) -> Row:
    return Row(name, seen, {column: [run[column] for run in runs] for column in runs[0]})


def figures(
    answers: Sequence[str], results: Sequence[Result], clean: Sequence[Result]
) -> dict[str, float]:
    """Return the shares of a kind, 0 to 1, by column.

    Args:
        answers: what each picture shows, as in `Scene`.
        results: what was read in each.
        clean: what was read in the same digits drawn clean; nothing where no digit is meant.
    """
    statuses = np.array([result.status for result in results])
    shares = {
        "uncertain": float((statuses == "uncertain").mean()),
        "rejected": float(np.isin(statuses, ("rejected", "error")).mean()),
    }
    if not clean:
        return {"ok": float((statuses == "ok").mean()), **shares}
    right = _right(answers, results)
    shares["right"] = float(right.mean())
    shares["wrong_ok"] = float(((statuses == "ok") & ~right).mean())
    shares["clean"] = float(_right(answers, clean).mean())
    shares["of_clean"] = _relative(shares)
    return shares


def _right(answers: Sequence[str], results: Sequence[Result]) -> np.ndarray:
    """Return where the user is given the digit that the picture shows: (n,) bool."""
    pairs = zip(answers, results, strict=True)
    return np.array(
        [r.status in ("ok", "uncertain") and str(r.digit) == answer for answer, r in pairs]
    )


def _relative(shares: dict[str, float]) -> float:
    """Return how much of what is read right clean is read right; nothing was lost of nothing."""
    return shares["right"] / shares["clean"] if shares["clean"] else 1.0


def means(rows: Sequence[Row]) -> Iterator[Row]:
    """Yield the means over kinds: of those that the judge learns from, of the others, of all."""
    groups = {
        "mean of the kinds seen": [row for row in rows if row.seen],
        "mean of the kinds never seen": [row for row in rows if not row.seen],
        "mean of all kinds": list(rows),
    }
    for name, group in groups.items():
        if not group:
            continue
        runs = []
        for model in range(len(next(iter(group[0].figures.values())))):
            run = {
                column: float(np.mean([row.figures[column][model] for row in group]))
                for column in group[0].figures
            }
            if "clean" in run:
                run["of_clean"] = _relative(run)
            runs.append(run)
        yield _row(f"**{name}**", True, runs)


# ------------------------------------------------------------------------------------ the report


def as_markdown(rows: Sequence[Row], notes: str) -> str:
    """Return the two tables, with `notes` above them; a star marks what the judge never saw."""
    with_digit = [row for row in rows if row.with_digit]
    without = [row for row in rows if not row.with_digit]
    return "\n".join(
        [
            notes,
            "",
            *_table("with one digit", DIGIT_COLUMNS, with_digit),
            "",
            *_table("without", OTHER_COLUMNS, without),
            "",
        ]
    )


def _table(title: str, columns: dict[str, str], rows: Sequence[Row]) -> Iterator[str]:
    yield f"| {title} (%; *: never seen by the judge) | {' | '.join(columns.values())} |"
    yield f"| --- |{' ---: |' * len(columns)}"
    for row in [*rows, *means(rows)]:
        cells = [_cell(row.figures[column]) for column in columns]
        yield f"| {_starred(row.name, row.seen)} | {' | '.join(cells)} |"


def _starred(name: str, seen: bool) -> str:
    return name if seen else f"{name} *"


def _cell(values: Sequence[float]) -> str:
    """Return the mean over the models, with the sample standard deviation if there are several."""
    mean = f"{100 * np.mean(values):.1f}"
    return mean if len(values) == 1 else f"{mean} ± {100 * np.std(values, ddof=1):.1f}"


def describe(arguments: argparse.Namespace) -> str:
    """Return what was measured, on what, and the command that measures it again."""
    words = ["python", "benchmarks/pictures.py", "--count", str(arguments.count)]
    if arguments.digits != TEST_SET:
        words += ["--digits", arguments.digits.name]
    if arguments.model:
        for model in arguments.model:
            words += ["--model", model.name]
        models = f"models {', '.join(model.name for model in arguments.model)}"
    else:
        words += ["--seeds", *map(str, arguments.seeds)]
        models = f"seeds {', '.join(map(str, arguments.seeds))}"
    seen = len(KINDS) - len(UNSEEN)
    return (
        f"{date.today()}, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}; {models}; {arguments.count} pictures of each of "
        f"{len(KINDS)} kinds, of which the judge learns from {seen}:\n\n    $ {shlex.join(words)}"
    )


def contact_sheet(digits: Digits) -> Image.Image:
    """Return a sheet with two pictures of each kind: one and its digit clean, or two without."""
    cell = (2 * SIDE + 3 * GAP, SIDE + NAME + 2 * GAP)
    with_digit = [item for item in KINDS.items() if item[1].answer_kind == "digit"]
    without = [item for item in KINDS.items() if item[1].answer_kind != "digit"]
    rows = [
        part[i : i + ACROSS] for part in (with_digit, without) for i in range(0, len(part), ACROSS)
    ]
    sheet = Image.new("RGB", (ACROSS * cell[0], len(rows) * cell[1]), "white")
    for down, row in enumerate(rows):
        for across, (name, kind) in enumerate(row):
            example = _example(name, kind, digits, cell)
            sheet.paste(example, (across * cell[0], down * cell[1]))
    return sheet.quantize(SHEET_COLOURS, dither=Image.Dither.NONE)


def _example(name: str, kind: Kind, digits: Digits, size: tuple[int, int]) -> Image.Image:
    first, second = draw(name, kind, digits, 2)
    beside = second.scene.pixels if first.clean is None else first.clean
    cell = Image.new("RGB", size, "lavender")
    for place, pixels in enumerate((first.scene.pixels, beside)):
        picture = Image.fromarray(pixels).convert("RGB")
        scale = SIDE / max(picture.size)
        fitted = [max(1, round(side * scale)) for side in picture.size]
        way = Image.Resampling.BOX if scale < 1 else Image.Resampling.NEAREST
        shown = picture.resize((fitted[0], fitted[1]), way)
        cell.paste(shown, (GAP + place * (SIDE + GAP), GAP + (SIDE - fitted[1]) // 2))
    text = _starred(name, name not in UNSEEN)
    font = ImageFont.load_default(NAME - 5)
    ImageDraw.Draw(cell).text((GAP, SIDE + GAP + 2), text, "black", font)
    return cell


# --------------------------------------------------------------------------------- command line


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Measure how each kind of picture is read, with one digit and without.",
        epilog="example:\n  %(prog)s --model digit_classification.keras --sheet zoo.png",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--model",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a trained model to measure, instead of training with each seed; may be repeated",
    )
    parser.add_argument(
        "--seeds",
        type=int,
        nargs="*",
        default=[1, 2, 3],
        metavar="N",
        help="seeds of the trainings (default: 1 2 3); none: only --model, or only --sheet",
    )
    parser.add_argument(
        "--digits",
        type=Path,
        default=TEST_SET,
        metavar="PATH",
        help="digits to draw from, a folder or zip like MNIST's (default: its test set)",
    )
    parser.add_argument(
        "--count",
        type=_positive,
        default=COUNT,
        metavar="N",
        help=f"pictures of each kind (default: {COUNT})",
    )
    parser.add_argument(
        "--markdown",
        type=Path,
        metavar="FILE",
        help="also write the tables to FILE, between its marks for results if it has them",
    )
    parser.add_argument(
        "--sheet", type=Path, metavar="FILE", help="also draw pictures of each kind, as PNG"
    )
    return parser


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"'{text}' is no number of pictures: give 1 or more")
    return int(text)


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; return the exit status: 0, 2 for wrong input, 130 interrupted."""
    arguments = build_parser().parse_args(argv)
    messages = make_console(stderr=True)
    try:
        _check(arguments)
        digits = load_digits(arguments.digits)
        if arguments.sheet:
            contact_sheet(digits).save(arguments.sheet, "PNG", optimize=True)
        with tempfile.TemporaryDirectory(prefix="digits-benchmark-") as folder:
            models = arguments.model or _train(arguments.seeds, Path(folder), messages)
            if not models:
                return 0
            predictors = [DigitPredictor(model, messages=messages) for model in models]
            rows = measure(predictors, digits, arguments.count, messages)
        text = as_markdown(rows, describe(arguments))
        if arguments.markdown:
            write_markdown(arguments.markdown, text, START, END)
    except (BenchmarkError, DatasetError, FontError, ModelError, SourceError, OSError) as error:
        messages.print(f"Error: {error}")
        return 2
    except KeyboardInterrupt:
        return 130
    sys.stdout.write(text)
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """Find out before the trainings what would end the benchmark after them."""
    if not (arguments.model or arguments.seeds or arguments.sheet):
        raise BenchmarkError("There is nothing to do: give --model, --seeds or --sheet.")
    check_outputs(arguments.markdown, arguments.sheet)


def _train(seeds: Sequence[int], folder: Path, messages: Console) -> list[Path]:
    """Train a model with each seed as `make demo` does; return their files."""
    models = []
    for seed in seeds:
        messages.print(f"Training, seed {seed}")
        settings = Settings(
            dataset=DatasetSettings(path=TRAINING_SET, test_path=TEST_SET),
            model=ModelSettings(path=folder / f"seed-{seed}.keras"),
            training=TrainingSettings(seed=seed),
        )
        in_new_process(train_ours, settings)
        models.append(settings.model.path)
    return models


if __name__ == "__main__":
    sys.exit(main())
