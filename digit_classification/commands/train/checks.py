"""What is found out before an hour of training: whether what comes of it can be written.

And which errors say that something cannot.
"""

from __future__ import annotations

import argparse

from digit_classification.commands.train.export import export_destination
from digit_classification.commands.train.metrics import check_metrics
from digit_classification.files import check_apart
from digit_classification.network.export import check_export
from digit_classification.network.model_file import check_destination
from digit_classification.reports.training_report import check_report
from digit_classification.settings import Settings
from digit_classification.training.checkpoint import (
    check_checkpoint,
    checkpoint_path,
)


def check_destinations(arguments: argparse.Namespace, settings: Settings) -> None:
    """Find out before the training whether what comes of it can be written; write nothing."""
    model, checkpoint = settings.model.path, checkpoint_path(settings.model.path)
    export = export_destination(arguments, settings) if arguments.export else None
    data, folders = settings.dataset, ("--report",) if arguments.report else ()
    check_apart(
        {
            "--model": model,
            "--model (its checkpoint)": checkpoint,
            "--metrics": arguments.metrics,
            "--report": arguments.report,
            "--export-to": export,
        },
        {
            "--dataset": data.path,
            "--test-dataset": data.test_path,
            "--corrections": data.corrections,
            "--config": arguments.config,
        },
        new_folders=folders,
    )
    check_destination(model)
    check_checkpoint(checkpoint)
    if arguments.metrics:
        check_metrics(arguments.metrics)
    if arguments.report:
        check_report(arguments.report)
    if export is not None:
        check_export(arguments.export, export)
