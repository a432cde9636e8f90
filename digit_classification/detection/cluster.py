"""Reading on a cluster: Ray runs chunks of pictures on its nodes, and this process directs them.

A chunk is pure: sources go in, results come out, and so one that is lost with its node is run
again.  A row is stored once all the same, because a run and a path make it unique.

Results go one of two ways.  `read` brings them here, in order, for whoever prints or sorts them.
`read_and_store` leaves them out there: a part of a Parquet dataset is written by the task that read
it; rows for a server go to a few writers, which are all of the cluster's connections to it.  Only
counts come here then, so that neither this process nor its network limits the run.

Ray itself is imported when a cluster is asked for, and by nothing else.  Ray Data is not used: it
wants to know all files before it reads the first, and a listing of a hundred million takes hours.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import pickle
import socket
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
from rich.console import Console

from digit_classification.cli.terminal import make_table
from digit_classification.config import DatabaseSettings
from digit_classification.detection.cluster_error import ClusterError
from digit_classification.detection.reading import Batch, judge_crashed, read_and_judge
from digit_classification.detection.summary import NAMED, Summary
from digit_classification.network.inference import Network
from digit_classification.network.model_file import load_model
from digit_classification.pictures import images
from digit_classification.pictures.decode import Limits
from digit_classification.pictures.pipeline import ATTEMPTS
from digit_classification.pictures.sources import Source, printable
from digit_classification.results.opening import Database, is_parquet, open_database
from digit_classification.results.records import Result

AHEAD = 3  # chunks in flight for each core: the next one waits where the last one ends
REACHED_WITHIN = 5.0  # seconds, the head of a cluster
LOOK_EVERY = 2.0  # seconds between looks at the nodes
SLOW = 10  # times the usual: a chunk that takes longer is named,
SLOW_SECONDS = 30.0  # if it takes this long at all
LOSSES = 50  # nodes that a chunk may lose before the cluster itself must be ill
DRAIN_SECONDS = 15.0  # how long an interrupted run waits for rows that are being stored


@dataclass(frozen=True)
class Job:
    """What the nodes should know of a run."""

    folder: str  # the working directory of the run
    model_path: str  # for messages
    model_sha256: str
    invert: images.Invert
    limits: Limits
    min_confidence: float
    chunk_size: int = 1000  # pictures
    first_part: int = 0  # the number of the first chunk
    with_thumbnails: bool = False
    with_digits: bool = False  # results come with what the network saw
    named: int | None = None  # pictures without a digit that a chunk's summary names
    run_id: str = ""
    database: DatabaseSettings | None = None  # where the nodes store; None: they do not
    password: str | None = field(default=None, repr=False)

    @property
    def stored_by_readers(self) -> bool:
        """Whether the task that reads a chunk writes it, too: a dataset has no connections."""
        return self.database is not None and is_parquet(self.database)

    def open_database(self) -> Database:
        assert self.database is not None
        database = open_database(self.database, password=self.password)
        assert database is not None
        return database


@dataclass(frozen=True)
class Report:
    """What a node tells of a chunk that it has read."""

    node: str
    seconds: float
    summary: Summary
    strays: list[str]


@dataclass
class _Chunk:
    """Pictures that are on their way, and how far they are."""

    number: int  # in the order of the listing
    sources: list[Source]
    begun: float = 0.0  # time.monotonic()
    crashes: int = 0  # of what read it
    losses: int = 0  # of what it ran on
    rows: Any = None  # a reference to its results, wherever in the cluster they are
    report: Report | None = None  # once it is read
    storing: bool = False  # whether its rows are with a writer
    named_slow: bool = False


# ------------------------------------------------------------------------------- on the nodes


_networks: dict[str, Network] = {}  # of this process, by the checksum of the model file
_databases: dict[str, Database] = {}  # of this process, by URL


def read_chunk(job: Job, model: list[Any], number: int, packed: bytes) -> tuple[Any, Report]:
    """Read and judge a chunk, and store it if that is a reader's task.

    `model` holds a reference to the model file's bytes, which a node fetches once; `packed` is what
    `pack` made of the chunk's sources.

    Returns:
        The chunk's results: a Batch if they go where the run was started, a list of Result if a
        writer stores them, else None.  And the report, which is small.
    """
    begin = time.monotonic()
    cv2.setNumThreads(1)  # a task has one core
    network = _network(job, model)
    batch = Batch.of(
        read_and_judge(
            [_seen_from(job.folder, source) for source in pickle.loads(packed)],
            network,
            job.min_confidence,
            job.invert,
            job.limits,
            with_thumbnails=job.with_thumbnails,
            with_digits=job.with_digits,
        )
    )
    summary = Summary.of(batch.results, job.named)
    rows: Any = None
    if job.stored_by_readers:
        _database(job).add(job.run_id, batch.results, part=number)
    elif job.database is not None:
        rows = batch.results
    else:
        rows = batch
    return rows, Report(_this_node(), time.monotonic() - begin, summary, batch.strays)


def pack(sources: Sequence[Source]) -> bytes:
    """Return sources as one piece: Ray would wrap each of them, for half of the driver's time."""
    return pickle.dumps(sources, protocol=5)


def _seen_from(folder: str, source: Source) -> Source:
    """Return a source that means here what it means in `folder`; its name stays."""
    if source.remote or os.path.isabs(source.path):
        return source
    return replace(source, path=os.path.join(folder, source.path))


def _network(job: Job, model: list[Any]) -> Network:
    if job.model_sha256 not in _networks:
        import ray

        content = ray.get(model[0])
        if hashlib.sha256(content).hexdigest() != job.model_sha256:
            raise ClusterError(
                f"The model '{job.model_path}' has changed on its way to a node: resume the run."
            )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.keras"
            path.write_bytes(content)
            _networks[job.model_sha256] = load_model(path).network
    return _networks[job.model_sha256]


def _database(job: Job) -> Database:
    assert job.database is not None
    url = job.database.url
    if url not in _databases:
        _databases[url] = job.open_database()
    return _databases[url]


def _this_node() -> str:
    import ray

    context = ray.get_runtime_context()
    return str(context.get_node_id())


class Writer:
    """Stores rows over one connection; Ray starts it again elsewhere if its node is lost."""

    def __init__(self, job: Job) -> None:
        self._run_id = job.run_id
        self._database = job.open_database()

    def add(self, results: list[Result]) -> None:
        self._database.add(self._run_id, results)


# ------------------------------------------------------------------------- in this process


@dataclass
class Node:
    """A machine of the cluster, and what it has done in this run."""

    name: str
    cores: float
    alive: bool = True
    images: int = 0
    busy: float = 0.0  # seconds of its cores


class Cluster:
    """A connection to Ray; made by `connect`, for one run."""

    def __init__(self, ray: Any, notice: Callable[[str], None]) -> None:
        self._ray = ray
        self._notice = notice
        self._looked = 0.0
        self.nodes: dict[str, Node] = {}
        self._look_at_nodes()

    @classmethod
    @contextlib.contextmanager
    def connect(cls, address: str, notice: Callable[[str], None]) -> Iterator[Cluster]:
        """Connect to the cluster whose head is at `address`, or start one here for `local`.

        `notice` is told of nodes that are lost and chunks that hang.

        Raises ClusterError if there is no Ray, or none at that address.
        """
        ray = _import_ray()
        options: dict[str, Any] = {"address": "local", "include_dashboard": False}
        if address != "local":
            _check_address(address)
            # The nodes need Python with the requirements, and get this program from here.
            package = str(Path(__file__).resolve().parents[1])
            options = {"address": address, "runtime_env": {"py_modules": [package]}}
        try:
            ray.init(**options, log_to_driver=False, logging_level="ERROR")
        except (ray.exceptions.RayError, RuntimeError, ValueError, OSError) as error:
            raise _unusable(address, str(error).partition("\n")[0].rstrip(".")) from None
        # Else Ray prints pages about each lost node to standard output, which is for results.
        ray._private.worker._worker_logs_enabled = False
        try:
            yield cls(ray, notice)
        finally:
            ray.shutdown()

    @property
    def cores(self) -> int:
        return max(1, int(sum(node.cores for node in self.nodes.values() if node.alive)))

    def print_nodes(self, messages: Console) -> None:
        """Tell what each node has done, those first that did most."""
        nodes = sorted(self.nodes.values(), key=lambda node: -node.images)
        table = make_table("node", "cores", "images", "a second and core")
        for node in nodes[:NAMED]:
            rate = f"{node.images / node.busy:,.0f}" if node.busy else ""
            lost = "" if node.alive else ", lost"
            table.add_row(f"{node.name}{lost}", f"{node.cores:g}", f"{node.images:,}", rate)
        messages.print(table)
        if len(nodes) > NAMED:
            messages.print(f"and {len(nodes) - NAMED:,} more nodes")

    def read(
        self, job: Job, model: bytes, sources: Iterable[Source]
    ) -> Generator[Batch, None, None]:
        """Yield the pictures and their results, a chunk at a time, in the order of `sources`."""
        waiting: dict[int, Batch] = {}
        following = job.first_part
        with contextlib.closing(self._run(job, model, sources, in_order=True)) as chunks:
            for chunk, batch in chunks:
                assert batch is not None  # the job stores nothing out there
                waiting[chunk.number] = batch
                while following in waiting:
                    yield waiting.pop(following)
                    following += 1

    def read_and_store(
        self, job: Job, model: bytes, sources: Iterable[Source], database: Database
    ) -> Generator[Report, None, None]:
        """Have the nodes store their results in the database of `job`; yield a report a chunk.

        `database` is this process's own connection to it, for chunks that the nodes cannot do.
        """
        with contextlib.closing(self._run(job, model, sources)) as chunks:
            for chunk, batch in chunks:
                if batch is not None:
                    database.add(job.run_id, batch.results, part=chunk.number)
                assert chunk.report is not None
                yield chunk.report

    def _run(
        self, job: Job, model: bytes, sources: Iterable[Source], *, in_order: bool = False
    ) -> Generator[tuple[_Chunk, Batch | None], None, None]:
        """Yield chunks once they are read, with their results unless those are stored already.

        Not stored is also what a chunk holds that kept crashing what reads it.
        With `in_order` no chunk starts that is far ahead of the oldest one on its way, so that
        few have to wait for it.
        """
        flights = _Flights(self._ray, job, model, self.cores)
        chunks = _numbered_chunks(sources, job.chunk_size, job.first_part)
        following = next(chunks, None)
        try:
            while following is not None or flights:
                self._look_at_nodes()
                room = AHEAD * self.cores
                while (
                    following is not None
                    and len(flights) < room
                    and not (in_order and flights.is_far_ahead(following, 2 * room))
                ):
                    flights.start(following)
                    following = next(chunks, None)
                for chunk, batch in flights.landed():
                    self._count(chunk)
                    yield chunk, batch
                flights.name_slow_ones(self._notice)
        except self._ray.exceptions.RayError as error:
            reason = str(error).partition("\n")[0].rstrip(".")
            raise ClusterError(
                f"The cluster failed: {reason}: look at its nodes, and resume the run."
            ) from None
        finally:
            with contextlib.suppress(self._ray.exceptions.RayError):
                flights.drain()

    def _count(self, chunk: _Chunk) -> None:
        assert chunk.report is not None
        if (node := self.nodes.get(chunk.report.node)) is not None:
            node.images += chunk.report.summary.statuses.total()
            node.busy += chunk.report.seconds

    def _look_at_nodes(self) -> None:
        """Notice nodes that came and nodes that are lost."""
        if time.monotonic() - self._looked < LOOK_EVERY:
            return
        self._looked, first = time.monotonic(), not self.nodes
        for seen in self._ray.nodes():
            node_id, cores = seen["NodeID"], seen["Resources"].get("CPU", 0)
            node = self.nodes.get(node_id)
            if node is None and seen["Alive"]:
                node = Node(f"{seen['NodeManagerHostname']} ({node_id[:8]})", cores)
                self.nodes[node_id] = node
                if not first:
                    self._notice(f"Node {node.name} has joined.")
            elif node is not None and node.alive and not seen["Alive"]:
                node.alive = False
                self._notice(
                    f"Node {node.name} is lost: what it was reading is read again elsewhere."
                )


class _Flights:
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
        self._flying: dict[Any, _Chunk] = {}  # by the reference that says that the step is done
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

    def is_far_ahead(self, chunk: _Chunk, limit: int) -> bool:
        """Whether so many others would have to wait for a chunk that is on its way."""
        numbers = [other.number for other in self._flying.values()]
        return bool(numbers) and chunk.number - min(numbers) >= limit

    def start(self, chunk: _Chunk) -> None:
        chunk.begun, chunk.report, chunk.storing = time.monotonic(), None, False
        packed = pack(chunk.sources)
        chunk.rows, report = self._read.remote(self._job, self._model, chunk.number, packed)
        self._flying[report] = chunk

    def landed(self) -> Iterator[tuple[_Chunk, Batch | None]]:
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

    def _start_again(self, chunk: _Chunk, error: Exception) -> None:
        chunk.losses += 1
        if chunk.losses > LOSSES:
            raise error
        self.start(chunk)

    def _arrived(self, chunk: _Chunk, report: Report | None) -> Batch | None:
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

    def _one_by_one(self, chunk: _Chunk) -> Batch:
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
        chunk.report = Report("", 0.0, Summary.of(whole.results, job.named), whole.strays)
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


def _numbered_chunks(sources: Iterable[Source], size: int, first: int) -> Iterator[_Chunk]:
    sources = iter(sources)
    for number in itertools.count(first):
        chunk = list(itertools.islice(sources, size))
        if not chunk:
            return
        yield _Chunk(number, chunk)


def _check_address(address: str) -> None:
    """Find out at once whether anything listens there: Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise ClusterError(
            f"'{printable(address)}' is no address of a cluster: name the head of one, such as "
            "10.0.0.1:6379, or `local` to start one here."
        )
    try:
        socket.create_connection((host, int(port)), timeout=REACHED_WITHIN).close()
    except OSError as error:
        raise _unusable(address, (error.strerror or str(error)).lower()) from None


def _unusable(address: str, reason: str) -> ClusterError:
    return ClusterError(
        f"No cluster can be used at '{printable(address)}' ({reason}): check --cluster, or start "
        "one with `ray start --head`."
    )


def _import_ray() -> Any:
    """Import Ray, which reports its use to its makers unless it is told not to."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.exceptions
    except ImportError:
        raise ClusterError(
            "--cluster needs Ray: pip install -r requirements-cluster.txt, here and on each node."
        ) from None
    return ray
