"""What a piece of ink may be beside digits: minus, comma or point, told by its size and place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from digit_classification.pictures.numbers.line import Line

Sign = Literal["-", ",", ".", ""]

_ROUND = 0.6  # the shorter side of the longer: a dot is as wide as it is high
_DOT = (0.07, 0.28)  # of the line's height: how large a dot is
_FOOT = (0.85, 1.15)  # of the line's height: where the middle of a dot is


def sign_of(line: Line, box: Sequence[float]) -> Sign:
    """Return the sign that a piece has the size and the place of, or nothing.

    Args:
        line: the line.
        box: left, top, width and height of the piece.
    """
    _, y, width, height = box
    unit = line.height
    middle = (y + height / 2 - line.top) / unit
    flat = width > 1.4 * height and height < 0.32 * unit
    if flat and 0.18 < width / unit < 0.9 and 0.25 < middle < 0.78:
        return "-"
    if max(width, height) > 0.45 * unit or middle < 0.72:
        return ""
    foot = (y + height - line.top) / unit
    if height > 1.15 * width and height > 0.14 * unit and foot > 1.05:
        return ","
    if height > 1.5 * width and height > 0.2 * unit:
        return ","
    return "." if max(width, height) < 0.32 * unit and middle < 1.2 else ""


def is_dot(line: Line, box: Sequence[float]) -> bool:
    """Whether a piece is small, round and on the base line: hardly a part of a digit."""
    _, y, width, height = box
    size, middle = max(width, height) / line.height, (y + height / 2 - line.top) / line.height
    is_round = min(width, height) > _ROUND * max(width, height)
    return is_round and _DOT[0] < size < _DOT[1] and _FOOT[0] < middle < _FOOT[1]
