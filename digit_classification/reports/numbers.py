"""Numbers on the review page: their signs as its program and the trainer take them."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from digit_classification.results.records import Result

LONGEST = 9  # digits; longer numbers are counted with those of this length


def length_of(number: str) -> int:
    """The number's digits, without its signs; at most LONGEST."""
    return min(LONGEST, sum(sign.isdecimal() for sign in number))


def signs_item(result: Result) -> list[list[object]]:
    """Return each sign as the page's program expects it: its text, box and confidence."""
    return [
        [
            sign.text,
            *(round(share, 4) for share in (sign.left, sign.top, sign.width, sign.height)),
            round(sign.confidence, 4),
        ]
        for sign in result.digits
    ]


def as_pngs(result: Result, digits: np.ndarray) -> list[str | None]:
    """Return what the network saw of each sign as a PNG in base64; None for one that is no digit.

    `digits` are (n, 28, 28) uint8, in order.  A browser could not take them out of a sheet of
    pictures exactly: some change the pixels that a page reads, so as not to be known again.
    """
    left = iter(digits)
    return [
        _png(image)
        if sign.probabilities is not None and (image := next(left, None)) is not None
        else None
        for sign in result.digits
    ]


def _png(pixels: np.ndarray) -> str:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", optimize=True)
    return base64.b64encode(stream.getvalue()).decode()
