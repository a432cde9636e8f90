"""A pool of processes that work for this one, started without what the program is made of.

A process that multiprocessing starts imports the main module of its parent first.  Nothing here
needs that: it takes as long as that module's imports do, and where a script lacks the guard
`if __name__ == "__main__":` it would run the whole script again.
"""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from typing import Any, Generic, TypeAlias, TypeVar

import cv2

from digit_classification.cli.interruption import holding_back
from digit_classification.cli.native_messages import divert_for_good

Item = TypeVar("Item")
Output = TypeVar("Output")

# Makes outputs of some items, or of the first of them, and says how many seconds that took.
Work: TypeAlias = Callable[[list[Item]], tuple[list[Output], float]]

_hiding = threading.RLock()


@dataclass(slots=True)
class Flight(Generic[Item, Output]):
    """Some items, and what a process has made, or will make, of them, with the seconds it took."""

    items: list[Item]
    future: Future[tuple[list[Output], float]]


class Pool(Generic[Item, Output]):
    """Processes that do the same work with chunks of items, each of which takes them a moment."""

    def __init__(self, workers: int, work: Work[Item, Output]) -> None:
        context = _clean_context([__name__, *sorted(_modules_of(work))])
        self._recalls = context.RawValue("i", 0)
        with starting_processes():  # one that keeps account of semaphores
            self._executor = ProcessPoolExecutor(
                workers,
                mp_context=context,
                initializer=_start_worker,
                initargs=(work, self._recalls),
            )

    def submit(self, chunk: list[Item]) -> Flight[Item, Output]:
        """Give a chunk to the pool; if that is broken, asking for the result will say so."""
        future: Future[tuple[list[Output], float]]
        try:
            with starting_processes():  # a process may be started for it
                future = self._executor.submit(_do, chunk, self._recalls.value)
        except BrokenProcessPool as error:
            future = Future()
            future.set_exception(error)
        return Flight(chunk, future)

    def submit_in_chunks(self, items: list[Item], size: int) -> list[Flight[Item, Output]]:
        return [self.submit(items[i : i + size]) for i in range(0, len(items), size)]

    def recall(self) -> None:
        """Have the tasks that were not begun yet end without a result.

        A future cannot be cancelled instead: if a process crashes before the executor takes notice
        of that, all other futures are waited for without end (Python before 3.14).
        """
        self._recalls.value += 1

    def close(self) -> None:
        """End the processes, each after the task it is at.

        The end of the program would wait for them, too, but without the lock that it needs where
        they were ended from outside meanwhile (Python before 3.12).
        """
        self._executor.shutdown(wait=True, cancel_futures=True)


_work: Work[Any, Any]  # of a worker, what it is there for
_recalls: Any  # of a worker, shared with its parent: how often tasks were recalled


def _do(chunk: list[Any], recalls: int) -> tuple[list[Any], float]:
    """Return outputs of the chunk, or of its beginning, and the seconds that these took."""
    return ([], 0.0) if recalls != _recalls.value else _work(chunk)


def _start_worker(work: Work[Any, Any], recalls: Any) -> None:
    """One core is one worker's: OpenCV's own threads would only get in their way.

    Ctrl-C reaches all processes of a terminal; the parent alone decides what it means.
    """
    global _work, _recalls
    _work, _recalls = work, recalls
    cv2.setNumThreads(1)
    if "OPENBLAS_NUM_THREADS" not in os.environ:  # the script sets it, and saves these 12 ms
        from threadpoolctl import threadpool_limits

        threadpool_limits(1, user_api="blas")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    divert_for_good()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Wait for the end of the parent, and end: a pool's process would wait for tasks forever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _modules_of(work: object) -> set[str]:
    """Return the modules that work, or what it is a `partial` of, comes from."""
    if isinstance(work, functools.partial):
        parts = (work.func, *work.args, *work.keywords.values())
        return set().union(*(_modules_of(part) for part in parts if callable(part)))
    return {work.__module__} - {"__main__"}


def _clean_context(preload: Sequence[str]) -> BaseContext:
    """Return how to start processes: from one that has imported the modules `preload` already.

    Never by a plain fork, which copies OpenCV's locks, held or not.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    return context


@contextlib.contextmanager
def starting_processes() -> Iterator[None]:
    """Let processes that are started meanwhile import no main module, and outlive a terminal.

    SIGHUP of a closed terminal reaches all processes; this one alone decides what it means, as it
    does with Ctrl-C, and once all have been started: at the end of the program, one that its pool
    does not know of yet would be waited for without end.  The processes end with it.
    """
    with holding_back(), _hiding, _hang_up_blocked():
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
