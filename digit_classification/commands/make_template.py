"""A template of a form, made from the command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from digit_classification.cli.terminal import make_console
from digit_classification.detection.destinations import DestinationError, naming
from digit_classification.detection.forms import making
from digit_classification.files import check_apart, check_writable, may_replace
from digit_classification.names import printable, shell_command
from digit_classification.pictures.forms.template import is_as_made
from digit_classification.results.opening import database_files
from digit_classification.settings import Settings

# What is for pictures that are read, or for what becomes of them.
_OF_RUNS = (
    *("paths", "save_normalized", "cluster", "format", "top_k", "labels", "report", "sort_into"),
    *("move", "hard_links", "resume", "runs", "show", "serve"),
)


def make_template(
    arguments: argparse.Namespace, settings: Settings, messages: Console, program: Sequence[str]
) -> None:
    """Write the template of a form, and the picture of its fields, and say how to go on.

    Raises DestinationError, PlaceError or TemplateError.
    """
    _check_alone(arguments)
    page: Path = arguments.make_template
    output = Path(arguments.output or f"{page.stem}.yaml")
    picture = output.with_name(f"{output.stem}-cells.png")
    if output.suffix.lower() not in (".yaml", ".yml"):
        raise DestinationError(
            f"--output '{printable(str(output))}' is no name for a template: name a file that ends"
            " in .yaml."
        )
    check_apart(
        {**database_files(settings.database), "--output": output, "--output (picture)": picture},
        {"--make-template": page, "--config": arguments.config, "--model": settings.model.path},
    )
    _check_replaceable(output, is_as_made)
    _check_replaceable(picture, making.is_earlier_picture)
    template, drawn = making.make_template(page, settings)
    is_marked, named = template.page.marks is not None, printable(str(output))
    count = "one field" if is_marked else f"{len(template.fields):,} fields"
    if arguments.dry_run:
        make_console().print(
            f"Would write {named}, with {count}, and {printable(str(picture))}.\n"
            "Nothing was written."
        )
        return
    making.write_template(template, drawn, output, picture)
    if not arguments.quiet:
        config = [] if arguments.config is None else ["--config", str(arguments.config)]
        command = shell_command([*program, "--template", str(output), *config, "scans/"])
        shows = f"{named} has {count}, and {printable(str(picture))} shows"
        messages.print(
            f"{shows} where it is, and all else: copy it for each field that you want, with its"
            f" name and its box, and read forms with\n{command}"
            if is_marked
            else f"{shows} which they are: rename those that you want, delete the others, and read"
            f" forms with\n{command}"
        )


def _check_alone(arguments: argparse.Namespace) -> None:
    for name in _OF_RUNS:
        if getattr(arguments, name) not in (None, False, []):
            option = "the paths" if name == "paths" else f"--{name.replace('_', '-')}"
            raise DestinationError(
                f"--make-template looks at one form, and reads nothing: leave {option} out."
            )


def _check_replaceable(path: Path, is_ours: Callable[[Path], bool]) -> None:
    with naming(path, "file", "--output"):
        check_writable(path)
        replaceable = may_replace(path, is_ours)
    if not replaceable:
        raise DestinationError(
            f"'{printable(str(path))}' is there already, and not as --make-template writes it: name"
            " another file with --output, or move that one away."
        )
