"""A run from the command line: all that it opens, what becomes of each result, and its summary.

What only some runs need is imported where they need it, so that the others start at once.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING

from digit_classification.cli.late import discard
from digit_classification.commands.detect.checks import (
    check_asked,
    check_destinations,
    make_folders,
)
from digit_classification.commands.detect.output import open_lines, print_the_score, wants_lines
from digit_classification.commands.detect.paths import (
    are_named,
    count_meanwhile,
    expand_all,
    nothing_found,
    refuse_nothing,
    with_stdin,
)
from digit_classification.commands.detect.resuming import run_to_go_on_with
from digit_classification.detection.named_runs import named_run
from digit_classification.detection.session import Session
from digit_classification.detection.summary import NAMED, Summary
from digit_classification.names import printable
from digit_classification.network.model_file import Model
from digit_classification.pictures.decode import Limits
from digit_classification.pictures.forms import template_of
from digit_classification.pictures.sources import Source
from digit_classification.pictures.standard_input import read_stdin
from digit_classification.results.opening import Database, opened_database, reachable_by_nodes
from digit_classification.results.records import Result, Run
from digit_classification.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from digit_classification.detection.cluster.connection import Cluster
    from digit_classification.detection.truth import Score
    from digit_classification.reports.review import Review


class DetectorRun:
    """What the command line asks for, when it asks for pictures to be read.

    Whoever drives it opens it, hands it each result, finishes it, and has its summary printed.

    Raises LabelsError or TemplateError if one cannot be used, SourceError if a path is not there,
    DestinationError if what is asked for makes no sense together.
    """

    def __init__(
        self,
        arguments: argparse.Namespace,
        settings: Settings,
        given: list[str],
        messages: Console,
    ) -> None:
        self.arguments = arguments
        self.settings = settings
        self.messages = messages
        self.of_numbers = settings.detection.read != "digit"
        self.of_forms = settings.detection.read == "form"
        check_asked(arguments, read=settings.detection.read)
        template = template_of(settings)
        self.fields = [] if template is None else template.names
        self.score: Score | None = None
        if arguments.labels is not None:
            from digit_classification.detection.truth import Score, read_truth

            self.score = Score(read_truth(arguments.labels, numbers=self.of_numbers))
        self.given = given  # paths as on the command line, of this run or the resumed one
        self.paths = expand_all(given) if arguments.resume is None else []
        self.summary = Summary(
            named=None if arguments.verbose else NAMED,
            numbers=self.of_numbers,
            cells=self.of_forms,
        )
        self.session: Session | None = None  # once all is read
        # From here on what `opened` opens.
        self.database: Database | None = None
        self.resumed: Run | None = None
        self.piped: Source | Iterator[str] = iter(())  # what stands for - among the paths
        self.one_by_one = False  # whether each picture is named, and gets a line and no table
        self.review: Review | None = None
        self.cluster: Cluster | None = None
        self._progress: Progress | None = None  # where a person looks on
        self._write: Callable[[Result], None] = lambda result: None
        self._count: Callable[..., None] = lambda more=1: None

    @contextlib.contextmanager
    def opened(self, model: Model) -> Iterator[None]:
        """Open all that the results go to meanwhile, once it is certain that they can.

        Raises UserError or DatabaseError.
        """
        arguments = self.arguments
        resumed = arguments.resume is not None
        check_destinations(arguments, self.settings, self.paths, resumed=resumed)
        if not resumed:
            refuse_nothing(self.paths, self.given)
        with contextlib.ExitStack() as stack:
            self.database = stack.enter_context(
                opened_database(self.settings.database, notice=self.messages.print)
            )
            if resumed:
                self.resumed, self.paths = run_to_go_on_with(
                    self.database, arguments, self.settings, self.given, model.sha256
                )
                self.given = list(self.resumed.info.sources)
                check_destinations(arguments, self.settings, self.paths, resumed=True)
            if "-" in self.paths:
                self.piped = read_stdin()
            self.one_by_one = are_named(self.paths, self.piped)
            self._write = open_lines(
                arguments,
                stack,
                lines=self.one_by_one,
                with_path=not (self.one_by_one and len(self.paths) == 1),
                or_end=not self._is_for_more_than_lines,
                numbers=self.of_numbers,
                cells=self.of_forms,
                fields=self.fields,
            )
            make_folders(arguments)
            if arguments.report is not None:
                from digit_classification.reports.review import Review

                self.review = stack.enter_context(Review.open(arguments.report))
            if arguments.cluster is not None:
                self.cluster = stack.enter_context(_connected(arguments.cluster, self.messages))
            if not arguments.quiet and sys.stderr.isatty():
                self._count = self._counting(stack)
            yield

    def _counting(self, stack: contextlib.ExitStack) -> Callable[..., None]:
        from digit_classification.cli.terminal import counter, progress_bar

        progress = self._progress = stack.enter_context(progress_bar(self.messages))
        task = progress.add_task("Reading digits", total=None)
        if not progress.disable and "-" not in self.paths:
            count_meanwhile(self.paths, lambda total: progress.update(task, total=total))
        return counter(progress, task)

    # ------------------------------------------------------------- what whoever drives it asks

    def pictures(self) -> Iterator[str | Source]:
        """Yield the paths that are to be read, those of standard input in their place."""
        return with_stdin(self.paths, self.piped)

    @property
    def review_meanwhile(self) -> Review | None:
        """The page that takes results as they come; that of a resumed run has earlier ones."""
        return self.review if self.resumed is None else None

    @property
    def results_stay_there(self) -> bool:
        """Whether the nodes of a cluster can store the results, and nobody wants them here."""
        arguments = self.arguments
        wanted = (
            wants_lines(arguments),
            arguments.labels,
            arguments.save_normalized,
            arguments.report,
            arguments.sort_into,
        )
        return (
            self.cluster is not None
            and self.database is not None
            and reachable_by_nodes(self.settings.database)
            and not any(wanted)
            and not self.one_by_one
        )

    @property
    def _is_for_more_than_lines(self) -> bool:
        """Whether the run is for more than its lines, and goes on when nobody reads them."""
        arguments = self.arguments
        return self.database is not None or any(
            (arguments.save_normalized, arguments.report, arguments.sort_into)
        )

    # -------------------------------------------------------------------- what comes of reading

    def take(self, result: Result) -> None:
        """Print, count and score a result."""
        self._write(result)
        self.summary.add(result)
        if self.score is not None:
            self.score.add(result)
        if result.cell is None or result.cell.number == 1:  # the others are of the same picture
            self._count()

    def take_summary(self, summary: Summary) -> None:
        """Count the results that stay on a cluster."""
        self.summary.merge(summary)
        self._count(summary.total)

    def finish(self, session: Session | None, model: Model) -> None:
        """Write the review page, once all is read.

        Raises SourceError if there was nothing to read, ReviewError if it cannot be written.
        """
        assert session is not None
        self.session = session
        if not self.summary.total:
            raise nothing_found(self.given)
        if self.review is not None:
            self._write_review(session, model)

    def _write_review(self, session: Session, model: Model) -> None:
        from digit_classification.cli.terminal import progress_bar
        from digit_classification.commands.detect.again import numbers_again
        from digit_classification.reports.review import About
        from digit_classification.reports.stored_review import review_run

        assert self.review is not None
        progress = self._progress or progress_bar(self.messages, quiet=True)
        labels = {} if self.score is None else self.score.labels()
        if self.resumed is None:
            about = About(
                sources=self.given,
                model=model.path.name,
                min_confidence=self.settings.detection.least_confidence,
                finished=datetime.now(timezone.utc),
                run=session.run_id,
                labels=labels,
                numbers=self.of_numbers,
                forms=self.of_forms,
            )
            writing = partial(progress.track, description="Writing the review page")
            self.review.write(about, writing)
        elif self.database is not None:  # with the pictures of before the interruption
            run = named_run(self.database, self.resumed.info.id)
            review_run(
                self.database,
                run,
                self.arguments.report,
                progress,
                workers=self.settings.detection.workers,
                limits=Limits(**self.settings.images.model_dump()),
                labels=labels,
                numbers_again=numbers_again(run, self.settings, lambda: model),
            )

    def flush_lines(self) -> None:
        """Write the last lines out; raises BrokenPipeError if the run was for nothing else."""
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            if not self._is_for_more_than_lines:
                raise
            discard(sys.stdout.fileno())

    def print_summary(self) -> None:
        """Tell the person who started the run what it came to."""
        arguments = self.arguments
        if self.score is not None:
            print_the_score(arguments, self.score, self.messages, lines=self.one_by_one)
        if arguments.quiet or self.session is None:
            return
        if not self.one_by_one:
            self.summary.print(self.messages, self.session.strays, self.session.stored_before)
        if self.cluster is not None:
            self.cluster.print_nodes(self.messages)
        if arguments.sort_into is not None:
            verb = "Moved" if arguments.move else "Linked" if arguments.hard_links else "Copied"
            self.messages.print(f"{verb} to {printable(arguments.sort_into)}")
        if self.database is not None and not self.one_by_one:
            self.messages.print(f"Stored in {self.database.url}, run {self.session.run_id}")
        if arguments.report:
            self.messages.print(f"Review page: {printable(str(arguments.report))}")


def _connected(address: str, messages: Console) -> contextlib.AbstractContextManager[Cluster]:
    # Only those who have a cluster need Ray.
    from digit_classification.detection.cluster.connection import Cluster

    return Cluster.connect(address, messages.print)
