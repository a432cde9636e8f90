"""Draw docs/datasets.png: a folder per digit, with pictures from samples/ and from MNIST.

python docs/draw_datasets.py
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run from a checkout, which is not installed

from digit_classification.pictures.decode import decode  # noqa: E402
from digit_classification.pictures.images import thumbnail  # noqa: E402

MNIST = "dataset/mnist-test.zip"
COLUMNS = 2  # of folders
PICTURES = 6  # of each folder
CELL, GAP, LABEL = 72, 8, 44
LINE = 40  # pixels: the height of the line that names the dataset
INK, BRANCH = (31, 35, 40), (160, 166, 172)


def pictures_of(digit: int, mnist: zipfile.ZipFile) -> list[Image.Image]:
    """Return all samples of a digit, and of MNIST as many as are missing."""
    samples = sorted((ROOT / "samples").glob(f"{digit}-*"))
    members = sorted(name for name in mnist.namelist() if name.startswith(f"{digit}/"))
    further = members[1 : 1 + PICTURES - len(samples)]
    contents = [path.read_bytes() for path in samples] + [mnist.read(name) for name in further]
    return [Image.fromarray(thumbnail(decode(content).pixels, CELL)) for content in contents]


def draw_folder(
    digit: int, pictures: list[Image.Image], font: ImageFont.FreeTypeFont
) -> Image.Image:
    """Return a folder's name and its pictures in a row, on the branch that leads to it."""
    row = Image.new("RGB", (LABEL + PICTURES * (CELL + GAP), CELL + GAP), "white")
    draw = ImageDraw.Draw(row)
    middle = row.height // 2
    draw.line([(6, 0), (6, middle if digit in (4, 9) else row.height)], BRANCH, 2)
    draw.line([(6, middle), (18, middle)], BRANCH, 2)
    draw.text((22, middle), f"{digit}/", INK, font, anchor="lm")
    for number, picture in enumerate(pictures):
        scale = CELL / max(picture.size)
        small = picture.resize((round(picture.width * scale), round(picture.height * scale)))
        left = LABEL + number * (CELL + GAP) + (CELL - small.width) // 2
        top = (row.height - small.height) // 2
        row.paste(small, (left, top))
        edges = (left, top, left + small.width - 1, top + small.height - 1)
        draw.rectangle(edges, outline=BRANCH)
    return row


def main() -> None:
    font = ImageFont.load_default(20)
    if not isinstance(font, ImageFont.FreeTypeFont):
        sys.exit("Pillow was built without FreeType: pip install --force-reinstall pillow.")
    with zipfile.ZipFile(ROOT / MNIST) as mnist:
        folders = [draw_folder(digit, pictures_of(digit, mnist), font) for digit in range(10)]
    width, height = folders[0].size
    rows = len(folders) // COLUMNS
    whole = Image.new("RGB", (COLUMNS * width + GAP, LINE + rows * height), "white")
    ImageDraw.Draw(whole).text((0, LINE // 2), "my_digits/", INK, font, anchor="lm")
    for number, folder in enumerate(folders):
        column, row = divmod(number, rows)
        whole.paste(folder, (column * (width + GAP), LINE + row * height))
    few = whole.quantize(256, kmeans=2, dither=Image.Dither.NONE)
    few.save(ROOT / "docs/datasets.png", optimize=True)


if __name__ == "__main__":
    main()
