"""The ways in which a picture may show one digit, the likeliest first.

The preparation alone cannot know what a picture means: a line from side to side is a rule or a
1, a grey patch is paper or ink.  So it proposes.  Each `Proposal` is one choice of

- *region* (`regions`): the picture, a sheet on a desk, the inside of a box, what is around a mark,
- *polarity*: ink that is darker or lighter than its paper,
- *group* (`groups`): the main piece and what belongs to it, the one in the middle, what is left
  between two cuts; lines taken out or kept.

What a proposal leaves out goes with it (`measures`), so that a network can judge it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np

from digit_classification.pictures.images import (
    BLANK,
    SIDE,
    Invert,
    has_dark_ink,
    normalize_ready,
    strokes_to_digit,
)
from digit_classification.pictures.images.convention import WORK
from digit_classification.pictures.images.grey import reduce
from digit_classification.pictures.images.strokes import cut_out, find_digit
from digit_classification.pictures.proposals.groups import find_groups
from digit_classification.pictures.proposals.measures import CONTEXT as CONTEXT
from digit_classification.pictures.proposals.measures import NUMBERS as NUMBERS
from digit_classification.pictures.proposals.measures import Box, Surroundings, measure
from digit_classification.pictures.proposals.regions import Region, find_regions
from digit_classification.pictures.proposals.views import View, look, view_of

_SMALLEST = 5  # pixels of a view: the longer side of a digit
_THUMBNAIL = (24, 24)  # pixels: in which two groups are compared
_ALIKE = 0.96  # overlap of two groups that are the same
_SAME_BOX = 0.04  # of its longer side, by which each side may be elsewhere
_FILLING = 0.9  # of the picture's width or height


@dataclass(frozen=True)
class Proposal:
    """One way to see a picture.

    Attributes:
        digit: (28, 28) uint8, light ink on dark, MNIST's convention.
        context: (28, 28) uint8, the ink around the digit that is left out.
        numbers: (len(NUMBERS),) float32; all 0 if there is nothing to judge.
        box: left, top, width, height of the digit in shares of the picture.
        rejection: why the preparation finds not exactly one digit there, or None.
        left_out: what of the picture it does not show, in words, but for other marks.
        region: where `group` lies in the picture, or None.
        group: (h, w) uint8, the region's marks that are taken for the digit are 1; or None.
    """

    digit: np.ndarray
    context: np.ndarray
    numbers: np.ndarray
    box: tuple[float, float, float, float]
    rejection: str | None = None
    left_out: tuple[str, ...] = ()
    region: Region | None = None
    group: np.ndarray | None = field(default=None, repr=False)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to judge."""
        return not self.numbers.any()

    @property
    def ready(self) -> bool:
        """Whether it is in MNIST's form, and all there is."""
        return bool(self.numbers[-1])

    @property
    def fills_its_picture(self) -> bool:
        """Whether it reaches from one border to the opposite one, or nearly so."""
        return max(self.box[2:]) > _FILLING


class Compared(NamedTuple):
    """What the networks say of a proposal, and of it only what a person wants to see.

    Attributes:
        image: (28, 28) uint8, the proposal's digit.
        box: where it is, as the proposal's.
        digit: what it is read as.
        weight: 0 to 1, how far that is believed.
    """

    image: np.ndarray
    box: tuple[float, float, float, float]
    digit: int
    weight: float


def propose(
    grey: np.ndarray, invert: Invert = "auto", looks: Callable[[], bool] = lambda: True
) -> Iterator[list[Proposal]]:
    """Yield the ways to see a grey picture, (h, w) uint8, in stages.

    The first stage is what `images.normalize` makes of it.  The others are made only when they are
    asked for, and none of them is nearly one of those before it.

    Args:
        grey: the picture.
        invert: which polarities are looked at.
        looks: asked before each further look at a region; where it says no, that one is left out.
    """
    if grey.shape == (SIDE, SIDE):
        digit = normalize_ready([grey], invert)[0]
        if digit is not None:
            yield [ready(digit)]
    picture = _Picture(grey)
    dark_ink = has_dark_ink(picture.work, invert)
    whole = Region.whole(grey)
    usual = picture.usual(dark_ink)
    yield [usual]
    if looks():
        yield list(picture.proposals(whole, whole.cut(grey), [dark_ink]))
    if (usual.empty or usual.fills_its_picture) and looks():
        yield list(picture.filling(whole, [True, False] if invert == "auto" else [dark_ink]))
    inner: list[Proposal] = []
    for region in find_regions(grey):
        if not looks():
            continue
        pixels = region.cut(grey)
        dark = dark_ink if invert != "auto" else has_dark_ink(pixels, invert)
        inner += picture.proposals(region, pixels, [dark])
    yield inner
    if invert == "auto" and looks():
        yield list(picture.proposals(whole, whole.cut(grey), [not dark_ink]))


def ready(digit: np.ndarray) -> Proposal:
    """Propose a digit, (28, 28) uint8, that is in MNIST's form: it is all there is."""
    numbers = np.zeros(len(NUMBERS), np.float32)
    numbers[NUMBERS.index("ready")] = 1
    return Proposal(digit, np.zeros((CONTEXT, CONTEXT), np.uint8), numbers, (0, 0, 1, 1))


def _nothing() -> Proposal:
    black = np.zeros((SIDE, SIDE), np.uint8)
    context = np.zeros((CONTEXT, CONTEXT), np.uint8)
    return Proposal(black, context, np.zeros(len(NUMBERS), np.float32), (0, 0, 0, 0), BLANK)


class _Picture:
    """A grey picture, and the groups that were proposed of it."""

    def __init__(self, grey: np.ndarray) -> None:
        self._grey = grey
        self.work = reduce(grey, WORK)
        self._surroundings = Surroundings(grey.shape, self.work)
        self._seen: list[tuple[Box, np.ndarray]] = []  # boxes with thumbnails

    def usual(self, dark_ink: bool) -> Proposal:
        """Propose what `images.normalize` takes for the digit."""
        found = find_digit(self._grey, self.work, dark_ink)
        if found is None:
            return _nothing()
        region = Region(found.left, found.top, found.right, found.bottom)
        view = view_of(found.marks, region, dark_ink)
        box = _box(view, found.digit)
        self._is_new(box, found.digit)
        return self._proposal(view, found.digit, box, (), found.rejection) or _nothing()

    def proposals(
        self, region: Region, pixels: np.ndarray, polarities: Sequence[bool]
    ) -> Iterator[Proposal]:
        """Yield what may be the digit of a region with these pixels, if it is new."""
        if min(pixels.shape) < _SMALLEST:
            return
        for dark_ink in polarities:
            view = look(pixels, region, dark_ink)
            if view is None:
                continue
            yield from self._groups(view)
            if view.noisy:
                smooth = look(pixels, region, dark_ink, smooth=True)
                if smooth is not None:
                    yield from self._groups(smooth)

    def filling(self, region: Region, polarities: Sequence[bool]) -> Iterator[Proposal]:
        """Yield what may be the digit of a region that leaves little paper around it."""
        for dark_ink in polarities:
            view = look(region.cut(self._grey), region, dark_ink, flat=True)
            if view is not None:
                yield from self._groups(view)

    def _groups(self, view: View) -> Iterator[Proposal]:
        """Yield the proposals of what may be the digit in a view, if they are new."""
        for group, lines in find_groups(view):
            if max(cv2.boundingRect(group)[2:]) < _SMALLEST:
                continue
            box = _box(view, group)
            if self._is_new(box, group):
                words = tuple(filter(None, (view.region.leaves_out, lines)))
                proposal = self._proposal(view, group, box, words, None)
                if proposal is not None:
                    yield proposal

    def _is_new(self, box: Box, group: np.ndarray) -> bool:
        """Whether no group like this was proposed; take note of it."""
        x, y, width, height = cv2.boundingRect(group)
        own = group[y : y + height, x : x + width] * 255
        thumbnail = cv2.resize(own, _THUMBNAIL, interpolation=cv2.INTER_AREA)
        for other_box, other in self._seen:
            if _near(box, other_box) and _overlap(thumbnail, other) > _ALIKE:
                return False
        self._seen.append((box, thumbnail))
        return True

    def _proposal(
        self,
        view: View,
        group: np.ndarray,
        box: Box,
        left_out: tuple[str, ...],
        rejection: str | None,
    ) -> Proposal | None:
        """Return the proposal of a group; None if no ink of it is left in 28x28 pixels."""
        digit = strokes_to_digit(cut_out(view.marks, group))
        if not digit.any():
            return None
        context, share = self._surroundings.around(view, group | view.rings, box)
        numbers = measure(view, group, box, self._surroundings, context, share)
        height, width = self._grey.shape
        in_shares = (box[0] / width, box[1] / height, box[2] / width, box[3] / height)
        return Proposal(digit, context, numbers, in_shares, rejection, left_out, view.region, group)


def _box(view: View, group: np.ndarray) -> Box:
    """Return where a group lies in the picture."""
    x, y, width, height = (a * view.marks.scale for a in cv2.boundingRect(group))
    left, top = view.region.left + round(x), view.region.top + round(y)
    return left, top, max(1, round(width)), max(1, round(height))


def _near(a: Box, b: Box) -> bool:
    """Whether the sides of two boxes are in the same places."""
    slack = _SAME_BOX * max(a[2:]) + 1
    (left, top, width, height), (x, y, w, h) = a, b
    return (
        abs(left - x) <= slack
        and abs(top - y) <= slack
        and abs(left + width - x - w) <= slack
        and abs(top + height - y - h) <= slack
    )


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    """The intersection over the union of two soft masks, uint8."""
    union = cv2.norm(cv2.max(a, b), cv2.NORM_L1)
    return float(cv2.norm(cv2.min(a, b), cv2.NORM_L1) / max(union, 1))
