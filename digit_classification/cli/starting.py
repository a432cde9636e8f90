"""What makes a short run start, and end, at once; the scripts call it around their imports."""

from __future__ import annotations

import gc
import os


def begin() -> None:
    """Prepare for what is imported next: NumPy and Pydantic look at this when they are."""
    # NumPy's matrix products on one thread: the others would wait for work by spinning, on the
    # cores that the reading processes use.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Pydantic would look for plugins in each installed package.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    gc.disable()  # nothing of what is imported is garbage


def imported() -> None:
    """Look for garbage from here on, but in nothing that is there already.

    At its end Python looks through all again, which took a sixth of the time of one picture.
    """
    gc.freeze()
    gc.enable()
