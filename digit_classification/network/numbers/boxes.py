"""What the boxes of a row are read as: a digit each, as a picture of one is."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from digit_classification.network.choice import Choice, choose
from digit_classification.network.judge import Judge, ReadingNetwork
from digit_classification.network.numbers.certainty import log_of
from digit_classification.network.numbers.lattice import Edge, best_paths
from digit_classification.network.numbers.scoring import LIKELY
from digit_classification.network.numbers.ways import MOST_CONSTRAINED
from digit_classification.pictures.proposals import propose
from digit_classification.pictures.row import Box

_EMPTY = 0.9  # the probability of no digit from which a box is empty


@dataclass(frozen=True)
class RowReading:
    """What a row of boxes is read as.

    Attributes:
        text: its digits.
        boxes: those that are not empty.
        choices: what each of them is taken for.
        certain: (n,) how sure each digit of the text is, 0 to 1.
    """

    text: str
    boxes: tuple[Box, ...]
    choices: tuple[Choice, ...]
    certain: tuple[float, ...]

    @property
    def confidence(self) -> float:
        """How sure it is that every digit is right: boxes do not depend on each other."""
        return math.prod(self.certain)


def read_row(
    boxes: Sequence[Box], network: ReadingNetwork, judge: Judge, fits: re.Pattern[str] | None
) -> RowReading | None:
    """Return what the boxes of a row, one at least, are read as; None where there is no number.

    Args:
        boxes: from left to right.
        network: reads digits.
        judge: says how far a picture shows one whole digit.
        fits: what the text must be.
    """
    looks = [propose(box.image, "always") for box in boxes]
    choices = choose([next(look)[0] for look in looks], looks, network, judge)
    filled = [
        (box, choice)
        for box, choice in zip(boxes, choices, strict=True)
        if choice.outcomes[2:].sum() < _EMPTY
    ]
    most = 1 if fits is None else MOST_CONSTRAINED
    edges = [edge for place, (_, choice) in enumerate(filled) for edge in _edges(place, choice)]
    paths = [
        path
        for path in best_paths(edges, len(filled), most)
        if fits is None or fits.fullmatch(path.text)
    ]
    if not filled or not paths:
        return None
    return RowReading(
        paths[0].text,
        tuple(box for box, _ in filled),
        tuple(choice for _, choice in filled),
        tuple(edge.probability for edge in paths[0].edges),
    )


def _edges(place: int, choice: Choice) -> list[Edge]:
    """Return the digits that a box may hold: how sure each is, given how sure the likeliest is."""
    read = choice.probabilities.astype(np.float64)
    shares = choice.confidence * read / read.max()
    return [
        Edge(place, place + 1, str(digit), log_of(float(shares[digit])), float(shares[digit]))
        for digit in np.flatnonzero(read > LIKELY).tolist()
    ]
