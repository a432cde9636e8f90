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
from typing import Any

import numpy as np
from rich.table import Table

from digit_classification.cli.terminal import Terminal, make_table
from digit_classification.cli.wording import counted
from digit_classification.names import printable
from digit_classification.pictures.decode import Limits
from digit_classification.settings import Settings
from digit_classification.training.corrections import only_new, read_corrections, relabel
from digit_classification.training.datasets.dataset import CLASSES, Dataset, DatasetError, Findings
from digit_classification.training.datasets.found import Part as DatasetPart
from digit_classification.training.datasets.reading import read_arrays, read_dataset
from digit_classification.training.styles.draw import draw_digits, styles_of

ArrayPair = tuple[Any, Any]  # (images, labels), as `contents_of` takes them
ArrayPairs = tuple[ArrayPair, ArrayPair]  # of the training and of the test

# Of each digit: with 60, MNIST's own test is misread in one of twenty (docs/datasets.md).
FEW_TO_LEARN = 60
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
    def digits(self) -> list[int]:
        """Those that there is something to learn of: the model answers with no other."""
        return sorted({*self.training.labels.tolist()})

    @cached_property
    def sha256(self) -> str:
        """Checksum of the images that are learned from and chosen on, in their order."""
        checksum = hashlib.sha256()
        for part in (self.training, self.validation):
            checksum.update(np.ascontiguousarray(part.digits).data)
            checksum.update(np.ascontiguousarray(part.labels).data)
        return checksum.hexdigest()


def read_parts(
    settings: Settings, terminal: Terminal, arrays: ArrayPair | ArrayPairs | None = None
) -> Parts:
    """Read the datasets, correct their labels, split them, and add drawn digits.

    New pictures and drawn digits go to the training part alone: choices are made on real digits,
    and a test stays the same with and without corrections.

    Args:
        settings: name the datasets.
        terminal: hears of what was found.
        arrays: `(images, labels)` to take instead, or two such pairs for training and test.

    Raises DatasetError if a dataset or the corrections cannot be used.
    """
    data, seed = settings.dataset, settings.training.seed
    corrections = None
    if data.corrections is not None:
        corrections = read_corrections(data.corrections, limits=limits_of(settings))
    datasets = read_datasets(settings, terminal, arrays)
    new = None
    if corrections is not None:
        new = correct_labels(datasets, corrections, terminal)
        datasets["corrections"] = corrections

    training = _whole(datasets["dataset"])
    if "test_dataset" in datasets:
        learned = {*training.labels.tolist(), *(() if new is None else new.labels.tolist())}
        test = _of_digits(_whole(datasets["test_dataset"]), learned, terminal)
    else:
        training, test = split(training, data.test_fraction, seed)
    training, validation = split(training, data.validation_fraction, seed)
    # From here on, each image is in memory once.
    datasets = {name: dataset.without_digits() for name, dataset in datasets.items()}
    if new is not None:
        training = training.extended(new.digits, new.labels, new.names)
    drawn = round(settings.training.drawn_share * len(training))
    styles = styles_of({*training.labels.tolist()})
    training = training.extended(*draw_digits(drawn, np.random.default_rng(seed), styles), [])
    parts = Parts(training, validation, test, drawn, datasets)
    if not terminal.quiet:
        terminal.output.print(_counts(parts))
    _warn_of_few(parts, terminal)
    return parts


def limits_of(settings: Settings) -> Limits:
    return Limits(**settings.images.model_dump())


def read_datasets(
    settings: Settings, terminal: Terminal, arrays: ArrayPair | ArrayPairs | None = None
) -> dict[str, Dataset]:
    """Return the dataset, and that of the test if there is one."""
    data = settings.dataset
    if arrays is not None:
        pairs = arrays if isinstance(arrays[0], tuple) else (arrays,)
        names = ("dataset", "test_dataset")
        return {
            name: _hand_over(pair, settings, terminal)
            for name, pair in zip(names, pairs, strict=False)
        }
    datasets = {"dataset": _read(data.path, "training", settings, terminal)}
    test_path = data.test_path
    if test_path is None and datasets["dataset"].holds_test:
        test_path = data.path
    if test_path is not None:
        datasets["test_dataset"] = _read(test_path, "test", settings, terminal)
    return datasets


def _read(path: Path, part: DatasetPart, settings: Settings, terminal: Terminal) -> Dataset:
    with terminal.progress(f"Reading {path}") as progress:
        dataset = read_dataset(
            path,
            part,
            strict=settings.dataset.strict,
            lenient=settings.dataset.lenient,
            limits=limits_of(settings),
            cache=settings.dataset.cache,
            progress=progress,
        )
    which = f", for the {part}" if dataset.holds_test else ""
    terminal.tell(f"Read {len(dataset):,} images of {path} ({printable(dataset.form)}{which})")
    _tell_findings(dataset.findings, terminal)
    return dataset


def _hand_over(pair: ArrayPair, settings: Settings, terminal: Terminal) -> Dataset:
    images, labels = pair
    with terminal.progress("Preparing the images") as progress:
        dataset = read_arrays(
            images,
            labels,
            strict=settings.dataset.strict,
            lenient=settings.dataset.lenient,
            limits=limits_of(settings),
            progress=progress,
        )
    terminal.tell(f"Took {len(dataset):,} images of an array")
    _tell_findings(dataset.findings, terminal)
    return dataset


def _of_digits(test: Part, learned: set[int], terminal: Terminal) -> Part:
    """Return the test images of digits that the network learns: others would all be misread."""
    known = np.isin(test.labels, [*learned])
    if known.all():
        return test
    digits = ", ".join(map(str, sorted({*test.labels[~known].tolist()})))
    terminal.tell(
        f"{counted(int((~known).sum()), 'test image')} left out, of digits that the training lacks:"
        f" {digits}"
    )
    return test.take(np.flatnonzero(known))


def correct_labels(
    datasets: dict[str, Dataset], corrections: Dataset, terminal: Terminal
) -> Dataset:
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

    digits, counts = np.unique(part.labels, return_counts=True)
    rarest = int(counts.argmin())
    held_back_count = max(len(digits), round(len(part) * fraction))
    if counts[rarest] < 2 or len(part) - held_back_count < len(digits):
        raise DatasetError(
            f"The dataset is too small to split: {len(part)} images, {counts[rarest]} of the "
            f"digit {digits[rarest]}, with {fraction:g} of them held back: add images, or change "
            "the fractions."
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
        ("left out, of no digit", findings.unlabelled),
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


def _warn_of_few(parts: Parts, terminal: Terminal) -> None:
    """Say which digits have few images to learn from, before time is spent on them."""
    labels = parts.training.labels[: len(parts.training) - parts.drawn]
    counts = np.bincount(labels, minlength=len(CLASSES))
    few = [digit for digit in parts.digits if counts[digit] < FEW_TO_LEARN]
    if few:
        terminal.tell(
            "Warning: few images to learn from: "
            + ", ".join(f"{counts[digit]:,} of the digit {digit}" for digit in few)
            + f". Add some: below {FEW_TO_LEARN} of each, a network misreads many."
        )
    if len(parts.digits) < len(CLASSES):
        shown = ", ".join(map(str, parts.digits))
        terminal.tell(f"The model will read the digits {shown} and answer with no other.")
