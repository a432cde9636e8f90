"""Which pictures are opened: the formats there are, and the limits that settings may move."""

from __future__ import annotations

from typing import Literal

FormatName = Literal[
    "PNG", "JPEG", "BMP", "GIF", "TIFF", "WebP", "PGM", "HEIC", "PDF", "AVIF", "JPEG2000"
]

# Opened unless settings name others.
FORMATS: tuple[FormatName, ...] = (
    *("PNG", "JPEG", "BMP", "GIF", "TIFF", "WebP", "PGM"),
    *("HEIC", "PDF"),  # with what INSTALL installs
)
MAX_PIXELS = 89_478_485  # Pillow's own guard: 256 MiB of three bytes a pixel
MAX_PAGES = 500  # of a file: their cells are stored in one transaction
TOO_MANY_PAGES = f"more than {MAX_PAGES} pages"
INSTALL = "pip install -r requirements-formats.txt"

_HEIC_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"))


def is_pdf(content: bytes) -> bool:
    """Whether a file is a PDF; some have a few blanks in front."""
    return content[:1024].lstrip(b"\xef\xbb\xbf\0\t\n\f\r ").startswith(b"%PDF-")


def is_tiff(content: bytes) -> bool:
    """Whether a file is a TIFF, which may hold several pages."""
    return content.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"))


def is_heic(content: bytes) -> bool:
    """Whether a file is a HEIC or HEIF picture, which says so in a list of names at its start."""
    if content[4:8] != b"ftyp":
        return False
    brands = content[8 : min(int.from_bytes(content[:4], "big"), 256)]
    return any(brands[i : i + 4] in _HEIC_BRANDS for i in range(0, len(brands), 4))
