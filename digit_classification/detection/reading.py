"""From prepared pictures to results: what the network reads, and how far that is believed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from digit_classification.network.inference import Network
from digit_classification.pictures import images
from digit_classification.pictures.decode import Limits
from digit_classification.pictures.prepare import Prepared, crashed, prepare_many
from digit_classification.pictures.sources import Source
from digit_classification.results.records import Result

Judged: TypeAlias = tuple[Prepared, Result | None]  # a file that is no picture has no result


@dataclass(frozen=True)
class Batch:
    """Pictures with their results, in the same order, and the files among them that are none."""

    pictures: list[Prepared]
    results: list[Result]
    strays: list[str]  # names

    @classmethod
    def of(cls, judged: Sequence[Judged]) -> Batch:
        return cls(
            [picture for picture, result in judged if result is not None],
            [result for _, result in judged if result is not None],
            [picture.source.name for picture, result in judged if result is None],
        )


def read_and_judge(
    sources: Sequence[Source],
    network: Network,
    min_confidence: float,
    invert: images.Invert,
    limits: Limits,
    *,
    with_thumbnails: bool = False,
    with_digits: bool = False,
    enough: Callable[[], bool] = lambda: False,
) -> list[Judged]:
    """Prepare and judge each source, or, once `enough()`, those that have been prepared.

    Only a page of pictures needs their thumbnails and digits.
    """
    prepared = prepare_many(sources, invert, limits, thumbnail=with_thumbnails, enough=enough)
    judged = judge_each(prepared, network, min_confidence)
    if not with_digits:
        for picture, _ in judged:
            picture.digit = None
    return judged


def judge_crashed(source: Source) -> Judged:
    """Return what becomes of a source that ends each process that reads it."""
    picture = crashed(source)
    return picture, Result(source.name, "error", reason=picture.error)


def judge_each(
    prepared: Sequence[Prepared], network: Network, min_confidence: float
) -> list[Judged]:
    """Return what was prepared with its results, in order."""
    results = iter(judge([each for each in prepared if not each.stray], network, min_confidence))
    return [(each, None if each.stray else next(results)) for each in prepared]


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
