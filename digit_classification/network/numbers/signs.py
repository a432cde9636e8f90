"""Minus, comma and point as edges, and what passing over a mark costs."""

from __future__ import annotations

import math

from digit_classification.network.numbers.lattice import Edge
from digit_classification.pictures.numbers.line import PRINTED, Line
from digit_classification.pictures.numbers.segments import Segments
from digit_classification.pictures.numbers.signs import sign_of

_SPECK = 0.15  # of a digit's height: a mark that is smaller says nothing
_LARGE = 0.5  # of a digit's height: a mark so large was hardly made by accident
# That a mark in the place and of the size of a sign is that sign, and if it is small enough for a
# speck: as often as it is among numbers drawn of training digits.
_SIGN: dict[str, tuple[float, float]] = {"-": (0.98, 0.9), ",": (0.93, 0.75), ".": (0.8, 0.6)}
_BESIDE_LINES = 0.3  # of a comma or a point where printed lines were: rests of those look like it
_PASSED = (math.log(0.6), math.log(3e-4))  # a mark of no size, and one as large as a digit


def sign_edges(line: Line, segments: Segments) -> list[Edge]:
    """Return what single segments may be beside digits: signs, and marks to pass over."""
    edges = []
    for index in range(len(segments)):
        whole = segments.piece_counts[segments.pieces[index]] == 1
        weight = passed(line, segments, index) if whole else _PASSED[1]
        edges.append(Edge(index, index + 1, "", weight, math.exp(weight)))
        sign = sign_of(line, segments.boxes[index]) if whole else ""
        if sign:
            probability = _SIGN[sign][is_speck(line, segments, index)]
            if sign != "-" and PRINTED in line.left_out:
                probability = _BESIDE_LINES
            odds = math.log(probability / (1 - probability))
            edges.append(Edge(index, index + 1, sign, odds, probability))
    return edges


def is_speck(line: Line, segments: Segments, index: int) -> bool:
    """Whether a segment is too small to be told of."""
    return max(segments.boxes[index][2:]) < _SPECK * line.height


def passed(line: Line, segments: Segments, index: int) -> float:
    """Return the logarithm of how probable it is that a segment means nothing."""
    share = min(1.0, max(segments.boxes[index][2:]) / line.height)
    return _PASSED[0] + share * (_PASSED[1] - _PASSED[0])
