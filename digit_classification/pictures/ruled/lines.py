"""The level lines of a row of boxes: the longest that its picture has."""

from __future__ import annotations

import cv2
import numpy as np

from digit_classification.pictures.forms.lines import Line
from digit_classification.pictures.forms.ruling import find_pieces, joined, straightened
from digit_classification.pictures.images.quantiles import median, quantile, quantiles

_RUN = 0.3  # of the width over which a line is seen at once
_LONGEST = 11  # pixels: no line is thicker
_PIECE = 0.25  # of the width: a piece of a line
_LONG = 0.4  # of the width: a line
_CAP = 100  # of darkness: no line counts more, however black
_BESIDE = 7  # pixels beside its middle, where a line is over
_REACH = 10  # pixels around a line that are looked at
_OVER = 8  # pixels from its middle, where a line is over whatever its thickness
_FAINTEST = 2.5  # of darkness: less is no line
_NOISE = 3  # times what is usual on this paper, likewise
_PRINTED = 0.9  # of its length: less is seen of no line
_CLEAR = 0.45  # of its length: there is paper above and below at least
_UNEVEN = 0.75  # of its darkness: the strokes of a pen differ more
_UNBROKEN = 0.98  # of its length is seen,
_EVEN = 0.25  # and the paler half differs by no more of its darkness: no strokes in a row are so


def find_lines(darkness: np.ndarray) -> list[Line]:
    """Return the level lines, from the top down, of a picture: (h, w) uint8, 0 paper, 255 black."""
    width = darkness.shape[1]
    # Beyond the border there is paper, even where a picture is cut along a line.
    room = cv2.copyMakeBorder(darkness, _REACH, _REACH, 0, 0, cv2.BORDER_CONSTANT, value=0)
    pieces = find_pieces(_ridges(room), _PIECE * width)
    found = (_printed(room, *straightened(*piece)) for piece in joined(pieces))
    lines = [Line(line.start, line.rows - _REACH, line.thickness) for line in found if line]
    return sorted(lines, key=lambda line: float(line.rows.mean()))


def _ridges(darkness: np.ndarray) -> np.ndarray:
    """Return where the middles of lines may be: darker than above and below, in the mean."""
    capped = cv2.min(darkness, _CAP).astype(np.float32)
    run = max(15, round(_RUN * darkness.shape[1]))
    along = cv2.blur(capped, (run, 1), borderType=cv2.BORDER_REPLICATE)
    along = cv2.blur(along, (1, 3))
    ridge = np.zeros_like(along)
    beside = cv2.max(along[: -2 * _BESIDE], along[2 * _BESIDE :])
    ridge[_BESIDE:-_BESIDE] = along[_BESIDE:-_BESIDE] - beside
    usual = quantile(np.abs(ridge[_REACH:-_REACH:2, ::2]), 0.25)
    highest = cv2.dilate(ridge, np.ones((9, 1), np.uint8))
    return ((ridge >= highest) & (ridge > max(_FAINTEST, _NOISE * usual))).astype(np.uint8)


def _printed(darkness: np.ndarray, start: int, rows: np.ndarray) -> Line | None:
    """Return what of a line is printed; None where it is none, but strokes that stand in a row."""
    beside = np.rint(rows).astype(int)[None] + np.arange(-_REACH, _REACH + 1)[:, None]
    columns = np.arange(start, start + len(rows))
    seen = darkness[np.clip(beside, 0, len(darkness) - 1), columns].astype(int)
    middle = seen[_REACH - 2 : _REACH + 3].max(axis=0)
    dark = middle > 0.5 * max(median(middle), 6)
    if not dark.any():
        return None
    first, last = np.flatnonzero(dark)[[0, -1]]
    here = slice(first, last + 1)
    dark, seen, middle = dark[here], seen[:, here], middle[here]
    over = np.maximum(seen[_REACH - _OVER], seen[_REACH + _OVER]) < 0.6 * middle
    clear = dark & over
    if len(dark) < _LONG * darkness.shape[1] or dark.mean() < _PRINTED or clear.mean() < _CLEAR:
        return None
    least, low, usual, high = quantiles(middle[clear], 0.1, 0.2, 0.5, 0.8)
    # Where a number stands on it, much of a line is under strokes; the rest of it is even.
    unbroken = dark.mean() > _UNBROKEN and usual - least < _EVEN * usual
    if high - low > _UNEVEN * usual + 6 and not unbroken:
        return None
    across = np.median(seen[:, clear], axis=1)
    thickness = np.count_nonzero(across > 0.4 * across[_REACH - 3 : _REACH + 4].max())
    if thickness > _LONGEST:
        return None
    return Line(start + int(first), rows[here], max(1, int(thickness)))


def tone_of(darkness: np.ndarray, line: Line) -> float:
    """Return how dark a line is."""
    columns = np.arange(line.start, min(line.end, darkness.shape[1]))
    rows = np.rint(line.rows[: len(columns)]).astype(int)[None] + np.arange(-2, 3)[:, None]
    return median(darkness[np.clip(rows, 0, len(darkness) - 1), columns].max(axis=0))
