"""The bytes of a stranger's picture -> pixels, or a short reason why there are none.

Pillow decodes, within bounds: only the formats that a setting names are opened, no picture of
more pixels than another allows is unpacked, and whatever a decoder raises on damaged data is one
kind of error.  Files that are no regular files are never opened.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from digit_classification.cli.native_messages import take_messages
from digit_classification.image_formats import FORMATS, MAX_PIXELS
from digit_classification.pictures.png import decode_plain_png
from digit_classification.pictures.sources import Source, SourceError

LONGEST_FORM = 2400  # pixels of a form, which has many digits
LONGEST = 1536  # pixels: a JPEG is decoded at the smallest scale that still gives a third of this

# Pillow warns, on standard error, of whatever is odd in a file: of no use in a long run.  Not
# within `decode`: that would take longer than to open a small picture.
warnings.filterwarnings("ignore", module=r"PIL\.")
# And it logs, which Python prints there as well unless somebody takes care of it.
logging.getLogger("PIL").addHandler(logging.NullHandler())

DECODER_SAID = "the decoder said: "  # begins what a note quotes
_SAID = 100  # characters quoted
_HARMLESS = "unknown field with tag"  # libtiff, of what scanners and maps add to their pictures

_ORIENTATION = 0x0112  # EXIF tag
_BAND = 2**22  # pixels converted at a time

Picture = str | os.PathLike[str] | bytes | BinaryIO | Image.Image | np.ndarray


class ImageError(ValueError):
    """Why a picture cannot be read: a short phrase such as 'the file is empty'."""


@dataclass(frozen=True)
class Limits:
    """What of a picture is opened.

    Attributes:
        formats: names of file formats; PGM stands for its relatives PBM and PPM as well.
        max_pixels: a picture of more is refused before it is unpacked.
    """

    formats: tuple[str, ...] = FORMATS
    max_pixels: int = MAX_PIXELS


@dataclass(frozen=True)
class Decoded:
    """The pixels of a picture, upright.

    Attributes:
        pixels: (h, w) or (h, w, 3 or 4), of the picture's own dtype and range.
        note: what a person should know of how the picture was read, or None.
    """

    pixels: np.ndarray
    note: str | None = None


DEFAULT_LIMITS = Limits()


def check_picture(picture: object) -> None:
    """Raise TypeError unless this could hold a picture; a path is known by then to be none."""
    if isinstance(picture, io.TextIOBase):
        raise TypeError("The file is open as text: open it with mode 'rb', or pass its path.")
    if not isinstance(picture, bytes | Image.Image | np.ndarray) and not hasattr(picture, "read"):
        raise TypeError(
            "A picture is a path, bytes, a binary file, a Pillow image or a NumPy array, not"
            f" {type(picture).__name__}: pass one of these, or a list of them."
        )


def decode(source: Picture, limits: Limits = DEFAULT_LIMITS, longest: int = LONGEST) -> Decoded:
    """Return the pixels of a path, the bytes of a file, a binary file, or a Pillow image.

    An array is returned as it is.  A large JPEG is decoded at reduced scale, for whoever looks at
    `longest` pixels of its longer side.

    Raises ImageError if the picture cannot be read.
    """
    if isinstance(source, np.ndarray):
        return Decoded(source)
    if not isinstance(source, Image.Image):
        source = _content(source)
        if "PNG" in limits.formats:
            plain = decode_plain_png(source, limits.max_pixels)
            if plain is not None:
                return Decoded(plain)
    with _bounded(limits.max_pixels):
        try:
            image = source if isinstance(source, Image.Image) else _open(source, limits)
        except ImageError as error:
            raise ImageError(_with_words_of_decoder(str(error))) from error
        try:
            pixels = _pixels(image, longest)
            animated = image is not source and getattr(image, "is_animated", False)
        except Exception as error:  # a decoder may raise anything on damaged data
            kind = "truncated" if "truncated" in str(error) else "damaged"
            problem = f"{kind} {image.format or 'image'}"
            raise ImageError(_with_words_of_decoder(problem)) from error
    # The further frames of an MPO, which phones write as .jpg, are depth and gain maps.
    noteworthy = animated and image.format != "MPO"
    notes = ["the first of several frames" if noteworthy else None, _words_of_decoder()]
    return Decoded(pixels, ", ".join(filter(None, notes)) or None)


def _words_of_decoder() -> str | None:
    """Return what Pillow's libraries said of the picture, if it may matter to whoever reads it."""
    for said in take_messages():
        if _HARMLESS not in said.lower():
            short = said if len(said) <= _SAID else f"{said[: _SAID - 1]}…"
            return f"{DECODER_SAID}{short}"
    return None


def _with_words_of_decoder(problem: str) -> str:
    said = _words_of_decoder()
    return f"{problem}, {said}" if said else problem


def _content(source: str | os.PathLike[str] | bytes | BinaryIO) -> bytes:
    if isinstance(source, bytes):
        return source
    if not isinstance(source, str | os.PathLike):
        return source.read()
    path = os.fspath(source)
    try:
        return Source(name=path, path=path).read()
    except SourceError as error:
        raise ImageError(str(error)) from error


@contextlib.contextmanager
def _bounded(max_pixels: int) -> Iterator[None]:
    """Move Pillow's guard against bombs to `max_pixels`; its decoders ask it, too."""
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max_pixels
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _open(content: bytes, limits: Limits) -> Image.Image:
    """Read the header of a picture; nothing is unpacked yet."""
    if not content:
        raise ImageError("the file is empty")
    formats = ["PPM" if name == "PGM" else name.upper() for name in limits.formats]
    try:
        image = Image.open(io.BytesIO(content), formats=formats)
    except UnidentifiedImageError as error:
        raise ImageError("not an image, or of an unknown format") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(_too_large(limits)) from error
    except Exception as error:  # a decoder may raise anything on damaged data
        raise ImageError("damaged image") from error
    if image.width * image.height > limits.max_pixels:
        raise ImageError(f"{image.width}x{image.height}: {_too_large(limits)}")
    return image


def _too_large(limits: Limits) -> str:
    return f"more than {limits.max_pixels:,} pixels"


def _pixels(image: Image.Image, longest: int) -> np.ndarray:
    """Unpack a picture, in bands: as a whole, Pillow would hold four copies of it at a time."""
    if image.format in ("JPEG", "MPO"):
        # The smallest scale that gives no less; one digit is seen well enough with a third of it.
        least = longest // 3 if longest == LONGEST else longest
        image.draft(None, (least, least))
    if image.getexif().get(_ORIENTATION, 1) != 1:
        image = ImageOps.exif_transpose(image)
    rows = max(1, _BAND // max(1, image.width))
    if rows >= image.height:
        return _as_array(image)
    pixels: np.ndarray | None = None
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        band = _as_array(image.crop((0, top, image.width, bottom)))
        if pixels is None:
            pixels = np.empty((image.height, *band.shape[1:]), band.dtype)
        pixels[top:bottom] = band
    assert pixels is not None  # a picture has rows
    return pixels


def _as_array(image: Image.Image) -> np.ndarray:
    if image.mode == "La":  # which Pillow converts to LA only
        image = image.convert("LA")
    if image.has_transparency_data:
        image = image.convert("RGBA")
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode != "L" and not image.mode.startswith(("I", "F")):
        image = image.convert("RGB")
    return np.asarray(image)
