"""Ruled lines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_BORDER = 0.02  # of the width: a line that ends so near the border goes on beyond it


@dataclass(frozen=True)
class Line:
    """A line that lies level; one that is upright has its axes changed for each other.

    Attributes:
        start: the column in which it begins.
        rows: (n,) float64, where it is in that column and the ones after it.
        thickness: pixels.
    """

    start: int
    rows: np.ndarray
    thickness: int

    @property
    def end(self) -> int:
        """The column after its last."""
        return self.start + len(self.rows)

    def at(self, column: float) -> float:
        """Return its row in a column; it goes on beyond its ends as it begins and ends there."""
        place = round(column) - self.start
        return float(self.rows[min(max(place, 0), len(self.rows) - 1)])

    def goes_across(self, width: int) -> bool:
        """Whether it goes from border to border of a picture so wide, as those of paper do."""
        room = _BORDER * width + 2
        return self.start <= room and self.end >= width - room

    def cut(self, start: int, end: int) -> Line:
        """Return what of it lies from one column up to another, drawn out where it is shorter."""
        columns = np.clip(np.arange(start, end) - self.start, 0, len(self.rows) - 1)
        return Line(start, self.rows[columns], self.thickness)


@dataclass(frozen=True)
class Ruling:
    """The lines of a page; of the upright ones rows and columns are changed for each other."""

    level: tuple[Line, ...]
    upright: tuple[Line, ...]


def upright(first: int, last: int, top: int, bottom: int, room: int) -> Line:
    """Return an upright line between two columns and two rows, and so much longer at either end."""
    start = max(0, top - room)
    length = bottom + room - start
    return Line(start, np.full(length, (first + last) / 2), max(1, last - first))
