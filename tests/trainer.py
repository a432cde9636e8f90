"""The trainer, as the tests run it."""

from __future__ import annotations

from pathlib import Path

from tests.drawing import write_dataset


def run(*arguments: object) -> int:
    """Run the trainer's command line in this process; return its exit code."""
    import digit_classification_model_trainer as trainer

    return trainer.main([str(argument) for argument in arguments])


def train_model(folder: Path, *options: object, per_class: int = 12) -> Path:
    """Return a model that was trained in `folder` on a few drawn digits of each class."""
    dataset, path = write_dataset(folder / "digits", per_class=per_class), folder / "digits.keras"
    small = ["--dataset", dataset, "--model", path, "--batch-size", 16, "--quiet"]
    assert run(*small, *options) == 0
    return path
