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
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from digit_classification.cli.terminal import make_table
from digit_classification.detection.cluster.error import ClusterError
from digit_classification.detection.cluster.flights import (
    LOOK_EVERY,
    Chunk,
    Flights,
    numbered_chunks,
)
from digit_classification.detection.cluster.tasks import ChunkReport, Job
from digit_classification.detection.reading import Batch, ReadingOptions
from digit_classification.detection.summary import NAMED
from digit_classification.names import printable
from digit_classification.network.model_file import Model, ModelError
from digit_classification.pictures.sources import Source
from digit_classification.results.opening import Database, at_the_nodes
from digit_classification.settings import PASSWORD_VARIABLE, DatabaseSettings

AHEAD = 3  # chunks in flight for each core: the next one waits where the last one ends
REACHED_WITHIN = 5.0  # seconds, the head of a cluster


@dataclass
class Node:
    """A machine of the cluster, and what it has done in this run."""

    name: str
    cores: float
    alive: bool = True
    images: int = 0
    busy: float = 0.0  # seconds of its cores


@dataclass(frozen=True)
class Storing:
    """Where the nodes store what they read."""

    run_id: str
    settings: DatabaseSettings  # with which a node connects
    database: Database  # this process's own connection


def check_cluster(address: str) -> None:
    """Find out what can be known of a cluster without connecting to it; raises ClusterError."""
    _import_ray()
    if address != "local":
        _check_address(address)


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
            package = str(Path(__file__).resolve().parents[2])
            options = {"address": address, "runtime_env": {"py_modules": [package]}}
        try:
            with _own_handler_kept():
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
        self, sources: Iterable[Source], model: Model, options: ReadingOptions
    ) -> Generator[Batch, None, None]:
        """Yield the pictures and their results, a chunk at a time, in the order of `sources`."""
        job = _job(model, options)
        waiting: dict[int, Batch] = {}
        following = job.first_part
        with contextlib.closing(self._run(job, _content(model), sources, in_order=True)) as chunks:
            for chunk, batch in chunks:
                assert batch is not None  # the job stores nothing out there
                waiting[chunk.number] = batch
                while following in waiting:
                    yield waiting.pop(following)
                    following += 1

    def read_and_store(
        self,
        sources: Iterable[Source],
        model: Model,
        options: ReadingOptions,
        storing: Storing,
        named: int | None,
    ) -> Generator[ChunkReport, None, None]:
        """Have the nodes store their results; yield a report a chunk, which names `named` errors.

        Chunks that the nodes cannot do are stored from here.
        """
        database = storing.database
        job = replace(
            _job(model, options),
            run_id=storing.run_id,
            first_part=database.next_part(storing.run_id),
            database=at_the_nodes(storing.settings),
            password=os.environ.get(PASSWORD_VARIABLE),
            named=named,
        )
        with contextlib.closing(self._run(job, _content(model), sources)) as chunks:
            for chunk, batch in chunks:
                if batch is not None:
                    database.add(job.run_id, batch.results, part=chunk.number)
                assert chunk.report is not None
                yield chunk.report

    def _run(
        self, job: Job, model: bytes, sources: Iterable[Source], *, in_order: bool = False
    ) -> Generator[tuple[Chunk, Batch | None], None, None]:
        """Yield chunks once they are read, with their results unless those are stored already.

        Not stored is also what a chunk holds that kept crashing what reads it.
        With `in_order` no chunk starts that is far ahead of the oldest one on its way, so that
        few have to wait for it.
        """
        flights = Flights(self._ray, job, model, self.cores)
        chunks = numbered_chunks(sources, job.options.batch_size, job.first_part)
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

    def _count(self, chunk: Chunk) -> None:
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


def _job(model: Model, options: ReadingOptions) -> Job:
    """Return what the nodes should know, as long as they store nothing."""
    return Job(os.getcwd(), str(model.path), model.sha256, options)


def _content(model: Model) -> bytes:
    try:
        return model.path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"The model '{model.path}' cannot be read: {error.strerror}: check --model."
        ) from None


@contextlib.contextmanager
def _own_handler_kept() -> Iterator[None]:
    """Put back what SIGTERM does: Ray would end the program without a word of how to go on."""
    if threading.current_thread() is not threading.main_thread():  # where none can be set
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


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
