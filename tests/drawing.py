"""Digits that the tests draw themselves: stand-ins for handwriting, fast and all different."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence
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


def pdf_of(
    *contents: bytes,
    box: str = "0 0 100 100",
    objects: Sequence[bytes] = (),
    resources: bytes = b"<</Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>",
    trailer: bytes = b"",
    filtered: bool = False,
) -> bytes:
    """Return a PDF with a page for each content; further `objects` count from 2 * pages + 3."""
    first = 3  # after the catalog and the list of pages
    kids = b" ".join(b"%d 0 R" % (first + 2 * page) for page in range(len(contents)))
    written = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, len(contents)),
    ]
    for page, content in enumerate(contents):
        about = b"/MediaBox[%s]/Resources%s/Contents %d 0 R" % (
            box.encode(),
            resources,
            first + 2 * page + 1,
        )
        written.append(b"<</Type/Page/Parent 2 0 R%s>>" % about)
        how = b"/Filter/FlateDecode" if filtered else b""
        written.append(pdf_stream(zlib.compress(content) if filtered else content, how))
    content, places = b"%PDF-1.7\n", []
    for number, each in enumerate([*written, *objects], 1):
        places.append(len(content))
        content += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(places) + 1
    return content + (
        b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<</Size %d/Root 1 0 R%s>>\n"
        b"startxref\n%d\n%%%%EOF\n" % (size, table, size, trailer, len(content))
    )


def pdf_stream(data: bytes, about: bytes = b"") -> bytes:
    return b"<<%s/Length %d>>\nstream\n%s\nendstream" % (about, len(data), data)


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
