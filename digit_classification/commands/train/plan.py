"""What a training would do, for `--dry-run`."""

from __future__ import annotations

import argparse

from rich.console import Console

from digit_classification.commands.train.export import export_destination
from digit_classification.pictures import images
from digit_classification.settings import Settings
from digit_classification.training.checkpoint import Checkpoint
from digit_classification.training.datasets.dataset import CLASSES
from digit_classification.training.learner import steps_per_epoch
from digit_classification.training.parts import Parts


def without_cache(settings: Settings) -> Settings:
    """Return settings with which reading the dataset writes nothing."""
    dataset = settings.dataset.model_copy(update={"cache": False})
    return settings.model_copy(update={"dataset": dataset})


def print_plan(
    arguments: argparse.Namespace,
    settings: Settings,
    parts: Parts,
    kept: Checkpoint | None,
    output: Console,
) -> None:
    """Say what a training on `parts`, resumed from `kept`, would do."""
    training, model = settings.training, settings.model.path
    shape = " - ".join(map(str, [images.SIDE**2, *training.hidden_units, len(CLASSES)]))
    steps = steps_per_epoch(training, len(parts.training))
    plan = [
        f"Would train a network of {shape} for {training.epochs} epochs of "
        f"{steps:,} batches of {training.batch_size}",
    ]
    if training.early_stopping:
        plan.append(f"  or until {training.early_stopping} of them bring no lower validation loss")
    if kept is not None:
        plan.append(f"  resuming after epoch {len(kept.curve)}")
    replaced = ", replacing the one that is there" if model.exists() else ""
    plan.append(f"  save the model to {model}{replaced}")
    if arguments.metrics:
        plan.append(f"  write the test figures to {arguments.metrics}")
    if arguments.report:
        plan.append(f"  write a report into the new folder {arguments.report}")
    if arguments.export:
        plan.append(f"  export the model to {export_destination(arguments, settings)}")
    output.print("\n".join([*plan, "Nothing was written."]))
