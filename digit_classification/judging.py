"""From prepared pictures to results: what the network reads, and how far that is believed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from digit_classification.dense import Network
from digit_classification.pipeline import Prepared
from digit_classification.records import Result


@dataclass(frozen=True)
class Batch:
    """Pictures with their results, in the same order, and the files among them that are none."""

    pictures: list[Prepared]
    results: list[Result]
    strays: list[str]  # names


def judge_batch(prepared: Sequence[Prepared], network: Network, min_confidence: float) -> Batch:
    """Return the results of what was prepared; files that are no pictures have none."""
    pictures = [image for image in prepared if not image.stray]
    strays = [image.source.name for image in prepared if image.stray]
    return Batch(pictures, judge(pictures, network, min_confidence), strays)


def judge(batch: Sequence[Prepared], network: Network, min_confidence: float) -> list[Result]:
    """Return the result of each picture, in order; the network is called once for all of them.

    A digit that is read with less than `min_confidence`, 0 to 1, is `uncertain`.
    """
    digits = [image.digit for image in batch if image.digit is not None]
    probabilities = iter(network(np.stack(digits)).tolist() if digits else ())
    return [
        _result(image, next(probabilities) if image.digit is not None else None, min_confidence)
        for image in batch
    ]


def _result(image: Prepared, probabilities: list[float] | None, min_confidence: float) -> Result:
    path, sha256 = image.source.name, image.sha256
    if probabilities is None:
        return Result(path, "error", reason=image.error, image_sha256=sha256)
    ten = tuple(probabilities)
    if image.rejection is not None:
        reason = ", ".join(filter(None, (image.rejection, image.note)))
        return Result(path, "rejected", reason=reason, probabilities=ten, image_sha256=sha256)
    digit = ten.index(max(ten))
    return Result(
        path,
        "ok" if ten[digit] >= min_confidence else "uncertain",
        digit=digit,
        confidence=ten[digit],
        reason=image.note,
        probabilities=ten,
        image_sha256=sha256,
    )
