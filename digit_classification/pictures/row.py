"""From a picture of a number in boxes, or in a comb, to its digits: each box is a picture of one.

1. *Level*: the picture is turned until its long straight edges are level.
2. *Lines*: those above and below, and the sides between them or the teeth on the lower one; they
   are equally far apart, which strokes of a pen are not (`ruled`).
3. *Boxes*: what lies between two sides, the lines taken out.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import cv2
import numpy as np

from digit_classification.pictures.forms.ink import find_ink
from digit_classification.pictures.forms.lines import Ruling
from digit_classification.pictures.forms.page import darkness_of, find_segments
from digit_classification.pictures.geometry import box_in_shares, product
from digit_classification.pictures.images import Invert, has_dark_ink
from digit_classification.pictures.images.convention import NEIGHBOURS
from digit_classification.pictures.images.grey import reduce
from digit_classification.pictures.images.quantiles import quantile
from digit_classification.pictures.ruled.lines import find_lines
from digit_classification.pictures.ruled.paper import painted_over, tone_of_paper
from digit_classification.pictures.ruled.sides import find_sides

HEIGHTS = 110, 190  # pixels: the shorter side of a picture in which lines are looked for
_LONGEST = 1600  # pixels: its longer side
_LARGEST = 4.0  # times: a small picture is enlarged
_STEEPEST = 12.0  # degrees by which a row rises
_STRAIGHT = 0.12  # of the width: a straight edge that tells how much
_ALIKE = 1.0  # degrees between such edges
_ENOUGH = 0.6  # of the width: their lengths together
_LEAST = 0.3  # degrees: less is not turned
_MARGIN = 0.1  # of the shorter side: where a box may be cut along its lines
_WIDE = 0.6  # of the usual width of a box: what is narrower lies between two boxes
_UNLIKE = 1.35  # times as wide as the narrowest: no box of one row is
_ROOM = 0.08  # of a box's width, on both sides of it
_ROOM_ABOVE = 4  # pixels


@dataclass(frozen=True)
class Box:
    """A box with a digit, or without.

    Attributes:
        image: (h, w) uint8, dark on light, its lines painted over with paper.
        place: left, top, width, height of the image in shares of the picture: a little more than
            the box.
        left, right: where its sides are, likewise.
    """

    image: np.ndarray
    place: tuple[float, float, float, float]
    left: float
    right: float


def find_row(grey: np.ndarray, invert: Invert, dark_line: bool = False) -> list[Box]:
    """Return the boxes of a row, from left to right; none where there is no row of two or more.

    Args:
        grey: the picture, (h, w) uint8.
        invert: whether its ink is darker than the paper, as of `images.normalize`.
        dark_line: whether the line of ink in it was taken for darker than the paper. Printed lines
            mislead whoever looks, so that either look is enough: few write in light ink.
    """
    if min(grey.shape) < 16:
        return []
    if not (dark_line or _has_dark_ink_inside(grey, invert)):
        grey = 255 - grey
    found = (_boxes_in(grey, height) for height in HEIGHTS)  # the first fills its picture
    return next(filter(None, found), [])


def _boxes_in(grey: np.ndarray, height: int) -> list[Box]:
    """Return the boxes that are seen in a picture with dark ink, its shorter side so long."""
    level, back = _levelled(grey, height)
    darkness = darkness_of(level)
    lines = find_lines(darkness)
    sides = find_sides(darkness, lines)
    boxes = _between([float(side.rows.mean()) for side in sides])
    if len(boxes) < 2:
        return []
    paper = painted_over(level, darkness, Ruling(tuple(lines), tuple(sides)))
    written = darkness_of(paper)
    top = 0 if len(lines) == 1 else min(side.start for side in sides)
    bottom = max(side.end for side in sides)
    found = []
    for left, right in boxes:
        room = _ROOM * (right - left)
        x0, x1 = max(0, int(left - room)), min(level.shape[1], math.ceil(right + room))
        y0, y1 = max(0, top - _ROOM_ABOVE), min(level.shape[0], bottom + _ROOM_ABOVE)
        here = np.s_[y0:y1, x0:x1]
        image = _own(paper[here], written[here], left - x0, right - x0)
        place = box_in_shares(back, (x0, y0, x1, y1), grey.shape)
        side, _, width, _ = box_in_shares(back, (left, y0, right, y1), grey.shape)
        found.append(Box(image, place, side, side + width))
    return found


def _own(paper: np.ndarray, darkness: np.ndarray, left: float, right: float) -> np.ndarray:
    """Return a copy of a part of the paper without the pieces of ink that lie beside a box."""
    ink = find_ink(darkness)
    _, labels, _, middles = cv2.connectedComponentsWithStats(ink, connectivity=8)
    beside = (middles[:, 0] < left) | (middles[:, 0] > right)
    beside[0] = False
    others = cv2.dilate(beside.astype(np.uint8)[labels], NEIGHBOURS)
    tone = tone_of_paper(paper, darkness)
    return np.where(others > 0, tone, paper).astype(np.uint8)


def _has_dark_ink_inside(grey: np.ndarray, invert: Invert) -> bool:
    """Whether ink is darker than paper, whatever lies along the border: a box cut at its lines."""
    room = round(_MARGIN * min(grey.shape))
    return has_dark_ink(np.ascontiguousarray(grey[room:-room, room:-room]), invert)


def _levelled(grey: np.ndarray, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture so high whose edges are level, and the map from its pixels back."""
    factor = min(height / min(grey.shape), _LARGEST, _LONGEST / max(grey.shape))
    if factor < 1:
        small = reduce(grey, max(1, round(factor * max(grey.shape))))
    else:
        small = cv2.resize(grey, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    factors = np.array(grey.shape[::-1]) / small.shape[::-1]
    back = np.array([[factors[0], 0, (factors[0] - 1) / 2], [0, factors[1], (factors[1] - 1) / 2]])
    angle = _angle(small)
    if abs(angle) < _LEAST:
        return small, back
    high, wide = small.shape
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    size = math.ceil(wide * cos + high * abs(sin)), math.ceil(high * cos + wide * abs(sin))
    middle = np.array([(wide - 1) / 2, (high - 1) / 2])
    turn = np.array([[cos, -sin], [sin, cos]])
    offset = middle - (turn * [(size[0] - 1) / 2, (size[1] - 1) / 2]).sum(axis=1)
    view = np.concatenate([turn, offset[:, None]], axis=1)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    turned = cv2.warpAffine(small, view, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return turned, product(back, np.concatenate([view, [[0, 0, 1]]]))


def _angle(grey: np.ndarray) -> float:
    """Return by how many degrees long straight edges rise; 0 where there are none."""
    ends = find_segments(grey)
    across, down = (ends[:, 2:] - ends[:, :2]).T
    lengths = np.hypot(across, down)
    angles = (np.degrees(np.arctan2(down, across)) + 90) % 180 - 90
    long = (abs(angles) < _STEEPEST) & (lengths > _STRAIGHT * grey.shape[1])
    angles, lengths = angles[long], lengths[long]
    if not len(angles):
        return 0.0
    alike = abs(angles[:, None] - angles) < _ALIKE
    near = alike[int((alike * lengths).sum(axis=1).argmax())]
    if lengths[near].sum() < _ENOUGH * grey.shape[1]:
        return 0.0
    return float((angles * lengths)[near].sum() / lengths[near].sum())


def _between(sides: list[float]) -> list[tuple[float, float]]:
    """Return left and right of what lies between sides, without the gaps between boxes."""
    if len(sides) < 3:
        return []
    widths = np.diff(sides)
    usual = quantile(widths, 0.7)
    boxes = [
        (left, right) for left, right in itertools.pairwise(sides) if right - left > _WIDE * usual
    ]
    widths = np.array([right - left for left, right in boxes])
    return boxes if widths.max() <= _UNLIKE * widths.min() else []
