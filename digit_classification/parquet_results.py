"""Results as a Parquet dataset, in a folder or an object store, for runs of any size.

    parquet:results      parquet:s3://bucket/results      parquet:gs://…      parquet:az://…

    run_id=20261122-185501-a3f9cd21b/_run.json         a run: what, when, how it ended
    run_id=20261122-185501-a3f9cd21b/part-00000007-5d41402abc4b2a76.parquet     its results

pyarrow, DuckDB and Spark read the folders as a Hive-partitioned table; its columns are those of
`classified_images`.  A part is written whole or not at all, and never twice: its name is made of
its number and of the paths in it, and a name that is there already is left as it is.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import datetime, timezone
from types import TracebackType
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np

from digit_classification.database_errors import DatabaseError, Unavailable, until_available
from digit_classification.object_store import (
    INSTALL,
    StoreError,
    StoreUnavailable,
    is_url,
    open_bucket,
    reporting,
    split_url,
)
from digit_classification.records import (
    Result,
    Run,
    RunCounts,
    RunInfo,
    StoredResult,
    now,
    path_key,
)
from digit_classification.sources import escape_undecodable

PREFIX = "parquet:"
KEY_BYTES = 16  # of a path's SHA-256, kept in memory of a resumed run: no two paths share them
FOOTER = 2**16  # bytes at the end of a part: more than its footer has
READERS = 32  # parts whose ends are fetched at a time
_RUN_FILE = "_run.json"
_PART = re.compile(r"part-(\d{8,})-[0-9a-f]{16}\.parquet")
_TIME = "%Y-%m-%d %H:%M:%S"

T = TypeVar("T")


class _Part(NamedTuple):
    """A file of results; parts sort in the order in which they were numbered."""

    number: int
    path: str
    size: int  # bytes


class ParquetDataset:
    """The results of all runs, with the methods of `ResultsDatabase`; made by `open`.

    Every method raises `DatabaseError`.  What is stored cannot be changed, so there is no
    `set_sorted_to`.
    """

    def __init__(
        self,
        url: str,
        store: Any,
        base: str,
        retry_seconds: float,
        notice: Callable[[str], None],
    ) -> None:
        self.url = url
        self._store = store
        self._base = base
        self._retry_seconds = retry_seconds
        self._notice = notice
        self._next_part: dict[str, int] = {}  # by run
        self._keys: dict[str, np.ndarray] = {}  # by run: what it had when it was resumed

    @classmethod
    def open(
        cls,
        url: str,
        *,
        read_only: bool = False,
        retry_seconds: float = 0,
        notice: Callable[[str], None] = lambda text: None,
    ) -> ParquetDataset:
        """Open the dataset at `parquet:PATH` or `parquet:URL`, and make its folder if need be.

        Raises DatabaseError if pyarrow or obstore is missing, or there is no such place.
        """
        place = url.removeprefix(PREFIX)
        try:
            import pyarrow.parquet  # noqa: F401
            from obstore.store import LocalStore
        except ImportError as error:
            raise DatabaseError(
                f"Database {url}: it needs {error.name or 'pyarrow'}: {INSTALL}."
            ) from None
        if not place:
            raise DatabaseError(
                f"Database {url}: name a folder or a URL, such as parquet:results or"
                " parquet:s3://bucket/results."
            )
        if is_url(place):
            try:
                root, base = split_url(place)
                store = open_bucket(root)
            except StoreError as error:
                raise DatabaseError(f"Database {url}: {error}.") from None
            return cls(url, store, base, retry_seconds, notice)
        folder = os.path.abspath(place)
        if read_only and not os.path.isdir(folder):
            raise DatabaseError(f"Database {url}: there is no such folder.")
        try:
            os.makedirs(folder, exist_ok=True)
            store = LocalStore(folder)
        except OSError as error:
            raise DatabaseError(
                f"Database {url}: the folder cannot be made ({error.strerror}); name another."
            ) from None
        return cls(url, store, "", retry_seconds, notice)

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

    def close(self) -> None:
        """There is nothing to close: no connection is kept."""

    # ------------------------------------------------------------------------------------ runs

    def start_run(self, info: RunInfo) -> str:
        """Record a run as running and return its id; a run that is there already stays as it is."""
        self._create(self._run_file(info.id), _run_json(Run(info, "running", None, None)))
        return info.id

    def reopen_run(self, run_id: str) -> None:
        """Record a run as running again."""
        run = self._known(run_id)
        self._replace(self._run_file(run_id), _run_json(Run(run.info, "running", None, None)))

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
        info = self._known(run_id).info
        counts = self._count(run_id)
        content = _run_json(Run(info, state, now(), counts))
        self._replace(self._run_file(run_id), content, wait=wait)
        return counts

    def runs(self) -> list[Run]:
        """All runs, the newest first."""
        found = self._do(lambda: self._store.list_with_delimiter(self._base or None))
        names = (prefix.rpartition("/")[2] for prefix in found["common_prefixes"])
        ids = (name.removeprefix("run_id=") for name in names if name.startswith("run_id="))
        runs = [run for run_id in ids if (run := self.run(run_id)) is not None]
        return sorted(runs, key=lambda run: (run.info.started_at, run.info.id), reverse=True)

    def run(self, run_id: str) -> Run | None:
        """The run of that identity, if there is one."""
        if not re.fullmatch(r"[\w-]+", run_id):
            return None
        content = self._read(self._run_file(run_id))
        return None if content is None else self._parse_run(run_id, content)

    def latest_unfinished_run(self) -> Run | None:
        """The newest run that was interrupted, failed, or never closed, if there is one."""
        return next((run for run in self.runs() if run.state != "finished"), None)

    def _known(self, run_id: str) -> Run:
        run = self.run(run_id)
        if run is None:
            raise DatabaseError(f"Database {self.url}: there is no run {run_id!r}.")
        return run

    def _parse_run(self, run_id: str, content: bytes) -> Run:
        try:
            values = json.loads(content)
            finished, counts = values.pop("finished_at"), values.pop("counts")
            state, started = values.pop("state"), _parse_time(values.pop("started_at"))
            info = RunInfo(**values, started_at=started)
            return Run(
                info,
                state,
                _parse_time(finished) if finished else None,
                RunCounts(**counts) if counts else None,
            )
        except (ValueError, TypeError, KeyError) as error:
            raise DatabaseError(
                f"Database {self.url}: {self._run_file(run_id)} cannot be understood ({error!r});"
                " restore it, or name another dataset."
            ) from None

    # --------------------------------------------------------------------------------- results

    def add(self, run_id: str, rows: Sequence[Result], part: int | None = None) -> int:
        """Store the results of a run as one part: all of them or none.

        A part of the same number and paths that is there already is left as it is.  Without a
        number the part follows the last one.

        Returns:
            How many rows were new.
        """
        if not rows:
            return 0
        if part is None:
            part = self._next_part.get(run_id)
            part = self.next_part(run_id) if part is None else part
            self._next_part[run_id] = part + 1
        keys = "".join(path_key(row.path) for row in rows)
        name = f"part-{part:08d}-{hashlib.sha256(keys.encode()).hexdigest()[:16]}.parquet"
        new = self._create(f"{self._folder(run_id)}/{name}", _as_parquet(rows))
        return len(rows) if new else 0

    def next_part(self, run_id: str) -> int:
        """The number that follows those of the parts that the run has."""
        return max((part.number for part in self._parts(run_id)), default=-1) + 1

    def rows(self, run_id: str) -> Iterator[StoredResult]:
        """The rows of a run in the order of its parts, read part by part."""
        numbers = itertools.count(1)
        for part in self._parts(run_id):
            for row in self._table(part).to_pylist():
                yield _stored_result(next(numbers), run_id, row)

    def stored(self, run_id: str, paths: Sequence[str]) -> set[str]:
        """Those of `paths` that the run had results of when it was first asked."""
        if run_id not in self._keys:
            self._keys[run_id] = self._path_keys(run_id)
        keys = self._keys[run_id]
        if not len(keys):
            return set()
        wanted = np.array([_short(path_key(path)) for path in paths], f"S{KEY_BYTES}")
        places = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
        return {path for path, hit in zip(paths, keys[places] == wanted, strict=True) if hit}

    def _path_keys(self, run_id: str) -> np.ndarray:
        """The keys of all stored paths, sorted: 1.6 GB of a hundred million."""
        columns = [
            np.array([_short(key.as_py()) for key in self._table(part, "path_key")["path_key"]])
            for part in self._parts(run_id)
        ]
        return np.sort(np.concatenate(columns).astype(f"S{KEY_BYTES}")) if columns else np.array([])

    def _parts(self, run_id: str) -> list[_Part]:
        listing = self._do(lambda: self._store.list(self._folder(run_id)).collect())
        parts = []
        for each in listing:
            if match := _PART.fullmatch(each["path"].rpartition("/")[2]):
                parts.append(_Part(int(match[1]), each["path"], each["size"]))
        return sorted(parts)

    def _table(self, part: _Part, *columns: str) -> Any:
        import pyarrow.parquet

        content = self._read(part.path)
        try:
            return pyarrow.parquet.read_table(io.BytesIO(content or b""), columns=columns or None)
        except (ValueError, OSError) as error:  # pyarrow's own errors are of these kinds
            raise DatabaseError(
                f"Database {self.url}: {part.path} cannot be read ({str(error)[:200]});"
                " restore it, or delete it and resume the run."
            ) from None

    def _count(self, run_id: str) -> RunCounts:
        """Add up the counts that each part has in its footer."""
        import pyarrow.parquet

        def count(part: _Part) -> Counter[str]:
            start = max(0, part.size - FOOTER)
            end = self._do(
                lambda: self._store.get_range(part.path, start=start, length=part.size - start)
            )
            metadata = pyarrow.parquet.read_metadata(io.BytesIO(bytes(end))).metadata
            return Counter(json.loads(metadata[b"statuses"]))

        total: Counter[str] = Counter()
        with ThreadPoolExecutor(READERS) as readers:
            for counted in readers.map(count, self._parts(run_id)):
                total += counted
        statuses = (total[status] for status in ("ok", "uncertain", "rejected", "error"))
        return RunCounts(total.total(), *statuses)

    # ------------------------------------------------------------------------------- the store

    def _folder(self, run_id: str) -> str:
        return "/".join(filter(None, (self._base, f"run_id={run_id}")))

    def _run_file(self, run_id: str) -> str:
        return f"{self._folder(run_id)}/{_RUN_FILE}"

    def _read(self, path: str) -> bytes | None:
        """Return a file's content; None if there is none."""

        def read() -> bytes | None:
            try:
                return bytes(self._store.get(path).bytes())
            except FileNotFoundError:
                return None

        return self._do(read)

    def _create(self, path: str, content: bytes) -> bool:
        """Write a file unless there is one of its name; return whether it was written."""
        from obstore.exceptions import AlreadyExistsError

        def create() -> bool:
            try:
                self._store.put(path, content, mode="create")
            except AlreadyExistsError:
                return False
            return True

        return self._do(create)

    def _replace(self, path: str, content: bytes, *, wait: bool = True) -> None:
        self._do(lambda: self._store.put(path, content), wait=wait)

    def _do(self, work: Callable[[], T], *, wait: bool = True) -> T:
        def attempt() -> T:
            try:
                with reporting(self.url.removeprefix(PREFIX)):
                    return work()
            except StoreUnavailable as error:
                raise Unavailable(f"Database {self.url}: {error}.") from None
            except StoreError as error:
                raise DatabaseError(f"Database {self.url}: {error}.") from None

        return until_available(attempt, self._retry_seconds if wait else 0, self._notice)


def _as_parquet(rows: Sequence[Result]) -> bytes:
    """Return the file of some results, with the counts of their statuses in its footer."""
    import pyarrow
    import pyarrow.parquet

    text, number = pyarrow.string(), pyarrow.float64()
    stamp = datetime.now(timezone.utc).replace(microsecond=0)
    columns: dict[str, tuple[Any, list[Any]]] = {
        "timestamp": (pyarrow.timestamp("s", tz="UTC"), [stamp] * len(rows)),
        "digit": (pyarrow.int8(), [None if row.digit is None else int(row.digit) for row in rows]),
        "confidence": (number, [row.confidence for row in rows]),
        "status": (text, [row.status for row in rows]),
        "reason": (text, [_escaped(row.reason) for row in rows]),
        "folder_name": (text, [_escaped(row.folder_name) for row in rows]),
        "file_name": (text, [_escaped(row.file_name) for row in rows]),
        "path": (text, [_escaped(row.path) for row in rows]),
        "path_key": (text, [path_key(row.path) for row in rows]),
        "image_sha256": (text, [row.image_sha256 for row in rows]),
        "sorted_to": (text, [_escaped(row.sorted_to) for row in rows]),
    }
    for digit in range(10):
        values = [None if row.probabilities is None else row.probabilities[digit] for row in rows]
        columns[f"p{digit}"] = (number, values)
    table = pyarrow.table(
        {name: pyarrow.array(values, type=kind) for name, (kind, values) in columns.items()}
    ).replace_schema_metadata({"statuses": json.dumps(Counter(row.status for row in rows))})
    stream = io.BytesIO()
    pyarrow.parquet.write_table(table, stream, compression="zstd")
    return stream.getvalue()


def _escaped(name: str | None) -> str | None:
    return None if name is None else escape_undecodable(name)


def _stored_result(number: int, run_id: str, row: dict[str, Any]) -> StoredResult:
    probabilities = tuple(row.pop(f"p{digit}") for digit in range(10))
    row["timestamp"] = row["timestamp"].strftime(_TIME)
    return StoredResult(
        id=number,
        run_id=run_id,
        probabilities=None if probabilities[0] is None else probabilities,
        **row,
    )


def _short(key: str) -> bytes:
    return bytes.fromhex(key)[:KEY_BYTES]


def _run_json(run: Run) -> bytes:
    info = run.info
    values = {
        "id": info.id,
        "state": run.state,
        "started_at": info.started_at.strftime(_TIME),
        "finished_at": run.finished_at.strftime(_TIME) if run.finished_at else None,
        "sources": list(info.sources),
        "model_path": escape_undecodable(info.model_path),
        "model_sha256": info.model_sha256,
        "model_version": info.model_version,
        "program_version": info.program_version,
        "settings": dict(info.settings),
        "counts": asdict(run.counts) if run.counts else None,
    }
    return json.dumps(values, indent=2).encode()  # ASCII escapes keep undecodable names exactly


def _parse_time(text: str) -> datetime:
    return datetime.strptime(text, _TIME).replace(tzinfo=timezone.utc)
