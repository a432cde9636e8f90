"""How the network learns: the optimizer and its learning rate, and many steps by one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from digit_classification.pictures import images
from digit_classification.settings import TrainingSettings

STEPS_PER_CALL = 10  # of the optimizer; the digits that they learn from are copied for it
WEIGHT_DECAY = 3e-5
READ_AT_A_TIME = 1000  # digits

Epoch = tuple[np.ndarray, np.ndarray, np.ndarray]  # digits, labels, and the order to take them in
# (the epoch, advance) -> its loss and accuracy; `advance` hears of the steps
Learn = Callable[[Epoch, Callable[[int], None]], dict[str, float]]
Read = Callable[[np.ndarray], np.ndarray]  # (n, 28, 28) uint8 -> (n, 10) logits


def steps_per_epoch(training: TrainingSettings, images_per_epoch: int) -> int:
    return max(1, images_per_epoch // training.batch_size)


def make_reader(model: Any) -> Read:
    """Return a function that reads digits with `model` as it is when the function is called.

    Keras's own `predict` sets up a pipeline each time: slower on so little, and 50 MB larger.
    """
    import tensorflow as tf

    signature = [tf.TensorSpec([None, images.SIDE, images.SIDE], tf.uint8)]

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
    def read_batch(digits: Any) -> Any:
        return model(tf.cast(digits, tf.float32), training=False)

    def read(digits: np.ndarray) -> np.ndarray:
        starts = range(0, len(digits), READ_AT_A_TIME)
        return np.concatenate([read_batch(digits[i : i + READ_AT_A_TIME]).numpy() for i in starts])

    return read


def make_learner(
    model: Any, training: TrainingSettings, images_per_epoch: int
) -> tuple[Any, Learn]:
    """Return the optimizer, and a function that trains `model` for one epoch.

    Nesterov momentum with a learning rate that rises over the first tenth of all steps and
    then falls to zero along a cosine.  TensorFlow runs many steps by one call: with digits,
    returning to Python after each would take longer than the step.
    """
    import keras
    import tensorflow as tf

    steps = steps_per_epoch(training, images_per_epoch)
    batch_size = min(training.batch_size, images_per_epoch)
    total = training.epochs * steps
    warmup = max(1, total // 10)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, total - warmup), warmup_target=training.learning_rate, warmup_steps=warmup
    )
    optimizer = keras.optimizers.SGD(
        schedule, momentum=0.9, nesterov=True, weight_decay=WEIGHT_DECAY
    )
    optimizer.build(model.trainable_variables)
    signature = [
        tf.TensorSpec([None, images.SIDE, images.SIDE], tf.uint8),
        tf.TensorSpec([None], tf.uint8),
    ]

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
    def learn_batches(digits: Any, labels: Any) -> tuple[Any, Any]:
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

    def learn(epoch: Epoch, advance: Callable[[int], None]) -> dict[str, float]:
        digits, labels, order = epoch
        loss, right = 0.0, 0
        used = steps * batch_size  # a last, smaller batch would unbalance the normalisation
        for start in range(0, used, STEPS_PER_CALL * batch_size):
            part = order[start : min(start + STEPS_PER_CALL * batch_size, used)]
            part_loss, part_right = learn_batches(digits[part], labels[part])
            loss, right = loss + float(part_loss), right + int(part_right)
            advance(len(part) // batch_size)
        return {"loss": loss / used, "accuracy": right / used}

    return optimizer, learn
