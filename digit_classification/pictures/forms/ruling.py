"""The ruled lines of a page that is level, faint, dashed and broken ones too."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from digit_classification.pictures.forms.cells import find_regions
from digit_classification.pictures.forms.lines import Line, Ruling
from digit_classification.pictures.images.quantiles import median, quantile

_RUN = 41  # pixels over which a line is seen at once
_BESIDE = 7  # pixels beside its middle, where a line is over
_FULL = 100  # of darkness: no line counts more, however black
_FAINTEST = 3.0  # of darkness: less is no line, on the cleanest of papers
_PALE = 0.45  # of the darkest nearby
_SHORTEST = 30  # pixels of a piece of a line
_LONG = 140  # pixels: no stroke of a pen is so straight
_GAP = 130  # pixels: two pieces further apart are two lines
_BRIDGED = 0.6  # of the longer piece's length, likewise
_END_PART = 60  # pixels of a line's end, by which it points further
_STRAY = 5.0  # pixels by which a piece may lie beside where another points
_INKED = 0.5  # of a line's length: less is seen of no line
_SIDES = 8, 9  # pixels from a line's middle, where it is over whatever its thickness
_STEEP = 0.06  # rows a column, of a short one
_CROOKED = 2.5  # pixels from end to end, of a short one
_LIKE_OTHERS = 0.85  # of the share in which lines are printed
_FEW = 3  # lines that are met
_ALL_THE_WAY = 0.93  # of a short one's length
_END = 14  # pixels: an end of a short one
_REACH = 22  # pixels: an end that is so near another line meets it


def find_ruling(darkness: np.ndarray) -> Ruling:
    """Return the lines of a page, (h, w) uint8 as of `Page.darkness`, that cross others."""
    pages = darkness, np.ascontiguousarray(darkness.T)
    lines = [_level_lines(page) for page in pages]
    long = [[line for line in some if len(line.rows) >= _LONG] for some in lines]
    shares = [
        [_printed(page, line) for line in some] for page, some in zip(pages, long, strict=True)
    ]
    usual = median([*shares[0], *shares[1]]) if any(shares) else 1.0
    # Strokes that happen to stand in a line meet few lines, and have gaps that printed ones lack.
    long = [
        [
            line
            for line, share in zip(some, own, strict=True)
            if share > _LIKE_OTHERS * usual or len(_meetings(line, others)) > _FEW
        ]
        for some, own, others in zip(long, shares, long[::-1], strict=True)
    ]
    # What is as short as a pen's stroke is a line only where it is printed all the way from one of
    # these to another, and does not stand in a cell.
    cells = find_regions(_in_touch(*long), darkness).labels
    found = [
        [
            *some,
            *(line for line in each if len(line.rows) < _LONG and _spans(page, line, others, own)),
        ]
        for page, some, each, others, own in zip(
            pages, long, lines, long[::-1], (cells, cells.T), strict=True
        )
    ]
    return _in_touch(*found)


def _in_touch(level: list[Line], upright: list[Line]) -> Ruling:
    """Return the lines that cross others, without the ends that lead nowhere."""
    while True:  # a line that is dropped may have been all that another one crossed
        kept = _crossing(level, upright), _crossing(upright, level)
        if len(kept[0]) == len(level) and len(kept[1]) == len(upright):
            return Ruling(tuple(kept[0]), tuple(kept[1]))
        level, upright = kept


def _spans(darkness: np.ndarray, line: Line, others: list[Line], cells: np.ndarray) -> bool:
    """Whether a line is printed from one of others to another one, outside of cells, (h, w)."""
    middle = (line.start + line.end) // 2
    if cells[min(len(cells) - 1, max(0, round(line.at(middle)))), middle]:
        return False
    slope = (line.rows[-1] - line.rows[0]) / len(line.rows)
    chord = line.rows[0] + slope * np.arange(len(line.rows))
    if abs(slope) > _STEEP or abs(line.rows - chord).max() > _CROOKED:
        return False
    places = _meetings(line, others)
    starts = [place for place in places if abs(place - line.start) < _END]
    ends = [place for place in places if abs(place - line.end) < _END]
    if not starts or not ends or min(starts) >= max(ends):
        return False
    return _printed(darkness, line.cut(min(starts), max(ends) + 1)) > _ALL_THE_WAY


def _printed(darkness: np.ndarray, line: Line) -> float:
    """Return of which share of its length a line is seen."""
    middle = _around(darkness, line.start, line.rows)[8:13].max(axis=0)
    return float(np.mean(middle > 0.45 * max(quantile(middle, 0.7), 2 * _FAINTEST)))


def _level_lines(darkness: np.ndarray) -> list[Line]:
    """Return the lines that lie level."""
    pieces = find_pieces(_ridges(darkness), _SHORTEST)
    pieces = [piece for piece in pieces if _inked(darkness, *straightened(*piece)) > _INKED]
    lines = []
    for columns, rows in joined(pieces):
        start, along = straightened(columns, rows)
        if len(along) > 1.2 * _SHORTEST and _inked(darkness, start, along) > _INKED:
            lines.append(Line(start, along, _thickness(darkness, start, along)))
    return lines


def find_pieces(ridge: np.ndarray, shortest: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the pieces of level lines, columns and the row in each, (n,) both.

    Args:
        ridge: (h, w) uint8, where the middles of lines may be.
        shortest: columns of a piece.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        cv2.dilate(ridge, np.ones((3, 5), np.uint8)), connectivity=8
    )
    pieces = []
    for index in range(1, count):
        x, y, w, h = stats[index, :4].tolist()
        if w < shortest or h > 0.3 * w + 8:
            continue
        own = (labels[y : y + h, x : x + w] == index) & (ridge[y : y + h, x : x + w] > 0)
        depth = own.sum(axis=0)
        columns = np.flatnonzero(depth)
        rows = (own * np.arange(h)[:, None]).sum(axis=0)[columns] / depth[columns]
        pieces.append((columns + x, rows + y))
    return pieces


def _ridges(darkness: np.ndarray) -> np.ndarray:
    """Return where the middles of lines may be, (h, w) uint8.

    Along a line it is darker than above and below it, in the mean over some length, which neither
    printed nor written words are.
    """
    capped = cv2.min(darkness, _FULL).astype(np.float32)
    along = cv2.blur(cv2.blur(capped, (_RUN, 1)), (1, 3))
    beside = cv2.max(_shifted(along, _BESIDE), _shifted(along, -_BESIDE))
    ridge = along - beside
    usual = np.abs(ridge[::3, ::3])
    noise = median(usual)
    highest = cv2.dilate(ridge, np.ones((9, 1), np.uint8))
    # Where a short stroke is only a part of what is seen at once, it is seen as a paler one.
    pale = _PALE * cv2.dilate(ridge, np.ones((3, 2 * _RUN + 1), np.uint8))
    found = (ridge >= highest) & (ridge > max(_FAINTEST, 5 * noise)) & (ridge > pale)
    return found.astype(np.uint8)


def _shifted(values: np.ndarray, rows: int) -> np.ndarray:
    """Return values moved down by `rows`; beyond the page it is light."""
    moved = np.zeros_like(values)
    if rows > 0:
        moved[rows:] = values[:-rows]
    else:
        moved[:rows] = values[-rows:]
    return moved


@dataclass
class _Growing:
    """A line that pieces are joined to: their columns and rows, and where its end points."""

    columns: list[np.ndarray]
    rows: list[np.ndarray]
    first: float = 0.0
    last: float = 0.0
    row: float = 0.0  # at its end
    slope: float = 0.0  # there

    def __post_init__(self) -> None:
        self.first = float(self.columns[0][0])
        self._look_ahead(self.columns[0], self.rows[0])

    def _look_ahead(self, columns: np.ndarray, rows: np.ndarray) -> None:
        columns, rows = columns[-_END_PART:], rows[-_END_PART:]
        x, y = float(columns.mean()), float(rows.mean())
        spread = float(((columns - x) ** 2).sum())
        slope = float(((columns - x) * (rows - y)).sum()) / spread if len(columns) > 30 else 0.0
        self.slope = max(-_STEEP, min(_STEEP, slope))
        self.last, self.row = float(columns[-1]), median(rows[-15:])

    def off(self, columns: np.ndarray, rows: np.ndarray) -> float:
        """Return by how much a piece lies beside where this points; infinite if it is far away."""
        gap = float(columns[0]) - self.last
        longer = max(self.last - self.first, float(columns[-1] - columns[0]))
        if not -_SHORTEST < gap < min(_GAP, _BRIDGED * longer):
            return np.inf
        return abs(self.row + self.slope * gap - float(rows[0])) - 0.02 * max(0.0, gap)

    def join(self, columns: np.ndarray, rows: np.ndarray) -> None:
        later = columns > self.last
        if later.any():
            self.columns.append(columns[later])
            self.rows.append(rows[later])
            self._look_ahead(columns[later], rows[later])


def joined(
    pieces: list[tuple[np.ndarray, np.ndarray]],
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Join pieces, columns and rows each, of which one goes on where another ends."""
    lines: list[_Growing] = []
    for columns, rows in sorted(pieces, key=lambda piece: int(piece[0][0])):
        best = min(lines, key=lambda line: line.off(columns, rows), default=None)
        if best is not None and best.off(columns, rows) < _STRAY:
            best.join(columns, rows)
        else:
            lines.append(_Growing([columns], [rows]))
    return [(np.concatenate(line.columns), np.concatenate(line.rows)) for line in lines]


def straightened(columns: np.ndarray, rows: np.ndarray) -> tuple[int, np.ndarray]:
    """Return the first column, and the row in it and in each further one, (n,) float64."""
    start, end = int(columns[0]), int(columns[-1]) + 1
    along = np.interp(np.arange(start, end), columns, rows)
    room = np.pad(along, 7, mode="edge")
    return start, cv2.blur(room[None], (15, 1))[0, 7:-7]


def _around(darkness: np.ndarray, start: int, along: np.ndarray) -> np.ndarray:
    """Return how dark it is at a line, and 10 pixels above and below: (21, n) uint8."""
    beside = np.rint(along).astype(int)[None] + np.arange(-10, 11)[:, None]
    columns = np.arange(start, start + len(along))
    seen: np.ndarray = darkness[np.clip(beside, 0, len(darkness) - 1), columns[None]]
    return seen


def _inked(darkness: np.ndarray, start: int, along: np.ndarray) -> float:
    """Return of which share of its length a line is printed, with paper on both sides."""
    seen = _around(darkness, start, along)
    middle = seen[8:13].max(axis=0)
    level = max(quantile(middle, 0.7), 2 * _FAINTEST)
    sides = np.concatenate([seen[10 - np.array(_SIDES)], seen[10 + np.array(_SIDES)]]).max(axis=0)
    return float(np.mean((middle > 0.45 * level) & (sides < 0.5 * level)))


def _thickness(darkness: np.ndarray, start: int, along: np.ndarray) -> int:
    across = np.median(_around(darkness, start, along), axis=1)
    darkest = float(across[7:14].max())
    return min(max(1, int(np.count_nonzero(across > 0.4 * darkest))), 14) if darkest > 0 else 1


def _crossing(lines: list[Line], others: list[Line]) -> list[Line]:
    """Return the lines that meet two others, each from the first of them to the last.

    A line that ends between two of them goes on to the next, if that is not farther away than
    those that it meets are from each other.
    """
    kept = []
    for line in lines:
        places = sorted(_meetings(line, others, beyond=_GAP))
        near = [p for p in places if line.start - _REACH <= p <= line.end + _REACH]
        if len(near) < 2 or near[-1] - near[0] < 0.3 * _SHORTEST:
            continue
        apart = float(np.max(np.diff(near)))
        start, end = near[0], near[-1]
        before = [p for p in places if p < start]
        after = [p for p in places if p > end]
        if before and line.start < start - _REACH and start - before[-1] <= 1.2 * apart:
            start = before[-1]
        if after and line.end > end + _REACH and after[0] - end <= 1.2 * apart:
            end = after[0]
        kept.append(line.cut(start, end + 1))
    return kept


def _meetings(line: Line, others: list[Line], beyond: int = _REACH) -> list[int]:
    """Return the columns in which a line, or what lies `beyond` its ends, meets others."""
    places = []
    for other in others:
        row = line.at((other.rows[0] + other.rows[-1]) / 2)
        column = other.at(row)
        row = line.at(column)
        if (
            line.start - beyond <= column <= line.end + beyond
            and other.start - _REACH <= row <= other.end + _REACH
        ):
            places.append(round(column))
    return places
