"""How the judge learns: a dense network that sees what the digit network makes of a digit, too.

Two kinds of noise keep it from learning the simulation by heart: the strokes of a whole digit are
exchanged for those of a real one that shows the same, and distorted as the digit network's are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from digit_classification.cli.quiet import import_keras
from digit_classification.network.architecture import Layers
from digit_classification.network.judge import (
    CLASSES,
    LEAST_PROBABILITY,
    LOG_SCALE,
    inputs_width,
)
from digit_classification.pictures.images import SIDE
from digit_classification.pictures.proposals import CONTEXT, NUMBERS
from digit_classification.training.augmentation import augment
from digit_classification.training.judging.labels import WHOLE, LearningSet
from digit_classification.training.learner import falling_rate
from digit_classification.training.scenes import Digits

HIDDEN_UNITS = (128, 64)
EPOCHS = 12
BATCH_SIZE = 256
STEPS_PER_CALL = 20
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-3
INPUT_DROPOUT, DROPOUT = 0.05, 0.2
EXCHANGED = 0.3  # of the whole digits, in each epoch
DISTORTED = 0.7  # of all digits
BOUNDS = (0.5, 99.5)  # percentiles of whole digits, which the numbers are clipped to


def number_bounds(examples: LearningSet) -> np.ndarray:
    """Return between what the numbers are kept, (2, len(NUMBERS)) float32."""
    numbers = examples.numbers[examples.classes == WHOLE]
    low, high = np.percentile(numbers, BOUNDS, axis=0).astype(np.float32)
    flags = np.array([name in ("ready", "light ink") for name in NUMBERS])
    return np.stack([np.where(flags, 0, low), np.where(flags, 1, high)]).astype(np.float32)


def learn(
    examples: LearningSet,
    bounds: np.ndarray,
    digits: Digits,
    digit_layers: Layers,
    seed: int,
    advance: Callable[[int, int], None],
) -> Layers:
    """Train the judge; return its layers, ready for what `network.judge` gives them.

    Args:
        examples: what it learns from.
        bounds: what the numbers are clipped to.
        digits: real digits, some of which take the place of drawn ones.
        digit_layers: the digit network's.
        seed: fixes the weights, the order and the distortions.
        advance: hears how many steps of how many are done.
    """
    keras = import_keras()

    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    numbers = np.clip(examples.numbers, bounds[0], bounds[1])
    scale = _scale_of_hidden(digit_layers, examples.images)
    model = _build(inputs_width(len(digit_layers[-1][0])))
    batch = min(BATCH_SIZE, len(examples))
    steps = len(examples) // batch  # of an epoch; a smaller batch would unbalance the normalisation
    learn_batches = learning(model, digit_layers, batch, EPOCHS * steps, LEARNING_RATE, scale)
    of_each = [np.flatnonzero(digits.labels == digit) for digit in range(10)]
    for epoch in range(EPOCHS):
        order = rng.permutation(len(examples))
        for step in range(0, steps, STEPS_PER_CALL):
            part = order[step * batch : min(step + STEPS_PER_CALL, steps) * batch]
            images = examples.images[part]
            _exchange(images, examples, part, digits, of_each, rng)
            _distort(images, rng)
            contexts = examples.contexts[part]
            learn_batches(images, contexts, numbers[part], examples.classes[part])
            advance(epoch * steps + step + len(part) // batch, EPOCHS * steps)
    return _plain_layers(model, scale)


def _exchange(
    images: np.ndarray,
    examples: LearningSet,
    part: np.ndarray,
    digits: Digits,
    of_each: list[np.ndarray],
    rng: np.random.Generator,
) -> None:
    """Put real digits into the place of some of the whole ones that show the same digit."""
    shown = examples.digits[part]
    can_be = (examples.classes[part] == WHOLE) & (shown >= 0)
    for index in np.flatnonzero(can_be & (rng.random(len(part)) < EXCHANGED)):
        others = of_each[shown[index]]
        images[index] = digits.images[others[rng.integers(len(others))]]


def _distort(images: np.ndarray, rng: np.random.Generator) -> None:
    """Distort some of the images."""
    chosen = np.flatnonzero(rng.random(len(images)) < DISTORTED)
    images[chosen] = augment(images[chosen], rng)


def _build(width: int) -> Any:
    keras = import_keras()
    layers = keras.layers
    model = keras.Sequential([keras.Input((width,)), layers.Dropout(INPUT_DROPOUT)])
    for units in HIDDEN_UNITS:
        model.add(layers.Dense(units, use_bias=False))
        model.add(layers.BatchNormalization(momentum=0.9))
        model.add(layers.ReLU())
        model.add(layers.Dropout(DROPOUT))
    model.add(layers.Dense(len(CLASSES)))
    return model


def _scale_of_hidden(digit_layers: Layers, images: np.ndarray) -> float:
    """Return what the digit network's last hidden layer is divided by: thrice its mean."""
    values = images[:2000].reshape(-1, SIDE**2).astype(np.float32) / 255
    for kernel, bias in digit_layers[:-1]:
        values = np.maximum(values @ kernel + bias, 0)
    return 3 * max(float(values.mean()), 1e-3)


def learning(
    model: Any, digit_layers: Layers, batch_size: int, steps: int, rate: float, scale: float = 1.0
) -> Callable[..., Any]:
    """Return a function that learns from one batch after the other, in TensorFlow.

    Args:
        model: gives logits of CLASSES for the judge's inputs.
        digit_layers: the digit network's, which make some of these of the images.
        batch_size: of the batches that a call's examples are cut into.
        steps: of the whole training, for the learning rate.
        rate: the largest learning rate.
        scale: what the last hidden layer is divided by.
    """
    import keras
    import tensorflow as tf

    optimizer = keras.optimizers.AdamW(falling_rate(rate, steps), weight_decay=WEIGHT_DECAY)
    optimizer.build(model.trainable_variables)
    constants = [(tf.constant(kernel), tf.constant(bias)) for kernel, bias in digit_layers]
    signature = [
        tf.TensorSpec([None, SIDE, SIDE], tf.uint8),
        tf.TensorSpec([None, CONTEXT**2], tf.uint8),
        tf.TensorSpec([None, len(NUMBERS)], tf.float32),
        tf.TensorSpec([None], tf.int8),
    ]

    def inputs(images: Any, contexts: Any, numbers: Any) -> Any:
        hidden = tf.cast(tf.reshape(images, [-1, SIDE**2]), tf.float32) / 255
        for kernel, bias in constants[:-1]:
            hidden = tf.nn.relu(hidden @ kernel + bias)
        logits = hidden @ constants[-1][0] + constants[-1][1]
        least = np.log(LEAST_PROBABILITY)
        logarithms = tf.maximum(tf.nn.log_softmax(logits), least) / LOG_SCALE
        contexts = tf.cast(contexts, tf.float32) / 255
        return tf.concat([contexts, numbers, logarithms, hidden / scale], axis=1)

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
    def learn_batches(images: Any, contexts: Any, numbers: Any, classes: Any) -> Any:
        for start in tf.range(0, tf.shape(images)[0], batch_size):
            here = slice(start, start + batch_size)
            truth = tf.cast(classes[here], tf.int64)
            batch = inputs(images[here], contexts[here], numbers[here])
            with tf.GradientTape() as tape:
                logits = model(batch, training=True)
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(truth, logits)
                mean = tf.reduce_mean(losses)
            variables = model.trainable_variables
            optimizer.apply(tape.gradient(mean, variables), variables)

    return learn_batches


def _plain_layers(model: Any, scale: float) -> Layers:
    """Return dense layers that compute the same, normalisation and scale folded into them."""
    layers = import_keras().layers
    dense = [layer for layer in model.layers if isinstance(layer, layers.Dense)]
    norms = [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    plain: Layers = []
    for layer, norm in zip(dense[:-1], norms, strict=True):
        gamma, beta, mean, variance = norm.get_weights()
        factor = gamma / np.sqrt(variance + norm.epsilon)
        plain.append((layer.get_weights()[0] * factor, beta - mean * factor))
    plain.append(tuple(dense[-1].get_weights()))
    plain[0][0][inputs_width(0) :] /= scale
    return plain
