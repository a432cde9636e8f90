"""How sure the signs of a number, and the whole of it, may be: fitted on drawn numbers.

Most of the numbers teach what a candidate is, by itself and by what is around it, and what a pair
is, from the ink that they hold of each sign.  The others are then read, as the detector reads them,
and teach how often the best path is right.
"""

from __future__ import annotations

import functools
import itertools
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from digit_classification.network.architecture import Layers
from digit_classification.network.inference import DenseNetwork
from digit_classification.network.judge import Judge
from digit_classification.network.numbers.certainty import (
    CONTEXT_WIDTHS,
    NUMBER_FEATURES,
    SPEAKS_FOR,
    WIDTHS,
    BoundedNetwork,
    Fitted,
    NumberCertainty,
    candidate_features,
    flat,
)
from digit_classification.network.numbers.pairs import BELIEF_WIDTHS, Pairs
from digit_classification.network.numbers.pairs import FEATURES as PAIR_FEATURES
from digit_classification.network.numbers.scoring import (
    Scores,
    features_in_context,
    features_of_pairs,
    read_pairs,
    score,
)
from digit_classification.network.numbers.ways import Way, cut_where_doubtful, find_ways
from digit_classification.parallel import map_in_order
from digit_classification.pictures.images.convention import NEIGHBOURS
from digit_classification.pictures.images.grey import grey_from_array
from digit_classification.pictures.numbers import Seen, cut_further, see
from digit_classification.training.numbers.drawing import (
    Layout,
    NumberPicture,
    any_layout,
    draw_number,
)
from digit_classification.training.scenes import Digits

LONGEST = 6  # digits of a number
# Shares of a digit's ink that a candidate holds (recall), and of its own that is such (precision).
WHOLE_RECALL, WHOLE_PRECISION = 0.85, 0.85
NEARLY = 0.75  # both: between whole and not
SWALLOWED = 0.5  # of another sign's ink: more makes two signs of a candidate
FOREIGN = 0.3  # of a candidate: ink that is no sign's, a printed line
CLEAN = 0.4  # of the numbers, digits as the dataset has them
TEACHING = 2 / 3  # of the numbers, what a candidate is; the others, how often a path is right
EPOCHS, BATCH_SIZE, PENALTY = 30, 512, 0.3  # of each network
FOLDS = 2  # of the numbers that teach: those of each are judged by what the others have taught
BOUNDS = (0.1, 99.9)  # percentiles of the features, which they are clipped to
NO_BELIEF: Fitted = (
    np.zeros((2, PAIR_FEATURES)),
    [(np.zeros(shape), np.zeros(shape[1])) for shape in itertools.pairwise(BELIEF_WIDTHS)],
)
_PRIOR = 2.0  # numbers of each kind that are taken to have been seen, lest anything seem certain

Advance = Callable[[int, int], None]  # hears how much is done of how much


@dataclass(frozen=True)
class Taught:
    """A view of a drawn number, and what is true of it.

    Attributes:
        view: of its line.
        whole: (n,) int8 of its candidates: 1 for one whole digit, 0 for none, -1 unsure.
        two: (m,) int8 of its pairs: the same for two whole digits.
    """

    view: Seen
    whole: np.ndarray
    two: np.ndarray


@dataclass(frozen=True)
class DrawnNumber:
    """A drawn number as the detector sees it.

    Attributes:
        text: what it shows.
        first: the view of its pieces as they are.
        taught: the same view, and that of all pieces cut; nothing of a number to be read.
    """

    text: str
    first: Seen
    taught: tuple[Taught, ...] = ()


@dataclass(frozen=True)
class Lesson:
    """A view of a drawn number, and what there is to learn from it.

    Attributes:
        number: which number it is of.
        taught: the view, with one candidate at least, and what is true of it.
        scores: of its candidates, not knowing more than the judge.
        features: (n, CANDIDATE_FEATURES) of them.
    """

    number: int
    taught: Taught
    scores: Scores
    features: np.ndarray


def fit_numbers(
    digits: Digits,
    count: int,
    network: DenseNetwork,
    judge: Judge,
    reading_pairs: Layers,
    seed: tuple[int, ...],
    advance: Advance = lambda done, total: None,
) -> tuple[Judge, dict[str, Any] | None]:
    """Return a judge that knows how sure numbers may be, and how those were read that told it.

    As it was, and None, where the numbers drawn do not tell: too few, or all right, or all wrong.

    Args:
        digits: what numbers are drawn of.
        count: how many.
        network: reads digits.
        judge: judges candidates.
        reading_pairs: what `learn_pairs` learned.
        seed: the same digits and seed give the same.
        advance: hears of each number that is drawn.
    """
    drawn = []
    cut = round(TEACHING * count)
    draw = functools.partial(_draw, digits, seed, cut)
    for number in map_in_order(draw, range(count), 0):
        drawn.append(number)
        advance(len(drawn), count)
    lessons = _lessons(drawn[:cut], network, judge)
    views = [each.taught.view for each in lessons]
    wholes, twos = [each.taught.whole for each in lessons], [each.taught.two for each in lessons]
    whole, two = _known(wholes, wholes), _known(twos, twos)
    if not all((known == kind).any() for known in (whole, two) for kind in (0, 1)):
        return judge, None
    if len({each.number % FOLDS for each in lessons}) < FOLDS:
        return judge, None
    alone = _learned_alone(lessons, seed)
    scored = _scored_by_others(lessons, seed)
    context = [*map(features_in_context, views, scored)]
    in_context = _fit_network(_known(wholes, context), whole == 1, CONTEXT_WIDTHS, seed)
    read = read_pairs(views, Pairs.of(reading_pairs, NO_BELIEF))
    pairs = [*map(features_of_pairs, views, scored, read)]
    believed = _fit_network(_known(twos, pairs), two == 1, BELIEF_WIDTHS, seed)
    unsure = np.zeros((NUMBER_FEATURES, 1)), np.zeros(1)
    able = replace(
        judge,
        numbers=NumberCertainty.of(alone, unsure, in_context),
        pairs=Pairs.of(reading_pairs, believed),
    )
    others = drawn[cut:]
    ways = _ways(others, network, able)
    found = [(way, each.text) for way, each in zip(ways, others, strict=True) if way.paths]
    right = np.array([way.paths[0].text == text for way, text in found])
    if not right.any() or right.all():
        return judge, None
    features = np.stack([way.features for way, _ in found if way.features is not None])
    regression = _fit_regression(features, right)
    scores = {"numbers": len(others), "right": round(float(right.sum()) / len(others), 4)}
    return replace(able, numbers=NumberCertainty.of(alone, regression, in_context)), scores


def _draw(digits: Digits, seed: tuple[int, ...], cut: int, number: int) -> DrawnNumber:
    """Draw number `number` of this seed, and see it; the first of them, `cut`, with all cuts."""
    rng = np.random.default_rng((*seed, number))
    layout = any_layout(rng)
    if layout.paper == "desk" or rng.random() < CLEAN:
        layout = Layout(layout.spacing, "clean", signs=layout.signs)
    picture = draw_number(rng, digits, replace(layout, count=(1, LONGEST)))
    first = see(grey_from_array(picture.pixels), "auto")
    if number >= cut or first.line is None:
        return DrawnNumber(picture.text, first)
    views = [first, *cut_further(first)]
    return DrawnNumber(picture.text, first, tuple(_taught(picture, view) for view in views))


def _taught(picture: NumberPicture, seen: Seen) -> Taught:
    """Return a view with what its candidates and its pairs are."""
    inks = _Inks(picture, seen)
    return Taught(
        seen,
        np.array([inks.are(each.first, each.last, 1) for each in seen.candidates], np.int8),
        np.array([inks.are(each.first, each.last, 2) for each in seen.pairs], np.int8),
    )


class _Inks:
    """Whose ink a view's segments are."""

    def __init__(self, picture: NumberPicture, seen: Seen) -> None:
        assert picture.owner is not None
        assert seen.line is not None
        self._labels = seen.segments.labels
        self._owner = cv2.warpAffine(
            picture.owner,
            seen.line.back,
            self._labels.shape[::-1],
            flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
        )
        self._signs = len(picture.text) + 1
        self._inked = np.maximum(np.bincount(self._owner.ravel(), minlength=self._signs), 1)
        self._is_digit = np.array([False, *map(str.isdigit, picture.text)])

    def are(self, first: int, last: int, count: int) -> int:
        """Return 1 if segments are so many whole digits, 0 if they are not, -1 if unsure."""
        own = (self._labels > first) & (self._labels <= last)
        around = cv2.dilate(own.astype(np.uint8), NEIGHBOURS) > 0
        held = np.bincount(self._owner[around], minlength=self._signs) / self._inked
        share = np.bincount(self._owner[own], minlength=self._signs)
        foreign = share[0] / max(1, share.sum())
        share[0] = 0
        best = np.argsort(-share, kind="stable")[:count]
        others = np.delete(held, [0, *best])
        # A thin 1 or a point is little of the ink, and yet not to be swallowed.
        if not self._is_digit[best].all() or (others > SWALLOWED).any():
            return 0
        precision = share[best].sum() / max(1, share.sum())
        least = held[best].min()
        if min(least, precision) < NEARLY:
            return 0
        sure = least > WHOLE_RECALL and precision > WHOLE_PRECISION
        return 1 if sure and foreign < FOREIGN else -1


def _lessons(drawn: Sequence[DrawnNumber], network: DenseNetwork, judge: Judge) -> list[Lesson]:
    """Return what there is to learn from drawn numbers."""
    taught = [
        (number, view)
        for number, each in enumerate(drawn)
        for view in each.taught
        if view.view.candidates
    ]
    scored = score([each.view for _, each in taught], network, replace(judge, numbers=None))
    lessons = []
    for (number, each), scores in zip(taught, scored, strict=True):
        places = np.array([candidate.place for candidate in each.view.candidates])
        features = candidate_features(scores.classes, scores.probabilities, places)
        lessons.append(Lesson(number, each, scores, features))
    return lessons


def _known(truths: Sequence[np.ndarray], values: Sequence[np.ndarray]) -> np.ndarray:
    """Return the values of each view, (n, …), whose truth is known, in a row."""
    known = [value[truth >= 0] for truth, value in zip(truths, values, strict=True) if len(value)]
    return np.concatenate(known) if known else np.zeros(0)


def _learned_alone(lessons: Iterable[Lesson], seed: tuple[int, ...]) -> Fitted:
    """Return the network of what a candidate is by itself; views without cuts teach no more."""
    cut = [each for each in lessons if each.taught.view.cut]
    wholes = [each.taught.whole for each in cut]
    features = _known(wholes, [each.features for each in cut])
    return _fit_network(features, _known(wholes, wholes) == 1, WIDTHS, seed)


def _scored_by_others(lessons: Sequence[Lesson], seed: tuple[int, ...]) -> list[Scores]:
    """Return what each view's candidates are by themselves, to learn from what is around them.

    That says a network that has not learned from this number: it would be too sure.
    """
    scored = [each.scores for each in lessons]
    for fold in range(FOLDS):
        others = [each for each in lessons if each.number % FOLDS != fold]
        arrays = flat(_learned_alone(others, seed))
        network = BoundedNetwork.of([each.astype(np.float32) for each in arrays])
        for place, each in enumerate(lessons):
            if each.number % FOLDS == fold:
                scored[place] = replace(each.scores, whole=network(each.features))
    return scored


def _ways(drawn: Sequence[DrawnNumber], network: DenseNetwork, judge: Judge) -> list[Way]:
    """Read numbers as the detector does, but nowhere else than where they are first seen."""
    firsts = find_ways([each.first for each in drawn], network, judge, None)
    return cut_where_doubtful(firsts, network, judge, None)


def _fit_network(
    features: np.ndarray, true: np.ndarray, widths: tuple[int, ...], seed: tuple[int, ...]
) -> Fitted:
    """Return a network of such widths of what is true, (n,) bool, by (n, m) features."""
    from sklearn.neural_network import MLPClassifier

    mean, deviation = _scale(features)
    network = MLPClassifier(
        widths[1:-1],
        alpha=PENALTY,
        batch_size=min(BATCH_SIZE, len(features)),
        max_iter=EPOCHS,
        random_state=np.random.RandomState(np.random.MT19937(seed)),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has not converged: more epochs teach it the noise
        network.fit((features - mean) / deviation, true)
    (kernel, bias), *later = zip(network.coefs_, network.intercepts_, strict=True)
    kernel = kernel / deviation[:, None]
    return np.percentile(features, BOUNDS, axis=0), [(kernel, bias - mean @ kernel), *later]


def _fit_regression(features: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return weights, (m, 1), and bias, (1,), of the logistic regression of what is true.

    What seems to speak the other way than it can, by numbers in which it is rare, says nothing.
    """
    from sklearn.linear_model import LogisticRegression

    mean, deviation = _scale(features)
    scaled = (features - mean) / deviation
    # One of each at the mean: where nothing tells, the odds are not beyond what was seen.
    scaled = np.concatenate([scaled, np.zeros((2, scaled.shape[1]))])
    truth = np.concatenate([true, [True, False]])
    weight = np.concatenate([np.ones(len(true)), np.full(2, _PRIOR)])
    told = np.arange(len(SPEAKS_FOR))
    while True:
        fitted = LogisticRegression(max_iter=1000).fit(scaled[:, told], truth, weight)
        astray = fitted.coef_[0] * np.array(SPEAKS_FOR)[told] < 0
        if not astray.any():
            break
        told = told[~astray]
    weights = np.zeros((len(SPEAKS_FOR), 1))
    weights[told] = fitted.coef_.T / deviation[told, None]
    return weights, fitted.intercept_ - mean @ weights


def _scale(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what to take off each feature, and what to divide it by: 1 if it never differs."""
    deviation = features.std(axis=0)
    return features.mean(axis=0), np.where(deviation > 1e-3, deviation, 1.0)
