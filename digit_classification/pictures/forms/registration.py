"""Where on a page the cells of a template are: matched with those that are found there.

A page is level, but may lie on its side or upside down, be larger or smaller, and have cells that
were not found, or too many.  Two cells of the template and two of the page say how large the page
is and where it lies; of all such guesses the one is taken under which most cells meet cells of
their size (Fischler and Bolles 1981, "Random sample consensus"; here nothing is left to chance).
What perspective is left after that is fitted to the corners of all cells that met.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from digit_classification.pictures.geometry import mapped

_SPREAD = 8  # cells of a template, far from each other, of which pairs are tried
_TRIED = 2_000  # guesses for each way in which the page may lie
_UNLIKE = 0.12  # of a cell's side: edges that two cells explain worse are no guess
_SKEWED = 1.4  # times as wide for its height as in the template: perspective makes no more of it
_APART, _SIZES = 0.35, 1.4  # of a cell's side, and times its side: further off it is another cell
_LEAST = 0.85  # of the cells of the template, and of the page, that must meet
_FAR_MORE, _SOME = 3, 20  # times as many cells, and so many: it is another form at first sight
_AS_GOOD = 0.9  # of the cells that meet: another place, or way to lie, is not ruled out
_NEAR = 0.35  # of the way between two places: the page is surely at the nearer one
_FITTED = 6  # cells to whose corners a perspective is fitted


@dataclass(frozen=True)
class Placement:
    """Where on a page a template is.

    Attributes:
        quarters: of a turn by which the page is turned counter-clockwise to be upright.
        forth: (3, 3) float64, from the template to the pixels of the page that is upright.
        cells: (n,) int, the cell of the page that each of the template is, or -1.
    """

    quarters: int
    forth: np.ndarray
    cells: np.ndarray

    @property
    def met(self) -> int:
        """How many cells of the template are found."""
        return int(np.count_nonzero(self.cells >= 0))


@dataclass(frozen=True)
class Seen:
    """Cells that are found on a page.

    Attributes:
        labels: (h, w) int32, the number of the cell that each pixel lies in, from 1; 0 elsewhere.
        boxes: (m, 4), left, top, right, bottom of each cell, in pixels.
        middle: (2,) float64, of the whole sheet, in these pixels.
    """

    labels: np.ndarray
    boxes: np.ndarray
    middle: np.ndarray

    def turned(self) -> Seen:
        """Return the page turned counter-clockwise by a quarter."""
        width = self.labels.shape[1]
        left, top, right, bottom = self.boxes.T
        return Seen(
            np.rot90(self.labels),
            np.stack([top, width - right, bottom, width - left], axis=1),
            np.array([self.middle[1], width - self.middle[0]]),
        )


def register(model: np.ndarray, middle: np.ndarray, seen: Seen) -> tuple[list[Placement], int]:
    """Return where a template is on a page, for each way to lie that is not ruled out.

    Args:
        model: (n, 4) float64, left, top, right, bottom of its cells.
        middle: (2,) float64, of its page, in the same measure.
        seen: the cells of the page as it lies.

    Returns:
        The placements, that with the most cells first; none if it is another form, or lies where
        nobody can tell.  And how many cells of the template were met, at the best.
    """
    found: list[Placement] = []
    most = 0
    if len(seen.boxes) > _FAR_MORE * len(model) + _SOME:
        return found, most  # squared paper, say: nobody should wait for all of its squares
    for quarters in range(4):
        places = _places(model, seen, quarters)
        most = max([most, *(place.met for place in places)])
        place = _surest(places, model, middle, seen)
        if place is not None:
            found.append(place)
        seen = seen.turned()
    least = max(2.0, _LEAST * len(model), _LEAST * len(seen.boxes), _AS_GOOD * most)
    return sorted(
        (place for place in found if place.met >= least), key=lambda place: -place.met
    ), most


def _places(model: np.ndarray, seen: Seen, quarters: int) -> list[Placement]:
    """Return where the template may be on a page that lies so, that with the most cells first."""
    guesses, met = np.zeros((0, 4)), np.zeros(0, int)
    for each in _guesses(model, seen.boxes):
        some = each[: _TRIED - len(guesses)]
        guesses = np.concatenate([guesses, some])
        met = np.concatenate([met, _met(some, model, seen)])
        # Where all cells meet, no other pair would say otherwise.
        if len(guesses) == _TRIED or (met == len(model)).any():
            break
    if not len(guesses):
        return []
    side = np.median(seen.boxes[:, 2:] - seen.boxes[:, :2], axis=0)
    places: list[Placement] = []
    known: list[np.ndarray] = []
    for number in np.argsort(-met, kind="stable"):
        a, b, c, d = guesses[number]
        if met[number] < _AS_GOOD**2 * met.max():
            break
        middle = (model.reshape(-1, 2, 2).mean(axis=(0, 1)) * (a, c) + (b, d)) / side
        if any(np.abs(middle - other).max() < 0.5 for other in known):
            continue
        known.append(middle)
        forth = np.array([[a, 0, b], [0, c, d], [0, 0, 1.0]])
        places.append(_fitted(Placement(quarters, forth, _cells(forth, model, seen)), model, seen))
    return sorted(places, key=lambda place: -place.met)


def _guesses(model: np.ndarray, boxes: np.ndarray) -> Iterator[np.ndarray]:
    """Yield guesses, (g, 4), of pairs: scale and shift across, and down; wide pairs first."""
    chosen = _spread(model)
    middles = (model[:, :2] + model[:, 2:]) / 2
    pairs = sorted(
        itertools.combinations(chosen, 2),
        key=lambda pair: -float(np.abs(middles[pair[0]] - middles[pair[1]]).sum()),
    )
    shape = np.log((boxes[:, 2] - boxes[:, 0]) / (boxes[:, 3] - boxes[:, 1]))
    for first, second in pairs:
        alike = []
        for one in (first, second):
            wide, high = model[one, 2:] - model[one, :2]
            alike.append(boxes[np.abs(shape - np.log(wide / high)) < np.log(_SKEWED)])
        fits, scales, shifts = [], [], []
        for axis in (0, 1):
            edges = model[[first, first, second, second], [axis, axis + 2, axis, axis + 2]]
            side = float(min(edges[1] - edges[0], edges[3] - edges[2]))
            there = np.concatenate(
                [
                    np.broadcast_to(alike[0][:, None, axis::2], (len(alike[0]), len(alike[1]), 2)),
                    np.broadcast_to(alike[1][None, :, axis::2], (len(alike[0]), len(alike[1]), 2)),
                ],
                axis=2,
            )
            off = edges - edges.mean()
            mean = there.mean(axis=2)
            scale = ((there - mean[..., None]) * off).sum(axis=2) / (off * off).sum()
            rest = np.abs(there - mean[..., None] - scale[..., None] * off).max(axis=2)
            fits.append((scale > 0) & (rest < _UNLIKE * scale * side))
            scales.append(scale)
            shifts.append(mean - scale * edges.mean())
        good = fits[0] & fits[1]
        good &= (scales[0] < _SKEWED * scales[1]) & (scales[1] < _SKEWED * scales[0])
        yield np.stack([scales[0][good], shifts[0][good], scales[1][good], shifts[1][good]], axis=1)


def _spread(model: np.ndarray) -> list[int]:
    """Return some cells of a template that are far from each other, those at its corners first."""
    middles = (model[:, :2] + model[:, 2:]) / 2
    chosen = [int(np.argmin(middles.sum(axis=1)))]
    apart = np.abs(middles - middles[chosen[0]]).sum(axis=1)
    while len(chosen) < min(_SPREAD, len(model)):
        chosen.append(int(np.argmax(apart)))
        apart = np.minimum(apart, np.abs(middles - middles[chosen[-1]]).sum(axis=1))
    return chosen


def _met(guesses: np.ndarray, model: np.ndarray, seen: Seen) -> np.ndarray:
    """Return how many cells of a template meet one of the page, by each guess: (g,) int."""
    scale, shift = guesses[:, None, 0::2], guesses[:, None, 1::2]
    found = _at(scale * model[None, :, :2] + shift, scale * model[None, :, 2:] + shift, seen)
    met: np.ndarray = np.count_nonzero(found >= 0, axis=1)
    return met


def _at(low: np.ndarray, high: np.ndarray, seen: Seen) -> np.ndarray:
    """Return the cell of the page that is like each box, (…) int, or -1; corners are (…, 2)."""
    middles = (low + high) / 2
    height, width = seen.labels.shape
    x, y = (np.rint(middles[..., axis]).astype(np.int64) for axis in (0, 1))
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    cells = seen.labels[np.where(inside, y, 0), np.where(inside, x, 0)] - 1
    cells = np.where(inside, cells, -1)
    boxes = seen.boxes[np.maximum(cells, 0)]
    sides, there = high - low, boxes[..., 2:] - boxes[..., :2]
    off = np.abs(middles - (boxes[..., :2] + boxes[..., 2:]) / 2)
    like = (off < _APART * np.minimum(sides, there)).all(axis=-1)
    like &= (np.maximum(sides, there) < _SIZES * np.minimum(sides, there)).all(axis=-1)
    return np.where(like, cells, -1)


def _cells(forth: np.ndarray, model: np.ndarray, seen: Seen) -> np.ndarray:
    """Return the cell of the page that each of the template is, (n,) int; -1 where it is none."""
    corners = mapped(forth, _corners(model)).reshape(-1, 4, 2)
    cells = _at(corners.min(axis=1), corners.max(axis=1), seen)
    _, first = np.unique(cells, return_index=True)
    alone = np.full(len(cells), -1)
    alone[first] = cells[first]
    return alone


def _corners(boxes: np.ndarray) -> np.ndarray:
    """Return the corners of boxes, (4 n, 2) float64, clockwise."""
    return boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 2).astype(np.float64)


def _fitted(place: Placement, model: np.ndarray, seen: Seen) -> Placement:
    """Fit a placement to the corners of the cells that meet, as long as more of them do."""
    for _ in range(4):
        met = place.cells >= 0
        if np.count_nonzero(met) < _FITTED:
            return place
        there = _corners(seen.boxes[place.cells[met]])
        forth, _ = cv2.findHomography(_corners(model[met]), there)
        if forth is None:
            return place
        cells = _cells(forth, model, seen)
        if np.count_nonzero(cells >= 0) < place.met:
            return place
        done = np.array_equal(cells, place.cells)
        place = Placement(place.quarters, forth, cells)
        if done:
            return place
    return place


def _surest(
    places: list[Placement], model: np.ndarray, middle: np.ndarray, seen: Seen
) -> Placement | None:
    """Return the place under which most cells meet; None if another one may be right as well.

    In a table whose rows are alike, the first one may not be found: which it is tells the sheet.
    """
    if not places:
        return None
    best = places[0].met
    rivals = len(model) if best == len(model) else _AS_GOOD * best
    others = [place for place in places[1:] if place.met >= rivals]
    if not others:
        return places[0]

    def off(place: Placement) -> np.ndarray:
        return np.abs(mapped(place.forth, middle[None])[0] - seen.middle)

    nearest = min([places[0], *others], key=lambda place: float(off(place).sum()))
    between = [
        np.abs(mapped(other.forth, middle[None])[0] - mapped(nearest.forth, middle[None])[0]).sum()
        for other in [places[0], *others]
        if other is not nearest
    ]
    is_sure = nearest.met == best and off(nearest).sum() < _NEAR * min(between)
    return nearest if is_sure else None
