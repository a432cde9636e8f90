# PYTHON_ARGCOMPLETE_OK
"""The two commands that `pip install` makes: each runs the script of its name.

They are `digit-classification-detector` and `digit-classification-model-trainer`.
"""

from __future__ import annotations

import importlib

from digit_classification.cli import starting


def detector() -> int:
    """Run the detector on the command line; return the exit status."""
    starting.begin()
    script = importlib.import_module("digit_classification_detector")
    starting.imported()
    status: int = script.main()
    return status


def trainer() -> int:
    """Run the trainer on the command line; return the exit status."""
    status: int = importlib.import_module("digit_classification_model_trainer").main()
    return status
