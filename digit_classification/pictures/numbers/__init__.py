"""From a picture of a number to what may be its digits.

1. *Line*: the one line of ink is found, seen from close by, level and upright (`line`); printed
   rules, boxes and combs are taken out (`rules`).
2. *Segments*: the pieces of ink from left to right, parts of one digit joined (`segments`), and cut
   wherever two digits may touch (`cuts`).
3. *Candidates*: one to four neighbouring segments, as the network and the judge see a digit
   (`candidates`); and pairs of digits that touch, as another network sees both (`pairs`).

The pieces as they are come first; cuts and other views only where somebody asks for more.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from digit_classification.pictures.geometry import box_in_shares
from digit_classification.pictures.images import BLANK, Invert, has_dark_ink
from digit_classification.pictures.numbers.candidates import (
    Candidate,
    all_candidates,
    single_candidates,
)
from digit_classification.pictures.numbers.line import Line, find_line
from digit_classification.pictures.numbers.pairs import Pair, all_pairs, whole_pairs
from digit_classification.pictures.numbers.segments import Segments, cut_pieces, whole_pieces
from digit_classification.pictures.numbers.spans import Spans
from digit_classification.pictures.proposals.regions import Region, find_regions, find_sheet

_SHEET = 0.2  # of the picture: a sheet on a desk fills more


@dataclass(frozen=True)
class Seen:
    """One way to see a picture of a number.

    Attributes:
        line: of ink; None where there is none.
        segments: that it falls into.
        candidates: what may be a digit.
        said: why there is no line of a number, or None.
        cut: whether its pieces are cut wherever digits may touch.
        pairs: what may be two digits that touch.
    """

    line: Line | None
    segments: Segments
    candidates: list[Candidate]
    said: str | None = None
    cut: bool = False
    pairs: Sequence[Pair] = ()

    def box_of(
        self, first: int, last: int, shape: tuple[int, ...]
    ) -> tuple[float, float, float, float]:
        """Return left, top, width and height of segments in shares of a picture of this shape."""
        assert self.line is not None
        x, y, w, h = self.segments.box(first, last)
        return box_in_shares(self.line.back, (x, y, x + w, y + h), shape)


def see(grey: np.ndarray, invert: Invert) -> Seen:
    """See the pieces of a grey picture, (h, w) uint8, as they are."""
    dark_ink = has_dark_ink(grey, invert)
    if invert == "auto" and not dark_ink:
        line = _on_sheet(grey)
        if line is not None:
            return _whole(line)
    return _written_in(grey, dark_ink)


def see_other_ink(grey: np.ndarray) -> Seen:
    """See a picture as if it had light ink where `see` found dark ink, or dark ink for light."""
    return _written_in(grey, not has_dark_ink(grey, "auto"))


def _written_in(grey: np.ndarray, dark_ink: bool) -> Seen:
    found = find_line(grey, dark_ink)
    return _whole(found) if isinstance(found, Line) else _nothing(found or BLANK)


def _on_sheet(grey: np.ndarray) -> Line | None:
    """Return the line on light paper that lies on something dark, which is no light ink."""
    sheet = find_sheet(grey)
    if sheet is None or sheet.width * sheet.height < _SHEET * grey.size:
        return None
    line = _line_in(grey, sheet)
    return line if line is not None and line.dark_ink else None


def _line_in(grey: np.ndarray, region: Region, invert: Invert = "auto") -> Line | None:
    """Return the line in a part of a picture."""
    part = region.cut(grey)
    line = find_line(part, has_dark_ink(part, invert))
    if not isinstance(line, Line):
        return None
    back = line.back.copy()
    back[:, 2] += (region.left, region.top)
    return replace(line, back=back, left_out=(*line.left_out, region.leaves_out))


def cut_further(first: Seen, sure: Collection[int] = ()) -> list[Seen]:
    """See the same line with its pieces cut, but for those that are surely one digit each."""
    return [] if first.line is None else [_cut(first.line, first.segments, sure)]


def look_elsewhere(grey: np.ndarray, invert: Invert) -> list[Seen]:
    """See parts of a picture whose whole does not convince: the paper on a desk, within margins."""
    lines = (_line_in(grey, region, invert) for region in find_regions(grey) if region.leaves_out)
    return [_cut(line, whole_pieces(line)) for line in lines if line is not None]


def _whole(line: Line) -> Seen:
    segments = whole_pieces(line)
    spans = Spans(line, segments)
    return Seen(line, segments, single_candidates(spans), pairs=whole_pairs(spans))


def _cut(line: Line, whole: Segments, sure: Collection[int] = ()) -> Seen:
    segments = cut_pieces(line, whole, sure)
    spans = Spans(line, segments)
    return Seen(line, segments, all_candidates(spans), cut=True, pairs=all_pairs(spans))


def _nothing(said: str) -> Seen:
    return Seen(None, Segments(np.zeros((1, 1), np.int32), [], [], []), [], said=said)
