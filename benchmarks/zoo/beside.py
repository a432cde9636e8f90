"""Kinds of picture with one digit beside something else; the judge never sees them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from digit_classification.training.scenes import cameras, compose, letters, marks, papers
from digit_classification.training.scenes.compose import digit_on
from digit_classification.training.scenes.sheet import Ink, Kind, Rng, Scene
from digit_classification.training.scenes.strokes import Digits

OTHER_FONTS = Path(__file__).with_name("other_handwriting.zip")  # hands that the judge never sees


def above_and_below(rng: Rng, digits: Digits) -> Scene:
    """The lines of writing above and below reach in."""
    height = compose.side(rng, 40, 110)
    sheet = papers.light_paper(rng, 4 * height, round(height * rng.uniform(1.2, 1.8)))
    ink, pen = papers.pen_for(rng, sheet), float(rng.uniform(0.04, 0.13))
    label, coverage = digits.take(rng, height=height, pen=pen)
    top = 1.5 * height
    left = (sheet.width - coverage.shape[1]) / 2
    gap = height * rng.uniform(0.08, 0.35, 2)
    for below in (False, True):
        _, other = digits.take(rng, height=height * float(rng.uniform(0.8, 1.1)), pen=pen)
        y = top + coverage.shape[0] + gap[1] if below else top - gap[0] - other.shape[0]
        sheet.write(rng, other, left + height * rng.uniform(-0.3, 0.3), y, ink)
    sheet.write(rng, coverage, left, top, ink, meant=True)
    reach = gap + height * rng.uniform(0.08, 0.35, 2)
    sheet.crop(0, top - reach[0], sheet.width, top + coverage.shape[0] + reach[1])
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, str(label))


def crossed_out_neighbour(rng: Rng, digits: Digits) -> Scene:
    """The first attempt was struck out; beside it stands the digit meant."""
    height = compose.side(rng, 48, 120)
    sheet = papers.light_paper(rng, round(1.5 * height), 5 * height)
    ink, pen = papers.pen_for(rng, sheet), float(rng.uniform(0.04, 0.12))
    label, coverage = digits.take(rng, height=height, pen=pen)
    _, wrong = digits.take(rng, height=height * float(rng.uniform(0.8, 1)), pen=pen)
    left, top = 2.5 * height, 0.25 * height
    apart = height * float(rng.uniform(0.12, 0.35))
    side = int(rng.choice([-1, 1]))
    x = left - apart - wrong.shape[1] if side < 0 else left + coverage.shape[1] + apart
    sheet.write(rng, wrong, x, top, ink)
    struck = compose.written(
        rng,
        marks.cross(rng) if rng.random() < 0.5 else marks.hatching(rng),
        wrong.shape[0] * 0.7,
        0.08,
    )
    room = left - apart - x if side < 0 else np.inf
    if struck.shape[1] > room:
        struck = compose.shrunk(struck, room / struck.shape[1])
    sheet.write(rng, struck, x, top + wrong.shape[0] * 0.15, ink)
    sheet.write(rng, coverage, left, top, ink, meant=True)
    reach = apart + wrong.shape[1] * float(rng.uniform(0.2, 0.7))
    free = height * float(rng.uniform(0.1, 0.4))
    before, after = (reach, free) if side < 0 else (free, reach)
    sheet.crop(left - before, 0, left + coverage.shape[1] + after, sheet.height)
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, str(label))


def underlined(rng: Rng, digits: Digits) -> Scene:
    sheet = papers.light_paper(rng, *compose.size(rng, 64, 220))
    ink, pen = papers.pen_for(rng, sheet), float(rng.uniform(0.04, 0.12))
    label = digit_on(rng, digits, sheet, ink=ink, pen=pen, share=(0.4, 0.6), stray=0.2)
    left, _, right, bottom = sheet.box()
    tall = bottom - sheet.box()[1]
    rule = compose.written(rng, marks.minus(rng), max(right - left, 0.4 * tall) * 1.2, pen * 0.6)
    x = (left + right - rule.shape[1]) / 2
    sheet.write(rng, rule, x, bottom + tall * float(rng.uniform(0.08, 0.2)), ink)
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, str(label))


def circled(rng: Rng, digits: Digits) -> Scene:
    """A ring was drawn around it, as answers are marked."""
    sheet = papers.light_paper(rng, *compose.size(rng, 80, 240))
    ink, pen = papers.pen_for(rng, sheet), float(rng.uniform(0.03, 0.09))
    label = digit_on(rng, digits, sheet, ink=ink, pen=pen, share=(0.35, 0.5), stray=0.05)
    left, top, right, bottom = sheet.box()
    around = 1.75 * max(bottom - top, right - left)
    ring = [marks.arc(0.5, 0.5, float(rng.uniform(0.95, 1.15)), 1, rng.uniform(0, 90), 450)]
    drawn = compose.written(rng, ring, around, pen * 0.55)
    other = ink if rng.random() < 0.5 else papers.pen_for(rng, sheet)
    x, y = (left + right - drawn.shape[1]) / 2, (top + bottom - drawn.shape[0]) / 2
    sheet.write(rng, drawn, x, y, other)
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, str(label))


def quotation_marks(rng: Rng, digits: Digits) -> Scene:
    """Ditto marks, an apostrophe or a degree sign stand at its upper right."""
    sheet = papers.light_paper(rng, *compose.size(rng, 64, 220))
    ink, pen = papers.pen_for(rng, sheet), float(rng.uniform(0.04, 0.11))
    label = digit_on(rng, digits, sheet, ink=ink, pen=pen, share=(0.45, 0.65), stray=0.2)
    _, top, right, bottom = sheet.box()
    signs = (
        [marks.line(0, 0, -0.03, 0.2), marks.line(0.13, 0, 0.1, 0.2)],
        [marks.line(0, 0, -0.03, 0.2)],
        [marks.arc(0, 0, 0.14, 0.14)],
    )
    drawn = compose.written(rng, list(signs[rng.integers(3)]), bottom - top, pen)
    gap = (bottom - top) * float(rng.uniform(0.06, 0.15))
    sheet.write(rng, drawn, right + gap, top - gap / 2, ink)
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, str(label))


def word_beside(rng: Rng, digits: Digits) -> Scene:
    """A word of the same hand begins or ends beside the digit, and is cut off."""
    height = compose.side(rng, 40, 100)
    sheet = papers.light_paper(rng, round(height * rng.uniform(1.3, 1.8)), 12 * height)
    ink, pen = papers.pen_for(rng, sheet), float(rng.uniform(0.05, 0.11))
    label, coverage = digits.take(rng, height=height, pen=pen)
    left, foot = 5.5 * height, sheet.height * 0.85
    other = letters.word(rng, height * float(rng.uniform(0.7, 0.9)), fonts=OTHER_FONTS)
    gap = height * float(rng.uniform(0.15, 0.35))
    before = rng.random() < 0.5
    x = left - gap - other.shape[1] if before else left + coverage.shape[1] + gap
    sheet.write(rng, other, x, foot - other.shape[0], ink)
    sheet.write(rng, coverage, left, foot - coverage.shape[0], ink, meant=True)
    reach, free = (
        gap + height * float(rng.uniform(0.15, 0.4)),
        height * float(rng.uniform(0.1, 0.5)),
    )
    begin, end = (reach, free) if before else (free, reach)
    sheet.crop(left - begin, 0, left + coverage.shape[1] + end, sheet.height)
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, str(label))


def logo(rng: Rng, digits: Digits) -> Scene:
    """A small coloured sign in a corner."""
    sheet = papers.light_paper(rng, *compose.size(rng, 96, 260))
    label = digit_on(rng, digits, sheet, share=(0.4, 0.6), stray=0.2)
    side = max(8, round(min(sheet.height, sheet.width) * float(rng.uniform(0.07, 0.13))))
    spot = cv2.circle(
        np.zeros((side, side), np.uint8), (side // 2, side // 2), side // 2 - 1, 255, -1
    )
    if rng.random() < 0.5:
        spot[:] = 255
    tone = rng.uniform(0, 200, 3).astype(np.float32)
    x = 0.03 * sheet.width if rng.random() < 0.5 else 0.97 * sheet.width - side
    y = 0.03 * sheet.height if rng.random() < 0.5 else 0.97 * sheet.height - side
    sheet.write(rng, spot.astype(np.float32) / 255, x, y, Ink(tone))
    bar = np.ones((max(1, side // 5), side // 2), np.float32)
    sheet.write(rng, bar, x + side / 4, y + 0.4 * side, Ink(np.full(3, 255, np.float32)))
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, str(label))


KINDS = {
    "lines above and below": Kind(above_and_below, "digit"),
    "crossed-out neighbour": Kind(crossed_out_neighbour, "digit"),
    "underlined": Kind(underlined, "digit"),
    "circled": Kind(circled, "digit"),
    "quotation marks": Kind(quotation_marks, "digit"),
    "word beside": Kind(word_beside, "digit"),
    "logo in a corner": Kind(logo, "digit"),
}
