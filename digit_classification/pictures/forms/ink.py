"""What is written in the cells of a page: printed lines taken out, neighbours told apart."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from digit_classification.pictures.forms.cells import Regions, draw
from digit_classification.pictures.forms.lines import Ruling
from digit_classification.pictures.images.convention import NEIGHBOURS
from digit_classification.pictures.images.quantiles import median

_FAINTEST = 18  # of darkness: what is weaker is no ink
_NOISE = 5.0  # deviations of the paper, likewise
_WHOLE = 0.72  # of a piece of ink is in one cell: all of it belongs there
_WRITTEN = 0.12  # of a cell's height: smaller pieces alone make it no number
_LEAST = 6  # pixels, likewise
_BESIDE = 3  # pixels beside a printed line, where what is left of it lies
_ROOM = 0.3  # of a cell's height: how far its ink may reach out


@dataclass(frozen=True)
class Written:
    """What is written in a cell: (h, w) uint8, dark on white, and where on the page it begins."""

    image: np.ndarray
    left: int
    top: int


def cut_cells(darkness: np.ndarray, ruling: Ruling, regions: Regions) -> list[Written | None]:
    """Return what is written in each cell; None for an empty one.

    Args:
        darkness: (h, w) uint8 as of `Page.darkness`.
        ruling: its lines.
        regions: its cells.
    """
    ink = find_ink(darkness)
    printed = draw(ruling, darkness.shape, thicker=2)
    written = without_printed(ink, printed, ruling)
    owner = _owners(written, printed, regions)
    cells: list[Written | None] = []
    height, width = darkness.shape
    for number, (left, top, right, bottom) in enumerate(regions.boxes.tolist(), 1):
        room = round(_ROOM * (bottom - top))
        here = np.s_[
            max(0, top - room) : min(height, bottom + room),
            max(0, left - room) : min(width, right + room),
        ]
        own = (owner[here] == number).astype(np.uint8)
        if not _is_written(own, right - left, bottom - top):
            cells.append(None)
            continue
        around = cv2.dilate(own, NEIGHBOURS)
        x, y, w, h = cv2.boundingRect(around)
        x0, y0 = max(0, min(x, left - here[1].start)), max(0, min(y, top - here[0].start))
        x1 = max(x + w, right - here[1].start)
        y1 = max(y + h, bottom - here[0].start)
        grey = np.where(around > 0, 255 - darkness[here], 255).astype(np.uint8)
        image = np.ascontiguousarray(grey[y0:y1, x0:x1])
        cells.append(Written(image, here[1].start + x0, here[0].start + y0))
    return cells


def find_ink(darkness: np.ndarray) -> np.ndarray:
    """Return where there is ink, printed or written, (h, w) uint8."""
    paper = darkness[::3, ::3]
    paper = paper[paper < 2 * _FAINTEST]
    spread = median(paper) * 1.5 if paper.size else 0.0
    return (darkness > max(_FAINTEST, _NOISE * spread)).astype(np.uint8)


def without_printed(ink: np.ndarray, printed: np.ndarray, ruling: Ruling) -> np.ndarray:
    """Take the lines out of ink, but not the strokes that cross them: ink is on both sides."""
    beside = np.where(printed > 0, 0, ink).astype(np.uint8)
    left = beside.copy()
    for lines, upright in ((ruling.level, False), (ruling.upright, True)):
        if not lines:
            continue
        own = draw(Ruling((), lines) if upright else Ruling(lines, ()), ink.shape, thicker=2)
        reach = max(line.thickness for line in lines) + 7
        kernel = np.ones((1, reach) if upright else (reach, 1), np.uint8)
        above, below = (cv2.dilate(beside, kernel, anchor=end) for end in ((0, 0), _last(kernel)))
        left |= ink & own & above & below
    return left


def _last(kernel: np.ndarray) -> tuple[int, int]:
    return kernel.shape[1] - 1, kernel.shape[0] - 1


def _owners(written: np.ndarray, printed: np.ndarray, regions: Regions) -> np.ndarray:
    """Return whose ink each pixel is, the number of a cell or 0: (h, w) int32.

    A piece of ink belongs to the cell in which most of it lies; one that lies in several is cut.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(written, connectivity=8)
    where = labels > 0
    piece, cell = labels[where], regions.labels[where]
    most, best, inside = _most_in_one(piece, cell, count)
    whole = most > _WHOLE * np.maximum(1, inside)
    # What is left of lines lies beside them, and is thin.
    beside = cv2.dilate(printed, np.ones((2 * _BESIDE + 1,) * 2, np.uint8))[where]
    near = np.bincount(piece, beside, minlength=count) / np.maximum(1, stats[:, 4])
    rests = near > 0.75
    rests |= stats[:, 2:4].max(axis=1) < 3
    owner = np.zeros(written.shape, np.int32)
    owner[where] = np.where(rests[piece], 0, np.where(whole[piece], best[piece], cell))
    return owner


def _most_in_one(
    piece: np.ndarray, cell: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return how much of each piece is in the cell that holds most of it, in which, and in any.

    Args:
        piece: (n,) int32, of each pixel.
        cell: (n,) int32, of each pixel; 0 is none.
        count: of pieces: each of the results is (count,) int.
    """
    most, best = np.zeros(count, np.int64), np.zeros(count, np.int64)
    of_cells = cell > 0
    inside = np.bincount(piece[of_cells], minlength=count)
    # By their pairs, which are few: a table of pieces by cells would not fit into memory.
    pair, held = np.unique(
        piece[of_cells].astype(np.int64) << 32 | cell[of_cells], return_counts=True
    )
    pieces, cells = pair >> 32, pair & 0xFFFFFFFF
    order = np.lexsort((-cells, held))  # the last one stays: the largest part, of equals the first
    most[pieces[order]], best[pieces[order]] = held[order], cells[order]
    return most, best, inside


def _is_written(own: np.ndarray, width: int, height: int) -> bool:
    """Whether there is more in a cell of this size than specks."""
    count, _, stats, _ = cv2.connectedComponentsWithStats(own, connectivity=8)
    if count < 2:
        return False
    large = stats[1:, 2:4].max(axis=1)
    return bool(large.max() >= max(_LEAST, _WRITTEN * min(width, height)))
