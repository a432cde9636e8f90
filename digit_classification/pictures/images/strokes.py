"""Step 5: which of the ink is the digit's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from digit_classification.pictures.images.convention import NEIGHBOURS, SMALL, WORK
from digit_classification.pictures.images.grey import reduce
from digit_classification.pictures.images.ink import ink_strength
from digit_classification.pictures.images.polarity import corners
from digit_classification.pictures.images.quantiles import median, quantile, thinned
from digit_classification.pictures.images.width import stroke_width

BLANK = "blank image"  # the rejection of a picture without ink, or with faint traces only

RULE = 0.04  # of the picture: what is thicker is no ruled line
_SIDE_TO_SIDE = 0.9  # of the width: how long a ruled line is at least
_ROOM = 1  # pixel of paper around a small picture
_SPECK, _ENCLOSED = 0.15, 0.25  # of a frame: what is smaller is none of what it is drawn around
_GAP_OF_RING = 16  # times as long as a gap that is overlooked in it
_MIN_CONTRAST = 9  # grey levels between paper and ink


@dataclass(frozen=True)
class Marks:
    """The ink of a picture, and where it is as strong as a pen's.

    Attributes:
        ink: (h, w) float32, how far each pixel is from its paper.
        mask: (h, w) uint8, 1 where a mark is.
        level: how strong full ink is.
        scale: how many pixels of the picture make one of these.
    """

    ink: np.ndarray
    mask: np.ndarray
    level: float
    scale: float


@dataclass(frozen=True)
class Found:
    """What the preparation takes for the digit.

    Attributes:
        left, top, right, bottom: the part of the picture that was looked at last, in its pixels.
        marks: what is seen there.
        digit: (h, w) uint8, 1 where a mark is the digit's.
        rejection: why it is not exactly one digit, or None where it may be one.
    """

    left: int
    top: int
    right: int
    bottom: int
    marks: Marks
    digit: np.ndarray
    rejection: str | None


def find_digit(grey: np.ndarray, work: np.ndarray, dark_ink: bool) -> Found | None:
    """Find the digit in a picture; None if nothing is there.

    Args:
        grey: the picture, (h, w) uint8.
        work: the same, reduced to WORK.
        dark_ink: whether its ink is darker than the paper.
    """
    left, top, right, bottom = 0, 0, grey.shape[1], grey.shape[0]
    part = grey
    while True:
        marks = find_marks(work, dark_ink, max(part.shape) / max(work.shape))
        if marks is None:
            return None
        digit, digits = one_digit(without_ruled_lines(marks.mask))
        if not digit.any():
            return None
        rejection = noise_in(marks, digit)
        if digits > 1:
            rejection = rejection or f"found {digits} digits"
        x, y, width, height = cv2.boundingRect(digit)
        if marks.scale == 1 or max(width, height) >= WORK / 4 or rejection:
            return Found(left, top, right, bottom, marks, digit, rejection)
        margin = max(width, height) // 2  # and look again, from close by
        right = left + min(part.shape[1], round((x + width + margin) * marks.scale))
        bottom = top + min(part.shape[0], round((y + height + margin) * marks.scale))
        left += round(max(0, x - margin) * marks.scale)
        top += round(max(0, y - margin) * marks.scale)
        part = grey[top:bottom, left:right]
        work = reduce(np.ascontiguousarray(part), WORK)


def cut_out(marks: Marks, digit: np.ndarray) -> np.ndarray:
    """Return the strokes of a digit, with a pixel around: (h, w) uint8, 255 for full ink."""
    x, y, width, height = cv2.boundingRect(digit)
    longest = max(width, height)
    room = _window(longest) + 2  # further away there is nothing that the strokes depend on
    left, top = max(0, x - room), max(0, y - room)
    here = np.s_[top : y + height + room, left : x + width + room]
    ink, digit = marks.ink[here], digit[here]
    # A large digit's edges are sharpened; a small one's grey is coverage, and stays.
    sharpness = min(max((longest - 24) / 48, 0.0), 1.0)
    local = _local_level(ink * digit, marks.level, longest)
    low, high = 0.05 + 0.25 * sharpness, 1 - 0.25 * sharpness
    full = np.minimum(np.maximum((ink / local - low) / (high - low), 0), 1)
    strokes = (full * 255).astype(np.uint8) * cv2.dilate(digit, NEIGHBOURS)
    roomy = cv2.copyMakeBorder(strokes, 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    return roomy[y - top : y - top + height + 2, x - left : x - left + width + 2]


def find_marks(
    grey: np.ndarray, dark_ink: bool, scale: float, *, flat: bool = False, near: float | None = None
) -> Marks | None:
    """Find the marks in a grey picture that was reduced by `scale`; None if there are none.

    Of `flat` paper the tone is taken to be the same everywhere, `near` as of `ink_strength`.
    """
    ink = ink_strength(grey, dark_ink, flat=flat, near=near)
    mask, level = _threshold(ink, flat=flat)
    return Marks(ink, mask, level, scale) if level else None


def noise_in(marks: Marks, digit: np.ndarray) -> str | None:
    """Say what a picture is whose marks do not stand out as a pen's strokes do.

    The limits lie between blank pages and noise of many kinds, and the weakest of real digits.
    """
    ink, level = marks.ink, marks.level
    large = max(ink.shape) > SMALL
    paper = marks.mask == 0
    if min(ink.shape) < 5 or not paper.any():
        return None  # too narrow to tell
    across, down = (cv2.Sobel(ink, -1, dx, 1 - dx, scale=1 / 8) for dx in (1, 0))
    slope = cv2.magnitude(across, down)
    edge = cv2.dilate(digit, NEIGHBOURS) > cv2.erode(digit, NEIGHBOURS)
    edge_slope = float(slope[edge].mean())
    faint = level < 6 * float(ink[paper].std())
    blurred = edge_slope * stroke_width(digit) < 0.6 * level
    textured = large and edge_slope < 2.1 * float(slope[paper].mean())
    if faint or blurred or textured:
        return BLANK if level < 64 else "noise"
    holes = cv2.connectedComponents(1 - digit, connectivity=4)[0] - 2
    border = np.concatenate([digit[0], digit[-1], digit[:, 0], digit[:, -1]])
    if holes > (80 if large else 8) or (large and border.mean() > 0.4):
        return "noise"
    return None


def _local_level(ink: np.ndarray, level: float, size: int) -> np.ndarray:
    """How strong full ink is hereabouts: a pen presses harder in one stroke than in another."""
    window = _window(size)
    local = cv2.dilate(ink, np.ones((window, window), np.uint8))
    return np.minimum(np.maximum(cv2.blur(local, (window, window)), 0.3 * level), level)


def _window(size: int) -> int:
    """How far around a pixel of a digit, so many pixels long, is hereabouts."""
    return max(3, size // 6) | 1


def _threshold(ink: np.ndarray, *, flat: bool = False) -> tuple[np.ndarray, float]:
    """Where the ink is (0 or 1), and how strong it is; a strength of 0 if there is none.

    On `flat` paper, of which little is seen, what is darker than most of it is no noise.
    """
    small = max(ink.shape) <= SMALL
    # A small picture may be nothing but its digit, with too little paper to tell the ink from.
    seen = np.pad(ink, _ROOM) if small else ink
    otsu, _ = cv2.threshold(np.clip(seen, 0, 255).astype(np.uint8), 0, 255, cv2.THRESH_OTSU)
    paper = thinned(seen)
    paper = paper[paper <= otsu]
    middle = median(paper)
    noise = 1.4826 * median(np.abs(paper - middle))
    floor = max(middle + 5 * noise, 4.0)
    if flat:
        floor = min(floor, max(otsu, 4.0))
    loud = ink[ink > floor]
    level = quantile(loud, 0.75) if loud.size >= 3 else 0.0
    if level < _MIN_CONTRAST:
        return np.zeros(ink.shape, np.uint8), 0.0
    low, high = (0.12, 0.5) if small else (0.35, 0.5)
    _, labels = cv2.connectedComponents((ink > max(low * level, floor)).astype(np.uint8))
    strong = np.zeros(labels.max() + 1, np.uint8)
    strong[labels[ink > max(high * level, floor)]] = 1
    strong[0] = 0
    return strong[labels], level


def without_ruled_lines(mask: np.ndarray, thickest: float = RULE) -> np.ndarray:
    """Drop lines from side to side that are no thicker than this share of the picture."""
    if min(mask.shape) <= SMALL:
        return mask
    mask = _without_horizontal_lines(mask, thickest)
    turned = np.ascontiguousarray(mask.T)
    return np.ascontiguousarray(_without_horizontal_lines(turned, thickest).T)


def _without_horizontal_lines(mask: np.ndarray, thickest: float) -> np.ndarray:
    """Drop thin lines from side to side, but not the strokes that cross or lie on them."""
    height, width = mask.shape
    runs = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((1, width // 12), np.uint8))
    runs = cv2.dilate(runs, NEIGHBOURS) & mask
    if np.count_nonzero(runs.any(axis=0)) < _SIDE_TO_SIDE * width:
        return mask
    count, labels, stats, _ = cv2.connectedComponentsWithStats(runs)
    for line in range(1, count):
        length, rise = stats[line, 2:4]
        if length < _SIDE_TO_SIDE * width or rise > 0.2 * height:
            continue
        on_line = labels == line
        thickness = int(median(on_line.sum(axis=0)))
        if thickness < thickest * height:
            crossing = np.ones((2 * thickness + 1, 1), np.uint8)
            strokes = cv2.morphologyEx(mask, cv2.MORPH_OPEN, crossing)
            mask = np.where(on_line & (strokes == 0), 0, mask).astype(np.uint8)
    return mask


def one_digit(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Keep the pieces of the main digit; count the digits that stand beside each other."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count <= 2:
        return mask, count - 1
    x, y, width, height, area = stats[1:].T.astype(float)
    size = np.hypot(width, height)
    weight = np.sqrt(area) * size
    small = max(mask.shape) <= SMALL
    contact: np.ndarray = np.zeros(count - 1)
    if not small:
        edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
        contact = np.bincount(edge, minlength=count)[1:]
        weight *= np.where(contact > 0.4 * size, 0.05, np.where(contact > 0, 0.7, 1))
        weight[np.logical_or(*frames_in(labels, stats))[1:]] = 0
    main = int(weight.argmax())
    left, top = x[main], y[main]
    right, bottom = left + width[main], top + height[main]
    digits, keep = 1, np.zeros(count, np.uint8)
    keep[main + 1] = 1
    for i in np.argsort(-weight):
        if i == main or weight[i] < 0.01 * weight[main] or area[i] < 0.005 * area[main]:
            continue
        scale = max(right - left, bottom - top)
        gap_x = max(x[i] - right, left - x[i] - width[i], 0)
        gap_y = max(y[i] - bottom, top - y[i] - height[i], 0)
        union = max(right, x[i] + width[i]) - min(left, x[i])
        tall = height[i] > 0.5 * height[main] and weight[i] > 0.1 * weight[main]
        if tall and gap_x > 0 and (gap_x > 0.12 * scale or union > 1.1 * scale):
            digits += 1
            continue
        # A large piece may lie apart; a speck, or what comes in from the border, may not.
        apart = size[i] > 0.15 * scale and contact[i] <= contact[main]
        if small or max(gap_x, gap_y) < (0.3 if apart else 0.08) * scale:
            keep[i + 1] = 1
            left, top = min(left, x[i]), min(top, y[i])
            right, bottom = max(right, x[i] + width[i]), max(bottom, y[i] + height[i])
    return keep[labels], digits


def frames_in(labels: np.ndarray, stats: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which pieces are boxes, and which are rings, around another that is no speck.

    Args:
        labels: (h, w) int32, of connected pieces; 0 where none is.
        stats: (n, 5) int32, of each label, as OpenCV gives them.

    Returns:
        (n,) bool each.
    """
    boxes, rings = np.zeros((2, len(stats)), bool)
    for piece, others in _around_others(stats):
        boxes[piece] = _is_box(labels, stats, piece)
        rings[piece] = not boxes[piece] and _is_ring(labels, stats, piece, others)
    return boxes, rings


def _around_others(stats: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the pieces in whose bounding boxes others lie that are no specks, with those."""
    x, y, width, height = stats[:, :4].T
    large = (width > 4) & (height > 4)  # enough for another, and paper, inside
    large[0] = False
    for piece in np.flatnonzero(large).tolist():
        inside = (x > x[piece]) & (x + width < x[piece] + width[piece])
        inside &= (y > y[piece]) & (y + height < y[piece] + height[piece])
        inside &= height > _SPECK * height[piece]
        others = np.flatnonzero(inside)
        if len(others):
            across = (x + width)[others].max() - x[others].min()
            down = (y + height)[others].max() - y[others].min()
            if max(across / width[piece], down / height[piece]) > _ENCLOSED:
                yield piece, others


def _is_box(labels: np.ndarray, stats: np.ndarray, piece: int) -> bool:
    """Whether a piece reaches into every corner of its bounding box, as a drawn box does."""
    x, y, width, height = stats[piece, :4]
    own = labels[y : y + height, x : x + width] == piece
    return all(bool(corner.any()) for corner in corners(own, 8))


def _is_ring(labels: np.ndarray, stats: np.ndarray, piece: int, others: np.ndarray) -> bool:
    """Whether others lie together in a piece, and find no way out, but for a small gap."""
    x, y, width, height = stats[piece, :4]
    box = labels[y : y + height, x : x + width]
    gap = max(1, max(width, height) // _GAP_OF_RING)
    own = (box == piece).astype(np.uint8)
    roomy = cv2.copyMakeBorder(own, gap + 1, gap + 1, gap + 1, gap + 1, cv2.BORDER_CONSTANT)
    closed = cv2.dilate(roomy, np.ones((gap + 1, gap + 1), np.uint8))
    ways = cv2.connectedComponents(1 - closed, connectivity=4)[1]
    inner = ways[gap + 1 : gap + 1 + height, gap + 1 : gap + 1 + width]
    where = np.unique(inner[np.isin(box, others) & (inner > 0)])  # not where the gap was closed
    return len(where) == 1 and where[0] != ways[0, 0]  # boxes in a row hold one digit each
