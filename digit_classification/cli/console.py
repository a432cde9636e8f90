# PYTHON_ARGCOMPLETE_OK
"""The two commands that `pip install` makes: each runs the script of its name.

They are `digit-classification-detector` and `digit-classification-model-trainer`.
"""

from __future__ import annotations

import gc
import importlib
import os


def detector() -> int:
    """Run the detector on the command line; return the exit status."""
    # Before NumPy and Pydantic are imported: the script says why of each.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    gc.disable()
    script = importlib.import_module("digit_classification_detector")
    gc.freeze()
    gc.enable()
    status: int = script.main()
    return status


def trainer() -> int:
    """Run the trainer on the command line; return the exit status."""
    status: int = importlib.import_module("digit_classification_model_trainer").main()
    return status
