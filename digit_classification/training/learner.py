"""How the network learns: the optimizer and its learning rate, and many steps by one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from digit_classification.cli.interruption import holding_back
from digit_classification.errors import UserError
from digit_classification.network import inference
from digit_classification.network.architecture import DIGITS
from digit_classification.pictures import images
from digit_classification.settings import TrainingSettings

STEPS_PER_CALL = 10  # of the optimizer; the digits that they learn from are copied for it
WEIGHT_DECAY = 3e-5
READ_AT_A_TIME = 1000  # digits


class TrainingError(UserError):
    """The training cannot go on; the message is one sentence for the user."""


class EpochImages(NamedTuple):
    """What is learned in one epoch."""

    digits: np.ndarray  # (n, 28, 28) uint8
    labels: np.ndarray  # (n,) uint8
    order: np.ndarray  # (n,): the positions to take them from


def check_size(training: TrainingSettings) -> None:
    """Raise TrainingError if the network would be larger than a model file may hold."""
    try:
        inference.packed_size([images.SIDE**2, *training.hidden_units, DIGITS])
    except inference.NetworkError as error:
        widths = ", ".join(f"{units:,}" for units in training.hidden_units)
        raise TrainingError(
            f"A network with hidden layers of {widths} cannot be saved ({error}): choose smaller "
            "--hidden-units."
        ) from None


def steps_per_epoch(training: TrainingSettings, images_per_epoch: int) -> int:
    return max(1, images_per_epoch // training.batch_size)


class Learner:
    """A network with the optimizer that changes it."""

    def __init__(self, model: Any, training: TrainingSettings, images_per_epoch: int) -> None:
        self.model = model  # a keras.Sequential that gives logits
        self.batch_size = min(training.batch_size, images_per_epoch)
        self.steps = steps_per_epoch(training, images_per_epoch)  # of one epoch
        self.optimizer = _make_optimizer(training, training.epochs * self.steps)
        self.optimizer.build(model.trainable_variables)
        self._learn_batches = learning(model, self.optimizer, self.batch_size)
        self._read_batch = _reading(model)

    def learn(self, epoch: EpochImages, advance: Callable[[int], None]) -> dict[str, float]:
        """Train for one epoch; return its loss and accuracy.  `advance` hears of the steps."""
        digits, labels, order = epoch
        loss, right = 0.0, 0
        used = self.steps * self.batch_size  # a smaller batch would unbalance the normalisation
        at_a_time = STEPS_PER_CALL * self.batch_size
        for start in range(0, used, at_a_time):
            part = order[start : min(start + at_a_time, used)]
            with holding_back():  # raised within TensorFlow, a signal would come out as a TypeError
                part_loss, part_right = self._learn_batches(digits[part], labels[part])
            loss, right = loss + float(part_loss), right + int(part_right)
            advance(len(part) // self.batch_size)
        return {"loss": loss / used, "accuracy": right / used}

    def read(self, digits: np.ndarray) -> np.ndarray:
        """Return the logits, (n, 10), of digits, (n, 28, 28) uint8, by the network as it is now.

        Keras's own `predict` sets up a pipeline each time: slower on so little, and 50 MB larger.
        """
        starts = range(0, len(digits), READ_AT_A_TIME)
        parts = (digits[start : start + READ_AT_A_TIME] for start in starts)
        return np.concatenate([self._read_batch(part).numpy() for part in parts])


def _make_optimizer(training: TrainingSettings, steps: int) -> Any:
    """Return Nesterov's momentum for a training of so many steps."""
    import keras

    rate = falling_rate(training.learning_rate, steps)
    return keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, weight_decay=WEIGHT_DECAY)


def falling_rate(largest: float, steps: int) -> Any:
    """Return a learning rate for a training of so many steps.

    It rises over the first tenth of them, and then falls to zero along a cosine.
    """
    import keras

    warmup = max(1, steps // 10)
    return keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warmup), warmup_target=largest, warmup_steps=warmup
    )


def learning(model: Any, optimizer: Any, batch_size: int) -> Callable[..., tuple[Any, Any]]:
    """Return a function that learns from one batch after the other, in TensorFlow.

    With digits, returning to Python after each step would take longer than the step.
    """
    import tensorflow as tf

    signature = [
        tf.TensorSpec([None, images.SIDE, images.SIDE], tf.uint8),
        tf.TensorSpec([None], tf.uint8),
    ]

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
    def learn_batches(digits: Any, labels: Any) -> tuple[Any, Any]:
        """Return the sum of the losses, and how many digits were read rightly."""
        loss, right = 0.0, 0
        for start in tf.range(0, tf.shape(digits)[0], batch_size):
            batch = tf.cast(digits[start : start + batch_size], tf.float32)
            truth = tf.cast(labels[start : start + batch_size], tf.int64)
            with tf.GradientTape() as tape:
                logits = model(batch, training=True)
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(truth, logits)
                mean = tf.reduce_mean(losses)
            variables = model.trainable_variables
            optimizer.apply(tape.gradient(mean, variables), variables)
            loss += tf.reduce_sum(losses)
            hits = tf.equal(tf.argmax(logits, axis=1), truth)
            right += tf.reduce_sum(tf.cast(hits, tf.int32))
        return loss, right

    return learn_batches


def _reading(model: Any) -> Callable[[np.ndarray], Any]:
    """Return a function that reads one batch, in TensorFlow."""
    import tensorflow as tf

    signature = [tf.TensorSpec([None, images.SIDE, images.SIDE], tf.uint8)]

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
    def read_batch(digits: Any) -> Any:
        return model(tf.cast(digits, tf.float32), training=False)

    return read_batch
