"""Where in a picture the one line of a number is; that line, straightened and from close by."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from digit_classification.pictures.geometry import corners, inverse, mapped, product
from digit_classification.pictures.images.grey import reduce
from digit_classification.pictures.images.quantiles import median, quantile, weighted_quantile
from digit_classification.pictures.images.strokes import Marks, find_marks, frames_in
from digit_classification.pictures.numbers.rules import without_rules
from digit_classification.pictures.numbers.views import blank_outside, seen_through
from digit_classification.pictures.ruled.paper import without_ruling

PRINTED, RING = "printed lines", "a ring around it"  # what is left out
DIGIT = 48  # pixels: how high the digits of a line are when it is cut
FIRST = 512  # pixels: the longer side in which the line is looked for
_FINE = 72  # pixels: the shorter side to which small pictures are enlarged
_AS_IT_IS = (30, 84)  # pixels: digits so high need no second look
# How far from a stroke its paper is looked for, in a picture's shorter side and in digits' height.
# Closer would be within a thick pen's stroke; further away lies another light, or another shadow.
_NEAR, _NEAR_DIGIT = 0.14, 0.25
_SLOPE = 0.02  # rows a column: a line that rises less is straight
_STEEPEST = 0.4  # rows a column, of a line of digits without a rule below it
_LARGE = 0.5  # of the height of the largest: what makes up a line
_SLANTED = 0.2  # columns a row
_TEETH = 0.65  # of the pieces: more are no comb's teeth, but ones


@dataclass(frozen=True)
class Line:
    """A line of ink, upright and level.

    Attributes:
        marks: its ink and its mask, printed lines and other lines' marks left out.
        height: of its digits, in pixels of the marks.
        top: the row where its digits begin; they end at `top + height`.
        back: (2, 3) float64, from these pixels to the picture's.
        dark_ink: whether its ink is darker than the paper.
        left_out: what was taken out of it, in words.
    """

    marks: Marks
    height: float
    top: float
    back: np.ndarray
    dark_ink: bool
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Pieces:
    """The pieces of ink in a mask."""

    labels: np.ndarray
    stats: np.ndarray
    x: np.ndarray
    y: np.ndarray
    w: np.ndarray
    h: np.ndarray
    area: np.ndarray

    @classmethod
    def of(cls, mask: np.ndarray) -> _Pieces:
        _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        return cls(labels, stats, *stats[1:].T.astype(float))

    def __len__(self) -> int:
        return len(self.x)

    def only(self, those: np.ndarray) -> np.ndarray:
        """Return the mask of those pieces, (n,) bool."""
        return np.concatenate([[0], those]).astype(np.uint8)[self.labels]


def find_line(grey: np.ndarray, dark_ink: bool) -> Line | str | None:
    """Return the line of a grey picture, (h, w) uint8; what is said instead; None if blank."""
    work = reduce(grey, FIRST)
    scale = max(grey.shape) / max(work.shape)
    if min(work.shape) < _FINE:
        factor = min(_FINE / min(work.shape), 4 * FIRST / max(work.shape))
        if factor > 1:
            work = cv2.resize(work, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
            scale /= factor
    return _look(grey, work, _scaling(scale), dark_ink, looks=3, is_whole=True)


def _look(
    grey: np.ndarray,
    work: np.ndarray,
    back: np.ndarray,
    dark_ink: bool,
    looks: int,
    words: tuple[str, ...] = (),
    *,
    is_whole: bool = False,
) -> Line | str | None:
    """Find the line in a view of the picture, and look again where that is not good enough.

    Where the view `is_whole`, of the whole picture and as it lies, what is painted over in it is in
    the picture, too, before that is looked at from close by: turned, it would not be found again.
    """
    scale = float(np.hypot(back[0, 0], back[1, 0]))
    near = _NEAR * min(work.shape) if is_whole else _NEAR_DIGIT * DIGIT
    marks, written = _marks(work, dark_ink, scale, near)
    if marks is None:
        return None
    if written is not None:
        words = (PRINTED,)
        grey = _painted_alike(grey, work, written) if is_whole else grey
    blank_outside(marks.mask, back, grey.shape)
    pieces = _Pieces.of(marks.mask)
    inside = _without_rings(grey, work, pieces) if is_whole else None
    if inside is not None:
        return _look(*inside, back, dark_ink, looks, (RING,))
    pieces, rise, printed = _without_printed(marks.mask, pieces)
    words = (PRINTED,) if printed else words
    if not len(pieces):
        return "no number"
    large, height = _large(pieces, work.shape)
    slope = _slope(pieces, large, height, rise)
    lines = _rows(pieces, large, height, slope, work.shape)
    if len(lines) > 1:
        return f"found {len(lines)} lines"
    main = lines[0]
    height = quantile(pieces.h[main], 0.7)
    slope = _slope(pieces, main, height, rise)
    level = pieces.y + pieces.h / 2 - slope * (pieces.x + pieces.w / 2)
    top = median((level - pieces.h / 2)[main])
    foot = median((level + pieces.h / 2)[main])
    band = (level > top - 0.35 * height) & (level < foot + 0.45 * height)
    band |= main
    if looks and (abs(slope) > _SLOPE or not _AS_IT_IS[0] <= height <= _AS_IT_IS[1]):
        view, size = _closer(pieces, band, height, slope, back, grey.shape)
        closer = seen_through(grey, view, size)
        closer_line = _look(grey, closer, view, dark_ink, looks - 1, words)
        if isinstance(closer_line, Line):
            return closer_line  # if none: a pen is too thin for that, and is seen as it is
    own = pieces.only(band)
    slant = _slant(pieces, main)
    ink = marks.ink
    if abs(slant) > _SLANTED:
        own, ink, back = _upright(own, ink, back, slant, (top + foot) / 2)
    return Line(Marks(ink, own, marks.level, scale), foot - top, top, back, dark_ink, words)


def _marks(
    work: np.ndarray, dark_ink: bool, scale: float, near: float
) -> tuple[Marks | None, np.ndarray | None]:
    """Return the marks in a view of the picture, and that without its ruling, if it has any."""
    marks = find_marks(work, dark_ink, scale, near=near)
    if marks is not None and _touches_both_sides(marks.mask):
        written = without_ruling(work, dark_ink)
        if written is not None:
            return find_marks(written, dark_ink, scale, near=near), written
    return marks, None


def _painted_alike(grey: np.ndarray, work: np.ndarray, painted: np.ndarray) -> np.ndarray:
    """Return a picture painted over wherever a view of it, smaller or larger, was."""
    size = grey.shape[::-1]
    there = (painted != work).astype(np.uint8)
    large = cv2.resize(there, size, interpolation=cv2.INTER_NEAREST)
    return np.where(large > 0, cv2.resize(painted, size), grey)


def _without_rings(
    grey: np.ndarray, work: np.ndarray, pieces: _Pieces
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return a picture, and the view of it, with paper where rings are; None if there are none.

    Args:
        grey: the picture, (h, w) uint8.
        work: the view, (h', w') uint8: the same, larger or smaller.
        pieces: of the ink in the view.
    """
    _, rings = frames_in(pieces.labels, pieces.stats)
    if not rings.any():
        return None
    there = cv2.dilate(rings.astype(np.uint8)[pieces.labels], np.ones((5, 5), np.uint8))
    painted = cv2.inpaint(work, there, 3, cv2.INPAINT_TELEA)
    return _painted_alike(grey, work, painted), painted


def _without_printed(mask: np.ndarray, pieces: _Pieces) -> tuple[_Pieces, float | None, bool]:
    """Take printed lines, and the teeth of a comb, out of a mask and its pieces.

    Returns the pieces that are left, how the lines rise if there are any, and whether any printed
    ink was found.
    """
    left, rise = without_rules(mask, pieces.labels, pieces.stats)
    if rise is not None:
        pieces = _Pieces.of(left)
    teeth = _teeth(pieces)
    if teeth.any():
        pieces = _Pieces.of(pieces.only(~teeth))
    return pieces, rise, rise is not None or bool(teeth.any())


def _touches_both_sides(mask: np.ndarray) -> bool:
    """Whether there are marks at both sides of a picture, as ruled lines are."""
    return bool(mask[:, :3].any() and mask[:, -3:].any())


def _scaling(scale: float) -> np.ndarray:
    """Return the map from the pixels of a reduced picture to those of the picture."""
    return np.array([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2]])


def _teeth(pieces: _Pieces) -> np.ndarray:
    """Return which pieces are the teeth of a comb whose line is not seen, (n,) bool.

    They are upright and straight, all of one height, on one line and equally far apart.
    """
    filled = pieces.area / (pieces.w * pieces.h)
    thin = (pieces.w < 0.3 * pieces.h) & (filled > 0.6)
    thin |= (pieces.w < 0.5 * pieces.h) & (filled > 0.8)  # short ones
    found = np.zeros(len(pieces), bool)
    if np.count_nonzero(thin) < 3:
        return found
    usual = median(pieces.h[thin])
    foot = median((pieces.y + pieces.h)[thin])
    alike = thin & (abs(pieces.h - usual) < 0.15 * usual + 1)
    alike &= abs(pieces.y + pieces.h - foot) < 0.15 * usual + 1
    places = np.sort((pieces.x + pieces.w / 2)[alike])
    if len(places) < 3 or len(places) > _TEETH * np.count_nonzero(pieces.h > 0.5 * usual):
        return found
    apart = np.diff(places)
    steps = apart / apart.min()
    if apart.min() > 0.5 * usual and (abs(steps - np.rint(steps)) < 0.12).all():
        found = alike
    return found


def _large(pieces: _Pieces, shape: tuple[int, ...]) -> tuple[np.ndarray, float]:
    """Return which pieces are large enough to be digits, and how high those are."""
    cut = (pieces.y <= 1) | (pieces.y + pieces.h >= shape[0] - 1)
    cut |= (pieces.x <= 1) | (pieces.x + pieces.w >= shape[1] - 1)
    flat = pieces.w > 4 * pieces.h
    usable = ~cut & ~flat
    if not usable.any():
        usable = ~flat if (~flat).any() else np.ones(len(pieces), bool)
    weight = np.where(usable, pieces.area, 0)
    height = weighted_quantile(pieces.h, 0.6, weight)
    large = (pieces.h >= _LARGE * height) & ~flat & (pieces.h <= 2.2 * height)
    return large, height


def _slope(pieces: _Pieces, those: np.ndarray, height: float, rise: float | None) -> float:
    """Return how a line rises: as the printed lines do, else as its digits stand."""
    if rise is not None and abs(rise) > 1e-6:
        return rise
    x, y = (pieces.x + pieces.w / 2)[those], (pieces.y + pieces.h / 2)[those]
    if len(x) < 3 or np.ptp(x) < 1.5 * height:
        return 0.0
    # Theil and Sen's: the median of the slopes of all pairs, of which a few may mislead.
    across, down = x - x[:, None], y - y[:, None]
    apart = across > 0.5 * height
    if not apart.any():
        return 0.0
    slope = median(down[apart] / across[apart])
    left = y - slope * x
    if abs(slope) > _STEEPEST or median(abs(left - median(left))) > 0.2 * height:
        return 0.0
    return slope


def _rows(
    pieces: _Pieces, large: np.ndarray, height: float, slope: float, shape: tuple[int, ...]
) -> list[np.ndarray]:
    """Return the pieces of each line, (n,) bool; the first is the main one."""
    level = pieces.y + pieces.h / 2 - slope * (pieces.x + pieces.w / 2)
    rows: list[list[int]] = []
    for i in np.argsort(-pieces.h * large):
        if not large[i]:
            break
        top, bottom = level[i] - pieces.h[i] / 2, level[i] + pieces.h[i] / 2
        for row in rows:
            first = median([level[j] - pieces.h[j] / 2 for j in row])
            last = median([level[j] + pieces.h[j] / 2 for j in row])
            if min(bottom, last) - max(top, first) > 0.35 * min(bottom - top, last - first):
                row.append(int(i))
                break
        else:
            rows.append([int(i)])
    if not rows:
        return [np.ones(len(pieces), bool)]
    rows.sort(key=lambda row: -sum(pieces.area[j] for j in row))
    usual = median(pieces.h[rows[0]])
    kept = []
    for row in rows:
        tall = [j for j in row if pieces.h[j] > 0.6 * usual]
        inside = [j for j in tall if pieces.y[j] > 1 and pieces.y[j] + pieces.h[j] < shape[0] - 1]
        if row is rows[0] or (inside and not _belongs(pieces, row, rows[0], height)):
            chosen = np.zeros(len(pieces), bool)
            chosen[row] = True
            kept.append(chosen)
    return kept


def _belongs(pieces: _Pieces, row: list[int], main: list[int], height: float) -> bool:
    """Whether all pieces of a row are parts of digits of the main one: close above or below."""
    for j in row:
        overlap = np.minimum(
            pieces.x[main] + pieces.w[main], pieces.x[j] + pieces.w[j]
        ) - np.maximum(pieces.x[main], pieces.x[j])
        gap = np.maximum(
            pieces.y[main] - pieces.y[j] - pieces.h[j],
            pieces.y[j] - pieces.y[main] - pieces.h[main],
        )
        if not ((overlap > 0.4 * pieces.w[j]) & (gap < 0.12 * height)).any():
            return False
    return True


def _closer(
    pieces: _Pieces,
    band: np.ndarray,
    height: float,
    slope: float,
    back: np.ndarray,
    shape: tuple[int, ...],
) -> tuple[np.ndarray, tuple[int, int]]:
    """Return the map from a view of the line, level and DIGIT high, to the picture; its size.

    It goes no further than a picture of this shape: beyond, a line along the border would be seen
    again and again.
    """
    turn = math.atan(slope)
    cos, sin = math.cos(turn), math.sin(turn)
    x0, x1 = pieces.x[band], (pieces.x + pieces.w)[band]
    y0, y1 = pieces.y[band], (pieces.y + pieces.h)[band]
    upright = np.array([[cos, sin], [-sin, cos]])
    ends = product(upright, np.array([[x0, x1, x0, x1], [y0, y0, y1, y1]]).reshape(2, -1))
    whole = inverse(np.concatenate([back, [[0, 0, 1]]]))
    limits = product(
        upright, mapped(whole, corners((-0.5, -0.5, shape[1] - 0.5, shape[0] - 0.5))).T
    )
    margin = 0.6 * height
    left, top = np.maximum(ends.min(axis=1) - margin, limits.min(axis=1))
    size = np.minimum(ends.max(axis=1) + margin, limits.max(axis=1)) - (left, top)
    step = height / DIGIT
    size = np.maximum(8, np.rint(size / step)).astype(int)
    linear = product(back[:, :2], upright.T)
    offset = product(linear, np.array([[left], [top]]))[:, 0] + back[:, 2]
    view = np.concatenate([linear * step, offset[:, None]], axis=1)
    return view, (int(size[0]), int(size[1]))


def _slant(pieces: _Pieces, main: np.ndarray) -> float:
    """The mean slant of the largest pieces, each about its own centre, in columns a row."""
    xy = yy = 0.0
    tall = np.flatnonzero(main & (pieces.h > 0.6 * pieces.h[main].max()))
    for i in tall[np.argsort(-pieces.area[tall])][:6]:
        x, y, w, h = (int(a[i]) for a in (pieces.x, pieces.y, pieces.w, pieces.h))
        own = (pieces.labels[y : y + h, x : x + w] == i + 1).astype(np.uint8)
        moments = cv2.moments(own, binaryImage=True)
        xy, yy = xy + moments["mu11"], yy + moments["mu02"]
    return max(-1.0, min(1.0, xy / yy)) if yy else 0.0


def _upright(
    mask: np.ndarray, ink: np.ndarray, back: np.ndarray, slant: float, middle: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Take the slant out of a line: mask, ink, and the map back."""
    height, width = mask.shape
    room = int(np.ceil(abs(slant) * height / 2))
    shear = np.array([[1, slant, -room - slant * middle], [0, 1, 0]])
    size = (width + 2 * room, height)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    sheared = cv2.warpAffine(mask * 255, shear, size, flags=flags)
    sheared_ink = cv2.warpAffine(ink, shear, size, flags=flags)
    whole = np.concatenate([shear, [[0, 0, 1]]])
    exact = product(back, whole)
    return (sheared > 127).astype(np.uint8), sheared_ink, exact
