"""What a picture of a number is read as.

Each picture is one line of ink.  First its pieces are taken for digits as they are, as they are in
most numbers; only where that does not convince, the pieces are cut wherever digits may touch, all
that may be a digit is judged and read, and the best path through it is taken.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from digit_classification.network.choice import choose
from digit_classification.network.judge import Judge, ReadingNetwork
from digit_classification.network.numbers.boxes import RowReading, read_row, seen_on_line
from digit_classification.network.numbers.lattice import Edge
from digit_classification.network.numbers.pairs import best_cut
from digit_classification.network.numbers.signs import is_speck
from digit_classification.network.numbers.ways import (
    Way,
    cut_where_doubtful,
    find_ways,
    in_other_ink_where_hopeless,
    look_elsewhere_where_hopeless,
)
from digit_classification.pictures.images import Invert
from digit_classification.pictures.images.quantiles import median
from digit_classification.pictures.numbers import look_elsewhere, see, see_other_ink
from digit_classification.pictures.numbers.candidates import candidate
from digit_classification.pictures.numbers.line import PRINTED
from digit_classification.pictures.numbers.pairs import middle_of
from digit_classification.pictures.numbers.spans import Spans
from digit_classification.pictures.proposals import propose
from digit_classification.pictures.row import Box, find_row

NO_NUMBER = "no number"
_CONVINCING = 0.85  # the confidence of a number with which no unseen boxes are looked for
_BOXES = 0.2  # times what a number is read with: boxes that are found speak for what they hold
# The confidence below which a picture is read as one of a single digit, too: in which two signs are
# read side by side, and in which one is, or two that lie above each other, as strokes of a 4 do.
_DOUBTFUL, _DOUBTFUL_AS_ONE = 0.8, 0.9
_ABOVE = 0.4  # of the narrower one's width: what two such signs have in common
_FEW = 2  # signs: a picture in which more are read hardly shows one
_ALONE = 0.5  # the least confidence with which that is believed
_SURE = 0.9  # of a digit that is read without boxes: such a one is no side of a box,
_LIKELY = 0.5  # likewise: what leaves out such digits must convince more, or is not believed
_MANY = 3  # ones: so many are looked at for the sides of boxes
_BESIDE = 0.1  # unless it is no further from one, in widths of a box
# Of the most probable sign, if it is the only one, and of several: if none is more so, there is no
# number.
_LEAST, _LEAST_OF_SEVERAL = 0.02, 0.3
_LEAST_OF_ALL = 0.02  # likewise, the confidence of a number


@dataclass(frozen=True)
class NumberDigit:
    """One sign of a number."""

    text: str  # "0".."9", "-", "," or "."
    box: tuple[float, float, float, float]  # left, top, width, height in shares of the picture
    confidence: float  # 0..1
    probabilities: tuple[float, ...] | None  # ten, of a digit; None of another sign
    image: np.ndarray | None  # (28, 28) uint8 as the network saw it; None of another sign


@dataclass(frozen=True)
class NumberReading:
    text: str | None  # "47", "-3", "12,5"; None where there is no number
    confidence: float | None  # that every sign of it is right, calibrated
    digits: tuple[NumberDigit, ...]
    rejection: str | None  # "blank image", "found 3 lines", "no number", ...
    left_out: tuple[str, ...]  # in words, what was seen and is neither digit nor sign


def read_numbers(
    greys: Sequence[np.ndarray],
    invert: Invert,
    network: ReadingNetwork,
    judge: Judge | None,
    constraint: str | None = None,
    *,
    in_boxes: bool = True,
) -> list[NumberReading]:
    """Read the number that each grey picture, (h, w) uint8, shows.

    Args:
        greys: the pictures.
        invert: whether their ink is darker than the paper, as of `images.normalize`.
        network: reads digits.
        judge: says how far a candidate shows one whole digit; None believes each of them.
        constraint: a regular expression that the whole text must fit: the best reading that does
            is taken.
        in_boxes: whether there may be a box around each digit.
    """
    fits = None if constraint is None else re.compile(constraint)
    ways = find_ways([see(grey, invert) for grey in greys], network, judge, fits)
    ways = cut_where_doubtful(ways, network, judge, fits)
    if invert == "auto":
        others = [functools.partial(see_other_ink, grey) for grey in greys]
        ways = in_other_ink_where_hopeless(ways, others, network, judge, fits)
    again = None if judge is None else _Again(invert, network, judge, fits)
    readings: list[NumberReading | None] = [None] * len(greys)
    if again is not None and in_boxes:
        readings = [*map(again.box_by_box, ways, greys)]
    rest = [i for i, reading in enumerate(readings) if reading is None]
    parts = [functools.partial(look_elsewhere, greys[i], invert) for i in rest]
    found = look_elsewhere_where_hopeless([ways[i] for i in rest], parts, network, judge, fits)
    for i, way in zip(rest, found, strict=True):
        reading = _reading(way, greys[i].shape, constraint)
        readings[i] = reading if again is None else again.as_one_digit(reading, greys[i])
    return [reading for reading in readings if reading is not None]


def first_impressions(
    greys: Sequence[np.ndarray],
    invert: Invert,
    network: ReadingNetwork,
    judge: Judge | None,
    constraint: str | None = None,
) -> list[float]:
    """Return how sure each reading would be, 0 to 1, without a second look at any picture.

    A fraction of the time of `read_numbers`, whose arguments it takes, where most are no numbers.
    """
    fits = None if constraint is None else re.compile(constraint)
    firsts = [see(grey, invert) for grey in greys]
    return [way.confidence for way in find_ways(firsts, network, judge, fits)]


@dataclass(frozen=True)
class _Again:
    """Reads a picture in another way, where what was read of its line does not convince."""

    invert: Invert
    network: ReadingNetwork
    judge: Judge
    fits: re.Pattern[str] | None

    def box_by_box(self, way: Way, grey: np.ndarray) -> NumberReading | None:
        """Read a number in boxes box by box; None if it is in none, or as a line convinces more."""
        line = way.seen.line
        if way.confidence > _CONVINCING and not _may_hide_boxes(way):
            return None
        boxes = find_row(grey, self.invert, line is not None and line.dark_ink)
        if not boxes:
            return None
        reading = _reading(way, grey.shape, None)
        if _contradicts(reading, boxes):
            return None
        on_line = seen_on_line(way, boxes, grey.shape)
        row = read_row(boxes, on_line, self.network, self.judge, self.fits)
        if row is None:
            return None
        leaves_out = len(row.text) < len(_apart_from_sides(reading, boxes, _LIKELY))
        if row.confidence < (1 if leaves_out else _BOXES) * way.confidence:
            return None
        return _row_reading(row)

    def as_one_digit(self, reading: NumberReading, grey: np.ndarray) -> NumberReading:
        """Read a doubtful picture as one of a single digit is read, if that convinces more."""
        confidence = reading.confidence or 0.0
        least = _DOUBTFUL_AS_ONE if _seems_one(reading) else _DOUBTFUL
        if confidence > least or len(reading.digits) > _FEW or _has_sign(reading):
            return reading
        looks = propose(grey, self.invert)
        [choice] = choose([next(looks)[0]], [looks], self.network, self.judge)
        text = str(choice.probabilities.argmax())
        if choice.rejection or (self.fits is not None and not self.fits.fullmatch(text)):
            return reading
        if choice.confidence < max(_ALONE, confidence):
            return reading
        proposal = choice.proposal
        if _leaves_out(proposal.box, reading):
            return reading
        probabilities = tuple(choice.probabilities.tolist())
        digit = NumberDigit(text, proposal.box, choice.confidence, probabilities, proposal.digit)
        return NumberReading(text, choice.confidence, (digit,), None, proposal.left_out)


def _seems_one(reading: NumberReading) -> bool:
    """Whether one sign is read, or two of which one is above the other."""
    if len(reading.digits) != 2:
        return len(reading.digits) == 1
    (left, _, width, _), (other, _, other_width, _) = (digit.box for digit in reading.digits)
    shared = min(left + width, other + other_width) - max(left, other)
    return shared > _ABOVE * min(width, other_width)


def _leaves_out(box: tuple[float, float, float, float], reading: NumberReading) -> bool:
    """Whether the middle of a likely digit is beside a box."""
    left, _, width, _ = box
    middles = [d.box[0] + d.box[2] / 2 for d in reading.digits if d.confidence > _LIKELY]
    return any(not left <= middle <= left + width for middle in middles)


def _has_sign(reading: NumberReading) -> bool:
    """Whether a minus, a comma or a point is read, which one digit alone would leave out."""
    return any(digit.probabilities is None for digit in reading.digits)


def _may_hide_boxes(way: Way) -> bool:
    """Whether a line that convinces may be in boxes: for lines were left out, or for many ones."""
    ones = way.paths[0].text.count("1") if way.paths else 0
    return way.seen.line is None or bool(way.seen.line.left_out) or ones >= _MANY


def _apart_from_sides(reading: NumberReading, boxes: Sequence[Box], least: float) -> list[float]:
    """Return the middles of what is read with more confidence, and is no side of a box."""
    sides = np.array([(box.left, box.right) for box in boxes])
    near = _BESIDE * median(sides[:, 1] - sides[:, 0])
    middles = []
    for digit in reading.digits:
        left, _, width, _ = digit.box
        # A side is read as a 1, or as part of what it touches.
        reach = near + width / 2 if digit.text == "1" else near
        if digit.confidence > least and abs(sides - left - width / 2).min() > reach:
            middles.append(left + width / 2)
    return middles


def _contradicts(reading: NumberReading, boxes: Sequence[Box]) -> bool:
    """Whether there are digits outside of boxes, or two in one."""
    middles = _apart_from_sides(reading, boxes, _SURE)
    held = [sum(box.left <= middle <= box.right for middle in middles) for box in boxes]
    return max(held) > 1 or sum(held) < len(middles)


def _row_reading(row: RowReading) -> NumberReading:
    digits = tuple(
        NumberDigit(text, box.place, certain, tuple(probabilities.tolist()), image)
        for text, box, certain, probabilities, image in zip(
            row.text, row.boxes, row.certain, row.probabilities, row.images, strict=True
        )
    )
    return NumberReading(row.text, row.confidence, digits, None, (PRINTED,))


def _reading(way: Way, shape: tuple[int, ...], constraint: str | None) -> NumberReading:
    """Return what a way through a picture of this shape says."""
    seen = way.seen
    words = () if seen.line is None else seen.line.left_out
    if not way.paths:
        unfit = NO_NUMBER if constraint is None else f"no number that fits {constraint}"
        return NumberReading(None, None, (), seen.said or unfit, words)
    path = way.paths[0]
    signs = [edge for edge in path.edges if edge.text]
    least = _LEAST if len(signs) == 1 else _LEAST_OF_SEVERAL
    if max(edge.probability for edge in signs) < least or way.confidence < _LEAST_OF_ALL:
        return NumberReading(None, None, (), NO_NUMBER, words)
    assert seen.line is not None
    digits: list[NumberDigit] = []
    for edge in signs:
        if edge.pair >= 0:
            digits += _two_digits(way, edge, shape)
            continue
        box = seen.box_of(edge.first, edge.last, shape)
        probabilities, image = None, None
        if edge.candidate >= 0:
            probabilities = tuple(way.scores.probabilities[edge.candidate].tolist())
            image = seen.candidates[edge.candidate].proposal.digit
        digits.append(NumberDigit(edge.text, box, edge.probability, probabilities, image))
    passed = [
        edge
        for edge in path.edges
        if not edge.text and not is_speck(seen.line, seen.segments, edge.first)
    ]
    if passed:
        words = (*words, "a mark" if len(passed) == 1 else f"{len(passed)} marks")
    return NumberReading(path.text, way.confidence, tuple(digits), None, words)


def _two_digits(way: Way, edge: Edge, shape: tuple[int, ...]) -> list[NumberDigit]:
    """Return the digits of a pair that was read at once, each where a cut has it."""
    seen, scores = way.seen, way.scores.pairs
    assert seen.line is not None
    assert scores is not None
    pair = seen.pairs[edge.pair]
    cut = best_cut(pair, seen.candidates, way.scores.whole)
    if cut is None:
        cut = middle_of(seen.segments, pair)
    both, spans = float(scores.both[edge.pair]), Spans(seen.line, seen.segments)
    halves = (pair.first, cut, scores.left), (cut, pair.last, scores.right)
    digits = []
    for text, (first, last, read) in zip(edge.text, halves, strict=True):
        own = read[edge.pair].tolist()
        alone = candidate(spans, first, last)
        image = None if alone is None else alone.proposal.digit
        box = seen.box_of(first, last, shape)
        digits.append(NumberDigit(text, box, both * own[int(text)], tuple(own), image))
    return digits
