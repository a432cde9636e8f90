"""What a training report is made from, and the scores in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from digit_classification.pictures import images
from digit_classification.pictures.decode import DEFAULT_LIMITS, ImageError, Limits, decode
from digit_classification.pictures.sources import Source, SourceError, find_named, is_zip
from digit_classification.training.datasets.dataset import Dataset
from digit_classification.training.epochs import best_epoch
from digit_classification.training.parts import Parts
from digit_classification.training.scores import (
    by_threshold,
    calibration_error,
    interval,
    most_confused,
)

MISTAKES = 24  # shown; all of them are in mistakes.csv
SAMPLES = 12  # of each kind that was left out; all of them are in left_out.csv
PAIRS = 12  # of digits that are confused; all of them are in metrics.json
THUMBNAIL = 144  # pixels: twice what the page gives it, for dense screens


@dataclass(frozen=True)
class Training:
    """What a report is made from."""

    model: Path
    card: Mapping[str, Any]  # as in the model file: settings, history, test scores, ...
    settings: str  # those in effect, as YAML
    parts: Parts
    limits: Limits  # of the pictures that are opened
    probabilities: np.ndarray  # (n, 10), of the test images
    examples: np.ndarray  # (d, 28, 28) uint8: one training image of each digit that is learned
    distorted: np.ndarray  # (d, k, 28, 28) uint8: the same as the network learned from them

    @property
    def truth(self) -> np.ndarray:
        return self.parts.test.labels

    @property
    def datasets(self) -> list[Dataset]:
        return [*self.parts.datasets.values()]

    @property
    def tested(self) -> Dataset:
        """The dataset that the test images are of."""
        of_all = self.parts.datasets
        return of_all.get("test_dataset", of_all["dataset"])

    @property
    def counts(self) -> dict[str, np.ndarray]:
        """Images of each digit, (10,), by the name of the part that they are in."""
        parts = self.parts
        each = {"training": parts.training, "validation": parts.validation, "test": parts.test}
        return {name: np.bincount(part.labels, minlength=10) for name, part in each.items()}

    @property
    def read(self) -> np.ndarray:
        """The digits that the network takes the test images for."""
        found: np.ndarray = self.probabilities.argmax(axis=1)
        return found

    @property
    def confidences(self) -> np.ndarray:
        found: np.ndarray = self.probabilities.max(axis=1)
        return found

    @property
    def mistakes(self) -> np.ndarray:
        """Indices of the test images that are misread, the most confident first."""
        wrong = np.flatnonzero(self.read != self.truth)
        return wrong[np.argsort(-self.confidences[wrong], kind="stable")]


def measure(training: Training) -> dict[str, Any]:
    """Return the scores of the report, ready for JSON."""
    test, curve = training.card["test"], training.card["history"]
    matrix = np.array(test["confusion_matrix"])
    right = training.read == training.truth
    return {
        **test,
        "mistakes": int((~right).sum()),
        "accuracy_interval_95": interval(int(right.sum()), len(right)),
        "calibration_error": calibration_error(training.confidences, right),
        "most_confused": most_confused(matrix),
        "by_min_confidence": by_threshold(training.confidences, right),
        "best_epoch": best_epoch(curve),
        "epochs": len(curve),
        "epochs_planned": training.card["settings"]["training"]["epochs"],
        "interrupted": training.card["interrupted"],
        "training_seconds": training.card["training_seconds"],
        "temperature": training.card["temperature"],
        "judge": training.card["judge"],
        "images_per_part": {part: counts.tolist() for part, counts in training.counts.items()},
        "drawn_for_training": training.parts.drawn,
    }


@dataclass(frozen=True)
class Kind:
    """One way in which a file of a dataset is not simply an image to learn from."""

    name: str
    title: str
    advice: str
    files: Sequence[tuple[Path, str, str]]  # (dataset, name, why)


def left_out(datasets: Sequence[Dataset]) -> list[Kind]:
    """Return what was left out of the datasets, or is doubtful, by kind."""

    def gather(
        files: Callable[[Dataset], Iterable[tuple[str, str]]],
    ) -> list[tuple[Path, str, str]]:
        return [(data.path, name, why) for data in datasets for name, why in files(data)]

    return [
        Kind(
            "unreadable",
            "Left out: unreadable",
            "Repair or delete them.",
            gather(lambda data: data.findings.left_out),
        ),
        Kind(
            "duplicate",
            "Left out: copies",
            "The same image byte for byte, kept once, so that no copy is in the training and in "
            "the test.",
            gather(
                lambda data: [(name, f"copy of {kept}") for name, kept in data.findings.duplicates]
            ),
        ),
        Kind(
            "no digit",
            "Left out: of no digit",
            "Their labels are no digits, are missing, or contradict each other.",
            gather(lambda data: data.findings.unlabelled),
        ),
        Kind(
            "no image",
            "Left out: no images",
            "Files that lie between the images, or outside of the class folders.",
            gather(lambda data: [(name, "no image") for name in data.findings.stray]),
        ),
        Kind(
            "doubtful",
            "Learned from, but doubtful",
            "They do not look like one digit. Look at them: a wrong image teaches a wrong lesson.",
            gather(lambda data: data.findings.doubtful),
        ),
    ]


def full_name(dataset: Path, name: str) -> str:
    """Name an image as the detector does, so that the name can be given to it."""
    return name if _is_list(dataset) else f"{dataset.as_posix()}/{name}"


def _is_list(dataset: Path) -> bool:
    """Whether this is a file of corrections, which names its pictures in full."""
    return dataset.is_file() and not is_zip(str(dataset))


def open_picture(dataset: Path, name: str, limits: Limits = DEFAULT_LIMITS) -> Image.Image | None:
    """Return the picture that a dataset holds under this name, small.

    None if there is none, or none that `limits` allow.
    """
    path = str(dataset)
    if _is_list(dataset):
        source = find_named(name)
    else:
        source = Source(name, path, name) if is_zip(path) else Source(name, str(dataset / name))
    try:
        pixels = decode(source.read(), limits).pixels
    except (SourceError, ImageError):
        return None
    return Image.fromarray(images.thumbnail(pixels, THUMBNAIL))
