"""From own pictures to a model that reads them better: the digit network first, then its judge."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from digit_classification.cli.quiet import import_keras
from digit_classification.cli.terminal import Terminal
from digit_classification.network import inference
from digit_classification.network.architecture import dense_layers
from digit_classification.network.judge import Judge, ReadingNetwork
from digit_classification.network.model_file import Model
from digit_classification.pictures.decode import Limits
from digit_classification.settings import Settings
from digit_classification.training.datasets.dataset import Dataset, DatasetError
from digit_classification.training.fine_tuning.judge import rows_of, tune_judge
from digit_classification.training.fine_tuning.network import tune_network
from digit_classification.training.fine_tuning.own import Labelled, Looks, look_at
from digit_classification.training.judging.examples import SceneProposals, make_examples
from digit_classification.training.judging.labels import learning_set
from digit_classification.training.judging.training import LOOKS, OF_EACH
from digit_classification.training.scenes import Digits
from digit_classification.training.styles.draw import draw_digits

DRAWN = 2000  # digits in styles of the book
SCENES = 400  # simulated pictures
DRAWN_IN_SCENES = 1500
READY = 2000  # of the digits repeated: examples of whole ones


def fine_tune(
    model: Model,
    network: Any,
    own: Labelled,
    repeated: Dataset,
    settings: Settings,
    terminal: Terminal,
) -> tuple[Any, Model]:
    """Return the network, a keras.Sequential to save, and the model that it makes with its judge.

    The same arguments give the same on the same machine.

    Args:
        model: that goes on learning.
        network: the same, as Keras has it.
        own: the pictures to learn.
        repeated: the digits of many hands, lest these be forgotten.
        settings: the seed, and how pictures are read.
        terminal: shows how far it is.

    Raises DatasetError if no picture shows its digit.
    """
    seed = settings.training.seed
    rng = np.random.default_rng(seed)
    import_keras().utils.set_random_seed(seed)
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    assert model.judge is not None
    looks = _look(model, model.judge, own, settings, terminal)
    hands = Digits(repeated.digits, repeated.labels)
    with terminal.progress("Drawing digits"):
        drawn = Digits(*draw_digits(DRAWN, rng))
    digits = np.stack([look.digits[0] for look in looks])
    labels = np.array([look.label for look in looks])
    with terminal.progress("Training the network") as advance:
        network = tune_network(network, Digits(digits, labels), hands, drawn, rng, advance)
    reading = inference.network_of(network)
    few = _some_of_each(hands, drawn, rng)
    with (
        terminal.progress("Drawing pictures") as advance,
        contextlib.closing(make_examples(few, SCENES, (seed,), LOOKS)) as scenes,
    ):
        ready = rng.choice(len(hands.labels), min(READY, len(hands.labels)), replace=False)
        simulated = learning_set(_counted(scenes, advance), hands.images[ready], reading, rng)
    with terminal.progress("Training the judge") as advance:
        rows = rows_of(looks, reading)
        judge = tune_judge(model.judge, rows, simulated, dense_layers(network), rng, advance)
    return network, replace(model, network=reading, judge=judge)


def _look(
    model: Model, judge: Judge, own: Labelled, settings: Settings, terminal: Terminal
) -> list[Looks]:
    """Return the ways to see those pictures that show their digits."""
    assert isinstance(model.network, ReadingNetwork)
    limits = Limits(**settings.images.model_dump())
    found = look_at(own, model.network, judge, settings.detection.invert, limits)
    looks = []
    with terminal.progress("Looking at the pictures") as advance:
        for done, look in enumerate(found, 1):
            if look is not None:
                looks.append(look)
            advance(done, len(own))
    if not looks:
        raise DatasetError(
            f"None of the {len(own):,} pictures shows the digit of its label: check the labels."
        )
    if len(looks) < len(own):
        terminal.tell(
            f"Left out, no digit found as labelled: {len(own) - len(looks):,} of {len(own):,}"
        )
    return looks


def _some_of_each(hands: Digits, drawn: Digits, rng: np.random.Generator) -> Digits:
    """Return as many digits of each hand as a process is sent."""
    order = rng.permutation(len(hands.labels))
    kept = np.concatenate([order[hands.labels[order] == digit][:OF_EACH] for digit in range(10)])
    some = rng.permutation(len(drawn.labels))[:DRAWN_IN_SCENES]
    return Digits(
        np.concatenate([hands.images[kept], drawn.images[some]]),
        np.concatenate([hands.labels[kept], drawn.labels[some]]),
    )


def _counted(
    scenes: Iterable[SceneProposals], advance: Callable[[int, int], None]
) -> Iterator[SceneProposals]:
    for done, scene in enumerate(scenes, 1):
        yield scene
        advance(done, SCENES)
