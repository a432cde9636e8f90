"""From sources to normalised digits, in parallel, in order, with bounded memory.

The trainer and the detector read their pictures through here, and so through the same
`images.normalize`.  Processes do the work: with small pictures, threads are slower than one
thread alone, because they contend for the interpreter lock.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from typing import TypeVar

import cv2
import numpy as np

from digit_classification import images
from digit_classification.sources import Source, SourceError

CHUNK = 64  # images a task: large enough to hide what a task costs, small enough to share evenly
# Images in flight: enough to keep the workers busy while a batch goes into the database.
AHEAD = 2048
SMALL = 256  # up to this many images, starting processes costs more than it saves


Item = TypeVar("Item")
Output = TypeVar("Output")


@dataclass(frozen=True)
class Prepared:
    """A source, read and normalised, or the reason why it is not."""

    source: Source
    sha256: str | None = None  # of the file's content, hexadecimal
    digit: np.ndarray | None = None  # (28, 28) uint8, light ink on dark
    rejection: str | None = None  # why the picture does not show exactly one digit
    error: str | None = None  # why there is no picture
    stray: bool = False  # no picture, and nothing suggests that it should be one


def default_workers() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def prepare(source: Source, invert: images.Invert = "auto") -> Prepared:
    """Read and normalise one source; whatever is wrong with it is in the result."""
    sha256 = None
    try:
        content = source.read()
        sha256 = hashlib.sha256(content).hexdigest()
        normalized = images.normalize(content, invert=invert)
    except (SourceError, images.ImageError) as error:
        stray = sha256 is not None and not source.claims_image
        return Prepared(source, sha256, error=str(error), stray=stray)
    return Prepared(source, sha256, normalized.digit, normalized.rejection)


def prepare_all(
    sources: Iterable[Source], invert: images.Invert = "auto", workers: int = 0
) -> Iterator[Prepared]:
    """Yield each source prepared, in the order given; 0 workers means the cores there are.

    At most a few chunks are in flight, however many sources there are.
    """
    return map_in_order(functools.partial(prepare, invert=invert), sources, workers)


def map_in_order(
    function: Callable[[Item], Output], items: Iterable[Item], workers: int = 0
) -> Iterator[Output]:
    """Yield `function` of each item, in order, computed by processes unless the items are few."""
    items = iter(items)
    workers = workers or default_workers()
    start = list(itertools.islice(items, SMALL + 1))
    if len(start) <= SMALL or workers == 1:
        cv2.setNumThreads(1)
        yield from map(function, itertools.chain(start, items))
        return
    pool = ProcessPoolExecutor(workers, mp_context=_context(), initializer=_start_worker)
    try:
        ahead = max(AHEAD // CHUNK, 3 * workers)
        yield from _map_in(pool, function, itertools.chain(start, items), ahead)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _map_in(
    pool: ProcessPoolExecutor,
    function: Callable[[Item], Output],
    items: Iterable[Item],
    ahead: int,
) -> Iterator[Output]:
    pending: deque[Future[list[Output]]] = deque()
    items = iter(items)
    while chunk := list(itertools.islice(items, CHUNK)):
        pending.append(pool.submit(_map_chunk, function, chunk))
        if len(pending) > ahead:
            yield from pending.popleft().result()
    while pending:
        yield from pending.popleft().result()


def _context() -> BaseContext:
    """Start workers from a clean process: a plain fork copies OpenCV's locks, held or not."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


def _start_worker() -> None:
    """One core is one worker's: OpenCV's own threads would only get in their way.

    Ctrl-C reaches all processes of a terminal; the parent alone decides what it means.
    """
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _map_chunk(function: Callable[[Item], Output], chunk: list[Item]) -> list[Output]:
    return [function(item) for item in chunk]
