"""Marks in the four corners of a form without lines, by which it is known where the page lies.

A mark is a dark square or disc, as forms for machines have them.  Four of them say all: size, turn
and perspective (the projective transformation that takes the four to those of a template; Hartley
and Zisserman 2004, section 2.3).  Only which of them is the first they do not say.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from digit_classification.pictures.forms.page import Page, find_as_it_lies
from digit_classification.pictures.geometry import inverse, mapped
from digit_classification.pictures.images import Invert

MARKS = 4
_DARK = 80  # of darkness: a printed mark
_SIDE = (0.006, 0.06)  # of the page's longer side: how large it is
_FILLED = 0.65  # of the smallest rectangle around it: a disc fills 0.785
_THICK = 0.4  # of its shorter side: a stroke is thinner
_LONG = 1.6  # times as long as wide, seen from aside
_ALIKE = 1.6  # times as large as another
_MOST = 14  # that may be marks: of more the outermost are tried
_LEAST = 0.2  # of the sheet lies between them
_TURNED = 0.15  # of the logarithm of width by height: two ways to lie that are as likely


@dataclass(frozen=True)
class MarkedPage:
    """A page as the camera saw it, and its marks.

    Attributes:
        page: not level.
        outline: (n, 2) float64, of the sheet, in the picture's pixels.
        marks: (4, 2) float64, clockwise from the one nearest to the top left, in the picture's
            pixels; or fewer, in no order.
    """

    page: Page
    outline: np.ndarray
    marks: np.ndarray


def find_marked_page(grey: np.ndarray, invert: Invert) -> MarkedPage:
    """Return the page of a grey picture, (h, w) uint8; `invert` as of `images.normalize`."""
    page, outline = find_as_it_lies(grey, invert)
    marks = _marks(page.darkness, mapped(inverse(page.back), outline))
    return MarkedPage(page, outline, mapped(page.back, marks))


def _marks(darkness: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """Return the four marks on a page, or as many as there may be, in its pixels."""
    places, sizes = _solid(darkness)
    if len(places) > _MOST:
        outermost = np.argsort(-np.hypot(*(places - places.mean(axis=0)).T), kind="stable")[:_MOST]
        places, sizes = places[outermost], sizes[outermost]
    sheet = cv2.contourArea(outline.astype(np.float32))
    best, largest = None, _LEAST * sheet
    for four in itertools.combinations(range(len(places)), MARKS):
        chosen = sizes[list(four)]
        if chosen.max() > _ALIKE * chosen.min():
            continue
        hull = cv2.convexHull(places[list(four)].astype(np.float32))[:, 0]
        area = cv2.contourArea(hull)
        if len(hull) == MARKS and area > largest:
            best, largest = hull.astype(np.float64), area
    if best is None:
        return places[: MARKS - 1]
    clockwise = best if cv2.contourArea(best.astype(np.float32), oriented=True) > 0 else best[::-1]
    first = int(clockwise.sum(axis=1).argmin())
    return np.roll(clockwise, -first, axis=0)


def _solid(darkness: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the middles, (n, 2), and the sides, (n,), of what is dark, solid and compact."""
    outlines, _ = cv2.findContours(
        (darkness > _DARK).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    found = []
    for each in outlines:
        if len(each) < 8:
            continue
        (_, (long, short), _) = cv2.minAreaRect(each)
        long, short = long + 1, short + 1  # between the middles of its outer pixels
        side = math.sqrt(long * short) / max(darkness.shape)
        if not _SIDE[0] < side < _SIDE[1] or max(long, short) > _LONG * min(long, short):
            continue
        x, y, w, h = cv2.boundingRect(each)
        dark = (darkness[y : y + h, x : x + w] > _DARK).astype(np.uint8)
        thick = np.ones((max(3, round(_THICK * min(long, short))),) * 2, np.uint8)
        solid = cv2.morphologyEx(dark, cv2.MORPH_OPEN, thick)  # of a letter nothing is left
        if np.count_nonzero(solid) > _FILLED * long * short:
            moments = cv2.moments(dark, binaryImage=True)
            middle = moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]
            found.append((x + middle[0], y + middle[1], side))
    places = np.array(found).reshape(-1, 3)
    return places[:, :2], places[:, 2]


def straightened(seen: MarkedPage, model: np.ndarray, aspect: float) -> Iterator[Page]:
    """Yield the page as the template has it, each way that it may lie, the likeliest first.

    Args:
        seen: with four marks.
        model: (4, 2), those of the template, in shares of its page, clockwise from the top left.
        aspect: of that page, width by height.
    """
    there = model * [aspect, 1]
    corners = np.array([[0, 0], [aspect, 0], [aspect, 1], [0, 1]])
    ways = [np.roll(seen.marks, -turn, axis=0) for turn in range(MARKS)]
    off = [abs(_aspect(marks) - _aspect(there)) for marks in ways]
    for marks, apart in zip(ways, off, strict=True):
        if apart < min(off) + _TURNED:
            forth = _projection(marks, there)
            yield seen.page.as_seen_by(forth, mapped(inverse(forth), corners))


def as_rectangle(seen: MarkedPage) -> tuple[Page, np.ndarray]:
    """Return the page, seen so that its four marks are a rectangle's corners, and where they are.

    They are (4, 2) float64 in shares of the page.
    """
    width = np.hypot(*(seen.marks[[1, 2]] - seen.marks[[0, 3]]).T).mean()
    height = np.hypot(*(seen.marks[[3, 2]] - seen.marks[[0, 1]]).T).mean()
    forth = _projection(seen.marks, np.array([[0, 0], [width, 0], [width, height], [0, height]]))
    page = seen.page.as_seen_by(forth, seen.outline)
    return page, mapped(inverse(page.back), seen.marks) / page.darkness.shape[::-1]


def _projection(marks: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Return the (3, 3) map that takes four places to four others."""
    return cv2.getPerspectiveTransform(marks.astype(np.float32), there.astype(np.float32))


def _aspect(four: np.ndarray) -> float:
    """Return the logarithm of the width by the height of a quadrilateral, (4, 2), clockwise."""
    sides = np.hypot(*(np.roll(four, -1, axis=0) - four).T)
    return math.log((sides[0] + sides[2]) / (sides[1] + sides[3]))
