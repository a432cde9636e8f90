"""Minus, comma and point, told by their size and place; and what passing over a mark costs."""

from __future__ import annotations

import math

from digit_classification.network.numbers.lattice import MINUS, Edge
from digit_classification.pictures.numbers.line import Line
from digit_classification.pictures.numbers.segments import Segments

_SPECK = 0.15  # of a digit's height: a mark that is smaller says nothing
_LARGE = 0.5  # of a digit's height: a mark so large was hardly made by accident
_SIGN = 0.9  # that a mark in the place and of the size of a sign is one
_PASSED = (math.log(0.6), math.log(3e-4))  # a mark of no size, and one as large as a digit


def sign_edges(line: Line, segments: Segments) -> list[Edge]:
    """Return what single segments may be beside digits: signs, and marks to pass over."""
    edges = []
    for index in range(len(segments)):
        whole = segments.piece_counts[segments.pieces[index]] == 1
        weight = passed(line, segments, index) if whole else _PASSED[1]
        edges.append(Edge(index, index + 1, "", weight, math.exp(weight)))
        sign = _sign(line, segments, index) if whole else ""
        if sign:
            odds = math.log(_SIGN / (1 - _SIGN))
            edges.append(Edge(index, index + 1, sign, odds, _SIGN))
    return edges


def is_speck(line: Line, segments: Segments, index: int) -> bool:
    """Whether a segment is too small to be told of."""
    return bool(segments.boxes[index, 2:].max() < _SPECK * line.height)


def passed(line: Line, segments: Segments, index: int) -> float:
    """Return the logarithm of how probable it is that a segment means nothing."""
    share = min(1.0, float(segments.boxes[index, 2:].max()) / line.height)
    return _PASSED[0] + share * (_PASSED[1] - _PASSED[0])


def _sign(line: Line, segments: Segments, index: int) -> str:
    """Return the sign that a segment has the size and the place of, or nothing."""
    _, y, width, height = (float(a) for a in segments.boxes[index])
    unit = line.height
    middle = (y + height / 2 - line.top) / unit
    flat = width > 1.4 * height and height < 0.32 * unit
    if flat and 0.18 < width / unit < 0.9 and 0.25 < middle < 0.78:
        return MINUS
    if max(width, height) > 0.45 * unit or middle < 0.72:
        return ""
    foot = (y + height - line.top) / unit
    if height > 1.15 * width and height > 0.14 * unit and foot > 1.05:
        return ","
    if height > 1.5 * width and height > 0.2 * unit:
        return ","
    return "." if max(width, height) < 0.32 * unit and middle < 1.2 else ""
