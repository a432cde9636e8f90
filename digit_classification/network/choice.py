"""Which of the ways to see a picture is believed, and how far.

The preparation's own proposal stands if neither it nor the judge doubts that it shows one whole
digit, or if the picture is a digit in MNIST's form and nothing else.  Otherwise all others are
looked at.  How far each is believed is the product of judge and digit network; that the preparation
found nothing amiss in its own counts, too.  Proposals that are read as the same digit speak for it
together, and the best one of the best digit is chosen.

How sure that is does not follow from the product alone: other proposals may read the same, or
another digit just as well; the digit may stand beside another like it.  These are the features of a
choice, and a logistic regression, fitted on pictures whose truth is known, gives the probability of
each outcome (Platt 1999, "Probabilistic Outputs for Support Vector Machines").
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from digit_classification.network.inference import log
from digit_classification.network.judge import (
    CLASSES,
    FEATURES,
    OUTCOMES,
    Inputs,
    Judge,
    ReadingNetwork,
    inputs_of,
)
from digit_classification.pictures.images import BLANK
from digit_classification.pictures.proposals import Compared, Proposal

# The judge's probability with which the preparation's own proposal stands, and the digit network's:
# hardly any others outvote it then.
CONVINCING, WELL_READ = 0.7, 0.9
OTHERS = 0.7  # how far proposals other than the preparation's own are believed
# The probability of no digit, or of several, from which that is what is said; and where the
# preparation says so, too.
REJECTED, REJECTED_BY_BOTH = 0.9, 0.7
NO_DIGIT = "no digit"
SEVERAL = "found several digits"

_WHOLE, _OTHER, _SEVERAL, _BLANK = range(len(CLASSES))
_APART = 0.2  # of the smaller box: what overlaps less is somewhere else
_ALIKE = 0.5  # of the longer side: what is smaller is no rival
_LEAST = 1e-2  # of a product, whose logarithm is a feature


@dataclass(frozen=True)
class Choice:
    """What a picture is taken for.

    Attributes:
        proposal: the way to see it that is believed.
        probabilities: (10,) float32, what the digit network reads there.
        features: (FEATURES,) float64, what speaks for it and against it.
        outcomes: (len(OUTCOMES),) float64, the probability of each; the first is the confidence.
        said: why the preparation alone would reject the picture, or None.
        compared: the proposals that were looked at, the most believed first.
    """

    proposal: Proposal
    probabilities: np.ndarray
    features: np.ndarray
    outcomes: np.ndarray
    said: str | None
    compared: tuple[Compared, ...] = ()

    @property
    def confidence(self) -> float:
        """The probability that this digit is what the picture shows."""
        return float(self.outcomes[0])

    @property
    def rejection(self) -> str | None:
        """What the picture shows, where it is hardly one digit."""
        _, _, *others = self.outcomes
        if sum(others) <= (REJECTED if self.said is None else REJECTED_BY_BOTH):
            return None
        if self.said is not None:
            return self.said  # it has counted, and knows noise from a blank page
        return (NO_DIGIT, SEVERAL, BLANK)[int(np.argmax(others))]


def choose(
    firsts: Sequence[Proposal],
    others: Sequence[Iterable[list[Proposal]]],
    network: ReadingNetwork,
    judge: Judge,
) -> list[Choice]:
    """Return what each picture is taken for.

    Args:
        firsts: the preparation's own proposal of each picture, one at least.
        others: what else `propose` yields of each; asked for only where it is needed.
        network: reads digits.
        judge: says how far a proposal shows one whole digit.
    """
    inputs = inputs_of(firsts, network)
    classes = judge(inputs)
    whole, read = classes[:, _WHOLE].tolist(), inputs.probabilities.max(axis=1).tolist()
    convinced = [*map(_convinces, firsts, whole, read)]
    features = _features_alone(firsts, inputs, classes)
    outcomes = judge.outcomes(features)
    return [
        _alone(firsts[i], inputs.probabilities[i], features[i], outcomes[i], classes[i])
        if convinced[i]
        else _look_further([firsts[i], *itertools.chain.from_iterable(others[i])], network, judge)
        for i in range(len(firsts))
    ]


def _alone(
    first: Proposal,
    probabilities: np.ndarray,
    features: np.ndarray,
    outcomes: np.ndarray,
    classes: np.ndarray,
) -> Choice:
    """Return the choice of a proposal that was compared with no other."""
    digit = int(probabilities.argmax())
    weight = float(classes[_WHOLE] * probabilities[digit])
    compared = Compared(first.digit, first.box, digit, weight)
    return Choice(first, probabilities, features, outcomes, first.rejection, (compared,))


def _convinces(first: Proposal, whole: float, read: float) -> bool:
    """Whether a proposal stands without a look at others, given what judge and network say."""
    if first.ready:
        return True  # in MNIST's form already, it is all there is
    amiss = first.empty or first.rejection is not None
    return not amiss and whole > CONVINCING and read > WELL_READ


def _features_alone(firsts: Sequence[Proposal], inputs: Inputs, classes: np.ndarray) -> np.ndarray:
    """Return the features of proposals that convince, (n, FEATURES)."""
    nothing = np.zeros(len(firsts))
    return _features(
        whole=classes[:, _WHOLE],
        read=inputs.probabilities.max(axis=1).astype(np.float64),
        otherwise=nothing,
        likewise=nothing,
        alone=nothing + 1,
        rival=nothing,
        off_centre=_off_centre(firsts),
        chosen=classes,
        mean=classes,
    )


def _look_further(proposals: list[Proposal], network: ReadingNetwork, judge: Judge) -> Choice:
    """Return the best of all proposals of a picture, the preparation's own first."""
    seen = [proposal for proposal in proposals if not proposal.empty]
    if not seen:
        certain = np.array([outcome == "blank" for outcome in OUTCOMES], np.float64)
        probabilities = network.with_hidden(proposals[0].digit[None])[0][0]
        return Choice(proposals[0], probabilities, np.zeros(FEATURES), certain, BLANK)
    inputs = inputs_of(seen, network)
    classes = judge(inputs)
    read = inputs.probabilities.max(axis=1).astype(np.float64)
    digits = inputs.probabilities.argmax(axis=1)
    believed = _believed(classes[:, _WHOLE], own=seen[0] if seen[0] is proposals[0] else None)
    products = believed * read
    # Squared, for many that are hardly believed should not outvote a good one.
    votes = np.bincount(digits, products**2, minlength=len(inputs.probabilities[0]))
    same = digits == votes.argmax()
    best = int(np.where(same, products, -1).argmax())
    same_but_best = same.copy()
    same_but_best[best] = False
    features = _features(
        whole=classes[[best], _WHOLE],
        read=read[[best]],
        otherwise=_largest(products, ~same),
        likewise=_largest(products, same_but_best),
        alone=np.zeros(1),
        rival=_largest(products, _apart_from(seen[best], seen)),
        off_centre=_off_centre([seen[best]]),
        chosen=classes[[best]],
        mean=classes.mean(axis=0, keepdims=True),
    )
    return Choice(
        seen[best],
        inputs.probabilities[best],
        features[0],
        judge.outcomes(features)[0],
        proposals[0].rejection,
        _compared(seen, digits, products, votes),
    )


def _believed(whole: np.ndarray, own: Proposal | None) -> np.ndarray:
    """Return how far each proposal is believed, (n,), by the judge's probabilities, (n,).

    The first may be the preparation's `own`.  If that finds nothing amiss, the judge's doubts count
    half, as their square root: a digit that fills a small picture often seems cut off to it.
    """
    believed = whole.copy()
    if own is not None:
        believed[1:] *= OTHERS
        if own.rejection is None:
            believed[0] = math.sqrt(whole[0])
    return believed


def _compared(
    seen: list[Proposal], digits: np.ndarray, products: np.ndarray, votes: np.ndarray
) -> tuple[Compared, ...]:
    """Return proposals with the digits that they are read as, (n,), the chosen one first.

    Those of the digit with the most votes, (10,), come first, and of each digit the best product.
    """
    best_first = np.lexsort([-products, -votes[digits]]).tolist()
    return tuple(
        Compared(seen[i].digit, seen[i].box, int(digits[i]), float(products[i])) for i in best_first
    )


def _features(
    *,
    whole: np.ndarray,
    read: np.ndarray,
    otherwise: np.ndarray,
    likewise: np.ndarray,
    alone: np.ndarray,
    rival: np.ndarray,
    off_centre: np.ndarray,
    chosen: np.ndarray,
    mean: np.ndarray,
) -> np.ndarray:
    """Return (n, FEATURES) float64 of n choices.

    Args:
        whole: (n,) the judge's probability of the chosen proposal.
        read: (n,) the digit network's.
        otherwise: (n,) the best product of one that is read as another digit.
        likewise: (n,) of another that is read as the same.
        alone: (n,) whether the preparation's own was convincing.
        rival: (n,) the best product of one somewhere else that is not much smaller.
        off_centre: (n, 2) how far the chosen one is from the middle, in shares of the picture.
        chosen: (n, 4) the judge's classes of it.
        mean: (n, 4) their means over all proposals.
    """
    several = chosen[:, _SEVERAL] + _LEAST / 10
    # All logarithms at once: one call for each would take half as long as all else of one digit.
    whole, read, otherwise, likewise, several = log(
        np.stack([_odds(whole), _odds(read), otherwise + _LEAST, likewise + _LEAST, several])
    )
    columns = [
        whole,
        read,
        otherwise,
        likewise,
        alone,
        rival,
        4 * rival * off_centre[:, 0],
        2 * off_centre[:, 0],
        2 * off_centre[:, 1],
        several,
        3 * mean[:, _SEVERAL],
        mean[:, _BLANK],
        chosen[:, _BLANK],
    ]
    return np.stack(columns, axis=1)


def _odds(probabilities: np.ndarray) -> np.ndarray:
    bounded = np.clip(probabilities, 1e-6, 1 - 1e-6)
    return bounded / (1 - bounded)


def _largest(products: np.ndarray, among: np.ndarray) -> np.ndarray:
    return np.where(among, products, 0).max(keepdims=True)


def _off_centre(proposals: Sequence[Proposal]) -> np.ndarray:
    """Return how far each box is from the middle, (n, 2), in shares of the picture's sides."""
    boxes = np.array([proposal.box for proposal in proposals])
    return np.abs(boxes[:, :2] + boxes[:, 2:] / 2 - 0.5)


def _apart_from(chosen: Proposal, proposals: Sequence[Proposal]) -> np.ndarray:
    """Return which proposals are somewhere else, and large enough to be meant instead, (n,)."""
    boxes = np.array([proposal.box for proposal in proposals])
    one = np.array(chosen.box)
    ends = np.minimum(boxes[:, :2] + boxes[:, 2:], one[:2] + one[2:])
    shared = np.maximum(ends - np.maximum(boxes[:, :2], one[:2]), 0).prod(axis=1)
    smaller = np.minimum(boxes[:, 2:].prod(axis=1), one[2:].prod())
    large = boxes[:, 2:].max(axis=1) > _ALIKE * one[2:].max()
    return (shared < _APART * smaller) & large
