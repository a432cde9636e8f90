"""A person's own pictures: which of the ways to see each of them shows the digit that it is.

That one is learned as a whole digit, and others as none.  The digit is known, so a way is found
even where the model would read another digit, or take the neighbour's ink for it.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from digit_classification.network.judge import CLASSES, Judge, ReadingNetwork, inputs_of
from digit_classification.parallel import map_in_order
from digit_classification.pictures.decode import Limits
from digit_classification.pictures.images import Invert
from digit_classification.pictures.prepare import prepare
from digit_classification.pictures.proposals import Proposal, ready
from digit_classification.pictures.sources import Source, find_named
from digit_classification.training.datasets.dataset import Dataset
from digit_classification.training.datasets.forms import recognise
from digit_classification.training.datasets.found import Part

KEPT = 6  # ways to see a picture
# What a way counts beside the probability of its digit: a form that is always misread should be
# learned, too, if the judge takes it for a whole digit.
_MISREAD = 0.05
_LEAST = 0.02  # of the best way's product, below which none shows the digit
_SURE = 0.95  # of the best way's product, above which no more are looked at: that takes time
_WHOLE = CLASSES.index("whole")


@dataclass(frozen=True)
class Labelled:
    """Pictures with their labels.

    Attributes:
        sources: of the pictures.
        digits: (n, 28, 28) uint8, what the preparation alone makes of them.
        labels: (n,) uint8, 0 to 9.
        checksums: SHA-256 of the files; of a digit of a number, which has none, of its pixels.
    """

    sources: list[Source]
    digits: np.ndarray
    labels: np.ndarray
    checksums: list[str]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: np.ndarray) -> Labelled:
        return Labelled(
            [self.sources[index] for index in indices],
            self.digits[indices],
            self.labels[indices],
            [self.checksums[index] for index in indices],
        )

    def joined(self, other: Labelled) -> Labelled:
        return Labelled(
            self.sources + other.sources,
            np.concatenate([self.digits, other.digits]),
            np.concatenate([self.labels, other.labels]),
            self.checksums + other.checksums,
        )


def of_dataset(dataset: Dataset, part: Part) -> Labelled:
    """Return the pictures of a dataset, of which this part was read."""
    contents = recognise(dataset.path, part).read()
    places = {name: place for place, name in enumerate(contents.names)}
    sources = [contents.source(places[name]) for name in dataset.names]
    return Labelled(sources, dataset.digits, dataset.labels, dataset.checksums)


def of_corrections(corrections: Dataset) -> Labelled:
    """Return the pictures, and the digits of numbers, that a person has corrected."""
    sources = [find_named(name) for name in corrections.names]
    return Labelled(sources, corrections.digits, corrections.labels, corrections.checksums)


@dataclass(frozen=True)
class Looks:
    """Ways to see one picture, the one that shows its digit first.

    Attributes:
        digits: (k, 28, 28) uint8.
        contexts: (k, 784) uint8, the ink around them.
        numbers: (k, len(NUMBERS)) float32.
        label: 0 to 9.
    """

    digits: np.ndarray
    contexts: np.ndarray
    numbers: np.ndarray
    label: int


def look_at(
    pictures: Labelled, network: ReadingNetwork, judge: Judge, invert: Invert, limits: Limits
) -> Iterator[Looks | None]:
    """Yield the ways to see each picture, in order; None where none shows its digit."""
    # They were read once already; those of arrays come in a format that nobody asks for.
    limits = replace(limits, formats=(*limits.formats, "PGM"))
    look = functools.partial(_look, network, judge, invert, limits)
    labels = pictures.labels.tolist()
    items = zip(pictures.sources, pictures.digits, labels, pictures.checksums, strict=True)
    return map_in_order(look, items)


def _look(
    network: ReadingNetwork,
    judge: Judge,
    invert: Invert,
    limits: Limits,
    item: tuple[Source, np.ndarray, int, str],
) -> Looks | None:
    source, digit, label, checksum = item
    ways: list[Proposal] = []
    shown: np.ndarray = np.zeros(0)
    for stage in _ways(source, digit, checksum, invert, limits):
        ways += [way for way in stage if not way.empty]
        if ways:
            inputs = inputs_of(ways, network)
            read = inputs.probabilities[:, label]
            shown = judge(inputs)[:, _WHOLE] * (read + _MISREAD)
            if shown.max() > _SURE:
                break
    if not ways:
        return None
    best = np.argsort(-shown, kind="stable")[:KEPT]
    if shown[best[0]] < _LEAST:
        return None
    return Looks(
        np.stack([ways[index].digit for index in best]),
        inputs.contexts[best],
        np.stack([ways[index].numbers for index in best]).astype(np.float32),
        label,
    )


def _ways(
    source: Source, digit: np.ndarray, checksum: str, invert: Invert, limits: Limits
) -> Iterable[list[Proposal]]:
    """Return the ways to see a picture, in the stages in which the detector looks at it."""
    prepared = prepare(source, invert, limits, proposing=True)
    if prepared.proposal is None or prepared.sha256 != checksum:  # a digit of a number
        return [[ready(digit)]]
    return itertools.chain([[prepared.proposal]], prepared.others)
