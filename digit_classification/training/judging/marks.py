"""Marks that are no digits, in a digit's form: letters, signs, shapes, scribbles.

The pictures that the judge learns from hold a thousand of them, whose letters it would learn by
heart; thousands more cost little where nothing is drawn around them.
"""

from __future__ import annotations

import functools

import numpy as np

from digit_classification.parallel import map_in_order
from digit_classification.pictures.images import strokes_to_digit
from digit_classification.training.scenes import compose, letters, marks
from digit_classification.training.scenes.sheet import Rng

_LETTERS = 0.5  # of all
_OTHERS = {
    marks.scribble: 0.3,
    marks.punctuation: 0.2,
    marks.shape: 0.2,
    marks.operator: 0.1,
    marks.tick: 0.1,
    marks.cross: 0.1,
}
_HEIGHTS = (24.0, 90.0)  # pixels in which they are drawn
_EACH = 100  # that a process draws at a time


def draw_marks(count: int, seed: tuple[int, ...]) -> np.ndarray:
    """Draw at least so many, (n, 28, 28) uint8; the same count and seed give the same."""
    parts = range(-(-count // _EACH))
    return np.concatenate(list(map_in_order(functools.partial(_draw_some, seed), parts, 0)))


def _draw_some(seed: tuple[int, ...], part: int) -> np.ndarray:
    rng = np.random.default_rng((*seed, part))
    return np.stack([strokes_to_digit(_coverage(rng)) for _ in range(_EACH)])


def _coverage(rng: Rng) -> np.ndarray:
    """Return the strokes of a mark, (h, w) uint8, 255 for full ink."""
    height = float(rng.uniform(*_HEIGHTS))
    if rng.random() < _LETTERS:
        drawn = letters.letter(rng, height)
    else:
        chosen = rng.choice(len(_OTHERS), p=list(_OTHERS.values()))
        drawn = compose.written(rng, list(_OTHERS)[chosen](rng), height)
    return (np.clip(drawn, 0, 1) * 255).astype(np.uint8)
