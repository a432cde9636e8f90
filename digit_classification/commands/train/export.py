"""The model in a form that other programs run, for `--export`."""

from __future__ import annotations

import argparse
from pathlib import Path

from digit_classification.cli.terminal import Terminal, waiting
from digit_classification.files import check_apart
from digit_classification.network.export import (
    check_export,
    check_exportable,
    default_destination,
    export_model,
)
from digit_classification.settings import Settings


def export_destination(arguments: argparse.Namespace, settings: Settings) -> Path:
    beside: Path = default_destination(settings.model.path, arguments.export)
    return arguments.export_to or beside


def export(arguments: argparse.Namespace, settings: Settings, terminal: Terminal) -> None:
    """Export the saved model, or say that this would be done.

    Raises ModelError or PlaceError if it cannot be done.
    """
    model, destination = settings.model.path, export_destination(arguments, settings)
    check_apart({"--model": model, "--export-to": destination}, {})
    check_export(arguments.export, destination)
    if arguments.dry_run:
        check_exportable(model)
        terminal.output.print(f"Would export {model} to {destination}. Nothing was written.")
        return
    with waiting(terminal.messages, f"Exporting to {destination}", quiet=terminal.quiet):
        export_model(model, arguments.export, destination)
    terminal.tell(f"Exported the model to {destination}.")
