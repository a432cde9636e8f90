"""Which of the marks in a picture may make up one digit."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from digit_classification.pictures.images.strokes import (
    Marks,
    one_digit,
    without_ruled_lines,
)
from digit_classification.pictures.proposals.views import View

RULED = "ruled lines"
_OFF_CENTRE = 0.22  # of the picture: a piece so far from the middle counts e times less
_THICK_LINE = 0.1  # of the picture: no line is thicker, even in a narrow cut
_FLAT = 2.5  # times as wide as high
_STRONGER = 1.5  # times: the mean of the stronger ink over that of the other
_MAX_SHEAR = 1.0  # columns a row: no hand slants more


def find_groups(view: View) -> Iterator[tuple[np.ndarray, str]]:
    """Yield masks, (h, w) uint8, of what may be the digit, and what of the rest is no mark."""
    marks, mask = view.marks, view.unframed
    ruled = without_ruled_lines(mask)
    thick = without_ruled_lines(mask, _THICK_LINE)
    has_lines = (ruled != mask).any()
    for group in _groups(ruled, marks):
        yield group, RULED if has_lines else ""
    if (thick != ruled).any():
        for group in (one_digit(thick)[0], *_middle(thick)):
            yield group, RULED
    if has_lines:
        for group in _middle(mask):  # what looks like a line may be a 1
            yield group, ""


def _groups(mask: np.ndarray, marks: Marks) -> Iterator[np.ndarray]:
    if not mask.any():
        return
    main = one_digit(mask)[0]
    yield main
    yield from _without_bars(main)
    yield from _largest(main)
    if _stands_alone(main, mask):
        return
    yield from _middle(mask)
    yield from _cuts(mask)
    yield from _enclosed(mask)
    for part in (_heavier(mask, marks), _strongest(mask, marks)):
        if part is not None:
            yield one_digit(part)[0]
            yield from _middle(part)


def _heavier(mask: np.ndarray, marks: Marks) -> np.ndarray:
    """Return a mask without the edges of strokes, where two of them may touch."""
    return ((marks.ink > 0.7 * marks.level) & (mask > 0)).astype(np.uint8)


def _strongest(mask: np.ndarray, marks: Marks) -> np.ndarray | None:
    """Return the stronger ink alone, if there are two kinds: a pen's, and that of printed lines."""
    ink = marks.ink[mask > 0]
    scale = 255 / max(float(ink.max()), 1.0)
    levels = np.clip(ink * scale, 0, 255).astype(np.uint8)
    between = cv2.threshold(levels, 0, 255, cv2.THRESH_OTSU)[0] / scale
    stronger = ink > between
    if not 0.05 < stronger.mean() < 0.95:
        return None
    if float(ink[stronger].mean()) < _STRONGER * float(ink[~stronger].mean()):
        return None
    return ((marks.ink > between) & (mask > 0)).astype(np.uint8)


def _largest(group: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the largest piece of a group that has several."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(group, connectivity=8)
    if count > 2:
        largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
        yield (labels == largest).astype(np.uint8)


def _enclosed(mask: np.ndarray) -> Iterator[np.ndarray]:
    """Yield what the largest piece encloses, as a ring around a digit does."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count <= 2:
        return
    sizes = stats[1:, cv2.CC_STAT_WIDTH] * stats[1:, cv2.CC_STAT_HEIGHT]
    ring = labels == 1 + int(sizes.argmax())
    around = cv2.copyMakeBorder(1 - ring.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    outside = cv2.connectedComponents(around, connectivity=4)[1]
    inside = (mask > 0) & ~ring & (outside[1:-1, 1:-1] != outside[0, 0])
    if inside.any():
        yield one_digit(inside.astype(np.uint8))[0]


def _without_bars(group: np.ndarray) -> Iterator[np.ndarray]:
    """Yield a group without its pieces that lie flat: underlines, dashes, rests of a frame."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(group, connectivity=8)
    if count <= 2:
        return
    flat = stats[:, cv2.CC_STAT_WIDTH] > _FLAT * stats[:, cv2.CC_STAT_HEIGHT]
    flat[0] = True
    if not flat[1:].any() or flat.all():
        return
    yield (~flat).astype(np.uint8)[labels]


def _stands_alone(group: np.ndarray, mask: np.ndarray) -> bool:
    """Whether hardly any ink is elsewhere, nothing reaches in, and it is no wider than a digit."""
    x, y, width, height = cv2.boundingRect(group)
    inside = x > 0 and y > 0 and x + width < mask.shape[1] and y + height < mask.shape[0]
    most = cv2.countNonZero(group) > 0.97 * cv2.countNonZero(mask)
    return inside and most and width < 1.3 * height


def _middle(mask: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the large piece nearest to the middle, with those that belong to it, and alone."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count < 2:
        return
    height, width = mask.shape
    x, y, w, h, area = stats[1:].T.astype(float)
    size = np.hypot(w, h)
    off = np.hypot((x + w / 2) / width - 0.5, (y + h / 2) / height - 0.5)
    main = int((np.sqrt(area) * size * np.exp(-((off / _OFF_CENTRE) ** 2))).argmax())
    scale = max(w[main], h[main])
    gap_x = np.maximum(np.maximum(x - x[main] - w[main], x[main] - x - w), 0)
    gap_y = np.maximum(np.maximum(y - y[main] - h[main], y[main] - y - h), 0)
    middle = x + w / 2
    above_or_below = (middle > x[main] - 0.1 * scale) & (middle < x[main] + w[main] + 0.1 * scale)
    reaches_in = (x == 0) | (y == 0) | (x + w == width) | (y + h == height)
    near = np.maximum(gap_x, gap_y) < 0.25 * scale
    large = (size > 0.12 * scale) & (area >= 0.01 * area[main])
    keep = np.concatenate([[False], above_or_below & ~reaches_in & near & large])
    keep[main + 1] = True
    yield keep.astype(np.uint8)[labels]
    if np.count_nonzero(keep) > 1:
        yield (labels == main + 1).astype(np.uint8)


def _cuts(mask: np.ndarray) -> Iterator[np.ndarray]:
    """Yield what is left between two cuts along the slant of the pieces, where little ink is."""
    height, width = mask.shape
    if not cv2.moments(mask, binaryImage=True)["mu02"]:
        return
    slant = _slant(mask)
    rows, columns = np.nonzero(mask)
    along = columns - slant * (rows - height / 2)
    start = np.floor(along.min())
    profile = np.bincount((along - start).astype(int)).astype(float)
    profile = cv2.blur(profile[None], (max(1, width // 40) | 1, 1))[0]
    lefts, rights = _valleys(profile, width / 2 - start, width)
    position = np.arange(width)[None] - slant * (np.arange(height)[:, None] - height / 2) - start
    for left in lefts:
        for right in rights:
            narrow = right - left < 0.15 * min(height, width)
            if narrow or (left <= 0 and right >= len(profile)):
                continue
            part = np.where((position >= left) & (position < right), mask, 0).astype(np.uint8)
            if part.any():
                yield _without_rests(part)


def _slant(mask: np.ndarray) -> float:
    """The mean slant of the six largest pieces, each about its own centre, in columns a row."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    xy = yy = 0.0
    for i in np.argsort(-stats[1:, cv2.CC_STAT_AREA])[:6] + 1:
        x, y, w, h = stats[i, :4]
        piece = (labels[y : y + h, x : x + w] == i).astype(np.uint8)
        moments = cv2.moments(piece, binaryImage=True)
        xy, yy = xy + moments["mu11"], yy + moments["mu02"]
    return max(-_MAX_SHEAR, min(_MAX_SHEAR, xy / yy)) if yy else 0.0


def _valleys(profile: np.ndarray, middle: float, width: int) -> tuple[list[int], list[int]]:
    """Return where to cut on the left and on the right of the middle, or not at all."""
    padded = np.concatenate([[np.inf], profile, [np.inf]])
    peak = profile.max()
    lowest = (profile <= padded[:-2]) & (profile <= padded[2:]) & (profile < 0.45 * peak)
    low = np.flatnonzero(lowest)
    runs = np.split(low, np.flatnonzero(np.diff(low) > 1) + 1) if len(low) else []
    places = [int(run.mean()) for run in runs]  # a flat valley's middle

    def best(side: list[int]) -> list[int]:
        """Deep ones, about as far from the middle as half a digit in a field is."""
        usual = [a for a in side if 0.06 * width < abs(a - middle) < 0.5 * width]
        return sorted(
            usual, key=lambda a: profile[a] / peak + abs(abs(a - middle) / width - _OFF_CENTRE)
        )[:2]

    left = best([a for a in reversed(places) if a < middle])
    right = best([a for a in places if a > middle])
    return [*left, 0], [*right, len(profile)]


def _without_rests(mask: np.ndarray) -> np.ndarray:
    """Drop specks and what lies apart from the main piece."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count <= 2:
        return mask
    x, y, w, h, area = stats[1:].T.astype(float)
    size = np.hypot(w, h)
    main = int((np.sqrt(area) * size).argmax())
    gap_x = np.maximum(x - x[main] - w[main], x[main] - x - w)
    gap_y = np.maximum(y - y[main] - h[main], y[main] - y - h)
    scale = max(w[main], h[main])
    near = np.maximum(gap_x, gap_y) < 0.25 * scale
    keep = np.concatenate([[False], near & (size > 0.2 * scale)])
    keep[main + 1] = True
    return keep.astype(np.uint8)[labels]
