"""Simulated pictures, what is proposed to be seen in them, and how well that fits the truth.

Every picture has a random generator of its own, made of the seed and the picture's number: so the
same ones come about in whatever order and by however many processes they are drawn.
"""

from __future__ import annotations

import functools
from collections.abc import Generator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from digit_classification.parallel import map_in_order
from digit_classification.pictures.images.grey import grey_from_array
from digit_classification.pictures.proposals import Proposal, propose
from digit_classification.training.scenes import SEEN, Digits

PEN_SLACK = 0.035  # of the digit's size: by which its outline may be missed
PROTRUSION = 0.2  # of the proposal's size: ink that reaches further out of it is a part cut off
PRECISION_WHEN_CUT = 0.8  # at most, then: below PURE
FAINT = 0.3  # of a pixel, below which it counts as none of the ink's

# Kinds that are drawn more often than once in a round, because readings went wrong there most, or
# because they vary most.
MORE_OF = {
    "register": 9,
    "two digits apart": 7,
    "two digits that touch": 6,
    "number in a cell": 5,
    "neighbour touches": 4,
    "neighbours on both sides": 4,
    "plain": 4,
    "drawn on a screen": 3,
    "letter": 4,
    "operator": 3,
    "shape": 3,
    "stem as long as the picture": 3,
    "ball pen, photo": 2,
    "box, cut along its line": 2,
    "coarse cut": 6,
    "tiny": 4,
    "cell of a table": 2,
    "cut into": 2,
    "empty: cell of a table": 2,
    "empty: one line": 2,
    "faint ink": 2,
    "narrow cut, padded to a square": 2,
    "neighbour left": 2,
    "neighbour right": 2,
    "neighbours only": 2,
    "pencil": 2,
    "scribble": 3,
    "squared paper": 3,
    "tick": 2,
    "tight cut": 2,
    "small on a large page": 2,
    "small 1 on a large page": 2,
    "word": 3,
    "punctuation": 2,
    "gradient": 2,
}
ROUND = tuple(kind for kind in SEEN for _ in range(MORE_OF.get(kind, 1)))


@dataclass(frozen=True)
class SceneProposals:
    """A picture with a known answer, and all that the detector may see in it.

    Attributes:
        kind: of picture, a key of `scenes.SEEN`.
        answer: '0' to '9', 'blank', 'several' or 'no digit'.
        stages: the proposals, without their groups, in the stages in which the detector looks at
            them.
        recall: (n,) float32, how much of the ink of the digit meant each of them holds.
        precision: (n,) float32, how much of each of them is ink of that digit.
    """

    kind: str
    answer: str
    stages: list[list[Proposal]]
    recall: np.ndarray
    precision: np.ndarray

    @property
    def proposals(self) -> list[Proposal]:
        return [proposal for stage in self.stages for proposal in stage]

    @property
    def digits(self) -> np.ndarray:
        """What they show, (n, 28, 28) uint8."""
        return np.stack([proposal.digit for proposal in self.proposals])


def make_examples(
    digits: Digits,
    count: int,
    seed: tuple[int, ...],
    share: float = 1.0,
    workers: int = 0,
) -> Generator[SceneProposals, None, None]:
    """Yield what is proposed in `count` pictures drawn of these digits, made by processes.

    The same digits, seed and share give the same.

    Args:
        digits: that the pictures are drawn of.
        count: of pictures.
        seed: of their random numbers.
        share: of the further looks at each picture that are taken, 0 to 1.
        workers: processes; 0 takes the cores there are.
    """
    task = functools.partial(propose_in_scene, digits, seed, share)
    yield from map_in_order(task, range(count), workers)


def propose_in_scene(
    digits: Digits, seed: tuple[int, ...], share: float, number: int
) -> SceneProposals:
    """Draw picture `number` of this seed, and compare what is proposed with its truth."""
    rng = np.random.default_rng((*seed, number))
    kind = ROUND[rng.integers(len(ROUND))]
    scene = SEEN[kind].draw(rng, digits)
    stages = list(propose(grey_from_array(scene.pixels), looks=lambda: rng.random() < share))
    fits = [overlap(proposal, scene.ink) for stage in stages for proposal in stage]
    recall, precision = np.array(fits, np.float32).reshape(-1, 2).T
    without_groups = [
        [replace(proposal, group=None, region=None) for proposal in stage] for stage in stages
    ]
    return SceneProposals(kind, scene.answer, without_groups, recall, precision)


def overlap(proposal: Proposal, ink: np.ndarray | None) -> tuple[float, float]:
    """Return how much of the digit's ink a proposal holds, and how much of it is such ink.

    Args:
        proposal: with its group.
        ink: (h, w) float32, 0 to 1, of the picture; None if there is no digit.

    Returns:
        Recall and precision, 0 to 1 or a little more, with some slack for the outline.
    """
    if ink is None or proposal.empty:
        return 0.0, 0.0
    if proposal.group is None or proposal.region is None:  # in MNIST's form: all that there is
        return 1.0, 1.0
    rows, columns = np.nonzero(ink > FAINT)
    if not len(rows):
        return 0.0, 0.0
    region = proposal.region
    size = (region.right - region.left, region.bottom - region.top)
    shrinks = proposal.group.shape[0] > size[1]
    mask = cv2.resize(
        proposal.group * np.uint8(255),
        size,
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
    ).astype(np.float32) / np.float32(255)
    height, width = ink.shape
    left, top, across, down = np.multiply(proposal.box, (width, height, width, height))
    longest = max(across, down)
    reach = 2 * max(1, round(PEN_SLACK * longest)) + 1
    pen = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    here = np.s_[region.top : region.bottom, region.left : region.right]
    held = float((ink[here] * cv2.dilate(mask, pen)).sum())
    # Half covered is covered: the outline of a thin pen has no pixel of its own.
    near = np.clip(2 * cv2.dilate(ink, pen)[here], 0, 1)
    recall = held / float(ink.sum())
    precision = float((mask * near).sum()) / max(float(mask.sum()), 1e-6)
    beyond = (
        left - columns.min(),
        top - rows.min(),
        columns.max() + 1 - left - across,
        rows.max() + 1 - top - down,
    )
    if max(beyond) > PROTRUSION * longest:
        precision = min(precision, PRECISION_WHEN_CUT)
    return recall, precision
