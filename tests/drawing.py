"""Digits that the tests draw themselves: stand-ins for handwriting, fast and all different."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import cv2
import numpy as np
from PIL import Image


def draw_digit(digit: int, seed: int = 0, side: int = 28) -> np.ndarray:
    """Return `digit` as (side, side) uint8, light on dark, a little different for each seed."""
    random = np.random.default_rng((digit, seed))
    canvas = np.zeros((280, 280), np.uint8)
    font, scale, thickness = cv2.FONT_HERSHEY_SIMPLEX, 6 + random.random(), 20
    (width, height), _ = cv2.getTextSize(str(digit), font, scale, thickness)
    x, y = random.integers(-12, 13, 2)
    origin = (int((280 - width) / 2 + x), int((280 + height) / 2 + y))
    cv2.putText(canvas, str(digit), origin, font, scale, 255, thickness, cv2.LINE_AA)
    turn = cv2.getRotationMatrix2D((140, 140), random.normal(0, 5), 1)
    canvas = cv2.warpAffine(canvas, turn, (280, 280))
    return cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA)


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def write_dataset(folder: Path, per_class: int = 12, *, first_seed: int = 0) -> Path:
    """Write a folder-per-class dataset of drawn digits; no two images are the same."""
    for digit in range(10):
        (folder / str(digit)).mkdir(parents=True)
        for number in range(per_class):
            pixels = draw_digit(digit, first_seed + number)
            (folder / str(digit) / f"{number:03}.png").write_bytes(png(pixels))
    return folder


def zip_folder(folder: Path, archive: Path, prefix: str = "") -> Path:
    with zipfile.ZipFile(archive, "w") as members:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                members.write(file, prefix + file.relative_to(folder).as_posix())
    return archive
