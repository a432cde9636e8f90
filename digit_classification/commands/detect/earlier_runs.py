"""Looking back: earlier runs listed, one of them shown, scored and reviewed again, or corrected."""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone

from rich.cells import cell_len
from rich.console import Console

from digit_classification.cli.terminal import make_console, progress_bar
from digit_classification.commands.detect.again import numbers_again
from digit_classification.commands.detect.checks import check_asked, check_destinations
from digit_classification.commands.detect.output import (
    line_format,
    open_lines,
    output_stream,
    print_the_score,
    wants_lines,
)
from digit_classification.config import SettingsError
from digit_classification.detection.corrections import read_stored_corrections, user_name
from digit_classification.detection.destinations import DestinationError
from digit_classification.detection.named_runs import named_run
from digit_classification.detection.session import fields_of, reads_forms, reads_numbers
from digit_classification.detection.summary import NAMED
from digit_classification.detection.truth import Score, read_truth
from digit_classification.detection.writers import COUNTS, RUN_COLUMNS, TextStream
from digit_classification.names import defused, escape_undecodable, printable
from digit_classification.network.default_model import model_to_read
from digit_classification.network.model_file import load_model
from digit_classification.pictures.decode import Limits
from digit_classification.reports.stored_review import review_run
from digit_classification.results.corrections import Corrected
from digit_classification.results.opening import Database, database_files, opened_database
from digit_classification.results.records import Run, StoredResult
from digit_classification.settings import Settings
from digit_classification.training.datasets.dataset import DatasetError

# What makes no sense where no picture is read, and no run shown.
NOT_WITH_CORRECTIONS = {
    "paths": "the paths",
    **{
        option: f"--{option.replace('_', '-')}"
        for option in (
            *("show", "runs", "resume", "report", "labels", "top_k", "make_template"),
            *("sort_into", "move", "hard_links", "save_normalized", "cluster"),
        )
    },
}


def look_back(arguments: argparse.Namespace, settings: Settings, messages: Console) -> None:
    """Print stored runs or results, as --runs and --show ask, instead of classifying.

    Raises UserError or DatabaseError.
    """
    check_destinations(arguments, settings, [])
    with (
        opened_database(settings.database, read_only=True, notice=messages.print) as database,
        contextlib.ExitStack() as stack,
    ):
        if database is None:
            raise SettingsError("The database is none: name one with --database.")
        if arguments.runs is not None:
            check_asked(arguments, read="digit")
            stream = output_stream(arguments.output, stack)
            width = make_console().width
            format_name = line_format(arguments)
            print_runs(database, format_name, stream, messages, limit=arguments.runs, width=width)
        else:
            _show(database, stack, arguments, settings, messages)
    sys.stdout.flush()  # a closed pipe shows here


def _show(
    database: Database,
    stack: contextlib.ExitStack,
    arguments: argparse.Namespace,
    settings: Settings,
    messages: Console,
) -> None:
    """Show the results of a run, in the order in which they were stored, and what else is asked."""
    run = named_run(database, arguments.show)
    numbers, forms = reads_numbers(run), reads_forms(run)
    check_asked(arguments, read="form" if forms else "number" if numbers else "digit")
    score = (
        None if arguments.labels is None else Score(read_truth(arguments.labels, numbers=numbers))
    )
    lines = wants_lines(arguments) or not (arguments.report or score)
    write = open_lines(
        arguments,
        stack,
        lines=lines,
        numbers=numbers or forms,
        cells=forms,
        fields=fields_of(run.info),
    )
    if score is not None or lines:
        messages.print(f"Run {run.info.id}, {run.state}, of {_sources(run.info.sources)}")
        for row in database.rows(run.info.id):
            result = row.as_result()
            write(result)
            if score is not None:
                score.add(result)
    if score is not None:
        print_the_score(arguments, score, messages, lines=lines)
    if arguments.report:
        with progress_bar(messages, quiet=arguments.quiet) as progress:
            review_run(
                database,
                run,
                arguments.report,
                progress,
                workers=settings.detection.workers,
                limits=Limits(**settings.images.model_dump()),
                labels={} if score is None else score.labels(),
                numbers_again=numbers_again(
                    run,
                    settings,
                    lambda: load_model(
                        model_to_read(settings.model, messages.print), notice=messages.print
                    ),
                ),
            )
        messages.print(f"Review page: {printable(str(arguments.report))}")


def apply_corrections(arguments: argparse.Namespace, settings: Settings, messages: Console) -> bool:
    """Write the corrections of a file to the stored results, as --apply-corrections asks.

    The corrected results are printed; a dry run prints them too, and changes nothing.

    Returns whether all of them are stored now.
    Raises UserError or DatabaseError.
    """
    dry_run = arguments.dry_run
    _check_alone(arguments)
    check_destinations(arguments, settings, [])
    corrections = read_stored_corrections(arguments.apply_corrections)
    with opened_database(
        settings.database,
        read_only=dry_run or _is_missing(settings),  # which says so; to write would make it
        notice=messages.print,
    ) as database:
        if database is None:
            raise SettingsError("The database is none: name one with --database.")
        if not database.rows_can_change:
            raise DestinationError(
                "--apply-corrections changes what is stored, which a Parquet dataset cannot: join"
                f" '{arguments.apply_corrections}' to it by run and path, or name another database"
                " with --database."
            )
        outcome = database.correct([*corrections], user_name(), dry_run=dry_run)
        url = database.url
    if not (outcome.changed or outcome.unchanged):
        correction, problem = outcome.without_row[0]
        raise DatasetError(
            f"'{arguments.apply_corrections}' corrects nothing in {url}: {corrections[correction]},"
            f" {correction.named} {problem}; name the right database with --database,"
            " whose runs --runs lists."
        )
    rows = [after for _, after in outcome.changed]
    with contextlib.ExitStack() as stack:
        if dry_run:
            arguments.output = None  # a file would be written
        numbers = any(row.number is not None for row in rows)
        cells = any(row.cell is not None for row in rows)
        write = open_lines(arguments, stack, lines=True, numbers=numbers, cells=cells)
        for row in rows:
            write(row.as_result())
    sys.stdout.flush()  # a closed pipe shows here
    if not arguments.quiet:
        for line in _what_was_corrected(outcome, url, dry_run=dry_run):
            messages.print(line)
        named = outcome.without_row[: None if arguments.verbose else NAMED]
        for correction, problem in named:
            where = corrections[correction]
            messages.print(f"  {where}: {correction.named} {problem}")
        if len(outcome.without_row) > len(named):
            messages.print(f"  and {len(outcome.without_row) - len(named):,} more (-v names all)")
    return not outcome.without_row


def _check_alone(arguments: argparse.Namespace) -> None:
    for option, name in NOT_WITH_CORRECTIONS.items():
        if getattr(arguments, option) not in (None, False, []):
            raise DestinationError(
                f"--apply-corrections corrects what is stored, and does nothing else: leave {name}"
                " out."
            )


def _is_missing(settings: Settings) -> bool:
    file = database_files(settings.database).get("--database")
    return file is not None and not file.exists()


def _what_was_corrected(outcome: Corrected, url: str, *, dry_run: bool) -> Iterator[str]:
    if outcome.changed:
        verb = "Would correct" if dry_run else "Corrected"
        yield f"{verb} {_pictures([row for _, row in outcome.changed])} in {url}."
    else:
        yield f"Nothing to change in {url}."
    if outcome.unchanged:
        yield f"Corrected so before: {_pictures(outcome.unchanged)}."
    if outcome.without_row:
        yield f"Not {'to be ' if dry_run else ''}applied: {len(outcome.without_row):,}"


def _pictures(rows: Sequence[StoredResult]) -> str:
    """Return how many rows of which run, or of how many."""
    runs = {row.run_id for row in rows}
    of = f"run {runs.pop()}" if len(runs) == 1 else f"{len(runs):,} runs"
    return f"{len(rows):,} {'picture' if len(rows) == 1 else 'pictures'} of {of}"


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


def _counts(run: Run) -> list[str]:
    if run.counts is None:
        return [""] * len(COUNTS)
    return [f"{getattr(run.counts, name):,}" for name in COUNTS]


def _sources(sources: Sequence[str]) -> str:
    shown = ", ".join(printable(source) for source in sources[:3])
    return f"{shown} and {len(sources) - 3:,} more" if len(sources) > 3 else shown
