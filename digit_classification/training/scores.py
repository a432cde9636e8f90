"""Scores that say how good a model is, from its probabilities on images with known digits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from digit_classification.training.datasets.dataset import CLASSES

FEW = 30  # images, below which a share is told with its interval
BINS = 15  # of the calibration error
THRESHOLDS = (0.0, 0.5, 0.6, 0.8, 0.9, 0.95, 0.99, 0.999)


def score_test(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Return the scores of probabilities, (n, 10), for images with these labels, (n,).

    `images`, `accuracy` and `loss`; `digits`, for each digit with images its precision, recall,
    f1 and support; `confusion_matrix`, rows the true digit, columns the digit read.
    """
    from sklearn.metrics import confusion_matrix, log_loss, precision_recall_fscore_support

    read = probabilities.argmax(axis=1)
    digits = range(len(CLASSES))
    of_each = precision_recall_fscore_support(labels, read, labels=digits, zero_division=0.0)
    return {
        "images": len(read),
        "accuracy": float((read == labels).mean()),
        "loss": float(log_loss(labels, probabilities, labels=digits)),
        "digits": {
            name: {
                "precision": float(precision),
                "recall": float(recall),
                "f1": float(f1),
                "support": int(support),
            }
            for name, precision, recall, f1, support in zip(CLASSES, *of_each, strict=True)
            if support
        },
        "confusion_matrix": confusion_matrix(labels, read, labels=digits).tolist(),
    }


@dataclass(frozen=True)
class Share:
    """So many of so many images."""

    right: int
    total: int

    @property
    def value(self) -> float | None:
        return self.right / self.total if self.total else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % confidence interval, if there are so few images that it must be told."""
        return interval(self.right, self.total) if 0 < self.total < FEW else None


@dataclass(frozen=True)
class DigitScores:
    """How well the images of one digit are read."""

    digit: str
    precision: Share
    recall: Share
    f1: float | None  # none of few images: it has no interval that is as simple
    images: int


def scores_by_digit(evaluation: Mapping[str, Any]) -> list[DigitScores]:
    """Return what `score_test` found for each digit that has test images."""
    matrix = np.array(evaluation["confusion_matrix"])
    found = []
    for name, scores in evaluation["digits"].items():
        digit = int(name)
        right = int(matrix[digit, digit])
        precision = Share(right, int(matrix[:, digit].sum()))
        recall = Share(right, int(matrix[digit].sum()))
        few = precision.interval or recall.interval
        found.append(
            DigitScores(name, precision, recall, None if few else scores["f1"], recall.total)
        )
    return found


def interval(right: int, total: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a share `right` / `total` (Wilson 1927)."""
    from scipy.stats import binomtest

    found = binomtest(right, total).proportion_ci(0.95, method="wilson")
    return float(found.low), float(found.high)


def calibration_error(confidences: np.ndarray, right: np.ndarray, bins: int = BINS) -> float:
    """Return the expected calibration error, 0 to 1, of `confidences`, (n,) from 0 to 1.

    The distance between mean confidence and accuracy in each of `bins` bins of equal width,
    averaged with the bins' counts as weights (Naeini et al. 2015, "Obtaining Well Calibrated
    Probabilities Using Bayesian Binning"; Guo et al. 2017, "On Calibration of Modern Neural
    Networks").
    """
    surplus = np.bincount(_bins(confidences, bins), weights=confidences - right, minlength=bins)
    return float(np.abs(surplus).sum() / len(confidences))


def _bins(confidences: np.ndarray, bins: int) -> np.ndarray:
    return np.minimum((confidences * bins).astype(int), bins - 1)


@dataclass(frozen=True)
class Bin:
    """The images whose confidence lies in one bin of the reliability diagram."""

    images: int
    confidence: float  # mean
    accuracy: float
    low: float  # 95 % confidence interval of the accuracy
    high: float


def reliability(confidences: np.ndarray, right: np.ndarray, bins: int = BINS) -> list[Bin]:
    """Return the bins that hold images, in the order of their confidence."""
    which = _bins(confidences, bins)
    found = []
    for number in np.unique(which):
        inside = which == number
        images, hits = int(inside.sum()), int(right[inside].sum())
        confidence = float(confidences[inside].mean())
        found.append(Bin(images, confidence, hits / images, *interval(hits, images)))
    return found


def most_confused(matrix: np.ndarray) -> list[dict[str, Any]]:
    """Return the mistakes of a confusion matrix as pairs, the most frequent first.

    `matrix` is (10, 10), rows the true digit, columns the digit read.  `share` is of all images
    of the true digit.
    """
    of_each = matrix.sum(axis=1)
    pairs = [
        {
            "digit": int(true),
            "read_as": int(read),
            "images": int(matrix[true, read]),
            "share": float(matrix[true, read] / of_each[true]),
        }
        for true, read in zip(*np.nonzero(matrix), strict=True)
        if true != read
    ]
    return sorted(pairs, key=lambda pair: (-pair["images"], -pair["share"], pair["digit"]))


def share_of(pair: Mapping[str, Any]) -> Share:
    """Return how many of a digit's images one of `most_confused` is."""
    return Share(pair["images"], round(pair["images"] / pair["share"]))


def by_threshold(confidences: np.ndarray, right: np.ndarray) -> list[dict[str, Any]]:
    """Return what a least confidence would come to: the images that reach it, and mistakes left.

    The trade between coverage and risk (El-Yaniv and Wiener 2010), for whoever chooses
    `detection.min_confidence`.
    """
    rows = []
    for threshold in THRESHOLDS:
        sure = confidences >= threshold
        images, mistakes = int(sure.sum()), int((sure & ~right).sum())
        rows.append(
            {
                "min_confidence": threshold,
                "images": images,
                "share": images / len(right),
                "mistakes": mistakes,
                "error": mistakes / images if images else None,
            }
        )
    return rows
