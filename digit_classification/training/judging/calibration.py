"""How sure the detector may be of its choice, from pictures that the judge has not learned from.

A multinomial logistic regression of what is true of a choice on what speaks for it and against it
(`Choice.features`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from digit_classification.network.choice import choose
from digit_classification.network.inference import DenseNetwork
from digit_classification.network.judge import OUTCOMES, Judge
from digit_classification.pictures.proposals import propose
from digit_classification.training.judging.examples import SceneProposals

FOLDS = 5
PRIOR = 1e-3  # of an outcome that never came about: not impossible


def outcomes_of(answers: Sequence[str], read: np.ndarray) -> np.ndarray:
    """Return positions in OUTCOMES, (n,), given what pictures show and the digits read, (n,)."""
    names = [
        answer if answer in OUTCOMES else "right" if str(digit) == answer else "misread"
        for answer, digit in zip(answers, read.tolist(), strict=True)
    ]
    return np.array([OUTCOMES.index(name) for name in names])


def fit_certainty(features: np.ndarray, outcomes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return weights, (m, len(OUTCOMES)), and biases of the regression of outcomes on features."""
    from sklearn.linear_model import LogisticRegression

    weights = np.zeros((features.shape[1], len(OUTCOMES)))
    bias = np.full(len(OUTCOMES), np.log(PRIOR))
    present = np.unique(outcomes)
    if len(present) == 1:
        bias[present] = 0.0
        return weights, bias
    mean, deviation = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-6)
    fitted = LogisticRegression(max_iter=2000).fit((features - mean) / deviation, outcomes)
    coefficients, intercepts = fitted.coef_, fitted.intercept_
    if len(present) == 2:  # of which scikit-learn gives the second's odds
        coefficients = np.concatenate([np.zeros_like(coefficients), coefficients])
        intercepts = np.concatenate([[0.0], intercepts])
    weights[:, present] = (coefficients / deviation).T
    bias[present] = intercepts - (coefficients / deviation) @ mean
    return weights, bias


def held_out(features: np.ndarray, outcomes: np.ndarray) -> np.ndarray:
    """Return the probabilities of OUTCOMES, each by a regression that did not see its picture."""
    probabilities = np.empty((len(features), len(OUTCOMES)))
    fold = np.arange(len(features)) % FOLDS
    for each in range(FOLDS):
        weights, bias = fit_certainty(features[fold != each], outcomes[fold != each])
        logits = features[fold == each] @ weights + bias
        exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities[fold == each] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probabilities


def chosen_in(
    scenes: Sequence[SceneProposals],
    real_digits: np.ndarray,
    network: DenseNetwork,
    judge: Judge,
) -> tuple[np.ndarray, np.ndarray]:
    """Return what speaks for the choice in each picture, and the digit read in it.

    Args:
        scenes: the simulated pictures.
        real_digits: (n, 28, 28) uint8, pictures that are in MNIST's form.
        network: what reads digits.
        judge: what judges, however its certainty is.

    Returns:
        Features, (m, FEATURES), and digits, (m,), first of the scenes, then of the real digits.
    """
    stages = [*(iter(scene.stages) for scene in scenes), *map(propose, real_digits)]
    firsts = [next(each)[0] for each in stages]
    choices = choose(firsts, stages, network, judge)
    features = np.stack([choice.features for choice in choices])
    return features, np.array([int(choice.probabilities.argmax()) for choice in choices])


def scores(outcomes: np.ndarray, probabilities: np.ndarray, threshold: float) -> dict[str, Any]:
    """Return shares of the pictures: with a digit and read rightly or wrongly, and of the others.

    A picture counts as read where the probability of the first outcome is at least the threshold.
    """
    names = np.array(OUTCOMES)[outcomes]
    right, digit = names == "right", np.isin(names, ("right", "misread"))
    ok = probabilities[:, 0] >= threshold
    return {
        "pictures": len(names),
        "threshold": threshold,
        "with_digit": int(digit.sum()),
        "right": _share(ok & right, digit),
        "wrong": _share(ok & ~right, digit),
        "right_at_any_confidence": _share(right, digit),
        "without_digit": int((~digit).sum()),
        "read_as_digit": _share(ok, ~digit),
        "right_of_ok": _share(right, ok),
    }


def _share(which: np.ndarray, among: np.ndarray) -> float | None:
    return round(float(which[among].mean()), 4) if among.any() else None
