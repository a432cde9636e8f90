"""Kinds of picture with one digit, the one in the middle, into which its neighbours reach."""

from __future__ import annotations

import numpy as np

from .. import cameras, compose, letters, lines, marks, papers
from ..sheet import Ink, Kind, Rng, Scene, Sheet
from ..strokes import Digits

_PART_SEEN = 0.75  # of a neighbour's width at most


def _neighbour(rng: Rng, digits: Digits, height: float) -> np.ndarray:
    """Return what stands beside a digit: mostly another one, else a letter."""
    if rng.random() < 0.75:
        return digits.take(rng, height=height)[1]
    return letters.letter(rng, height, letters.ANY)


def _between(
    rng: Rng, digits: Digits, *, left: bool, right: bool, gap: tuple[float, float] = (0.04, 0.3)
) -> tuple[Sheet, int]:
    """Return a digit in the middle of a line of writing, cut so that its neighbours reach in.

    None of them is seen whole: then there would be several digits, and nobody could tell which is
    meant.
    """
    height = compose.side(rng, 40, 110)
    paper = papers.old if rng.random() < 0.5 else papers.light_paper
    sheet = paper(rng, round(height * rng.uniform(1.1, 1.7)), 4 * height)
    pen, slant = float(rng.uniform(0.04, 0.13)), float(rng.normal(0.15, 0.15))
    label, coverage = digits.take(rng, height=height, pen=pen, slant=slant)
    ink = papers.pen_for(rng, sheet)
    middle = 2 * height
    top = (sheet.height - coverage.shape[0]) * rng.uniform(0.2, 0.8)
    at = middle - coverage.shape[1] / 2
    most = np.full(2, np.inf)  # that is seen beside the digit
    for side in [-1] * left + [1] * right:
        other = _neighbour(rng, digits, height * float(rng.uniform(0.75, 1.1)))
        apart = height * float(rng.uniform(*gap))
        x = at - apart - other.shape[1] if side < 0 else at + coverage.shape[1] + apart
        y = top + (coverage.shape[0] - other.shape[0]) * rng.uniform(0, 1)
        sheet.write(rng, other, x, y, ink)
        most[(side + 1) // 2] = apart + _PART_SEEN * other.shape[1]
    sheet.write(rng, coverage, at, top, ink, meant=True)
    begin, _, end, _ = sheet.box()
    seen = np.array([left, right]) * height * rng.uniform(0.1, 0.45, 2) + height * rng.uniform(
        0.02, 0.3, 2
    )
    seen = np.minimum(seen, most)
    sheet.crop(begin - seen[0], 0, end + seen[1], sheet.height)
    return sheet, label


def neighbour_left(rng: Rng, digits: Digits) -> Scene:
    sheet, label = _between(rng, digits, left=True, right=False)
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, str(label))


def neighbour_right(rng: Rng, digits: Digits) -> Scene:
    sheet, label = _between(rng, digits, left=False, right=True)
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, str(label))


def neighbours_on_both_sides(rng: Rng, digits: Digits) -> Scene:
    sheet, label = _between(rng, digits, left=True, right=True)
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, str(label))


def neighbours_touch(rng: Rng, digits: Digits) -> Scene:
    """Neighbours so near that their ink runs into the digit's."""
    left = rng.random() < 0.5
    sheet, label = _between(rng, digits, left=left, right=not left, gap=(-0.08, 0.03))
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, str(label))


def register(rng: Rng, digits: Digits) -> Scene:
    """A digit of a year or an age in an old register, cut out of a scan."""
    height = compose.side(rng, 26, 72)
    sheet = papers.old(rng, round(height * rng.uniform(1.15, 1.8)), 5 * height)
    pen, slant = float(rng.uniform(0.035, 0.14)), float(rng.normal(0.35, 0.2))
    tones = [
        ((10, 10, 8), (50, 45, 38)),
        ((50, 32, 18), (110, 80, 55)),
        ((70, 70, 55), (120, 118, 98)),
        ((110, 25, 10), (170, 50, 20)),
    ]
    low, high = tones[rng.choice(4, p=(0.5, 0.27, 0.18, 0.05))]
    ink = Ink(
        papers.colour(rng, low, high), float(rng.uniform(0.6, 1)), float(rng.choice([0, 0, 0.3]))
    )
    label, coverage = digits.take(rng, height=height, pen=pen, slant=slant)
    at, top = 2.3 * height, (sheet.height - coverage.shape[0]) * rng.uniform(0.1, 0.9)
    foot = top + coverage.shape[0]
    line = papers.printed_on(rng, sheet, float(rng.uniform(0.3, 0.9)))
    _register_lines(rng, sheet, line, at, foot, height)
    sides = rng.random(2) < (0.62, 0.4)
    for side, wanted in zip((-1, 1), sides, strict=True):
        x = at if side < 0 else at + coverage.shape[1]
        for _ in range(2 if wanted else 0):
            one = 1 if side < 0 and rng.random() < 0.3 else None  # of a year, or of ten to nineteen
            size = height * float(rng.uniform(0.75, 1.1))
            _, other = digits.take(rng, one, height=size, pen=pen, slant=slant)
            x += side * height * float(rng.uniform(-0.06, 0.22)) - (
                other.shape[1] if side < 0 else 0
            )
            sheet.write(rng, other, x, foot - other.shape[0] + height * rng.normal(0, 0.07), ink)
            x += other.shape[1] if side > 0 else 0
    if not sides[1] and rng.random() < 0.45:
        dot = compose.written(
            rng, [marks.arc(0.1, 0.1, 0.05, 0.05)], height, float(rng.uniform(0.08, 0.18))
        )
        sheet.write(
            rng,
            dot,
            at + coverage.shape[1] + height * rng.uniform(0.02, 0.2),
            foot - dot.shape[0],
            ink,
        )
    sheet.write(rng, coverage, at, top, ink, meant=True)
    cameras.blur(sheet, float(rng.uniform(0.4, 0.03 * height)))
    begin, up, end, down = sheet.box()
    room = height * rng.uniform(0.02, 0.4, 4)
    sheet.crop(begin - room[0], up - room[1], end + room[2], down + room[3])
    cameras.grain(rng, sheet, float(rng.uniform(0.5, 4)))
    cameras.jpeg(sheet, int(rng.integers(35, 88)))
    return sheet.to_scene(rng, str(label), grey=0.05)


def _register_lines(
    rng: Rng, sheet: Sheet, ink: Ink, at: float, foot: float, height: float
) -> None:
    """Draw what registers are ruled with: a line of dots or a rule below, a column's line."""
    width = max(0.6, height * float(rng.uniform(0.015, 0.05)))
    base = foot + height * rng.normal(0, 0.12)
    chance = rng.random()
    if chance < 0.3:
        dash = (width * 1.3, width * float(rng.uniform(1, 2.5)))
        lines.stroke(rng, sheet, (0, base, sheet.width, base), width, ink, dash=dash)
    elif chance < 0.5:
        rise = rng.normal(0, 0.02) * sheet.width
        lines.stroke(rng, sheet, (0, base, sheet.width, base + rise), width, ink)
    if rng.random() < 0.35:
        x = at + height * float(
            rng.choice([rng.uniform(-0.5, -0.1), rng.uniform(0.5, 1.2), 0.3], p=[0.4, 0.45, 0.15])
        )
        wide = width * float(rng.choice([1, 1, 3]))
        lines.stroke(rng, sheet, (x, 0, x + rng.normal(0, 0.05) * height, sheet.height), wide, ink)


KINDS = {
    "neighbour left": Kind(neighbour_left, "digit"),
    "neighbour right": Kind(neighbour_right, "digit"),
    "neighbours on both sides": Kind(neighbours_on_both_sides, "digit"),
    "neighbour touches": Kind(neighbours_touch, "digit"),
    "register": Kind(register, "digit"),
}
