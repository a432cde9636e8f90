"""Results as Parquet files, for runs that no single database should take.

    parquet:results     parquet:/data/results     parquet:s3://bucket/results     gs://…, az://…

    with ParquetDataset.open("parquet:s3://bucket/results") as database:
        run_id = database.start_run(RunInfo(sources=["s3://bucket/scans"], model_path="d.keras"))
        database.add(run_id, [Result("s3://bucket/scans/7.png", "ok", digit=7)], part=0)
        database.finish_run(run_id, "finished")

What `results.ResultsDatabase` keeps in two tables is here, under the URL,

    run_id=20261122-185501-a3f9cd21b/_run.json
    run_id=20261122-185501-a3f9cd21b/part-00000012-980.10.5.5-9f86d081884c7d65.parquet

These are Hive partitions: pyarrow.dataset, DuckDB and Spark read all of them as one table, with
the columns of `classified_images` (without `id`) and the run's identity.

A file appears whole or not at all.  The name of a part holds its place in the run, its numbers of
`ok`, `uncertain`, `rejected` and `error`, so that counting a run takes a listing, and a digest of
the images' paths: a part that is stored twice is there once.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

import numpy as np

from digit_classification.config import PARQUET
from digit_classification.detection.sorting import sync_folder
from digit_classification.pictures.object_store import (
    INSTALL,
    PAGE,
    NotFound,
    StoreError,
    StoreUnavailable,
    is_url,
    open_bucket,
    reporting,
    split_url,
)
from digit_classification.pictures.sources import escape_undecodable
from digit_classification.results.errors import DatabaseError, Unavailable, until_available
from digit_classification.results.records import (
    Result,
    Run,
    RunCounts,
    RunInfo,
    StoredResult,
    now,
    path_key,
)

RUN_FILE = "_run.json"  # Hive's readers skip what begins with _
RUN_FOLDER = re.compile(r"run_id=([A-Za-z0-9][A-Za-z0-9._-]{0,63})")
PART = re.compile(r"part-(\d{8,})-(\d+)\.(\d+)\.(\d+)\.(\d+)-([0-9a-f]{16})\.parquet")
READERS = 32  # threads that wait for files of a store
KEY_BYTES = 16  # of an image's SHA-256, in memory: 100 million take 1.6 GB, and no two are the same
PROBABILITIES = tuple(f"p{digit}" for digit in range(10))
COLUMNS = (
    *("timestamp", "digit", "confidence", "status", "reason", "folder_name", "file_name", "path"),
    *("path_key", "image_sha256", "sorted_to"),
    *PROBABILITIES,
)

T = TypeVar("T")


class ParquetDataset:
    """The results of all runs; made by `open`, closed by `close` or at the end of a `with`.

    Its methods are those of `ResultsDatabase`, and raise `DatabaseError`.  Where a picture is
    sorted to cannot be recorded later.  Several processes may add parts to a run at a time, if
    each part has a number of its own; use one object from one thread.
    """

    def __init__(
        self,
        url: str,
        place: _Place,
        retry_seconds: float = 0,
        notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._url = url
        self._place = place
        self._retry_seconds = retry_seconds
        self._notice = notice
        self._added: tuple[str, set[str], int] | None = None  # run, digests, next part's number
        self._keys: tuple[str, np.ndarray] | None = None  # run, its images' keys, sorted

    @classmethod
    def open(
        cls,
        url: str,
        *,
        read_only: bool = False,
        retry_seconds: float = 0,
        notice: Callable[[str], None] = lambda _: None,
    ) -> ParquetDataset:
        """Open the dataset at `parquet:` and a folder, or an object store's URL.

        Args:
            url: see the module's docstring; a folder's path is taken literally.
            read_only: make nothing, not even a missing folder.
            retry_seconds: how long to wait, once open, for a store that went away.
            notice: what to do with a sentence about that waiting.

        Raises:
            DatabaseError: the URL is none, the place cannot be used, or pyarrow is missing.
        """
        where = url.removeprefix(PARQUET)
        if where == url or not where or ("://" in where and not is_url(where)):
            # Not repeated: it may hold a password.
            raise DatabaseError(
                f"The database URL is no valid {PARQUET} URL; write it like {PARQUET}results or"
                f" {PARQUET}s3://bucket/results."
            )
        _check_pyarrow(url)
        if not is_url(where):
            folder = Path(where).absolute()
            dataset = cls(url, _Folder(folder), retry_seconds, notice)
            dataset._check_folder(folder, must_exist=read_only)
            return dataset
        try:
            place = _Bucket(where)
        except StoreError as error:
            raise DatabaseError(f"The database URL is not valid: {error}.") from None
        dataset = cls(url, place, retry_seconds, notice)
        dataset._do(place.folders, wait=False)
        return dataset

    def _check_folder(self, folder: Path, *, must_exist: bool) -> None:
        if folder.exists() and not folder.is_dir():
            raise DatabaseError(f"Database {self.url}: this is no folder; choose another name.")
        if not must_exist:
            self._do(lambda: folder.mkdir(parents=True, exist_ok=True))
        elif not folder.exists():
            raise DatabaseError(
                f"Database {self.url}: there is no such folder; correct the URL or store results"
                " in it first."
            )

    def __enter__(self) -> ParquetDataset:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"ParquetDataset({self.url!r})"

    @property
    def url(self) -> str:
        """Where the dataset is, for messages."""
        return self._url

    def close(self) -> None:
        """Forget what was read; nothing else is open."""
        self._added = self._keys = None

    def start_run(self, info: RunInfo) -> str:
        """Record a run as running and return its id; a run that is there already stays as it is."""
        self._folder(info.id)
        if self.run(info.id) is None:
            self._write_run(Run(info, "running", finished_at=None, counts=None))
        return info.id

    def reopen_run(self, run_id: str) -> None:
        """Record a run as running again."""
        run = self.run(run_id)
        if run is not None:
            self._write_run(replace(run, state="running", finished_at=None, counts=None))

    def add(self, run_id: str, rows: Sequence[Result], part: int | None = None) -> int:
        """Store results of a run as one part: all of them or none.

        `part` is its number, 0 and up, where several processes add parts: a repeated call with
        the same images replaces the part.  Without it the part comes after those there, and one
        with the same images is left as it is.  Parts of 1,000 rows and more are fast.

        Returns:
            How many rows were stored.
        """
        images: dict[str, Result] = {}
        for row in rows:
            images.setdefault(path_key(row.path), row)
        if not images:
            return 0
        digest = hashlib.sha256("".join(images).encode()).hexdigest()[:16]
        number = self._new_number(run_id, digest) if part is None else part
        if number is None:
            return 0
        statuses = Counter(row.status for row in images.values())
        counts = ".".join(str(statuses[s]) for s in ("ok", "uncertain", "rejected", "error"))
        name = f"{self._folder(run_id)}/part-{number:08}-{counts}-{digest}.parquet"
        content = _parquet(images)
        self._do(lambda: self._place.write(name, content))
        if part is None and self._added is not None:
            self._added[1].add(digest)  # not before: a part that failed may be added again
        return len(images)

    def _new_number(self, run_id: str, digest: str) -> int | None:
        """The number of a new part, or None if there is one of this digest."""
        if self._added is None or self._added[0] != run_id:
            parts = self._parts(run_id)
            self._added = (run_id, {part.digest for part in parts}, _next(parts))
        _, digests, number = self._added
        if digest in digests:
            return None
        self._added = (run_id, digests, number + 1)
        return number

    def next_part(self, run_id: str) -> int:
        """The number after that of the last part of a run: for a caller who numbers parts."""
        return _next(self._parts(run_id))

    def finish_run(
        self,
        run_id: str,
        state: Literal["finished", "interrupted", "failed"],
        *,
        wait: bool = True,
    ) -> RunCounts:
        """Close a run: record its state, the time, and the counts of its stored images.

        `wait=False` does not wait for a store that is away: for a program that must end.
        """
        run = self.run(run_id, wait=wait)
        if run is None:
            raise DatabaseError(
                f"Database {self.url}: there is no run {run_id!r}; start it before closing it."
            )
        parts = self._parts(run_id, wait=wait)
        kept = _each_once(parts)
        for part in set(parts) - set(kept):
            self._do(partial(self._place.delete, part.name), wait=wait)
        sums = [sum(part.counts[i] for part in kept) for i in range(4)]
        counts = RunCounts(sum(sums), *sums)
        self._write_run(replace(run, state=state, finished_at=now(), counts=counts), wait=wait)
        return counts

    def runs(self) -> list[Run]:
        """All runs, the newest first."""
        names = self._do(self._place.folders)
        ids = [match[1] for match in map(RUN_FOLDER.fullmatch, names) if match]
        with ThreadPoolExecutor(READERS) as readers:
            found = [run for run in readers.map(self.run, ids) if run is not None]
        return sorted(found, key=lambda run: (run.info.started_at, run.info.id), reverse=True)

    def run(self, run_id: str, *, wait: bool = True) -> Run | None:
        """The run of that identity, if there is one."""
        if not RUN_FOLDER.fullmatch(f"run_id={run_id}"):
            return None
        name = f"{self._folder(run_id)}/{RUN_FILE}"
        content = self._do(partial(self._place.read, name), wait=wait)
        if content is None:
            return None
        try:
            return _parse_run(content)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._damaged(name) from error

    def latest_unfinished_run(self) -> Run | None:
        """The newest run that was interrupted, failed, or never closed, if there is one."""
        return next((run for run in self.runs() if run.state != "finished"), None)

    def rows(self, run_id: str) -> Iterator[StoredResult]:
        """The rows of a run in the order of its parts, read part by part.

        `id` is the row's place in the run, from 1.
        """
        number = 0
        for part in _each_once(self._parts(run_id)):
            columns = self._read_part(part, COLUMNS)
            # Without its zone: a table of zones, which Windows lacks, would be looked up.
            columns["timestamp"] = columns["timestamp"].cast("timestamp[ms]")
            for values in zip(*(c.to_pylist() for c in columns.values()), strict=True):
                number += 1
                yield _stored_result(number, run_id, values)

    def stored(self, run_id: str, paths: Sequence[str]) -> set[str]:
        """Those of these paths that the run has a row of.

        The run's keys are read by the first call, 16 bytes a row; what is added later is not seen.
        """
        if self._keys is None or self._keys[0] != run_id:
            self._keys = (run_id, self._read_keys(run_id))
        keys = self._keys[1]
        if not len(keys) or not paths:
            return set()
        wanted = _short_keys(map(path_key, paths))
        places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return {path for path, found in zip(paths, keys[places] == wanted, strict=True) if found}

    def _read_keys(self, run_id: str) -> np.ndarray:
        """The beginnings of all path keys of a run, sorted; (n,) S16."""
        parts = _each_once(self._parts(run_id))
        ends = np.cumsum([part.rows for part in parts], dtype=np.int64).tolist()
        keys = np.empty(ends[-1] if ends else 0, f"S{KEY_BYTES}")

        def read(part: _Part, end: int) -> None:
            column = self._read_part(part, ["path_key"])["path_key"]
            keys[end - part.rows : end] = _short_keys(column.to_pylist())

        with ThreadPoolExecutor(READERS) as readers:
            for _ in readers.map(read, parts, ends):
                pass
        keys.sort()
        return keys

    def _folder(self, run_id: str) -> str:
        if not RUN_FOLDER.fullmatch(f"run_id={run_id}"):
            raise DatabaseError(f"Database {self.url}: {run_id!r} is no name for a run.")
        return f"run_id={run_id}"

    def _parts(self, run_id: str, *, wait: bool = True) -> list[_Part]:
        """The parts of a run, in order."""
        folder = self._folder(run_id)
        names = self._do(partial(self._place.files, folder), wait=wait)
        return sorted(_part(folder, match) for match in map(PART.fullmatch, names) if match)

    def _read_part(self, part: _Part, columns: Sequence[str]) -> dict[str, Any]:
        """Columns of a part by name, as pyarrow has them."""
        import pyarrow
        import pyarrow.parquet

        content = self._do(partial(self._place.read, part.name))
        if content is None:
            raise DatabaseError(f"Database {self.url}: {part.name} is gone; restore it.")
        try:
            table = pyarrow.parquet.read_table(io.BytesIO(content), columns=list(columns))
        except (pyarrow.ArrowException, OSError) as error:
            raise self._damaged(part.name) from error
        if not set(columns) <= set(table.column_names) or len(table) != part.rows:
            raise self._damaged(part.name)
        return {name: table[name] for name in columns}

    def _damaged(self, name: str) -> DatabaseError:
        return DatabaseError(
            f"Database {self.url}: {name} is damaged; restore a copy, or move it away."
        )

    def _write_run(self, run: Run, *, wait: bool = True) -> None:
        name, content = f"{self._folder(run.info.id)}/{RUN_FILE}", _run_json(run)
        self._do(partial(self._place.write, name, content), wait=wait)

    def _do(self, work: Callable[[], T], *, wait: bool = True) -> T:
        """Do `work`, again where that may help."""

        def attempt() -> T:
            try:
                return work()
            except StoreUnavailable as error:
                raise Unavailable(f"Database {self.url}: {error}.") from error
            except StoreError as error:
                raise DatabaseError(f"Database {self.url}: {error}.") from error
            except OSError as error:
                raise DatabaseError(
                    f"Database {self.url}: {error.strerror}; correct the URL or the permissions,"
                    " or make room on the disk."
                ) from error

        return until_available(attempt, self._retry_seconds if wait else 0, self._notice)


# --- Files ----------------------------------------------------------------------------------------


class _Part(NamedTuple):
    """A file with rows, as its name tells."""

    number: int
    name: str
    counts: tuple[int, ...]  # ok, uncertain, rejected, error
    digest: str

    @property
    def rows(self) -> int:
        return sum(self.counts)


def _part(folder: str, match: re.Match[str]) -> _Part:
    number, *counts, digest = match.groups()
    return _Part(int(number), f"{folder}/{match[0]}", tuple(map(int, counts)), digest)


def _next(parts: Sequence[_Part]) -> int:
    return max((part.number + 1 for part in parts), default=0)


def _each_once(parts: Sequence[_Part]) -> list[_Part]:
    """Leave out a part that was stored twice with other counts: a picture changed meanwhile."""
    first: dict[str, _Part] = {}
    for part in parts:
        first.setdefault(part.digest, part)
    return list(first.values())


class _Place(Protocol):
    """What differs between a folder and an object store; names are below the dataset's URL."""

    def folders(self) -> list[str]:
        """The names of the folders there."""

    def files(self, folder: str) -> list[str]:
        """The names of the files in a folder; none if there is no such folder."""

    def read(self, name: str) -> bytes | None:
        """The content of a file, or None if there is none."""

    def write(self, name: str, content: bytes) -> None:
        """Let a file appear whole, in place of one that is there."""

    def delete(self, name: str) -> None:
        """Delete a file, if it is there."""


class _Folder:
    """A folder on a disk, or one that machines share."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def folders(self) -> list[str]:
        with os.scandir(self._root) as entries:
            return [entry.name for entry in entries if entry.is_dir()]

    def files(self, folder: str) -> list[str]:
        try:
            return os.listdir(self._root / folder)
        except FileNotFoundError:
            return []

    def read(self, name: str) -> bytes | None:
        try:
            return (self._root / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Write under a hidden name, which all readers skip, and rename once it is on the disk."""
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        hidden = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
        try:
            with open(hidden, "xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(hidden, path)
        finally:
            hidden.unlink(missing_ok=True)
        sync_folder(str(path.parent))

    def delete(self, name: str) -> None:
        (self._root / name).unlink(missing_ok=True)


class _Bucket:
    """A place in an object store, whose objects appear whole."""

    def __init__(self, url: str) -> None:
        self._bucket, self._prefix = split_url(url)

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}".strip("/")

    def folders(self) -> list[str]:
        with reporting(self._bucket):
            found = open_bucket(self._bucket).list_with_delimiter(self._prefix or None)
        return [prefix.rpartition("/")[2] for prefix in found["common_prefixes"]]

    def files(self, folder: str) -> list[str]:
        with reporting(self._bucket):
            pages = open_bucket(self._bucket).list(self._key(folder), chunk_size=PAGE)
            return [each["path"].rpartition("/")[2] for page in pages for each in page]

    def read(self, name: str) -> bytes | None:
        try:
            with reporting(self._bucket):
                return bytes(open_bucket(self._bucket).get(self._key(name)).bytes())
        except NotFound:
            return None

    def write(self, name: str, content: bytes) -> None:
        with reporting(self._bucket):
            # In one request: an upload in pieces that is cut off would leave them in the bucket.
            open_bucket(self._bucket).put(self._key(name), content, use_multipart=False)

    def delete(self, name: str) -> None:
        with reporting(self._bucket):
            open_bucket(self._bucket).delete(self._key(name))


# --- Content --------------------------------------------------------------------------------------


def _check_pyarrow(url: str) -> None:
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise DatabaseError(f"Database {url}: it needs pyarrow ({INSTALL}).") from None


def _parquet(images: dict[str, Result]) -> bytes:
    """The content of a part: results by path key; values equal those of the SQL databases."""
    import pyarrow
    import pyarrow.parquet

    types = {
        **dict.fromkeys(COLUMNS, pyarrow.string()),
        "timestamp": pyarrow.timestamp("ms", "UTC"),
        "digit": pyarrow.int8(),
        "confidence": pyarrow.float64(),
        **dict.fromkeys(PROBABILITIES, pyarrow.float64()),
    }
    timestamp = now()
    rows = [_values(timestamp, key, row) for key, row in images.items()]
    columns = zip(*rows, strict=True)
    table = pyarrow.table(
        {
            name: pyarrow.array(column, types[name])
            for name, column in zip(COLUMNS, columns, strict=True)
        }
    )
    stream = io.BytesIO()
    pyarrow.parquet.write_table(
        table,
        stream,
        compression="zstd",
        use_dictionary=["timestamp", "digit", "status", "reason", "folder_name", "sorted_to"],
    )
    return stream.getvalue()


def _values(timestamp: datetime, key: str, row: Result) -> tuple[Any, ...]:
    """The values of COLUMNS; float() and int() make NumPy's scalars plain ones."""
    return (
        timestamp,
        None if row.digit is None else int(row.digit),
        None if row.confidence is None else float(row.confidence),
        row.status,
        None if row.reason is None else escape_undecodable(row.reason),
        escape_undecodable(row.folder_name),
        escape_undecodable(row.file_name),
        escape_undecodable(row.path),
        key,
        row.image_sha256,
        None if row.sorted_to is None else escape_undecodable(row.sorted_to),
        *((None,) * 10 if row.probabilities is None else map(float, row.probabilities)),
    )


def _stored_result(number: int, run_id: str, values: Sequence[Any]) -> StoredResult:
    timestamp, digit, confidence, status, reason, folder_name, file_name, path = values[:8]
    key, image_sha256, sorted_to, *probabilities = values[8:]
    return StoredResult(
        id=number,
        run_id=run_id,
        timestamp=f"{timestamp:%Y-%m-%d %H:%M:%S}",
        digit=digit,
        confidence=confidence,
        status=status,
        reason=reason,
        folder_name=folder_name,
        file_name=file_name,
        path=path,
        path_key=key,
        image_sha256=image_sha256,
        sorted_to=sorted_to,
        probabilities=None if None in probabilities else tuple(probabilities),
    )


def _short_keys(keys: Iterable[str]) -> np.ndarray:
    """The first bytes of path keys in hexadecimal; (n,) S16."""
    joined = "".join(key[: 2 * KEY_BYTES] for key in keys)
    return np.frombuffer(bytes.fromhex(joined), f"S{KEY_BYTES}")


def _run_json(run: Run) -> bytes:
    info = {
        **asdict(run.info),
        "sources": list(run.info.sources),  # ASCII escapes keep undecodable names exactly
        "model_path": escape_undecodable(run.info.model_path),
        "started_at": run.info.started_at.isoformat(),
    }
    content = {
        "state": run.state,
        "finished_at": run.finished_at and run.finished_at.isoformat(),
        "counts": run.counts and asdict(run.counts),
        **info,
    }
    return json.dumps(content, indent=2, sort_keys=True).encode()


def _parse_run(content: bytes) -> Run:
    values = json.loads(content)
    state, finished_at, counts = (values.pop(key) for key in ("state", "finished_at", "counts"))
    started_at = datetime.fromisoformat(values.pop("started_at"))
    sources = tuple(values.pop("sources"))
    return Run(
        info=RunInfo(**values, started_at=started_at, sources=sources),
        state=state,
        finished_at=finished_at and datetime.fromisoformat(finished_at),
        counts=counts and RunCounts(**counts),
    )
