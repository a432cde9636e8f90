"""What may be one digit of a line: one to four neighbouring segments, seen as a digit is."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from digit_classification.pictures.images.place import place_digit
from digit_classification.pictures.numbers.spans import Spans
from digit_classification.pictures.proposals import Proposal, ready

LONGEST = 6  # segments of a digit that are not one piece
_MOST = 10  # segments of a piece
_WIDEST = 1.35  # of the line's height
_HIGHEST = 1.6
_LOWEST = 0.35
_FAR = 0.25  # of the line's height: parts of one digit are no further apart


@dataclass(frozen=True)
class Candidate:
    """Segments `first` to `last`, the latter not included, taken for one digit.

    Attributes:
        first, last: the segments.
        proposal: it alone, in MNIST's form: as if cut out of the number.
        place: as of `Span`.
    """

    first: int
    last: int
    proposal: Proposal
    place: tuple[float, ...]


def single_candidates(spans: Spans) -> list[Candidate]:
    """Return those that are one segment each."""
    lowest = _LOWEST * spans.line.height
    high = [i for i, (_, _, _, h) in enumerate(spans.segments.boxes) if h >= lowest]
    return [made for i in high if (made := candidate(spans, i, i + 1))]


def all_candidates(spans: Spans) -> list[Candidate]:
    """Return all of a line that may be one digit."""
    count = len(spans.segments)
    return [
        made
        for first in range(count)
        for last in range(first + 1, min(first + _MOST, count) + 1)
        if _may_be_one(spans, first, last) and (made := candidate(spans, first, last))
    ]


def _may_be_one(spans: Spans, first: int, last: int) -> bool:
    unit, segments = spans.line.height, spans.segments
    _, _, w, h = segments.box(first, last)
    if not _LOWEST * unit <= h <= _HIGHEST * unit:
        return False
    own = segments.pieces[first:last]
    if len(set(own)) == 1 and segments.piece_counts[own[0]] == last - first:
        return True  # a whole piece
    if last - first > LONGEST or w > _WIDEST * unit:
        return False
    boxes = segments.boxes[first:last]
    ends = itertools.accumulate((x + w for x, _, w, _ in boxes), max)
    return all(x - end <= _FAR * unit for (x, _, _, _), end in zip(boxes[1:], ends, strict=False))


def candidate(spans: Spans, first: int, last: int) -> Candidate | None:
    """Return segments taken for one digit; None if nothing is left of them."""
    span = spans[first, last]
    digit = place_digit(span.strokes)
    return Candidate(first, last, ready(digit), span.place) if digit.any() else None
