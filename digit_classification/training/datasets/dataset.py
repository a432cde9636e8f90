"""A dataset, read: normalised digits with their labels, and what happened to each file."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from digit_classification.errors import UserError

CLASSES = tuple("0123456789")

_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_LABEL = re.compile(
    r"(?:(?:digit|class|label|number|num)[ _-]*)?"
    rf"(?:0*(?P<figure>[0-9])(?:\.0+)?|(?P<word>{'|'.join(_WORDS)}))",
    re.IGNORECASE,
)
# Chars74K (de Campos et al. 2009) counts its 62 characters from 1; the digits come first.
_CHARS74K = re.compile(r"sample(\d{3})", re.IGNORECASE)


class DatasetError(UserError):
    """The dataset cannot be trained on; the message is one sentence for the user."""


@dataclass
class Findings:
    """What happened to each file of a dataset.  Names are relative to the dataset."""

    left_out: list[tuple[str, str]] = field(default_factory=list)  # unreadable: (name, reason)
    stray: list[str] = field(default_factory=list)  # no pictures
    unlabelled: list[tuple[str, str]] = field(default_factory=list)  # of no digit: (name, reason)
    duplicates: list[tuple[str, str]] = field(default_factory=list)  # (name, the copy kept)
    doubtful: list[tuple[str, str]] = field(default_factory=list)  # kept, but (name, reason)


@dataclass(frozen=True)
class Dataset:
    """Normalised digits with their labels."""

    path: Path
    digits: np.ndarray  # (n, 28, 28) uint8, light ink on dark
    labels: np.ndarray  # (n,) uint8, 0 to 9
    names: list[str]  # relative to the dataset, in the order of `digits`; in full if it is a file
    findings: Findings
    checksums: list[str]  # SHA-256 of each image's file, hexadecimal, in the order of `digits`
    form: str = ""  # what it was recognised as, in words
    holds_test: bool = False  # whether a test set of its own lies at the same path

    def __len__(self) -> int:
        return len(self.labels)

    def without_digits(self) -> Dataset:
        """Return all but the images, which need not stay in memory once they are split."""
        return replace(self, digits=self.digits[:0].copy())

    def take(self, indices: np.ndarray) -> Dataset:
        """Return the images at these positions, with all that was found."""
        return replace(
            self,
            digits=self.digits[indices],
            labels=self.labels[indices],
            names=[self.names[index] for index in indices],
            checksums=[self.checksums[index] for index in indices],
        )

    @property
    def counts(self) -> dict[str, int]:
        """Number of images of each class."""
        return dict(zip(CLASSES, np.bincount(self.labels, minlength=10).tolist(), strict=True))

    @property
    def sha256(self) -> str:
        """A checksum of all labels and file contents: the same images give the same sum."""
        pairs = zip(self.labels.tolist(), self.checksums, strict=True)
        lines = sorted(f"{label} {checksum}\n" for label, checksum in pairs)
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def digit_of(label: str) -> int | None:
    """Return the digit that a label, or the name of a class folder, stands for; None for none.

    `3`, `03`, `3.0`, `three`, `digit_3` and `Sample004` stand for 3.
    """
    if found := _LABEL.fullmatch(label.strip()):
        word = found["word"]
        return int(found["figure"]) if word is None else _WORDS.index(word.lower())
    if found := _CHARS74K.fullmatch(label):
        number = int(found[1])
        return number - 1 if 1 <= number <= len(CLASSES) else None
    return None


def quoted(names: list[str], most: int = 6) -> str:
    """Return names in quotes, or the first of them and how many more there are."""
    shown = ", ".join(f"'{name}'" for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most:,} more"
