"""Processes that work for this one, started without what the program is made of.

A process that multiprocessing starts imports the main module of its parent first.  Nothing here
needs that: it takes as long as that module's imports do, and where a script lacks the guard
`if __name__ == "__main__":` it would run the whole script again.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import sys
import threading
import types
from collections.abc import Iterator
from multiprocessing.context import BaseContext

_hiding = threading.RLock()


def clean_context(preload: str) -> BaseContext:
    """Return how to start processes: from one that has imported the module `preload` already.

    Never by a plain fork, which copies OpenCV's locks, held or not.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([preload])
    return context


@contextlib.contextmanager
def starting_processes() -> Iterator[None]:
    """Let processes that are started meanwhile import no main module, and outlive a terminal.

    SIGHUP of a closed terminal reaches all processes; this one alone decides what it means, as it
    does with Ctrl-C.  The processes end with it.
    """
    with _hiding, _hang_up_blocked():
        main = sys.modules["__main__"]
        sys.modules["__main__"] = types.ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


@contextlib.contextmanager
def _hang_up_blocked() -> Iterator[None]:
    """Block SIGHUP meanwhile, where there is such a thing: whoever is started inherits that."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
