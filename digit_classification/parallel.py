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
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout  # the built-in one since Python 3.11
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Generic, Protocol, TypeVar

import cv2

from digit_classification.cli.native_messages import diverted_if_apart
from digit_classification.processes import Flight, Pool, Work

CHUNK = 64  # items a task at most: that many small ones hide what a task costs
TASK_S = 0.2  # seconds a task should take: slow pictures come in smaller chunks
CUT_S = 0.4  # seconds after which a task ends, with what is left of its chunk undone
GROWTH = 4  # times as many items as the last task had: the first ones say little
BATCH_S = 1.0  # seconds after which what has come is passed on
HEARTBEAT_S = 0.25  # seconds after which it is said that nothing has come
ATTEMPTS = 2  # processes that an item may take with it, if they crash
# In flight: enough to keep the workers busy while a batch goes into the database.
AHEAD = 2048  # items at most
AHEAD_S = 1.0  # seconds of work for each worker
# Starting processes costs more than it saves for up to so many items, unless they have taken some
# time already, and the others will take long.
SMALL = 256
PATIENCE_S = 0.2
WORTH_PROCESSES_S = 0.6

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
    todo = _Stream(itertools.chain(start, items))
    work = functools.partial(_timed, function, is_waited_for)
    if workers > 1 and len(start) > SMALL:
        yield from _map_in_processes(work, todo, workers, crashed)
        return
    pace = _Pace()
    cv2.setNumThreads(1)
    while chunk := todo.take(pace.size):
        with diverted_if_apart():
            outputs, seconds = work(chunk)
        todo.give_back(chunk[len(outputs) :])
        pace.learn(len(outputs), seconds)
        yield outputs
        if workers > 1 and pace.is_slow(len(start) - pace.done):
            yield from _map_in_processes(work, todo, workers, crashed)
            return


class _Stream(Generic[Item]):
    """Items to be taken from an iterator, or given back."""

    def __init__(self, items: Iterator[Item]) -> None:
        self._items = items

    def take(self, count: int) -> list[Item]:
        return list(itertools.islice(self._items, count))

    def give_back(self, items: list[Item]) -> None:
        if items:
            self._items = itertools.chain(items, self._items)


class _Pace:
    """How long an item takes, and so how many of them make a task."""

    def __init__(self) -> None:
        self.size = 1  # items of the next task
        self.done = 0  # items
        self._seconds = 0.0  # in all
        self._each = 0.0  # seconds an item took in the last task

    def learn(self, count: int, seconds: float) -> None:
        """Take note of a task; the size grows by steps, as the first items say little."""
        if not count:
            return
        self.done += count
        self._seconds += seconds
        self._each = max(seconds / count, 1e-6)
        self.size = max(1, min(CHUNK, GROWTH * self.size, int(TASK_S / self._each)))

    def room(self, workers: int) -> int:
        """Return how many items should be in flight."""
        enough = int(AHEAD_S * workers / self._each) if self._each else 0
        return min(max(AHEAD, 3 * workers * self.size), max(enough, 3 * workers * self.size))

    def is_slow(self, remaining: int) -> bool:
        """Whether the remaining items are worth processes."""
        return self._seconds > PATIENCE_S and self._each * remaining > WORTH_PROCESSES_S


def _timed(
    function: Task[Item, Output], is_waited_for: Callable[[Item], bool] | None, chunk: list[Item]
) -> tuple[list[Output], float]:
    """Return what the function makes of a chunk, or of its beginning, and the seconds it took."""
    waited = is_waited_for is not None and is_waited_for(chunk[0])
    clock = time.thread_time if waited else time.monotonic
    begin = clock()
    outputs = function(chunk, enough=lambda: clock() - begin > CUT_S)
    return outputs, clock() - begin


def _map_in_processes(
    work: Work[Item, Output],
    todo: _Stream[Item],
    workers: int,
    crashed: Callable[[Item], Output] | None,
) -> Iterator[list[Output]]:
    """Yield what `work` makes of the items, computed by a pool of processes.

    A process may crash on an item, or be ended from outside, as by a system short of memory.  What
    the pool has not done yet is lost then, and given to a new one, but the chunk that waits
    longest: its items are computed one by one, so that one of them cannot end the run.
    """
    pool = Pool(workers, work)
    pace = _Pace()
    pending: deque[Flight[Item, Output]] = deque()
    in_flight = 0  # items
    try:
        while True:
            while in_flight < pace.room(workers) and (chunk := todo.take(pace.size)):
                pending.append(pool.submit(chunk))
                in_flight += len(chunk)
            if not pending:
                return
            first = pending[0]
            try:
                first.future.exception(HEARTBEAT_S)
            except FutureTimeout:
                yield []
                continue
            pending.popleft()
            try:
                outputs, seconds = first.future.result()
            except BrokenProcessPool:
                pool.close()
                pool = Pool(workers, work)
                pending = deque(
                    flight if _is_done(flight) else pool.submit(flight.items) for flight in pending
                )
                in_flight -= len(first.items)
                for output in _map_one_by_one(work, first.items, crashed):
                    yield [output]
                continue
            rest = first.items[len(outputs) :]
            in_flight -= len(outputs)
            pace.learn(len(outputs), seconds)
            if rest and in_flight > 2 * pace.room(workers):
                # The others were cut for faster work, and would hold up the rest too long.
                pool.recall()
                again = pool.submit_in_chunks(rest, pace.size)
                for flight in pending:
                    again += _cut_again(pool, flight, pace.size)
                pending = deque(again)
            else:
                pending.extendleft(reversed(pool.submit_in_chunks(rest, pace.size)))
            if outputs:
                yield outputs
    finally:
        pool.close()


def _is_done(flight: Flight[Any, Any]) -> bool:
    return flight.future.done() and flight.future.exception() is None


def _cut_again(
    pool: Pool[Item, Output], flight: Flight[Item, Output], size: int
) -> list[Flight[Item, Output]]:
    """Return what was done of a flight that was recalled, and the rest in chunks of `size`."""
    try:
        outputs, seconds = flight.future.result()
    except BrokenProcessPool:
        return [flight]  # the next to wait for it starts the pool again
    again = pool.submit_in_chunks(flight.items[len(outputs) :], size)
    if not outputs:
        return again
    done: Future[tuple[list[Output], float]] = Future()
    done.set_result((outputs, seconds))
    return [Flight(flight.items[: len(outputs)], done), *again]


def _map_one_by_one(
    work: Work[Item, Output],
    chunk: list[Item],
    crashed: Callable[[Item], Output] | None,
) -> Iterator[Output]:
    """Yield what `work` makes of each item alone, computed by one process."""
    pool = Pool(1, work)
    try:
        for item in chunk:
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    ((output,), _) = pool.submit([item]).future.result()
                    break
                except BrokenProcessPool:
                    if attempt == ATTEMPTS and crashed is None:
                        raise
                    pool.close()
                    pool = Pool(1, work)
            else:
                assert crashed is not None
                output = crashed(item)
            yield output
    finally:
        pool.close()
