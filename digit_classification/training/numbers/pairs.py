"""Digits that touch, drawn by the ten thousands, and the network that learns to read two at once.

A chain of one to four digits is written, each touching or overlapping the next, and a part of it is
cut out, as the detector may cut: mostly two digits, with crumbs of their neighbours; but also one,
three, and halves.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from digit_classification.cli.quiet import import_keras
from digit_classification.network.architecture import Layers, dense_layers
from digit_classification.network.numbers.pairs import OUTPUTS, WIDTHS
from digit_classification.parallel import map_in_order
from digit_classification.pictures.images.convention import PAIR_SHAPE
from digit_classification.pictures.images.width import with_usual_width
from digit_classification.pictures.numbers.pairs import pair_image
from digit_classification.training.learner import falling_rate
from digit_classification.training.scenes import Digits
from digit_classification.training.scenes.sheet import Rng

_HEIGHT = 40  # pixels of a digit
_INK = 100  # of 255
_LENGTHS = (0.08, 0.62, 0.18, 0.12)  # shares of chains of one to four digits
_GAPS = (-0.13, 0.0)  # between two digits, in shares of their height
_WHOLE, _CRUMB = 0.85, 0.2  # shares of a digit's ink: so much is all of it, so little is none
_EACH = 100  # pairs that a process draws at a time

EPOCHS = 9
BATCH_SIZE = 256
LEARNING_RATE = 4e-3
WEIGHT_DECAY = 1e-3
DROPOUT = 0.2
# Standard deviations of the distortions in each epoch.
_SCALE, _SHEAR, _SHIFT = 0.05, 0.1, (0.8, 0.5)


@dataclass(frozen=True)
class DrawnPairs:
    """Pictures of ink that may be two digits.

    Attributes:
        images: (n, 22, 36) uint8.
        digits: (n, 2) int8, the one on the left and the one on the right; -1 where there are not
            two.
        two: (n,) int8: 1 for two whole digits, 0 for anything else.
    """

    images: np.ndarray
    digits: np.ndarray
    two: np.ndarray


def draw_pairs(
    digits: Digits, count: int, seed: tuple[int, ...], advance: Callable[[int, int], None]
) -> DrawnPairs:
    """Draw so many; the same digits and seed give the same."""
    stacks = []
    parts = range(0, count, _EACH)
    for stack in map_in_order(functools.partial(_draw_some, digits, seed), parts, 0):
        stacks.append(stack)
        advance(len(stacks), len(parts))
    images, numbers, two = (np.concatenate(each) for each in zip(*stacks, strict=True))
    return DrawnPairs(images, numbers, two)


def _draw_some(
    digits: Digits, seed: tuple[int, ...], start: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng((*seed, start))
    images = np.zeros((_EACH, *PAIR_SHAPE), np.uint8)
    numbers = np.full((_EACH, 2), -1, np.int8)
    two = np.zeros(_EACH, np.int8)
    for index in range(_EACH):
        drawn = None
        while drawn is None:
            drawn = _draw(rng, digits)
        strokes, shown = drawn
        images[index] = pair_image(with_usual_width(strokes))
        if len(shown) == 2:
            numbers[index], two[index] = shown, 1
    return images, numbers, two


def _draw(rng: Rng, digits: Digits) -> tuple[np.ndarray, list[int]] | None:
    """Return strokes, (h, w) uint8, and the digits that they show if these are whole.

    None where that is hard to say.
    """
    count = 1 + int(rng.choice(len(_LENGTHS), p=_LENGTHS))
    lean = rng.normal(0.0, 0.1)
    text = [int(each) for each in rng.integers(10, size=count)]
    written = [_written(rng, digits, each, lean) for each in text]
    ink, owner, sides = _chain(rng, written)
    first = int(rng.integers(0, max(1, count - 1)))
    last = first + 1 + int(rng.choice(3, p=(0.08, 0.84, 0.08)))
    kept = np.ones_like(ink, bool)
    if first > 0:
        kept &= ~_left_of(rng, ink.shape, (sides[first - 1][1] + sides[first][0]) / 2)
    if last < count:
        kept &= _left_of(rng, ink.shape, (sides[last - 1][1] + sides[last][0]) / 2)
    inked = np.maximum(np.bincount(owner.ravel(), minlength=count + 1)[1:], 1)
    held = np.bincount(owner[kept], minlength=count + 1)[1:] / inked
    if not (held > _CRUMB).any():
        return None
    shown = [digit for digit, share in zip(text, held.tolist(), strict=True) if share > _WHOLE]
    partly = (held > _CRUMB) & (held <= _WHOLE)
    if len(shown) == 2 and partly.any():
        if held[partly].max() < 0.4 or held[partly].min() > 0.7:
            return None
        shown = []
    return np.where(kept, ink, 0).astype(np.uint8), shown


def _written(rng: Rng, digits: Digits, digit: int, lean: float) -> np.ndarray:
    """Return the ink of a digit, (h, w) uint8, some 40 pixels high, cut to the ink."""
    _, image = digits.choose(rng, digit)
    x, y, w, h = cv2.boundingRect((image > _INK // 2).astype(np.uint8))
    high = _HEIGHT * float(rng.uniform(0.85, 1.12)) / max(h, 1)
    wide = min(high * float(rng.uniform(0.88, 1.12)), 1.3 * _HEIGHT / max(w, 1))
    slant, turn = float(lean + rng.normal(0, 0.06)), float(rng.normal(0, 0.05))
    shape = np.array([[wide, -(slant + turn) * high], [turn * wide, high]], np.float32)
    size = 2 * _HEIGHT + 16
    middle = size / 2 - shape @ np.array([x + w / 2, y + h / 2], np.float32)
    drawn = cv2.warpAffine(
        image, np.column_stack([shape, middle]), (size, size), flags=cv2.INTER_CUBIC
    )
    x, y, w, h = cv2.boundingRect((drawn > _INK // 2).astype(np.uint8))
    return drawn[y : y + max(h, 1), x : x + max(w, 1)]


def _chain(
    rng: Rng, written: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, list[tuple[int, int]]]:
    """Return ink of digits that touch, whose it is (1 for the first, 0 none), and their sides."""
    places = [(0, 0)]
    for before, ink in itertools.pairwise(written):
        left, above = places[-1]
        top = round(above + before.shape[0] - ink.shape[0] + rng.normal(0, 0.04) * _HEIGHT)
        gap = round(float(rng.uniform(*_GAPS)) * _HEIGHT)
        places.append((left + _beside(before, ink, top - above) + gap, top))
    left, above = np.min(places, axis=0).tolist()
    places = [(x - left, y - above) for x, y in places]
    width = max(x + ink.shape[1] for (x, _), ink in zip(places, written, strict=True))
    height = max(y + ink.shape[0] for (_, y), ink in zip(places, written, strict=True))
    whole, owner = np.zeros((height, width), np.uint8), np.zeros((height, width), np.int16)
    for index, ((x, y), ink) in enumerate(zip(places, written, strict=True), 1):
        here = np.s_[y : y + ink.shape[0], x : x + ink.shape[1]]
        np.maximum(whole[here], ink, out=whole[here])
        owner[here][ink > _INK] = index
    sides = [(x, x + ink.shape[1]) for (x, _), ink in zip(places, written, strict=True)]
    return whole, owner, sides


def _beside(before: np.ndarray, ink: np.ndarray, top: int) -> int:
    """Return how far right ink is, `top` lower, when it just touches what was written before."""
    first, last = max(0, top), min(before.shape[0], top + ink.shape[0])
    if last - first < 3:
        return before.shape[1]
    ends = before.shape[1] - _edge(before[first:last, ::-1])
    starts = _edge(ink[first - top : last - top])
    return int(np.max(ends - starts, initial=1))


def _edge(ink: np.ndarray) -> np.ndarray:
    """Return how far ink is from the left side in each row, (h,), or in a row beside it."""
    inked = ink > _INK
    far = np.float32(ink.shape[1])
    edge = np.where(inked.any(axis=1), inked.argmax(axis=1), far).astype(np.float32)
    return np.minimum(edge, np.minimum(np.append(edge[1:], far), np.append(far, edge[:-1])))


def _left_of(rng: Rng, shape: tuple[int, ...], middle: float) -> np.ndarray:
    """Return what is left of a cut, (h, w) bool: it leans, and may miss the place."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    astray = 0.3 if rng.random() < 0.15 else 0.06
    at = middle + rng.normal(0, astray) * _HEIGHT
    lean = rng.normal(0, 0.15)
    return np.asarray(columns < at + lean * (rows - shape[0] / 2))


def learn_pairs(drawn: DrawnPairs, seed: int, advance: Callable[[int, int], None]) -> Layers:
    """Return the layers of a network that reads pairs, for images / 255.

    Args:
        drawn: what it learns from.
        seed: fixes the weights, the order and the distortions.
        advance: hears how many epochs of how many are done.
    """
    keras = import_keras()
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    model = _build()
    steps = EPOCHS * -(-len(drawn.images) // BATCH_SIZE)
    rate = falling_rate(LEARNING_RATE, steps)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY)
    model.compile(optimizer, loss=_loss)
    truth = np.concatenate([drawn.digits, drawn.two[:, None]], axis=1)
    for epoch in range(EPOCHS):
        images = _distorted(drawn.images, rng)
        model.fit(images, truth, batch_size=BATCH_SIZE, verbose=0)
        advance(epoch + 1, EPOCHS)
    return dense_layers(model)


def _build() -> Any:
    keras = import_keras()
    layers = keras.layers
    model = keras.Sequential([keras.Input(PAIR_SHAPE), layers.Rescaling(1 / 255), layers.Flatten()])
    for units in WIDTHS[1:-1]:
        model.add(layers.Dense(units, activation="relu"))
        model.add(layers.Dropout(DROPOUT))
    model.add(layers.Dense(OUTPUTS))
    return model


def _loss(truth: Any, logits: Any) -> Any:
    """Both digits where there are two, and whether there are: cross entropies, added up."""
    import tensorflow as tf

    two = tf.cast(truth[:, 2], tf.float32)
    loss = tf.nn.sigmoid_cross_entropy_with_logits(two, logits[:, 20])
    for side in range(2):
        digit = tf.cast(tf.maximum(truth[:, side], 0), tf.int32)
        read = logits[:, 10 * side : 10 * side + 10]
        loss += two * tf.nn.sparse_softmax_cross_entropy_with_logits(digit, read)
    return loss


def _distorted(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return each image a little larger or smaller, slanted and moved."""
    middle = np.array(PAIR_SHAPE[::-1]) / 2
    scales = 1 + _SCALE * rng.standard_normal((len(images), 2))
    shears = _SHEAR * rng.standard_normal(len(images))
    moves = _SHIFT * rng.standard_normal((len(images), 2))
    result = np.empty_like(images)
    for index, image in enumerate(images):
        shape = np.array([[scales[index, 0], shears[index]], [0, scales[index, 1]]])
        across = middle - shape @ middle + moves[index]
        result[index] = cv2.warpAffine(
            image, np.column_stack([shape, across]).astype(np.float32), PAIR_SHAPE[::-1]
        )
    return result
