"""The review page of a run that is over, of its stored results and its pictures as they are now."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

from rich.progress import Progress

from digit_classification.pictures.decode import DEFAULT_LIMITS, Limits
from digit_classification.pictures.prepare import Prepared, prepare_all
from digit_classification.pictures.sources import Source, find_named
from digit_classification.reports.review import About, Review
from digit_classification.results.opening import Database
from digit_classification.results.records import Result, Run


def review_run(
    database: Database,
    run: Run,
    path: Path,
    progress: Progress,
    *,
    workers: int = 0,
    limits: Limits = DEFAULT_LIMITS,
    labels: Mapping[str, str | None] = MappingProxyType({}),
    numbers_again: Callable[[Iterable[Source]], Iterator[Prepared]] | None = None,
) -> None:
    """Write the review page of a run to `path`, and show its progress.

    `labels` are what is known of the pictures, by the paths under which they are stored.  Of a run
    that read numbers or forms, `numbers_again` yields each picture as it was seen.

    A picture that was moved is read where it is now; one that is gone, or has changed since, is on
    the page with that as its reason.

    Raises ReviewError if the page cannot be written.
    """
    detection = run.info.settings.get("detection", {})
    with Review.open(path) as review:
        total = run.counts.images if run.counts is not None else None
        task = progress.add_task("Reading pictures", total=total)
        known: dict[str, str | None] = {}

        def where_they_are() -> Iterator[Result]:
            for row in database.rows(run.info.id):
                result = row.as_result()
                there = _where_it_is(result)
                if result.path in labels:
                    known[there.path] = labels[result.path]
                yield there

        groups, named = itertools.tee(_of_one_file(where_they_are()))
        sources = (find_named(results[0].path) for results in named)
        invert = detection.get("invert", "auto")
        if numbers_again is None:
            pictures = prepare_all(sources, invert, workers, limits, thumbnails=True)
        else:
            pictures = numbers_again(sources)
        for results, picture in zip(groups, pictures, strict=True):
            for result, part in zip(results, _parts(picture, results), strict=True):
                result, part = _compared(result, part)
                review.add([result], [part])
                progress.advance(task)
        review.write(
            About(
                sources=run.info.sources,
                model=os.path.basename(run.info.model_path or ""),
                min_confidence=detection.get("min_confidence"),
                finished=run.finished_at or run.info.started_at,
                run=run.info.id,
                labels=known,
                numbers=numbers_again is not None,
                forms=detection.get("read") == "form",
            ),
            partial(progress.track, description="Writing the review page"),
        )


def _of_one_file(results: Iterable[Result]) -> Iterator[list[Result]]:
    """Yield the results of each file: one, or those of a form's cells, which are stored at once."""
    group: list[Result] = []
    for result in results:
        if group and (result.cell is None or result.cell.number == 1):
            yield group
            group = []
        group.append(result)
    if group:
        yield group


def _parts(picture: Prepared, results: Sequence[Result]) -> Sequence[Prepared]:
    """Return a picture for each result of a file."""
    if not picture.cells:
        return [picture] * len(results)
    if len(picture.cells) != len(results):  # another version saw it
        why = f"{len(picture.cells)} cells are found by now"
        return [Prepared(picture.source, error=why)] * len(results)
    return picture.cells


def _where_it_is(result: Result) -> Result:
    """Return the result of a picture that was moved with the path that it was moved to."""
    source = find_named(result.path)
    if result.sorted_to is None or source.remote or os.path.exists(source.path):
        return result
    return replace(result, path=result.sorted_to)


def _compared(result: Result, picture: Prepared) -> tuple[Result, Prepared]:
    """Leave out a picture that is not the one that was classified, and say why."""
    if picture.sha256 == result.image_sha256:
        if len(picture.signs) != len(result.digits):  # another version saw it
            picture = replace(picture, signs=(), boxes=picture.boxes[:1])
        return result, picture
    why = picture.error if picture.sha256 is None else "changed since"
    reason = "; ".join(filter(None, [result.reason, f"not shown: {why}"]))
    return replace(result, reason=reason), Prepared(picture.source, error=why)
