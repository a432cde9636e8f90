"""Which pictures are opened: the formats there are, and the limits that settings may move."""

from __future__ import annotations

from typing import Literal

FormatName = Literal["PNG", "JPEG", "BMP", "GIF", "TIFF", "WebP", "PGM", "AVIF", "JPEG2000"]

# Opened unless settings name others.
FORMATS: tuple[FormatName, ...] = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WebP", "PGM")
MAX_PIXELS = 89_478_485  # Pillow's own guard: 256 MiB of three bytes a pixel
