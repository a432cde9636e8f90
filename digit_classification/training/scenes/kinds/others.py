"""Kinds of picture without one digit: blank paper, marks, words, several digits, other things."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from .. import cameras, compose, letters, marks, noise, papers
from ..marks import Paths
from ..sheet import Ink, Kind, Rng, Scene, Sheet
from ..strokes import Digits
from . import cells

# Nothing written -------------------------------------------------------------------------------


def blank_scan(rng: Rng, _: Digits) -> Scene:
    """One level, or one with the noise of a scanner; any size down to 8 pixels."""
    sheet = papers.any_paper(rng, *compose.size(rng, 8, 240))
    if rng.random() < 0.6:
        cameras.scanner(rng, sheet)
    return sheet.to_scene(rng, "blank", grey=0.5)


def blank_photo(rng: Rng, _: Digits) -> Scene:
    """Paper with its texture, its shades, and JPEG's blocks."""
    paper = (papers.office, papers.old, papers.coloured, papers.board)[rng.integers(4)]
    sheet = paper(rng, *compose.size(rng, 40, 280))
    cameras.phone(rng, sheet)
    if rng.random() < 0.3:
        cameras.shadow(rng, sheet)
    if rng.random() < 0.3:
        cameras.jpeg(sheet, int(rng.integers(20, 60)))
    return sheet.to_scene(rng, "blank")


def blank_with_specks(rng: Rng, _: Digits) -> Scene:
    sheet = papers.light_paper(rng, *compose.size(rng, 40, 200))
    papers.specks(rng, sheet, int(rng.integers(1, 15)), 0.012)
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, "blank")


def blank_with_an_edge(rng: Rng, _: Digits) -> Scene:
    """Paper, or a note, on a desk; nothing is written on it."""
    height = compose.side(rng, 60, 160)
    note = papers.light_paper(rng, height, round(height * rng.uniform(0.7, 1.4)))
    desk = papers.wood(rng, *compose.size(rng, 80, 240))
    seen = cameras.lay_on(
        rng, note, desk, float(rng.uniform(0.5, 1.2)), float(rng.uniform(-15, 15))
    )
    cameras.phone(rng, seen)
    return seen.to_scene(rng, "blank")


# Marks -----------------------------------------------------------------------------------------


def mark(draw: Callable[[Rng], Paths]) -> Kind:
    """Return the kind of one mark, anywhere that a digit might be."""

    def drawn(rng: Rng, _: Digits) -> Scene:
        paths = draw(rng)
        return compose.show(rng, lambda height: compose.written(rng, paths, height), "no digit")

    return Kind(drawn, "no digit")


def letter(rng: Rng, _: Digits) -> Scene:
    return compose.show(rng, lambda height: letters.letter(rng, height), "no digit", ready=0.2)


def word(rng: Rng, _: Digits) -> Scene:
    """A handwritten word that fills the picture's width."""
    coverage = letters.word(rng, compose.side(rng, 24, 80))
    height, width = coverage.shape
    more = rng.uniform(1.05, 1.6, 2)
    sheet = papers.any_paper(rng, round(height * more[0]) + 4, round(width * more[1]) + 4)
    compose.put(rng, sheet, coverage, papers.pen_for(rng, sheet), meant=False)
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, "no digit")


def printed_text(rng: Rng, _: Digits) -> Scene:
    """Part of a printed page or of a screen: several lines of words."""
    height = int(rng.integers(7, 22))
    sheet = papers.any_paper(rng, *compose.size(rng, 60, 220))
    ink = papers.printed_on(rng, sheet, float(rng.uniform(0.7, 1)))
    top = -height * rng.uniform(0, 1)
    while top < sheet.height:
        line = letters.printed_line(rng, height, 1 + round(sheet.width / height / 5))
        sheet.write(rng, line, -height * rng.uniform(0, 3), top, ink)
        top += height * 1.7
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, "no digit")


# Several digits, or none whole -----------------------------------------------------------------


_SQUARE = 0.3  # of the pictures of several digits


def number(
    rng: Rng, digits: Digits, count: int, gap: tuple[float, float]
) -> tuple[Sheet, tuple[float, float, float, float]]:
    """Return digits in a row on paper, with room around, and the box that they fill."""
    height = compose.side(rng, 32, 110)
    pen, slant = float(rng.uniform(0.04, 0.14)), float(rng.normal(0.05, 0.12))
    parts = [
        digits.take(rng, height=height * float(rng.uniform(0.85, 1.1)), pen=pen, slant=slant)[1]
        for _ in range(count)
    ]
    gaps = height * rng.uniform(*gap, count)
    total = sum(part.shape[1] for part in parts) + gaps[:-1].sum()
    tall = max(part.shape[0] for part in parts)
    left, top = height / 2, height / 4
    if rng.random() < _SQUARE:  # as square as pictures of one digit are
        top = max(top, (total + height - tall) / 2)
    sheet = papers.any_paper(rng, round(tall + 2 * top), round(total + 2 * left))
    ink = papers.pen_for(rng, sheet)
    box = (left, top, left + total, top + tall)
    for part, apart in zip(parts, gaps, strict=True):
        sheet.write(rng, part, left, top + (tall - part.shape[0]) * rng.uniform(0, 1), ink)
        left += part.shape[1] + apart
    return sheet, box


def cropped(rng: Rng, sheet: Sheet, box: tuple[float, float, float, float]) -> Scene:
    room = rng.uniform(-0.02, 1, 4) * (box[0], box[1], box[0], box[1])
    sheet.crop(box[0] - room[0], box[1] - room[1], box[2] + room[2], box[3] + room[3])
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, "several")


def two_apart(rng: Rng, digits: Digits) -> Scene:
    return cropped(rng, *number(rng, digits, 2, (0.08, 1.3)))


def number_in_a_cell(rng: Rng, digits: Digits) -> Scene:
    """Two or three digits within printed lines, as counts and years stand in forms."""
    sheet, _ = number(rng, digits, int(rng.integers(2, 4)), (-0.05, 0.5))
    printed = (
        cells.whole_frame,
        cells.cut_along_the_line,
        cells.one_sided_line,
        cells.table,
        cells.ruled,
        cells.base_line,
    )
    printed[rng.integers(len(printed))](rng, sheet)
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, "several")


def two_touch(rng: Rng, digits: Digits) -> Scene:
    return cropped(rng, *number(rng, digits, 2, (-0.12, 0.02)))


def neighbours_only(rng: Rng, digits: Digits) -> Scene:
    """The middle is empty; parts of digits reach in from the left and from the right."""
    height = compose.side(rng, 40, 110)
    sheet = papers.light_paper(
        rng, round(height * rng.uniform(1.1, 1.6)), round(height * rng.uniform(0.9, 1.8))
    )
    ink = papers.pen_for(rng, sheet)
    sides = (-1, 1) if rng.random() < 0.6 else (int(rng.choice([-1, 1])),)
    for side in sides:
        _, part = digits.take(rng, height=height)
        seen = min(part.shape[1] * rng.uniform(0.15, 0.55), 0.3 * sheet.width)
        x = seen - part.shape[1] if side < 0 else sheet.width - seen
        sheet.write(rng, part, x, (sheet.height - part.shape[0]) * rng.uniform(0.2, 0.8), ink)
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, "no digit")


# Other things ----------------------------------------------------------------------------------


def noise_only(rng: Rng, _: Digits) -> Scene:
    height, width = compose.size(rng, 20, 200)
    sheet = papers.flat(np.full(3, rng.uniform(60, 200), np.float32), height, width)
    values = noise.fine(rng, height, width)
    if rng.random() < 0.6:
        values = noise.clouds(rng, height, width, float(np.exp(rng.uniform(-1, 1.5))))
    sheet.pixels += (values * np.float32(rng.uniform(8, 70)))[..., None]
    if rng.random() < 0.3:
        cameras.jpeg(sheet, int(rng.integers(20, 80)))
    return sheet.to_scene(rng, "no digit")


def gradient(rng: Rng, _: Digits) -> Scene:
    """Colours that turn into others, straight or round."""
    height, width = compose.size(rng, 28, 200)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    ramp = x * np.cos(angle) + y * np.sin(angle)
    if rng.random() < 0.4:
        ramp = 2 * np.hypot(x - rng.uniform(-0.5, 0.5), y - rng.uniform(-0.5, 0.5)) - 1
    ramp = np.clip(ramp * rng.uniform(0.5, 2) / 2 + 0.5, 0, 1)[..., None]
    ends = rng.uniform(0, 255, (2, 3))
    sheet = Sheet(ends[0] + (ends[1] - ends[0]) * ramp)
    if rng.random() < 0.4:
        cameras.phone(rng, sheet)
    return sheet.to_scene(rng, "no digit")


def photo_like(rng: Rng, _: Digits) -> Scene:
    """Patches of clouds in several colours, as landscapes and rooms have; soft shapes over them."""
    height, width = compose.size(rng, 48, 240)
    sheet = papers.flat(rng.uniform(0, 255, 3).astype(np.float32), height, width)
    for _patch in range(rng.integers(3, 9)):
        alpha = noise.clouds(
            rng, height, width, float(np.exp(rng.uniform(0, 2))), float(rng.uniform(0.5, 3))
        )
        alpha = np.clip(alpha * rng.uniform(0.5, 4), 0, 1)[..., None] * np.float32(
            rng.uniform(0.3, 1)
        )
        sheet.pixels += (rng.uniform(0, 255, 3).astype(np.float32) - sheet.pixels) * alpha
    for _patch in range(rng.integers(0, 6)):
        _blob(rng, sheet)
    cameras.phone(rng, sheet)
    return sheet.to_scene(rng, "no digit", grey=0.3)


def _blob(rng: Rng, sheet: Sheet) -> None:
    """Set a patch with straight or round sides anywhere on the sheet."""
    mask = np.zeros((sheet.height, sheet.width), np.uint8)
    middle = rng.uniform(0, 1, 2) * (sheet.width, sheet.height)
    reach = rng.uniform(0.07, 0.4) * max(sheet.height, sheet.width) * rng.uniform(0.5, 1, 2)
    if rng.random() < 0.5:
        axes, turn = tuple(int(n) + 1 for n in reach), float(rng.uniform(0, 180))
        cv2.ellipse(mask, middle.astype(int).tolist(), axes, turn, 0, 360, 255, -1, cv2.LINE_AA)
    else:
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 7)))
        corners = middle + reach * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        cv2.fillPoly(mask, [corners.astype(np.int32)], 255, cv2.LINE_AA)
    tone = Ink(rng.uniform(0, 255, 3).astype(np.float32), float(rng.uniform(0.4, 1)))
    sheet.write(rng, mask.astype(np.float32) / 255, 0, 0, tone)


def filled_shape(rng: Rng, _: Digits) -> Scene:
    """A triangle, a square, a disc, a star, filled with one colour."""
    outline = marks.closed_shape(rng)
    low, high = outline.min(axis=0), outline.max(axis=0)

    def drawn(height: float) -> np.ndarray:
        points = (outline - low) * height
        size = np.ceil((high - low) * height).astype(int) + 1
        mask = np.zeros((size[1], size[0]), np.uint8)
        cv2.fillPoly(mask, [np.rint(points * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
        return mask.astype(np.float32) / 255

    return compose.show(rng, drawn, "no digit", share=(0.2, 0.95))


def thing(rng: Rng, _: Digits) -> Scene:
    """A photo of one thing, round or long, lit from aside, with its shadow on a plain ground."""
    height, width = compose.size(rng, 48, 220)
    sheet = papers.flat(rng.uniform(20, 245, 3).astype(np.float32), height, width)
    size = float(rng.uniform(0.15, 0.4)) * min(height, width)
    points = _round_outline(rng) * size + np.array([width, height]) * rng.uniform(0.35, 0.65, 2)
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.rint(points * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    whole = mask.astype(np.float32) / 255
    soft = cv2.GaussianBlur(whole, (0, 0), 0.15 * size + 1)
    fall = rng.normal(0, 0.3 * size, 2)
    shadow = Ink(np.zeros(3, np.float32), float(rng.uniform(0, 0.5)))
    sheet.write(rng, soft, fall[0], fall[1], shadow)
    sheet.write(rng, whole, 0, 0, Ink(rng.uniform(0, 255, 3).astype(np.float32)))
    light = np.roll(soft, rng.integers(-int(size) - 1, int(size) + 2, 2), (0, 1)) * whole
    sheet.write(rng, light, 0, 0, Ink(np.full(3, 255, np.float32), float(rng.uniform(0, 0.5))))
    cameras.phone(rng, sheet)
    return sheet.to_scene(rng, "no digit", grey=0.3)


def _round_outline(rng: Rng) -> np.ndarray:
    """Return a smooth outline about (0, 0), (48, 2), of about 1 in radius."""
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    reach = np.ones(48)
    for n in range(1, 5):
        reach += rng.normal(0, 0.3 / n) * np.cos(n * angle + rng.uniform(0, 6))
    turn, flat = rng.uniform(0, np.pi), float(np.exp(rng.uniform(-0.3, 0.3)))
    x, y = reach * np.cos(angle) * flat, reach * np.sin(angle) / flat
    cos, sin = np.cos(turn), np.sin(turn)
    return np.stack([x * cos - y * sin, x * sin + y * cos], axis=1)


def stripes(rng: Rng, _: Digits) -> Scene:
    """Straight stripes of two colours, at least four of them, in any direction."""
    height, width = compose.size(rng, 28, 200)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    angle = rng.choice([0, np.pi / 2, rng.uniform(0, np.pi)])
    period = max(height, width) / rng.uniform(4, 20)
    waves = np.cos(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period + rng.uniform(0, 6))
    alpha = np.clip(waves * rng.choice([0.5, 3, 20]) + 0.5, 0, 1)[..., None]
    ends = rng.uniform(0, 255, (2, 3))
    sheet = Sheet(ends[0] + (ends[1] - ends[0]) * alpha)
    if rng.random() < 0.4:
        cameras.phone(rng, sheet)
    return sheet.to_scene(rng, "no digit")


def barcode(rng: Rng, _: Digits) -> Scene:
    """Bars of a few widths, mostly with white around them."""
    bars = rng.integers(1, 5, int(rng.integers(24, 60)))
    row = np.repeat(np.arange(len(bars)) % 2, bars)[None, :].astype(np.float32)
    module = float(rng.uniform(1, 3))
    width = round(row.shape[1] * module)
    coverage = cv2.resize(1 - row, (width, max(8, round(width * rng.uniform(0.25, 0.9)))))
    more = rng.uniform(1, 1.4, 2)
    sheet = papers.light_paper(rng, round(coverage.shape[0] * more[0]), round(width * more[1]))
    compose.put(rng, sheet, coverage, papers.printed_on(rng, sheet, 1.0), meant=False)
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, "no digit")


def icon(rng: Rng, _: Digits) -> Scene:
    """A few flat shapes upon each other on one colour, small, with sharp borders."""
    side = compose.side(rng, 16, 128)
    sheet = papers.flat(
        rng.choice([rng.uniform(0, 255, 3), np.full(3, 255)]).astype(np.float32), side, side
    )
    for _patch in range(rng.integers(1, 6)):
        _blob(rng, sheet)
    return sheet.to_scene(rng, "no digit", grey=0.2)


KINDS = {
    "blank scan": Kind(blank_scan, "blank"),
    "blank photo": Kind(blank_photo, "blank"),
    "blank with specks": Kind(blank_with_specks, "blank"),
    "blank with an edge": Kind(blank_with_an_edge, "blank"),
    "tick": mark(marks.tick),
    "cross": mark(marks.cross),
    "operator": mark(marks.operator),
    "shape": mark(marks.shape),
    "scribble": mark(marks.scribble),
    "hatching": mark(marks.hatching),
    "punctuation": mark(marks.punctuation),
    "letter": Kind(letter, "no digit"),
    "word": Kind(word, "no digit"),
    "printed text": Kind(printed_text, "no digit"),
    "two digits apart": Kind(two_apart, "several"),
    "number in a cell": Kind(number_in_a_cell, "several"),
    "two digits that touch": Kind(two_touch, "several"),
    "neighbours only": Kind(neighbours_only, "no digit"),
    "noise": Kind(noise_only, "no digit"),
    "gradient": Kind(gradient, "no digit"),
    "photo": Kind(photo_like, "no digit"),
    "filled shape": Kind(filled_shape, "no digit"),
    "thing": Kind(thing, "no digit"),
    "stripes": Kind(stripes, "no digit"),
    "barcode": Kind(barcode, "no digit"),
    "icon": Kind(icon, "no digit"),
}
