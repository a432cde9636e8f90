"""Where the lines for pictures go, and the score beside them."""

from __future__ import annotations

import argparse
import contextlib
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from digit_classification.detection.destinations import StandardOutput, open_output
from digit_classification.detection.forms.tables import CsvTables, WorkbookTables
from digit_classification.detection.summary import NAMED
from digit_classification.detection.writers import format_of, make_writer
from digit_classification.results.records import Result

if TYPE_CHECKING:
    from rich.console import Console

    from digit_classification.detection.truth import Score

TABLES = ("table", "xlsx")  # formats that have the rows and columns of a form


def wants_lines(arguments: argparse.Namespace) -> bool:
    """Whether a line for each picture is asked for."""
    wanted = (arguments.format, arguments.output, arguments.top_k)
    return any(each is not None for each in wanted)


def line_format(arguments: argparse.Namespace) -> str:
    """Return the format of these lines: `text`, `csv`, `jsonl`, or `table` or `xlsx` of forms."""
    named = format_of(arguments.output)
    if named == "xlsx" and arguments.format == "table":
        return named
    return arguments.format or named


def open_lines(
    arguments: argparse.Namespace,
    stack: contextlib.ExitStack,
    *,
    lines: bool,
    with_path: bool = True,
    or_end: bool = True,
    numbers: bool = False,
    cells: bool = False,
    fields: Sequence[str] = (),
) -> Callable[[Result], None]:
    """Return what is done with each result: written, with `lines` or if the user asks for it.

    Results are of digits, or of `numbers`, which may stand in `cells` of forms, or in the `fields`
    of a template.

    If whoever reads standard output goes away, the results are dropped; with `or_end`, writing
    raises BrokenPipeError.

    Raises DestinationError if the output file cannot be written.
    """
    if not lines and not wants_lines(arguments):
        return lambda result: None
    format_name = line_format(arguments)
    if format_name == "xlsx":
        return stack.enter_context(WorkbookTables(Path(arguments.output), fields)).add
    stream = output_stream(arguments.output, stack, or_end=or_end)
    if format_name == "table":
        return stack.enter_context(CsvTables(stream, fields)).add
    return make_writer(
        format_name,
        stream,
        top_k=arguments.top_k or 1,
        with_path=with_path,
        numbers=numbers,
        cells=cells,
    )


def output_stream(
    output: str | None, stack: contextlib.ExitStack, *, or_end: bool = True
) -> io.TextIOBase:
    """Return the file of --output, or standard output; the stack closes it."""
    if output is None or output == "-":
        return stack.enter_context(StandardOutput(or_end=or_end))
    return stack.enter_context(open_output(Path(output)))


def print_the_score(
    arguments: argparse.Namespace, score: Score, messages: Console, *, lines: bool
) -> None:
    """Print it as the result that it is, unless lines for programs are on standard output."""
    from digit_classification.cli.terminal import make_console  # for the few who know answers
    from digit_classification.detection.truth import print_score

    lines = (lines or wants_lines(arguments)) and arguments.output in (None, "-")
    output = messages if lines else make_console()
    print_score(output, score, None if arguments.verbose else NAMED)
