"""Where a run writes: checked before any work is done, so that nothing is read for nothing."""

from __future__ import annotations

import errno
import os
import re
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from digit_classification.commands.detect.output import TABLES, line_format
from digit_classification.detection.destinations import DestinationError, naming
from digit_classification.detection.forms.tables import is_earlier_workbook
from digit_classification.detection.writers import is_earlier_output
from digit_classification.files import check_apart, check_creatable, check_writable, may_replace
from digit_classification.names import printable
from digit_classification.pictures.sources import READ_SUFFIXES
from digit_classification.results.opening import can_be_changed, database_files
from digit_classification.settings import Settings
from digit_classification.urls import in_object_store

# As write_normalized names them; a resumed run may find those of before.
NORMALIZED_NAME = re.compile(r"\d{6,}-.*\.png")


def check_destinations(
    arguments: Namespace, settings: Settings, paths: Sequence[str], *, resumed: bool = False
) -> None:
    """Find out whether all that the command line asks for can be written; write nothing.

    `paths` are those that will be read.  A resumed run finds what it has made before.

    Raises DestinationError, PlaceError or ReviewError.
    """
    output = None if arguments.output in (None, "-") else Path(arguments.output)
    folder = None if arguments.sort_into is None else Path(arguments.sort_into)
    check_apart(
        {
            **database_files(settings.database),
            "--output": output,
            "--report": arguments.report,
            "--save-normalized": arguments.save_normalized,
            "--sort-into": folder,
        },
        {
            "--model": settings.model.path,
            "--config": arguments.config,
            "--template": settings.detection.template,
            "--apply-corrections": arguments.apply_corrections,
        },
        new_folders=() if resumed else ("--save-normalized",),
    )
    if output is not None:
        _check_output(output)
    if arguments.report is not None:
        from digit_classification.reports.review import check_report

        check_report(arguments.report)
    if arguments.save_normalized is not None:
        _check_not_read("--save-normalized", arguments.save_normalized, paths)
        _check_normalized(arguments.save_normalized, resumed)
    _check_sorting(arguments, settings, paths)


def check_asked(arguments: Namespace, *, read: str) -> None:
    """Refuse what makes no sense where digits, numbers or forms are read, as DestinationError."""
    _check_format(arguments, forms=read == "form")
    if read == "form":
        _check_asked_of_forms(arguments)
    if read != "digit" and arguments.top_k is not None:
        raise DestinationError(
            "--top-k ranks the readings of one digit, and these are numbers: leave it out;"
            " --format jsonl has the probabilities of each of their digits."
        )


def _check_asked_of_forms(arguments: Namespace) -> None:
    """Refuse what makes no sense where forms are read, as DestinationError."""
    for option in ("labels", "save_normalized", "sort_into"):
        if getattr(arguments, option) is not None:
            raise DestinationError(
                f"--{option.replace('_', '-')} is for pictures of one digit or number, and these"
                " are forms: leave it out; --format table or csv shows what is read in each cell."
            )


def _check_format(arguments: Namespace, *, forms: bool) -> None:
    """Refuse tables of what has no rows and columns, as DestinationError."""
    format_name = line_format(arguments)
    if format_name in TABLES and not forms:
        raise DestinationError(
            f"A {format_name} has the rows and columns of a form: add --read form, or choose"
            " another --format or --output."
        )
    if format_name == "xlsx" and arguments.output in (None, "-"):
        raise DestinationError("An xlsx is a file: name it with --output.")


def _check_output(path: Path) -> None:
    if path.suffix.lower() in READ_SUFFIXES:
        raise DestinationError(f"--output '{path}' would overwrite a picture: name a text file.")
    with naming(path, "file", "--output"):
        check_writable(path)
        is_ours = is_earlier_workbook if path.suffix.lower() == ".xlsx" else is_earlier_output
        replaceable = may_replace(path, is_ours)
    if not replaceable:
        raise DestinationError(
            f"--output '{path}' is there already and holds no results that this program wrote: "
            "name another file, or move that one away."
        )


def _check_normalized(folder: Path, resumed: bool) -> None:
    _check_folder(folder)
    names = os.listdir(folder) if folder.is_dir() else []
    if names and not (resumed and all(map(NORMALIZED_NAME.fullmatch, names))):
        raise DestinationError(f"The folder '{folder}' is not empty: name a new one.")


def _check_sorting(arguments: Namespace, settings: Settings, paths: Sequence[str]) -> None:
    folder = arguments.sort_into
    if folder is None:
        for flag in ("move", "hard_links"):
            if getattr(arguments, flag):
                raise DestinationError(
                    f"--{flag.replace('_', '-')} says how to sort: name the folder with "
                    "--sort-into."
                )
        return
    if arguments.move and arguments.hard_links:
        raise DestinationError(
            "--move leaves one name of each picture and --hard-links two: choose one of them."
        )
    if in_object_store(folder):
        raise DestinationError(
            f"--sort-into '{printable(folder)}' is in an object store: name a folder on this"
            " machine."
        )
    if not can_be_changed(settings.database):
        raise DestinationError(
            "--sort-into needs a database that records where each picture goes, which a Parquet "
            "dataset cannot: name another with --database."
        )
    _check_not_read("--sort-into", Path(folder), paths)
    _check_folder(Path(folder))


def _check_not_read(option: str, folder: Path, paths: Sequence[str]) -> None:
    """Refuse a folder below one that is read: what goes there would be read as well."""
    inside = os.path.join(os.path.realpath(folder), "")
    for path in filter(os.path.isdir, paths):
        if inside.startswith(os.path.join(os.path.realpath(path), "")):
            raise DestinationError(
                f"{option} '{printable(str(folder))}' is in '{printable(path)}', which is read:"
                " name a folder elsewhere."
            )


def _check_folder(folder: Path) -> None:
    """Find out whether a folder can be made, or takes files if it is there."""
    with _making(folder):
        if folder.is_dir():
            check_creatable(folder / "file")
        elif os.path.lexists(folder):
            raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))
        else:
            check_creatable(folder, with_folders=True)


def make_folders(arguments: Namespace) -> None:
    """Make the folders that a run writes into.

    Raises DestinationError if they cannot be made.
    """
    for folder in (arguments.save_normalized, arguments.sort_into):
        if folder is not None:
            with _making(folder):
                os.makedirs(folder, exist_ok=True)


@contextmanager
def _making(folder: str | Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DestinationError(
            f"The folder '{printable(str(folder))}' cannot be made: {error.strerror}: name another."
        ) from None
