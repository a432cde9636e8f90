"""From pictures of numbers to results, where `reading` does it for single digits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from digit_classification.network.inference import Network
from digit_classification.network.judge import Judge, ReadingNetwork
from digit_classification.network.model_file import Model
from digit_classification.network.number import NO_NUMBER, NumberReading, read_numbers
from digit_classification.pictures import images
from digit_classification.pictures.decode import Limits, Picture, decode
from digit_classification.pictures.prepare import Prepared
from digit_classification.results.records import LONGEST_NUMBER, Result, StoredDigit
from digit_classification.settings import Settings


def read_number(
    model: Model, picture: Picture, settings: Settings, constraint: str | None
) -> NumberReading:
    """Read the number in a picture.

    Raises ModelError as `Model.number_network`, ImageError or TypeError as `decode`.
    """
    network, limits = model.number_network, Limits(**settings.images.model_dump())
    grey = images.grey_from_array(decode(picture, limits).pixels)
    invert = settings.detection.invert
    return read_numbers([grey], invert, network, model.judge, constraint)[0]


def results_of_numbers(
    batch: Sequence[Prepared],
    network: Network,
    judge: Judge | None,
    *,
    invert: images.Invert,
    min_confidence: float,
    constraint: str | None,
) -> list[Result]:
    """Return the result of each picture, in order, prepared as a whole; it keeps its signs' images.

    A number of which it is less sure than `min_confidence`, 0 to 1, that every sign is right, is
    `uncertain`, and its reason names the digits in doubt.
    """
    greys = [image.grey for image in batch if image.grey is not None]
    assert isinstance(network, ReadingNetwork)
    readings = iter(read_numbers(greys, invert, network, judge, constraint) if greys else [])
    results = []
    for image in batch:
        if image.grey is None:
            path, sha256 = image.source.name, image.sha256
            results.append(Result(path, "error", reason=image.error, image_sha256=sha256))
            continue
        reading = next(readings)
        results.append(result_of(image, reading, min_confidence))
        if results[-1].number is not None:
            image.signs = tuple(sign.image for sign in reading.digits)
        image.grey = None
    return results


def result_of(image: Prepared, reading: NumberReading, min_confidence: float) -> Result:
    """Return the result of a picture, or of a part of one, from what is read there."""
    text, path, sha256 = reading.text, image.source.name, image.sha256
    rejection = reading.rejection or _why_not_stored(text)
    if text is None or rejection is not None:
        reason = ", ".join(filter(None, (rejection, image.note)))
        return Result(path, "rejected", reason=reason, image_sha256=sha256)
    confidence = reading.confidence or 0.0
    is_sure = confidence >= min_confidence
    notes = [] if is_sure else [_doubts(reading, min_confidence)]
    if reading.left_out:
        notes.append("without " + " and ".join(reading.left_out))
    if image.note:
        notes.append(image.note)
    alone = reading.digits[0] if len(text) == 1 else None
    return Result(
        path,
        "ok" if is_sure else "uncertain",
        digit=None if alone is None else int(text),
        confidence=confidence,
        reason=", ".join(notes) or None,
        probabilities=None if alone is None else alone.probabilities,
        image_sha256=sha256,
        number=text,
        digits=tuple(_stored(reading)),
    )


def _why_not_stored(text: str | None) -> str | None:
    if text is None:
        return NO_NUMBER
    if len(text) > LONGEST_NUMBER:
        return f"found {len(text)} signs, more than {LONGEST_NUMBER}"
    return None


def _doubts(reading: NumberReading, min_confidence: float) -> str:
    """Name the signs that are less sure than they should be, or else the least sure one."""
    least = min((sign.confidence for sign in reading.digits), default=0.0)
    doubtful = [
        f"{sign.text} in place {place} ({sign.confidence:.1%})"
        for place, sign in enumerate(reading.digits, 1)
        if sign.confidence < min_confidence or sign.confidence == least
    ]
    return f"in doubt: {', '.join(doubtful)}"


def _stored(reading: NumberReading) -> Iterator[StoredDigit]:
    for place, sign in enumerate(reading.digits, 1):
        yield StoredDigit(place, sign.text, *sign.box, sign.confidence, sign.probabilities)
