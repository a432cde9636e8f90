"""IDX files, the format of MNIST's own: a pair of images and labels, packed with gzip or not.

    train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-…, t10k-labels-…

A header of two zeros, the type (8: unsigned bytes), the number of dimensions and each of them as
four bytes, the highest first; then the values.  EMNIST (Cohen et al. 2017) has its images with
rows and columns exchanged.
"""

from __future__ import annotations

import gzip
import io
import math
import struct
import zlib

import numpy as np

from digit_classification.pictures.sources import Source
from digit_classification.training.datasets.arrays import (
    MAX_BYTES,
    Array,
    check_size,
    cut_off,
    read_bounded,
)

GZIP_START = b"\x1f\x8b"
_UNSIGNED_BYTES = b"\0\0\x08"
_START_BYTES = 2**10
_DAMAGED = (EOFError, OSError, zlib.error)


def is_on_its_side(name: str) -> bool:
    """Whether a file of this name has rows and columns exchanged, as all of EMNIST's have."""
    return "emnist" in name.lower()


def unpacked_start(start: bytes, size: int) -> bytes:
    """Return up to `size` bytes of what begins like this, unpacked if it is packed with gzip."""
    if not start.startswith(GZIP_START):
        return start[:size]
    try:
        return zlib.decompressobj(wbits=31).decompress(start, size)
    except zlib.error:
        return b""


def open_idx(name: str, source: Source) -> Array | None:
    """Return the array in an IDX file; None if it is none.

    Raises DatasetError if it claims to be larger than what is read.
    """
    start = unpacked_start(source.start(_START_BYTES), _START_BYTES)
    dimensions = start[3] if len(start) > 3 else 0
    header = 4 + 4 * dimensions
    if start[:3] != _UNSIGNED_BYTES or not 1 <= dimensions <= 4 or len(start) < header:
        return None
    shape = struct.unpack(f">{dimensions}I", start[4:header])
    size = math.prod(shape)
    check_size(name, size)

    def load() -> np.ndarray:
        content = read_bounded(name, source, MAX_BYTES + header)
        if content.startswith(GZIP_START):
            try:
                content = gzip.GzipFile(fileobj=io.BytesIO(content)).read(header + size)
            except _DAMAGED:
                raise cut_off(name) from None
        if len(content) < header + size:
            raise cut_off(name)
        values = np.frombuffer(content, np.uint8, size, header).reshape(shape)
        turned = is_on_its_side(name) and values.ndim == 3
        return values.transpose(0, 2, 1) if turned else values

    return Array(name, source, shape, "IDX files", load)
