"""What the boxes of a row are read as: a digit each, seen alone and as part of the line."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from digit_classification.network.choice import Choice, choose
from digit_classification.network.judge import OUTCOMES, Judge, ReadingNetwork
from digit_classification.network.numbers.certainty import log_of
from digit_classification.network.numbers.lattice import Edge, best_paths
from digit_classification.network.numbers.scoring import LIKELY
from digit_classification.network.numbers.ways import MOST_CONSTRAINED, Way
from digit_classification.pictures.proposals import propose
from digit_classification.pictures.row import Box

_EMPTY = 0.9  # the probability of no digit from which a box is empty,
_FILLED = 0.5  # unless it is so probable that the line has a whole digit there
_PAPER = 0.5  # the probability of nothing at all from which a gap is one
_WITHIN = 0.8  # of its width: what the line has in a box

_NO_DIGIT, _BLANK = OUTCOMES.index("no digit"), OUTCOMES.index("blank")


@dataclass(frozen=True)
class RowReading:
    """What a row of boxes is read as.

    Attributes:
        text: its digits.
        boxes: those that are not empty.
        images: (28, 28) uint8 each, the digit as the network saw it alone.
        probabilities: (10,) float64 each, of what it may be.
        certain: (n,) how sure each digit of the text is, 0 to 1.
        gaps: how sure it is that boxes between others are empty.
    """

    text: str
    boxes: tuple[Box, ...]
    images: tuple[np.ndarray, ...]
    probabilities: tuple[np.ndarray, ...]
    certain: tuple[float, ...]
    gaps: float

    @property
    def confidence(self) -> float:
        """How sure it is that every digit is right: boxes do not depend on each other."""
        return self.gaps * math.prod(self.certain)


def read_row(
    boxes: Sequence[Box],
    on_line: Sequence[np.ndarray],
    network: ReadingNetwork,
    judge: Judge,
    fits: re.Pattern[str] | None,
) -> RowReading | None:
    """Return what the boxes of a row, one at least, are read as; None where there is no number.

    Args:
        boxes: from left to right.
        on_line: what was seen in each of them before, as of `seen_on_line`.
        network: reads digits.
        judge: says how far a picture shows one whole digit.
        fits: what the text must be.
    """
    looks = [propose(box.image, "always") for box in boxes]
    choices = choose([next(look)[0] for look in looks], looks, network, judge)
    empty = _are_empty(choices, on_line)
    filled = [
        (box, choice.proposal.digit, _of_both(choice, seen))
        for box, choice, seen, is_empty in zip(boxes, choices, on_line, empty, strict=True)
        if not is_empty
    ]
    most = 1 if fits is None else MOST_CONSTRAINED
    edges = [edge for place, (_, _, both) in enumerate(filled) for edge in _edges(place, both)]
    paths = [
        path
        for path in best_paths(edges, len(filled), most)
        if fits is None or fits.fullmatch(path.text)
    ]
    if not filled or not paths:
        return None
    return RowReading(
        paths[0].text,
        tuple(box for box, _, _ in filled),
        tuple(image for _, image, _ in filled),
        tuple(both / both.sum() for _, _, both in filled),
        tuple(edge.probability for edge in paths[0].edges),
        math.prod(float(choices[gap].outcomes[_BLANK]) for gap in _gaps(empty)),
    )


def _are_empty(choices: Sequence[Choice], on_line: Sequence[np.ndarray]) -> list[bool]:
    """Return in which boxes there is no digit; `on_line` is what the line has in each.

    A number has no gaps: ink between two digits is one, too, however little it looks like it.
    """
    empty = [_is_empty(choice, seen) for choice, seen in zip(choices, on_line, strict=True)]
    inked = [gap for gap in _gaps(empty) if choices[gap].outcomes[_BLANK] < _PAPER]
    return [each and place not in inked for place, each in enumerate(empty)]


def _is_empty(choice: Choice, seen: np.ndarray) -> bool:
    """Whether there is no digit in a box; `seen` is what the line has in it."""
    none = choice.outcomes[_BLANK] + choice.outcomes[_NO_DIGIT]
    return bool(none > _EMPTY and seen.sum() < _FILLED)


def _gaps(empty: list[bool]) -> list[int]:
    """Return which empty boxes have others with digits on either side."""
    if all(empty):
        return []
    first, last = empty.index(False), len(empty) - 1 - list(reversed(empty)).index(False)
    return [place for place in range(first, last) if empty[place]]


def seen_on_line(way: Way, boxes: Sequence[Box], shape: tuple[int, ...]) -> list[np.ndarray]:
    """Return how probable it is that the line has a whole digit in a box, and which: (10,) each.

    Args:
        way: through the line.
        boxes: of the same picture.
        shape: of the picture.
    """
    seen = [np.zeros(10) for _ in boxes]
    for number, candidate in enumerate(way.seen.candidates):
        left, _, width, _ = way.seen.box_of(candidate.first, candidate.last, shape)
        whole = way.scores.whole[number]
        for place, box in enumerate(boxes):
            within = min(left + width, box.right) - max(left, box.left)
            if within > _WITHIN * width and whole > seen[place].sum():
                seen[place] = whole * way.scores.probabilities[number].astype(np.float64)
    return seen


def _of_both(choice: Choice, seen: np.ndarray) -> np.ndarray:
    """Return how sure each digit is, (10,) float64: by the box alone and by the line, in the mean.

    Two looks at one digit, its lines taken out in two ways, are wrong together less often.  What
    the line has no whole digit of, it says nothing about.
    """
    read = choice.probabilities.astype(np.float64)
    alone = choice.confidence * read / read.max()
    return np.asarray((alone + seen) / (1 + seen.sum()))


def _edges(place: int, both: np.ndarray) -> list[Edge]:
    """Return the digits that a box may hold."""
    return [
        Edge(place, place + 1, str(digit), log_of(float(both[digit])), float(both[digit]))
        for digit in np.flatnonzero(both > LIKELY * both.max()).tolist()
    ]
