"""The same computed by a pool of processes, which may crash, or be too slow for what they took."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout  # the built-in one since Python 3.11
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from digit_classification.parallel import ATTEMPTS
from digit_classification.parallel.pace import Pace, Stream
from digit_classification.parallel.processes import Flight, Pool, Work

HEARTBEAT_S = 0.25  # seconds after which it is said that nothing has come

Item = TypeVar("Item")
Output = TypeVar("Output")


def map_in_processes(
    work: Work[Item, Output],
    todo: Stream[Item],
    workers: int,
    crashed: Callable[[Item], Output] | None,
) -> Iterator[list[Output]]:
    """Yield what `work` makes of the items, computed by a pool of processes.

    A process may crash on an item, or be ended from outside, as by a system short of memory.  What
    the pool has not done yet is lost then, and given to a new one, but the chunk that waits
    longest: its items are computed one by one, so that one of them cannot end the run.
    """
    pool = Pool(workers, work)
    pace = Pace()
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
