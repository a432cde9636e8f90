"""What both scripts do to a terminal: plain text, and a progress bar where there is a person."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from digit_classification.cli.late import LateConsole, discard


class PlainConsole(Console):
    """A console that does not end the program where a pipe is closed, as rich's own does."""

    def on_broken_pipe(self) -> None:
        """Raise BrokenPipeError if these are results; go on without messages."""
        if not self.stderr:
            raise
        self.quiet = True
        with contextlib.suppress(OSError, ValueError):  # a stand-in, as of a test
            discard(self.file.fileno())


def make_console(*, stderr: bool = False) -> Console:
    """Return a console that prints text as it is: a file name may look like markup or emoji."""
    console = PlainConsole(
        stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True
    )
    if not console.is_terminal:
        console.width = 200  # a file or a pipe has no edge at which a table would need to be cut
    return console


def make_table(*columns: str) -> Table:
    """Return a table for a console, with numbers in mind: cells sit on the right."""
    table = Table(box=box.SIMPLE, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def confusion_table(names: Sequence[str], matrix: Sequence[Sequence[int]]) -> Table:
    """Return a table of counts, rows and columns of which are `names`; a dot stands for zero."""
    table = make_table("", *names)
    for name, row in zip(names, matrix, strict=True):
        table.add_row(name, *(f"{count:,}" if count else "·" for count in row))
    return table


class RateColumn(ProgressColumn):
    """Steps a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "")


def progress_bar(console: Console, *, quiet: bool = False) -> Progress:
    """Return a bar with the count, the rate and the time left, gone once it is done."""
    if isinstance(console, LateConsole):  # rich asks more of a console than what it is called by
        console = console.console
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        console=console,
        transient=True,
        disable=quiet or not console.is_terminal,
    )


def counter(progress: Progress, task: TaskID) -> Callable[..., None]:
    """Return a function that counts a step, or several; the bar hears of it ten times a second.

    Rich takes the rate from the last 1,000 steps it heard of.  Results come in batches, and so
    that would be the rate within a batch.
    """
    steps, heard = 0, time.monotonic()

    def count(more: int = 1) -> None:
        nonlocal steps, heard
        steps += more
        if time.monotonic() - heard > 0.1:
            progress.update(task, completed=steps)
            heard = time.monotonic()

    return count


@contextlib.contextmanager
def waiting(console: Console, what: str, *, quiet: bool = False) -> Iterator[None]:
    """Show that something goes on whose steps cannot be counted, with the time it has taken."""
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=quiet or not console.is_terminal,
    ) as progress:
        progress.add_task(what, total=None)
        yield


def error_text(error: object) -> Text:
    """Return the sentence of an error; in colour on a terminal, unless NO_COLOR is set."""
    return Text.assemble(("Error:", "bold red"), f" {error}")


@dataclass(frozen=True)
class Terminal:
    """Where a command's results and messages go, and how many of the messages are wanted."""

    output: Console
    messages: Console
    quiet: bool = False
    verbose: bool = False

    def tell(self, text: str) -> None:
        """Print a message, unless quiet."""
        if not self.quiet:
            self.messages.print(text)

    @contextlib.contextmanager
    def progress(self, what: str) -> Iterator[Callable[[int, int], None]]:
        """Show a bar; yield the function that tells it how much is done of how much."""
        with progress_bar(self.messages, quiet=self.quiet) as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
