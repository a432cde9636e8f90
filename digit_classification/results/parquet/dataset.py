"""Results as Parquet files, for runs that no single database should take.

    parquet:results     parquet:/data/results     parquet:s3://bucket/results     gs://…, az://…

    with ParquetDataset.open("parquet:s3://bucket/results") as database:
        run_id = database.start_run(RunInfo(sources=["s3://bucket/scans"], model_path="d.keras"))
        database.add(run_id, [Result("s3://bucket/scans/7.png", "ok", digit=7)], part=0)
        database.finish_run(run_id, "finished")

What `results.ResultsDatabase` keeps in tables is here, under the URL,

    run_id=20261122-185501-a3f9cd21b/_run.json
    run_id=20261122-185501-a3f9cd21b/part-00000012-980.10.5.5-9f86d081884c7d65.parquet

These are Hive partitions: pyarrow.dataset, DuckDB and Spark read all of them as one table, with
the columns of `classified_images` (without `id`), the signs of numbers as the list `digits`, and
the run's identity.

A file appears whole or not at all.  The name of a part holds its place in the run, its numbers of
`ok`, `uncertain`, `rejected` and `error`, so that counting a run takes a listing, and a digest of
the images' paths: a part that is stored twice is there once.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np

from digit_classification.files import check_creatable
from digit_classification.pictures.object_store import StoreError, StoreUnavailable
from digit_classification.results.errors import DatabaseError, Unavailable, until_available
from digit_classification.results.parquet.files import (
    DIGITS,
    KEY_BYTES,
    PART,
    READERS,
    RUN_FILE,
    RUN_FOLDER,
    Bucket,
    Folder,
    Part,
    Place,
    check_pyarrow,
    each_once,
    next_number,
    parse_run,
    part_columns,
    part_content,
    part_of,
    run_content,
    short_keys,
)
from digit_classification.results.records import (
    RESULT_COLUMNS,
    Result,
    Run,
    RunCounts,
    RunInfo,
    StoredResult,
    now,
    path_key,
    stored_digit,
    stored_result,
)
from digit_classification.urls import PARQUET, in_object_store

T = TypeVar("T")


class ParquetDataset:
    """The results of all runs; made by `open`, closed by `close` or at the end of a `with`.

    Its methods are those of `ResultsDatabase`, and raise `DatabaseError`.  Where a picture is
    sorted to cannot be recorded later.  Several processes may add parts to a run at a time, if
    each part has a number of its own; use one object from one thread.
    """

    rows_can_change: ClassVar[Literal[False]] = False  # once they are stored

    def __init__(
        self,
        url: str,
        place: Place,
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
        if where == url or not where or ("://" in where and not in_object_store(where)):
            # Not repeated: it may hold a password.
            raise DatabaseError(
                f"The database URL is no valid {PARQUET} URL; write it like {PARQUET}results or"
                f" {PARQUET}s3://bucket/results."
            )
        check_pyarrow(url)
        if not in_object_store(where):
            folder = Path(where).absolute()
            dataset = cls(url, Folder(folder), retry_seconds, notice)
            dataset._check_folder(folder, must_exist=read_only)
            return dataset
        try:
            place = Bucket(where)
        except StoreError as error:
            raise DatabaseError(f"The database URL is not valid: {error}.") from None
        dataset = cls(url, place, retry_seconds, notice)
        dataset._do(place.folders, wait=False)
        return dataset

    @classmethod
    def check(cls, url: str) -> None:
        """Find out whether results could be stored there, as after `open`; change nothing.

        Raises DatabaseError as `open` does.
        """
        where = url.removeprefix(PARQUET)
        there = (
            in_object_store(where) or where in ("", url) or "://" in where or Path(where).exists()
        )
        if there:
            cls.open(url, read_only=True).close()  # or raises
        if in_object_store(where):
            return
        check_pyarrow(url)
        try:
            folder = Path(where)
            check_creatable(folder / "run" if there else folder, with_folders=not there)
        except OSError as error:
            raise DatabaseError(
                f"Database {url}: {error.strerror}; correct the URL or the permissions, or make "
                "room on the disk."
            ) from error

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
            images.setdefault(row.key, row)
        if not images:
            return 0
        digest = hashlib.sha256("".join(images).encode()).hexdigest()[:16]
        number = self._new_number(run_id, digest) if part is None else part
        if number is None:
            return 0
        statuses = Counter(row.status for row in images.values())
        counts = ".".join(str(statuses[s]) for s in ("ok", "uncertain", "rejected", "error"))
        name = f"{self._folder(run_id)}/part-{number:08}-{counts}-{digest}.parquet"
        content = part_content(images.values())
        self._do(lambda: self._place.write(name, content))
        if part is None and self._added is not None:
            self._added[1].add(digest)  # not before: a part that failed may be added again
        return len(images)

    def _new_number(self, run_id: str, digest: str) -> int | None:
        """The number of a new part, or None if there is one of this digest."""
        if self._added is None or self._added[0] != run_id:
            parts = self._parts(run_id)
            self._added = (run_id, {part.digest for part in parts}, next_number(parts))
        _, digests, number = self._added
        if digest in digests:
            return None
        self._added = (run_id, digests, number + 1)
        return number

    def next_part(self, run_id: str) -> int:
        """The number after that of the last part of a run: for a caller who numbers parts."""
        return next_number(self._parts(run_id))

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
        kept = each_once(parts)
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
            return parse_run(content)
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
        for part in each_once(self._parts(run_id)):
            columns = self._columns_of(part, (*RESULT_COLUMNS, DIGITS))
            # Without its zone: a table of zones, which Windows lacks, would be looked up.
            columns["timestamp"] = columns["timestamp"].cast("timestamp[ms]")
            for values in zip(*(c.to_pylist() for c in columns.values()), strict=True):
                number += 1
                *result, digits = values
                signs = [stored_digit([*each.values()]) for each in digits or ()]
                yield stored_result(number, run_id, result, signs)

    def stored(self, run_id: str, paths: Sequence[str]) -> set[str]:
        """Those of these paths that the run has a row of.

        The run's keys are read by the first call, 16 bytes a row; what is added later is not seen.
        """
        if self._keys is None or self._keys[0] != run_id:
            self._keys = (run_id, self._read_keys(run_id))
        keys = self._keys[1]
        if not len(keys) or not paths:
            return set()
        wanted = short_keys(map(path_key, paths))
        places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return {path for path, found in zip(paths, keys[places] == wanted, strict=True) if found}

    def _read_keys(self, run_id: str) -> np.ndarray:
        """The beginnings of all path keys of a run, sorted; (n,) S16."""
        parts = each_once(self._parts(run_id))
        ends = np.cumsum([part.rows for part in parts], dtype=np.int64).tolist()
        keys = np.empty(ends[-1] if ends else 0, f"S{KEY_BYTES}")

        def read(part: Part, end: int) -> None:
            column = self._columns_of(part, ["path_key"])["path_key"]
            keys[end - part.rows : end] = short_keys(column.to_pylist())

        with ThreadPoolExecutor(READERS) as readers:
            for _ in readers.map(read, parts, ends):
                pass
        keys.sort()
        return keys

    def _folder(self, run_id: str) -> str:
        if not RUN_FOLDER.fullmatch(f"run_id={run_id}"):
            raise DatabaseError(f"Database {self.url}: {run_id!r} is no name for a run.")
        return f"run_id={run_id}"

    def _parts(self, run_id: str, *, wait: bool = True) -> list[Part]:
        """The parts of a run, in order."""
        folder = self._folder(run_id)
        names = self._do(partial(self._place.files, folder), wait=wait)
        return sorted(part_of(folder, match) for match in map(PART.fullmatch, names) if match)

    def _columns_of(self, part: Part, columns: Sequence[str]) -> dict[str, Any]:
        """Columns of a part by name, as pyarrow has them."""
        content = self._do(partial(self._place.read, part.name))
        if content is None:
            raise DatabaseError(f"Database {self.url}: {part.name} is gone; restore it.")
        found = part_columns(content, columns, part.rows)
        if found is None:
            raise self._damaged(part.name)
        return found

    def _damaged(self, name: str) -> DatabaseError:
        return DatabaseError(
            f"Database {self.url}: {name} is damaged; restore a copy, or move it away."
        )

    def _write_run(self, run: Run, *, wait: bool = True) -> None:
        name, content = f"{self._folder(run.info.id)}/{RUN_FILE}", run_content(run)
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
