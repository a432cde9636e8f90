"""Kinds of picture with one digit: how it was cut out, padded, and what else is in view."""

from __future__ import annotations

import numpy as np

from .. import cameras, compose, letters, marks, papers
from ..compose import digit_on
from ..sheet import Ink, Kind, Rng, Scene, Sheet
from ..strokes import Digits

_LONG = (1, 4, 7, 9)  # digits with a stem


def photo_of_digit(
    rng: Rng,
    digits: Digits,
    label: int | None = None,
    margin: tuple[float, float] = (0.05, 0.35),
    pen: float | None = None,
) -> tuple[Sheet, int]:
    """Return a photo of a digit on paper, cut to its ink and some margin."""
    height = compose.side(rng, 48, 180)
    sheet = papers.light_paper(rng, 2 * height, 2 * height)
    label = digit_on(rng, digits, sheet, label=label, share=(0.5, 0.5), pen=pen, stray=0)
    cameras.phone(rng, sheet)
    cut(rng, sheet, margin)
    return sheet, label


def cut(rng: Rng, sheet: Sheet, margin: tuple[float, float]) -> None:
    """Cut a sheet to its ink and, on each side, a margin in parts of the ink's longer side."""
    left, top, right, bottom = sheet.box()
    room = max(right - left, bottom - top) * rng.uniform(*margin, 4)
    sheet.crop(left - room[0], top - room[1], right + room[2], bottom + room[3])


def _thin_or_not(rng: Rng) -> float:
    """Return the width of a pen, in parts of the digit's height, of which half are fine ones."""
    return float(np.exp(rng.uniform(np.log(0.015), np.log(0.1))))


def _pad_to_square(sheet: Sheet, colour: np.ndarray, more: float) -> None:
    side = round(max(sheet.height, sheet.width) * (1 + more))
    cameras.pad(sheet, colour, side, side)


def padded_with_white(rng: Rng, digits: Digits) -> Scene:
    sheet, label = photo_of_digit(rng, digits)
    _pad_to_square(sheet, np.full(3, 255, np.float32), float(rng.choice([0, 0, 0.2, 0.5])))
    return sheet.to_scene(rng, str(label))


def padded_with_black(rng: Rng, digits: Digits) -> Scene:
    sheet, label = photo_of_digit(rng, digits)
    _pad_to_square(sheet, np.zeros(3, np.float32), float(rng.choice([0, 0, 0.2, 0.5])))
    return sheet.to_scene(rng, str(label))


def narrow_padded(rng: Rng, digits: Digits) -> Scene:
    """A narrow cut of a 1, 4, 7 or 9, set in a square of white, black or grey."""
    sheet, label = photo_of_digit(rng, digits, int(rng.choice(_LONG)), (0.0, 0.12))
    level = float(rng.choice([0, 128, 255]))
    _pad_to_square(sheet, np.full(3, level, np.float32), 0)
    return sheet.to_scene(rng, str(label))


def narrow(rng: Rng, digits: Digits) -> Scene:
    """A narrow cut of a 1, 4, 7 or 9, mostly higher than wide: a bare 1 is no printed line."""
    label, pen = int(rng.choice(_LONG)), _thin_or_not(rng)
    sheet, label = photo_of_digit(rng, digits, label, (0.03, 0.35), pen)
    return sheet.to_scene(rng, str(label))


def tight(rng: Rng, digits: Digits) -> Scene:
    """The ink touches all borders."""
    height = compose.side(rng, 24, 180)
    sheet = papers.any_paper(rng, 2 * height, 2 * height)
    label = digit_on(rng, digits, sheet, share=(0.5, 0.5), stray=0)
    cut(rng, sheet, (-0.01, 0.02))
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, str(label))


def coarse(rng: Rng, digits: Digits) -> Scene:
    """The ink touches all borders, and is 8 to 14 pixels high, as in the oldest data sets."""
    paper, ink = (255.0 * x for x in rng.permutation([0, 1]))
    sheet = papers.flat(np.full(3, paper, np.float32), 96, 96)
    pen = Ink(np.full(3, ink, np.float32))
    label = digit_on(
        rng, digits, sheet, ink=pen, share=(0.8, 0.8), pen=float(rng.uniform(0.08, 0.2))
    )
    cut(rng, sheet, (0.0, 0.02))
    if rng.random() < 0.6:
        _pad_to_square(sheet, np.full(3, paper, np.float32), 0)
    cameras.shrink(sheet, int(rng.integers(8, 15)))
    return sheet.to_scene(rng, str(label), grey=1)


def stem_as_long_as_the_picture(rng: Rng, digits: Digits) -> Scene:
    """A 1, or the stem of a 4, 7 or 9, from the upper border to the lower one."""
    height = compose.side(rng, 48, 240)
    sheet = papers.light_paper(rng, 2 * height, 2 * height)
    pen = _thin_or_not(rng)
    label = digit_on(
        rng, digits, sheet, label=int(rng.choice(_LONG)), share=(0.5, 0.5), pen=pen, stray=0
    )
    left, top, right, bottom = sheet.box()
    room = (bottom - top) * rng.uniform(0.05, 0.6, 2)
    inside = (bottom - top) * rng.uniform(-0.01, 0.03, 2)
    sheet.crop(left - room[0], top + inside[0], right + room[1], bottom - inside[1])
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, str(label))


def cut_into(rng: Rng, digits: Digits) -> Scene:
    """A little of the digit lies outside of the picture, on one side."""
    height = compose.side(rng, 48, 180)
    sheet = papers.light_paper(rng, 2 * height, 2 * height)
    label = digit_on(rng, digits, sheet, share=(0.5, 0.5), stray=0)
    left, top, right, bottom = sheet.box()
    room = (bottom - top) * rng.uniform(0.05, 0.4, 4)
    room[rng.integers(4)] *= -0.2
    sheet.crop(left - room[0], top - room[1], right + room[2], bottom + room[3])
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, str(label))


def aside_on_a_wide_picture(rng: Rng, digits: Digits) -> Scene:
    height = compose.side(rng, 48, 160)
    sheet = papers.any_paper(rng, height, round(height * rng.uniform(1.5, 3)))
    label = digit_on(rng, digits, sheet, share=(0.4, 0.85), stray=0.95)
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, str(label))


def in_a_corner(rng: Rng, digits: Digits) -> Scene:
    sheet = papers.any_paper(rng, *compose.size(rng, 64, 240))
    across, down = rng.choice([0.25, 0.75], 2).tolist()
    middle = (across, down)
    label = digit_on(rng, digits, sheet, share=(0.25, 0.42), stray=0.1, middle=middle)
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, str(label))


# A desk around the paper -----------------------------------------------------------------------


def note_on_a_desk(rng: Rng, digits: Digits) -> Scene:
    """A white or yellow note on a dark desk, its edges in view."""
    height = compose.side(rng, 90, 220)
    note = papers.office(rng, height, round(height * rng.uniform(0.8, 1.3)))
    if rng.random() < 0.4:
        note = papers.flat(
            papers.colour(rng, (225, 205, 70), (255, 240, 130)), note.height, note.width
        )
    label = digit_on(rng, digits, note, share=(0.3, 0.7), pen=float(rng.uniform(0.03, 0.12)))
    side = compose.size(rng, 120, 240)
    desk = papers.wood(rng, *side, dark=True) if rng.random() < 0.7 else papers.black(rng, *side)
    share = float(rng.uniform(0.45, 0.85)) * min(1.0, desk.width / desk.height)
    seen = cameras.lay_on(rng, note, desk, share, float(rng.uniform(-15, 15)))
    cameras.phone(rng, seen)
    return seen.to_scene(rng, str(label), grey=0.2)


def note_on_wood(rng: Rng, digits: Digits) -> Scene:
    """A note on a wooden desk that is neither light nor dark."""
    height = compose.side(rng, 90, 220)
    note = papers.light_paper(rng, height, round(height * rng.uniform(0.8, 1.3)))
    label = digit_on(rng, digits, note, share=(0.3, 0.7), pen=float(rng.uniform(0.03, 0.12)))
    desk = papers.wood(rng, *compose.size(rng, 120, 240), dark=False)
    share = float(rng.uniform(0.45, 0.85)) * min(1.0, desk.width / desk.height)
    seen = cameras.lay_on(rng, note, desk, share, float(rng.uniform(-15, 15)))
    cameras.phone(rng, seen)
    return seen.to_scene(rng, str(label), grey=0.2)


def edge_of_the_paper(rng: Rng, digits: Digits) -> Scene:
    """On one side the paper ends and the desk begins."""
    sheet = papers.light_paper(rng, *compose.size(rng, 80, 240))
    label = digit_on(rng, digits, sheet, share=(0.3, 0.6), stray=0.2)
    turns = int(rng.integers(4))
    height, width = (sheet.height, sheet.width) if turns % 2 == 0 else (sheet.width, sheet.height)
    dark = rng.random() < 0.7
    desk = papers.wood(rng, height, width, dark=dark)
    x = np.arange(width, dtype=np.float32) - rng.uniform(0.03, 0.14) * width
    y = (np.arange(height, dtype=np.float32)[:, None] - height / 2) * np.float32(
        rng.normal(0, 0.04)
    )
    alpha = np.rot90(np.clip(0.5 - (x + y), 0, 1), turns)[..., None]
    sheet.pixels += (np.rot90(desk.pixels, turns) - sheet.pixels) * alpha
    cameras.phone(rng, sheet)
    return sheet.to_scene(rng, str(label))


# Something else in the picture -----------------------------------------------------------------


def page_number(rng: Rng, digits: Digits) -> Scene:
    """A small printed number or word in a corner."""
    sheet = papers.light_paper(rng, *compose.size(rng, 90, 260))
    label = digit_on(rng, digits, sheet, share=(0.35, 0.6), stray=0.25)
    text = str(rng.integers(2, 400)) if rng.random() < 0.5 else letters.any_word(rng)
    small = letters.printed(text, max(5, round(sheet.height * rng.uniform(0.04, 0.08))))
    ink = papers.printed_on(rng, sheet)
    x = sheet.width * 0.03 if rng.random() < 0.5 else sheet.width * 0.97 - small.shape[1]
    y = sheet.height * 0.03 if rng.random() < 0.5 else sheet.height * 0.97 - small.shape[0]
    sheet.write(rng, small, x, y, ink)
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, str(label))


def stroke_in_a_corner(rng: Rng, digits: Digits) -> Scene:
    """A short stroke that belongs to something else, in a corner or at a border."""
    sheet = papers.light_paper(rng, *compose.size(rng))
    ink = papers.pen_for(rng, sheet)
    label = digit_on(rng, digits, sheet, ink=ink, share=(0.4, 0.65), stray=0.25)
    length = float(rng.uniform(0.06, 0.2)) * sheet.height
    mark = compose.written(
        rng, marks.minus(rng) if rng.random() < 0.5 else [marks.line(0, 0, 0.2, 1)], length, 0.2
    )
    along = rng.uniform(0, 1)
    places = [(0.0, along), (1.0, along), (along, 0.0), (along, 1.0)]
    x, y = places[rng.integers(4)]
    sheet.write(
        rng, mark, x * sheet.width - mark.shape[1] / 2, y * sheet.height - mark.shape[0] / 2, ink
    )
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, str(label))


def specks_at_the_border(rng: Rng, digits: Digits) -> Scene:
    sheet = papers.light_paper(rng, *compose.size(rng))
    label = digit_on(rng, digits, sheet, share=(0.4, 0.7), stray=0.3)
    ink = papers.pen_for(rng, sheet)
    for _ in range(rng.integers(2, 9)):
        speck = compose.written(rng, [marks.arc(0, 0, 0.03, 0.05)], sheet.height * 0.3, 0.12)
        along, side = rng.uniform(0, 1), rng.integers(4)
        x, y = [(0.01, along), (0.98, along), (along, 0.01), (along, 0.98)][side]
        sheet.write(
            rng,
            speck,
            x * sheet.width - speck.shape[1] / 2,
            y * sheet.height - speck.shape[0] / 2,
            ink,
        )
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, str(label))


def scribble_beside(rng: Rng, digits: Digits) -> Scene:
    """Something was scribbled beside or crossed out; the digit stands free."""
    height = compose.side(rng, 60, 160)
    sheet = papers.light_paper(rng, height, 2 * height)
    left = rng.random() < 0.5
    ink = papers.pen_for(rng, sheet)
    label = digit_on(rng, digits, sheet, share=(0.5, 0.75), ink=ink, stray=0.1)
    begin, _, end, _ = sheet.box()
    drawn = compose.written(
        rng, marks.hatching(rng) if rng.random() < 0.5 else marks.scribble(rng), height * 0.5, 0.06
    )
    x = begin - drawn.shape[1] - height * 0.08 if left else end + height * 0.08
    sheet.write(rng, drawn, x, height * rng.uniform(0.1, 0.4), ink)
    sheet.crop(
        begin - height * rng.uniform(0.15, 0.5), 0, end + height * rng.uniform(0.15, 0.5), height
    )
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, str(label))


KINDS = {
    "padded with white": Kind(padded_with_white, "digit"),
    "padded with black": Kind(padded_with_black, "digit"),
    "narrow cut, padded to a square": Kind(narrow_padded, "digit"),
    "narrow cut": Kind(narrow, "digit"),
    "tight cut": Kind(tight, "digit"),
    "coarse cut": Kind(coarse, "digit"),
    "stem as long as the picture": Kind(stem_as_long_as_the_picture, "digit"),
    "cut into": Kind(cut_into, "digit"),
    "aside on a wide picture": Kind(aside_on_a_wide_picture, "digit"),
    "in a corner": Kind(in_a_corner, "digit"),
    "note on a dark desk": Kind(note_on_a_desk, "digit"),
    "note on wood": Kind(note_on_wood, "digit"),
    "edge of the paper": Kind(edge_of_the_paper, "digit"),
    "page number in a corner": Kind(page_number, "digit"),
    "stroke in a corner": Kind(stroke_in_a_corner, "digit"),
    "specks at the border": Kind(specks_at_the_border, "digit"),
    "scribble beside": Kind(scribble_beside, "digit"),
}
