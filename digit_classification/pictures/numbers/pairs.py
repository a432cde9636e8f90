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
from digit_classification.pictures.numbers.segments import Segments
from digit_classification.pictures.numbers.spans import Spans

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
        place: as of `Span`.
    """

    first: int
    last: int
    image: np.ndarray
    place: tuple[float, ...]


def whole_pairs(spans: Spans) -> list[Pair]:
    """Return the pieces of a line that may be two digits, uncut."""
    narrowest = _DOUBTED * spans.line.height
    wide = [i for i, (_, _, w, _) in enumerate(spans.segments.boxes) if w >= narrowest]
    return [_pair(spans, i, i + 1) for i in wide if _may_be_two(spans, i, i + 1)]


def all_pairs(spans: Spans) -> list[Pair]:
    """Return all of a line that may be two digits which touch, where it is cut."""
    count = len(spans.segments)
    return [
        _pair(spans, first, last)
        for first in range(count)
        for last in range(first + 2, min(first + _MOST, count) + 1)
        if _may_be_two(spans, first, last)
    ]


def _pair(spans: Spans, first: int, last: int) -> Pair:
    span = spans[first, last]
    return Pair(first, last, pair_image(span.strokes), span.place)


def _may_be_two(spans: Spans, first: int, last: int) -> bool:
    if len(set(spans.segments.pieces[first:last])) > 1:
        return False
    _, _, w, h = spans.segments.box(first, last)
    unit, (low, high) = spans.line.height, _WIDTHS
    return low * unit <= w <= high * unit and h >= _LOWEST * unit


def pair_image(strokes: np.ndarray) -> np.ndarray:
    """Bring the strokes of two digits, (h, w) uint8, as wide as MNIST's, to PAIR_SHAPE, uint8."""
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
    x, _, w, _ = segments.box(pair.first, pair.last)
    middle = x + w / 2
    inner = range(pair.first + 1, pair.last)
    return min(inner, key=lambda each: abs(segments.boxes[each][0] - middle))
