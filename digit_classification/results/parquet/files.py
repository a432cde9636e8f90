"""The files of a Parquet dataset: where they lie, what they are called, and what is in them."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from digit_classification.files import replacing
from digit_classification.names import escape_undecodable
from digit_classification.pictures.object_store import (
    INSTALL,
    PAGE,
    NotFound,
    open_bucket,
    reporting,
    split_url,
)
from digit_classification.results.errors import DatabaseError
from digit_classification.results.records import (
    BOX_COLUMNS,
    CELL_COLUMNS,
    DIGIT_COLUMNS,
    PROBABILITY_COLUMNS,
    RESULT_COLUMNS,
    Result,
    Run,
    RunCounts,
    RunInfo,
    digit_values,
    now,
    result_values,
)

RUN_FILE = "_run.json"  # Hive's readers skip what begins with _
RUN_FOLDER = re.compile(r"run_id=([A-Za-z0-9][A-Za-z0-9._-]{0,63})")
PART = re.compile(r"part-(\d{8,})-(\d+)\.(\d+)\.(\d+)\.(\d+)-([0-9a-f]{16})\.parquet")
# A database has these rows in `classified_digits`; here they are a list in their picture's own row,
# for two files would not appear at once.
DIGITS = "digits"
# Null in parts that are older than they.
LATER_COLUMNS = frozenset(("number", *CELL_COLUMNS, "field", DIGITS))
READERS = 32  # threads that wait for files of a store
KEY_BYTES = 16  # of an image's SHA-256, in memory: 100 million take 1.6 GB, and no two are the same


class Place(Protocol):
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


class Folder:
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
        """Write under a hidden name first, which all readers skip."""
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(content)

    def delete(self, name: str) -> None:
        (self._root / name).unlink(missing_ok=True)


class Bucket:
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


class Part(NamedTuple):
    """A file with rows, as its name tells."""

    number: int
    name: str
    counts: tuple[int, ...]  # ok, uncertain, rejected, error
    digest: str

    @property
    def rows(self) -> int:
        return sum(self.counts)


def part_of(folder: str, match: re.Match[str]) -> Part:
    number, *counts, digest = match.groups()
    return Part(int(number), f"{folder}/{match[0]}", tuple(map(int, counts)), digest)


def next_number(parts: Sequence[Part]) -> int:
    return max((part.number + 1 for part in parts), default=0)


def each_once(parts: Sequence[Part]) -> list[Part]:
    """Leave out a part that was stored twice with other counts: a picture changed meanwhile."""
    first: dict[str, Part] = {}
    for part in parts:
        first.setdefault(part.digest, part)
    return list(first.values())


def check_pyarrow(url: str) -> None:
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise DatabaseError(f"Database {url}: it needs pyarrow ({INSTALL}).") from None


def part_content(results: Iterable[Result]) -> bytes:
    """The content of a part; values equal those of the SQL databases."""
    import pyarrow
    import pyarrow.parquet

    types = {
        **dict.fromkeys(RESULT_COLUMNS, pyarrow.string()),
        "timestamp": pyarrow.timestamp("ms", "UTC"),
        "digit": pyarrow.int8(),
        "confidence": pyarrow.float64(),
        **dict.fromkeys(PROBABILITY_COLUMNS, pyarrow.float64()),
        **dict.fromkeys(CELL_COLUMNS, pyarrow.int32()),
        **dict.fromkeys(BOX_COLUMNS, pyarrow.float64()),
        DIGITS: pyarrow.list_(_digit_type()),
    }
    timestamp = now()
    rows = [(*result_values(timestamp, row), _digits(row)) for row in results]
    columns = zip(*rows, strict=True)
    table = pyarrow.table(
        {
            name: pyarrow.array(column, types[name])
            for name, column in zip((*RESULT_COLUMNS, DIGITS), columns, strict=True)
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


def _digit_type() -> Any:
    import pyarrow

    types = {
        **dict.fromkeys(DIGIT_COLUMNS, pyarrow.float64()),
        "position": pyarrow.int32(),
        "text": pyarrow.string(),
    }
    return pyarrow.struct(list(types.items()))


def _digits(row: Result) -> list[dict[str, Any]] | None:
    if row.number is None:
        return None
    return [dict(zip(DIGIT_COLUMNS, digit_values(each), strict=True)) for each in row.digits]


def part_columns(content: bytes, columns: Sequence[str], rows: int) -> dict[str, Any] | None:
    """These columns of a part by name, as pyarrow has them; None if it is damaged.

    That it is also if it has not so many rows.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(io.BytesIO(content))
        there = set(file.schema_arrow.names)
        table = file.read([name for name in columns if name in there])
    except (pyarrow.ArrowException, OSError):
        return None
    if not set(columns) - LATER_COLUMNS <= there or len(table) != rows:
        return None
    return {name: table[name] if name in there else pyarrow.nulls(rows) for name in columns}


def short_keys(keys: Iterable[str]) -> np.ndarray:
    """The first bytes of path keys in hexadecimal; (n,) S16."""
    joined = "".join(key[: 2 * KEY_BYTES] for key in keys)
    return np.frombuffer(bytes.fromhex(joined), f"S{KEY_BYTES}")


def run_content(run: Run) -> bytes:
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


def parse_run(content: bytes) -> Run:
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
