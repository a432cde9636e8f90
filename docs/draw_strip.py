"""Draw docs/strip.png: pictures from samples/, and below each what the network sees of it.

python docs/draw_strip.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run from a checkout, which is not installed

from digit_classification.pictures import images  # noqa: E402

SHOWN = (
    "7-shadow.jpg",
    "1-ruled-paper.jpg",
    "8-squared-paper.jpg",
    "2-form-box.jpg",
    "4-thin-pen-large-photo.jpg",
    "3-transparent.png",
    "2-exif-rotated.jpg",
    "0-coloured-ink.jpg",
    "6-pencil.jpg",
    "9-chalk-on-board.jpg",
)
CELL, GAP = 112, 8


def column(path: Path) -> Image.Image:
    """Return the picture over its normalised form, (2 * CELL + GAP) high."""
    cell = Image.new("RGB", (CELL, 2 * CELL + GAP), "white")
    with Image.open(path) as picture:
        upright = ImageOps.exif_transpose(picture).convert("RGBA")
    upright.thumbnail((CELL, CELL), Image.Resampling.LANCZOS)
    cell.paste(upright, ((CELL - upright.width) // 2, (CELL - upright.height) // 2), upright)
    digit = Image.fromarray(images.normalize(path).digit)
    cell.paste(digit.resize((CELL, CELL), Image.Resampling.NEAREST), (0, CELL + GAP))
    return cell


def main() -> None:
    columns = [np.asarray(column(ROOT / "samples" / name)) for name in SHOWN]
    gap = np.full((columns[0].shape[0], GAP, 3), 255, np.uint8)
    strip = np.hstack([part for cell in columns for part in (cell, gap)][:-1])
    Image.fromarray(strip).save(ROOT / "docs" / "strip.png", optimize=True)


if __name__ == "__main__":
    main()
