"""What the nodes of a cluster do: read a chunk of pictures, and store what they read."""

from __future__ import annotations

import hashlib
import os
import pickle
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2

from digit_classification.detection.cluster.error import ClusterError
from digit_classification.detection.reading import Batch, ReadingOptions, read_and_judge
from digit_classification.detection.summary import Summary
from digit_classification.network.model_file import Model, load_model
from digit_classification.pictures.sources import Source
from digit_classification.results.opening import Database, is_parquet, open_database
from digit_classification.results.records import Result
from digit_classification.settings import DatabaseSettings


@dataclass(frozen=True)
class Job:
    """What the nodes should know of a run."""

    folder: str  # the working directory of the run
    model_path: str  # for messages
    model_sha256: str
    options: ReadingOptions
    first_part: int = 0  # the number of the first chunk
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
class ChunkReport:
    """What a node tells of a chunk that it has read."""

    node: str
    seconds: float
    summary: Summary
    strays: list[str]


_models: dict[str, Model] = {}  # of this process, by the checksum of the file
_databases: dict[str, Database] = {}  # of this process, by URL


def read_chunk(job: Job, model: list[Any], number: int, packed: bytes) -> tuple[Any, ChunkReport]:
    """Read and judge a chunk, and store it if that is a reader's task.

    `model` holds a reference to the model file's bytes, which a node fetches once; `packed` is what
    `pack` made of the chunk's sources.

    Returns:
        The chunk's results: a Batch if they go where the run was started, a list of Result if a
        writer stores them, else None.  And the report, which is small.
    """
    begin = time.monotonic()
    cv2.setNumThreads(1)  # a task has one core
    loaded = _model(job, model)
    batch = Batch.of(
        read_and_judge(
            [_seen_from(job.folder, source) for source in pickle.loads(packed)],
            loaded.network,
            loaded.judge,
            job.options,
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
    return rows, ChunkReport(_this_node(), time.monotonic() - begin, summary, batch.strays)


def pack(sources: Sequence[Source]) -> bytes:
    """Return sources as one piece: Ray would wrap each of them, for half of the driver's time."""
    return pickle.dumps(sources, protocol=5)


def _seen_from(folder: str, source: Source) -> Source:
    """Return a source that means here what it means in `folder`; its name stays."""
    if source.remote or os.path.isabs(source.path):
        return source
    return replace(source, path=os.path.join(folder, source.path))


def _model(job: Job, model: list[Any]) -> Model:
    if job.model_sha256 not in _models:
        import ray

        content = ray.get(model[0])
        if hashlib.sha256(content).hexdigest() != job.model_sha256:
            raise ClusterError(
                f"The model '{job.model_path}' has changed on its way to a node: resume the run."
            )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.keras"
            path.write_bytes(content)
            _models[job.model_sha256] = load_model(path)
    return _models[job.model_sha256]


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
