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
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout  # the built-in one since Python 3.11
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import cv2
import numpy as np
from PIL import Image

from digit_classification.pictures import images
from digit_classification.pictures.decode import DEFAULT_LIMITS, Limits, decode
from digit_classification.pictures.native_messages import divert_for_good, diverted_if_apart
from digit_classification.pictures.sources import Source, SourceError, SourceUnavailable, TooLarge
from digit_classification.processes import clean_context, starting_processes

THUMBNAIL_SIDE = 96  # pixels
CHUNK = 64  # images a task at most: that many small ones hide what a task costs
TASK_S = 0.2  # seconds a task should take: slow pictures come in smaller chunks
CUT_S = 0.4  # seconds after which a task ends, with what is left of its chunk undone
GROWTH = 4  # times as many images as the last task had: the first ones say little
BATCH_S = 1.0  # seconds after which what has come is passed on
HEARTBEAT_S = 0.25  # seconds after which it is said that nothing has come
ATTEMPTS = 2  # processes that an image may take with it, if they crash
# In flight: enough to keep the workers busy while a batch goes into the database.
AHEAD = 2048  # images at most
AHEAD_S = 1.0  # seconds of work for each worker
READ_AHEAD = 2**20  # bytes of files that a process reads before it decodes the first of them
FETCHERS = 64  # threads of a process that wait for objects of a store
FETCHED_BYTES = 8 * 2**20  # larger objects are read when it is their turn, one at a time
# Starting processes costs more than it saves for up to so many images, unless they have taken some
# time already, and the others will take long.
SMALL = 256
PATIENCE_S = 0.2
WORTH_PROCESSES_S = 0.6

Item = TypeVar("Item")
Output = TypeVar("Output")


class Task(Protocol[Item, Output]):
    """What is done with some items; `map_in_parts` says how."""

    def __call__(self, chunk: list[Item], /, *, enough: Callable[[], bool]) -> list[Output]: ...


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
    enough: Callable[[], bool] = lambda: False,
) -> list[Prepared]:
    """Read and normalise sources, and return them in order; the first of them, once `enough()`.

    Several are read before the first is decoded, and pictures of a digit's size are normalised
    together: each kind of work finds the processor's caches warm, and takes half as long.

    Raises SourceUnavailable if an object store cannot be used at all.
    """
    prepared: list[Prepared] = []
    for group in _read_ahead(sources):
        if prepared and enough():
            break
        small: dict[int, np.ndarray] = {}  # by position
        for source, content in group:
            if prepared and enough():
                break
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
    return itertools.chain.from_iterable(map_in_parts(task, sources, workers, crashed))


def crashed(source: Source) -> Prepared:
    """Return what becomes of a source that ends each process that reads it."""
    return Prepared(source, error=f"crashed what reads it {ATTEMPTS} times")


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
) -> Iterator[list[Output]]:
    """Yield lists of what `function` makes of the items, in order, as soon as there are some.

    The function is called as `function(some_items, enough=...)` and returns one output for each
    item, in order, or for the first of them (one at least) if `enough()` has become true: so that
    work is cut by the time it takes.  It is pickled once for each process, and may bring much with
    it.  An item that ends its process time and again gives `crashed(item)`, if that is given.  An
    empty list says that nothing new has come for a while.

    Raises BrokenProcessPool if an item ends its process time and again, and `crashed` is None.
    """
    items = iter(items)
    workers = workers or default_workers()
    start = list(itertools.islice(items, SMALL + 1))
    todo = _Stream(itertools.chain(start, items))
    if workers > 1 and len(start) > SMALL:
        yield from _map_in_processes(function, todo, workers, crashed)
        return
    pace = _Pace()
    cv2.setNumThreads(1)
    while chunk := todo.take(pace.size):
        with diverted_if_apart():
            outputs, seconds = _timed(function, chunk)
        todo.give_back(chunk[len(outputs) :])
        pace.learn(len(outputs), seconds)
        yield outputs
        if workers > 1 and pace.is_slow(len(start) - pace.done):
            yield from _map_in_processes(function, todo, workers, crashed)
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


def _timed(function: Task[Item, Output], chunk: list[Item]) -> tuple[list[Output], float]:
    """Return what the function makes of a chunk, or of its beginning, and the seconds it took.

    Objects of a store are fetched many at a time: what counts is what is made of them, and not the
    time in which they are waited for.
    """
    remote = isinstance(chunk[0], Source) and chunk[0].remote
    clock = time.thread_time if remote else time.monotonic
    begin = clock()
    outputs = function(chunk, enough=lambda: clock() - begin > CUT_S)
    return outputs, clock() - begin


@dataclass(slots=True)
class _Flight(Generic[Item, Output]):
    """Some items, and the task that a process has made, or will make, of them."""

    items: list[Item]
    future: Future[tuple[list[Output], float]]


def _map_in_processes(
    function: Task[Item, Output],
    todo: _Stream[Item],
    workers: int,
    crashed: Callable[[Item], Output] | None,
) -> Iterator[list[Output]]:
    """Yield what `function` makes of the items, computed by a pool of processes.

    A process may crash on an item, or be ended from outside, as by a system short of memory.  What
    the pool has not done yet is lost then, and given to a new one, but the chunk that waits
    longest: its items are computed one by one, so that one of them cannot end the run.
    """
    pool = _Pool(workers, function)
    pace = _Pace()
    pending: deque[_Flight[Item, Output]] = deque()
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
                pool = _Pool(workers, function)
                pending = deque(
                    flight if _is_done(flight) else pool.submit(flight.items) for flight in pending
                )
                in_flight -= len(first.items)
                for output in _map_one_by_one(function, first.items, crashed):
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


def _is_done(flight: _Flight[Any, Any]) -> bool:
    return flight.future.done() and flight.future.exception() is None


def _cut_again(
    pool: _Pool[Item, Output], flight: _Flight[Item, Output], size: int
) -> list[_Flight[Item, Output]]:
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
    return [_Flight(flight.items[: len(outputs)], done), *again]


def _map_one_by_one(
    function: Task[Item, Output],
    chunk: list[Item],
    crashed: Callable[[Item], Output] | None,
) -> Iterator[Output]:
    """Yield what `function` makes of each item alone, computed by one process."""
    pool = _Pool(1, function)
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
                    pool = _Pool(1, function)
            else:
                assert crashed is not None
                output = crashed(item)
            yield output
    finally:
        pool.close()


class _Pool(Generic[Item, Output]):
    """Processes that do tasks, each in little more than CUT_S."""

    def __init__(self, workers: int, function: Task[Item, Output]) -> None:
        context = clean_context(__name__)
        self._recalls = context.RawValue("i", 0)
        with starting_processes():  # one that keeps account of semaphores
            self._executor = ProcessPoolExecutor(
                workers,
                mp_context=context,
                initializer=_start_worker,
                initargs=(function, self._recalls),
            )

    def submit(self, chunk: list[Item]) -> _Flight[Item, Output]:
        """Give a chunk to the pool; if that is broken, asking for the result will say so."""
        future: Future[tuple[list[Output], float]]
        try:
            with starting_processes():  # a process may be started for it
                future = self._executor.submit(_work, chunk, self._recalls.value)
        except BrokenProcessPool as error:
            future = Future()
            future.set_exception(error)
        return _Flight(chunk, future)

    def submit_in_chunks(self, items: list[Item], size: int) -> list[_Flight[Item, Output]]:
        return [self.submit(items[i : i + size]) for i in range(0, len(items), size)]

    def recall(self) -> None:
        """Have the tasks that were not begun yet end without a result.

        A future cannot be cancelled instead: if a process crashes before the executor takes notice
        of that, all other futures are waited for without end (Python before 3.14).
        """
        self._recalls.value += 1

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)


_function: Task[Any, Any]  # of a worker, what it is there for
_recalls: Any  # of a worker, shared with its parent: how often tasks were recalled


def _work(chunk: list[Any], recalls: int) -> tuple[list[Any], float]:
    """Return outputs of the chunk, or of its beginning, and the seconds that these took."""
    return ([], 0.0) if recalls != _recalls.value else _timed(_function, chunk)


def _start_worker(function: Task[Any, Any], recalls: Any) -> None:
    """One core is one worker's: OpenCV's own threads would only get in their way.

    Ctrl-C reaches all processes of a terminal; the parent alone decides what it means.
    """
    global _function, _recalls
    _function, _recalls = function, recalls
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
