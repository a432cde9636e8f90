"""From digits to a judge: draw pictures, learn from most of them, calibrate on the others."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from digit_classification.cli.interruption import Interrupted, asking_first, exit_status
from digit_classification.cli.terminal import Terminal
from digit_classification.network import inference
from digit_classification.network.architecture import Layers, dense_layers
from digit_classification.network.inference import DenseNetwork
from digit_classification.network.judge import FEATURES, OUTCOMES, Judge
from digit_classification.settings import Settings
from digit_classification.training.judging.calibration import (
    chosen_in,
    fit_certainty,
    held_out,
    outcomes_of,
    scores,
)
from digit_classification.training.judging.examples import SceneProposals, make_examples
from digit_classification.training.judging.labels import learning_set
from digit_classification.training.judging.learner import learn, number_bounds
from digit_classification.training.judging.marks import draw_marks
from digit_classification.training.numbers.calibration import fit_numbers
from digit_classification.training.numbers.pairs import draw_pairs, learn_pairs
from digit_classification.training.parts import Part, Parts
from digit_classification.training.scenes import Digits
from digit_classification.training.styles.draw import draw_digits

# Of the pictures, drawn of other digits, for the calibration; so many are enough for it.
HELD_OUT, HELD_OUT_AT_MOST = 0.2, 1000
# Digits in styles that the dataset may lack, beside its own: to learn from, of pictures and of
# pairs, and to calibrate on.
DRAWN, DRAWN_IN_PAIRS, DRAWN_HELD_OUT = 1500, 4000, 1500
OF_EACH = 1000  # of the dataset's digits that pictures are drawn of: a process is sent 9 MB
OF_EACH_IN_PAIRS = 4000  # the same of digits that touch
READY_SHARE = 2  # digits for each picture, as examples of whole ones
READY_HELD_OUT = 1  # digits for each picture held out
# Of the further looks at a picture that is learned from. Looking takes most of the time, and more
# pictures teach more than all that may be seen in each.
LOOKS = 0.25
DRAWN_NUMBERS = 2400  # at most, to fit how sure a number is: some 90 s on two cores
PAIRS, PAIRS_EACH = 100_000, 10  # digits that touch: at most, and for each scene
MARKS, MARKS_EACH = 10_000, 1  # that are no digits: at most, and for each scene
# Beside the seed, so that no picture is drawn twice.
LEARNED_FROM, CALIBRATED_ON, NUMBERS, TOUCHING, OTHERS = 1, 2, 3, 4, 5

Advance = Callable[[int, int], None]  # hears how much is done of how much


@dataclass(frozen=True)
class JudgeTraining:
    """What came of it.

    Attributes:
        judge: as the detector uses it; None if the training was interrupted.
        scores: on the pictures held out, each with a certainty fitted on the others of them.
        interrupted_by: the signal that asked for the end, if one did.
    """

    judge: Judge | None = None
    scores: dict[str, Any] | None = None
    interrupted_by: int | None = None


def train_judge(model: Any, parts: Parts, settings: Settings, terminal: Terminal) -> JudgeTraining:
    """Train the judge that goes with a digit network, on simulated pictures.

    The same arguments give the same judge on the same machine.  The pictures that are learned from
    are drawn of the training part's digits, those that the certainty is calibrated on of the
    validation part's.

    Args:
        model: the digit network, as `build_saved_network` returns it.
        parts: of the dataset.
        settings: how many pictures, the seed, and the confidence from which the scores count a
            picture as read.
        terminal: shows how far it is.
    """
    stopped: list[int] = []
    try:
        with asking_first(stopped.append):
            return _train(model, parts, settings, _Progress(terminal, stopped))
    except Interrupted as interruption:
        terminal.messages.print("Stopping: the model is saved without a judge.")
        return JudgeTraining(interrupted_by=exit_status(interruption) - 128)


class _Progress:
    """Shows how far each step is, and ends the training if somebody asked for that."""

    def __init__(self, terminal: Terminal, stopped: list[int]) -> None:
        self._terminal = terminal
        self._stopped = stopped

    def drawn(
        self, digits: Digits, count: int, seed: tuple[int, ...], share: float = 1.0
    ) -> Generator[SceneProposals, None, None]:
        """Yield pictures drawn of these digits."""
        with (
            self._checking("Drawing pictures for the judge") as advance,
            contextlib.closing(make_examples(digits, count, seed, share)) as examples,
        ):
            for done, scene in enumerate(examples, 1):
                yield scene
                advance(done, count)

    def learned(self, learn_with: Callable[[Advance], Layers]) -> Layers:
        """Return what the judge learns, by a function that says how far it is."""
        with self._checking("Training the judge") as advance:
            return learn_with(advance)

    def pairs(self, digits: Digits, count: int, seed: int) -> Layers:
        """Return the network that reads two digits that touch."""
        with self._checking("Drawing digits that touch") as advance:
            drawn = draw_pairs(digits, count, (seed, TOUCHING), advance)
        with self._checking("Learning digits that touch") as advance:
            return learn_pairs(drawn, seed, advance)

    def numbers(
        self,
        digits: Digits,
        count: int,
        network: DenseNetwork,
        judge: Judge,
        pairs: Layers,
        seed: int,
    ) -> tuple[Judge, dict[str, Any] | None]:
        """Return a judge that says how sure a number is, and how those drawn were read."""
        with self._checking("Drawing numbers") as advance:
            return fit_numbers(digits, count, network, judge, pairs, (seed, NUMBERS), advance)

    @contextlib.contextmanager
    def _checking(self, what: str) -> Iterator[Advance]:
        """Show how far it is, and look each time whether it shall end."""
        with self._terminal.progress(what) as advance:

            def advance_and_check(done: int, total: int) -> None:
                advance(done, total)
                if self._stopped:
                    raise Interrupted(self._stopped[0])

            yield advance_and_check


def _train(model: Any, parts: Parts, settings: Settings, progress: _Progress) -> JudgeTraining:
    training, seed = settings.training, settings.training.seed
    network = inference.network_of(model)
    rng = np.random.default_rng(seed)
    # All ten digits: of one that the network has not learned, it should learn to be unsure.
    others = Digits(*draw_digits(DRAWN_IN_PAIRS + DRAWN_HELD_OUT, rng))
    hands = _hands(parts.training, others, slice(DRAWN), rng)
    kept_back = min(max(1, round(HELD_OUT * training.scenes)), HELD_OUT_AT_MOST)
    count = max(1, training.scenes - kept_back)
    ready, _ = _some(hands, READY_SHARE * count, rng)
    marks = draw_marks(min(MARKS_EACH * training.scenes, MARKS), (seed, OTHERS))
    with contextlib.closing(progress.drawn(hands, count, (seed, LEARNED_FROM), LOOKS)) as drawn:
        examples = learning_set(drawn, ready, network, rng, marks)
    bounds = number_bounds(examples)
    layers = progress.learned(
        functools.partial(learn, examples, bounds, hands, dense_layers(model), seed)
    )
    more = _hands(parts.training, others, slice(DRAWN_IN_PAIRS), rng, OF_EACH_IN_PAIRS)
    pairs = progress.pairs(more, min(PAIRS_EACH * training.scenes, PAIRS), seed)
    hands = _hands(parts.validation, others, slice(DRAWN_IN_PAIRS, None), rng)
    scenes = list(progress.drawn(hands, kept_back, (seed, CALIBRATED_ON)))
    ready, labels = _some(hands, READY_HELD_OUT * kept_back, rng)
    unsure = np.zeros((FEATURES, len(OUTCOMES))), np.zeros(len(OUTCOMES))
    features, read = chosen_in(scenes, ready, network, Judge.of(layers, bounds, unsure))
    outcomes = outcomes_of([scene.answer for scene in scenes] + [*map(str, labels)], read)
    judge = Judge.of(layers, bounds, fit_certainty(features, outcomes))
    count = min(training.scenes, DRAWN_NUMBERS)
    judge, numbers = progress.numbers(hands, count, network, judge, pairs, seed)
    simulated = slice(0, len(scenes))
    certainties = held_out(features, outcomes)[simulated]
    shares = scores(outcomes[simulated], certainties, settings.detection.least_confidence)
    return JudgeTraining(judge, {**shares, "drawn_numbers": numbers} if numbers else shares)


def _hands(
    part: Part, others: Digits, those: slice, rng: np.random.Generator, most: int = OF_EACH
) -> Digits:
    """Return a part's own digits, at most so many of each, and those others."""
    own = rng.permutation(len(part.names))  # what has no name was drawn
    kept = np.concatenate([own[part.labels[own] == digit][:most] for digit in range(10)])
    return Digits(
        np.concatenate([part.digits[kept], others.images[those]]),
        np.concatenate([part.labels[kept], others.labels[those]]),
    )


def _some(hands: Digits, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return so many digits, or all that there are, with their labels."""
    chosen = rng.choice(len(hands.labels), min(len(hands.labels), count), replace=False)
    return hands.images[chosen], hands.labels[chosen]
