"""The chunks of a run that are on their way through a cluster."""

from __future__ import annotations

import itertools
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from digit_classification.detection.cluster.tasks import ChunkReport, Job, Writer, pack, read_chunk
from digit_classification.detection.reading import Batch, judge_crashed
from digit_classification.detection.summary import Summary
from digit_classification.names import printable
from digit_classification.parallel import ATTEMPTS
from digit_classification.pictures.sources import Source

LOOK_EVERY = 2.0  # seconds that are waited for a chunk before the nodes are looked at
SLOW = 10  # times the usual: a chunk that takes longer is named,
SLOW_SECONDS = 30.0  # if it takes this long at all
LOSSES = 50  # nodes that a chunk may lose before the cluster itself must be ill
DRAIN_SECONDS = 15.0  # how long an interrupted run waits for rows that are being stored


@dataclass
class Chunk:
    """Pictures that are on their way, and how far they are."""

    number: int  # in the order of the listing
    sources: list[Source]
    begun: float = 0.0  # time.monotonic()
    crashes: int = 0  # of what read it
    losses: int = 0  # of what it ran on
    rows: Any = None  # a reference to its results, wherever in the cluster they are
    report: ChunkReport | None = None  # once it is read
    storing: bool = False  # whether its rows are with a writer
    named_slow: bool = False


class Flights:
    """The chunks that are on their way: to a reader, and from there to a writer."""

    def __init__(self, ray: Any, job: Job, model: bytes, cores: int) -> None:
        self._ray = ray
        self._job = job
        self._model = [ray.put(model)]  # in a list, a task is given the reference itself
        # Lost chunks are started again here, where it is known why they were lost.  By default, Ray
        # asks full nodes again and again: its share of the cores is four times as large, with four.
        task = ray.remote(num_cpus=1, num_returns=2, max_retries=0, scheduling_strategy="SPREAD")
        self._read = task(read_chunk)
        self._writers = self._start_writers(cores)
        self._turns = itertools.cycle(self._writers)
        self._flying: dict[Any, Chunk] = {}  # by the reference that says that the step is done
        self._durations: deque[float] = deque(maxlen=99)

    def _start_writers(self, cores: int) -> list[Any]:
        job = self._job
        if job.database is None or job.stored_by_readers:
            return []
        # To store a row twice is to store it once, so Ray may repeat a call as it likes.
        writer = self._ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(Writer)
        spread = writer.options(scheduling_strategy="SPREAD")
        return [spread.remote(job) for _ in range(min(job.database.connections, cores))]

    def __len__(self) -> int:
        return len(self._flying)

    def is_far_ahead(self, chunk: Chunk, limit: int) -> bool:
        """Whether so many others would have to wait for a chunk that is on its way."""
        numbers = [other.number for other in self._flying.values()]
        return bool(numbers) and chunk.number - min(numbers) >= limit

    def start(self, chunk: Chunk) -> None:
        chunk.begun, chunk.report, chunk.storing = time.monotonic(), None, False
        packed = pack(chunk.sources)
        chunk.rows, report = self._read.remote(self._job, self._model, chunk.number, packed)
        self._flying[report] = chunk

    def landed(self) -> Iterator[tuple[Chunk, Batch | None]]:
        """Wait a while; yield the chunks that are done by then, and send the others on."""
        exceptions, wait = self._ray.exceptions, self._ray.wait
        references = list(self._flying)
        ready, _ = wait(references, num_returns=len(references), timeout=0)
        if not ready:
            ready, _ = wait(references, num_returns=1, timeout=LOOK_EVERY)
        for reference in ready:
            chunk = self._flying.pop(reference)
            try:
                batch = self._arrived(chunk, self._ray.get(reference))
            except exceptions.RayTaskError as error:
                if not isinstance(error.cause, exceptions.RayError):
                    raise error.cause from None
                self._start_again(chunk, error.cause)  # its rows were lost on their way
            except (exceptions.WorkerCrashedError, exceptions.OutOfMemoryError):
                chunk.crashes += 1
                if chunk.crashes < ATTEMPTS:
                    self.start(chunk)
                else:
                    yield chunk, self._one_by_one(chunk)
            except exceptions.RayError as error:
                self._start_again(chunk, error)  # it was lost with its node
            else:
                if not chunk.storing:
                    yield chunk, batch

    def _start_again(self, chunk: Chunk, error: Exception) -> None:
        chunk.losses += 1
        if chunk.losses > LOSSES:
            raise error
        self.start(chunk)

    def _arrived(self, chunk: Chunk, report: ChunkReport | None) -> Batch | None:
        """Take note of a step that is done; return the results if they are wanted here."""
        if report is None:  # a writer has stored the rows
            chunk.storing, chunk.rows = False, None
            return None
        chunk.report = report
        self._durations.append(time.monotonic() - chunk.begun)
        if self._job.database is None:
            batch: Batch = self._ray.get(chunk.rows)
            chunk.rows = None
            return batch
        if self._writers:
            chunk.storing = True
            stored = next(self._turns).add.remote(chunk.rows)
            self._flying[stored] = chunk
        return None

    def _one_by_one(self, chunk: Chunk) -> Batch:
        """Read a chunk that kept crashing what reads it, each picture in a task of its own."""
        job = replace(self._job, database=None)
        task = self._read.options(max_retries=ATTEMPTS - 1)
        single = [
            task.remote(job, self._model, chunk.number, pack([source])) for source in chunk.sources
        ]
        whole = Batch([], [], [])
        for source, (rows, _) in zip(chunk.sources, single, strict=True):
            try:
                batch = self._ray.get(rows)
            except self._ray.exceptions.RayError as error:
                if isinstance(error, self._ray.exceptions.RayTaskError):
                    raise error.cause from None
                batch = Batch.of([judge_crashed(source)])
            whole.pictures.extend(batch.pictures)
            whole.results.extend(batch.results)
            whole.strays.extend(batch.strays)
        chunk.report = ChunkReport("", 0.0, Summary.of(whole.results, job.named), whole.strays)
        return whole

    def name_slow_ones(self, notice: Callable[[str], None]) -> None:
        """Tell once of each chunk that takes much longer than the others."""
        usual = statistics.median(self._durations) if self._durations else 0.0
        for chunk in self._flying.values():
            seconds = time.monotonic() - chunk.begun
            if seconds > max(SLOW_SECONDS, SLOW * usual) and not chunk.named_slow:
                chunk.named_slow = True
                notice(
                    f"{len(chunk.sources):,} pictures, the first of them "
                    f"{printable(chunk.sources[0].name)}, have taken {seconds:.0f} s so far."
                )

    def drain(self) -> None:
        """Let what is being stored be stored; what is being read ends with the connection."""
        storing = [reference for reference, chunk in self._flying.items() if chunk.storing]
        if storing:
            self._ray.wait(storing, num_returns=len(storing), timeout=DRAIN_SECONDS)


def numbered_chunks(sources: Iterable[Source], size: int, first: int) -> Iterator[Chunk]:
    sources = iter(sources)
    for number in itertools.count(first):
        chunk = list(itertools.islice(sources, size))
        if not chunk:
            return
        yield Chunk(number, chunk)
