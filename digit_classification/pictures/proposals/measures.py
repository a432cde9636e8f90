"""What a judge is told of a proposal beside its digit: what is around it, and some numbers."""

from __future__ import annotations

import math

import cv2
import numpy as np

from digit_classification.pictures.images.convention import NEIGHBOURS
from digit_classification.pictures.images.grey import reduce
from digit_classification.pictures.images.ink import ink_strength
from digit_classification.pictures.images.quantiles import median
from digit_classification.pictures.images.width import stroke_width
from digit_classification.pictures.proposals.regions import DETAIL
from digit_classification.pictures.proposals.views import View

CONTEXT = 28  # pixels: a side of the picture of what surrounds a digit
REACH = 2.2  # sides of the digit's box that it shows

NUMBERS = (
    "margin left",  # from the digit's box to the border, in sides of the box
    "margin top",
    "margin right",
    "margin bottom",
    "off centre x",  # in widths of the picture
    "off centre y",
    "size",  # the logarithm of the box's longer side in sides of the picture
    "narrow",  # the logarithm of width over height
    "left out",  # the share of the picture's ink
    "left out near",  # the mean of the context
    "touches border",  # pixels of the digit at the border, in sides of the picture
    "touches region",
    "level",  # logarithms: of the ink's strength
    "clear of noise",  # of that over the paper's noise
    "sharp",  # of how steep its edges are
    "clear of texture",  # of that over the paper's slopes
    "even",  # the deviation of the ink's strength over its mean
    "pieces",
    "holes",
    "light ink",
    "paper",  # the tone of the picture's median, 0 to 1
    "small",  # logarithms: of the picture's longer side in hundreds of pixels
    "region",  # of its share of the picture
    "ready",  # a digit in MNIST's form: it is all there is, and all else is 0
)
_STEPS = 256  # numbers are whole multiples of a 256th: rounding differs between processors

Box = tuple[int, int, int, int]  # left, top, width, height, in pixels of the picture


class Surroundings:
    """The ink of a whole picture, in which what a proposal leaves out is seen.

    Of a picture of this shape, (h, w), it looks at one that is reduced, but not below DETAIL.
    """

    def __init__(self, shape: tuple[int, ...], work: np.ndarray) -> None:
        self.height, self.width = shape
        self.tone = median(reduce(work, 32)) / 255
        self._small = reduce(np.ascontiguousarray(work), DETAIL)
        self._scale = max(shape) / max(self._small.shape)
        self._ink: dict[bool, np.ndarray] = {}  # by polarity

    def around(self, view: View, group: np.ndarray, box: Box) -> tuple[np.ndarray, float]:
        """Return the ink around a group that does not belong to it, and its share of the picture's.

        The first is (28, 28) uint8, REACH sides of the box wide, the box in its middle.
        """
        if view.dark_ink not in self._ink:
            self._ink[view.dark_ink] = ink_strength(self._small, view.dark_ink)
        ink = self._ink[view.dark_ink]
        strength = np.minimum(np.maximum(ink, 0) / np.float32(view.marks.level), 1)
        total = float(strength.sum())
        self._take_out(strength, view, group, box)
        left_out = float(strength.sum()) / max(total, 1e-6)
        x, y = ((box[i] + box[i + 2] / 2) / self._scale for i in (0, 1))
        side = REACH * max(box[2:]) / self._scale
        step = side / CONTEXT
        if step > 1:
            strength = cv2.blur(strength, (round(step), round(step)))
        first = (step - side - 1) / 2  # from the box's centre to that of the first pixel
        back = np.array([[step, 0, x + first], [0, step, y + first]], np.float32)
        context = cv2.warpAffine(
            (strength * 255).astype(np.uint8),
            back,
            (CONTEXT, CONTEXT),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        )
        return context, left_out

    def _take_out(self, strength: np.ndarray, view: View, group: np.ndarray, box: Box) -> None:
        """Make what belongs to the group, and its blurred edge, 0."""
        region, scale = view.region, self._scale
        height, width = strength.shape
        left = min(round(region.left / scale), width - 1)
        top = min(round(region.top / scale), height - 1)
        right = min(max(round(region.right / scale), left + 1), width)
        bottom = min(max(round(region.bottom / scale), top + 1), height)
        size = (right - left, bottom - top)
        own = cv2.resize(group * 255, size, interpolation=cv2.INTER_AREA)
        edge = 2 * max(1, round(max(box[2:]) / scale / 60)) + 1
        own = cv2.dilate(own, np.ones((edge, edge), np.uint8))
        strength[top:bottom, left:right] *= own < 30  # of 255


def measure(
    view: View,
    group: np.ndarray,
    box: Box,
    surroundings: Surroundings,
    context: np.ndarray,
    left_out: float,
) -> np.ndarray:
    """Return the NUMBERS of a proposal, float32."""
    height, width = surroundings.height, surroundings.width
    x, y, w, h = box
    size = max(w, h)
    margins = [min(1.5, max(0, a) / size) for a in (x, y, width - x - w, height - y - h)]
    edges = (group[0], group[-1], group[:, 0], group[:, -1])
    touching = sum(cv2.countNonZero(edge) for edge in edges) / max(group.shape)
    region = view.region
    numbers = [
        *margins,
        (x + w / 2) / width - 0.5,
        (y + h / 2) / height - 0.5,
        math.log(size / max(height, width)),
        math.log(w / h),
        left_out,
        float(context.mean()) / 64,
        touching if min(margins) < 0.03 else 0.0,
        touching,
        *_clearness(view, group),
        *_pieces(group),
        0.0 if view.dark_ink else 1.0,
        surroundings.tone,
        math.log(max(height, width) / 100),
        math.log(region.width * region.height / (height * width)),
        0.0,
    ]
    return np.rint(np.array(numbers) * _STEPS).astype(np.float32) / _STEPS


def _clearness(view: View, group: np.ndarray) -> list[float]:
    """How far the ink stands out from its paper, how sharp its edges are, how even it is."""
    level = view.marks.level
    left, top, width, height = cv2.boundingRect(group)
    near = slice(max(0, top - 2), top + height + 2), slice(max(0, left - 2), left + width + 2)
    own = group[near]
    edge = cv2.dilate(own, NEIGHBOURS) - cv2.erode(own, NEIGHBOURS)
    slope = cv2.mean(view.slope[near], edge)[0]
    mean, deviation = cv2.meanStdDev(view.marks.ink[near], mask=own)
    return [
        math.log(level / 64),
        math.log(level / max(view.noise, 0.5)),
        math.log(max(slope * stroke_width(own), 0.1) / level),
        math.log(max(slope, 0.1) / max(view.paper_slope, 0.1)),
        float(deviation[0, 0] / max(mean[0, 0], 1)),
    ]


def _pieces(group: np.ndarray) -> list[float]:
    """How many pieces a group has, and holes."""
    pieces = cv2.connectedComponents(group)[0] - 1
    paper = cv2.copyMakeBorder(1 - group, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    holes = cv2.connectedComponents(paper, connectivity=4)[0] - 2
    return [min(pieces, 6) / 2, math.log1p(max(holes, 0))]
