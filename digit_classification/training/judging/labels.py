"""What the judge is to say of each proposal: its class, from the truth of the picture."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from digit_classification.network.inference import DenseNetwork
from digit_classification.network.judge import CLASSES
from digit_classification.pictures.proposals import Proposal, ready
from digit_classification.training.judging.examples import SceneProposals

WHOLE, OTHER, SEVERAL, BLANK = range(len(CLASSES))
UNSURE = -1  # what is not learned from

# Shares of the digit's ink that a proposal holds (recall), and of its own that is such (precision).
WHOLE_RECALL, PURE = 0.88, 0.85  # what is one whole digit
EXACT = 0.93  # both: what is certainly one; if it is misread then, its writer is to blame
NEARLY_RECALL, NEARLY_PURE = 0.75, 0.7  # what is still read rightly, and so not much amiss

SCENES_AT_A_TIME = 50
# Examples of each class that one picture gives at most, so that none of them counts too much.
MOST = {WHOLE: 8, OTHER: 16, SEVERAL: 12, BLANK: 12}
# Kinds without a digit that may come as a 28x28 picture in MNIST's convention, too, where nothing
# but the strokes tells.
ALSO_READY = frozenset(
    ("cross", "letter", "operator", "punctuation", "scribble", "shape", "tick", "word")
)
# Marks whose strokes are put into the place of one that such a picture shows, beside that itself.
OTHERS_FOR_EACH = 4


@dataclass(frozen=True)
class LearningSet:
    """What the judge learns from.

    Attributes:
        images: (n, 28, 28) uint8, light ink on dark.
        contexts: (n, 784) uint8, the ink around them.
        numbers: (n, len(NUMBERS)) float32.
        classes: (n,) int8, positions in CLASSES.
        digits: (n,) int8, the digit that the picture shows, -1 if it shows none.
    """

    images: np.ndarray
    contexts: np.ndarray
    numbers: np.ndarray
    classes: np.ndarray
    digits: np.ndarray

    def __len__(self) -> int:
        return len(self.classes)


def classes_of(scene: SceneProposals, readings: np.ndarray) -> np.ndarray:
    """Return the class of each proposal of a picture, (n,) int8; UNSURE where it should not count.

    Args:
        scene: the picture's proposals.
        readings: (n,) the digits that the network reads in them.
    """
    classes = np.full(len(readings), OTHER, np.int8)
    if scene.answer == "several":
        classes[:] = SEVERAL
    elif scene.answer == "blank":
        classes[:] = BLANK
    elif scene.answer.isdigit():
        read = readings == int(scene.answer)
        recall, precision = scene.recall, scene.precision
        whole = (recall > WHOLE_RECALL) & (precision > PURE)
        exact = (recall > EXACT) & (precision > EXACT)
        nearly = (recall > NEARLY_RECALL) & (precision > NEARLY_PURE)
        classes[whole & read] = WHOLE
        classes[(whole & exact & ~read) | (~whole & nearly & read)] = UNSURE
    return classes


def learning_set(
    scenes: Iterable[SceneProposals],
    ready_digits: np.ndarray,
    network: DenseNetwork,
    rng: np.random.Generator,
    marks: np.ndarray | None = None,
) -> LearningSet:
    """Return what the judge learns from these pictures, and from digits that are all there is.

    Args:
        scenes: the pictures.
        ready_digits: (n, 28, 28) uint8, real digits in MNIST's convention.
        network: what reads digits.
        rng: chooses which proposals of a picture count.
        marks: (m, 28, 28) uint8, others that are no digits, which pictures of such may show, too.
    """
    rows = _Rows()
    for some in _batches(scenes):
        # Many at a time: small products leave the cores to those who draw the pictures.
        readings = network(np.concatenate([scene.digits for scene in some])).argmax(axis=1)
        ends = np.cumsum([len(scene.recall) for scene in some])
        for scene, read in zip(some, np.split(readings, ends[:-1]), strict=True):
            _add(scene, read, rows, rng, marks)
    for image in ready_digits:
        rows.add(ready(image), WHOLE, -1)
    return rows.joined()


def _batches(scenes: Iterable[SceneProposals]) -> Iterator[list[SceneProposals]]:
    waiting = iter(scenes)
    while some := list(itertools.islice(waiting, SCENES_AT_A_TIME)):
        yield some


def _add(
    scene: SceneProposals,
    read: np.ndarray,
    rows: _Rows,
    rng: np.random.Generator,
    marks: np.ndarray | None,
) -> None:
    """Add what is learned from one picture, in whose proposals these digits are read."""
    proposals = scene.proposals
    each = classes_of(scene, read)
    each[[proposal.empty for proposal in proposals]] = UNSURE
    digit = int(scene.answer) if scene.answer.isdigit() else -1
    left = dict(MOST)
    for index in rng.permutation(len(proposals)):
        if each[index] == UNSURE or not left[each[index]]:
            continue
        left[each[index]] -= 1
        rows.add(proposals[index], each[index], digit)
    is_mark = each[0] == OTHER and scene.kind in ALSO_READY
    if each[0] == WHOLE or is_mark:
        rows.add(ready(proposals[0].digit), each[0], digit)
    if is_mark and marks is not None:
        for image in marks[rng.integers(len(marks), size=OTHERS_FOR_EACH)]:
            rows.add(replace(proposals[0], digit=image), OTHER, -1)
            rows.add(ready(image), OTHER, -1)


class _Rows:
    """The rows of a LearningSet, one after the other."""

    def __init__(self) -> None:
        self._images: list[np.ndarray] = []
        self._contexts: list[np.ndarray] = []
        self._numbers: list[np.ndarray] = []
        self._classes: list[int] = []
        self._digits: list[int] = []

    def add(self, proposal: Proposal, of_class: int, digit: int) -> None:
        self._images.append(proposal.digit)
        self._contexts.append(proposal.context.reshape(-1))
        self._numbers.append(proposal.numbers)
        self._classes.append(of_class)
        self._digits.append(digit)

    def joined(self) -> LearningSet:
        return LearningSet(
            np.stack(self._images),
            np.stack(self._contexts),
            np.stack(self._numbers),
            np.array(self._classes, np.int8),
            np.array(self._digits, np.int8),
        )
