"""The images in three parts: to learn from, to choose by, and to test with.

The network learns from the training part; every choice is made on the validation part; the test
part is only ever reported on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from rich.table import Table

from digit_classification.cli.terminal import Terminal, make_table
from digit_classification.names import printable
from digit_classification.pictures.decode import Limits
from digit_classification.settings import Settings
from digit_classification.training.corrections import only_new, read_corrections, relabel
from digit_classification.training.datasets.dataset import (
    CLASSES,
    Dataset,
    DatasetError,
    Findings,
    read_dataset,
)
from digit_classification.training.styles.draw import draw_digits

NAMED = 10  # files named on the terminal; what is said of a large dataset should stay readable


@dataclass(frozen=True)
class Part:
    """Normalised digits with their labels."""

    digits: np.ndarray  # (n, 28, 28) uint8, light ink on dark
    labels: np.ndarray  # (n,) uint8, 0 to 9
    names: list[str]  # relative to their dataset; drawn digits, which come last, have none

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: np.ndarray) -> Part:
        """Return the images at these positions."""
        names = [self.names[index] for index in indices]
        return Part(self.digits[indices], self.labels[indices], names)

    def extended(self, digits: np.ndarray, labels: np.ndarray, names: list[str]) -> Part:
        """Return this part with further images behind its own."""
        return Part(
            np.concatenate([self.digits, digits]),
            np.concatenate([self.labels, labels]),
            self.names + names,
        )


@dataclass(frozen=True)
class Parts:
    """The three parts, and what they were made of."""

    training: Part
    validation: Part
    test: Part
    drawn: int  # digits at the end of the training part that the program has drawn
    datasets: Mapping[str, Dataset]  # by their names in the model's card, without their images

    @cached_property
    def sha256(self) -> str:
        """Checksum of the images that are learned from and chosen on, in their order."""
        checksum = hashlib.sha256()
        for part in (self.training, self.validation):
            checksum.update(np.ascontiguousarray(part.digits).data)
            checksum.update(np.ascontiguousarray(part.labels).data)
        return checksum.hexdigest()


def read_parts(settings: Settings, terminal: Terminal) -> Parts:
    """Read the datasets, correct their labels, split them, and add drawn digits.

    New pictures and drawn digits go to the training part alone: choices are made on real digits,
    and a test stays the same with and without corrections.

    Raises DatasetError if a dataset or the corrections cannot be used.
    """
    limits = Limits(**settings.images.model_dump())
    data, seed = settings.dataset, settings.training.seed
    corrections = None
    if data.corrections is not None:
        corrections = read_corrections(data.corrections, limits=limits)
    datasets = {"dataset": _read(data.path, settings, limits, terminal)}
    if data.test_path is not None:
        datasets["test_dataset"] = _read(data.test_path, settings, limits, terminal)
    new = None
    if corrections is not None:
        new = _correct(datasets, corrections, terminal)
        datasets["corrections"] = corrections

    training = _whole(datasets["dataset"])
    if data.test_path is not None:
        test = _whole(datasets["test_dataset"])
    else:
        training, test = split(training, data.test_fraction, seed)
    training, validation = split(training, data.validation_fraction, seed)
    # From here on, each image is in memory once.
    datasets = {name: dataset.without_digits() for name, dataset in datasets.items()}
    if new is not None:
        training = training.extended(new.digits, new.labels, new.names)
    drawn = round(settings.training.drawn_share * len(training))
    training = training.extended(*draw_digits(drawn, np.random.default_rng(seed)), [])
    parts = Parts(training, validation, test, drawn, datasets)
    if not terminal.quiet:
        terminal.output.print(_counts(parts))
    return parts


def _read(path: Path, settings: Settings, limits: Limits, terminal: Terminal) -> Dataset:
    with terminal.progress(f"Reading {path}") as progress:
        dataset = read_dataset(
            path,
            strict=settings.dataset.strict,
            limits=limits,
            cache=settings.dataset.cache,
            progress=progress,
        )
    terminal.tell(f"Read {len(dataset):,} images of {path}")
    _tell_findings(dataset.findings, terminal)
    return dataset


def _correct(datasets: dict[str, Dataset], corrections: Dataset, terminal: Terminal) -> Dataset:
    """Correct the labels in `datasets`; return what of the corrections they do not hold."""
    changed: set[str] = set()
    for name, dataset in datasets.items():
        datasets[name], of_these = relabel(dataset, corrections)
        changed |= of_these
    new = only_new(corrections, datasets.values())
    terminal.tell(
        f"Corrections in {corrections.path}: {len(corrections):,}; "
        f"images added: {len(new):,}; labels replaced: {len(changed):,}; "
        f"labelled so already: {len(corrections) - len(new) - len(changed):,}"
    )
    _tell_findings(corrections.findings, terminal)
    return new


def _whole(dataset: Dataset) -> Part:
    return Part(dataset.digits, dataset.labels, dataset.names)


def split(part: Part, fraction: float, seed: int) -> tuple[Part, Part]:
    """Split stratified and seeded: return the images kept, and `fraction` of them held back.

    At least one image of each digit is held back.

    Raises DatasetError if there are too few images for that.
    """
    from sklearn.model_selection import train_test_split

    counts = np.bincount(part.labels, minlength=10)
    rarest = int(counts.argmin())
    held_back_count = max(len(CLASSES), round(len(part) * fraction))
    if counts[rarest] < 2 or len(part) - held_back_count < len(CLASSES):
        raise DatasetError(
            f"The dataset is too small to split: {len(part)} images, {counts[rarest]} of the "
            f"digit {rarest}, with {fraction:g} of them held back: add images, or change the "
            "fractions."
        )
    kept, held_back = train_test_split(
        np.arange(len(part)),
        test_size=held_back_count,
        random_state=seed,
        stratify=part.labels,
    )
    return part.take(kept), part.take(held_back)


# ------------------------------------------------------------------------------- what is said of it


def _tell_findings(findings: Findings, terminal: Terminal) -> None:
    """Say what was not used as it is: a few files of each kind, or all if that is asked for."""
    named = None if terminal.verbose else NAMED
    for what, files in (
        ("left out, unreadable", findings.left_out),
        ("left out, the same image as", findings.duplicates),
        ("ignored, no images", [(name, "") for name in findings.stray]),
        ("kept, but doubtful", findings.doubtful),
    ):
        if files:
            terminal.tell(f"{len(files):,} {what}:")
        for name, reason in files[:named]:
            terminal.tell(f"  {printable(name)}" + (f": {printable(reason)}" if reason else ""))
        if len(files) > len(files[:named]):
            terminal.tell(f"  and {len(files) - len(files[:named]):,} more (-v names all)")


def _counts(parts: Parts) -> Table:
    """Return a table of the images of each digit in each part."""
    read = len(parts.training) - parts.drawn
    labels = {
        "training": parts.training.labels[:read],
        "drawn for it": parts.training.labels[read:],
        "validation": parts.validation.labels,
        "test": parts.test.labels,
    }
    columns = {title: np.bincount(of, minlength=10) for title, of in labels.items() if len(of)}
    table = make_table("digit", *columns)
    for name, counts in zip(CLASSES, zip(*columns.values(), strict=True), strict=True):
        table.add_row(name, *(f"{count:,}" for count in counts))
    table.add_section()
    table.add_row("all", *(f"{column.sum():,}" for column in columns.values()))
    return table
