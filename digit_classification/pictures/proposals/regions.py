"""Which part of a picture may be the paper that its digit stands on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from digit_classification.pictures.images.convention import WORK
from digit_classification.pictures.images.grey import reduce
from digit_classification.pictures.images.quantiles import median, quantile

DETAIL = 192  # pixels: the longer side of a region in which alternatives are looked for
_SMALLEST = 6  # pixels: a side of a region
_SAME = 0.03  # of a region's longer side, by which the sides of another that is no other differ

MARGIN = "a margin around the picture"
LINES = "lines along the border"
DESK = "what lies around the paper"


@dataclass(frozen=True)
class Region:
    """A rectangle of a picture, and which of its pixels belong to it.

    Attributes:
        left, top, right, bottom: in pixels of the picture, the last two not included.
        leaves_out: what is around it, in words; empty for the whole picture.
        inside: (h, w) bool, or None where all of them belong to it.
    """

    left: int
    top: int
    right: int
    bottom: int
    leaves_out: str = ""
    inside: np.ndarray | None = None

    @classmethod
    def whole(cls, grey: np.ndarray) -> Region:
        return cls(0, 0, grey.shape[1], grey.shape[0])

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top

    def cut(self, grey: np.ndarray) -> np.ndarray:
        """Return its pixels; those that are not inside have the tone of the inside nearby."""
        part = grey[self.top : self.bottom, self.left : self.right]
        if self.inside is not None and self.inside.any():
            part = np.where(self.inside, part, _tone_nearby(part, self.inside))
        return np.ascontiguousarray(part)

    def within(self, grey: np.ndarray) -> Region:
        """Return what of it lies in the picture."""
        height, width = grey.shape
        return replace(self, right=min(width, self.right), bottom=min(height, self.bottom))

    def differs_from(self, other: Region) -> bool:
        """Whether a side is elsewhere, or its pixels are not those of the rectangle."""
        slack = _SAME * max(self.width, self.height)
        sides = (
            (self.left, other.left),
            (self.top, other.top),
            (self.right, other.right),
            (self.bottom, other.bottom),
        )
        return self.inside is not None or any(abs(a - b) > slack for a, b in sides)


def _tone_nearby(part: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return the mean tone around each pixel of what is inside, (h, w) uint8: light varies."""
    side = max(part.shape) // 4 | 1
    weight = cv2.blur(inside.astype(np.float32), (side, side))
    tone = cv2.blur(np.where(inside, part, 0).astype(np.float32), (side, side))
    far = weight < 1e-3
    tone[far], weight[far] = median(part[inside]), 1
    return (tone / weight).astype(np.uint8)


def find_regions(grey: np.ndarray) -> list[Region]:
    """Return the parts of a grey picture, (h, w) uint8, that may be the paper; not the whole."""
    known = [Region.whole(grey)]
    for region in (_without_margin(grey), _inside_lines(grey), find_sheet(grey), *_marks(grey)):
        if region is None:
            continue
        region = region.within(grey)
        large = min(region.width, region.height) >= _SMALLEST
        if large and all(region.differs_from(other) for other in known):
            known.append(region)
    return known[1:]


def _without_margin(grey: np.ndarray) -> Region | None:
    """The picture without margins of one tone, which someone added to make it a square."""
    tone = median(border(grey))
    odd = abs(grey.astype(np.int16) - tone) > 6  # grey levels: more than JPEG leaves in a margin
    rows = np.flatnonzero(odd.mean(axis=1) > 0.02)  # a speck makes no row
    columns = np.flatnonzero(odd.mean(axis=0) > 0.02)
    if not len(rows) or not len(columns):
        return None
    left, top, right, bottom = (int(a) for a in (columns[0], rows[0], columns[-1], rows[-1]))
    edge = border(grey[top : bottom + 1, left : right + 1]).astype(float)
    if abs(edge - tone).mean() < 8:  # it is paper that goes on
        return None
    return Region(left + 1, top + 1, right, bottom, MARGIN)  # without the pixels between the two


def border(grey: np.ndarray) -> np.ndarray:
    """Return the outermost pixels of a picture, (n,) of its dtype."""
    return np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])


def _inside_lines(grey: np.ndarray) -> Region | None:
    """The inside of lines along the border: of a box, a table's cell, the edge of a shadow."""
    small = reduce(grey, DETAIL)
    scale = max(grey.shape) / max(small.shape)
    side = max(small.shape) // 5 | 1
    tone = cv2.blur(cv2.blur(small, (side, side)), (side, side)).astype(np.float32)
    rest = abs(small - tone)
    line = rest > max(6.0, 0.35 * quantile(rest, 0.98))
    wide = cv2.dilate(line.astype(np.uint8), np.ones((3, 3), np.uint8))
    top, bottom = _between_lines(wide.mean(axis=1))
    left, right = _between_lines(wide.mean(axis=0))
    height, width = wide.shape
    if (left, top, right, bottom) == (0, 0, width, height):
        return None
    left, top = left + (left > 0), top + (top > 0)  # a line is blurred
    right, bottom = right - (right < width), bottom - (bottom < height)
    left, top, right, bottom = (round(a * scale) for a in (left, top, right, bottom))
    return Region(left, top, right, bottom, LINES)


def _between_lines(share: np.ndarray) -> tuple[int, int]:
    """Return from where to where no line is, given how much of each row a line covers."""
    length = len(share)
    band = max(2, round(0.3 * length))  # further in is where a digit is
    first = np.flatnonzero(share[:band] > 0.55)
    last = np.flatnonzero(share[length - band :] > 0.55)
    begin = int(first[-1]) + 1 if len(first) else 0
    return begin, length - band + int(last[0]) if len(last) else length


def find_sheet(grey: np.ndarray) -> Region | None:
    """A sheet on a desk: the largest piece of one of two tones, whose outline is convex."""
    small = cv2.GaussianBlur(reduce(grey, WORK // 2), (5, 5), 0)
    scale = max(grey.shape) / max(small.shape)
    _, light = cv2.threshold(small, 0, 1, cv2.THRESH_OTSU)
    if light.mean() in (0, 1) or small[light > 0].mean() - small[light == 0].mean() < 25:
        return None
    for side in (light, 1 - light):
        opened = cv2.morphologyEx(side, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
        count, labels, stats, _ = cv2.connectedComponentsWithStats(opened)
        if count < 2:
            continue
        piece = (labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())).astype(np.uint8)
        contours, _ = cv2.findContours(piece, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        hull = cv2.convexHull(max(contours, key=cv2.contourArea))
        filled = cv2.fillConvexPoly(np.zeros_like(piece), hull, 1)
        if not 0.04 < filled.mean() < 0.93 or piece.sum() < 0.75 * filled.sum():
            continue
        region = _shrunk(filled, scale).within(grey)
        if min(region.width, region.height) >= _SMALLEST:
            assert region.inside is not None
            inside = region.inside[: region.height, : region.width]
            return replace(region, inside=inside)
    return None


def _shrunk(filled: np.ndarray, scale: float) -> Region:
    """Return a convex piece without its blurred edge, `scale` times as large."""
    smaller = cv2.erode(
        filled, np.ones((5, 5), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=1
    )
    x, y, width, height = cv2.boundingRect(smaller)
    left, top, right, bottom = (round(a * scale) for a in (x, y, x + width, y + height))
    if not width or right <= left or bottom <= top:
        return Region(0, 0, 0, 0, DESK, np.zeros((0, 0), bool))
    inside = cv2.resize(
        smaller[y : y + height, x : x + width],
        (right - left, bottom - top),
        interpolation=cv2.INTER_NEAREST,
    )
    return Region(left, top, right, bottom, DESK, inside > 0)


def _marks(grey: np.ndarray) -> Iterator[Region]:
    """Yield what surrounds the two clearest marks on a page."""
    small = reduce(grey, WORK)
    if max(small.shape) < 80:  # pixels: no page
        return
    scale = max(grey.shape) / max(small.shape)
    blurred = cv2.GaussianBlur(small, (3, 3), 0).astype(np.float32)
    paper = cv2.medianBlur(small, max(small.shape) // 6 | 1).astype(np.float32)
    rest = abs(blurred - paper)
    noise = median(rest) + 0.5
    marks = (rest > max(0.35 * float(rest.max()), 4 * noise)).astype(np.uint8)
    near = max(2, max(small.shape) // 40)  # pixels between the pieces of a mark
    joined = cv2.dilate(marks, np.ones((2 * near + 1, 2 * near + 1), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(joined)
    strength = np.bincount(labels.ravel(), (rest * marks).ravel(), minlength=count)
    ranked = []
    for i in range(1, count):
        left, top, width, height = (int(a) for a in stats[i, :4])
        x, y, w, h = left + near, top + near, width - 2 * near, height - 2 * near
        if 5 <= max(w, h) <= 0.55 * max(small.shape):
            at_edge = x <= 1 or y <= 1 or x + w >= small.shape[1] - 1 or y + h >= small.shape[0] - 1
            ranked.append((float(strength[i]) * (0.3 if at_edge else 1), x, y, w, h))
    for _, x, y, w, h in sorted(ranked, reverse=True)[:2]:
        margin = 0.6 * max(w, h)
        left, top = (max(0, round((a - margin) * scale)) for a in (x, y))
        right, bottom = (round((a + margin) * scale) for a in (x + w, y + h))
        yield Region(left, top, right, bottom)
