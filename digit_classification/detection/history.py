"""Earlier runs, read back from the database."""

from __future__ import annotations

import csv
import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from types import MappingProxyType

from rich.cells import cell_len
from rich.console import Console
from rich.progress import Progress

from digit_classification.detection.named_runs import named_run
from digit_classification.detection.truth import Score
from digit_classification.detection.writers import COUNTS, RUN_COLUMNS, TextStream
from digit_classification.names import defused, escape_undecodable, printable
from digit_classification.pictures.decode import DEFAULT_LIMITS, Limits
from digit_classification.pictures.prepare import Prepared, prepare_all
from digit_classification.pictures.sources import find_named
from digit_classification.reports.review import About, Review
from digit_classification.results.opening import Database
from digit_classification.results.records import Result, Run


def print_runs(
    database: Database,
    format_name: str,
    stream: TextStream,
    messages: Console,
    *,
    limit: int,
    width: int,
) -> None:
    """List the newest `limit` of the stored runs, the newest first: a line for each, or two.

    A line of text with its sources at the end is at most `width` characters long; if it would not
    be, the sources go below it.
    """
    runs = database.runs()
    shown = runs[:limit]
    if format_name == "csv":
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(RUN_COLUMNS)
        rows.writerows(map(_csv_row, shown))
    elif format_name == "jsonl":
        for run in shown:
            print(json.dumps(_run_fields(run)), file=stream)
    elif shown:
        for line in _as_lines(shown, width):
            print(line, file=stream)
    if not runs:
        messages.print(f"No runs are stored in {database.url}.")
    elif len(runs) > limit:
        messages.print(
            f"and {len(runs) - limit:,} more: --runs {len(runs)} lists all of {database.url}"
        )


def _as_lines(runs: Sequence[Run], width: int) -> Iterator[str]:
    """Yield the lines of a table.

    It is laid out here and not by rich, which shortens and leaves out cells where a terminal is
    narrow: identities are there to be copied, counts to be read.
    """
    rows = [("run", "state", *COUNTS), *((r.info.id, r.state, *_counts(r)) for r in runs)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    gap = "  " if sum(widths) + 2 * len(widths) <= width else " "
    sources = ["sources", *(_sources(run.info.sources) for run in runs)]
    for row, where in zip(rows, sources, strict=True):
        names = (cell.ljust(wide) for cell, wide in zip(row[:2], widths[:2], strict=True))
        counts = (cell.rjust(wide) for cell, wide in zip(row[2:], widths[2:], strict=True))
        line = gap.join([*names, *counts])
        if cell_len(f"{line}  {where}") <= width:
            yield f"{line}  {where}"
        elif where == "sources":  # the heading needs no line of its own
            yield line
        else:
            yield from (line, f"  {where}")


def _run_fields(run: Run) -> dict[str, object]:
    """Return a run as JSON has it; what the database does not know (yet) is null."""
    counts = {name: None if run.counts is None else getattr(run.counts, name) for name in COUNTS}
    return {
        "run": run.info.id,
        "state": run.state,
        "started_at": _utc(run.info.started_at),
        "finished_at": _utc(run.finished_at),
        **counts,
        "model": escape_undecodable(run.info.model_path or ""),
        "sources": [escape_undecodable(source) for source in run.info.sources],
    }


def _csv_row(run: Run) -> list[str]:
    fields = _run_fields(run) | {"sources": "; ".join(map(escape_undecodable, run.info.sources))}
    return [defused("" if fields[name] is None else str(fields[name])) for name in RUN_COLUMNS]


def _utc(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"


def show_run(
    database: Database,
    run_id: str,
    write: Callable[[Result], None],
    messages: Console,
    score: Score | None = None,
) -> None:
    """Write the results of a run, in the order in which they were stored, and score them.

    Raises UnknownRun if there is no such run.
    """
    run = named_run(database, run_id)
    messages.print(f"Run {run.info.id}, {run.state}, of {_sources(run.info.sources)}")
    for result in _results(database, run):
        write(result)
        if score is not None:
            score.add(result)


def review_run(
    database: Database,
    run_id: str,
    path: Path,
    progress: Progress,
    *,
    workers: int = 0,
    limits: Limits = DEFAULT_LIMITS,
    labels: Mapping[str, int | None] = MappingProxyType({}),
) -> None:
    """Write the review page of a run to `path`, and show its progress.

    `labels` are what is known of the pictures, by the paths under which they are stored.

    A picture that was moved is read where it is now; one that is gone, or has changed since, is on
    the page with that as its reason.

    Raises UnknownRun if there is no such run, ReviewError if the page cannot be written.
    """
    run = named_run(database, run_id)
    detection = run.info.settings.get("detection", {})
    with Review.open(path) as review:
        total = run.counts.images if run.counts is not None else None
        task = progress.add_task("Reading pictures", total=total)
        known: dict[str, int | None] = {}

        def where_they_are() -> Iterator[Result]:
            for result in _results(database, run):
                there = _where_it_is(result)
                if result.path in labels:
                    known[there.path] = labels[result.path]
                yield there

        results, named = itertools.tee(where_they_are())
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
                labels=known,
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


def _counts(run: Run) -> list[str]:
    if run.counts is None:
        return [""] * len(COUNTS)
    return [f"{getattr(run.counts, name):,}" for name in COUNTS]


def _sources(sources: Sequence[str]) -> str:
    shown = ", ".join(printable(source) for source in sources[:3])
    return f"{shown} and {len(sources) - 3:,} more" if len(sources) > 3 else shown
