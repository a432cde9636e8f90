"""How the judge goes on learning: the pictures' ways to be seen, beside simulated pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from digit_classification.cli.quiet import import_keras
from digit_classification.network.architecture import Layers, dense_layers
from digit_classification.network.inference import DenseNetwork
from digit_classification.network.judge import CLASSES, Judge
from digit_classification.training.augmentation import augment
from digit_classification.training.fine_tuning.own import Looks
from digit_classification.training.judging.labels import OTHER, WHOLE, LearningSet
from digit_classification.training.judging.learner import (
    BATCH_SIZE,
    DROPOUT,
    INPUT_DROPOUT,
    STEPS_PER_CALL,
    learning,
)

EPOCHS = 8
LEARNING_RATE = 3e-4
MOST_OFTEN = 3  # times that an epoch shows the pictures, lest the simulated ones drown them


def rows_of(looks: Sequence[Looks], network: DenseNetwork) -> LearningSet:
    """Return what is learned of pictures: the way that shows the digit, and those misread.

    What shows something else, but is read rightly, may be a whole digit as well.
    """
    read = network(np.concatenate([look.digits for look in looks])).argmax(axis=1)
    labels = np.concatenate([np.full(len(look.digits), look.label) for look in looks])
    first = np.concatenate([np.arange(len(look.digits)) == 0 for look in looks])
    learned = np.flatnonzero(first | (read != labels))
    return LearningSet(
        np.concatenate([look.digits for look in looks])[learned],
        np.concatenate([look.contexts for look in looks])[learned],
        np.concatenate([look.numbers for look in looks])[learned],
        np.where(first, WHOLE, OTHER).astype(np.int8)[learned],
        labels.astype(np.int8)[learned],
    )


def tune_judge(
    judge: Judge,
    own: LearningSet,
    repeated: LearningSet,
    digit_layers: Layers,
    rng: np.random.Generator,
    advance: Callable[[int, int], None],
) -> Judge:
    """Return the judge after further learning.

    Args:
        judge: of the digit network before it learned further.
        own: of the pictures.
        repeated: of simulated pictures.
        digit_layers: the digit network's, as it is now.
        rng: the order, and the distortions.
        advance: hears how many steps of how many are done.
    """
    often = int(np.clip(len(repeated) // max(1, len(own)), 1, MOST_OFTEN))
    images, contexts, numbers, classes = (
        np.concatenate([getattr(repeated, name), getattr(own, name)])
        for name in ("images", "contexts", "numbers", "classes")
    )
    numbers = np.clip(numbers, *judge.bounds.astype(np.float32))
    shown = np.concatenate([np.arange(len(images)), np.tile(np.arange(len(own)), often - 1)])
    shown[len(images) :] += len(repeated)
    batch = min(BATCH_SIZE, len(shown))
    steps = len(shown) // batch
    model = _network_of(judge)
    learn_batches = learning(model, digit_layers, batch, EPOCHS * steps, LEARNING_RATE)
    for epoch in range(EPOCHS):
        order = rng.permutation(shown)
        for step in range(0, steps, STEPS_PER_CALL):
            part = order[step * batch : min(step + STEPS_PER_CALL, steps) * batch]
            distorted = augment(images[part], rng)
            learn_batches(distorted, contexts[part], numbers[part], classes[part])
            advance(epoch * steps + step + len(part) // batch, EPOCHS * steps)
    return judge.with_layers(dense_layers(model))


def _network_of(judge: Judge) -> Any:
    """Return a judge's network, a keras.Sequential that gives logits of CLASSES."""
    keras = import_keras()
    layers = keras.layers
    *hidden, last = judge.layers
    model = keras.Sequential([keras.Input((judge.widths[0],)), layers.Dropout(INPUT_DROPOUT)])
    for _, bias in hidden:
        model.add(layers.Dense(len(bias), activation="relu"))
        model.add(layers.Dropout(DROPOUT))
    model.add(layers.Dense(len(CLASSES)))
    model.set_weights([array for pair in (*hidden, last) for array in pair])
    return model
