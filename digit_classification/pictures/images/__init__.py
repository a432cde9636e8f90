"""Any picture of one handwritten digit -> one 28x28 digit in MNIST's convention.

Training and detection both see pictures through :func:`normalize`, so that the two cannot drift
apart.  It works in seven steps, each with a module here (`grey`, `ready`, `polarity`, `ink`,
`strokes`, `width`, `place`):

1. *Read*: decode (JPEG at reduced scale), turn by EXIF, lay transparent pixels on a paper that
   contrasts with the ink, and make grey what differs in lightness, or else in colour.
2. *Know a digit that is ready*: 28x28, light on dark, in its 20-pixel box, about its centre of
   mass. Only its slant is removed, as in step 7, and of many such digits at a time.
3. *Polarity*: the paper is most of the picture, or else holds its border and its corners, and is
   in more pieces than the ink.
4. *Ink*: how much darker (lighter) than the paper around it each pixel is. A morphological
   closing with a window wider than any stroke gives the paper, with its light and its shadows.
5. *Strokes*: a threshold at half the ink's own strength, with hysteresis; ruled lines, frames,
   border shadows and specks are dropped, the pieces of a broken digit kept.  A small digit in
   a large picture is looked at a second time, from close by.
6. *Stroke width* is brought into the range that MNIST's digits have.
7. *Place*: slant removed (shear by the second moments), the longer side 20 pixels, the centre of
   mass in the middle of 28x28 (LeCun et al. 1998, section III.A).

A picture that shows no single digit is rejected on the way, with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from digit_classification.pictures.decode import DEFAULT_LIMITS, Limits, Picture, decode
from digit_classification.pictures.decode import ImageError as ImageError
from digit_classification.pictures.images.convention import BOX as BOX
from digit_classification.pictures.images.convention import SIDE as SIDE
from digit_classification.pictures.images.convention import WORK
from digit_classification.pictures.images.grey import grey_from_array as grey_from_array
from digit_classification.pictures.images.grey import reduce
from digit_classification.pictures.images.grey import thumbnail as thumbnail
from digit_classification.pictures.images.place import place_digit
from digit_classification.pictures.images.polarity import has_dark_ink as looks_dark
from digit_classification.pictures.images.ready import STACK, place_ready
from digit_classification.pictures.images.strokes import BLANK as BLANK
from digit_classification.pictures.images.strokes import cut_out, find_digit
from digit_classification.pictures.images.width import with_usual_width

PREPARATION = {"version": 3, "side": SIDE, "box": BOX, "deslant": True}
Invert = Literal["auto", "always", "never"]


@dataclass(frozen=True)
class Normalized:
    """A picture as the network sees it.

    Attributes:
        digit: (28, 28) uint8, light ink on dark, MNIST's convention.
        rejection: why this is not exactly one digit ('blank image', 'found 3 digits', ...),
            or None where it may be one.
    """

    digit: np.ndarray
    rejection: str | None


def normalize(
    source: Picture, *, invert: Invert = "auto", limits: Limits = DEFAULT_LIMITS
) -> Normalized:
    """Bring a picture of one digit to MNIST's convention.

    Args:
        source: a path, the bytes of a file, a binary file, a Pillow image, or an array of shape
            (h, w) or (h, w, 3 or 4), uint8, uint16, bool, or float in 0..1.
        invert: whether the ink is darker than its paper: 'auto' finds out, 'always' says yes,
            'never' says no.
        limits: which files are opened; larger pictures are refused.

    Raises:
        ImageError: the picture cannot be read.
    """
    grey = grey_from_array(decode(source, limits).pixels)
    if grey.shape == (SIDE, SIDE):
        return normalize_small([grey], invert=invert)[0]
    return _normalize_grey(grey, invert)


def is_small(pixels: np.ndarray) -> bool:
    """Whether a decoded picture is one for `normalize_small`."""
    return pixels.shape == (SIDE, SIDE) and pixels.dtype == np.uint8


def normalize_small(pictures: Sequence[np.ndarray], *, invert: Invert = "auto") -> list[Normalized]:
    """Bring pictures of (28, 28) uint8 to MNIST's convention, as `normalize` does with each.

    Those that follow it already, as MNIST's own do, are placed together, which takes a third of
    the time.
    """
    return [
        _normalize_grey(grey, invert) if digit is None else Normalized(digit, None)
        for grey, digit in zip(pictures, normalize_ready(pictures, invert), strict=True)
    ]


def normalize_ready(
    pictures: Sequence[np.ndarray], invert: Invert = "auto"
) -> list[np.ndarray | None]:
    """Take out the slant of those (28, 28) uint8 pictures that follow MNIST's convention already.

    Returns each of them, (28, 28) uint8, or None for one that does not.
    """
    if invert == "always":
        return [None] * len(pictures)
    placed: list[np.ndarray | None] = []
    for start in range(0, len(pictures), STACK):
        ready, digits = place_ready(np.stack(pictures[start : start + STACK]))
        placed += [digits[i] if ready[i] else None for i in range(len(ready))]
    return placed


def has_dark_ink(grey: np.ndarray, invert: Invert) -> bool:
    """Whether the ink of a grey picture, (h, w) uint8, is darker than its paper, or said to be."""
    return invert == "always" or (invert == "auto" and looks_dark(reduce(grey, WORK)))


def _normalize_grey(grey: np.ndarray, invert: Invert) -> Normalized:
    """Take a grey picture, (h, w) uint8, through the steps 3 to 7."""
    work = reduce(grey, WORK)
    found = find_digit(grey, work, has_dark_ink(work, invert))
    if found is None:
        return Normalized(np.zeros((SIDE, SIDE), np.uint8), BLANK)
    return Normalized(strokes_to_digit(cut_out(found.marks, found.digit)), found.rejection)


def strokes_to_digit(strokes: np.ndarray) -> np.ndarray:
    """Take strokes that were cut out, (h, w) uint8, through the steps 6 and 7."""
    return place_digit(with_usual_width(strokes))
