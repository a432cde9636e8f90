"""The short way to the pixels of a plain PNG: the same as Pillow's, or none."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from digit_classification.pictures.decode import Limits
from digit_classification.pictures.images import ImageError, normalize
from digit_classification.pictures.png import decode_plain_png
from tests.drawing import draw_digit, png


def chunk(kind: bytes, content: bytes) -> bytes:
    crc = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)


def make_png(
    compressed: bytes, width: int = 28, height: int = 28, form: bytes = b"\x08\x00\x00\x00\x00"
) -> bytes:
    header = chunk(b"IHDR", struct.pack(">II", width, height) + form)
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", compressed) + chunk(b"IEND", b"")


def rows(width: int = 28, height: int = 28) -> bytes:
    return zlib.compress((b"\x00" + bytes(i % 256 for i in range(width))) * height)


@given(
    st.integers(1, 70), st.integers(1, 70), st.integers(0, 2**32 - 1), st.integers(0, 9), st.data()
)
def test_the_pixels_are_pillow_s(
    width: int, height: int, seed: int, level: int, data: st.DataObject
) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    pixels = np.where(noise > data.draw(st.integers(0, 255)), noise, 0).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=level)
    found = decode_plain_png(file.getvalue())
    assert found is not None
    np.testing.assert_array_equal(found, pixels)


def test_a_plain_one_made_by_hand_is_read() -> None:
    found = decode_plain_png(make_png(rows()))
    assert found is not None
    np.testing.assert_array_equal(found, [list(range(28))] * 28)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0" + b"\x00" * 100,
        make_png(rows()) + b"more",
        make_png(rows())[:-20],
        make_png(rows(height=27)),
        make_png(rows(height=29)),
        make_png(rows()[:-4]),  # without the checksum of the pixels
        make_png(rows()[:-4] + b"\x00\x00\x00\x00"),  # with a wrong one
        make_png(b"no deflate stream"),
        make_png(rows(2000, 28), width=2000),
        make_png(rows(28, 28), form=b"\x08\x03\x00\x00\x00"),  # a palette
        make_png(rows(28, 28), form=b"\x08\x00\x00\x00\x01"),  # interlaced
    ],
)
def test_what_is_not_plain_is_left_to_pillow(data: bytes) -> None:
    assert decode_plain_png(data) is None


def test_a_flipped_bit_is_noticed() -> None:
    whole = png(draw_digit(3))
    assert decode_plain_png(whole) is not None
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 0x10
        assert decode_plain_png(bytes(damaged)) is None


def test_transparency_and_orientation_are_not_overlooked() -> None:
    picture = Image.fromarray(draw_digit(3))
    file = io.BytesIO()
    picture.save(file, "PNG", transparency=0)
    assert decode_plain_png(file.getvalue()) is None
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    picture.save(file, "PNG", exif=exif)
    assert decode_plain_png(file.getvalue()) is None
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Title", "three")
    file = io.BytesIO()
    picture.save(file, "PNG", pnginfo=notes)
    assert decode_plain_png(file.getvalue()) is None


def test_formats_that_leave_out_png_leave_it_out_here_too() -> None:
    with pytest.raises(ImageError, match="unknown format"):
        normalize(png(draw_digit(3)), limits=Limits(formats=("JPEG",)))
