"""Two digits that touch, seen at once: where none of the cuts is right, both may still be read.

A digit is brought to 28x28 about its centre of mass.  Two have no such centre that would say where
either of them is: a pair is as high, stands in the middle of 22x36, and what is wider or narrower
than most pairs is brought half of the way to their width, so that either digit is where it mostly
is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from digit_classification.pictures.images.convention import BOX, FINE, INK, PAIR_SHAPE
from digit_classification.pictures.images.width import with_usual_width
from digit_classification.pictures.numbers.candidates import bounds_of, place_of, strokes_of
from digit_classification.pictures.numbers.line import Line
from digit_classification.pictures.numbers.segments import Segments

_USUAL = 32  # pixels of them: the width of most pairs
_WIDTHS = (0.55, 2.4)  # of the line's height, at least and at most
_DOUBTED = 0.7  # of the line's height: a piece so wide may be two digits though it looks like one
_LOWEST = 0.6  # of the line's height
_MOST = 10  # segments


@dataclass(frozen=True)
class Pair:
    """Segments `first` to `last`, the latter not included, of one piece, taken for two digits.

    Attributes:
        first, last: the segments; of a piece that is not cut, the only one.
        image: (22, 36) uint8, light ink on dark.
        place: as of `Candidate`.
    """

    first: int
    last: int
    image: np.ndarray
    place: tuple[float, ...]


def whole_pairs(line: Line, segments: Segments) -> list[Pair]:
    """Return the pieces of a line that may be two digits, uncut."""
    return [
        _pair(line, segments, i, i + 1)
        for i in range(len(segments))
        if segments.boxes[i, 2] >= _DOUBTED * line.height and _may_be_two(line, segments, i, i + 1)
    ]


def all_pairs(line: Line, segments: Segments) -> list[Pair]:
    """Return all of a line that may be two digits which touch, where it is cut."""
    return [
        _pair(line, segments, first, last)
        for first in range(len(segments))
        for last in range(first + 2, min(first + _MOST, len(segments)) + 1)
        if _may_be_two(line, segments, first, last)
    ]


def _pair(line: Line, segments: Segments, first: int, last: int) -> Pair:
    image = pair_image(strokes_of(line, segments, first, last))
    return Pair(first, last, image, place_of(line, segments, first, last))


def _may_be_two(line: Line, segments: Segments, first: int, last: int) -> bool:
    own = segments.pieces[first:last]
    if (own != own[0]).any():
        return False
    _, _, w, h = bounds_of(segments, first, last)
    low, high = _WIDTHS
    return low * line.height <= w <= high * line.height and h >= _LOWEST * line.height


def pair_image(strokes: np.ndarray) -> np.ndarray:
    """Bring the strokes of two digits, (h, w) uint8 with 255 for full ink, to PAIR_SHAPE, uint8."""
    strokes = with_usual_width(strokes)
    x, y, w, h = cv2.boundingRect((strokes > INK).astype(np.uint8))
    canvas = np.zeros((PAIR_SHAPE[0] * FINE, PAIR_SHAPE[1] * FINE), np.uint8)
    if w:
        own = w * BOX / h  # in its proportions
        width = min(max(1, round(math.sqrt(own * _USUAL) * FINE)), PAIR_SHAPE[1] * FINE)
        larger = width > w or h < BOX * FINE
        fitted = cv2.resize(
            strokes[y : y + h, x : x + w],
            (width, BOX * FINE),
            interpolation=cv2.INTER_LINEAR if larger else cv2.INTER_AREA,
        )
        left, top = (canvas.shape[1] - width) // 2, (canvas.shape[0] - BOX * FINE) // 2
        canvas[top : top + BOX * FINE, left : left + width] = fitted
    return np.asarray(cv2.resize(canvas, PAIR_SHAPE[::-1], interpolation=cv2.INTER_AREA))


def middle_of(segments: Segments, pair: Pair) -> int:
    """Return the segment at which a pair's halves are most alike in width."""
    x, _, w, _ = bounds_of(segments, pair.first, pair.last)
    starts = segments.boxes[pair.first + 1 : pair.last, 0]
    return pair.first + 1 + int(abs(starts - (x + w / 2)).argmin())
