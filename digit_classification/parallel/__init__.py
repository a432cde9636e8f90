"""A function of many items, computed by processes: in order, cut by time, with bounded memory.

Processes and no threads: with small pictures, threads are slower than one thread alone, because
they contend for the interpreter lock.  No item can end the run: what crashes a process is tried
alone, and given up after ATTEMPTS of them.
"""

from __future__ import annotations

import functools
import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

import cv2

from digit_classification.cli.native_messages import diverted_if_apart
from digit_classification.parallel.pace import CHUNK as CHUNK
from digit_classification.parallel.pace import Pace, Stream

CUT_S = 0.4  # seconds after which a task ends, with what is left of its chunk undone
BATCH_S = 1.0  # seconds after which what has come is passed on
ATTEMPTS = 2  # processes that an item may take with it, if they crash
# Starting processes costs more than it saves for up to so many items, unless they have taken some
# time already, and the others will take long (`Pace.is_slow`).
SMALL = 256

Item = TypeVar("Item")
Output = TypeVar("Output")


class Task(Protocol[Item, Output]):
    """What is done with some items; `map_in_parts` says how."""

    def __call__(self, chunk: list[Item], /, *, enough: Callable[[], bool]) -> list[Output]: ...


def default_workers() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def map_in_order(
    function: Callable[[Item], Output], items: Iterable[Item], workers: int = 0
) -> Iterator[Output]:
    """Yield `function` of each item, in order, computed by processes unless it is little work.

    Raises BrokenProcessPool if an item ends its process time and again.
    """
    task = functools.partial(_each, function)
    return itertools.chain.from_iterable(map_in_parts(task, items, workers))


def _each(
    function: Callable[[Item], Output], chunk: list[Item], *, enough: Callable[[], bool]
) -> list[Output]:
    outputs: list[Output] = []
    for item in chunk:
        if outputs and enough():
            break
        outputs.append(function(item))
    return outputs


def in_batches(
    parts: Iterable[list[Output]], size: int, seconds: float = BATCH_S
) -> Iterator[list[Output]]:
    """Join parts, and cut them, into lists of `size`, or of what has come after so many seconds.

    Ctrl-C while the next part is waited for loses nothing of what has come.
    """
    batch: list[Output] = []
    begin = time.monotonic()
    try:
        for part in parts:
            batch += part
            while len(batch) >= size:
                complete, batch = batch[:size], batch[size:]
                yield complete
                begin = time.monotonic()
            if batch and time.monotonic() - begin >= seconds:
                complete, batch = batch, []
                yield complete
                begin = time.monotonic()
    except KeyboardInterrupt:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def map_in_parts(
    function: Task[Item, Output],
    items: Iterable[Item],
    workers: int = 0,
    crashed: Callable[[Item], Output] | None = None,
    is_waited_for: Callable[[Item], bool] | None = None,
) -> Iterator[list[Output]]:
    """Yield lists of what `function` makes of the items, in order, as soon as there are some.

    The function is called as `function(some_items, enough=...)` and returns one output for each
    item, in order, or for the first of them (one at least) if `enough()` has become true: so that
    work is cut by the time it takes.  It is pickled once for each process, and may bring much with
    it.  An item that ends its process time and again gives `crashed(item)`, if that is given.  For
    an item that `is_waited_for`, only the time counts that is computed, and not what is waited.  An
    empty list says that nothing new has come for a while.

    Raises BrokenProcessPool if an item ends its process time and again, and `crashed` is None.
    """
    items = iter(items)
    workers = workers or default_workers()
    start = list(itertools.islice(items, SMALL + 1))
    todo = Stream(itertools.chain(start, items))
    work = functools.partial(_timed, function, is_waited_for)
    pace = Pace()
    is_much = workers > 1 and len(start) > SMALL
    if not is_much:
        cv2.setNumThreads(1)
    while not is_much and (chunk := todo.take(pace.size)):
        with diverted_if_apart():
            outputs, seconds = work(chunk)
        todo.give_back(chunk[len(outputs) :])
        pace.learn(len(outputs), seconds)
        yield outputs
        is_much = workers > 1 and pace.is_slow(len(start) - pace.done)
    if is_much:
        # multiprocessing takes 20 ms to import, for which nobody with a few pictures should wait.
        from digit_classification.parallel.pool import map_in_processes

        yield from map_in_processes(work, todo, workers, crashed)


def _timed(
    function: Task[Item, Output], is_waited_for: Callable[[Item], bool] | None, chunk: list[Item]
) -> tuple[list[Output], float]:
    """Return what the function makes of a chunk, or of its beginning, and the seconds it took."""
    waited = is_waited_for is not None and is_waited_for(chunk[0])
    clock = time.thread_time if waited else time.monotonic
    begin = clock()
    outputs = function(chunk, enough=lambda: clock() - begin > CUT_S)
    return outputs, clock() - begin
