"""Earlier runs, read back from the database."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from digit_classification.cli.terminal import make_table
from digit_classification.detection.resuming import LATEST
from digit_classification.pictures.decode import DEFAULT_LIMITS, Limits
from digit_classification.pictures.pipeline import Prepared, prepare_all
from digit_classification.pictures.sources import find_named, printable
from digit_classification.reports.review import About, Review
from digit_classification.results.errors import DatabaseError
from digit_classification.results.opening import Database
from digit_classification.results.records import Result, Run


def print_runs(database: Database, output: Console) -> None:
    """Print one line for each stored run, the newest first."""
    runs = database.runs()
    if not runs:
        output.print(f"No runs are stored in {database.url}.")
        return
    table = make_table("run", "state", "images", "ok", "uncertain", "rejected", "errors", "sources")
    for run in runs:
        table.add_row(run.info.id, run.state, *_counts(run), _sources(run.info.sources))
    output.print(table)


def show_run(
    database: Database, run_id: str, write: Callable[[Result], None], messages: Console
) -> None:
    """Write the results of a run, in the order in which they were stored.

    Raises DatabaseError if there is no such run.
    """
    run = _find(database, run_id)
    messages.print(f"Run {run.info.id}, {run.state}, of {_sources(run.info.sources)}")
    for result in _results(database, run):
        write(result)


def review_run(
    database: Database,
    run_id: str,
    path: Path,
    progress: Progress,
    *,
    workers: int = 0,
    limits: Limits = DEFAULT_LIMITS,
) -> None:
    """Write the review page of a run to `path`, and show its progress.

    A picture that was moved is read where it is now; one that is gone, or has changed since, is on
    the page with that as its reason.

    Raises DatabaseError if there is no such run, ReviewError if the page cannot be written.
    """
    run = _find(database, run_id)
    detection = run.info.settings.get("detection", {})
    with Review.open(path) as review:
        total = run.counts.images if run.counts is not None else None
        task = progress.add_task("Reading pictures", total=total)
        results, named = itertools.tee(map(_where_it_is, _results(database, run)))
        sources = (find_named(result.path) for result in named)
        invert = detection.get("invert", "auto")
        for picture in prepare_all(sources, invert, workers, limits, thumbnails=True):
            result, picture = _compared(next(results), picture)
            review.add([result], [picture])
            progress.advance(task)
        review.write(
            About(
                sources=run.info.sources,
                model=os.path.basename(run.info.model_path or ""),
                min_confidence=detection.get("min_confidence"),
                finished=run.finished_at or run.info.started_at,
                run=run.info.id,
            ),
            partial(progress.track, description="Writing the review page"),
        )


def _where_it_is(result: Result) -> Result:
    """Return the result of a picture that was moved with the path that it was moved to."""
    source = find_named(result.path)
    if result.sorted_to is None or source.remote or os.path.exists(source.path):
        return result
    return replace(result, path=result.sorted_to)


def _compared(result: Result, picture: Prepared) -> tuple[Result, Prepared]:
    """Leave out a picture that is not the one that was classified, and say why."""
    if picture.sha256 == result.image_sha256:
        return result, picture
    why = picture.error if picture.sha256 is None else "changed since"
    reason = "; ".join(filter(None, [result.reason, f"not shown: {why}"]))
    return replace(result, reason=reason), Prepared(picture.source, error=why)


def _results(database: Database, run: Run) -> Iterator[Result]:
    for row in database.rows(run.info.id):
        yield row.as_result()


def _find(database: Database, run_id: str) -> Run:
    runs = database.runs()
    if runs and run_id == LATEST:
        return runs[0]
    for run in runs:
        if run.info.id == run_id:
            return run
    raise DatabaseError(
        f"Database {database.url}: there is no run '{run_id}'; list the runs with --runs."
    )


def _counts(run: Run) -> list[str]:
    counts = run.counts
    if counts is None:
        return [""] * 5
    each = (counts.images, counts.ok, counts.uncertain, counts.rejected, counts.errors)
    return [f"{count:,}" for count in each]


def _sources(sources: Sequence[str]) -> str:
    shown = ", ".join(printable(source) for source in sources[:3])
    return f"{shown} and {len(sources) - 3:,} more" if len(sources) > 3 else shown
