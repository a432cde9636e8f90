"""Papers, boards and desks, and inks that can be seen on them."""

from __future__ import annotations

import cv2
import numpy as np

from . import noise
from .sheet import Ink, Rng, Sheet

_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)


def luminance(colour: np.ndarray) -> float:
    return float(colour @ _LUMINANCE)


def colour(rng: Rng, low: tuple[int, int, int], high: tuple[int, int, int]) -> np.ndarray:
    """Return (3,) float32 between two RGB colours; each channel strays a little by itself."""
    low_, high_ = np.array(low, np.float32), np.array(high, np.float32)
    mixed = low_ + (high_ - low_) * np.float32(rng.random()) + rng.normal(0, 4, 3)
    return np.clip(mixed, 0, 255).astype(np.float32)


# Papers ----------------------------------------------------------------------------------------


def flat(colour: np.ndarray, height: int, width: int) -> Sheet:
    """Return a sheet of one colour."""
    pixels = np.empty((height, width, 3), np.float32)
    pixels[:] = colour
    return Sheet(pixels)


def _grained(rng: Rng, colour: np.ndarray, height: int, width: int, grain: float) -> Sheet:
    """Return a sheet of one colour with the texture of paper, `grain` levels strong."""
    sheet = flat(colour, height, width)
    if grain:
        clouds = noise.clouds(rng, height, width, float(rng.uniform(0.4, 2)))
        sheet.pixels += (grain * clouds)[..., None]
    return sheet


def white(rng: Rng, height: int, width: int) -> Sheet:
    """Return the white of a scan or of a drawing program, or almost."""
    level = 255.0 if rng.random() < 0.5 else rng.uniform(225, 255)
    return flat(np.full(3, level, np.float32), height, width)


def office(rng: Rng, height: int, width: int) -> Sheet:
    """Return white paper in a room: grey, bluish or warm, with a little texture."""
    tint = colour(rng, (120, 118, 116), (240, 240, 240)) + rng.normal(0, 6, 3)
    return _grained(rng, tint.astype(np.float32), height, width, float(rng.uniform(0.3, 2)))


def old(rng: Rng, height: int, width: int) -> Sheet:
    """Return the paper of an old register: yellowed, greenish, grey, bluish or orange."""
    tones = [
        ((176, 160, 112), (222, 212, 168)),
        ((150, 152, 120), (205, 205, 170)),
        ((150, 148, 145), (215, 214, 208)),
        ((205, 130, 40), (245, 180, 90)),
        ((150, 130, 112), (200, 172, 148)),
        ((105, 138, 142), (150, 172, 170)),
        ((205, 210, 200), (236, 238, 232)),
    ]
    low, high = tones[rng.integers(len(tones))]
    sheet = _grained(rng, colour(rng, low, high), height, width, float(rng.uniform(1, 6)))
    sheet.pixels += noise.fine(rng, height, width)[..., None] * np.float32(rng.uniform(0, 2.5))
    return sheet


def coloured(rng: Rng, height: int, width: int) -> Sheet:
    """Return coloured paper: pastel, or bright."""
    hue = rng.uniform(0, 180)
    saturation, value = rng.uniform(40, 170), rng.uniform(150, 250)
    hsv = np.array([[[hue, saturation, value]]], np.uint8)
    tint = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0].astype(np.float32)
    return _grained(rng, tint, height, width, float(rng.uniform(0, 3)))


def black(rng: Rng, height: int, width: int) -> Sheet:
    """Return the black of a drawing program, or almost."""
    level = 0.0 if rng.random() < 0.5 else rng.uniform(0, 50)
    return flat(np.full(3, level, np.float32) + rng.uniform(0, 6, 3), height, width)


def board(rng: Rng, height: int, width: int) -> Sheet:
    """Return a blackboard, black or green, with the clouds that wiping leaves."""
    tone = colour(rng, (25, 30, 30), (60, 70, 68))
    if rng.random() < 0.5:
        tone = colour(rng, (20, 55, 40), (50, 95, 75))
    sheet = _grained(rng, tone, height, width, 2)
    wiped = np.clip(noise.clouds(rng, height, width, 2.5, 2), 0, 3)
    sheet.pixels += (wiped * np.float32(rng.uniform(1, 6)))[..., None]
    return sheet


def wood(rng: Rng, height: int, width: int, dark: bool | None = None) -> Sheet:
    """Return a wooden desk; its streaks run across or down."""
    if dark is None:
        dark = rng.random() < 0.6
    tone = (
        colour(rng, (18, 15, 14), (70, 50, 42))
        if dark
        else colour(rng, (110, 75, 45), (190, 150, 105))
    )
    upright = rng.random() < 0.4
    rows, columns = (width, height) if upright else (height, width)
    streaks = noise.clouds(rng, rows, columns, float(rng.uniform(0.4, 1.2)), rng.uniform(8, 20))
    streaks = streaks.T if upright else streaks
    sheet = flat(tone, height, width)
    sheet.pixels += (streaks * np.float32(rng.uniform(3, 12 if dark else 16)))[..., None]
    return sheet


def any_paper(rng: Rng, height: int, width: int) -> Sheet:
    """Return what most pictures of a digit are drawn on."""
    papers = (white, office, old, coloured, black)
    chosen = papers[rng.choice(len(papers), p=(0.3, 0.35, 0.13, 0.07, 0.15))]
    return chosen(rng, height, width)


def light_paper(rng: Rng, height: int, width: int) -> Sheet:
    """Return paper that is light."""
    papers = (white, office, old, coloured)
    chosen = papers[rng.choice(len(papers), p=(0.35, 0.4, 0.15, 0.1))]
    return chosen(rng, height, width)


# Inks ------------------------------------------------------------------------------------------

_PENS = (
    ((0, 0, 0), (45, 45, 50)),  # black
    ((15, 20, 70), (60, 75, 150)),  # blue
    ((140, 15, 20), (195, 45, 45)),  # red
    ((10, 80, 40), (40, 115, 70)),  # green
    ((55, 35, 20), (105, 75, 50)),  # brown
    ((60, 60, 62), (110, 110, 112)),  # pencil
)


def pen_for(rng: Rng, sheet: Sheet) -> Ink:
    """Return an ink that shows on the sheet: dark on light, light on dark."""
    paper = sheet.pixels[:: max(1, sheet.height // 8), :: max(1, sheet.width // 8)].mean((0, 1))
    level = luminance(paper)
    if level < 105:
        tone = (
            colour(rng, (150, 150, 150), (255, 255, 255))
            if rng.random() < 0.8
            else colour(rng, (200, 170, 40), (255, 240, 150))
        )
        return Ink(tone, float(rng.uniform(0.75, 1)), float(rng.choice([0, 0, 0.4])))
    low, high = _PENS[rng.choice(len(_PENS), p=(0.42, 0.25, 0.09, 0.05, 0.09, 0.1))]
    tone = colour(rng, low, high)
    if luminance(tone) > level - 60:
        tone *= np.float32(max(0.0, level - 60) / luminance(tone))
    strength = float(rng.uniform(0.7, 1))
    return Ink(tone, strength, float(rng.choice([0, 0, 0, 0.25, 0.5])))


def printed_on(rng: Rng, sheet: Sheet, strength: float | None = None) -> Ink:
    """Return the ink of printed lines and text: grey, black or coloured; white on dark."""
    level = luminance(sheet.pixels[::8, ::8].mean((0, 1)))
    strength = float(rng.uniform(0.35, 1)) if strength is None else strength
    if level < 105:
        return Ink(colour(rng, (140, 140, 140), (250, 250, 250)), strength)
    if rng.random() < 0.3:
        tones = [
            ((60, 90, 150), (120, 160, 200)),
            ((190, 90, 40), (230, 150, 90)),
            ((60, 130, 80), (120, 180, 130)),
            ((170, 50, 60), (210, 110, 110)),
        ]
        low, high = tones[rng.integers(len(tones))]
        return Ink(colour(rng, low, high), strength)
    return Ink(colour(rng, (0, 0, 0), (60, 60, 60)), strength)


# What befalls paper ----------------------------------------------------------------------------


def stain(rng: Rng, sheet: Sheet) -> None:
    """Leave a brownish spot with a darker rim."""
    height, width = sheet.height, sheet.width
    y, x = np.ogrid[:height, :width]
    across, down = rng.uniform(0, width), rng.uniform(0, height)
    reach = rng.uniform(0.2, 0.5) * max(height, width)
    distance = np.hypot(x - across, y - down).astype(np.float32)
    distance += noise.clouds(rng, height, width, 1.5) * np.float32(reach * 0.08)
    inside = 1 / (1 + np.exp(np.clip((distance - reach) / max(1, 0.02 * reach), -30, 30)))
    rim = np.exp(-(((distance - reach * 0.97) / max(1.0, 0.04 * reach)) ** 2))
    alpha = (inside * rng.uniform(0.08, 0.25) + rim * rng.uniform(0, 0.3)).astype(np.float32)
    tone = colour(rng, (90, 60, 25), (150, 115, 70))
    sheet.pixels += (tone - sheet.pixels) * alpha[..., None]


def specks(rng: Rng, sheet: Sheet, count: int, largest: float = 0.015) -> None:
    """Drop specks of dirt anywhere; `largest` is a radius in parts of the longer side."""
    ink = printed_on(rng, sheet, float(rng.uniform(0.4, 1)))
    for _ in range(count):
        radius = max(0.5, rng.uniform(0.2, 1) * largest * max(sheet.height, sheet.width))
        side = int(2 * radius) + 3
        y, x = np.ogrid[:side, :side]
        spot = np.clip(radius - np.hypot(x - side // 2, y - side // 2) + 0.5, 0, 1)
        at = rng.uniform(0, sheet.width), rng.uniform(0, sheet.height)
        sheet.write(rng, spot.astype(np.float32), at[0] - side / 2, at[1] - side / 2, ink)
