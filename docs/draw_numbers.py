"""Draw the four numbers of docs/numbers.md.

    python docs/draw_numbers.py

They are a temperature on ruled paper, a meter's reading on a card in shadow, a mark in pencil, and
a student's number in boxes; drawn from pen strokes, as the samples are.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run from a checkout, which is not installed

from samples import draw_samples as draw  # noqa: E402

FOLDER = ROOT / "docs" / "numbers"
# From the middle of a sign to that of the next, as shares of the height.
STEP, NARROW, CLOSE = 0.78, 0.54, 0.56
NARROW_SIGNS = "-,"
BOX = 90  # pixels: how wide a box is


def write(
    sheet: draw.Floats,
    text: str,
    height: float,
    colour: draw.Colour,
    rng: np.random.Generator,
    *,
    pen: float,
    rough: float = 0.0,
    step: float = STEP,
    close: tuple[str, ...] = (),
) -> draw.Floats:
    """Write a number into the middle of a sheet, of digits so many pixels high.

    They are a `step` apart; `close` names pairs of digits of which the second is begun before the
    pen has left the first.
    """
    steps = []
    for pair in map("".join, itertools.pairwise(text)):
        narrow = any(sign in NARROW_SIGNS for sign in pair)
        steps.append(CLOSE if pair in close else NARROW if narrow else step)
    places = np.concatenate([[0], np.cumsum(steps)]) * height
    rows, columns = sheet.shape[:2]
    for sign, place in zip(text, places - places[-1] / 2, strict=True):
        ink = draw.handwriting(
            sign,
            (columns, rows),
            rng,
            height=height / rows * float(rng.uniform(0.95, 1.05)),
            centre=(0.5 + place / columns, 0.5 + float(rng.normal(0, 0.01))),
            pen=pen,
            rough=rough,
        )
        sheet = draw.write(sheet, ink, colour)
    return sheet


def temperature(rng: np.random.Generator) -> Image.Image:
    """On ruled paper, by a ball pen."""
    ruled = draw.rule(draw.paper((520, 240), (236, 234, 226), rng), 60, (160, 180, 205))
    return draw.photo(write(ruled, "-3,5", 96, (35, 50, 120), rng, pen=0.07), 0.9, rng)


def reading(rng: np.random.Generator) -> Image.Image:
    """On a card, a little askew and in shadow."""
    card = draw.paper((640, 300), (238, 233, 222), rng, grain=3)
    seen = draw.shade(write(card, "40718", 120, (30, 28, 34), rng, pen=0.09), 0.55, 0.4)
    turn = cv2.getRotationMatrix2D((320, 150), 4, 1)
    seen = cv2.warpAffine(seen, turn, (640, 300), borderMode=cv2.BORDER_REPLICATE)
    return draw.photo(seen, 1.0, rng)


def mark(rng: np.random.Generator) -> Image.Image:
    """In pencil, its digits touching."""
    sheet = draw.paper((300, 220), (248, 247, 243), rng)
    written = write(sheet, "36", 90, (90, 90, 96), rng, pen=0.07, rough=0.25, close=("36",))
    return draw.picture(written.mean(axis=2))


def student(rng: np.random.Generator) -> Image.Image:
    """In a row of boxes, some strokes on their lines, photographed askew."""
    card = draw.paper((720, 240), (240, 240, 236), rng, grain=2)
    for box in range(7):
        left = 45 + BOX * box
        cv2.rectangle(card, (left, 68), (left + BOX, 172), (120, 125, 130), 2)
    written = write(card, "4025836", 88, (40, 45, 90), rng, pen=0.08, step=BOX / 88)
    turn = cv2.getRotationMatrix2D((360, 120), -3, 1)
    seen = cv2.warpAffine(written, turn, (720, 240), borderMode=cv2.BORDER_REPLICATE)
    return draw.photo(seen, 1.0, rng)


def main() -> None:
    """Write the pictures."""
    FOLDER.mkdir(exist_ok=True)
    temperature(np.random.default_rng(1)).save(FOLDER / "temperature.jpg", quality=82)
    reading(np.random.default_rng(2)).save(FOLDER / "reading.jpg", quality=82)
    student(np.random.default_rng(7)).save(FOLDER / "student.jpg", quality=82)
    mark(np.random.default_rng(5)).save(FOLDER / "mark.png", optimize=True)


if __name__ == "__main__":
    main()
