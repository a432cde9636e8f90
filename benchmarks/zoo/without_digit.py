"""Kinds of picture without one digit that the judge never sees."""

from __future__ import annotations

import cv2
import numpy as np

from digit_classification.training.scenes import (
    cameras,
    compose,
    letters,
    lines,
    marks,
    noise,
    papers,
)
from digit_classification.training.scenes.kinds import cells, others
from digit_classification.training.scenes.kinds.cells import empty
from digit_classification.training.scenes.marks import Paths
from digit_classification.training.scenes.sheet import Ink, Kind, Rng, Scene, Sheet
from digit_classification.training.scenes.strokes import Digits

from . import mishaps, with_digit
from .beside import OTHER_FONTS
from .marks import other_shape, sign


def blank_folded(rng: Rng, _: Digits) -> Scene:
    sheet = papers.office(rng, *compose.size(rng, 64, 260))
    for _fold in range(rng.integers(1, 4)):
        mishaps.fold(rng, sheet)
    cameras.phone(rng, sheet)
    return sheet.to_scene(rng, "blank")


def blank_in_the_dark(rng: Rng, _: Digits) -> Scene:
    sheet = papers.light_paper(rng, *compose.size(rng, 64, 260))
    cameras.shade(rng, sheet, 0.4)
    sheet.pixels *= np.float32(rng.uniform(0.1, 0.4))
    cameras.grain(rng, sheet, float(rng.uniform(4, 12)), coloured=True)
    cameras.jpeg(sheet, int(rng.integers(40, 92)))
    return sheet.to_scene(rng, "blank")


def hair(rng: Rng, _: Digits) -> Scene:
    """A hair on an otherwise empty page: longer than a 1, curled, a pixel or two thick."""
    height = compose.side(rng, 300, 560)
    sheet = papers.office(rng, height, round(height * float(rng.uniform(0.6, 1.3))))
    long = min(sheet.height, sheet.width) * float(rng.uniform(0.25, 0.5))
    heading = np.cumsum(rng.normal(0, 0.5, 8)) + rng.uniform(0, 2 * np.pi)
    steps = long / 8 * np.stack([np.cos(heading), np.sin(heading)], axis=1)
    path = marks.curve(np.cumsum(steps, axis=0))
    path = path - path.min(axis=0) + 2
    columns, rows = np.ceil(path.max(axis=0) + 3).astype(int)
    coverage = np.zeros((rows, columns), np.uint8)
    points = np.rint(8 * path).astype(np.int32)
    thickness = int(rng.integers(1, 3))
    cv2.polylines(coverage, [points], False, 255, thickness, cv2.LINE_AA, shift=3)
    tone = papers.colour(rng, (20, 15, 10), (120, 90, 60))
    own = coverage.astype(np.float32) / 255
    compose.put(rng, sheet, own, Ink(tone), meant=False, stray=0.85)
    cameras.shade(rng, sheet, float(rng.uniform(0.03, 0.2)))
    cameras.blur(sheet, float(rng.uniform(0.3, 0.8)))
    cameras.jpeg(sheet, int(rng.integers(50, 92)))
    return sheet.to_scene(rng, "no digit", grey=0.2)


def letter(rng: Rng, _: Digits) -> Scene:
    """A letter of a hand that the judge has not seen."""
    fonts = OTHER_FONTS
    return compose.show(
        rng, lambda height: letters.letter(rng, height, fonts=fonts), "no digit", ready=0.2
    )


def handwritten_lines(rng: Rng, _: Digits) -> Scene:
    """Several lines of handwriting."""
    height = compose.side(rng, 14, 40)
    sheet = papers.light_paper(rng, *compose.size(rng, 100, 240))
    ink = papers.pen_for(rng, sheet)
    top = -height * rng.uniform(0, 1)
    while top < sheet.height:
        left = -height * rng.uniform(0, 2)
        while left < sheet.width:
            word = letters.word(rng, height, fonts=OTHER_FONTS)
            sheet.write(rng, word, left, top, ink)
            left += word.shape[1] + 0.6 * height
        top += 1.9 * height
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, "no digit")


def signature(rng: Rng, _: Digits) -> Scene:
    """A name that runs out into a line, with a flourish below."""
    end, height = rng.uniform(1.5, 2.8), rng.uniform(0.15, 0.3)
    count = int(rng.integers(7, 14))
    x = np.linspace(0.3, end, count)
    y = 0.7 - height * (np.arange(count) % 2) * rng.uniform(0.4, 1, count)
    first = [(0.35, 0.9), (0, 0.3), (0.3, 0), (0.35, 0.5), (0.15, 0.7)]
    name = marks.curve(np.concatenate([first, np.stack([x, y], 1), [(end + 0.6, 0.65)]]))
    flourish = marks.curve([(end, 0.9), (0.4, 1), (end * 0.7, 0.85)])
    paths: Paths = [name, flourish] if rng.random() < 0.6 else [name]
    return compose.show(
        rng, lambda height: compose.written(rng, paths, height, 0.05), "no digit", share=(0.2, 0.5)
    )


def tick_in_a_box(rng: Rng, _: Digits) -> Scene:
    return _in_a_box(rng, marks.tick(rng))


def cross_in_a_box(rng: Rng, _: Digits) -> Scene:
    return _in_a_box(rng, marks.cross(rng))


def _in_a_box(rng: Rng, paths: Paths) -> Scene:
    sheet = papers.light_paper(rng, *compose.size(rng, 32, 160))
    boxes = (cells.whole_frame, cells.cut_along_the_line, cells.faint_frame)
    boxes[rng.integers(3)](rng, sheet)
    side = min(sheet.height, sheet.width) * float(rng.uniform(0.35, 0.65))
    coverage = compose.written(rng, paths, side, float(rng.uniform(0.05, 0.14)))
    compose.put(rng, sheet, coverage, papers.pen_for(rng, sheet), meant=False, stray=0.3)
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, "no digit")


def two_between_lines(rng: Rng, digits: Digits) -> Scene:
    """A mark of two digits between the lines of a table."""
    sheet, box = others.number(rng, digits, 2, (0.06, 0.5))
    ink = papers.printed_on(rng, sheet)
    width = max(0.8, sheet.height * float(rng.uniform(0.008, 0.03)))
    over = float(sheet.width)
    lines.frame(rng, sheet, _around(rng, box), width, ink, sides="tb", over=over)
    return others.cropped(rng, sheet, (box[0], 0, box[2], sheet.height))


def _around(rng: Rng, box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    gap = box[1] * float(rng.uniform(0.3, 0.8))
    return box[0], box[1] - gap, box[2], box[3] + gap


def three_digits(rng: Rng, digits: Digits) -> Scene:
    return others.cropped(rng, *others.number(rng, digits, 3, (0.03, 0.3)))


def qr_code(rng: Rng, _: Digits) -> Scene:
    """Random modules with the three position marks of a QR code."""
    count = int(rng.choice([21, 25, 29]))
    modules = rng.random((count, count)) < 0.5
    mark = np.ones((8, 8), bool)
    mark[7, :] = mark[:, 7] = False
    mark[1:6, 1:6] = False
    mark[2:5, 2:5] = True
    modules[:8, :8] = mark
    modules[:8, -8:] = mark[:, ::-1]
    modules[-8:, :8] = mark[::-1]
    side = count * int(rng.integers(2, 7))
    coverage = cv2.resize(modules.astype(np.float32), (side, side), interpolation=cv2.INTER_NEAREST)
    more = round(side * float(rng.uniform(1, 1.3)))
    sheet = papers.white(rng, more, more)
    compose.put(rng, sheet, coverage, Ink(np.zeros(3, np.float32)), meant=False)
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, "no digit")


def face(rng: Rng, _: Digits) -> Scene:
    """A head of skin, hair and shadows before a soft background."""
    height, width = compose.size(rng, 48, 200)
    sheet = papers.flat(rng.uniform(20, 235, 3).astype(np.float32), height, width)
    sheet.pixels += (noise.clouds(rng, height, width, 3) * 15)[..., None]
    skin = papers.colour(rng, (90, 60, 45), (240, 205, 180))
    middle, reach = np.array([width, height]) * rng.uniform(0.42, 0.58, 2), 0.3 * min(height, width)
    parts = [  # place and size in parts of the head, colour
        ((0, -0.35), (1.05, 1.1), papers.colour(rng, (20, 15, 10), (150, 110, 60))),
        ((0, 1.7), (1.6, 0.9), rng.uniform(0, 255, 3).astype(np.float32)),
        ((0, 0), (0.8, 1.1), skin),
        ((-0.33, -0.15), (0.14, 0.08), skin * 0.3),
        ((0.33, -0.15), (0.14, 0.08), skin * 0.3),
        ((0, 0.15), (0.1, 0.22), skin * 0.85),
        ((0, 0.55), (0.3, 0.09), skin * np.array([0.8, 0.5, 0.5], np.float32)),
    ]
    for place, size, tone in parts:
        mask = np.zeros((height, width), np.uint8)
        at = (middle + np.array(place) * reach).astype(int).tolist()
        axes = [max(1, int(n * reach)) for n in size]
        cv2.ellipse(mask, at, axes, float(rng.normal(0, 5)), 0, 360, 255, -1, cv2.LINE_AA)
        soft = cv2.GaussianBlur(mask, (0, 0), 0.05 * reach + 0.3)
        sheet.write(rng, soft.astype(np.float32) / 255, 0, 0, Ink(tone.astype(np.float32)))
    cameras.phone(rng, sheet)
    return sheet.to_scene(rng, "no digit")


def halftone(rng: Rng, _: Digits) -> Scene:
    """A grey picture made of dots of several sizes."""
    height, width = compose.size(rng, 64, 220)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    angle, period = rng.uniform(0, np.pi / 2), float(rng.uniform(4, 10))
    a = (x * np.cos(angle) + y * np.sin(angle)) * (2 * np.pi / period)
    b = (y * np.cos(angle) - x * np.sin(angle)) * (2 * np.pi / period)
    grey = noise.clouds(rng, height, width, 3) * 0.6
    dots = np.clip((np.cos(a) * np.cos(b) + grey) * 3 + 0.5, 0, 1)[..., None]
    tone = papers.colour(rng, (0, 0, 0), (90, 60, 120))
    sheet = Sheet(np.float32(250) + (tone - 250) * dots.astype(np.float32))
    if rng.random() < 0.4:
        cameras.phone(rng, sheet)
    return sheet.to_scene(rng, "no digit")


def checkerboard(rng: Rng, _: Digits) -> Scene:
    """Two or many colours in squares or bricks."""
    height, width = compose.size(rng, 24, 200)
    rows, columns = rng.integers(2, 12, 2)
    many = rng.random() < 0.4
    tones = rng.uniform(0, 255, (rows, columns, 3) if many else (2, 3)).astype(np.float32)
    board = tones if many else tones[np.add.outer(np.arange(rows), np.arange(columns)) % 2]
    sheet = Sheet(cv2.resize(board, (width, height), interpolation=cv2.INTER_NEAREST))
    if rng.random() < 0.4:
        cameras.phone(rng, sheet)
    return sheet.to_scene(rng, "no digit")


def chart(rng: Rng, _: Digits) -> Scene:
    """A line or bars between two axes."""
    sheet = papers.white(rng, *compose.size(rng, 64, 220))
    height, width = sheet.height, sheet.width
    dark = Ink(np.full(3, 40, np.float32))
    tone = Ink(papers.colour(rng, (20, 60, 150), (220, 90, 60)))
    thick = max(0.8, 0.012 * height)
    axes = (0.12 * width, 0.08 * height, 0.95 * width, 0.88 * height)
    lines.frame(rng, sheet, axes, thick, dark, sides="lb")
    count = int(rng.integers(4, 12))
    x = np.linspace(0.15, 0.92, count) * width
    y = (0.85 - 0.7 * np.clip(np.cumsum(rng.normal(0, 0.25, count)) + 0.4, 0.02, 1)) * height
    for i in range(count - 1):
        if count % 2:
            lines.stroke(rng, sheet, (x[i], y[i], x[i + 1], y[i + 1]), 1.5 * thick, tone)
        else:
            lines.stroke(rng, sheet, (x[i], 0.87 * height, x[i], y[i]), 0.4 * width / count, tone)
    if rng.random() < 0.4:
        cameras.phone(rng, sheet)
    return sheet.to_scene(rng, "no digit", grey=0.2)


def window(rng: Rng, _: Digits) -> Scene:
    """A screenshot: a title bar, a menu, buttons and lines of text."""
    sheet = (papers.black if rng.random() < 0.4 else papers.white)(rng, *compose.size(rng, 90, 240))
    text = papers.printed_on(rng, sheet, 1.0)
    bar = Ink(rng.uniform(30, 225, 3).astype(np.float32))
    size = max(6, round(sheet.height * float(rng.uniform(0.05, 0.09))))
    sheet.write(rng, np.ones((2 * size, sheet.width), np.float32), 0, 0, bar)
    sheet.write(rng, letters.printed(letters.any_word(rng), size), size, size * 0.5, text)
    top = 3.0 * size
    while top < sheet.height:
        chance, left = rng.random(), size * float(rng.choice([1, 1, 3]))
        if chance < 0.6:
            sheet.write(
                rng, letters.printed_line(rng, size, int(rng.integers(1, 6))), left, top, text
            )
        elif chance < 0.85:
            sheet.write(rng, np.ones((2 * size, 5 * size), np.float32), left, top, bar)
            sheet.write(rng, letters.printed("ok", size), left + size, top + size * 0.4, text)
            top += size
        top += 1.8 * size
    return sheet.to_scene(rng, "no digit", grey=0.2)


KINDS = {
    "blank, folded": Kind(blank_folded, "blank"),
    "blank, in the dark": Kind(blank_in_the_dark, "blank"),
    "hair on a page": Kind(hair, "no digit"),
    "empty: lines cross in a corner": Kind(
        lambda rng, _: empty(rng, with_digit.corner_lines), "blank"
    ),
    "empty: dotted base line": Kind(lambda rng, _: empty(rng, cells.base_line), "blank"),
    "empty: comb": Kind(lambda rng, _: empty(rng, with_digit.comb), "blank"),
    "sign": others.mark(sign),
    "other shape": others.mark(other_shape),
    "tick in a box": Kind(tick_in_a_box, "no digit"),
    "cross in a box": Kind(cross_in_a_box, "no digit"),
    "letter, other hands": Kind(letter, "no digit"),
    "lines of handwriting": Kind(handwritten_lines, "no digit"),
    "signature": Kind(signature, "no digit"),
    "two digits between lines": Kind(two_between_lines, "several"),
    "three digits": Kind(three_digits, "several"),
    "QR code": Kind(qr_code, "no digit"),
    "face": Kind(face, "no digit"),
    "halftone": Kind(halftone, "no digit"),
    "checkerboard": Kind(checkerboard, "no digit"),
    "chart": Kind(chart, "no digit"),
    "window of a program": Kind(window, "no digit"),
}
