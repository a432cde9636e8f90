"""The commonest small picture, decoded without ceremony.

Opening a PNG with Pillow costs several times as much as decoding its 28x28 pixels.  A plain one
(8-bit grey, no transparency, no metadata, nothing wrong with it) needs none of that; whatever is
less than plain is left to Pillow, which also says what is wrong with it.
"""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np

_PLAIN = struct.Struct(">8s I4s IIBBBBB I I4s")  # signature, IHDR, and the head of the next chunk
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY = (8, 0, 0, 0, 0)  # bits, colour type, compression, filter, interlace: PNG, section 11.2.1
_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_LARGEST = 1024  # pixels: the longest side; what opening costs does not show in larger pictures


def decode_plain_png(data: bytes, max_pixels: int = _LARGEST**2) -> np.ndarray | None:
    """Return the pixels of a sound, plain 8-bit grey PNG, (h, w) uint8; None for any other file.

    Plain means three chunks: IHDR, one IDAT, IEND.  Their checksums, and that of the compressed
    pixels, hold.
    """
    if len(data) < _PLAIN.size + 4 + len(_END) or not data.startswith(_SIGNATURE):
        return None
    _, _, head, width, height, *form, head_crc, length, kind = _PLAIN.unpack_from(data)
    start = _PLAIN.size
    stop = start + length
    if (head, kind, tuple(form)) != (b"IHDR", b"IDAT", _GREY) or data[stop + 4 :] != _END:
        return None
    if not (0 < width <= _LARGEST and 0 < height <= _LARGEST and width * height <= max_pixels):
        return None
    if zlib.crc32(data[12:29]) != head_crc:
        return None
    if zlib.crc32(data[start - 4 : stop]) != int.from_bytes(data[stop : stop + 4], "big"):
        return None
    if not _is_whole(data[start:stop], height * (width + 1)):
        return None
    pixels: np.ndarray | None = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return pixels if pixels is not None and pixels.shape == (height, width) else None


def _is_whole(compressed: bytes, size: int) -> bool:
    """Whether `compressed` holds exactly `size` bytes, with the right checksum behind them."""
    inflater = zlib.decompressobj()
    try:
        found = len(inflater.decompress(compressed, size + 1))
    except zlib.error:
        return False
    return found == size and inflater.eof
