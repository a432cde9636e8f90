"""Earlier runs, read back from the database."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console

from digit_classification.results import DatabaseError, Result, ResultsDatabase, Run
from digit_classification.resuming import LATEST
from digit_classification.sources import printable
from digit_classification.terminal import make_table


def print_runs(database: ResultsDatabase, output: Console) -> None:
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
    database: ResultsDatabase, run_id: str, write: Callable[[Result], None], messages: Console
) -> None:
    """Write the results of a run, in the order in which they were stored.

    Raises DatabaseError if there is no such run.
    """
    run = _find(database, run_id)
    messages.print(f"Run {run.info.id}, {run.state}, of {_sources(run.info.sources)}")
    for row in database.rows(run.info.id):
        write(row.as_result())


def _find(database: ResultsDatabase, run_id: str) -> Run:
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
