"""How the digit network goes on learning: own pictures beside digits that are repeated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from digit_classification.cli.quiet import import_keras
from digit_classification.network.architecture import plain_network
from digit_classification.training.augmentation import augment
from digit_classification.training.learner import STEPS_PER_CALL, learning
from digit_classification.training.scenes import Digits

STEPS = 500
LEARNING_RATE = 0.02
# Of each step: digits of the pictures, of the dataset that is repeated, and drawn in many styles.
OWN, REPEATED, DRAWN = 128, 320, 64

# How far the weights go from those before to those learned: most of the gain is kept, and less lost
# on other hands (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models").
WAY = 0.9


def tune_network(
    network: Any,
    own: Digits,
    repeated: Digits,
    drawn: Digits,
    rng: np.random.Generator,
    advance: Callable[[int, int], None],
) -> Any:
    """Return the network, a keras.Sequential as it is saved, after further learning.

    Args:
        network: as it is saved.
        own: the pictures' digits.
        repeated: those of many hands.
        drawn: those in styles of the book.
        rng: which are chosen, and how they are distorted.
        advance: hears how many steps of how many are done.
    """
    keras = import_keras()
    model = plain_network(network.get_weights(), learning=True)
    schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, STEPS)
    optimizer = keras.optimizers.SGD(schedule, momentum=0.9, nesterov=True)
    optimizer.build(model.trainable_variables)
    learn_batches = learning(model, optimizer, OWN + REPEATED + DRAWN)
    for done in range(0, STEPS, STEPS_PER_CALL):
        batches = [_batch(own, repeated, drawn, rng) for _ in range(STEPS_PER_CALL)]
        digits, labels = (np.concatenate(each) for each in zip(*batches, strict=True))
        learn_batches(augment(digits, rng), labels)
        advance(done + STEPS_PER_CALL, STEPS)
    weights = zip(network.get_weights(), model.get_weights(), strict=True)
    return plain_network([(1 - WAY) * before + WAY * after for before, after in weights])


def _batch(
    own: Digits, repeated: Digits, drawn: Digits, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    some = [
        (digits, rng.integers(len(digits.labels), size=count))
        for digits, count in ((own, OWN), (repeated, REPEATED), (drawn, DRAWN))
    ]
    return (
        np.concatenate([digits.images[those] for digits, those in some]),
        np.concatenate([digits.labels[those] for digits, those in some]).astype(np.uint8),
    )
