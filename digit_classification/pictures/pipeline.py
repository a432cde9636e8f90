"""From sources to normalised digits, in parallel, in order, with bounded memory.

The trainer and the detector read their pictures through here, and so through the same
`images.normalize`.  Processes do the work: with small pictures, threads are slower than one
thread alone, because they contend for the interpreter lock.  Only objects of a store are fetched
by threads, which wait for answers most of the time.
"""

from __future__ import annotations

import functools
import hashlib
import io
import itertools
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.context import BaseContext
from typing import Any, TypeVar

import cv2
import numpy as np
from PIL import Image

from digit_classification.pictures import images
from digit_classification.pictures.decode import DEFAULT_LIMITS, Limits, decode
from digit_classification.pictures.sources import Source, SourceError, SourceUnavailable, TooLarge

THUMBNAIL_SIDE = 96  # pixels
CHUNK = 64  # images a task: large enough to hide what a task costs, small enough to share evenly
ATTEMPTS = 2  # processes that an image may take with it, if they crash
# Images in flight: enough to keep the workers busy while a batch goes into the database.
AHEAD = 2048
READ_AHEAD = 2**20  # bytes of files that a process reads before it decodes the first of them
FETCHERS = 64  # threads of a process that wait for objects of a store
FETCHED_BYTES = 8 * 2**20  # larger objects are read when it is their turn, one at a time
SMALL = 256  # up to this many images, starting processes costs more than it saves

Item = TypeVar("Item")
Output = TypeVar("Output")


@dataclass(slots=True)
class Prepared:
    """A source, read and normalised, or the reason why it is not."""

    source: Source
    sha256: str | None = None  # of the file's content, hexadecimal
    digit: np.ndarray | None = None  # (28, 28) uint8, light ink on dark
    rejection: str | None = None  # why the picture does not show exactly one digit
    error: str | None = None  # why there is no picture
    stray: bool = False  # no picture, and nothing suggests that it should be one
    thumbnail: bytes | None = None  # the picture, small, as a WebP file; made only when asked for
    note: str | None = None  # what a person should know of how the picture was read

    @property
    def shows_ink(self) -> bool:
        """Whether there is something to learn, rather than what is left of a blank page."""
        return self.digit is not None and self.rejection != images.BLANK and bool(self.digit.any())


def default_workers() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def prepare(
    source: Source,
    invert: images.Invert = "auto",
    limits: Limits = DEFAULT_LIMITS,
    *,
    thumbnail: bool = False,
) -> Prepared:
    """Read and normalise one source; whatever is wrong with it is in the result.

    Raises SourceUnavailable if the object store that holds it cannot be used at all.
    """
    return prepare_many([source], invert, limits, thumbnail=thumbnail)[0]


def prepare_many(
    sources: Iterable[Source],
    invert: images.Invert = "auto",
    limits: Limits = DEFAULT_LIMITS,
    *,
    thumbnail: bool = False,
) -> list[Prepared]:
    """Read and normalise sources, and return them in order.

    Several are read before the first is decoded, and pictures of a digit's size are normalised
    together: each kind of work finds the processor's caches warm, and takes half as long.

    Raises SourceUnavailable if an object store cannot be used at all.
    """
    prepared: list[Prepared] = []
    for group in _read_ahead(sources):
        small: dict[int, np.ndarray] = {}  # by position
        for source, content in group:
            image, pixels = _decode(source, content, invert, limits, thumbnail)
            if pixels is not None:
                small[len(prepared)] = pixels
            prepared.append(image)
        for position, seen in zip(
            small, images.normalize_small([*small.values()], invert=invert), strict=True
        ):
            prepared[position].digit = seen.digit
            prepared[position].rejection = seen.rejection
    return prepared


def _read_ahead(sources: Iterable[Source]) -> Iterator[list[tuple[Source, bytes | SourceError]]]:
    """Yield groups of sources with their contents, or why there are none."""
    group: list[tuple[Source, bytes | SourceError]] = []
    size = 0
    for source, read in _with_readers(list(sources)):
        try:
            content = read()
            size += len(content)
            group.append((source, content))
        except SourceUnavailable:
            raise
        except SourceError as error:
            group.append((source, error))
        if size >= READ_AHEAD:
            yield group
            group, size = [], 0
    yield group


def _with_readers(sources: list[Source]) -> Iterator[tuple[Source, Callable[[], bytes]]]:
    """Yield each source with the function that returns its content, which may be there already."""
    if not any(source.remote for source in sources):
        for source in sources:
            yield source, source.read
        return
    pool = ThreadPoolExecutor(min(FETCHERS, len(sources)))
    try:
        ahead: deque[Future[Callable[[], bytes]]] = deque()
        waiting = iter(sources)
        for source in sources:
            for each in itertools.islice(waiting, FETCHERS - len(ahead)):
                ahead.append(pool.submit(_fetch, each))
            yield source, functools.partial(_fetched, ahead.popleft())
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _fetch(source: Source) -> Callable[[], bytes]:
    """Return a function that returns the content; unless it is large, or a file, fetched here."""
    if not source.remote:
        return source.read
    try:
        content = source.read(FETCHED_BYTES)
    except TooLarge:
        return source.read
    return lambda: content


def _fetched(future: Future[Callable[[], bytes]]) -> bytes:
    return future.result()()


def _decode(
    source: Source,
    content: bytes | SourceError,
    invert: images.Invert,
    limits: Limits,
    thumbnail: bool,
) -> tuple[Prepared, np.ndarray | None]:
    """Prepare one source, but for a picture of a digit's size, whose pixels are returned too."""
    sha256 = None
    try:
        if isinstance(content, SourceError):
            raise content
        sha256 = hashlib.sha256(content).hexdigest()
        decoded = decode(content, limits)
        small = _thumbnail(decoded.pixels) if thumbnail else None
        prepared = Prepared(source, sha256, note=decoded.note, thumbnail=small)
        if images.is_small(decoded.pixels):
            return prepared, decoded.pixels
        seen = images.normalize(decoded.pixels, invert=invert)
        prepared.digit, prepared.rejection = seen.digit, seen.rejection
        return prepared, None
    except (SourceError, images.ImageError) as error:
        stray = sha256 is not None and not source.claims_image
        return Prepared(source, sha256, error=str(error), stray=stray), None


def _thumbnail(pixels: np.ndarray) -> bytes:
    """Return a lossless WebP: of Pillow's formats the smallest that is also quick to write."""
    stream = io.BytesIO()
    small = Image.fromarray(images.thumbnail(pixels, THUMBNAIL_SIDE))
    small.save(stream, "WEBP", lossless=True, method=0)
    return stream.getvalue()


def prepare_all(
    sources: Iterable[Source],
    invert: images.Invert = "auto",
    workers: int = 0,
    limits: Limits = DEFAULT_LIMITS,
    *,
    thumbnails: bool = False,
) -> Iterator[Prepared]:
    """Yield each source prepared, in the order given; 0 workers means the cores there are.

    At most a few chunks are in flight, however many sources there are.
    """
    task = functools.partial(prepare_many, invert=invert, limits=limits, thumbnail=thumbnails)
    return map_chunks_in_order(task, sources, workers, crashed)


def crashed(source: Source) -> Prepared:
    """Return what becomes of a source that ends each process that reads it."""
    return Prepared(source, error=f"crashed what reads it {ATTEMPTS} times")


def map_in_order(
    function: Callable[[Item], Output], items: Iterable[Item], workers: int = 0
) -> Iterator[Output]:
    """Yield `function` of each item, in order, computed by processes unless the items are few.

    Raises BrokenProcessPool if an item ends its process time and again.
    """
    return map_chunks_in_order(functools.partial(_each, function), items, workers)


def _each(function: Callable[[Item], Output], chunk: list[Item]) -> list[Output]:
    return [function(item) for item in chunk]


def map_chunks_in_order(
    function: Callable[[list[Item]], list[Output]],
    items: Iterable[Item],
    workers: int = 0,
    crashed: Callable[[Item], Output] | None = None,
) -> Iterator[Output]:
    """As `map_in_order`, with a function that takes some items and returns as many outputs.

    The function is pickled once for each process, so that it may bring much with it.  An item that
    ends its process time and again gives `crashed(item)`, if that is given.
    """
    items = iter(items)
    workers = workers or default_workers()
    start = list(itertools.islice(items, SMALL + 1))
    items = itertools.chain(start, items)
    if len(start) <= SMALL or workers == 1:
        cv2.setNumThreads(1)
        while chunk := list(itertools.islice(items, CHUNK)):
            yield from function(chunk)
        return
    yield from _map_in_processes(function, items, workers, crashed)


def _map_in_processes(
    function: Callable[[list[Item]], list[Output]],
    items: Iterator[Item],
    workers: int,
    crashed: Callable[[Item], Output] | None,
) -> Iterator[Output]:
    """Yield what `function` makes of the items, computed by a pool of processes.

    A process may crash on an item, or be ended from outside, as by a system short of memory.  All
    that the pool was given is lost then, and given to a new one, but the chunk that waits longest:
    its items are computed one by one, so that one of them cannot end the run.
    """
    ahead = max(AHEAD // CHUNK, 3 * workers)
    pool = _start_pool(workers, function)
    pending: deque[tuple[list[Item], Future[list[Output]]]] = deque()
    try:
        while True:
            while len(pending) <= ahead and (chunk := list(itertools.islice(items, CHUNK))):
                pending.append((chunk, _submit(pool, chunk)))
            if not pending:
                return
            chunk, future = pending.popleft()
            try:
                yield from future.result()
            except BrokenProcessPool:
                pool.shutdown(wait=False)
                pool = _start_pool(workers, function)
                pending = deque((other, _submit(pool, other)) for other, _ in pending)
                yield from _map_one_by_one(function, chunk, crashed)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _submit(pool: ProcessPoolExecutor, chunk: list[Item]) -> Future[list[Any]]:
    """Give a chunk to the pool; if that is broken, asking for the result will say so."""
    try:
        return pool.submit(_work, chunk)
    except BrokenProcessPool as error:
        failed: Future[list[Any]] = Future()
        failed.set_exception(error)
        return failed


def _map_one_by_one(
    function: Callable[[list[Item]], list[Output]],
    chunk: list[Item],
    crashed: Callable[[Item], Output] | None,
) -> Iterator[Output]:
    """Yield what `function` makes of each item alone, computed by one process."""
    pool = _start_pool(1, function)
    try:
        for item in chunk:
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    (output,) = _submit(pool, [item]).result()
                    break
                except BrokenProcessPool:
                    if attempt == ATTEMPTS and crashed is None:
                        raise
                    pool.shutdown(wait=False)
                    pool = _start_pool(1, function)
            else:
                assert crashed is not None
                output = crashed(item)
            yield output
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _start_pool(workers: int, function: Callable[[list[Item]], list[Any]]) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        workers, mp_context=_context(), initializer=_start_worker, initargs=(function,)
    )


def _context() -> BaseContext:
    """Start workers from a clean process: a plain fork copies OpenCV's locks, held or not."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


_function: Callable[[list[Any]], list[Any]]  # of a worker, what it is there for


def _work(chunk: list[Any]) -> list[Any]:
    return _function(chunk)


def _start_worker(function: Callable[[list[Any]], list[Any]]) -> None:
    """One core is one worker's: the threads of OpenCV and NumPy would only get in their way.

    Ctrl-C reaches all processes of a terminal; the parent alone decides what it means.
    """
    global _function
    _function = function
    cv2.setNumThreads(1)
    if "OPENBLAS_NUM_THREADS" not in os.environ:  # the script sets it, and saves these 12 ms
        from threadpoolctl import threadpool_limits

        threadpool_limits(1, user_api="blas")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Wait for the end of the parent, and end: a pool's process would wait for tasks forever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
