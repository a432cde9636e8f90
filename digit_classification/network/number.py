"""What a picture of a number is read as.

Each picture is one line of ink.  First its pieces are taken for digits as they are, as they are in
most numbers; only where that does not convince, the pieces are cut wherever digits may touch, all
that may be a digit is judged and read, and the best path through it is taken.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from digit_classification.network.judge import Judge, ReadingNetwork
from digit_classification.network.numbers.lattice import Path, best_paths
from digit_classification.network.numbers.scoring import Scores, digit_edges, score
from digit_classification.network.numbers.signs import is_speck, sign_edges
from digit_classification.pictures.images import Invert
from digit_classification.pictures.numbers import Seen, look_further, see

NO_NUMBER = "no number"
UNFIT = "nothing that fits the constraint"
LINES = re.compile(r"found \d+ lines")

_MOST = 8  # paths that are kept
_MOST_CONSTRAINED = 60
_LEAST = np.log(1e-3)  # of a sign, on the average: what is less probable is no number
_CONVINCING = 0.9  # of the least sure sign of what is read without a look at cuts


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


@dataclass(frozen=True)
class _Way:
    """The paths through what is seen of a picture, and what they go through."""

    seen: Seen
    scores: Scores
    paths: list[Path]

    @property
    def weight(self) -> float:
        return self.paths[0].weight if self.paths else -np.inf


def read_numbers(
    greys: Sequence[np.ndarray],
    invert: Invert,
    network: ReadingNetwork,
    judge: Judge | None,
    constraint: str | None = None,
) -> list[NumberReading]:
    """Read the number that each grey picture, (h, w) uint8, shows.

    Args:
        greys: the pictures.
        invert: whether their ink is darker than the paper, as of `images.normalize`.
        network: reads digits.
        judge: says how far a candidate shows one whole digit; None believes each of them.
        constraint: a regular expression that the whole text must fit: the best reading that does
            is taken.
    """
    fits = None if constraint is None else re.compile(constraint)
    firsts = [see(grey, invert) for grey in greys]
    ways: list[_Way] = _ways(firsts, network, judge, fits)
    doubtful = [i for i, way in enumerate(ways) if not _convinces(way, fits)]
    further = [look_further(greys[i], invert, firsts[i]) for i in doubtful]
    others = _ways([each for some in further for each in some], network, judge, fits)
    position = 0
    for i, some in zip(doubtful, further, strict=True):
        mine = others[position : position + len(some)]
        position += len(some)
        ways[i] = max([ways[i], *mine], key=lambda way: way.weight)
    return [_reading(way, grey.shape, fits) for way, grey in zip(ways, greys, strict=True)]


def _ways(
    seen: Sequence[Seen],
    network: ReadingNetwork,
    judge: Judge | None,
    fits: re.Pattern[str] | None,
) -> list[_Way]:
    """Read and judge all candidates at once, and find the paths of each view."""
    scores = score([each for view in seen for each in view.candidates], network, judge)
    ways, start = [], 0
    for view in seen:
        end = start + len(view.candidates)
        own = scores[start:end]
        start = end
        paths: list[Path] = []
        if view.line is not None:
            edges = digit_edges(view.candidates, own) + sign_edges(view.line, view.segments)
            most = _MOST if fits is None else _MOST_CONSTRAINED
            paths = best_paths(edges, len(view.segments), most)
            if fits is not None:
                paths = [path for path in paths if fits.fullmatch(path.text)]
        ways.append(_Way(view, own, paths))
    return ways


def _convinces(way: _Way, fits: re.Pattern[str] | None) -> bool:
    """Whether the pieces as they are leave no doubt."""
    if not way.paths:
        return way.seen.said is not None and fits is not None and False
    best = way.paths[0]
    if not way.seen.tidy or any(not edge.text and edge.weight < -1.5 for edge in best.edges):
        return False
    return all(edge.weight > np.log(_CONVINCING) for edge in best.edges if edge.text)


def _reading(way: _Way, shape: tuple[int, ...], fits: re.Pattern[str] | None) -> NumberReading:
    seen = way.seen
    words = () if seen.line is None else seen.line.left_out
    if not way.paths:
        said = seen.said or (NO_NUMBER if fits is None else UNFIT)
        return NumberReading(None, None, (), said, words)
    path = way.paths[0]
    signs = [edge for edge in path.edges if edge.text]
    if path.weight < _LEAST * len(signs):
        return NumberReading(None, None, (), NO_NUMBER, words)
    assert seen.line is not None
    digits = []
    for edge in signs:
        box = seen.box_of(edge.first, edge.last, shape)
        probabilities, image = None, None
        if edge.candidate >= 0:
            probabilities = tuple(way.scores.probabilities[edge.candidate].tolist())
            image = seen.candidates[edge.candidate].proposal.digit
        digits.append(NumberDigit(edge.text, box, float(np.exp(edge.weight)), probabilities, image))
    passed = [
        edge
        for edge in path.edges
        if not edge.text and not is_speck(seen.line, seen.segments, edge.first)
    ]
    if passed:
        words = (*words, "a mark" if len(passed) == 1 else f"{len(passed)} marks")
    return NumberReading(path.text, float(np.exp(path.weight)), tuple(digits), None, words)
