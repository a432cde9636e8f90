"""The dry run: what a run would do, checked as far as that needs no writing."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from rich.console import Console

from digit_classification.cli.terminal import make_console
from digit_classification.commands.detect.checks import check_asked, check_destinations
from digit_classification.commands.detect.output import line_format, wants_lines
from digit_classification.commands.detect.paths import (
    are_named,
    expand_all,
    nothing_found,
    with_stdin,
)
from digit_classification.commands.detect.resuming import run_to_go_on_with
from digit_classification.detection.truth import read_truth
from digit_classification.names import printable
from digit_classification.network.default_model import model_to_read
from digit_classification.network.model_file import load_model
from digit_classification.pictures.forms import template_of
from digit_classification.pictures.sources import find_sources
from digit_classification.pictures.standard_input import read_stdin
from digit_classification.results.opening import check_database, opened_database
from digit_classification.settings import Settings
from digit_classification.urls import MYSQL, NO_DATABASE, kind_of


def print_plan(
    arguments: argparse.Namespace, settings: Settings, given: Sequence[str], messages: Console
) -> None:
    """List the files, check the rest, and say what a run would do; write nothing.

    Raises what the run would raise before it reads the first picture.
    """
    paths = expand_all(given) if arguments.resume is None else []
    model = load_model(model_to_read(settings.model, messages.print), notice=messages.print)
    numbers = settings.detection.read != "digit"
    check_asked(arguments, read=settings.detection.read)
    if numbers:
        model.check_reads_numbers()
    resumed = arguments.resume is not None
    check_destinations(arguments, settings, paths, resumed=resumed)
    check_database(settings.database)
    stored = 0
    if resumed:
        with opened_database(settings.database, read_only=True, notice=messages.print) as database:
            run, paths = run_to_go_on_with(database, arguments, settings, given, model.sha256)
            assert database is not None
            stored = sum(1 for _ in database.rows(run.info.id))
        given = run.info.sources
        check_destinations(arguments, settings, paths, resumed=True)
    if arguments.cluster is not None:
        from digit_classification.detection.cluster.connection import check_cluster

        check_cluster(arguments.cluster)
    piped = read_stdin() if "-" in paths else iter(())
    sources = list(find_sources(with_stdin(paths, piped)))
    if not (sources or resumed):
        raise nothing_found(given)
    others = sum(not source.claims_image for source in sources)
    created = f", made {model.card['created']}" if model.card else ""
    url = settings.database.url
    # A MySQL URL is not repeated before it is checked: it may hold a password.
    store = {NO_DATABASE: "nothing", kind_of(MYSQL): "the results in MySQL"}.get(kind_of(url))
    plan = [
        f"Would read {len(sources):,} files in {', '.join(map(printable, given))}"
        + (f", {others:,} of them no pictures by their names" if others else ""),
        f"  with the model {model.path}{created}",
        *_what_is_read(settings),
        f"  store {store or f'the results in {url}'}",
    ]
    if resumed:
        plan.append(f"  go on with run {run.info.id}, which has {stored:,} results already")
    if arguments.cluster:
        plan.append(f"  on the cluster {printable(arguments.cluster)}")
    plan += _what_is_written(arguments, lines=are_named(paths, piped), numbers=numbers)
    make_console().print("\n".join([*plan, "Nothing was written."]))


def _what_is_read(settings: Settings) -> Iterator[str]:
    """Yield what pictures are read as, unless it is the usual."""
    read, template = settings.detection.read, template_of(settings)
    if template is not None:
        path = settings.detection.template
        yield f"  read {len(template.fields):,} fields of each form, as {path} says"
    elif read != "digit":
        constraint = settings.detection.constraint
        yield f"  read a number in each{' cell of the forms' if read == 'form' else ''}" + (
            "" if constraint is None else f", one that fits {printable(constraint)}"
        )


def _what_is_written(arguments: argparse.Namespace, *, lines: bool, numbers: bool) -> Iterator[str]:
    """Yield what the run makes of its results beside storing them."""
    if wants_lines(arguments) or lines:
        output = "standard output" if arguments.output in (None, "-") else arguments.output
        yield f"  print them as {line_format(arguments)} to {output}"
    if arguments.labels is not None:
        answers = len(read_truth(arguments.labels, numbers=numbers).answers)
        yield f"  compare them with {answers:,} answers in {arguments.labels}"
    if arguments.save_normalized is not None:
        yield f"  write what the network sees into {arguments.save_normalized}"
    if arguments.report is not None:
        yield f"  write the review page {arguments.report}"
    if arguments.sort_into is not None:
        verb = "move" if arguments.move else "link" if arguments.hard_links else "copy"
        yield f"  {verb} the pictures into folders below {printable(arguments.sort_into)}"
