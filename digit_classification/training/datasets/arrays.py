"""Arrays of pixels and of labels: NumPy's files, and pairs handed over in Python.

    mnist.npz                  x_train, y_train, x_test, y_test, as Keras has it
    images.npy, labels.npy

An array comes from a stranger: its size is known from its header and bounded before memory is
taken, and one of Python objects, which would have to be unpickled, is refused.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from digit_classification.pictures.sources import Source, SourceError, TooLarge
from digit_classification.training.datasets.dataset import DatasetError
from digit_classification.training.datasets.found import Contents, Found, Part, by_role

MAX_BYTES = 2**30  # of an array: 1.3 million images of MNIST's size
_NPY_START = b"\x93NUMPY"
_HEADER_BYTES = 2**12  # NumPy's own headers have 128
_FULL_SCALES = (1, 16, 255, 65_535)  # shares, the UCI digits' counts, bytes, 16 bits
# What NumPy raises on a header that is damaged, or made to be.
_DAMAGED = (ValueError, TypeError, SyntaxError, KeyError, RecursionError, MemoryError, EOFError)


@dataclass(frozen=True)
class Array:
    """An array in a file, not read yet.

    Attributes:
        name: relative to the dataset: of the file, and of the array if the file holds several.
        source: the file.
        shape: as its header has it.
        form: which kind of file.
        load: returns the array; raises DatasetError if it is not as its header says.
    """

    name: str
    source: Source
    shape: tuple[int, ...]
    form: str
    load: Callable[[], np.ndarray] = field(repr=False)

    @property
    def may_be_images(self) -> bool:
        if len(self.shape) == 2:
            return self.shape[1] > 10 and math.isqrt(self.shape[1]) ** 2 == self.shape[1]
        return len(self.shape) in (3, 4)

    @property
    def may_be_labels(self) -> bool:
        return len(self.shape) == 1 or (len(self.shape) == 2 and self.shape[1] in (1, 10))


Pair = tuple[Array, Array]  # images and labels


def open_npy(name: str, source: Source) -> Array | None:
    """Return the array in a .npy file or in a member of an .npz; None if it is none.

    Raises DatasetError if it holds objects, or is too large.
    """
    start = source.start(_HEADER_BYTES)
    if not start.startswith(_NPY_START):
        return None
    try:
        shape, dtype = _header(start)
    except _DAMAGED:
        raise DatasetError(f"The header of '{name}' is damaged: save the array anew.") from None
    if dtype.hasobject:
        raise DatasetError(
            f"'{name}' holds Python objects, which can run code when they are loaded: save it as an"
            " array of numbers."
        )
    check_size(name, math.prod(shape) * dtype.itemsize)

    def load() -> np.ndarray:
        content = read_bounded(name, source, MAX_BYTES + _HEADER_BYTES)
        try:
            array: np.ndarray = np.load(io.BytesIO(content), allow_pickle=False)
            return array
        except _DAMAGED:
            raise cut_off(name) from None

    return Array(name, source, shape, "NumPy arrays", load)


def _header(start: bytes) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return what an array's first bytes say of it, which is text that NumPy does not run."""
    stream = io.BytesIO(start)
    form: Any = np.lib.format  # has no types
    version = form.read_magic(stream)
    read = form.read_array_header_1_0 if version == (1, 0) else form.read_array_header_2_0
    shape, _, dtype = read(stream, max_header_size=_HEADER_BYTES)
    if any(length < 0 for length in shape):
        raise ValueError
    return shape, dtype


def check_size(name: str, size: int) -> None:
    """Raise DatasetError if an array has more bytes than are read."""
    if size > MAX_BYTES:
        raise DatasetError(
            f"'{name}' claims {size / 2**20:,.0f} MiB of pixels, more than the {MAX_BYTES >> 20:,} "
            "MiB that are read: take a part of it."
        )


def read_bounded(name: str, source: Source, limit: int) -> bytes:
    """Return the content of a file of the dataset; raises DatasetError if it cannot be had."""
    try:
        return source.read(limit)
    except (TooLarge, SourceError) as error:
        raise DatasetError(f"'{name}' cannot be read: {error}.") from None


def cut_off(name: str) -> DatasetError:
    return DatasetError(f"'{name}' is cut off, or damaged: copy or download it anew.")


# -------------------------------------------------------------------------- which belong together


def find_pair(arrays: Sequence[Array], part: Part) -> Found | None:
    """Return the images and labels among the arrays; None if none may be images.

    Raises DatasetError if images have no labels, or if it is not clear which are theirs.
    """
    arrays = _without_copies(arrays)
    if not any(array.may_be_images for array in arrays):
        return None
    roles = by_role(arrays, lambda array: array.name)
    training, test = _pair(roles["training"]), _pair(roles["test"])
    pair = (test or training) if part == "test" else (training or test)
    if pair is None:
        raise _no_pair(arrays)
    images, labels = pair
    used = [*(training or ()), *(test or ())]
    return Found(
        f"{images.form} '{images.name}' and '{labels.name}'",
        lambda: _load(images, labels),
        stray=[array.name for array in arrays if array not in used],
        beside=[array.source for array in used],
        holds_test=training is not None and test is not None,
    )


def _without_copies(arrays: Sequence[Array]) -> list[Array]:
    """Leave out what is there twice: packed and unpacked, or with a dot for a dash in its name."""
    kept: dict[object, Array] = {}
    for array in arrays:
        last = array.name.lower().removesuffix(".gz").split("/")[-1]
        plain = re.sub(r"[^a-z0-9]", "", last)
        kept.setdefault((plain, array.shape) if array.form == "IDX files" else array.name, array)
    return list(kept.values())


def _pair(arrays: Sequence[Array]) -> Pair | None:
    """Return the only images with the only labels that are as many; None if that is not so."""
    pairs = [
        (images, labels)
        for images in arrays
        for labels in arrays
        if images is not labels
        and images.may_be_images
        and labels.may_be_labels
        and images.shape[0] == labels.shape[0]
    ]
    return pairs[0] if len(pairs) == 1 else None


def _no_pair(arrays: Sequence[Array]) -> DatasetError:
    found = ", ".join(f"'{array.name}' of {_dimensions(array.shape)}" for array in arrays[:6])
    return DatasetError(
        f"There are arrays, but no images with as many labels ({found}): put the file of the "
        "labels beside that of the images, or both into one with numpy.savez('digits.npz', "
        "images=…, labels=…)."
    )


def _dimensions(shape: tuple[int, ...]) -> str:
    return "×".join(f"{length:,}" for length in shape) or "no dimension"


def _load(images: Array, labels: Array) -> Contents:
    return contents_of(images.load(), labels.load(), images.name)


# ----------------------------------------------------------------------------- pixels to pictures


def contents_of(images: np.ndarray, labels: np.ndarray, name: str) -> Contents:
    """Return the contents of arrays: each image as a file of its pixels, as if it were on disk.

    They then take the way of all pictures: those that follow MNIST's convention are taken as they
    are, all others through the whole preparation.

    Args:
        images: (n, h, w), (n, h, w, 1 or 3), (n, 1 or 3, h, w) or, if square, (n, pixels); numbers
            from 0 or -1 to 1, or from 0 to 16, 255 or 65,535.
        labels: (n,) or (n, 1) numbers or text, or (n, 10) with a one for the digit.
        name: of the images, for messages and for the name of each.

    Raises DatasetError if they are something else.
    """
    pixels = _as_pictures(images, name)
    named = _as_text(labels, name)
    if len(pixels) != len(named):
        raise DatasetError(
            f"'{name}' has {len(pixels):,} images and {len(named):,} labels: give each image one."
        )
    low, high = _scale(pixels, name)
    _, height, width, channels = pixels.shape
    start = b"%s\n%d %d\n255\n" % (b"P5" if channels == 1 else b"P6", width, height)

    def source(index: int) -> Source:
        image = pixels[index]
        if (low, high) != (0, 255) or image.dtype != np.uint8:
            image = np.rint((image.astype(np.float32) - low) * (255 / (high - low)))
            image = image.astype(np.uint8)
        return Source(name, name, explicit=True, content=start + image.tobytes())

    names = [f"{name}, image {index}" for index in range(len(named))]
    return Contents(names, named, source, are_pixels=True)


def _as_pictures(images: np.ndarray, name: str) -> np.ndarray:
    """Return a view as (n, h, w, 1 or 3)."""
    shape = images.shape
    if images.dtype.kind not in "buif" or 0 in shape:
        raise DatasetError(f"'{name}' holds {images.dtype} instead of pixels: save it as numbers.")
    side = math.isqrt(shape[1]) if len(shape) == 2 else 0
    if len(shape) == 2 and side * side == shape[1]:
        return images.reshape(-1, side, side, 1)
    if len(shape) == 3:
        return images[..., np.newaxis]
    if len(shape) == 4 and shape[3] in (1, 3):
        return images
    if len(shape) == 4 and shape[1] in (1, 3):  # as PyTorch has them
        return images.transpose(0, 2, 3, 1)
    raise DatasetError(
        f"'{name}' has the shape {_dimensions(shape)}, which is not one picture for each label: "
        "make it (number, height, width)."
    )


def _as_text(labels: np.ndarray, name: str) -> list[str]:
    """Return the labels as the texts that `digit_of` reads."""
    if labels.ndim == 2 and labels.shape[1] == 10 and labels.dtype.kind in "buif":
        if not (np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all()):
            raise DatasetError(
                f"The ten columns of the labels of '{name}' are not a 1 and nine times 0 in each "
                "row: give a label for each image, 0 to 9."
            )
        labels = labels.argmax(axis=1)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "buifSU":
        raise DatasetError(
            f"The labels of '{name}' are {labels.dtype} of {_dimensions(labels.shape)}: give a "
            "label for each image, 0 to 9."
        )
    if labels.dtype.kind == "f" and (labels == labels.round()).all():
        labels = labels.astype(np.int64)
    if labels.dtype.kind == "S":
        return [label.decode("latin-1") for label in labels.tolist()]
    return [str(label) for label in labels.tolist()]


def _scale(pixels: np.ndarray, name: str) -> tuple[float, float]:
    """Return which values are black and white, or white and black, by the range of all of them."""
    low, high = float(pixels.min()), float(pixels.max())
    if -1 <= low < 0 and high <= 1:
        return -1, 1
    for most in _FULL_SCALES:
        if low >= 0 and high <= most:
            return 0, most
    raise DatasetError(
        f"'{name}' holds pixels from {low:g} to {high:g}: bring them to 0 to 255, or 0 to 1."
    )
