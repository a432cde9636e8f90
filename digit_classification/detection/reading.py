"""From sources to results: how pictures are read, what the network says, how far it is believed.

A Reader is where that is done: on this machine, as here, or on a cluster (`cluster/connection.py`).
Whoever reads, `read_and_judge` is what is done with some sources.  What reads numbers and forms is
imported only where they are read: one digit should be read at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

import numpy as np

from digit_classification.network.choice import choose
from digit_classification.network.inference import Network
from digit_classification.network.judge import Judge, ReadingNetwork
from digit_classification.network.model_file import Model
from digit_classification.parallel import in_batches, map_in_parts
from digit_classification.pictures import images
from digit_classification.pictures.decode import LONGEST, LONGEST_FORM, Limits
from digit_classification.pictures.forms import template_of
from digit_classification.pictures.prepare import (
    Prepared,
    crashed,
    is_waited_for,
    prepare_many,
    prepare_pages,
)
from digit_classification.pictures.sources import Source
from digit_classification.results.records import Result
from digit_classification.settings import Settings, least_confidence

if TYPE_CHECKING:
    from digit_classification.pictures.forms.template import Template

# A file that is no picture has no result, and a form one for each cell.
Judged: TypeAlias = tuple[Prepared, list[Result]]


@dataclass(frozen=True)
class ReadingOptions:
    """How pictures are read, wherever that is, and what comes with their results."""

    invert: images.Invert
    limits: Limits
    min_confidence: float | None  # 0 to 1, as of the settings
    batch_size: int = 1000  # pictures
    with_thumbnails: bool = False
    with_pixels: bool = False  # those that the network saw
    read: Literal["digit", "number", "form"] = "digit"
    constraint: str | None = None  # a regular expression that numbers fit
    template: Template | None = None  # of forms that return

    @classmethod
    def of(cls, settings: Settings, **wanted: bool) -> ReadingOptions:
        """Return those of `settings`, with thumbnails or pixels if they are `wanted`.

        Raises TemplateError if the template that they name cannot be used.
        """
        detection = settings.detection
        return cls(
            invert=detection.invert,
            limits=Limits(**settings.images.model_dump()),
            min_confidence=detection.min_confidence,
            batch_size=detection.batch_size,
            read=detection.read,
            constraint=detection.constraint,
            template=template_of(settings),
            **wanted,
        )

    @property
    def least_confidence(self) -> float:
        """With which what is read is `ok`, 0 to 1; with less it is `uncertain`."""
        return least_confidence(self.read, self.min_confidence)

    @property
    def of_forms(self) -> bool:
        return self.read == "form"

    @property
    def of_numbers(self) -> bool:
        """Whether numbers are read, in cells of a form too, and not digits."""
        return self.read != "digit"

    @property
    def longest(self) -> int:
        """How many pixels of the longer side of a picture are looked at."""
        return LONGEST_FORM if self.of_forms else LONGEST


@dataclass(frozen=True)
class Batch:
    """Pictures with their results, in the same order, and the files among them that are none.

    Of a form there is a picture for each of its results.
    """

    pictures: list[Prepared]
    results: list[Result]
    strays: list[str]  # names

    @property
    def sources(self) -> list[Source]:
        return [picture.source for picture in self.pictures]

    @classmethod
    def of(cls, judged: Sequence[Judged]) -> Batch:
        return cls(
            [
                part
                for picture, results in judged
                for part in picture.cells or [picture] * len(results)
            ],
            [result for _, results in judged for result in results],
            [picture.source.name for picture, results in judged if not results],
        )


class Reader(Protocol):
    """Where pictures are read: this machine, or a cluster."""

    def read(
        self, sources: Iterable[Source], model: Model, options: ReadingOptions
    ) -> Iterator[Batch]:
        """Yield the pictures and their results, a batch at a time, in the order of `sources`."""


@dataclass(frozen=True)
class ThisMachine:
    """Reads in processes, or in this one if there is little to read."""

    workers: int  # processes; 0: one for each core

    def read(
        self, sources: Iterable[Source], model: Model, options: ReadingOptions
    ) -> Iterator[Batch]:
        """Yield the pictures and their results, a batch at a time, in the order of `sources`."""
        if model.made_elsewhere:  # which one process of its own computes, for all others
            prepare_some = partial(
                prepare_many,
                invert=options.invert,
                limits=options.limits,
                thumbnail=options.with_thumbnails,
            )
            prepared = map_in_parts(prepare_some, sources, self.workers, crashed, is_waited_for)
            for some in in_batches(prepared, options.batch_size):
                yield Batch.of(results_of_each(some, model.network, None, options))
            return
        read = partial(read_and_judge, network=model.network, judge=model.judge, options=options)
        judged = map_in_parts(read, sources, self.workers, judge_crashed, is_waited_for)
        for batch in in_batches(judged, options.batch_size):
            yield Batch.of(batch)


def read_and_judge(
    sources: Sequence[Source],
    network: Network,
    judge: Judge | None,
    options: ReadingOptions,
    *,
    enough: Callable[[], bool] = lambda: False,
) -> list[Judged]:
    """Prepare and judge each source, or, once `enough()`, those that have been prepared."""
    if options.of_forms:
        return _read_forms(sources, network, judge, options, enough)
    prepared = prepare_many(
        sources,
        options.invert,
        options.limits,
        thumbnail=options.with_thumbnails,
        proposing=judge is not None,
        whole=options.of_numbers,
        longest=options.longest,
        enough=enough,
    )
    judged = results_of_each(prepared, network, judge, options)
    for picture, _ in judged:
        picture.proposal, picture.others, picture.compared = None, (), ()  # should not travel
        if not options.with_pixels:  # only a page of pictures needs them
            picture.digit, picture.signs = None, ()
    return judged


def _read_forms(
    sources: Sequence[Source],
    network: Network,
    judge: Judge | None,
    options: ReadingOptions,
    enough: Callable[[], bool],
) -> list[Judged]:
    """Do as `read_and_judge`, page by page: all those of a file would not fit into the memory."""
    from digit_classification.detection.forms.pages import results_of_pages

    judged = []
    for pages in prepare_pages(sources, options.limits, options.longest):
        judged.append(
            results_of_pages(
                pages,
                network,
                judge,
                invert=options.invert,
                min_confidence=options.least_confidence,
                constraint=options.constraint,
                template=options.template,
                with_cells=options.with_thumbnails,
            )
        )
        if enough():
            break
    return judged


def pictures_again(
    sources: Iterable[Source], model: Model, options: ReadingOptions, workers: int
) -> Iterator[Prepared]:
    """Yield pictures as they are seen when they are read, in order, for whoever has the results."""
    read = partial(read_and_judge, network=model.network, judge=model.judge, options=options)
    for some in map_in_parts(read, sources, workers, judge_crashed, is_waited_for):
        yield from (picture for picture, _ in some)


def judge_crashed(source: Source) -> Judged:
    """Return what becomes of a source that ends each process that reads it."""
    picture = crashed(source)
    return picture, [Result(source.name, "error", reason=picture.error)]


def results_of_each(
    prepared: Sequence[Prepared], network: Network, judge: Judge | None, options: ReadingOptions
) -> list[Judged]:
    """Return what was prepared with its results, in order."""
    pictures = [each for each in prepared if not each.stray]
    results = iter(results_as(options, pictures, network, judge))
    return [(each, [] if each.stray else [next(results)]) for each in prepared]


def results_as(
    options: ReadingOptions, batch: Sequence[Prepared], network: Network, judge: Judge | None
) -> list[Result]:
    """Return the result of each picture, in order, read as a digit or as a number.

    Raises ValueError for forms, which have a result for each cell.
    """
    if options.of_forms:
        raise ValueError(
            "A form has a result for each cell: call read_form or classify_images instead."
        )
    if not options.of_numbers:
        return results_of(batch, network, judge, options.least_confidence)
    from digit_classification.detection.numbers import results_of_numbers

    return results_of_numbers(
        batch,
        network,
        judge,
        invert=options.invert,
        min_confidence=options.least_confidence,
        constraint=options.constraint,
    )


def results_of(
    batch: Sequence[Prepared], network: Network, judge: Judge | None, min_confidence: float
) -> list[Result]:
    """Return the result of each picture, in order; the network is called once for all of them.

    Without a judge, the preparation alone says what a picture shows, and the network how sure that
    is.  With one, what was prepared comes with proposals, and is changed to what is chosen of them.
    A digit that is read with less than `min_confidence`, 0 to 1, is `uncertain`.
    """
    seen = [image for image in batch if image.digit is not None]
    read = _read(seen, network) if judge is None else _choose(seen, network, judge)
    readings = iter(read)
    return [
        _result(image, next(readings), min_confidence)
        if image.digit is not None
        else Result(image.source.name, "error", reason=image.error, image_sha256=image.sha256)
        for image in batch
    ]


@dataclass(frozen=True)
class Reading:
    """What a picture is read as: ten probabilities, and how sure it is that the digit is right."""

    probabilities: tuple[float, ...]
    confidence: float

    @property
    def digit(self) -> int:
        return self.probabilities.index(max(self.probabilities))


def _read(seen: Sequence[Prepared], network: Network) -> list[Reading]:
    digits = [image.digit for image in seen if image.digit is not None]
    probabilities = network(np.stack(digits)).tolist() if digits else []
    return [Reading(tuple(ten), max(ten)) for ten in probabilities]


def _choose(seen: Sequence[Prepared], network: Network, judge: Judge) -> list[Reading]:
    """Choose a proposal of each picture, and read it."""
    firsts = [image.proposal for image in seen if image.proposal is not None]
    if not firsts:
        return []
    assert isinstance(network, ReadingNetwork)
    choices = choose(firsts, [image.others for image in seen], network, judge)
    for image, choice in zip(seen, choices, strict=True):
        image.digit, image.rejection = choice.proposal.digit, choice.rejection
        image.compared = choice.compared
        if choice.proposal.left_out and choice.rejection is None:
            without = "without " + " and ".join(choice.proposal.left_out)
            image.note = ", ".join(filter(None, (without, image.note)))
    return [Reading(tuple(each.probabilities.tolist()), each.confidence) for each in choices]


def _result(image: Prepared, reading: Reading, min_confidence: float) -> Result:
    path, sha256, ten = image.source.name, image.sha256, reading.probabilities
    if image.rejection is not None:
        reason = ", ".join(filter(None, (image.rejection, image.note)))
        return Result(path, "rejected", reason=reason, probabilities=ten, image_sha256=sha256)
    return Result(
        path,
        "ok" if reading.confidence >= min_confidence else "uncertain",
        digit=reading.digit,
        confidence=reading.confidence,
        reason=image.note,
        probabilities=ten,
        image_sha256=sha256,
    )
