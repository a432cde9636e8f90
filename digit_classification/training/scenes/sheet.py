"""A picture while it is drawn: pixels, and where the ink of the digit meant lies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from . import noise
from .strokes import Digits

Rng = np.random.Generator
Answer = Literal["digit", "blank", "several", "no digit"]


@dataclass(frozen=True)
class Scene:
    """A picture whose truth is known.

    Attributes:
        pixels: (h, w) or (h, w, 3) uint8, as a file would be decoded.
        ink: (h, w) float32 in 0..1, how much of each pixel the ink of the digit meant covers;
            None where no digit is meant.
        answer: '0' to '9', 'blank', 'several' or 'no digit'.
    """

    pixels: np.ndarray
    ink: np.ndarray | None
    answer: str


@dataclass(frozen=True)
class Kind:
    """A kind of picture.

    Attributes:
        draw: draws one; the digit meant, if any, is the first that it takes.
        answer_kind: which sort of answer is right.
    """

    draw: Callable[[Rng, Digits], Scene]
    answer_kind: Answer


@dataclass(frozen=True)
class Ink:
    """What a pen leaves behind.

    Attributes:
        colour: (3,) float32, RGB in 0..255.
        strength: how much of the paper it hides, 0..1.
        grain: how much of it the paper's grain leaves out, 0..1: pencil, chalk, dry felt pens.
    """

    colour: np.ndarray
    strength: float = 1.0
    grain: float = 0.0


class Sheet:
    """A picture in work: pixels, (h, w, 3) float32 in 0..255, RGB, and the ink as in `Scene`."""

    def __init__(self, pixels: np.ndarray, ink: np.ndarray | None = None) -> None:
        self.pixels = np.ascontiguousarray(pixels, np.float32)
        nothing: np.ndarray = np.zeros(pixels.shape[:2], np.float32)
        self.ink: np.ndarray = nothing if ink is None else ink

    @property
    def height(self) -> int:
        return self.pixels.shape[0]

    @property
    def width(self) -> int:
        return self.pixels.shape[1]

    def write(
        self,
        rng: Rng,
        coverage: np.ndarray,
        left: float,
        top: float,
        ink: Ink,
        *,
        meant: bool = False,
    ) -> None:
        """Lay ink down.

        Args:
            rng: where the grain of the paper comes from.
            coverage: (h, w) float32 in 0..1; what lies outside of the sheet is cut off.
            left: where its left side goes, in pixels; rounded.
            top: where its upper side goes.
            ink: the ink.
            meant: whether it is the digit that the picture shows.
        """
        x, y = round(left), round(top)
        x0, y0 = max(0, x), max(0, y)
        x1 = min(self.width, x + coverage.shape[1])
        y1 = min(self.height, y + coverage.shape[0])
        if x0 >= x1 or y0 >= y1:
            return
        part = coverage[y0 - y : y1 - y, x0 - x : x1 - x]
        alpha: np.ndarray = part * np.float32(ink.strength)
        if ink.grain:
            missing = noise.paper_grain(rng, *part.shape) * 0.45 + 0.3
            alpha = alpha * (1 - ink.grain * np.clip(missing, 0, 1))
        here = self.pixels[y0:y1, x0:x1]
        here += (ink.colour - here) * alpha[..., None]
        if meant:
            np.maximum(self.ink[y0:y1, x0:x1], part, out=self.ink[y0:y1, x0:x1])

    def crop(self, left: float, top: float, right: float, bottom: float) -> None:
        """Keep what lies within, in pixels, as far as there is a picture."""
        x0, y0 = max(0, round(left)), max(0, round(top))
        x1 = max(x0 + 2, min(self.width, round(right)))
        y1 = max(y0 + 2, min(self.height, round(bottom)))
        self.pixels = np.ascontiguousarray(self.pixels[y0:y1, x0:x1])
        self.ink = np.ascontiguousarray(self.ink[y0:y1, x0:x1])

    def resize(self, width: int, height: int, interpolation: int | None = None) -> None:
        """Resample to (height, width), by area where the picture shrinks unless said otherwise."""
        size = (max(2, width), max(2, height))
        if interpolation is None:
            shrinks = size[0] < self.width
            interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        self.pixels = cv2.resize(self.pixels, size, interpolation=interpolation)
        ink: np.ndarray = cv2.resize(self.ink, size, interpolation=interpolation)
        self.ink = np.clip(ink, 0, 1)

    def box(self) -> tuple[int, int, int, int]:
        """Return left, top, right, bottom of the ink meant; of the whole sheet without any."""
        x, y, w, h = cv2.boundingRect((self.ink > 0.25).astype(np.uint8))
        return (x, y, x + w, y + h) if w else (0, 0, self.width, self.height)

    def to_scene(self, rng: Rng, answer: str, grey: float = 0.35) -> Scene:
        """Finish the picture, in grey levels for a share `grey` of them."""
        pixels = np.clip(self.pixels + 0.5, 0, 255).astype(np.uint8)
        if rng.random() < grey:
            pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        ink = np.clip(self.ink, 0, 1)  # resampling may overshoot by a rounding error
        return Scene(pixels, ink if answer.isdigit() else None, answer)
