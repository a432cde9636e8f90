"""A region seen in one polarity: its marks, and how clearly they stand out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from digit_classification.pictures.images.grey import reduce
from digit_classification.pictures.images.strokes import Marks, find_marks, frames_in
from digit_classification.pictures.proposals.regions import DETAIL, Region

_MAGNIFIED = 96  # pixels: the longer side to which small regions are enlarged
_CLEAR = 8  # times the paper's noise: ink that stands out well
_SMOOTHING = 60  # standard deviations of the blur that a noisy region's longer side is long


@dataclass(frozen=True)
class View:
    """The marks of a region in one polarity.

    Attributes:
        region: of the picture.
        dark_ink: whether the ink is darker than its paper.
        marks: of the region.
        noise: the standard deviation of the paper's ink.
        slope: (h, w) float32, how much the ink changes from one pixel to the next.
        paper_slope: its mean on the paper.
    """

    region: Region
    dark_ink: bool
    marks: Marks
    noise: float
    slope: np.ndarray
    paper_slope: float

    @cached_property
    def rings(self) -> np.ndarray:
        """(h, w) uint8, 1 where a ring is drawn around other marks."""
        labels, _, rings = self._frames
        return rings.astype(np.uint8)[labels]

    @property
    def unframed(self) -> np.ndarray:
        """(h, w) uint8, 1 where marks are that are no box and no ring around others."""
        labels, boxes, rings = self._frames
        return np.where((boxes | rings)[labels], 0, self.marks.mask)

    @cached_property
    def _frames(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The labels of the marks' pieces, and which of those are boxes and rings."""
        _, labels, stats, _ = cv2.connectedComponentsWithStats(self.marks.mask, connectivity=8)
        return labels, *frames_in(labels, stats)

    @property
    def noisy(self) -> bool:
        """Whether the paper's grain is not far below the ink."""
        return self.marks.level < _CLEAR * self.noise


def look(
    grey: np.ndarray, region: Region, dark_ink: bool, *, smooth: bool = False, flat: bool = False
) -> View | None:
    """See a region's pixels, (h, w) uint8; None if there is no mark.

    They are made `smooth` where the grain is strong; a `flat` paper has one tone, which a digit
    that fills its picture does not hide.
    """
    work = reduce(grey, DETAIL)
    if smooth:
        work = cv2.GaussianBlur(work, (0, 0), max(work.shape) / _SMOOTHING)
    if max(work.shape) < _MAGNIFIED:  # thin gaps and lines are told apart there
        factor = _MAGNIFIED / max(work.shape)
        size = (max(1, round(work.shape[1] * factor)), max(1, round(work.shape[0] * factor)))
        work = cv2.resize(work, size, interpolation=cv2.INTER_CUBIC)
    marks = find_marks(work, dark_ink, max(grey.shape) / max(work.shape), flat=flat)
    return None if marks is None else view_of(marks, region, dark_ink)


def view_of(marks: Marks, region: Region, dark_ink: bool) -> View:
    """Measure how clearly the marks of a region stand out."""
    paper = 1 - marks.mask
    across, down = (cv2.Sobel(marks.ink, -1, dx, 1 - dx, scale=1 / 8) for dx in (1, 0))
    slope = cv2.magnitude(across, down)
    noise = float(cv2.meanStdDev(marks.ink, mask=paper)[1][0, 0])
    return View(region, dark_ink, marks, noise, slope, cv2.mean(slope, paper)[0])
