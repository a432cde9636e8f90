"""Kinds of picture with one digit that the judge never sees."""

from __future__ import annotations

import cv2
import numpy as np

from digit_classification.training.scenes import cameras, compose, lines, noise, papers
from digit_classification.training.scenes.compose import digit_on
from digit_classification.training.scenes.kinds import cells, cuts
from digit_classification.training.scenes.kinds.cells import filled
from digit_classification.training.scenes.sheet import Ink, Kind, Rng, Scene, Sheet
from digit_classification.training.scenes.strokes import Digits

from . import mishaps

# Media -----------------------------------------------------------------------------------------


def highlighter(rng: Rng, digits: Digits) -> Scene:
    """Bright, transparent ink that is hardly darker than the paper."""
    paper = papers.white if rng.random() < 0.5 else papers.office
    sheet = paper(rng, *compose.size(rng, 64, 240))
    tones = [(235, 240, 40), (120, 235, 90), (250, 130, 190), (250, 170, 60), (90, 205, 240)]
    tone = np.array(tones[rng.integers(5)], np.float32) * (sheet.pixels.mean() / 255)
    ink = Ink(tone.astype(np.float32), float(rng.uniform(0.7, 0.95)))
    label = digit_on(
        rng, digits, sheet, ink=ink, pen=float(rng.uniform(0.11, 0.18)), share=(0.5, 0.85)
    )
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, str(label), grey=0)


def brush(rng: Rng, digits: Digits) -> Scene:
    """A brush: wide strokes that end ragged, wet in places."""
    sheet = papers.light_paper(rng, *compose.size(rng, 64, 240))
    height = min(sheet.height, sheet.width) * float(rng.uniform(0.5, 0.8))
    label, coverage = digits.take(rng, height=height, pen=float(rng.uniform(0.13, 0.18)))
    streaks = noise.clouds(rng, coverage.shape[0], coverage.shape[1], 0.3, 4)
    wet = 1 - np.clip(streaks - rng.uniform(0.3, 1.5), 0, 0.75)
    ink = Ink(papers.colour(rng, (5, 5, 10), (50, 40, 60)), float(rng.uniform(0.75, 1)))
    place = compose.put(rng, sheet, coverage * wet, ink, meant=False)
    sheet.write(rng, coverage, place[0], place[1], Ink(ink.colour, 0.0), meant=True)
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, str(label))


def folded(rng: Rng, digits: Digits) -> Scene:
    sheet = papers.office(rng, *compose.size(rng, 80, 240))
    label = digit_on(rng, digits, sheet)
    for _ in range(rng.integers(1, 4)):
        mishaps.fold(rng, sheet)
    cameras.phone(rng, sheet)
    return sheet.to_scene(rng, str(label))


def low_light(rng: Rng, digits: Digits) -> Scene:
    """Dark, and full of coloured noise."""
    sheet = papers.light_paper(rng, *compose.size(rng, 80, 240))
    label = digit_on(rng, digits, sheet)
    cameras.shade(rng, sheet, 0.3)
    sheet.pixels *= np.float32(rng.uniform(0.18, 0.45))
    cameras.grain(rng, sheet, float(rng.uniform(4, 11)), coloured=True)
    cameras.jpeg(sheet, int(rng.integers(60, 92)))
    return sheet.to_scene(rng, str(label), grey=0.2)


def shaken(rng: Rng, digits: Digits) -> Scene:
    sheet = papers.light_paper(rng, *compose.size(rng, 64, 240))
    label = digit_on(rng, digits, sheet, pen=float(rng.uniform(0.06, 0.15)))
    mishaps.shake(rng, sheet, float(rng.uniform(0.03, 0.09)) * min(sheet.height, sheet.width))
    cameras.phone(rng, sheet)
    return sheet.to_scene(rng, str(label))


def dark_screen(rng: Rng, digits: Digits) -> Scene:
    """A photo of a screen in dark mode."""
    sheet = papers.black(rng, *compose.size(rng, 90, 280))
    sheet.pixels += 18
    label = digit_on(rng, digits, sheet)
    cameras.screen(rng, sheet, 0.25)
    cameras.glare(rng, sheet)
    cameras.phone(rng, sheet)
    return sheet.to_scene(rng, str(label), grey=0.2)


def stretched(rng: Rng, digits: Digits) -> Scene:
    """Cut to its ink and stretched to 16x16, as old collections of digits are."""
    sheet = papers.any_paper(rng, 160, 160)
    label = digit_on(rng, digits, sheet, share=(0.5, 0.5), pen=float(rng.uniform(0.07, 0.16)))
    if label == 1:  # a stroke stretched to a square is a black square
        cuts.cut(rng, sheet, (0.15, 0.3))
    else:
        cuts.cut(rng, sheet, (-0.01, 0.04))
    sheet.resize(16, 16)
    return sheet.to_scene(rng, str(label), grey=0.9)


def dithered(rng: Rng, digits: Digits) -> Scene:
    """Grey that was made of black and white dots, in Bayer's order of 1973."""
    sheet = papers.white(rng, *compose.size(rng, 64, 200))
    ink = Ink(papers.colour(rng, (0, 0, 0), (50, 50, 70)))
    pen = float(rng.uniform(0.08, 0.17))
    label = digit_on(rng, digits, sheet, ink=ink, pen=pen, share=(0.5, 0.85))
    cameras.shade(rng, sheet, 0.15)
    order = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]], np.float32)
    level = np.tile((order + 0.5) * 16, (sheet.height // 4 + 1, sheet.width // 4 + 1))
    grey = cv2.cvtColor(np.clip(sheet.pixels, 0, 255), cv2.COLOR_RGB2GRAY)
    dots = grey > level[: sheet.height, : sheet.width]
    sheet.pixels = np.repeat(dots[..., None], 3, 2).astype(np.float32) * 255
    return sheet.to_scene(rng, str(label), grey=1)


# Cuts and places -------------------------------------------------------------------------------


def padded_with_its_mean(rng: Rng, digits: Digits) -> Scene:
    """Set in a square of the cut's mean colour, or of mid-grey, as training scripts do."""
    sheet, label = cuts.photo_of_digit(rng, digits)
    mean = sheet.pixels.mean((0, 1)) if rng.random() < 0.6 else np.full(3, 114, np.float32)
    side = round(max(sheet.height, sheet.width) * float(rng.choice([1, 1, 1.3])))
    cameras.pad(sheet, mean, side, side)
    return sheet.to_scene(rng, str(label))


def letterbox(rng: Rng, digits: Digits) -> Scene:
    """A bar of white, black or grey on one side, or on two that face each other."""
    sheet, label = cuts.photo_of_digit(rng, digits)
    level = np.full(3, float(rng.choice([0, 255, 114])), np.float32)
    share = rng.uniform(0.08, 0.3, 2) * (1, rng.integers(2))
    first, last = (round(n * sheet.height) for n in share)
    whole = papers.flat(level, sheet.height + first + last, sheet.width)
    whole.pixels[first : first + sheet.height] = sheet.pixels
    whole.ink[first : first + sheet.height] = sheet.ink
    if rng.random() < 0.5:
        across = papers.flat(level, sheet.height, sheet.width + first + last)
        across.pixels[:, first : first + sheet.width] = sheet.pixels
        across.ink[:, first : first + sheet.width] = sheet.ink
        whole = across
    return whole.to_scene(rng, str(label))


def note_on_cloth(rng: Rng, digits: Digits) -> Scene:
    """A note on a checked cloth."""
    height = compose.side(rng, 90, 220)
    note = papers.office(rng, height, round(height * rng.uniform(0.8, 1.3)))
    label = digit_on(rng, digits, note, share=(0.35, 0.7), pen=float(rng.uniform(0.04, 0.12)))
    cloth = papers.flat(
        papers.colour(rng, (60, 60, 60), (150, 150, 150)), *compose.size(rng, 120, 240)
    )
    gap = cloth.height / float(rng.uniform(4, 10))
    thread = Ink(rng.uniform(0, 255, 3).astype(np.float32), float(rng.uniform(0.3, 0.6)))
    lines.squares(rng, cloth, gap, gap / 2, thread)
    share = float(rng.uniform(0.55, 0.85)) * min(1.0, cloth.width / cloth.height)
    seen = cameras.lay_on(rng, note, cloth, share, float(rng.uniform(-15, 15)))
    cameras.phone(rng, seen)
    return seen.to_scene(rng, str(label), grey=0.2)


def striped_background(rng: Rng, digits: Digits) -> Scene:
    sheet = papers.light_paper(rng, *compose.size(rng, 64, 240))
    y, x = np.mgrid[: sheet.height, : sheet.width].astype(np.float32)
    angle = rng.uniform(0, np.pi)
    period = sheet.height / rng.uniform(4, 14)
    waves = np.cos(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / period)
    waves = np.clip(waves * rng.choice([1, 8]), -1, 1) * rng.uniform(6, 18)
    sheet.pixels += waves.astype(np.float32)[..., None]
    dark = Ink(papers.colour(rng, (0, 0, 0), (40, 40, 60)), float(rng.uniform(0.85, 1)))
    label = digit_on(rng, digits, sheet, ink=dark, pen=float(rng.uniform(0.06, 0.15)))
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, str(label))


# Lines -----------------------------------------------------------------------------------------


def corner_lines(rng: Rng, sheet: Sheet) -> None:
    """Two lines cross in one corner and go on to the borders."""
    width = cells.line_width(rng, sheet)
    x, y = rng.uniform(0.03, 0.14, 2) * min(sheet.height, sheet.width)
    x = x if rng.random() < 0.5 else sheet.width - x
    y = y if rng.random() < 0.5 else sheet.height - y
    ink = papers.printed_on(rng, sheet)
    lines.stroke(rng, sheet, (x, 0, x, sheet.height), width, ink)
    lines.stroke(rng, sheet, (0, y, sheet.width, y), width, ink)


def double_frame(rng: Rng, sheet: Sheet) -> None:
    """Two frames, one inside of the other."""
    ink, width = papers.printed_on(rng, sheet), cells.line_width(rng, sheet) * 0.6
    inset = float(rng.uniform(0, 0.06)) * min(sheet.height, sheet.width)
    for more in (0, float(rng.uniform(2, 4)) * width):
        d = inset + more
        lines.frame(rng, sheet, (d, d, sheet.width - d, sheet.height - d), width, ink)


def comb(rng: Rng, sheet: Sheet) -> None:
    """A field of a form that is divided by short teeth at its foot."""
    ink, width = papers.printed_on(rng, sheet), cells.line_width(rng, sheet)
    foot = sheet.height * float(rng.uniform(0.86, 0.97))
    lines.stroke(rng, sheet, (0, foot, sheet.width, foot), width, ink)
    tooth = sheet.height * float(rng.uniform(0.1, 0.3))
    for x in sheet.width * np.array([rng.uniform(0, 0.12), rng.uniform(0.88, 1)]):
        lines.stroke(rng, sheet, (x, foot - tooth, x, foot), width, ink)


def millimetres(rng: Rng, sheet: Sheet) -> None:
    """Fine squares in colour, every fifth line stronger."""
    tones = [(230, 140, 70), (110, 160, 220), (120, 190, 140)]
    tone = np.array(tones[rng.integers(3)], np.float32)
    gap = max(3.0, min(sheet.height, sheet.width) / float(rng.uniform(14, 30)))
    first = rng.uniform(0, gap, 2)
    for step, strength in ((gap, 0.3), (5 * gap, 0.6)):
        ink = Ink(tone, strength)
        lines.rules(rng, sheet, step, 1, ink, first=float(first[0]))
        lines.rules(rng, sheet, step, 1, ink, first=float(first[1]), down=True)


def margin_line(rng: Rng, sheet: Sheet) -> None:
    """Ruled paper with the red line of its margin."""
    cells.ruled(rng, sheet)
    x = sheet.width * float(rng.choice([rng.uniform(0.05, 0.18), rng.uniform(0.82, 0.95)]))
    ink = Ink(papers.colour(rng, (190, 60, 60), (230, 130, 130)), float(rng.uniform(0.5, 0.9)))
    width = max(0.8, 0.012 * sheet.height)
    lines.stroke(rng, sheet, (x, 0, x, sheet.height), width, ink)


def postmark(rng: Rng, digits: Digits) -> Scene:
    """Wavy lines of a postmark run over the paper, paler than the digit."""
    sheet = papers.light_paper(rng, *compose.size(rng, 80, 240))
    tone = Ink(
        papers.colour(rng, (60, 60, 70), (120, 120, 130)), float(rng.uniform(0.25, 0.5)), 0.4
    )
    x = np.linspace(-0.2, 1.2, 60)
    first, gap, wave = rng.uniform(0, 0.2), rng.uniform(0.1, 0.2), rng.uniform(0.01, 0.03)
    paths = [
        np.stack([x, np.full(60, top) + wave * np.sin(x * 25)], 1)
        for top in np.arange(first, 1, gap)
    ]
    drawn = compose.written(rng, paths, sheet.height, 0.012)
    sheet.write(rng, drawn, -0.2 * sheet.width, 0, tone)
    dark = Ink(papers.colour(rng, (0, 0, 0), (40, 40, 70)))
    label = digit_on(rng, digits, sheet, ink=dark, pen=float(rng.uniform(0.07, 0.15)))
    cameras.any_camera(rng, sheet)
    return sheet.to_scene(rng, str(label))


def _in(cell: cells.Cell, share: tuple[float, float] = (0.45, 0.7)) -> Kind:
    return Kind(lambda rng, digits: filled(rng, digits, cell, share), "digit")


KINDS = {
    "highlighter": Kind(highlighter, "digit"),
    "brush": Kind(brush, "digit"),
    "folded paper": Kind(folded, "digit"),
    "low light": Kind(low_light, "digit"),
    "shaken": Kind(shaken, "digit"),
    "photographed screen, dark": Kind(dark_screen, "digit"),
    "16x16, stretched": Kind(stretched, "digit"),
    "dithered": Kind(dithered, "digit"),
    "padded with its mean": Kind(padded_with_its_mean, "digit"),
    "letterbox": Kind(letterbox, "digit"),
    "note on cloth": Kind(note_on_cloth, "digit"),
    "striped background": Kind(striped_background, "digit"),
    "box, lines cross in a corner": _in(corner_lines, (0.4, 0.6)),
    "box, double frame": _in(double_frame, (0.35, 0.55)),
    "comb": _in(comb, (0.4, 0.6)),
    "millimetre paper": _in(millimetres),
    "ruled paper, margin": _in(margin_line, (0.4, 0.6)),
    "postmark": Kind(postmark, "digit"),
}
