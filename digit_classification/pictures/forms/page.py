"""The page of a picture: what lies around it left out, level, without perspective, evenly lit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from digit_classification.pictures.geometry import corners, inverse, mapped, product
from digit_classification.pictures.images import Invert
from digit_classification.pictures.images.grey import reduce
from digit_classification.pictures.images.quantiles import quantile, weighted_quantile

LEVEL = 2000  # pixels: the longer side of a page that is level
_FIRST = 1000  # pixels: the longer side in which straight edges are looked for
_SHORTEST = 0.02  # of the longer side: an edge that tells a direction
_ASIDE = 12.0  # degrees by which perspective turns a line at most
_SHEET = 256  # pixels: the longer side in which a sheet is looked for
_STREAK = 21  # of these pixels: what is narrower, and as light, is the grain of a desk
_STANDS_OUT = 20  # grey levels between a sheet and what it lies on
_DARKEST = 48  # grey levels: paper is not taken to be darker


@dataclass(frozen=True)
class Page:
    """A page that is level.

    Attributes:
        darkness: (h, w) uint8, how much darker than its paper each pixel is: 0 paper, 255 black.
        back: (3, 3) float64, from these pixels to the picture's.
        grey: (H, W) uint8, the picture, its ink darker than the paper.
    """

    darkness: np.ndarray
    back: np.ndarray
    grey: np.ndarray

    def closer(self, box: tuple[int, int, int, int]) -> Page:
        """Return what lies in a box, left, top, right, bottom in pixels, seen from close by."""
        return self.as_seen_by(inverse(self.back), mapped(self.back, corners(box)))

    def as_seen_by(self, forth: np.ndarray, outline: np.ndarray) -> Page:
        """Return what lies in an outline, (n, 2), through a map: both of the picture's pixels."""
        return _seen_level(self.grey, outline, forth)


@dataclass(frozen=True)
class _Edge:
    """A straight edge: its middle, its direction as a slope, and its length."""

    x: float
    y: float
    slope: float
    length: float


def find_page(grey: np.ndarray, invert: Invert) -> Page:
    """Return the page of a grey picture, (h, w) uint8; `invert` as of `images.normalize`."""
    grey, sheet = _on_light(grey, invert)
    work = reduce(grey, _FIRST)
    scale = max(grey.shape) / max(work.shape)
    inside = _inside(work.shape, sheet, grey.shape)
    forth = _levelling(_straight_edges(work, inside))
    # From pixels of the picture to those of `work`, to those of a level plane.
    shrink = np.array([[1 / scale, 0, 0], [0, 1 / scale, 0], [0, 0, 1.0]])
    return _seen_level(grey, sheet, product(forth, shrink))


def find_as_it_lies(grey: np.ndarray, invert: Invert) -> tuple[Page, np.ndarray]:
    """Return the page as the camera saw it, not level, and its outline, (n, 2) in the picture's."""
    grey, sheet = _on_light(grey, invert)
    return _seen_level(grey, sheet, np.eye(3)), sheet


def _on_light(grey: np.ndarray, invert: Invert) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture with its ink darker than the paper, and the outline of the sheet in it."""
    sheet = _sheet(grey) if invert != "never" else None
    if sheet is None:
        if invert == "never" or (invert == "auto" and not _has_dark_lines(grey)):
            grey = 255 - grey
        sheet = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float) * grey.shape[::-1]
    return grey, sheet


def _sheet(grey: np.ndarray) -> np.ndarray | None:
    """Return the outline, (n, 2) in pixels, of a light sheet on something darker."""
    small = reduce(grey, _SHEET)
    small = cv2.morphologyEx(small, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))  # without its ink
    small = cv2.medianBlur(small, 5)
    _, light = cv2.threshold(small, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(light, connectivity=4)
    if count < 2:
        return None
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    own = (labels == largest).astype(np.uint8)
    own = cv2.morphologyEx(own, cv2.MORPH_OPEN, np.ones((_STREAK, _STREAK), np.uint8))
    outlines, _ = cv2.findContours(own, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not outlines:
        return None
    hull = cv2.convexHull(max(outlines, key=cv2.contourArea))
    (_, (long, short), _) = cv2.minAreaRect(hull)
    area = cv2.contourArea(hull)
    if not 0.15 * small.size < area < 0.97 * small.size or area < 0.75 * long * short:
        return None
    filled = np.zeros_like(small)
    cv2.fillConvexPoly(filled, hull, 1)
    if not _stands_out(small, filled):
        return None
    outline = hull[:, 0].astype(float) + 0.5
    return outline * (max(grey.shape) / max(small.shape))


def _stands_out(grey: np.ndarray, filled: np.ndarray) -> bool:
    """Whether it is darker all along the outside of an outline than along its inside."""
    ring = np.ones((7, 7), np.uint8)
    outer = (cv2.dilate(filled, ring) - cv2.dilate(filled, np.ones((3, 3), np.uint8))) > 0
    inner = filled > cv2.erode(filled, ring, borderType=cv2.BORDER_CONSTANT, borderValue=1)
    if np.count_nonzero(outer) < 20 or not inner.any():
        return False
    near = cv2.dilate(np.where(inner, grey, 0).astype(np.uint8), np.ones((15, 15), np.uint8))
    darker = near[outer].astype(int) - grey[outer]
    return bool(np.mean(darker > _STANDS_OUT) > 0.85)


def _has_dark_lines(grey: np.ndarray) -> bool:
    """Whether what is narrow in a picture is darker than what is around it, as lines are."""
    work = reduce(grey, _FIRST)
    square = np.ones((7, 7), np.uint8)
    dark = cv2.morphologyEx(work, cv2.MORPH_BLACKHAT, square)
    light = cv2.morphologyEx(work, cv2.MORPH_TOPHAT, square)
    return bool(quantile(dark, 0.97) >= quantile(light, 0.97))


def _inside(shape: tuple[int, ...], sheet: np.ndarray, of: tuple[int, ...]) -> np.ndarray:
    """Return where the sheet is, in a picture that was reduced to this shape; its rim left out."""
    inside = np.zeros(shape, np.uint8)
    outline = sheet * [shape[1] / of[1], shape[0] / of[0]]
    cv2.fillConvexPoly(inside, np.rint(outline).astype(np.int32), 1)
    if inside.all():
        return inside
    rim = max(3, round(0.008 * max(shape)))
    return cv2.erode(inside, np.ones((2 * rim + 1, 2 * rim + 1), np.uint8), borderValue=1)


def _straight_edges(grey: np.ndarray, inside: np.ndarray) -> list[_Edge]:
    """Return the straight edges of what is on the sheet; those of dashes from further away."""
    height, width = grey.shape
    far = cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    ends = [find_segments(grey), 2 * find_segments(far)]
    edges = []
    shortest = _SHORTEST * max(grey.shape)
    for x0, y0, x1, y1 in np.concatenate(ends).tolist():
        length = math.hypot(x1 - x0, y1 - y0)
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        here = inside[min(height - 1, max(0, int(y))), min(width - 1, max(0, int(x)))]
        if length >= shortest and here:
            edges.append(_Edge(x, y, math.degrees(math.atan2(y1 - y0, x1 - x0)), length))
    return edges


def find_segments(grey: np.ndarray) -> np.ndarray:
    """Return the ends of line segments, (n, 4): x, y, x, y (von Gioi et al. 2012, "LSD")."""
    found = cv2.createLineSegmentDetector().detect(grey)[0]
    return np.zeros((0, 4)) if found is None else found.reshape(-1, 4).astype(float)


def _levelling(edges: list[_Edge]) -> np.ndarray:
    """Return the (3, 3) map after which lines are level and upright.

    Lines of one direction meet in a vanishing point; both points are fitted to the edges, and moved
    to infinity (Hartley and Zisserman 2004, section 2.7).
    """
    angle = _direction(edges)
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    turn = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1.0]])
    level, upright = [], []
    for edge in edges:
        off = (edge.slope - angle + 45) % 90 - 45
        if abs(off) > _ASIDE:
            continue
        x, y = edge.x * cos + edge.y * sin, edge.y * cos - edge.x * sin
        slope = math.tan(math.radians(off))
        if (edge.slope - angle + 45) % 180 < 90:
            level.append((x, y, slope, edge.length))
        else:
            upright.append((y, x, -slope, edge.length))
    along, far = _vanishing(level)
    up, high = _vanishing(upright)
    # The points (1, along, far) and (up, 1, high), and the line through both.
    first, second = (1.0, along, far), (up, 1.0, high)
    a = first[1] * second[2] - first[2] * second[1]
    b = first[2] * second[0] - first[0] * second[2]
    c = first[0] * second[1] - first[1] * second[0]
    flat = np.array([[1, 0, 0], [0, 1, 0], [a / c, b / c, 1]])
    upright_again = np.array([[1, -up, 0], [-along, 1, 0], [0, 0, 1.0]]) / (1 - up * along)
    upright_again[2, 2] = 1
    return product(upright_again, product(flat, turn))


def _direction(edges: list[_Edge]) -> float:
    """Return by how many degrees the page is turned, -45 to 45."""
    weights = [0.0] * 90
    for edge in edges:
        weights[math.floor(edge.slope % 90)] += edge.length**2
    if not any(weights):
        return 0.0
    spread = [sum(weights[(i + d) % 90] * (5 - abs(d)) for d in range(-4, 5)) for i in range(90)]
    best = spread.index(max(spread)) + 0.5
    near = [((e.slope - best + 45) % 90 - 45, e.length) for e in edges]
    off, lengths = np.array([each for each in near if abs(each[0]) < 6]).T
    angle = best + weighted_quantile(off, 0.5, lengths)
    return (angle + 45) % 90 - 45


def _vanishing(lines: list[tuple[float, float, float, float]]) -> tuple[float, float]:
    """Return (v, u) of the point (1, v, u) in which lines meet; (v, 0) where they are parallel.

    Each is (x, y, slope, weight), and slope = v + u (slope x - y) of one that goes through it.
    Lines that others contradict are left out.
    """
    if not lines:
        return 0.0, 0.0
    _, _, slopes, weights = np.array(lines).T
    v, u = weighted_quantile(slopes, 0.5, weights), 0.0
    for limit in (0.12, 0.05, 0.025, 0.012, 0.012):
        near = [
            (slope, slope * x - y, weight)
            for x, y, slope, weight in lines
            if abs(slope - v - u * (slope * x - y)) < limit
        ]
        if len(near) < 2:
            break
        total = sum(weight for _, _, weight in near)
        mean = sum(slope * weight for slope, _, weight in near) / total
        middle = sum(place * weight for _, place, weight in near) / total
        spread = sum(weight * (place - middle) ** 2 for _, place, weight in near)
        common = sum(w * (place - middle) * (slope - mean) for slope, place, w in near)
        # As if some lines were parallel: few that lie side by side tell little.
        u = common / (spread + 0.02 * total * _FIRST**2 / 12)
        v = mean - u * middle
    return v, u


def _seen_level(grey: np.ndarray, sheet: np.ndarray, forth: np.ndarray) -> Page:
    """Return the page as it is seen through a map from the picture's pixels to a level plane."""
    there = mapped(forth, sheet)
    low, high = there.min(axis=0), there.max(axis=0)
    span = max(high - low)
    # As many pixels as the picture has of it, and at most LEVEL.
    sides = sheet.max(axis=0) - sheet.min(axis=0)
    scale = min(LEVEL, 1.1 * max(sides)) / span
    width, height = (max(8, round(float(side) * scale)) for side in high - low)
    place = np.array([[scale, 0, -low[0] * scale], [0, scale, -low[1] * scale], [0, 0, 1]])
    forth = product(place, forth)
    back = inverse(forth)
    shrink = max(sides) / max(width, height)
    if shrink > 1.5:  # every pixel counts
        small = reduce(grey, round(max(grey.shape) / shrink))
        factor = max(grey.shape) / max(small.shape)
        inner = product(np.diag([1 / factor, 1 / factor, 1.0]), back)
    else:
        small, inner = grey, back
    level = cv2.warpPerspective(
        small,
        inner,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    inside = np.zeros((height, width), np.uint8)
    outline = np.rint(mapped(forth, sheet)).astype(np.int32)
    cv2.fillConvexPoly(inside, outline, 1)
    is_whole = np.ptp(sheet[:, 0]) >= grey.shape[1] and np.ptp(sheet[:, 1]) >= grey.shape[0]
    rim = 0.002 if is_whole else 0.006
    edge = np.ones((2 * max(2, round(rim * max(width, height))) + 1,) * 2, np.uint8)
    inside = cv2.erode(inside, edge, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return Page(darkness_of(level) * inside, back, grey)


def darkness_of(grey: np.ndarray) -> np.ndarray:
    """Return how much darker than the paper around it each pixel is, (h, w) uint8."""
    small = cv2.resize(grey, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    paper = cv2.morphologyEx(small, cv2.MORPH_CLOSE, np.ones((15, 15), np.uint8))
    paper = cv2.blur(cv2.medianBlur(paper, 5), (7, 7))
    paper = cv2.resize(paper, grey.shape[::-1], interpolation=cv2.INTER_LINEAR)
    below = cv2.subtract(paper, grey)
    return cv2.divide(below, cv2.max(paper, _DARKEST), scale=255)
