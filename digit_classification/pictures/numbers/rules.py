"""Printed lines around the digits of a number: rules, boxes, combs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from digit_classification.pictures.geometry import straight
from digit_classification.pictures.images.convention import NEIGHBOURS
from digit_classification.pictures.images.quantiles import median, weighted_quantile
from digit_classification.pictures.images.strokes import without_ruled_lines

_WIDE = 1.8  # times as wide as high: no digit is, nor are two that touch
_LONGISH = 1.15  # times as wide as high: may be a part of a comb
_LENGTH = 0.7  # of a piece's width: a line of it
_LONGEST_RUN = 40  # pixels that a line is straight; longer ones would lose what is a little crooked
_STEEP = 0.15  # of its length: by how much a line rises at most
_THICK = 0.14  # of a piece's height: no line is thicker
# Pixels, and of its length: by how much half of a printed line may miss a straight one.  Strokes of
# several digits in a row, such as the bars of 5 and 7, miss it by more.
_CROOKED, _CROOKED_SHARE = 0.4, 0.004
_BAR = 4  # times as high as its line is thick: a piece that is little more than that line
_FREE = 0.15  # of a line: what is free of strokes at either end of one that no pen drew
_ALIKE = 0.3  # of the usual length of a comb's teeth, by which others may differ


@dataclass(frozen=True)
class _Line:
    """A printed line that lies flat: which pixels, where in each column, how thick."""

    pixels: np.ndarray  # (h, w) bool
    slope: float
    middle: float  # y at x = 0
    thickness: int

    def at(self, x: float) -> float:
        return self.middle + self.slope * x


class _Printed(NamedTuple):
    """A piece that holds printed lines: where it is, its own pixels there, uint8, and the lines."""

    here: tuple[slice, slice]
    own: np.ndarray
    lines: list[_Line]


def without_rules(
    mask: np.ndarray, labels: np.ndarray, stats: np.ndarray
) -> tuple[np.ndarray, float | None]:
    """Take printed lines out of marks, (h, w) uint8.

    Returns the marks that are left, and how the lines rise, in rows a column; None without lines.

    Args:
        mask: where the marks are, 0 or 1.
        labels: (h, w) int32, of its connected pieces; 0 where none is.
        stats: (n, 5) int32, of each label, as OpenCV gives them.
    """
    kept = mask.copy()
    slopes: list[float] = []
    for here, own, lines in _printed_pieces(labels, stats):
        slopes += [line.slope for line in lines]
        left = _without_upright(_without_lines(own, lines), own, lines)
        kept[here][(own > 0) & (left == 0)] = 0
    kept = without_ruled_lines(kept)
    removed = (mask > 0) & (kept == 0)
    if not removed.any():
        return mask, None
    return _without_rests(kept, removed), median(slopes) if slopes else 0.0


def _printed_pieces(labels: np.ndarray, stats: np.ndarray) -> list[_Printed]:
    """Return the pieces that hold printed lines."""
    if len(stats) < 2:
        return []
    around = _around_others(stats)
    found: list[_Printed] = []
    edges: list[_Printed] = []
    for piece in _may_be_printed(stats, around, labels.shape):
        x, y, width, height = (int(a) for a in stats[piece, :4])
        here = np.s_[y : y + height, x : x + width]
        own = (labels[here] == piece).astype(np.uint8)
        lines = _flat_lines(own)
        certain = width >= _WIDE * height or around[piece]
        if not certain:
            lines = [line for line in lines if _is_edge(line, own.shape)]
        if lines:
            (found if certain else edges).append(_Printed(here, own, lines))
    if not found and len(edges) == 1:  # the bar of a 7, the foot of a 2, or a line under a digit
        [(_, own, lines)] = edges
        return edges if any(_sticks_out(line, own > 0) for line in lines) else []
    return found + edges


def _around_others(stats: np.ndarray) -> np.ndarray:
    """Return which pieces are sparse, and have others inside, as a box does, (n,) bool."""
    x, y, width, height, area = stats.T
    inside = (x[None] > x[:, None]) & (y[None] > y[:, None])
    inside &= (x + width)[None] < (x + width)[:, None]
    inside &= (y + height)[None] < (y + height)[:, None]
    inside &= height[None] > 0.2 * height[:, None]
    inside[0] = False
    return inside.any(axis=1) & (area < 0.5 * width * height)


def _may_be_printed(stats: np.ndarray, around: np.ndarray, shape: tuple[int, ...]) -> list[int]:
    """Return which pieces may be printed: wide ones, and those around others."""
    _, _, width, height, area = stats.T
    usual = median(height[1:])
    large = (width > 0.5 * shape[1]) & (height > 0.5 * shape[0]) & (area < 0.5 * width * height)
    longish = (width > _LONGISH * height) & (width > _LONGISH * usual)
    # A bar shorter than the pieces that hold most of the ink are high is a minus sign.
    digit = weighted_quantile(height[1:], 0.5, area[1:])
    bar = (width >= _WIDE * height) & (width > digit)
    printed = bar | around | large | longish
    printed &= (width >= 12) & (width >= 0.08 * shape[1])
    return [piece for piece in np.flatnonzero(printed).tolist() if piece]


def _is_edge(line: _Line, shape: tuple[int, ...]) -> bool:
    """Whether a line is the whole upper or lower edge of its piece."""
    height, width = shape
    long = np.count_nonzero(line.pixels.any(axis=0)) > 0.9 * width
    middle = line.at(width / 2)
    return bool(long and min(middle, height - middle) < line.thickness + 2)


def _sticks_out(line: _Line, piece: np.ndarray) -> bool:
    """Whether a line goes on to either side of what stands on it, or hangs from it."""
    line_columns = np.flatnonzero(line.pixels.any(axis=0))
    # As a stroke is where it leaves the line, not how far it leans over it.
    near = cv2.dilate(line.pixels.astype(np.uint8), np.ones((2 * line.thickness + 3, 1), np.uint8))
    columns = np.flatnonzero((piece & (near > 0) & ~line.pixels).sum(axis=0) > line.thickness / 2)
    if not len(columns):
        return True
    least = _FREE * len(line_columns)
    free = columns[0] - line_columns[0], line_columns[-1] - columns[-1]
    return bool(min(free) > least)


def _flat_lines(piece: np.ndarray) -> list[_Line]:
    """Return the lines of a piece that lie flat, from the top down."""
    height, width = piece.shape
    run = max(7, min(_LONGEST_RUN, round(0.12 * width)))
    runs = _opened(piece, np.ones((1, run), np.uint8))
    runs = cv2.dilate(runs, NEIGHBOURS) & piece
    count, labels, stats, _ = cv2.connectedComponentsWithStats(runs, connectivity=8)
    lines = []
    for line in range(1, count):
        length, rise = int(stats[line, 2]), int(stats[line, 3])
        if length < _LENGTH * width:
            continue
        pixels = labels == line
        depth = pixels.sum(axis=0)
        thickness = int(median(depth[depth > 0]))
        if rise > _STEEP * length + 3 * thickness or thickness > max(
            3, _THICK * height, 0.02 * width
        ):
            continue
        columns = np.flatnonzero((depth > 0) & (depth <= 1.5 * thickness))
        if len(columns) < 0.4 * length:
            continue
        rows = (pixels[:, columns] * np.arange(height)[:, None]).sum(axis=0) / depth[columns]
        slope, middle = straight(columns, rows)
        astray = median(abs(rows - slope * columns - middle))
        if height > _BAR * thickness and astray > max(_CROOKED, _CROOKED_SHARE * length):
            continue
        lines.append(_Line(pixels, slope, middle, thickness))
    return sorted(lines, key=lambda line: line.at(width / 2))


def _opened(piece: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Open a piece, beyond which is paper: OpenCV takes that for ink."""
    down, across = kernel.shape
    padded = cv2.copyMakeBorder(piece, down, down, across, across, cv2.BORDER_CONSTANT)
    opened = cv2.morphologyEx(padded, cv2.MORPH_OPEN, kernel)
    return np.ascontiguousarray(opened[down:-down, across:-across])


def _without_lines(piece: np.ndarray, lines: list[_Line]) -> np.ndarray:
    """Take out lines that lie flat, but not the strokes that cross them."""
    left = piece
    for line in lines:
        crossing = np.ones((2 * line.thickness + 1, 1), np.uint8)
        strokes = _opened(piece, crossing)
        left = np.where(line.pixels & (strokes == 0), 0, left).astype(np.uint8)
    return left


def _without_upright(left: np.ndarray, piece: np.ndarray, lines: list[_Line]) -> np.ndarray:
    """Take out what stands on lines or between them: sides of boxes, teeth of a comb."""
    height, width = piece.shape
    middles = [line.at(width / 2) for line in lines]
    apart = max(np.diff(middles), default=0.0)
    thickness = max(line.thickness for line in lines)
    if apart < 4 * thickness:
        apart = 0.0
    length = max(5, round(0.3 * (apart or 0.5 * height)))
    runs = _opened(piece, np.ones((length, 1), np.uint8))
    runs = cv2.dilate(runs, NEIGHBOURS) & piece
    count, labels, stats, _ = cv2.connectedComponentsWithStats(runs, connectivity=8)
    teeth = []
    crossing = _opened(piece, np.ones((1, 2 * thickness + 3), np.uint8))
    for each in range(1, count):
        x, y, w, h = (int(a) for a in stats[each, :4])
        pixels = labels == each
        across = pixels.sum(axis=1)
        thick = median(across[across > 0])
        if thick > 2.2 * thickness + 1 or w > 2.5 * thick + 0.15 * h + 2:
            continue
        slack = 1.5 * thickness + 2
        touched = sum(
            y - slack <= line.at(x + w / 2) <= y + h + slack
            and min(abs(line.at(x + w / 2) - y), abs(line.at(x + w / 2) - y - h)) <= 2 * slack
            for line in lines
        )
        outer = x <= slack or x + w >= width - slack
        if touched >= 2 and h >= 0.8 * apart:
            left = _without_upright_line(left, pixels, crossing)
        elif touched or outer:
            teeth.append((pixels, h, outer))
    usual = median([h for _, h, _ in teeth]) if teeth else 0.0
    alike = [abs(h - usual) <= _ALIKE * usual for _, h, _ in teeth]
    for (pixels, _, outer), like in zip(teeth, alike, strict=True):
        if outer or (like and sum(alike) > 1):
            left = _without_upright_line(left, pixels, crossing)
    return left


def _without_upright_line(left: np.ndarray, pixels: np.ndarray, crossing: np.ndarray) -> np.ndarray:
    return np.where(pixels & (crossing == 0), 0, left).astype(np.uint8)


def _without_rests(kept: np.ndarray, removed: np.ndarray) -> np.ndarray:
    """Drop crumbs that lie along what was taken out."""
    near = cv2.dilate(removed.astype(np.uint8), np.ones((5, 5), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(kept, connectivity=8)
    if count < 2:
        return kept
    size = stats[:, 2:4].max(axis=1)
    touching = np.bincount(labels.ravel(), (near > 0).ravel(), minlength=count)
    crumbs = (size < 0.3 * size[1:].max()) & (touching > 0.4 * stats[:, cv2.CC_STAT_AREA])
    crumbs[0] = True
    return (~crumbs).astype(np.uint8)[labels]
