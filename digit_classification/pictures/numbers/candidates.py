"""What may be one digit of a line: one to four neighbouring segments, seen as a digit is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from digit_classification.pictures.images import strokes_to_digit
from digit_classification.pictures.images.strokes import Marks, cut_out
from digit_classification.pictures.numbers.line import Line
from digit_classification.pictures.numbers.segments import Segments
from digit_classification.pictures.proposals import Proposal, ready

LONGEST = 6  # segments of a digit that are not one piece
_MOST = 10  # segments of a piece
_WIDEST = 1.35  # of the line's height
_HIGHEST = 1.6
_LOWEST = 0.35
_FAR = 0.25  # of the line's height: parts of one digit are no further apart
_ROOM = 8  # pixels around a candidate that its strokes may depend on


@dataclass(frozen=True)
class Candidate:
    """Segments `first` to `last`, the latter not included, taken for one digit.

    Attributes:
        first, last: the segments.
        proposal: it alone, in MNIST's form: as if cut out of the number.
        place: height and width in heights of the line, width over height, where its middle is from
            the line's top (0) to its foot (1), how many segments it has, 1 for its left and its
            right side where a cut bounds it, 0 where paper does; of the connected pieces that it
            is of how many they are, how wide the widest is in heights of the line, which share of
            their ink it holds.
    """

    first: int
    last: int
    proposal: Proposal
    place: tuple[float, ...]


def single_candidates(line: Line, segments: Segments) -> list[Candidate]:
    """Return those that are one segment each."""
    return [
        made
        for i in range(len(segments))
        if segments.boxes[i][3] >= _LOWEST * line.height
        and (made := candidate(line, segments, i, i + 1)) is not None
    ]


def all_candidates(line: Line, segments: Segments) -> list[Candidate]:
    """Return all of a line that may be one digit."""
    found = []
    for first in range(len(segments)):
        for last in range(first + 1, min(first + _MOST, len(segments)) + 1):
            if not _may_be_one(line, segments, first, last):
                continue
            made = candidate(line, segments, first, last)
            if made is not None:
                found.append(made)
    return found


def _may_be_one(line: Line, segments: Segments, first: int, last: int) -> bool:
    _, _, w, h = bounds_of(segments, first, last)
    if h < _LOWEST * line.height or h > _HIGHEST * line.height:
        return False
    own = segments.pieces[first:last]
    if (own == own[0]).all() and segments.piece_counts[own[0]] == last - first:
        return True  # a whole piece
    if last - first > LONGEST or w > _WIDEST * line.height:
        return False
    members = segments.boxes[first:last]
    ends = np.maximum.accumulate(members[:, 0] + members[:, 2])
    return bool((members[1:, 0] - ends[:-1] <= _FAR * line.height).all())


def bounds_of(segments: Segments, first: int, last: int) -> tuple[int, int, int, int]:
    """Return left, top, width and height of segments."""
    rows = segments.boxes[first:last].tolist()
    x, y = min(row[0] for row in rows), min(row[1] for row in rows)
    return x, y, max(r[0] + r[2] for r in rows) - x, max(r[1] + r[3] for r in rows) - y


def candidate(line: Line, segments: Segments, first: int, last: int) -> Candidate | None:
    """Return segments taken for one digit; None if nothing is left of them."""
    digit = strokes_to_digit(strokes_of(line, segments, first, last))
    if not digit.any():
        return None
    return Candidate(first, last, ready(digit), place_of(line, segments, first, last))


def strokes_of(line: Line, segments: Segments, first: int, last: int) -> np.ndarray:
    """Return the strokes of segments alone, (h, w) uint8, as `cut_out` does those of a digit."""
    x, y, w, h = bounds_of(segments, first, last)
    here = np.s_[max(0, y - _ROOM) : y + h + _ROOM, max(0, x - _ROOM) : x + w + _ROOM]
    labels = segments.labels[here]
    own = ((labels > first) & (labels <= last)).astype(np.uint8)
    ink = np.where((labels == 0) | (own > 0), line.marks.ink[here], 0)
    return cut_out(Marks(ink, own, line.marks.level, line.marks.scale), own)


def place_of(line: Line, segments: Segments, first: int, last: int) -> tuple[float, ...]:
    """Return `Candidate.place`."""
    _, y, w, h = bounds_of(segments, first, last)
    unit, pieces = line.height, segments.pieces
    own = list({int(piece) for piece in pieces[first:last]})
    return (
        h / unit,
        w / unit,
        w / h,
        (y + h / 2 - line.top) / unit,
        last - first,
        float(first > 0 and pieces[first - 1] == pieces[first]),
        float(last < len(pieces) and pieces[last] == pieces[last - 1]),
        len(own),
        float(segments.piece_widths[own].max()) / unit,
        float(segments.areas[first:last].sum() / segments.piece_areas[own].sum()),
    )
