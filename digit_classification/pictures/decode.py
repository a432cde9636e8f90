"""The bytes of a stranger's picture -> pixels, or a short reason why there are none.

Pillow decodes, within bounds: only the formats that a setting names are opened, no picture of
more pixels than another allows is unpacked, and whatever a decoder raises on damaged data is one
kind of error.  Files that are no regular files are never opened.
"""

from __future__ import annotations

import contextlib
import functools
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
from digit_classification.image_formats import (
    FORMATS,
    INSTALL,
    MAX_PAGES,
    MAX_PIXELS,
    TOO_MANY_PAGES,
    is_heic,
    is_pdf,
    is_tiff,
)
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
_KIND_OF_FRAME, _NO_PAGE = 254, 1 | 4  # TIFF's NewSubfileType: a smaller copy, or a mask
_FRAMES_A_PAGE = 4  # at most: itself, and such copies and masks of it
_BAND = 2**22  # pixels converted at a time

Picture = str | os.PathLike[str] | bytes | BinaryIO | Image.Image | np.ndarray


class ImageError(ValueError):
    """Why a picture cannot be read: a short phrase such as 'the file is empty'."""


@dataclass(frozen=True)
class Limits:
    """What of a picture is opened.

    Attributes:
        formats: names of file formats; PGM stands for its relatives PBM and PPM as well.
        max_pixels: a picture, or a page, of more is refused before it is unpacked.
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
        image = source if isinstance(source, Image.Image) else _open(source, limits)
        with _damage_told(image):
            pixels = _pixels(image, longest)
            animated = image is not source and getattr(image, "is_animated", False)
    # The further frames of an MPO, which phones write as .jpg, are depth and gain maps.
    noteworthy = animated and image.format != "MPO"
    notes = ["the first of several frames" if noteworthy else None, _words_of_decoder()]
    return Decoded(pixels, ", ".join(filter(None, notes)) or None)


def decode_pages(source: Picture, limits: Limits, longest: int) -> Iterator[Decoded | ImageError]:
    """Yield the pages of a file, or why one cannot be read, one at a time.

    Arguments as of `decode`.  Raises ImageError if the file cannot be read at all.
    """
    if isinstance(source, np.ndarray | Image.Image):
        yield decode(source, limits, longest)
        return
    content = _content(source)
    if is_pdf(content) and "PDF" in limits.formats:
        yield from _drawn(content, limits, longest)
    elif is_tiff(content) and "TIFF" in limits.formats:
        yield from _frames(content, limits, longest)
    else:
        yield decode(content, limits, longest)


def _drawn(content: bytes, limits: Limits, longest: int) -> Iterator[Decoded | ImageError]:
    """Yield the pages of a PDF."""
    from digit_classification.pictures.pdf import PdfError, draw_pages

    try:
        for page in draw_pages(content, limits.max_pixels, longest):
            if isinstance(page, PdfError):
                yield ImageError(str(page))
                continue
            rows = np.frombuffer(page.pixels, np.uint8).reshape(page.height, page.stride)
            yield Decoded(rows[:, : page.width])
    except PdfError as error:
        raise ImageError(str(error)) from error


def _frames(content: bytes, limits: Limits, longest: int) -> Iterator[Decoded | ImageError]:
    """Yield the pages of a TIFF."""
    with _bounded(limits.max_pixels):
        image = _open(content, limits)
        pages = _pages_among_frames(image)
    for frame in pages:
        try:
            with _bounded(limits.max_pixels), _damage_told(image):
                image.seek(frame)
                _check_size(image, limits)
                pixels = _pixels(image, longest)
        except ImageError as error:
            yield error
        else:
            yield Decoded(pixels, _words_of_decoder())


def _pages_among_frames(image: Image.Image) -> list[int]:
    """Return which frames of a TIFF are pages, and no small copies or masks of others.

    A damaged frame ends them: behind it nothing can be found.
    """
    pages = []
    for frame in range(_FRAMES_A_PAGE * MAX_PAGES):
        try:
            image.seek(frame)
            kind = image.getexif().get(_KIND_OF_FRAME, 0)
        except EOFError:
            break
        except Exception:  # a decoder may raise anything on damaged data
            pages.append(frame)
            break
        if not (isinstance(kind, int) and kind & _NO_PAGE):
            pages.append(frame)
    else:
        raise ImageError(TOO_MANY_PAGES)
    if len(pages) > MAX_PAGES:
        raise ImageError(TOO_MANY_PAGES)
    return pages or [0]


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


@contextlib.contextmanager
def _damage_told(image: Image.Image) -> Iterator[None]:
    """Turn whatever a decoder raises on damaged data into an ImageError."""
    try:
        yield
    except ImageError:
        raise
    except Exception as error:
        kind = "truncated" if "truncated" in str(error) else "damaged"
        problem = f"{kind} {image.format or 'image'}"
        raise ImageError(_with_words_of_decoder(problem)) from error


def _open(content: bytes, limits: Limits) -> Image.Image:
    """Read the header of a picture; nothing is unpacked yet."""
    try:
        image = _identified(content, limits)
        _check_size(image, limits)
        return image
    except ImageError as error:
        raise ImageError(_with_words_of_decoder(str(error))) from error


def _identified(content: bytes, limits: Limits) -> Image.Image:
    if not content:
        raise ImageError("the file is empty")
    for name, recognised in (("PDF", is_pdf), ("HEIC", is_heic)):
        if name not in limits.formats and recognised(content):
            raise ImageError(f"{name} is not among images.formats: add it there")
    if is_pdf(content):
        raise ImageError("a PDF is no picture: read its pages with --read form")
    if is_heic(content):
        _learn_heic()
        formats = ["HEIF"]
    else:  # asked for one that it does not know, Pillow would load all its plugins
        names = [name for name in limits.formats if name not in ("HEIC", "PDF")]
        formats = ["PPM" if name == "PGM" else name.upper() for name in names]
    try:
        return Image.open(io.BytesIO(content), formats=formats)
    except UnidentifiedImageError as error:
        known = formats == ["HEIF"]
        raise ImageError(
            "damaged HEIF" if known else "not an image, or of an unknown format"
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(_too_large(limits)) from error
    except Exception as error:  # a decoder may raise anything on damaged data
        raise ImageError("damaged image") from error


@functools.cache
def _learn_heic() -> None:
    """Have Pillow open HEIC pictures; of each only the picture itself is looked at."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        raise ImageError(f"HEIC needs pillow-heif, which is not installed: {INSTALL}") from None
    register_heif_opener(decode_threads=1, thumbnails=False, depth_images=False, aux_images=False)


def _check_size(image: Image.Image, limits: Limits) -> None:
    if image.width * image.height > limits.max_pixels:
        raise ImageError(f"{image.width}x{image.height}: {_too_large(limits)}")


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
