"""The book of styles: every form of a digit, read from `digits/` and checked.

A file for each digit lists its styles.  A style's strokes are lists of the points that the pen
passes, smoothly, parted by commas:

    0 0.25 ~0.08, top=0.3 0 !, 0.3 1 >0.1

A point is its place, x and y in units of the digit's height (y points down, 0 is the top and 1 the
base), followed by what holds there:

    !           the pen turns a corner
    ~0.08       the hand strays by so much: a standard deviation, instead of the style's `stray`;
    ~0.1/0.05   or differently across and down
    <0.1        the pen may begin late, or stop early, by about so much
    >0.1        the pen may begin early, or run on, by about so much

`top=0.3 0` gives a point a name.  A later `top` is the same point, wherever the hand went: that is
how strokes meet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, Field

FOLDER = Path(__file__).parent / "digits"
STRAY = 0.03  # of the height
_NUMBER = r"-?(?:\d+\.?\d*|\.\d+)"
_POINT = re.compile(
    rf"(?:(?P<name>[a-z]+)=)?(?P<x>{_NUMBER}) (?P<y>{_NUMBER})(?P<marks>(?: \S+)*)"
    r"|(?P<again>[a-z]+)(?P<again_marks>(?: \S+)*)"
)
_MARK = re.compile(
    rf"(?P<corner>!)|~(?P<across>{_NUMBER})(?:/(?P<down>{_NUMBER}))?"
    rf"|<(?P<short>{_NUMBER})|>(?P<past>{_NUMBER})"
)

Hand = Literal["careful", "hurried", "any"]


class Point(NamedTuple):
    """A point that the pen passes; lengths in units of the digit's height."""

    x: float
    y: float
    stray_x: float
    stray_y: float
    corner: bool = False
    short: float = 0.0  # how much of the stroke may be missing at this end
    past: float = 0.0  # how far the stroke may go beyond this end
    same_as: int | None = None  # the point of the style, counted from 0, that this one is


@dataclass(frozen=True)
class Style:
    """One form of a digit.

    Attributes:
        digit: 0 to 9.
        name: what tells it from the digit's other forms.
        where: by whom it is written so.
        sources: keys of `read_sources`.
        hand: who writes it so: somebody careful, somebody in a hurry, or any.
        share: how often it is drawn, against the others.
        strokes: the points of each.
        text: the strokes as they are in the book.
    """

    digit: int
    name: str
    where: str
    sources: tuple[str, ...]
    hand: Hand
    share: float
    strokes: tuple[tuple[Point, ...], ...]
    text: tuple[str, ...]

    @property
    def title(self) -> str:
        """The digit and the name, which together occur once."""
        return f"{self.digit} {self.name}"


class _Entry(BaseModel):
    """A style as its file has it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    where: str = Field(min_length=1)
    sources: tuple[str, ...] = Field(min_length=1)
    hand: Hand = "any"
    share: float = Field(1.0, gt=0)
    stray: float = Field(STRAY, ge=0, le=0.2)
    strokes: tuple[str, ...] = Field(min_length=1)


@cache
def read_book() -> tuple[Style, ...]:
    """Return all styles, by digit.

    Raises ValueError (of which pydantic's ValidationError is one) if the book is not as it should.
    """
    return tuple(style for digit in range(10) for style in _read_styles(digit))


@cache
def read_sources() -> dict[str, str]:
    """Return the sources of the book by the keys that styles name them with."""
    sources = yaml.safe_load((FOLDER / "sources.yaml").read_text(encoding="utf-8"))
    return {str(key): str(title) for key, title in sources.items()}


def _read_styles(digit: int) -> Iterator[Style]:
    entries = yaml.safe_load((FOLDER / f"{digit}.yaml").read_text(encoding="utf-8"))
    for entry in map(_Entry.model_validate, entries):
        unknown = set(entry.sources) - set(read_sources())
        if unknown:
            raise ValueError(f"{digit} {entry.name}: no such source: {', '.join(sorted(unknown))}")
        try:
            strokes = read_strokes(entry.strokes, entry.stray)
        except ValueError as error:
            raise ValueError(f"{digit} {entry.name}: {error}") from None
        yield Style(
            digit,
            entry.name,
            entry.where,
            entry.sources,
            entry.hand,
            entry.share,
            strokes,
            entry.strokes,
        )


def read_strokes(texts: tuple[str, ...], stray: float = STRAY) -> tuple[tuple[Point, ...], ...]:
    """Return the points of strokes that are written as the module's docstring says.

    Raises ValueError for what is not written so.
    """
    named: dict[str, tuple[int, Point]] = {}
    strokes: list[tuple[Point, ...]] = []
    number = 0
    for text in texts:
        stroke = []
        for part in text.split(","):
            stroke.append(_read_point(part.strip(), stray, named, number))
            number += 1
        if len(stroke) < 2:
            raise ValueError(f"'{text}' has one point: a stroke has two or more")
        if any(point.short or point.past for point in stroke[1:-1]):
            raise ValueError(f"'{text}' has < or > at a point that is no end of the stroke")
        strokes.append(tuple(stroke))
    return tuple(strokes)


def _read_point(text: str, stray: float, named: dict[str, tuple[int, Point]], number: int) -> Point:
    match = _POINT.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' is no point, such as '0.5 0' or 'top=0.5 0 !'")
    if match["again"] is not None:
        if match["again"] not in named:
            raise ValueError(f"'{text}' names a point that was not given before")
        first, point = named[match["again"]]
        return _marked(
            point._replace(corner=False, short=0.0, past=0.0, same_as=first), match["again_marks"]
        )
    point = _marked(Point(float(match["x"]), float(match["y"]), stray, stray), match["marks"])
    if match["name"] is not None:
        if match["name"] in named:
            raise ValueError(f"'{text}' gives a name that another point has")
        named[match["name"]] = number, point
    return point


def _marked(point: Point, marks: str) -> Point:
    for text in marks.split():
        mark = _MARK.fullmatch(text)
        if mark is None:
            raise ValueError(f"'{text}' is no mark of a point: ! ~ < > are")
        if mark["corner"]:
            point = point._replace(corner=True)
        elif mark["across"]:
            across, down = mark["across"], mark["down"] or mark["across"]
            point = point._replace(stray_x=float(across), stray_y=float(down))
        elif mark["short"]:
            point = point._replace(short=float(mark["short"]))
        else:
            point = point._replace(past=float(mark["past"]))
    return point
