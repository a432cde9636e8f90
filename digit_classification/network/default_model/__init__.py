"""The model that comes with the program, and when it is the one that reads.

`make default-model` trains it and writes what lies in this folder.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from digit_classification.names import printable
from digit_classification.settings import ModelSettings

DEFAULT_MODEL = Path(__file__).with_name("default.keras")


def model_to_read(
    settings: ModelSettings, notice: Callable[[str], None] = lambda text: None
) -> Path:
    """Return the path of the model that reads: the user's own, or the one that comes along.

    That one is for whoever has trained none yet and names none; `notice` is told so.  Where a
    person names a model that is not there, another must not read in its place.
    """
    named = "path" in settings.model_fields_set
    if named or settings.path.exists():
        return settings.path
    path = printable(str(settings.path))
    notice(f"No model at '{path}' yet: reading with the one that comes with the program.")
    return DEFAULT_MODEL
