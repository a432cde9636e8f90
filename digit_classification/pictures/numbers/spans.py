"""Neighbouring segments of a line as one piece of ink, whatever they are taken for."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from digit_classification.pictures.images.strokes import Marks, cut_out
from digit_classification.pictures.images.width import with_usual_width
from digit_classification.pictures.numbers.line import Line
from digit_classification.pictures.numbers.segments import Segments

_ROOM = 8  # pixels around a span that its strokes may depend on


@dataclass(frozen=True)
class Span:
    """Segments `first` to `last`, the latter not included.

    Attributes:
        first, last: the segments.
        strokes: (h, w) uint8, 255 for full ink: they alone, as wide as MNIST's are.
        place: height and width in heights of the line, width over height, where its middle is from
            the line's top (0) to its foot (1), how many segments it has, 1 for its left and its
            right side where a cut bounds it, 0 where paper does; of the connected pieces that it
            is of how many they are, how wide the widest is in heights of the line, which share of
            their ink it holds.
    """

    first: int
    last: int
    strokes: np.ndarray
    place: tuple[float, ...]


@dataclass(frozen=True)
class Spans:
    """All that there may be in a line: each is cut out once, whoever asks for it."""

    line: Line
    segments: Segments
    _made: dict[tuple[int, int], Span] = field(default_factory=dict, repr=False)

    def __getitem__(self, ends: tuple[int, int]) -> Span:
        if ends not in self._made:
            self._made[ends] = Span(*ends, self._strokes(*ends), self._place(*ends))
        return self._made[ends]

    def _strokes(self, first: int, last: int) -> np.ndarray:
        x, y, w, h = self.segments.box(first, last)
        here = np.s_[max(0, y - _ROOM) : y + h + _ROOM, max(0, x - _ROOM) : x + w + _ROOM]
        labels, marks = self.segments.labels[here], self.line.marks
        own = (labels > first) & (labels <= last)
        ink = marks.ink[here] * (own | (labels == 0))
        own = own.astype(np.uint8)
        return with_usual_width(cut_out(Marks(ink, own, marks.level, marks.scale), own))

    def _place(self, first: int, last: int) -> tuple[float, ...]:
        _, y, w, h = self.segments.box(first, last)
        unit, segments = self.line.height, self.segments
        pieces = segments.pieces
        own = set(pieces[first:last])
        held = sum(segments.areas[first:last])
        return (
            h / unit,
            w / unit,
            w / h,
            (y + h / 2 - self.line.top) / unit,
            last - first,
            float(first > 0 and pieces[first - 1] == pieces[first]),
            float(last < len(pieces) and pieces[last] == pieces[last - 1]),
            len(own),
            max(segments.piece_widths[piece] for piece in own) / unit,
            held / sum(segments.piece_areas[piece] for piece in own),
        )
