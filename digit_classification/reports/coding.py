"""What the program of the review page is given: pictures, numbers and cells, as it takes them."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from typing import TypeAlias

import cv2
import numpy as np
from PIL import Image

from digit_classification.results.records import Result

Box: TypeAlias = tuple[float, float, float, float]  # left, top, width, height

COLUMNS = 8  # pictures beside each other on a sheet
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


def tile(pictures: Sequence[np.ndarray], cell: int) -> np.ndarray:
    """Return the pictures in rows of COLUMNS, each in the top left of a square cell.

    A picture's border goes on to the edge of its cell: a sharp edge would shine into it.
    """
    padded = [
        cv2.copyMakeBorder(
            picture, 0, cell - picture.shape[0], 0, cell - picture.shape[1], cv2.BORDER_REPLICATE
        )
        for picture in pictures
    ]
    padded += [np.zeros_like(padded[0])] * (-len(padded) % COLUMNS)
    rows = [np.concatenate(padded[i : i + COLUMNS], 1) for i in range(0, len(padded), COLUMNS)]
    return np.concatenate(rows)


def data_url(pixels: np.ndarray, format_name: str, **options: int) -> str:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format_name, **options)
    content = base64.b64encode(stream.getvalue()).decode()
    return f"data:image/{format_name.lower()};base64,{content}"


def script_json(value: object) -> str:
    r"""Return JSON for a script element: ASCII, with no character that means something in HTML.

    `</script>` and `<!--` in a file name would end the element, or keep it from ending.
    """
    text = json.dumps(value, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
