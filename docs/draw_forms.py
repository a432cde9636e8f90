"""Draw the forms of docs/forms.md, and docs/form.png: one of them beside what is read of it.

    python docs/draw_forms.py

They are a list of marks as scanned, a photo of rows of boxes, a card that returns (blank, scanned
upside down, and photographed), and a slip without lines, known by a mark in each corner; drawn from
pen strokes, as the samples are, and filled by one hand.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from matplotlib import pyplot as plt
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run from a checkout, which is not installed

from digit_classification.network.default_model import DEFAULT_MODEL  # noqa: E402
from digit_classification_detector import DigitPredictor  # noqa: E402
from samples import draw_samples as draw  # noqa: E402

FOLDER = ROOT / "docs" / "forms"
PRINT, INK = (60, 62, 70), (25, 35, 95)  # RGB
MARKS = (
    ("12", "9", "", "21"),
    ("7", "", "13", "20"),
    ("15", "8", "14", "37"),
    ("", "10", "6", "16"),
    ("11", "4", "", "15"),
    ("3", "12", "5", "20"),
)
CARDS = ROOT / "docs" / "cards"
# The boxes of a card: their label, left, top, width and height in pixels.
BOXES = (
    ("flat", 260, 90, 240, 120),
    ("day", 680, 90, 160, 120),
    ("month", 1040, 90, 160, 120),
    ("water", 260, 290, 460, 120),
    ("power", 260, 450, 460, 120),
    ("persons", 1040, 450, 160, 120),
)
FILLED = {
    "flat-12": ("12", "3", "10", "4187", "20965", "3"),
    "flat-7": ("7", "30", "9", "860", "13742", ""),
}
SLIPS = ROOT / "docs" / "slips"
# The lines of a slip: their label, and where their middle is, in pixels.
LINES = (("class", 150), ("points", 290), ("grade", 430))
SLIP = (860, 560)  # pixels, as its corners' marks
READINGS = ("04817", "3 206", "15 9 ", "67380")  # a space is an empty box


def write(
    sheet: draw.Floats, text: str, box: tuple[int, int, int, int], rng: np.random.Generator
) -> None:
    """Write a number into a box: left, top, width and height in pixels."""
    left, top, width, height = box
    apart = 0.42 * height
    for place, digit in enumerate(text):
        middle = (width / 2 + apart * (place - (len(text) - 1) / 2)) / width
        ink = draw.handwriting(
            digit,
            (width, height),
            rng,
            height=float(rng.uniform(0.55, 0.62)),
            centre=(float(middle + rng.normal(0, 0.005)), float(rng.normal(0.5, 0.03))),
        )
        here = np.s_[top : top + height, left : left + width]
        sheet[here] = draw.write(sheet[here], ink, INK)


def marks(rng: np.random.Generator) -> draw.Floats:
    """A table of six rows and four columns, a little crooked on the glass of the scanner."""
    sheet = draw.paper((760, 640), (250, 250, 246), rng)
    left, top, wide, high = 80, 70, 150, 82
    for row in range(len(MARKS) + 1):
        sheet[top + row * high - 1 : top + row * high + 1, left : left + 4 * wide] = PRINT
    for column in range(5):
        x = left + column * wide
        sheet[top : top + len(MARKS) * high, x - 1 : x + 1] = PRINT
    for row, texts in enumerate(MARKS):
        for column, text in enumerate(texts):
            write(sheet, text, (left + column * wide, top + row * high, wide, high), rng)
    turn = cv2.getRotationMatrix2D((380, 320), 1.7, 1)
    return cv2.warpAffine(sheet, turn, (760, 640), borderMode=cv2.BORDER_REPLICATE)


def readings(rng: np.random.Generator) -> draw.Floats:
    """Four rows of five boxes on a card, photographed from aside on a dark desk."""
    card = draw.paper((900, 600), (238, 233, 222), rng, grain=3)
    side, apart = 84, 20
    for row, text in enumerate(READINGS):
        top = 70 + row * 122
        for place, digit in enumerate(text):
            left = 190 + place * (side + apart)
            cv2.rectangle(card, (left, top), (left + side, top + side), PRINT, 3)
            write(card, digit.strip(), (left, top, side, side), rng)
    seen = ((150, 120), (1010, 60), (1060, 700), (90, 640))
    return photographed(card, seen, (1160, 780), rng)


def card(texts: tuple[str, ...], rng: np.random.Generator) -> draw.Floats:
    """A card with labels printed beside its boxes."""
    sheet = draw.paper((1400, 660), (250, 249, 245), rng)
    words = np.zeros(sheet.shape[:2], np.uint8)
    font, size, thick = cv2.FONT_HERSHEY_SIMPLEX, 1.1, 3
    for (label, left, top, wide, high), text in zip(BOXES, texts, strict=True):
        cv2.rectangle(sheet, (left, top), (left + wide, top + high), PRINT, 3)
        (long, _), _ = cv2.getTextSize(label, font, size, thick)
        place = (left - long - 20, top + 74)
        cv2.putText(words, label, place, font, size, 255, thick, cv2.LINE_AA)
        write(sheet, text, (left, top, wide, high), rng)
    return np.asarray(sheet + (np.array(PRINT) - sheet) * (words[..., None] / 255))


def slip(texts: Sequence[str], rng: np.random.Generator) -> draw.Floats:
    """A slip with a dotted line behind each label, and a dark square in each corner."""
    width, height = SLIP
    sheet = draw.paper(SLIP, (251, 250, 247), rng)
    words = np.zeros(sheet.shape[:2], np.uint8)
    for x in (40, width - 40):
        for y in (40, height - 40):
            cv2.rectangle(words, (x - 12, y - 12), (x + 12, y + 12), 255, -1)
    for (label, middle), text in zip(LINES, texts, strict=True):
        cv2.putText(
            words, label, (130, middle + 12), cv2.FONT_HERSHEY_SIMPLEX, 1.1, 255, 3, cv2.LINE_AA
        )
        for x in range(340, 700, 12):
            cv2.circle(words, (x, middle + 50), 2, 200, -1, cv2.LINE_AA)
        write(sheet, text, (340, middle - 60, 360, 104), rng)
    return np.asarray(sheet + (np.array(PRINT) - sheet) * (words[..., None] / 255))


def photographed(
    card: draw.Floats,
    seen: Sequence[tuple[int, int]],
    size: tuple[int, int],
    rng: np.random.Generator,
) -> draw.Floats:
    """A card as it lies on a dark desk, its corners where they are seen from aside."""
    height, width = card.shape[:2]
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    desk = draw.paper(size, (62, 46, 38), rng, grain=6)
    matrix = cv2.getPerspectiveTransform(corners, np.array(seen, np.float32))
    inside = cv2.warpPerspective(np.ones((height, width)), matrix, size)
    photo = cv2.warpPerspective(card, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    photo = desk + (photo - desk) * inside[..., None]
    photo = draw.shade(photo, 0.72, 0.6)
    return np.asarray(photo + rng.normal(0, 2.5, photo.shape))


def beside(form: Path, to: Path) -> None:
    """Draw a form beside the table that the model which comes along reads of it."""
    cells = DigitPredictor(DEFAULT_MODEL).read_form(form)
    rows, columns = max(cell.row for cell in cells), max(cell.column for cell in cells)
    texts = [[""] * columns for _ in range(rows)]
    for cell in cells:
        texts[cell.row - 1][cell.column - 1] = cell.reading.text or ""
    matplotlib.use("agg")
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.1), width_ratios=(1.15, 1))
    left.imshow(Image.open(form))
    table = right.table(texts, cellLoc="center", bbox=(0.02, 0.06, 0.96, 0.88))
    table.auto_set_font_size(False)
    table.set_fontsize(16)
    for axes in (left, right):
        axes.set_axis_off()
    figure.tight_layout(pad=0.3)
    figure.savefig(to, dpi=110, pil_kwargs={"optimize": True})


def main() -> None:
    """Write the pictures."""
    FOLDER.mkdir(exist_ok=True)
    grey = marks(np.random.default_rng(3)).mean(axis=2)
    draw.picture(grey).save(FOLDER / "marks.png", optimize=True)
    photo = cv2.GaussianBlur(readings(np.random.default_rng(4)), (0, 0), 0.8)
    draw.picture(photo).save(FOLDER / "readings.jpg", quality=80)
    beside(FOLDER / "readings.jpg", ROOT / "docs" / "form.png")
    CARDS.mkdir(exist_ok=True)
    rng = np.random.default_rng(5)
    blank = card(("",) * len(BOXES), rng)
    draw.picture(blank.mean(axis=2)).save(CARDS / "blank.jpg", quality=80)
    turned = card(FILLED["flat-12"], rng)[::-1, ::-1]
    draw.picture(turned.mean(axis=2)).save(CARDS / "flat-12.jpg", quality=80)
    seen = ((190, 180), (1380, 110), (1450, 760), (110, 790))
    photo = photographed(card(FILLED["flat-7"], rng), seen, (1560, 880), rng)
    photo = cv2.GaussianBlur(photo, (0, 0), 0.8)
    draw.picture(photo).save(CARDS / "flat-7.jpg", quality=80)
    SLIPS.mkdir(exist_ok=True)
    rng = np.random.default_rng(6)
    blank = slip(("", "", ""), rng)
    draw.picture(blank.mean(axis=2)).save(SLIPS / "blank.png", optimize=True)
    turn = cv2.getRotationMatrix2D((430, 280), -2.4, 1)
    turned = cv2.warpAffine(
        slip(("8", "47", "2"), rng), turn, SLIP, borderMode=cv2.BORDER_REPLICATE
    )
    draw.picture(turned.mean(axis=2)).save(SLIPS / "anna.jpg", quality=80)
    seen = ((120, 150), (960, 90), (1010, 640), (60, 610))
    photo = photographed(slip(("8", "39", "3"), rng), seen, (1080, 720), rng)
    photo = cv2.GaussianBlur(photo, (0, 0), 0.8)
    draw.picture(photo).save(SLIPS / "ben.jpg", quality=80)


if __name__ == "__main__":
    main()
