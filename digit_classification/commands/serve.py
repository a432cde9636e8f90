"""The server on the command line: what it is started with, and how it ends."""

from __future__ import annotations

import argparse
import os
import sys
import webbrowser

from rich.console import Console

from digit_classification.cli.interruption import Interrupted
from digit_classification.cli.terminal import make_console
from digit_classification.detection.reading import ReadingOptions
from digit_classification.detection.session import Session, run_info, run_settings
from digit_classification.network.model_file import load_model
from digit_classification.results.opening import opened_database
from digit_classification.serving.readings import Readings
from digit_classification.serving.server import About, PictureServer, ServeError
from digit_classification.settings import DatabaseSettings, Settings
from digit_classification.urls import NO_DATABASE

RUN = "serve"  # what a run has read that the server stores
# What is for pictures that are named on the command line, or for what becomes of them.
_OF_RUNS = (
    *("paths", "save_normalized", "cluster", "format", "output", "top_k", "labels", "report"),
    *("sort_into", "move", "hard_links", "resume", "runs", "show", "dry_run"),
    "make_template",
)


def serve(arguments: argparse.Namespace, settings: Settings, messages: Console) -> None:
    """Listen, and answer until a signal comes, which is raised as Interrupted then.

    Results are stored only in a database that the command line names: who tries something out on
    a page does not expect that it stays.

    Raises ServeError, ModelError or DatabaseError.
    """
    _check_alone(arguments)
    if settings.detection.read == "form":
        raise ServeError(
            "--serve shows pictures of one digit or number, and not forms: leave out --read form or"
            " --template."
        )
    model = load_model(settings.model.path, notice=messages.print)
    if settings.detection.read == "number":
        model.check_reads_numbers()
    is_stored = "database.url" in arguments
    database_settings = settings.database if is_stored else DatabaseSettings(url=NO_DATABASE)
    with opened_database(database_settings, notice=messages.print) as database:
        session = Session(database, run_info([RUN], model, run_settings(settings, None)))
        readings = Readings(model, ReadingOptions.of(settings), session)
        with PictureServer(arguments.serve, readings, messages.print) as server:
            about = About(
                model=model.path.name,
                read=settings.detection.read,
                numbers=model.judge is not None,
                stored_in=None if database is None else database.url,
            )
            with session.running(), server.listening(about):
                readings.warm_up()
                make_console().print(server.url)
                sys.stdout.flush()
                if not arguments.quiet:
                    where = (
                        "Nothing is stored, as --database is not given."
                        if database is None
                        else f"Readings are stored in {database.url}, run {session.run_id}."
                    )
                    messages.print(f"{where} Ctrl-C ends the server.")
                    _open_browser(server.url)
                signal_number = readings.answer_all(messages.print)
    raise Interrupted(signal_number)


def _check_alone(arguments: argparse.Namespace) -> None:
    for name in _OF_RUNS:
        if getattr(arguments, name) not in (None, False, []):
            option = "the paths" if name == "paths" else f"--{name.replace('_', '-')}"
            raise ServeError(
                f"--serve reads what is sent to it, and has no use for {option}: leave one of them"
                " out."
            )


def _open_browser(url: str) -> None:
    """Open the page if a person is there, and a browser would open on this person's screen."""
    has_screen = sys.platform in ("win32", "darwin") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    if sys.stdout.isatty() and has_screen and "SSH_CONNECTION" not in os.environ:
        webbrowser.open(url)
