"""Draw docs/styles.png, a sheet of the book of styles, and write the tables of docs/styles.md.

python docs/draw_styles.py

What is drawn is in the picture's own text as well, as JSON, so that a test can tell whether the
picture is of the book as it is.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run from a checkout, which is not installed

from digit_classification.training.styles import hand, pen  # noqa: E402
from digit_classification.training.styles.book import Style, read_book, read_sources  # noqa: E402

PAGE, PICTURE = ROOT / "docs" / "styles.md", ROOT / "docs" / "styles.png"
START, END = "<!-- styles: written by docs/draw_styles.py -->", "<!-- end of styles -->"
COLUMNS = 8  # styles beside each other
CELL_WIDTH, CELL_HEIGHT = 150, 86
LABEL = 16  # pixels: the height of a style's number
MODEL_HEIGHT, WRITTEN_HEIGHT = 58.0, 40.0  # pixels: as in the book, and as somebody wrote it
WRITTEN = 2
PEN = pen.Pen(0.07)
GREYS = 16  # of the picture


def numbers(styles: tuple[Style, ...]) -> list[str]:
    """Return what each style is called beside its picture: 4.2 is the second of the fours."""
    seen: Counter[int] = Counter()
    found = []
    for style in styles:
        seen[style.digit] += 1
        found.append(f"{style.digit}.{seen[style.digit]}")
    return found


def draw_cell(style: Style, number: str) -> Image.Image:
    """Return one style: as in the book, and as two people may write it."""
    cell = Image.new("L", (CELL_WIDTH, CELL_HEIGHT), 255)
    rng = np.random.default_rng([ord(letter) for letter in style.title])
    inks = [pen.put_ink(hand.write_model(style), PEN, MODEL_HEIGHT, rng)]
    inks += [pen.put_ink(hand.write(style, rng), PEN, WRITTEN_HEIGHT, rng) for _ in range(WRITTEN)]
    room = CELL_WIDTH // (WRITTEN + 1)
    for place, ink in enumerate(inks):
        digit = Image.fromarray(255 - ink)
        digit.thumbnail((room - 4, CELL_HEIGHT - LABEL - 4))
        left = place * room + (room - digit.width) // 2
        cell.paste(digit, (left, LABEL + (CELL_HEIGHT - LABEL - digit.height) // 2))
    ImageDraw.Draw(cell).text((4, 0), number, fill=0, font=ImageFont.load_default(12))
    return cell


def draw_sheet(styles: tuple[Style, ...]) -> Image.Image:
    """Return all styles, each digit on lines of its own."""
    rows: list[list[Image.Image]] = []
    for digit in range(10):
        cells = [
            draw_cell(style, number)
            for style, number in zip(styles, numbers(styles), strict=True)
            if style.digit == digit
        ]
        rows += [cells[start : start + COLUMNS] for start in range(0, len(cells), COLUMNS)]
    sheet = Image.new("L", (COLUMNS * CELL_WIDTH, len(rows) * CELL_HEIGHT), 255)
    for down, row in enumerate(rows):
        for across, cell in enumerate(row):
            sheet.paste(cell, (across * CELL_WIDTH, down * CELL_HEIGHT))
    return sheet.quantize(GREYS)


def described(styles: tuple[Style, ...]) -> str:
    """Return what is drawn, as JSON."""
    return json.dumps({style.title: style.text for style in styles})


def tables(styles: tuple[Style, ...]) -> str:
    """Return the tables of styles and of sources, as Markdown."""
    lines = [
        "| | style | hand | share | where | sources |",
        "| --- | --- | --- | ---: | --- | --- |",
    ]
    whole = sum(style.share for style in styles)
    for style, number in zip(styles, numbers(styles), strict=True):
        lines.append(
            f"| {number} | {style.title} | {style.hand} | {style.share / whole:.1%} "
            f"| {style.where} | {', '.join(style.sources)} |"
        )
    lines += ["", "| source | what it is |", "| --- | --- |"]
    lines += [f"| {key} | {title} |" for key, title in read_sources().items()]
    return "\n".join(lines)


def with_tables(page: str, styles: tuple[Style, ...]) -> str:
    """Return the page with its tables written anew."""
    before, rest = page.split(START)
    _, after = rest.split(END)
    return f"{before}{START}\n\n{tables(styles)}\n\n{END}{after}"


if __name__ == "__main__":
    book = read_book()
    text = PngInfo()
    text.add_text("Description", described(book))
    draw_sheet(book).save(PICTURE, optimize=True, pnginfo=text)
    page = with_tables(PAGE.read_text(encoding="utf-8"), book)
    PAGE.write_text(page, encoding="utf-8", newline="\n")
