"""The pieces that a line of ink falls into: digits, parts of digits, signs and specks."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from digit_classification.pictures.images.convention import NEIGHBOURS
from digit_classification.pictures.images.width import stroke_width
from digit_classification.pictures.numbers.cuts import find_cuts
from digit_classification.pictures.numbers.line import Line
from digit_classification.pictures.numbers.signs import is_dot, sign_of

MOST = 60  # segments of a line: no number has more
_SPECK = 0.05  # of the line's height
_SMALL_DOT = 0.09  # of the pen's width squared: a dot's area
_DARK = 0.72  # of the ink's level: the darkest of a dot; what is left of printed lines is lighter
_TALL = 0.45  # of the line's height: a piece so high may be a digit of its own
_WITHIN = 0.6  # of its width: a low piece that lies so far over or under another is a part of it
_NARROW = 0.5  # of the line's height: a piece no wider is one digit
_CUT = 0.06  # of a digit's ink: what is cut off and smaller belongs to the part beside it


Box = tuple[int, int, int, int]  # left, top, width, height in pixels of the line


@dataclass(frozen=True)
class Segments:
    """Pieces in the order in which they are written.

    Attributes:
        labels: (h, w) int32, 1 for the first piece, 0 where none is.
        boxes: where each is.
        areas: the pixels of each.
        pieces: from which connected piece of ink each is cut.
    """

    labels: np.ndarray
    boxes: list[Box]
    areas: list[int]
    pieces: list[int]

    def __len__(self) -> int:
        return len(self.areas)

    def box(self, first: int, last: int) -> Box:
        """Return where the segments `first` to `last` are, the latter not included."""
        boxes = self.boxes[first:last]
        x, y = min(box[0] for box in boxes), min(box[1] for box in boxes)
        right, foot = max(box[0] + box[2] for box in boxes), max(box[1] + box[3] for box in boxes)
        return x, y, right - x, foot - y

    @functools.cached_property
    def piece_counts(self) -> Counter[int]:
        """How many segments each piece has."""
        return Counter(self.pieces)

    @functools.cached_property
    def piece_areas(self) -> Counter[int]:
        """How many pixels each piece has."""
        areas: Counter[int] = Counter()
        for piece, area in zip(self.pieces, self.areas, strict=True):
            areas[piece] += area
        return areas

    @functools.cached_property
    def piece_widths(self) -> dict[int, int]:
        """How wide each piece is, in pixels."""
        sides: dict[int, list[int]] = {}
        for piece, (x, _, w, _) in zip(self.pieces, self.boxes, strict=True):
            sides.setdefault(piece, []).extend((x, x + w))
        return {piece: max(both) - min(both) for piece, both in sides.items()}


def whole_pieces(line: Line) -> Segments:
    """Return the pieces of a line, parts of one digit that lie over each other joined."""
    mask = line.marks.mask
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    group = np.arange(count)
    x, y, w, h, area = stats[1:].T.astype(float)
    boxes: list[Sequence[float]] = stats[:, :4].tolist()
    pen = max(1.0, stroke_width(mask))
    size = np.maximum(w, h)
    keep = (size >= _SPECK * line.height) & (size >= 0.6 * pen) & (area >= 0.3 * pen * pen)
    dots = np.array(
        [is_dot(line, boxes[i]) and _is_dark(line, labels == i) for i in range(1, count)], bool
    )
    # A small dot that is blurred keeps little of itself above the threshold.
    between = _between(x + w / 2, keep & (h >= _TALL * line.height))
    keep |= dots & between & (area >= _SMALL_DOT * pen * pen)
    minus = _minus(line, boxes[1:], keep)
    for i in np.flatnonzero(keep & (h < _TALL * line.height) & ~dots & ~minus):
        over = np.minimum(x + w, x[i] + w[i]) - np.maximum(x, x[i])
        gap = np.maximum(np.maximum(y, y[i]) - np.minimum(y + h, y[i] + h[i]), 0)
        part = (over > _WITHIN * w[i]) & (gap < 0.25 * line.height) & (h > 1.3 * h[i]) & keep
        part[i] = False
        part &= y[i] + h[i] / 2 < line.top + 0.95 * line.height  # below it stands a comma
        if part.any():
            nearest = int(np.argmin(np.where(part, gap - 0.01 * over, np.inf)))
            group[i + 1] = nearest + 1
    for _ in range(3):  # a part of a part
        group = group[group]
    group[1:][~keep] = 0
    kept = np.unique(group[group > 0])
    new = np.zeros(count, np.int32)
    new[group > 0] = np.searchsorted(kept, group[group > 0]) + 1
    return in_order(new[labels], np.arange(len(kept)))


def _between(middles: np.ndarray, digits: np.ndarray) -> np.ndarray:
    """Return which pieces have a digit on either side, (n,) bool, by the middles of all."""
    if not digits.any():
        return digits
    return (middles > middles[digits].min()) & (middles < middles[digits].max())


def _is_dark(line: Line, piece: np.ndarray) -> bool:
    """Whether a piece, (h, w) bool, is somewhere as dark as ink."""
    return bool(line.marks.ink[piece].max() >= _DARK * line.marks.level)


def _minus(line: Line, boxes: list[Sequence[float]], keep: np.ndarray) -> np.ndarray:
    """Return which piece is a minus before the first digit, (n,) bool."""
    found = np.zeros(len(boxes), bool)
    if keep.any():
        first = min(np.flatnonzero(keep).tolist(), key=lambda i: boxes[i][0])
        found[first] = sign_of(line, boxes[first]) == "-"
    return found


def in_order(labels: np.ndarray, pieces: np.ndarray) -> Segments:
    """Return segments from left to right.

    Args:
        labels: (h, w) int32, from 1 on.
        pieces: (n,) int, what `Segments.pieces` says of each label.
    """
    count = len(pieces)
    boxes = _boxes(labels, count)
    middles = boxes[:, 0] + boxes[:, 2] / 2
    order = np.argsort(middles, kind="stable")[:MOST]
    rank = np.zeros(count + 1, np.int32)
    rank[order + 1] = np.arange(1, len(order) + 1)
    areas = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    places = [*map(tuple, boxes[order].tolist())]
    return Segments(rank[labels], places, areas[order].tolist(), pieces[order].tolist())


def _boxes(labels: np.ndarray, count: int) -> np.ndarray:
    """Return left, top, width and height of each label."""
    rows, columns = np.nonzero(labels)
    own = labels[rows, columns]
    first = np.full((2, count + 1), np.iinfo(np.int32).max)
    last = np.full((2, count + 1), -1)
    for axis, where in enumerate((columns, rows)):
        np.minimum.at(first[axis], own, where)
        np.maximum.at(last[axis], own, where)
    x, y = first[:, 1:]
    return np.stack([x, y, last[0, 1:] - x + 1, last[1, 1:] - y + 1], axis=1)


def cut_pieces(line: Line, whole: Segments, sure: Collection[int] = ()) -> Segments:
    """Return the segments of a line, cut wherever two digits may meet.

    Args:
        line: the line.
        whole: its pieces.
        sure: those of them that are not cut.
    """
    labels = np.zeros_like(whole.labels)
    pieces: list[int] = []
    for index in range(len(whole)):
        x, y, w, h = whole.boxes[index]
        here = np.s_[y : y + h, x : x + w]
        own = (whole.labels[here] == index + 1).astype(np.uint8)
        parts = own.astype(np.int32)
        wide = w > _NARROW * line.height and h > _TALL * line.height
        if wide and index not in sure:
            cuts = find_cuts(own, line.height)
            if len(cuts):
                after = (np.arange(w)[None, None] >= cuts[:, :, None]).sum(axis=0)
                parts = _without_crumbs(
                    (after + 1) * own, _CUT * own.sum() * min(1, line.height / w)
                )
        present = np.unique(parts[parts > 0])
        numbers = np.zeros(parts.max() + 1, np.int32)
        numbers[present] = len(pieces) + 1 + np.arange(len(present))
        pieces += [index] * len(present)
        labels[here][own > 0] = numbers[parts][own > 0]
    return in_order(labels, np.array(pieces, int))


def _without_crumbs(parts: np.ndarray, least: float) -> np.ndarray:
    """Give what a cut leaves over of another part, fewer pixels than `least`, to that part."""
    result = parts.copy()
    for part in np.unique(parts[parts > 0]):
        _, labels, stats, _ = cv2.connectedComponentsWithStats(
            (parts == part).astype(np.uint8), connectivity=8
        )
        areas = stats[1:, cv2.CC_STAT_AREA]
        for crumb in np.flatnonzero((areas < least) | (areas < 0.2 * areas.max())) + 1:
            x, y, w, h = stats[crumb, :4]
            near = np.s_[max(0, y - 1) : y + h + 1, max(0, x - 1) : x + w + 1]
            own = (labels[near] == crumb).astype(np.uint8)
            around = cv2.dilate(own, NEIGHBOURS) > own
            beside = result[near][around & (result[near] > 0) & (result[near] != part)]
            if len(beside):
                result[near][own > 0] = np.bincount(beside).argmax()
    return result
