"""Numbers on the review page, and the cells that they stand in, as its program takes them."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from PIL import Image

from digit_classification.results.records import Result

Box: TypeAlias = tuple[float, float, float, float]  # left, top, width, height

LONGEST = 9  # digits; longer numbers are counted with those of this length


def length_of(number: str) -> int:
    """The number's digits, without its signs; at most LONGEST."""
    return min(LONGEST, sum(sign.isdecimal() for sign in number))


def signs_item(result: Result, boxes: Sequence[Box] = ()) -> list[list[object]]:
    """Return each sign as the page's program expects it: its text, box and confidence.

    The boxes are those that are stored, or others, if the picture is of a part only.
    """
    stored = [(sign.left, sign.top, sign.width, sign.height) for sign in result.digits]
    return [
        [sign.text, *_rounded(box), round(sign.confidence, 4)]
        for sign, box in zip(result.digits, boxes or stored, strict=True)
    ]


def cell_item(result: Result, boxes: Sequence[Box]) -> list[object] | None:
    """Return where a result stands as the page's program expects it; None if in no cell.

    That is the page, the cell's number, its row and column, the name of its field, and its box on
    its picture.
    """
    cell = result.cell
    if cell is None:
        return None
    box = _rounded(boxes[0]) if boxes else []
    return [cell.page, cell.number, cell.row, cell.column, cell.field, box]


def _rounded(box: Box) -> list[float]:
    return [round(share, 4) for share in box]


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
