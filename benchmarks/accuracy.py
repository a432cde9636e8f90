#!/usr/bin/env python3
"""Measure how well and how fast digits are read, beside the ancestor program's method.

    python benchmarks/accuracy.py
    python benchmarks/accuracy.py --photos my_photos --scans my_scans --mistakes ~/mistakes
    python benchmarks/accuracy.py --model digit_classification.keras --seeds 1
    python benchmarks/accuracy.py --quick

The table goes to standard output, progress to standard error.  How each figure is measured is
said in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import itertools
import json
import multiprocessing
import platform
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path, PurePath
from typing import Any, TypeVar

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageOps
from rich.console import Console

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run from a checkout, which is not installed

from digit_classification.cli.quiet import import_keras  # noqa: E402
from digit_classification.cli.terminal import make_console  # noqa: E402
from digit_classification.config import (  # noqa: E402
    DatasetSettings,
    ModelSettings,
    Settings,
    TrainingSettings,
)
from digit_classification.network.model_file import ModelError  # noqa: E402
from digit_classification.parallel import default_workers  # noqa: E402
from digit_classification.pictures.images import SIDE  # noqa: E402
from digit_classification.pictures.prepare import prepare_all  # noqa: E402
from digit_classification.pictures.sources import Source, SourceError, find_sources  # noqa: E402
from digit_classification.training.datasets.dataset import DatasetError  # noqa: E402
from digit_classification.training.scores import calibration_error  # noqa: E402
from digit_classification_detector import DigitPredictor  # noqa: E402
from digit_classification_model_trainer import DigitClassifier  # noqa: E402
from samples import draw_samples as draw  # noqa: E402

TRAINING_SET = ROOT / "dataset" / "mnist-train.zip"
TEST_SET = ROOT / "dataset" / "mnist-test.zip"
NO_DIGIT = -1  # as a label: nothing there to read; as a digit: nothing was read
NO_DIGITS = ("blank", "several", "no digit")  # as labels in a table
PER_KIND = 120  # pictures without a digit, of each kind
LARGE = (4000, 3000)  # pixels: a phone's twelve megapixels
LARGE_READ = 300  # of them; the pipeline starts processes for more than 256 pictures
QUICK = 300  # images of each set, with --quick
START, END = "<!-- results: written by benchmarks/accuracy.py -->", "<!-- end of results -->"

# The columns of the table, by the name of their figure.
COLUMNS = {
    "accuracy": "ours",
    "ancestor": "ancestor's method",
    "accuracy_ignoring_rejections": "ours, rejections ignored",
    "accuracy_among_ok": "ours, among `ok`",
    "wrong_ok": "wrong as `ok`",
    "uncertain": "`uncertain`",
    "rejected": "`rejected`",
    "calibration_error": "calibration error",
}

# What this project did with a set: choose, with its figures in view, or report only.
USED_TO = {
    "MNIST test": "report",
    "load_digits": "choose",
    "photos": "choose",
    "scans": "choose",
    "registers": "choose",
    "cells": "choose",
    "no digit": "choose",
}

OWN_SETS = ("photos", "scans", "registers", "cells")  # those that the command line names
# Sets large enough for a half to choose by and a half that is only reported on.
HALVED = ("load_digits", "photos", "scans", "registers")
TO_CHOOSE, TO_REPORT = "half to choose by", "half to report on"

T = TypeVar("T")


class BenchmarkError(Exception):
    """The benchmark cannot run; the message is one sentence for the user."""


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    name: str
    images: int | None = None
    figures: dict[str, list[float]] = field(default_factory=dict)  # by column, one value a run
    unit: str = "%"  # a figure in % is a share, 0 to 1
    used_to: str = ""  # choose or report, for a set of pictures


@dataclass(frozen=True)
class Pictures:
    """A set of pictures with what they show."""

    paths: list[str]  # what the detector is given
    sources: list[Source]  # what it finds there
    labels: np.ndarray  # (n,) int: the true digit, or NO_DIGIT
    parts: dict[str, np.ndarray]  # the table's rows: name -> (n,) bool, which pictures
    groups: np.ndarray | None = None  # (n,) str: who wrote it, for an average over groups
    used_to: str = ""  # choose or report


@dataclass(frozen=True)
class Reading:
    """What a system made of a set of pictures."""

    digits: np.ndarray  # (n,) int: the most probable digit, NO_DIGIT where there is none
    confidences: np.ndarray  # (n,) float: its probability
    statuses: np.ndarray  # (n,) str: ok, uncertain, rejected, error

    def of(self, chosen: np.ndarray) -> Reading:
        """Return the part of it where `chosen`, (n,) bool, is true."""
        return Reading(self.digits[chosen], self.confidences[chosen], self.statuses[chosen])

    @property
    def answered(self) -> np.ndarray:
        """Where the user is given a digit: (n,) bool."""
        return np.isin(self.statuses, ("ok", "uncertain"))


# ---------------------------------------------------------------------------------- the figures


def figures(reading: Reading, labels: np.ndarray) -> dict[str, float]:
    """Return the shares, 0 to 1, by column; a share of nothing is left out.

    Every picture counts for `accuracy`: one that is rejected or cannot be read is wrong.
    """
    shares = {
        "uncertain": float((reading.statuses == "uncertain").mean()),
        "rejected": float((reading.statuses == "rejected").mean()),
    }
    right, answered, ok = reading.digits == labels, reading.answered, reading.statuses == "ok"
    shares["wrong_ok"] = float((ok & ~right).mean())
    if (labels == NO_DIGIT).all():
        return shares
    shares["accuracy"] = float((right & answered).mean())
    shares["accuracy_ignoring_rejections"] = float(right.mean())
    if ok.any():
        shares["accuracy_among_ok"] = float(right[ok].mean())
    if answered.any():
        shares["calibration_error"] = calibration_error(
            reading.confidences[answered], right[answered]
        )
    return shares


def average_over_groups(
    reading: Reading, labels: np.ndarray, groups: np.ndarray
) -> dict[str, float]:
    """Return the shares averaged over groups, each counting the same."""
    each = [figures(reading.of(groups == g), labels[groups == g]) for g in np.unique(groups)]
    # A group has too few pictures for a calibration error of its own.
    columns = set().union(*each) - {"calibration_error"}
    return {name: float(np.mean([f[name] for f in each if name in f])) for name in columns}


def make_rows(pictures: Pictures, ours: list[Reading], ancestor: list[Reading]) -> list[Row]:
    """Return the rows of a set, from each run's reading of it."""

    def row(name: str, images: int, measure: Callable[[Reading], dict[str, float]]) -> Row:
        runs = [measure(reading) for reading in ours]
        columns = {c: [run[c] for run in runs if c in run] for c in COLUMNS}
        if ancestor and "accuracy" in runs[0]:
            columns["ancestor"] = [measure(reading)["accuracy"] for reading in ancestor]
        found = {column: values for column, values in columns.items() if values}
        used_to = "report" if name.endswith(TO_REPORT) else pictures.used_to
        return Row(name, images, found, used_to=used_to)

    labels, groups = pictures.labels, pictures.groups

    def row_of_part(name: str, part: np.ndarray) -> Row:
        return row(name, int(part.sum()), lambda read: figures(read.of(part), labels[part]))

    rows = [row_of_part(name, part) for name, part in pictures.parts.items() if part.any()]
    if groups is not None:
        name = f"{rows[0].name}, average of {len(np.unique(groups))} groups"
        average = row(name, len(labels), lambda read: average_over_groups(read, labels, groups))
        rows.insert(1, average)
    return rows


# --------------------------------------------------------------------------- pictures of digits


def with_halves(name: str, pictures: Pictures) -> Pictures:
    """Add a row for each half of a set's digits: what one writer wrote is all in the same half.

    Which half, is drawn by lot: the first bit of the SHA-256 of the writer, or of the file's name.
    """
    owners = [PurePath(source.name).name for source in pictures.sources]
    if pictures.groups is not None:
        owners = pictures.groups.tolist()
    reported = np.array([hashlib.sha256(owner.encode()).digest()[0] >= 128 for owner in owners])
    digits = pictures.labels != NO_DIGIT
    halves = {f"{name}, {TO_CHOOSE}": digits & ~reported, f"{name}, {TO_REPORT}": digits & reported}
    return replace(pictures, parts={**pictures.parts, **halves})


def in_class_folders(name: str, path: Path) -> Pictures:
    """Return the pictures of a folder or zip in which each lies in a folder named by its digit."""
    sources = list(find_sources([str(path)]))
    labels = np.array([_label(source) for source in sources])
    return Pictures([str(path)], sources, labels, {name: np.ones(len(labels), bool)})


def _label(source: Source) -> int:
    return int(PurePath(source.name).parent.name)


def in_table(name: str, folder: Path, at_most: int | None = None) -> Pictures:
    """Return the pictures that `folder`/labels.tsv lists, in the columns `file` and `label`.

    A label is a digit, or one of NO_DIGITS, whose pictures have a row of their own.  With the
    columns `group` and `kind`, too, the rows are: all, the average over groups, and those whose
    kind is `photo`.

    Raises BenchmarkError if there is no such table.
    """
    table = folder / "labels.tsv"
    try:
        with table.open(encoding="utf-8", newline="") as lines:
            rows = spread(list(csv.DictReader(lines, delimiter="\t")), at_most)
        paths = [str(folder / row["file"]) for row in rows]
        labels = np.array(
            [NO_DIGIT if row["label"] in NO_DIGITS else int(row["label"]) for row in rows]
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise BenchmarkError(
            f"'{table}' cannot be used ({error!r}): it should be a table with tabs between its "
            "columns `file` and `label`."
        ) from None
    if not rows:
        raise BenchmarkError(f"'{table}' lists no picture: add a line for each.")
    parts: dict[str, np.ndarray] = {name: labels != NO_DIGIT}
    if (labels == NO_DIGIT).any():
        parts[f"{name}, without a digit"] = labels == NO_DIGIT
    if "kind" in rows[0]:
        parts[f"{name}, of kind photo only"] = np.array([row["kind"] == "photo" for row in rows])
    groups = np.array([row["group"] for row in rows]) if "group" in rows[0] else None
    return Pictures(paths, list(find_sources(paths)), labels, parts, groups)


def write_load_digits(folder: Path, at_most: int | None = None) -> None:
    """Write scikit-learn's `load_digits`, 8×8 pixels of 0 to 16, as grey PNGs, light on dark."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pairs = spread(list(zip(bunch.images, bunch.target, strict=True)), at_most)
    for number, (pixels, label) in enumerate(pairs):
        grey = Image.fromarray((pixels * (255 / 16)).round().astype(np.uint8))
        save(grey, folder / str(label) / f"{number:04}.png")


def thin_out(archive: Path, target: Path, at_most: int) -> Path:
    """Write a zip with about `at_most` members of another, spread evenly over its classes."""
    with zipfile.ZipFile(archive) as full, zipfile.ZipFile(target, "w") as thin:
        for name in spread(sorted(full.namelist()), at_most):
            thin.writestr(name, full.read(name))
    return target


def spread(items: list[T], at_most: int | None) -> list[T]:
    """Return at most that many of `items`, evenly spread; all of them for None."""
    if at_most is None or len(items) <= at_most:
        return items
    return [items[i * len(items) // at_most] for i in range(at_most)]


def save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, quality=85)


# ------------------------------------------------------------------------ pictures of no digit


def write_no_digits(folder: Path, digits: np.ndarray, per_kind: int = PER_KIND) -> Pictures:
    """Draw pictures that do not show one digit, `per_kind` of each kind; always the same ones.

    `digits`, (n, 28, 28) uint8, light on dark, are put side by side for one of the kinds.
    """
    kinds: dict[str, Callable[[np.random.Generator], Image.Image]] = {
        "blank page": blank_page,
        "ruled page": ruled_page,
        "solid colour": solid_colour,
        "gaussian noise": gaussian_noise,
        "salt and pepper noise": salt_and_pepper_noise,
        "smooth noise": smooth_noise,
        "several digits": lambda rng: several_digits(rng, digits),
        "scribble": scribble,
        "gradients and shapes": shapes,
    }
    for name, draw_one in kinds.items():
        for number in range(per_kind):
            rng = np.random.default_rng([number, *name.encode()])
            save(draw_one(rng), folder / name / f"{number:04}.png")
    sources = list(find_sources([str(folder)]))
    drawn = np.array([PurePath(source.name).parent.name for source in sources])
    parts = {"no digit, all kinds": np.ones(len(drawn), bool)}
    parts |= {f"no digit: {name}": drawn == name for name in kinds}
    return Pictures([str(folder)], sources, np.full(len(drawn), NO_DIGIT), parts)


def blank_page(rng: np.random.Generator) -> Image.Image:
    """Draw paper with its texture and a shadow, photographed."""
    return _photographed(_sheet(rng), rng)


def ruled_page(rng: np.random.Generator) -> Image.Image:
    """Draw an empty page of a ruled or squared notebook, photographed."""
    sheet = _sheet(rng)
    line = np.asarray(sheet.mean(axis=(0, 1)) * rng.uniform(0.5, 0.85, 3))
    spacing = max(6, int(sheet.shape[0] * rng.uniform(0.08, 0.25)))
    squared = bool(rng.random() < 0.5)
    return _photographed(draw.rule(sheet, spacing, _colour(line), squared=squared), rng)


def solid_colour(rng: np.random.Generator) -> Image.Image:
    return Image.new("RGB", _size(rng), _colour(rng.integers(0, 256, 3)))


def gaussian_noise(rng: np.random.Generator) -> Image.Image:
    width, height = _size(rng)
    shape = (height, width, 3) if rng.random() < 0.5 else (height, width)
    return draw.picture(rng.normal(rng.uniform(60, 200), rng.uniform(5, 80), shape))


def salt_and_pepper_noise(rng: np.random.Generator) -> Image.Image:
    width, height = _size(rng)
    pixels = np.full((height, width), rng.uniform(0, 255))
    struck = rng.random(pixels.shape)
    share = rng.uniform(0.01, 0.2)
    pixels[struck < share] = 0
    pixels[struck > 1 - share] = 255
    return draw.picture(pixels)


def smooth_noise(rng: np.random.Generator) -> Image.Image:
    width, height = _size(rng)
    blots = draw.texture((height, width), max(width, height) / rng.uniform(8, 30), rng)
    return draw.picture(128 + rng.uniform(8, 60) * blots)


def several_digits(rng: np.random.Generator, digits: np.ndarray) -> Image.Image:
    """Put two to four digits side by side, light on dark as they are, or in ink on paper."""
    some = digits[rng.integers(0, len(digits), rng.integers(2, 5))]
    line = np.pad(np.hstack(list(some)), rng.integers(0, 12))
    if rng.random() < 0.3:
        return Image.fromarray(line)
    scale = rng.uniform(2, 8)
    ink = cv2.resize(line, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC) / 255
    if rng.random() < 0.3:
        return draw.picture(255 * ink)
    sheet = _paper((ink.shape[1], ink.shape[0]), rng)
    return _photographed(draw.write(sheet, ink, _colour(rng.uniform(10, 70, 3))), rng)


def scribble(rng: np.random.Generator) -> Image.Image:
    """Draw a page with four to eight long curves all over each other."""
    sheet = _sheet(rng)
    height, width = sheet.shape[:2]
    ink = np.zeros((height, width), np.uint8)
    for _ in range(rng.integers(4, 9)):
        points = rng.uniform(0.1, 0.9, (rng.integers(6, 13), 2)) * (width, height)
        curve = (draw.catmull_rom(points) * 16).astype(np.int32)  # four fractional bits
        pen = max(1, int(rng.uniform(0.01, 0.03) * height))
        cv2.polylines(ink, [curve], False, 255, pen, cv2.LINE_AA, shift=4)
    return _photographed(draw.write(sheet, ink / 255, _colour(rng.uniform(10, 90, 3))), rng)


def shapes(rng: np.random.Generator) -> Image.Image:
    """Draw a gradient of colour with six to fifteen shapes on it, out of focus as in a photo."""
    width, height = _size(rng)
    x, y = np.linspace(0, 1, width)[None, :, None], np.linspace(0, 1, height)[:, None, None]
    corner, across, down = rng.uniform(0, 255, (3, 3))
    pixels = np.ascontiguousarray(corner + (across - corner) * x / 2 + (down - corner) * y / 2)
    for _ in range(rng.integers(6, 16)):
        points = rng.uniform(-0.1, 1.1, (2, 2)) * (width, height)
        (left, top), (right, bottom) = np.sort(points.astype(int), axis=0).tolist()
        colour = rng.uniform(0, 255, 3).tolist()
        middle, axes = ((left + right) // 2, (top + bottom) // 2), (right - left, bottom - top)
        match rng.integers(3):
            case 0:
                cv2.rectangle(pixels, (left, top), (right, bottom), colour, -1)
            case 1:
                half = (axes[0] // 2, axes[1] // 2)
                cv2.ellipse(pixels, middle, half, float(rng.uniform(0, 180)), 0, 360, colour, -1)
            case _:
                corners = (rng.uniform(0, 1, (3, 2)) * axes + (left, top)).astype(np.int32)
                cv2.fillPoly(pixels, [corners], colour)
    return draw.photo(pixels, max(0.5, width / 200), rng)


def _size(rng: np.random.Generator) -> tuple[int, int]:
    """Width and height: 28 to 600 pixels, one up to half as long again as the other."""
    side = np.exp(rng.uniform(np.log(28), np.log(600)))
    width, height = (side * rng.uniform(0.67, 1, 2)).round().astype(int).tolist()
    return max(28, width), max(28, height)


def _sheet(rng: np.random.Generator) -> draw.Floats:
    width, height = _size(rng)
    return _paper((max(100, width), max(100, height)), rng)


def _paper(size: tuple[int, int], rng: np.random.Generator) -> draw.Floats:
    colour = _colour(rng.uniform(150, 250) + rng.uniform(-15, 5, 3))
    return draw.paper(size, colour, rng, grain=rng.uniform(0.5, 3))


def _photographed(sheet: draw.Floats, rng: np.random.Generator) -> Image.Image:
    shaded = draw.shade(sheet, rng.uniform(0.4, 1), rng.uniform(0, 2 * np.pi))
    return draw.photo(shaded, rng.uniform(0.5, 1.2), rng)


def _colour(channels: np.ndarray) -> draw.Colour:
    red, green, blue = channels.round().astype(int).tolist()
    return red, green, blue


# ---------------------------------------------------------------------------------- two systems


def train_ours(settings: Settings) -> None:
    """Do what the trainer's command line does."""
    classifier = DigitClassifier(settings, output=make_console(stderr=True))
    classifier.train()
    classifier.evaluate()
    classifier.save_model()


def read_with_ours(predictor: DigitPredictor, pictures: Pictures) -> Reading:
    """Do what the detector's command line does, without a database."""
    results = list(predictor.classify_images(pictures.paths))
    if [result.path for result in results] != [source.name for source in pictures.sources]:
        raise BenchmarkError(f"Not every file of {pictures.paths[0]} was read: remove the others.")
    probabilities = np.array([result.probabilities or [np.nan] * 10 for result in results])
    digits = np.where(np.isnan(probabilities[:, 0]), NO_DIGIT, probabilities.argmax(axis=1))
    statuses = np.array([result.status for result in results])
    return Reading(digits, probabilities.max(axis=1), statuses)


def train_ancestor(dataset: Path, seed: int, path: Path, epochs: int = 10) -> list[np.ndarray]:
    """Train as the ancestor does, save the network at `path`, and return its four weights.

    Its own trainer and detector resize differently; here both do as `ancestor_pixels`.
    """
    keras = import_keras()
    from sklearn.model_selection import train_test_split

    sources = list(find_sources([str(dataset)]))
    pixels = np.stack([ancestor_pixels(source) for source in sources])
    labels = np.array([_label(source) for source in sources])
    pixels, _, labels, _ = train_test_split(pixels, labels, test_size=0.2, random_state=42)
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    network = keras.Sequential(
        [
            keras.Input((SIDE, SIDE)),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10),
        ]
    )
    network.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    network.fit(pixels, labels, batch_size=32, epochs=epochs, verbose=0)
    network.save(path)
    weights: list[np.ndarray] = network.get_weights()
    return weights


def ancestor_pixels(source: Source) -> np.ndarray:
    """Return a picture as the ancestor's network sees it: (28, 28) float32, 0 to 1."""
    with Image.open(io.BytesIO(source.read())) as image:
        return np.asarray(image.convert("L").resize((SIDE, SIDE)), np.float32) / 255


def read_with_ancestor(weights: Sequence[np.ndarray], pictures: Pictures) -> Reading:
    """Read pictures as the ancestor does; it always answers, and its confidence is a logit."""
    hidden_weights, hidden_bias, output_weights, output_bias = weights
    digits = []
    for source in pictures.sources:
        try:
            pixels = ancestor_pixels(source).reshape(SIDE * SIDE)
        except (OSError, SourceError, ValueError, Image.DecompressionBombError):
            digits.append(NO_DIGIT)
            continue
        hidden = np.maximum(pixels @ hidden_weights + hidden_bias, 0)
        digits.append(int((hidden @ output_weights + output_bias).argmax()))
    read = np.array(digits)
    statuses = np.where(read == NO_DIGIT, "error", "ok")
    return Reading(read, np.ones(len(read)), statuses)


def in_new_process(function: Callable[..., T], *arguments: Any) -> tuple[T, float]:
    """Call a function in a new Python; return its result and the seconds from start to end."""
    begin = time.monotonic()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as process:
        result = process.submit(function, *arguments).result()
        return result, time.monotonic() - begin


# --------------------------------------------------------------------------------------- speed


def images_per_second(sources: Sequence[Source], processes: int) -> float:
    """Return how many pictures a second are read and normalised; starting processes counts."""
    begin = time.monotonic()
    for prepared in prepare_all(sources, workers=processes):
        if prepared.error is not None:
            raise BenchmarkError(f"'{prepared.source.name}' cannot be read: {prepared.error}.")
    return len(sources) / (time.monotonic() - begin)


def write_large_photos(folder: Path, count: int = 5) -> list[Source]:
    """Draw photos of a handwritten digit with a phone's resolution and noise, as JPEG."""
    for number in range(count):
        rng = np.random.default_rng(number)
        small = (LARGE[0] // 4, LARGE[1] // 4)
        ink = draw.handwriting(str(number), small, rng, height=0.5, pen=0.05)
        sheet = draw.write(_paper(small, rng), ink, (40, 45, 90))
        drawn = np.asarray(draw.picture(draw.shade(sheet, 0.6, rng.uniform(0, 2 * np.pi))))
        large = cv2.resize(drawn, LARGE, interpolation=cv2.INTER_CUBIC)
        noise = rng.normal(0, 2, large.shape[:2]).astype(np.int16)[..., None]
        photo = Image.fromarray((large + noise).clip(0, 255).astype(np.uint8))
        save(photo, folder / f"{number}.jpg")
    return list(find_sources([str(folder)]))


def speed_rows(archive: Path, folder: Path) -> list[Row]:
    """Measure how fast pictures are read and normalised."""
    large = itertools.cycle(write_large_photos(folder))
    kinds = {
        "MNIST images": list(find_sources([str(archive)])),
        "12-megapixel JPEGs": list(itertools.islice(large, LARGE_READ)),
    }
    return [
        Row(
            f"{kind} read and normalised, {processes} process{'es' if processes > 1 else ''}",
            len(sources),
            {"accuracy": [images_per_second(sources, processes)]},
            "a second",
        )
        for kind, sources in kinds.items()
        for processes in (1, 2)
    ]


# ------------------------------------------------------------------------------------- mistakes


def draw_mistakes(
    folder: Path, pictures: Pictures, reading: Reading, predictor: DigitPredictor
) -> None:
    """Write contact sheets of every mistake: the picture, what the network saw, what was read."""
    right = np.where(reading.answered, reading.digits, NO_DIGIT) == pictures.labels
    wrong = np.flatnonzero(~right)
    across, down, cell_size = 10, 8, (136, 262)
    stem = next(iter(pictures.parts)).replace(" ", "-").replace(",", "")
    for page, first in enumerate(range(0, len(wrong), across * down), 1):
        shown = wrong[first : first + across * down]
        rows = -(-len(shown) // across)
        sheet = Image.new("RGB", (across * cell_size[0], rows * cell_size[1]), "white")
        for place, index in enumerate(shown):
            cell = _mistake(pictures, reading, int(index), predictor, cell_size)
            sheet.paste(cell, (place % across * cell_size[0], place // across * cell_size[1]))
        save(sheet, folder / f"{stem}-{page:02}.png")


def _mistake(
    pictures: Pictures,
    reading: Reading,
    index: int,
    predictor: DigitPredictor,
    size: tuple[int, int],
) -> Image.Image:
    """Draw the cell of one mistake: 112 pixels of picture over 112 of its normalised form."""
    source, label = pictures.sources[index], int(pictures.labels[index])
    status = str(reading.statuses[index])
    cell = Image.new("RGB", size, "white")
    try:
        content = source.read()
        with Image.open(io.BytesIO(content)) as image:
            upright = ImageOps.exif_transpose(image).convert("RGBA")
        small = ImageOps.contain(upright, (112, 112))
        cell.paste(small, (12, 2), small)  # transparent parts show the sheet
        normalized = predictor.preprocess_image(content)
        if normalized.digit is not None:
            seen = Image.fromarray(normalized.digit).resize((112, 112), Image.Resampling.NEAREST)
            cell.paste(seen, (12, 116))
        reason = normalized.error or normalized.rejection or ""
    except (OSError, SourceError) as error:
        reason = str(error)
    truth = "no digit" if label == NO_DIGIT else str(label)
    confidence = f"{reading.digits[index]}, {reading.confidences[index]:.1%}"
    read = f"{truth}: read {confidence}" if reading.answered[index] else f"{truth}: {status}"
    pen = ImageDraw.Draw(cell)
    pen.text((4, 230), read, "black")
    pen.text((4, 244), reason[:24] or PurePath(source.name).name[-24:], "dimgrey")
    return cell


# ----------------------------------------------------------------------------------- the report


def as_markdown(rows: Sequence[Row], notes: str) -> str:
    """Return the table, with `notes` above it."""
    lines = [
        f"| {' | '.join(['', 'used to', 'images', *COLUMNS.values()])} |",
        f"| --- | --- |{' ---: |' * (1 + len(COLUMNS))}",
    ]
    for row in rows:
        images = "" if row.images is None else f"{row.images:,}"
        cells = [_cell(row.figures.get(column), row.unit) for column in COLUMNS]
        lines.append(f"| {' | '.join([row.name, row.used_to, images, *cells])} |")
    return f"{notes}\n\n" + "\n".join(lines) + "\n"


def _cell(values: list[float] | None, unit: str) -> str:
    """Return the mean over the runs, with the sample standard deviation if there are several."""
    if not values:
        return ""
    factor, digits = (100, 2) if unit == "%" else (1, 0)
    mean, deviation = f"{factor * np.mean(values):,.{digits}f}", ""
    if len(values) > 1:
        deviation = f" ± {factor * np.std(values, ddof=1):,.{digits}f}"
    return f"{mean}{deviation} {unit}"


def write_markdown(path: Path, text: str, start: str = START, end: str = END) -> None:
    """Write the table to `path`, between the two marks if the file has them."""
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    if start in old and end in old:
        before, rest = old.split(start, 1)
        text = f"{before}{start}\n\n{text}\n{end}{rest.split(end, 1)[1]}"
    path.write_text(text, encoding="utf-8")


def describe(models: Sequence[Path], seeds: Sequence[int], *, quick: bool) -> str:
    """Return what was measured, on what."""
    shown = ", ".join(map(str, seeds)) or "none"
    ours = f"models {', '.join(model.name for model in models)}" if models else f"seeds {shown}"
    return (
        f"{date.today()}, {platform.system()} {platform.machine()}, {default_workers()} cores, "
        f"Python {platform.python_version()}. Ours: {ours}; ancestor's method: seeds {shown}."
        + (f" --quick: a smoke test on {QUICK} images a set, no result." if quick else "")
    )


# --------------------------------------------------------------------------------- command line


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Measure how well and how fast digits are read.",
        epilog="example:\n  %(prog)s --photos my_photos --scans my_scans --json figures.json",
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
        help="seeds of the trainings (default: 1 2 3); none: only --model",
    )
    parser.add_argument(
        "--photos",
        type=Path,
        metavar="DIR",
        help="folder of pictures with labels.tsv: file, label, group, kind",
    )
    parser.add_argument(
        "--scans", type=Path, metavar="DIR", help="folder of scans with labels.tsv: file, label"
    )
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="DIR",
        help="keep the trained models in DIR, for --model here and in pictures.py",
    )
    parser.add_argument(
        "--registers",
        type=Path,
        metavar="DIR",
        help="folder of crops in which neighbours and lines reach, with labels.tsv: file, label",
    )
    parser.add_argument(
        "--cells",
        type=Path,
        metavar="DIR",
        help="folder of cells of forms with labels.tsv: file, label, which may be "
        f"{', '.join(NO_DIGITS)}, too",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as JSON")
    parser.add_argument(
        "--markdown",
        type=Path,
        metavar="FILE",
        help="also write the table to FILE, between its marks for results if it has them",
    )
    parser.add_argument(
        "--mistakes",
        type=Path,
        metavar="DIR",
        help="draw every mistake on contact sheets in DIR, outside the repository",
    )
    parser.add_argument(
        "--quick", action="store_true", help=f"smoke test with {QUICK} images of each set"
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark; return the exit status: 0, 2 for wrong input, 130 interrupted."""
    arguments = build_parser().parse_args(argv)
    messages = make_console(stderr=True)
    try:
        _check(arguments)
        with tempfile.TemporaryDirectory(prefix="digits-benchmark-") as folder:
            rows = measure(arguments, Path(folder), messages)
        notes = describe(arguments.model, arguments.seeds, quick=arguments.quick)
        text = as_markdown(rows, notes)
        if arguments.markdown:
            write_markdown(arguments.markdown, text)
        if arguments.json:
            content = {"measured": notes, "rows": [asdict(row) for row in rows]}
            arguments.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except (BenchmarkError, DatasetError, ModelError, SourceError, OSError) as error:
        messages.print(f"Error: {error}")
        return 2
    except KeyboardInterrupt:
        return 130
    sys.stdout.write(text)
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """Find out before the trainings what would end the benchmark after them."""
    if not arguments.model and not arguments.seeds:
        raise BenchmarkError("There is nothing to measure: give --seeds or --model.")
    for folder in filter(None, (getattr(arguments, name) for name in OWN_SETS)):
        in_table(folder.name, folder)
    mistakes = arguments.mistakes
    if mistakes is not None and mistakes.resolve().is_relative_to(ROOT):
        raise BenchmarkError(
            f"'{mistakes}' lies in the repository, where pictures of other people's handwriting "
            "do not belong: name a folder elsewhere with --mistakes."
        )
    check_outputs(arguments.json, arguments.markdown)
    if arguments.keep is not None and not arguments.keep.is_dir():
        raise BenchmarkError(f"'{arguments.keep}' is no folder: make it first.")


def check_outputs(*files: Path | None) -> None:
    """Raise BenchmarkError if one of the files that are asked for has no folder."""
    for file in filter(None, files):
        if not file.resolve().parent.is_dir():
            raise BenchmarkError(f"'{file}' cannot be written: make its folder first.")


def measure(arguments: argparse.Namespace, folder: Path, messages: Console) -> list[Row]:
    """Return all rows of the table; `folder` takes what is drawn and trained on the way."""
    quick = QUICK if arguments.quick else None
    training_set, test_set = TRAINING_SET, TEST_SET
    if quick:
        training_set = thin_out(TRAINING_SET, folder / "train.zip", 4 * quick)
        test_set = thin_out(TEST_SET, folder / "test.zip", quick)

    messages.print("Measuring the speed of normalisation")
    speed = speed_rows(training_set, folder / "large")
    messages.print("Drawing pictures without a digit")
    sets = list(_sets(arguments, test_set, folder, quick))

    models, our_seconds = list(arguments.model), []
    for seed in arguments.seeds if not models else ():
        messages.print(f"Training ours, seed {seed}")
        brief = {"epochs": 10, "batch_size": 32, "scenes": 0} if quick else {}
        training = TrainingSettings(seed=seed, **brief)
        settings = Settings(
            dataset=DatasetSettings(path=training_set, test_path=test_set),
            model=ModelSettings(path=(arguments.keep or folder) / f"seed-{seed}.keras"),
            training=training,
        )
        our_seconds.append(in_new_process(train_ours, settings)[1])
        models.append(settings.model.path)
    ancestors, ancestor_seconds = [], []
    for seed in arguments.seeds:
        messages.print(f"Training the ancestor's network, seed {seed}")
        path = folder / f"ancestor-{seed}.keras"
        weights, seconds = in_new_process(train_ancestor, training_set, seed, path)
        ancestors.append(weights)
        ancestor_seconds.append(seconds)

    rows = []
    predictors = [DigitPredictor(model, messages=messages) for model in models]
    for name, pictures in sets:
        if pictures is None:
            rows.append(Row(f"{name}: not given"))
            continue
        pictures = replace(pictures, used_to=USED_TO[name])
        if name in HALVED:
            pictures = with_halves(name, pictures)
        messages.print(f"Reading {len(pictures.labels):,} pictures: {name}")
        ours = [read_with_ours(predictor, pictures) for predictor in predictors]
        if arguments.mistakes:
            for predictor, reading in zip(predictors, ours, strict=True):
                sheets = arguments.mistakes / predictor.model.path.stem
                draw_mistakes(sheets, pictures, reading, predictor)
        rows += make_rows(pictures, ours, [read_with_ancestor(w, pictures) for w in ancestors])
    trainings = {"accuracy": our_seconds, "ancestor": ancestor_seconds}
    return [*rows, Row("training, from start to saved model", figures=trainings, unit="s"), *speed]


def _sets(
    arguments: argparse.Namespace, test_set: Path, folder: Path, at_most: int | None
) -> Iterator[tuple[str, Pictures | None]]:
    mnist = in_class_folders("MNIST test", test_set)
    yield "MNIST test", mnist
    write_load_digits(folder / "load_digits", at_most)
    yield "load_digits", in_class_folders("load_digits", folder / "load_digits")
    for name in OWN_SETS:
        given: Path | None = getattr(arguments, name)
        yield name, None if given is None else in_table(name, given, at_most)
    digits = [(ancestor_pixels(source) * 255).astype(np.uint8) for source in mnist.sources]
    per_kind = at_most // 20 if at_most else PER_KIND
    yield "no digit", write_no_digits(folder / "no-digit", np.stack(digits), per_kind)


if __name__ == "__main__":
    sys.exit(main())
