"""From a digit's 28x28 pixels, or from a pen's path, to ink at any size with the edge of a stroke.

A stroke is kept as a distance field: how far inside of the ink each pixel is.  A field can be
turned, bent and enlarged before its outline is taken, and its pen made wider or finer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np

Rng = np.random.Generator
Path = np.ndarray  # (n, 2) float: x and y of the points that a pen passes, in units

_GRID = 84  # pixels that MNIST's 28 are enlarged to
_UNIT = 72  # pixels of a field that a path's unit is
_ROOM = 14  # pixels around a path
_EDGE = 110  # of 255: where MNIST's ink ends
_CORE = 150  # of 255: less shows the paper inside of a small loop
_BLUR = 2.0  # pixels of a field: takes out the steps of the grid
_ALIKE = 1.5  # the widest place of a stroke against the usual one
_USUAL_PEN = 0.12  # parts of the height: the width of MNIST's strokes
_FINE_PEN = 0.05  # one that closes no loop
_ATTEMPTS = 3  # at writing a digit without closing its loops or breaking its strokes
_LOWERED = 0.8 * _BLUR  # by which that blur raises the distance along the middle of a stroke


@dataclass(frozen=True)
class Field:
    """Ink of any size.

    Attributes:
        values: (h, w) float32. Where `pen` is None, the distance to the outline, positive inside;
            otherwise minus the distance to the pen's path.
        unit: pixels of `values` that a height of 1 is.
        outline: whether the strokes have a width of their own.
        spare: how much may be taken off on each side of an outline, in pixels of `values`.
    """

    values: np.ndarray
    unit: float
    outline: bool
    spare: float = 0.4


@dataclass(frozen=True)
class Hand:
    """How a field is written.

    Attributes:
        pen: width of the stroke in parts of the height; None for the field's own width.
        swell: how much wider strokes down the page are than those across it, in the same parts.
        slant: of the tangent; to the right is positive.
        turn: radians, clockwise.
        stretch: width by height, against what it was.
        wobble: how far points stray, in parts of the height.
    """

    pen: float | None
    swell: float = 0.0
    slant: float = 0.0
    turn: float = 0.0
    stretch: float = 1.0
    wobble: float = 0.02


def any_hand(rng: Rng, pen: float | None = None, slant: float | None = None) -> Hand:
    """Return somebody's hand; a given pen or slant is kept."""
    width = float(np.exp(rng.uniform(np.log(0.025), np.log(0.15)))) if pen is None else pen
    return Hand(
        pen=width,
        swell=float(rng.uniform(0.02, 0.09)) if width < 0.08 and rng.random() < 0.3 else 0.0,
        slant=float(rng.normal(0, 0.12)) if slant is None else slant,
        turn=float(rng.normal(0, 0.05)),
        stretch=float(np.exp(rng.normal(0, 0.1))),
        wobble=float(rng.uniform(0.004, 0.022)),
    )


def write(rng: Rng, field: Field, height: float, hand: Hand) -> np.ndarray:
    """Write a field: ink coverage, (h, w) float32 in 0..1, cut to what the ink fills.

    Args:
        rng: where the wobble comes from.
        field: what is written.
        height: pixels of the field's unit.
        hand: how.
    """
    scale = field.unit / height  # pixels of the field for one of the picture
    across, down = _map(rng, field, scale, hand)
    values = cv2.remap(
        field.values,
        across,
        down,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=-1e3,
    )
    if field.outline:
        wider = 0.0 if hand.pen is None else (hand.pen - _USUAL_PEN) * field.unit / 2
        radius = float(np.clip(wider, -field.spare, 3.5))
    else:
        radius = max((hand.pen or 0.1) * field.unit / 2, 0.45 * scale)
    coverage: np.ndarray = np.clip((values + radius) / scale + 0.5, 0, 1)
    if hand.swell:
        reach = max(1, round(hand.swell * height))
        coverage = cv2.dilate(coverage, np.ones((1, reach), np.uint8))
    x, y, w, h = cv2.boundingRect((coverage > 0.1).astype(np.uint8))
    return np.ascontiguousarray(coverage[y : y + h, x : x + w]) if w else coverage[:1, :1]


def _map(rng: Rng, field: Field, scale: float, hand: Hand) -> tuple[np.ndarray, np.ndarray]:
    """Return where in the field each pixel of the written picture comes from: x and y."""
    rows, columns = field.values.shape
    more = 1 + abs(hand.turn) + 4 * hand.wobble
    height = int((rows + abs(hand.turn) * columns) * more / scale) + 4
    width = int((columns * hand.stretch + (abs(hand.slant) + abs(hand.turn)) * rows) * more / scale)
    width += 4
    cos, sin = float(np.cos(hand.turn)), float(np.sin(hand.turn))
    x = (np.arange(width, dtype=np.float32) - width / 2) * np.float32(scale)
    y = ((np.arange(height, dtype=np.float32) - height / 2) * np.float32(scale))[:, None]
    down = -sin * x + cos * y
    across = (cos * x + sin * y + hand.slant * down) / np.float32(hand.stretch)
    stray = rng.normal(0, hand.wobble * field.unit, (4, 4, 2)).astype(np.float32)
    stray = cv2.resize(stray, (width, height), interpolation=cv2.INTER_CUBIC)
    across += np.float32((columns - 1) / 2) + stray[..., 0]
    down += np.float32((rows - 1) / 2) + stray[..., 1]
    return across, down


# Fields ----------------------------------------------------------------------------------------


def from_paths(paths: Sequence[Path]) -> Field:
    """Return the field of a pen that passes the points of each path, one unit being 1 high."""
    points = np.concatenate([np.asarray(path, np.float32) for path in paths])
    low, high = points.min(axis=0), points.max(axis=0)
    width, height = ((high - low) * _UNIT).astype(int) + 2 * _ROOM + 1
    canvas = np.full((height, width), 255, np.uint8)
    at = [
        np.rint(((np.asarray(path, np.float32) - low) * _UNIT + _ROOM) * 16).astype(np.int32)
        for path in paths
    ]
    cv2.polylines(canvas, at, False, 0, 1, cv2.LINE_8, 4)
    return from_canvas(canvas, unit=_UNIT)


def middle_line(ink: np.ndarray, *, unit: float) -> Field:
    """Return the field of a pen that follows the strokes of what is light in (h, w) uint8."""
    return from_canvas(1 - _thin((ink > _EDGE).astype(np.uint8)), unit=unit)


def from_canvas(canvas: np.ndarray, *, unit: float) -> Field:
    """Return the field of a pen that passes the zeros of (h, w) uint8, which is 255 elsewhere."""
    distance = cv2.distanceTransform(canvas, cv2.DIST_L2, 5)
    return Field(_LOWERED - cv2.GaussianBlur(distance, (0, 0), _BLUR), unit, outline=False)


def from_picture(ink: np.ndarray, *, unit: float, smooth: float = 0.7) -> Field:
    """Return the field of what is light in (h, w) uint8; the strokes keep their width.

    `smooth` is the standard deviation, in pixels, of the blur that rounds the outline.
    """
    inside = (ink > _EDGE).astype(np.uint8)
    values = cv2.distanceTransform(inside, cv2.DIST_L2, 3)
    values -= cv2.distanceTransform(1 - inside, cv2.DIST_L2, 3)
    return Field(cv2.GaussianBlur(values, (0, 0), smooth), unit, outline=True)


@cache
def _thinning() -> tuple[np.ndarray, np.ndarray]:
    """Return which neighbourhoods lose their middle in the two passes of Zhang and Suen (1984).

    A neighbourhood is a byte: the bits are the eight neighbours, clockwise from the one above.
    """
    passes = np.zeros((2, 256), np.uint8)
    for code in range(256):
        around = [code >> bit & 1 for bit in range(8)]
        up, right, down, left = around[::2]
        changes = sum(a < b for a, b in zip(around, [*around[1:], up], strict=True))
        if 2 <= sum(around) <= 6 and changes == 1:
            passes[0, code] = not (right and down and (up or left))
            passes[1, code] = not (up and left and (right or down))
    return passes[0], passes[1]


_BITS = np.array([[128, 1, 2], [64, 0, 4], [32, 16, 8]], np.float32)


def _thin(inside: np.ndarray) -> np.ndarray:
    """Return the middle line of the ones of (h, w) uint8."""
    thinned = inside.copy()
    while True:
        before = cv2.countNonZero(thinned)
        for table in _thinning():
            code = cv2.filter2D(thinned, -1, _BITS, borderType=cv2.BORDER_CONSTANT)
            thinned[cv2.LUT(code, table) > 0] = 0
        if cv2.countNonZero(thinned) == before:
            return thinned


# Digits ----------------------------------------------------------------------------------------


class Digits:
    """Hands out handwritten digits as ink of any size."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        """Take digits in MNIST's convention.

        Args:
            images: (n, 28, 28) uint8, light ink on dark.
            labels: (n,) integers, 0 to 9, each at least once.
        """
        self.images = images
        self.labels = np.asarray(labels)
        self._of = [np.flatnonzero(self.labels == digit) for digit in range(10)]

    def take(
        self,
        rng: Rng,
        label: int | None = None,
        *,
        height: float = 96,
        pen: float | None = None,
        slant: float | None = None,
    ) -> tuple[int, np.ndarray]:
        """Write one of the digits.

        Args:
            rng: what chooses.
            label: which digit; any if None.
            height: pixels.
            pen: width of the stroke in parts of the height; the writer's own, or any, if None.
            slant: as in `Hand`; any if None.

        Returns:
            Its label, and ink coverage, (h, w) float32 in 0..1, cut to the ink; h is about
            `height`.
        """
        digit, image = self.choose(rng, label)
        return digit, write_image(rng, image, height, pen, slant)

    def choose(self, rng: Rng, label: int | None) -> tuple[int, np.ndarray]:
        """Return the label and the pixels, (28, 28) uint8, of one of the digits."""
        digit = int(rng.integers(10)) if label is None else label
        return digit, self.images[self._of[digit][rng.integers(len(self._of[digit]))]]


def write_image(
    rng: Rng,
    image: np.ndarray,
    height: float,
    pen: float | None = None,
    slant: float | None = None,
) -> np.ndarray:
    """Write the digit of (28, 28) uint8; arguments and result as in `Digits.take`."""
    large = cv2.resize(image, (_GRID, _GRID), interpolation=cv2.INTER_CUBIC)
    x, y, w, h = cv2.boundingRect((large > _EDGE).astype(np.uint8))
    if not w:
        return np.zeros((1, 1), np.float32)
    part = np.pad(large[y : y + h, x : x + w], _ROOM)
    hand = any_hand(rng, pen, slant)
    inside = (part > _CORE).astype(np.uint8)
    middle = _thin(inside)
    half_widths = cv2.distanceTransform(inside, cv2.DIST_L2, 3)[middle > 0]
    alike = half_widths.max() < _ALIKE * np.median(half_widths)  # else a loop may be filled
    if alike and (pen is not None or rng.random() < 0.7):
        field = from_canvas(1 - middle, unit=float(h))
    else:
        spare = 0.4 * float(np.percentile(half_widths, 10))
        field = replace(from_picture(part, unit=float(h), smooth=1.2), spare=spare)
        hand = replace(hand, pen=float(rng.uniform(0.07, 0.15)), swell=0.0)
    pieces = _pieces(inside)
    for _ in range(_ATTEMPTS):
        coverage = _to_height(rng, field, height, hand)
        if _pieces((coverage > 0.45).astype(np.uint8)) == pieces:
            break
        usual = _USUAL_PEN if field.outline else _FINE_PEN
        nearer = usual + ((hand.pen or usual) - usual) / 4
        hand = replace(hand, pen=nearer, swell=0.0, wobble=hand.wobble / 2)
    return coverage


def _pieces(ink: np.ndarray) -> tuple[int, int]:
    """Count the pieces of ink, the ones of (h, w) uint8, and of the paper around and in it."""
    if max(ink.shape) > 120:
        ink = cv2.resize(ink, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_NEAREST)
    ink = cv2.copyMakeBorder(ink, 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    least = ink.size / 1000
    counts = []
    for part, connectivity in ((ink, 8), (1 - ink, 4)):
        areas = cv2.connectedComponentsWithStats(part, connectivity=connectivity)[2][1:, 4]
        counts.append(int(np.count_nonzero(areas > least)))
    return counts[0], counts[1]


def _to_height(rng: Rng, field: Field, height: float, hand: Hand) -> np.ndarray:
    """Write at twice the size where strokes are finer than two pixels, and take the mean."""
    if height >= 40:
        return write(rng, field, height, hand)
    factor = int(np.ceil(40 / height))
    coverage = write(rng, field, height * factor, hand)
    size = [max(1, round(side / factor)) for side in coverage.shape[::-1]]
    return cv2.resize(coverage, size, interpolation=cv2.INTER_AREA)
