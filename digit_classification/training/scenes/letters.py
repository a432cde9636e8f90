"""Letters, words and printed text.

Handwriting comes from fonts that people's hands were made into, all under the SIL Open Font
License 1.1: `handwriting.zip` holds them and, beside each, its licence; handwriting.md names them.

Letters that a digit is often written like are left out of what is no digit: O o Q D U (0),
I i J j l (1), Z z (2), S s (5), G b (6), T (7), B (8), g q a (9), Y y (4).
"""

from __future__ import annotations

import io
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from digit_classification.errors import UserError

from .strokes import Hand, Rng, any_hand, from_picture, middle_line, write

UNLIKE_DIGITS = "ACEFHKLMNPRVWXdefhkmnprtuvwx"
ANY = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
FONTS = Path(__file__).with_name("handwriting.zip")
# fmt: off
_SYLLABLES = [
    "an", "en", "er", "in", "on", "ar", "el", "or", "at", "es", "ti", "re", "ma", "ka", "no",
    "la", "ro", "se", "mi", "da", "ber", "ten", "lin", "gen", "sta", "ver", "hof", "dorf", "mann",
    "sen", "son", "feld", "wald", "berg", "stein", "mark", "land", "holm", "vik", "ing", "lund",
    "gren", "strom",
]
# fmt: on
_SIZE = 72  # pixels to which a font's em is drawn
_ROOM = 9  # pixels around what is drawn
_CAPITAL = 0.66  # of the em: about what a capital is high


class FontError(UserError):
    """The handwriting cannot be drawn; the message is one sentence for the user."""


@cache
def _hands(archive: Path) -> list[ImageFont.FreeTypeFont]:
    try:
        with zipfile.ZipFile(archive) as members:
            names = sorted(name for name in members.namelist() if name.endswith(".woff2"))
            return [ImageFont.truetype(io.BytesIO(members.read(name)), _SIZE) for name in names]
    except (OSError, ImportError, zipfile.BadZipFile) as error:
        # No file, a Pillow without FreeType, or a FreeType without Brotli.
        raise FontError(
            f"The handwriting in '{archive}' cannot be drawn ({error}): fetch the file again, and "
            "install the Pillow that requirements.txt names, which opens WOFF2 fonts."
        ) from None


def letter(
    rng: Rng, height: float, letters: str = UNLIKE_DIGITS, fonts: Path = FONTS
) -> np.ndarray:
    """Return one handwritten letter: coverage, (h, w) float32 in 0..1.

    Args:
        rng: what chooses letter, hand and pen.
        height: pixels.
        letters: what is chosen from.
        fonts: archive of the hands that it may be written in.

    Raises FontError if they cannot be opened.
    """
    chosen = letters[rng.integers(len(letters))]
    hands = _hands(fonts)
    drawn = _drawn(chosen, hands[rng.integers(len(hands))])
    return _written(rng, drawn, drawn.shape[0] - 2 * _ROOM, height, any_hand(rng))


def word(rng: Rng, height: float, count: int | None = None, fonts: Path = FONTS) -> np.ndarray:
    """Return a handwritten word of `count` syllables, its capital `height` pixels high.

    Arguments, result and errors are as of `letter`.
    """
    hands = _hands(fonts)
    drawn = _drawn(any_word(rng, count), hands[rng.integers(len(hands))])
    hand = any_hand(rng, pen=float(rng.uniform(0.03, 0.1)))
    return _written(rng, drawn, _CAPITAL * _SIZE, height, hand)


def any_word(rng: Rng, count: int | None = None) -> str:
    """Return a word that nobody knows, of `count` syllables."""
    count = int(rng.integers(1, 4)) if count is None else count
    made = "".join(_SYLLABLES[i] for i in rng.integers(len(_SYLLABLES), size=count))
    return made.capitalize() if rng.random() < 0.6 else made


def _written(rng: Rng, drawn: np.ndarray, unit: float, height: float, hand: Hand) -> np.ndarray:
    """Write what a font drew: with the font's pen, or with the hand's."""
    if rng.random() < 0.5:
        own = Hand(None, 0, hand.slant, hand.turn, hand.stretch, hand.wobble)
        return write(rng, from_picture(drawn, unit=unit), height, own)
    return write(rng, middle_line(drawn, unit=unit), height, hand)


def _drawn(
    text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room: int = _ROOM
) -> np.ndarray:
    """Return text as (h, w) uint8, light on dark, with `room` pixels around."""
    left, top, right, bottom = font.getbbox(text)
    size = (max(1, int(right - left)) + 2 * room, max(1, int(bottom - top)) + 2 * room)
    picture = Image.new("L", size)
    ImageDraw.Draw(picture).text((room - left, room - top), text, fill=255, font=font)
    return np.asarray(picture)


@cache
def _printing(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def printed(text: str, height: int) -> np.ndarray:
    """Return printed text, capitals about `height` pixels high; result as of `letter`."""
    return _drawn(text, _printing(max(4, round(height * 1.35))), 0).astype(np.float32) / 255


def printed_line(rng: Rng, height: int, words: int) -> np.ndarray:
    """Return a line of printed words; result as of `letter`."""
    return printed(" ".join(any_word(rng) for _ in range(words)), height)


def printed_digit(rng: Rng, height: int) -> tuple[int, np.ndarray]:
    """Return a printed digit, light to bold: its label, and the coverage as of `letter`."""
    label = int(rng.integers(10))
    drawn = _drawn(str(label), _printing(80))
    unit = drawn.shape[0] - 2 * _ROOM
    hand = Hand(float(rng.uniform(0.09, 0.17)), stretch=float(rng.uniform(0.85, 1.2)), wobble=0.0)
    return label, write(rng, from_picture(drawn, unit=unit), height, hand)
