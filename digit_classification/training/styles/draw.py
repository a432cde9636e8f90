"""Digits in all styles of the book, prepared as pictures of digits are."""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence

import numpy as np

from digit_classification.parallel import map_in_order
from digit_classification.pictures import images
from digit_classification.training.styles import hand, pen, picture
from digit_classification.training.styles.book import Style, read_book

_ATTEMPTS = 3  # at a picture that the preparation takes for one digit
_SURE_HEIGHT = 60.0  # pixels of the digit in the picture that is taken otherwise
_SURE_PEN = pen.Pen(0.09)


def draw_digits(
    count: int, rng: np.random.Generator, styles: Sequence[Style] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Draw `count` digits, in each style as many as its share says.

    Args:
        count: how many.
        rng: the only source of randomness: the same state draws the same digits.
        styles: all of the book if None.

    Returns:
        Normalised digits, (count, 28, 28) uint8, and their labels, (count,) uint8, in any order.
    """
    styles = read_book() if styles is None else styles
    chosen = rng.permutation(choose(count, styles))
    seeds = rng.integers(2**63, size=count)
    work = functools.partial(_draw_one, styles)
    pairs = zip(chosen.tolist(), seeds.tolist(), strict=True)
    digits = list(map_in_order(work, pairs))
    labels = np.array([styles[number].digit for number in chosen], np.uint8)
    return np.array(digits, np.uint8).reshape(-1, images.SIDE, images.SIDE), labels


def styles_of(digits: Collection[int]) -> list[Style]:
    """Return the styles of the book that are of these digits."""
    return [style for style in read_book() if style.digit in digits]


def choose(count: int, styles: Sequence[Style]) -> np.ndarray:
    """Return which styles `count` digits are drawn in, (count,) int, each as often as it should.

    A style gets its share of `count` rounded up or down, whatever the others get.
    """
    upto = np.cumsum([style.share for style in styles])
    return np.searchsorted(upto, (np.arange(count) + 0.5) / max(count, 1) * upto[-1])


def draw_one(style: Style, rng: np.random.Generator) -> np.ndarray:
    """Return one normalised digit, (28, 28) uint8."""
    for _ in range(_ATTEMPTS):
        ways = hand.write(style, rng)
        ink = pen.put_ink(ways, pen.any_pen(rng), picture.any_height(rng), rng)
        found = images.normalize(picture.take(ink, rng))
        if found.rejection is None:
            return found.digit
    ink = pen.put_ink(hand.write_model(style), _SURE_PEN, _SURE_HEIGHT, rng)
    return images.normalize(picture.on_a_screen(ink, rng)).digit


def _draw_one(styles: Sequence[Style], item: tuple[int, int]) -> np.ndarray:
    number, seed = item
    return draw_one(styles[number], np.random.default_rng(seed))
