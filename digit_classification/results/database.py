r"""The results database; every SQL statement of the project is in this file.

`ResultsDatabase` is one class over two stores, both spoken to through DB-API: MySQL or MariaDB
(mysql-connector-python, imported only when such a URL is opened) and SQLite (`sqlite3`).

    mysql://user@host:3306/digit_classification     also mysql:/// and ?unix_socket=/run/mysqld.sock
    sqlite:///digit_classification.db               relative; sqlite:////var/digits.db is absolute

    with ResultsDatabase.open("sqlite:///digit_classification.db") as database:
        run_id = database.start_run(RunInfo(sources=["scans"], model_path="digits.keras"))
        database.add(run_id, [Result("scans/7.png", "ok", digit=7, confidence=0.98)])
        database.finish_run(run_id, "finished")

Tables: `classified_images`, one row per image of a run, which keeps the columns of the ancestor
program's table of that name; `classification_runs`, one row per run; `schema_migrations`. Times are
UTC, except in rows that the ancestor wrote. A run and the SHA-256 of an image's path make a row
unique, so that a batch whose commit was cut off can be sent again.

Names that are not valid Unicode are stored with each undecodable byte escaped, `\xff` for the byte
255 (as Python's "backslashreplace"), and each lone surrogate as `\ud800`; `path_key` tells such a
name from one that really contains a backslash.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, TypeVar

from digit_classification.pictures.sources import escape_undecodable
from digit_classification.results.errors import DatabaseError, Unavailable, until_available
from digit_classification.results.mysql_server import (
    UNKNOWN_DATABASE,
    VALID_URLS,
    MySQLServer,
    import_driver,
    quote,
)
from digit_classification.results.records import (
    Result,
    Run,
    RunCounts,
    RunInfo,
    RunState,
    Status,
    StoredResult,
    new_run_id,
    now,
    path_key,
)
from digit_classification.results.sqlite_file import check_sqlite_file, sqlite_path, sqlite_sentence

__all__ = [
    "DatabaseError",
    "Result",
    "ResultsDatabase",
    "Run",
    "RunCounts",
    "RunInfo",
    "RunState",
    "Status",
    "StoredResult",
    "new_run_id",
    "path_key",
]

T = TypeVar("T")

# Migration 1 is the ancestor's table, 2 adds the runs and what traces a row, 3 where its copy is.
SCHEMA_VERSION = 3
CONNECT_TIMEOUT_S = 10
ANSWER_TIMEOUT_S = 180  # more than the 50 seconds that InnoDB waits for a lock
MIGRATION_LOCK_TIMEOUT_S = 60
SQLITE_BUSY_TIMEOUT_S = 5
# Checksums as keys scatter over the pages of their index, so that each batch changes most of them.
# 32 MiB of changes gathered before they go to the main file: 27 microseconds a row, not 34.
SQLITE_WAL_PAGES = 8192
ROWS_PER_PAGE = 1_000
# Measured on MariaDB: 10,400 rows/s with 10 rows a statement, 20,700 with 100, 20,600 with 200.
ROWS_PER_STATEMENT = 100
KEYS_PER_QUERY = 500  # SQLite before 3.32 binds 999 values at most

# --- The database ---------------------------------------------------------------------------------

_IMAGE_COLUMNS = (
    "run_id",
    "timestamp",
    "digit",
    "confidence",
    "status",
    "reason",
    "folder_name",
    "file_name",
    "path",
    "path_key",
    "image_sha256",
    "sorted_to",
    *(f"p{digit}" for digit in range(10)),
)
_RUN_COLUMNS = (
    "id",
    "state",
    "started_at",
    "sources",
    "model_path",
    "model_sha256",
    "model_version",
    "program_version",
    "settings",
)
_STORED_COLUMNS = ", ".join(["id", *_IMAGE_COLUMNS])
_SELECT_IMAGES = f"SELECT {_STORED_COLUMNS} FROM classified_images"
_SELECT_RUNS = (
    f"SELECT {', '.join(_RUN_COLUMNS)}, finished_at, images, ok, uncertain, rejected, errors"
    " FROM classification_runs"
)
_NEWEST_FIRST = "started_at DESC, id DESC"


class ResultsDatabase:
    """The results of all runs; made by `open`, closed by `close` or at the end of a `with`.

    Every method raises `DatabaseError`. Use it from one thread, as DB-API connections are.

    A method that finds the connection lost, or a lock held, connects again and does its work anew,
    for up to `retry_seconds`. No work is doubled by that, for each is one transaction that leaves
    what is there already as it is, and no work is queued, for the method returns only then.
    """

    def __init__(
        self,
        store: _Store,
        retry_seconds: float = 0,
        notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._retry_seconds = retry_seconds
        self._notice = notice

    @classmethod
    def open(
        cls,
        url: str,
        *,
        password: str | None = None,
        option_file: Path | None = None,
        tls_ca: Path | None = None,
        tls_required: bool = False,
        read_only: bool = False,
        retry_seconds: float = 0,
        notice: Callable[[str], None] = lambda _: None,
    ) -> ResultsDatabase:
        """Open the database, make what is missing, and bring its tables up to date.

        Args:
            url: see the module's docstring; the part after `sqlite:///` is taken literally.
            password: for MySQL; goes before the one in `option_file`.
            option_file: a MySQL option file, whose group `client` gives what is left out here.
            tls_ca: a PEM file; a MySQL server whose certificate it did not sign is refused.
            tls_required: refuse a MySQL server without TLS; a Unix socket needs none.
            read_only: make and change nothing, not even a missing SQLite file.
            retry_seconds: how long to wait, once open, for a database that went away.
            notice: what to do with a sentence about that waiting.

        Raises:
            DatabaseError: the URL is none, or the database cannot be reached, used or understood.
        """
        scheme = url.partition(":")[0]
        if scheme == "sqlite":
            store: _Store = _SQLiteStore(sqlite_path(url), read_only)
        elif scheme == "mysql":
            server = MySQLServer.parse(url, password, option_file, tls_ca, tls_required)
            store = _MySQLStore(server, read_only)
        else:
            # Only the scheme is repeated: the rest may hold a password.
            raise DatabaseError(f"Unknown kind of database {scheme!r}; use {VALID_URLS}.")
        try:
            _migrate(store, read_only)
        except BaseException:
            store.close()
            raise
        return cls(store, retry_seconds, notice)

    def __enter__(self) -> ResultsDatabase:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"ResultsDatabase({self.url!r})"

    @property
    def url(self) -> str:
        """Where the database is, for messages; without a password."""
        return self._store.url

    def close(self) -> None:
        """Close the connection; once closed it stays closed."""
        self._store.close()

    def start_run(self, info: RunInfo) -> str:
        """Record a run as running and return its id; a run that is there already stays as it is."""
        values = (
            info.id,
            "running",
            _text_time(info.started_at),
            json.dumps(list(info.sources)),  # ASCII escapes keep undecodable names exactly
            escape_undecodable(info.model_path),
            info.model_sha256,
            info.model_version,
            info.program_version,
            json.dumps(dict(info.settings), sort_keys=True),
        )
        self._transact(
            lambda cursor: self._store.insert_new(
                cursor, "classification_runs", ("id",), _RUN_COLUMNS, [values]
            ),
            write=True,
        )
        return info.id

    def reopen_run(self, run_id: str) -> None:
        """Record a run as running again."""
        self._transact(
            lambda cursor: cursor.execute(
                "UPDATE classification_runs SET state = 'running', finished_at = NULL,"
                " images = NULL, ok = NULL, uncertain = NULL, rejected = NULL, errors = NULL"
                " WHERE id = ?",
                (run_id,),
            ),
            write=True,
        )

    def add(self, run_id: str, rows: Sequence[Result]) -> int:
        """Store the results of a run in one transaction: all of them or none.

        An image that the run has already is left as it is, so a batch may be sent again. Batches
        of about 1,000 are fast.

        Returns:
            How many rows were new; fewer if the connection was lost during the commit.
        """
        timestamp = _text_time(now())
        values = [_image_values(run_id, timestamp, row) for row in rows]
        return self._transact(
            lambda cursor: self._store.insert_new(
                cursor, "classified_images", ("run_id", "path_key"), _IMAGE_COLUMNS, values
            ),
            write=True,
        )

    def set_sorted_to(self, run_id: str, path: str, sorted_to: str | None) -> None:
        """Record that the image at `path` is, or will be, copied or moved to another place."""
        place = None if sorted_to is None else escape_undecodable(sorted_to)
        self._transact(
            lambda cursor: cursor.execute(
                "UPDATE classified_images SET sorted_to = ? WHERE run_id = ? AND path_key = ?",
                (place, run_id, path_key(path)),
            ),
            write=True,
        )

    def finish_run(
        self,
        run_id: str,
        state: Literal["finished", "interrupted", "failed"],
        *,
        wait: bool = True,
    ) -> RunCounts:
        """Close a run: record its state, the time, and the counts of its stored images.

        `wait=False` does not wait for a database that is away: for a program that must end.
        """

        def close(cursor: Any) -> RunCounts:
            counts = _count_images(cursor, run_id)
            cursor.execute("SELECT id FROM classification_runs WHERE id = ?", (run_id,))
            if not cursor.fetchall():
                raise DatabaseError(
                    f"Database {self.url}: there is no run {run_id!r}; start it before closing it."
                )
            cursor.execute(
                "UPDATE classification_runs SET state = ?, finished_at = ?, images = ?, ok = ?,"
                " uncertain = ?, rejected = ?, errors = ? WHERE id = ?",
                (
                    state,
                    _text_time(now()),
                    counts.images,
                    counts.ok,
                    counts.uncertain,
                    counts.rejected,
                    counts.errors,
                    run_id,
                ),
            )
            return counts

        return self._transact(close, write=True, wait=wait)

    def runs(self) -> list[Run]:
        """All runs, the newest first."""
        return [_run(values) for values in self._select(f"{_SELECT_RUNS} ORDER BY {_NEWEST_FIRST}")]

    def run(self, run_id: str) -> Run | None:
        """The run of that identity, if there is one."""
        found = self._select(f"{_SELECT_RUNS} WHERE id = ?", run_id)
        return _run(found[0]) if found else None

    def latest_unfinished_run(self) -> Run | None:
        """The newest run that was interrupted, failed, or never closed, if there is one."""
        found = self._select(
            f"{_SELECT_RUNS} WHERE state <> 'finished' ORDER BY {_NEWEST_FIRST} LIMIT 1"
        )
        return _run(found[0]) if found else None

    def rows(self, run_id: str) -> Iterator[StoredResult]:
        """The rows of a run in the order of storing, read page by page: any size fits in memory."""
        last_id = 0
        while True:
            statement = f"{_SELECT_IMAGES} WHERE run_id = ? AND id > ? ORDER BY id LIMIT ?"
            page = [
                _stored_result(values)
                for values in self._select(statement, run_id, last_id, ROWS_PER_PAGE)
            ]
            yield from page
            if len(page) < ROWS_PER_PAGE:
                return
            last_id = page[-1].id

    def find(self, run_id: str, paths: Sequence[str]) -> dict[str, StoredResult]:
        """The rows that a run has for these paths, by path; best a few hundred at a time."""
        rows = map(_stored_result, self._select_paths(_STORED_COLUMNS, run_id, paths))
        found = {row.path_key: row for row in rows}
        return {path: found[key] for path in paths if (key := path_key(path)) in found}

    def stored(self, run_id: str, paths: Sequence[str]) -> set[str]:
        """Those of these paths that the run has a row of; best a few hundred at a time."""
        found = {key for (key,) in self._select_paths("path_key", run_id, paths)}
        return {path for path in paths if path_key(path) in found}

    def _select_paths(
        self, columns: str, run_id: str, paths: Sequence[str]
    ) -> Iterator[Sequence[Any]]:
        for first in range(0, len(paths), KEYS_PER_QUERY):
            keys = [path_key(path) for path in paths[first : first + KEYS_PER_QUERY]]
            places = ", ".join("?" * len(keys))
            statement = (
                f"SELECT {columns} FROM classified_images WHERE run_id = ?"
                f" AND path_key IN ({places})"
            )
            yield from self._select(statement, run_id, *keys)

    def latest(self, limit: int = 20) -> list[StoredResult]:
        """The rows stored last, of any run and of the ancestor, the newest first."""
        rows = self._select(f"{_SELECT_IMAGES} ORDER BY id DESC LIMIT ?", limit)
        return [_stored_result(values) for values in rows]

    def _select(self, statement: str, *values: Any) -> list[Sequence[Any]]:
        def select(cursor: Any) -> list[Sequence[Any]]:
            cursor.execute(statement, values)
            return list(cursor.fetchall())

        return self._transact(select)

    def _transact(self, work: Callable[[Any], T], *, write: bool = False, wait: bool = True) -> T:
        """Do `work` with the cursor of a transaction of its own, again where that may help."""

        def attempt() -> T:
            with self._store.transaction(write=write) as cursor:
                return work(cursor)

        return until_available(attempt, self._retry_seconds if wait else 0, self._notice)


def _image_values(run_id: str, timestamp: str, row: Result) -> tuple[Any, ...]:
    """The values of `_IMAGE_COLUMNS`; float() and int() make NumPy's scalars plain ones."""
    return (
        run_id,
        timestamp,
        None if row.digit is None else int(row.digit),
        None if row.confidence is None else float(row.confidence),
        row.status,
        None if row.reason is None else escape_undecodable(row.reason),
        escape_undecodable(row.folder_name),
        escape_undecodable(row.file_name),
        escape_undecodable(row.path),
        path_key(row.path),
        row.image_sha256,
        None if row.sorted_to is None else escape_undecodable(row.sorted_to),
        *((None,) * 10 if row.probabilities is None else map(float, row.probabilities)),
    )


def _stored_result(values: Sequence[Any]) -> StoredResult:
    (id_, run_id, timestamp, digit, confidence, status, reason, folder_name, file_name) = values[:9]
    path, key, image_sha256, sorted_to, *probabilities = values[9:]
    return StoredResult(
        id=id_,
        run_id=run_id,
        timestamp=None if timestamp is None else str(timestamp),
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


def _run(values: Sequence[Any]) -> Run:
    (id_, state, started_at, sources, model_path, model_sha256, model_version) = values[:7]
    program_version, settings, finished_at, *counts = values[7:]
    info = RunInfo(
        sources=tuple(json.loads(sources)),
        model_path=model_path,
        model_sha256=model_sha256,
        model_version=model_version,
        program_version=program_version,
        settings=json.loads(settings),
        id=id_,
        started_at=_utc_time(started_at),
    )
    return Run(
        info=info,
        state=state,
        finished_at=None if finished_at is None else _utc_time(finished_at),
        counts=None if finished_at is None else RunCounts(*counts),
    )


def _count_images(cursor: Any, run_id: str) -> RunCounts:
    cursor.execute(
        "SELECT status, COUNT(*) FROM classified_images WHERE run_id = ? GROUP BY status",
        (run_id,),
    )
    by_status = dict(cursor.fetchall())
    return RunCounts(
        images=sum(by_status.values()),
        ok=by_status.get("ok", 0),
        uncertain=by_status.get("uncertain", 0),
        rejected=by_status.get("rejected", 0),
        errors=by_status.get("error", 0),
    )


def _text_time(moment: datetime) -> str:
    """The form that both stores take for a DATETIME column."""
    return f"{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S}"


def _utc_time(stored: object) -> datetime:
    """MySQL returns a naive datetime, SQLite the text that was stored."""
    return datetime.fromisoformat(str(stored)).replace(tzinfo=timezone.utc)


# --- Migrations -----------------------------------------------------------------------------------

_ANCESTOR_COLUMNS = ("id", "digit", "confidence", "timestamp", "folder_name", "file_name")


class _Store(Protocol):
    """What differs between SQLite and MySQL; SQL with `?` runs on both."""

    url: str

    def transaction(self, *, write: bool = False) -> AbstractContextManager[Any]:
        """A cursor; committed at the end, rolled back on any exception, errors as sentences."""

    def insert_new(
        self,
        cursor: Any,
        table: str,
        key: Sequence[str],
        columns: Sequence[str],
        rows: Sequence[tuple[Any, ...]],
    ) -> int:
        """Insert the rows whose key is not there yet and return how many those were."""

    def has_table(self, cursor: Any, name: str) -> bool:
        """Whether the database holds that table."""

    def migrating(self) -> AbstractContextManager[Any]:
        """A cursor, while no other process migrates this database."""

    def apply_migration(self, cursor: Any, number: int) -> None:
        """Run a migration, numbered from 1; one that was cut off half-way is completed."""

    def close(self) -> None:
        """Close the connection."""


def _migrate(store: _Store, read_only: bool) -> None:
    """Bring the schema up to date; processes that open the database at once take turns."""
    with store.transaction() as cursor:
        found = _schema_version(store, cursor)
    if found > SCHEMA_VERSION:
        raise DatabaseError(
            f"Database {store.url}: its schema version {found} is newer than"
            f" {SCHEMA_VERSION}, the newest this program knows; update the program."
        )
    if found == SCHEMA_VERSION:
        return
    if read_only:
        raise DatabaseError(
            f"Database {store.url}: its schema version {found} is older than"
            f" {SCHEMA_VERSION}; store results in it once, which brings it up to date."
        )
    with store.migrating() as cursor:
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations"
            " (version INT NOT NULL PRIMARY KEY, applied_at DATETIME NOT NULL)"
        )
        for number in range(_schema_version(store, cursor) + 1, SCHEMA_VERSION + 1):
            store.apply_migration(cursor, number)
            cursor.execute(
                "INSERT INTO schema_migrations (version, applied_at) VALUES (?, ?)",
                (number, _text_time(now())),
            )


def _schema_version(store: _Store, cursor: Any) -> int:
    if not store.has_table(cursor, "schema_migrations"):
        return 0
    cursor.execute("SELECT COALESCE(MAX(version), 0) FROM schema_migrations")
    return int(cursor.fetchall()[0][0])


def _check_ancestor_columns(url: str, columns: Sequence[str]) -> None:
    missing = [name for name in _ANCESTOR_COLUMNS if name not in columns]
    if missing:
        raise DatabaseError(
            f"Database {url}: its table classified_images belongs to another program, for it has no"
            f" column {missing[0]}; rename that table or choose another database."
        )


# --- SQLite ---------------------------------------------------------------------------------------

_SQLITE_ANCESTOR_TABLE = """
CREATE TABLE IF NOT EXISTS classified_images (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    digit INT,
    confidence FLOAT,
    timestamp DATETIME,
    folder_name VARCHAR(255),
    file_name VARCHAR(255)
)"""
_SQLITE_IMAGES_TABLE = """
CREATE TABLE classified_images (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    digit INT,
    confidence FLOAT,
    timestamp DATETIME,
    folder_name TEXT,
    file_name TEXT,
    run_id TEXT,
    path TEXT,
    path_key TEXT,
    status TEXT,
    reason TEXT,
    image_sha256 TEXT,
    p0 DOUBLE, p1 DOUBLE, p2 DOUBLE, p3 DOUBLE, p4 DOUBLE,
    p5 DOUBLE, p6 DOUBLE, p7 DOUBLE, p8 DOUBLE, p9 DOUBLE
)"""
_SQLITE_RUNS_TABLE = """
CREATE TABLE classification_runs (
    id TEXT NOT NULL PRIMARY KEY,
    state TEXT NOT NULL,
    started_at DATETIME NOT NULL,
    finished_at DATETIME,
    sources TEXT NOT NULL,
    model_path TEXT NOT NULL,
    model_sha256 TEXT,
    model_version TEXT,
    program_version TEXT,
    settings TEXT NOT NULL,
    images INT,
    ok INT,
    uncertain INT,
    rejected INT,
    errors INT
)"""


class _SQLiteStore:
    """A results database in one file, in WAL mode where the file system has it."""

    def __init__(self, path: Path, read_only: bool) -> None:
        self.url = f"sqlite:///{path}"
        check_sqlite_file(path, self.url, must_exist=read_only)
        # A URI, for mode=ro; as_uri() escapes what a URI cannot hold.
        uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
        try:
            # isolation_level=None: this class, not the driver, says where a transaction begins.
            self._connection = sqlite3.connect(
                uri, uri=True, timeout=SQLITE_BUSY_TIMEOUT_S, isolation_level=None
            )
        except sqlite3.Error as error:
            raise sqlite_sentence(error, self.url) from error
        try:
            if not read_only:
                self._switch_to_wal()
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute(f"PRAGMA wal_autocheckpoint = {SQLITE_WAL_PAGES}")
            self._path = path.absolute()
            self._file = os.stat(path)
        except sqlite3.Error as error:
            self._connection.close()
            raise sqlite_sentence(error, self.url) from error

    def _switch_to_wal(self) -> None:
        """Switch, again if need be: while another switches, SQLite refuses without waiting."""
        stop = time.monotonic() + SQLITE_BUSY_TIMEOUT_S
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError:
                if time.monotonic() > stop:
                    raise
                time.sleep(0.02)

    def _check_still_there(self) -> None:
        """SQLite would go on in a file that was removed, and that is gone with the connection."""
        if not (self._path.exists() and os.path.samestat(self._file, os.stat(self._path))):
            raise DatabaseError(
                f"Database {self.url}: its file was removed or replaced while it was in use, and"
                " what was stored is there no more; start a new run."
            )

    @contextmanager
    def transaction(self, *, write: bool = False) -> Iterator[sqlite3.Cursor]:
        if write:
            self._check_still_there()
        try:
            with closing(self._connection.cursor()) as cursor:
                # IMMEDIATE takes the write lock at once: a later upgrade could fail as a deadlock.
                cursor.execute("BEGIN IMMEDIATE" if write else "BEGIN")
                yield cursor
                cursor.execute("COMMIT")
        except BaseException as error:
            with suppress(sqlite3.Error):
                self._connection.rollback()
            if isinstance(error, sqlite3.Error):
                raise sqlite_sentence(error, self.url) from error
            raise

    def insert_new(
        self,
        cursor: sqlite3.Cursor,
        table: str,
        key: Sequence[str],
        columns: Sequence[str],
        rows: Sequence[tuple[Any, ...]],
    ) -> int:
        places = ", ".join("?" * len(columns))
        cursor.executemany(
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})"
            f" ON CONFLICT ({', '.join(key)}) DO NOTHING",
            rows,
        )
        return max(cursor.rowcount, 0)  # -1 where there were no rows

    def has_table(self, cursor: sqlite3.Cursor, name: str) -> bool:
        cursor.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,))
        return bool(cursor.fetchall())

    def migrating(self) -> AbstractContextManager[sqlite3.Cursor]:
        return self.transaction(write=True)

    def apply_migration(self, cursor: sqlite3.Cursor, number: int) -> None:
        if number == 1:
            cursor.execute(_SQLITE_ANCESTOR_TABLE)
        elif number == 2:
            cursor.execute(_SQLITE_RUNS_TABLE)
            self._extend_images_table(cursor)
        elif "sorted_to" not in {name.lower() for _, name, *_ in _table_info(cursor)}:
            cursor.execute("ALTER TABLE classified_images ADD COLUMN sorted_to TEXT")

    def _extend_images_table(self, cursor: sqlite3.Cursor) -> None:
        """Rebuild the ancestor's table, for SQLite cannot drop a NOT NULL; all rows are kept.

        Columns, indexes and triggers that the user added are kept too.
        """
        found = {name.lower(): type_ for _, name, type_, *_ in _table_info(cursor)}
        _check_ancestor_columns(self.url, list(found))
        cursor.execute(
            "SELECT sql FROM sqlite_master WHERE tbl_name = 'classified_images'"
            " AND type IN ('index', 'trigger') AND sql IS NOT NULL"
        )
        additions = [sql for (sql,) in cursor.fetchall()]
        cursor.execute("CREATE TABLE ancestor_rows AS SELECT * FROM classified_images")
        cursor.execute("DROP TABLE classified_images")
        cursor.execute(_SQLITE_IMAGES_TABLE)
        ours = {name for _, name, *_ in _table_info(cursor)}
        for name in found.keys() - ours:
            cursor.execute(f"ALTER TABLE classified_images ADD COLUMN {quote(name)} {found[name]}")
        names = ", ".join(quote(name) for name in found)
        cursor.execute(
            f"INSERT INTO classified_images ({names}) SELECT {names} FROM ancestor_rows ORDER BY id"
        )
        cursor.execute("DROP TABLE ancestor_rows")
        cursor.execute("CREATE UNIQUE INDEX run_path ON classified_images (run_id, path_key)")
        cursor.execute("CREATE INDEX run_rows ON classified_images (run_id)")
        for sql in additions:
            cursor.execute(sql)

    def close(self) -> None:
        self._connection.close()


def _table_info(cursor: sqlite3.Cursor) -> list[tuple[Any, ...]]:
    return cursor.execute("PRAGMA table_info(classified_images)").fetchall()


# --- MySQL and MariaDB ----------------------------------------------------------------------------

_MYSQL_ANCESTOR_TABLE = """
CREATE TABLE IF NOT EXISTS classified_images (
    id INT AUTO_INCREMENT PRIMARY KEY,
    digit INT,
    confidence FLOAT,
    timestamp DATETIME,
    folder_name VARCHAR(255),
    file_name VARCHAR(255)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"""
# Paths compare exactly; MEDIUMTEXT, as a zip member's name alone may have 65,535 bytes.
_MYSQL_TEXT = "MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NULL"
_MYSQL_ASCII = "CHARACTER SET ascii COLLATE ascii_general_ci NULL"
_MYSQL_IMAGE_COLUMNS = {
    "folder_name": _MYSQL_TEXT,
    "file_name": _MYSQL_TEXT,
    "run_id": f"VARCHAR(64) {_MYSQL_ASCII}",
    "path": "MEDIUMTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL",
    "path_key": f"CHAR(64) {_MYSQL_ASCII}",
    "status": f"VARCHAR(16) {_MYSQL_ASCII}",
    "reason": _MYSQL_TEXT,
    "image_sha256": f"CHAR(64) {_MYSQL_ASCII}",
    **{f"p{digit}": "DOUBLE NULL" for digit in range(10)},
}
_MYSQL_IMAGE_INDEXES = {
    "run_path": "UNIQUE KEY run_path (run_id, path_key)",
    "run_rows": "KEY run_rows (run_id, id)",
}
_MYSQL_RUNS_TABLE = """
CREATE TABLE IF NOT EXISTS classification_runs (
    id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL PRIMARY KEY,
    state VARCHAR(16) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
    started_at DATETIME NOT NULL,
    finished_at DATETIME,
    sources LONGTEXT NOT NULL,
    model_path MEDIUMTEXT NOT NULL,
    model_sha256 CHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci,
    model_version TEXT,
    program_version TEXT,
    settings LONGTEXT NOT NULL,
    images INT,
    ok INT,
    uncertain INT,
    rejected INT,
    errors INT
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"""


class _MySQLStore:
    """A results database on a MySQL or MariaDB server.

    All values travel in prepared statements. The driver's ordinary cursors, `executemany` too,
    put values into the text of the statement and then look for the word DELIMITER in it, so that
    a file named "delimiter 7.png" is stored as "7.png" (mysql-connector-python 26.10).
    """

    def __init__(self, server: MySQLServer, read_only: bool) -> None:
        self.url = server.url
        self._server = server
        self._driver = import_driver("mysql.connector")
        self._connection: Any = None  # None: lost, the next transaction connects again
        self._connect(create=not read_only)

    def _connect(self, *, create: bool) -> None:
        connection = self._open_connection(create)
        self._full_chunks = connection.cursor(prepared=True)
        self._connection = connection

    def _open_connection(self, create: bool) -> Any:
        """Connect; a database that is missing is made."""
        name = self._server.database
        try:
            try:
                return self._log_in(database=name)
            except self._driver.Error as error:
                if error.errno != UNKNOWN_DATABASE or not create:
                    raise
            with closing(self._log_in()) as connection:
                connection.cmd_query(
                    f"CREATE DATABASE IF NOT EXISTS {quote(name)}"
                    " CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"
                )
            return self._log_in(database=name)
        except DatabaseError:
            raise
        except self._driver.Error as error:
            raise self._server.sentence(error) from error
        except Exception as error:  # the driver chokes in many ways on what is no MySQL server
            raise Unavailable(
                f"Database {self.url}: what answers there does not speak MySQL ({error!r});"
                " correct the host and the port."
            ) from error

    def _log_in(self, **database: str) -> Any:
        server = self._server
        connection = self._driver.connect(
            **database,
            **({"unix_socket": server.unix_socket} if server.unix_socket else server.tls),
            host=server.host,
            port=server.port,
            user=server.user,
            password=server.password or "",
            charset="utf8mb4",
            collation="utf8mb4_general_ci",  # the driver's own default is unknown to MariaDB
            sql_mode="STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION",  # nothing is cut in silence
            autocommit=False,
            connection_timeout=CONNECT_TIMEOUT_S,
            read_timeout=ANSWER_TIMEOUT_S,
            write_timeout=ANSWER_TIMEOUT_S,
            use_pure=True,  # the same behaviour everywhere
            client_flags=[-self._driver.ClientFlag.MULTI_STATEMENTS],
        )
        # The driver closes a prepared statement without waiting for an answer, and the packet
        # after that then waits 40 ms for Nagle's algorithm; a Unix socket has no such option.
        with suppress(AttributeError, OSError):
            connection._socket.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _, cipher = connection.info_query("SHOW STATUS LIKE 'Ssl_cipher'")
        if server.tls_required and not cipher and not server.unix_socket:
            connection.close()
            raise DatabaseError(
                f"Database {self.url}: the server offers no TLS; enable TLS there, or do not"
                " require it."
            )
        (packet,) = connection.info_query("SELECT @@max_allowed_packet")
        self._max_allowed_packet = int(packet)
        return connection

    @contextmanager
    def transaction(self, *, write: bool = False) -> Iterator[Any]:
        if self._connection is None:
            self._connect(create=False)
        connection = self._connection
        cursor = None
        try:
            cursor = connection.cursor(prepared=True)
            yield cursor
            connection.commit()
        except self._driver.Error as error:
            sentence = self._server.sentence(error)
            self._roll_back(lost=isinstance(sentence, Unavailable))
            raise sentence from error
        except DatabaseError:
            self._roll_back()
            raise
        except BaseException:
            # Ctrl-C, perhaps before an answer was read, which the next command would then take
            # for its own. Without its connection the server rolls the transaction back.
            self._roll_back(lost=True)
            raise
        finally:
            if cursor is not None:
                with suppress(self._driver.Error, ReferenceError):  # the connection may be gone
                    cursor.close()

    def _roll_back(self, *, lost: bool = False) -> None:
        """Roll back, or end the connection, which lets the server roll back; a next one is made."""
        if not lost:
            try:
                self._connection.rollback()
            except self._driver.Error:
                lost = True
        if lost:
            self._connection.shutdown()
            self._connection = None

    def insert_new(
        self,
        cursor: Any,
        table: str,
        key: Sequence[str],
        columns: Sequence[str],
        rows: Sequence[tuple[Any, ...]],
    ) -> int:
        inserted = 0
        for chunk in _chunks(rows, max_bytes=self._max_allowed_packet // 2):
            # A cursor of its own keeps the full-sized statement prepared from call to call.
            full = len(chunk) == ROWS_PER_STATEMENT
            chosen = self._full_chunks if full else cursor
            statement = _multi_row_insert(table, key[0], tuple(columns), len(chunk))
            chosen.execute(statement, [value for row in chunk for value in row])
            inserted += chosen.rowcount  # 1 for a new row, 0 for one that was left as it is
        return inserted

    def has_table(self, cursor: Any, name: str) -> bool:
        cursor.execute(
            "SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE()"
            " AND table_name = ?",
            (name,),
        )
        return bool(cursor.fetchall())

    @contextmanager
    def migrating(self) -> Iterator[Any]:
        """A named lock, since each DDL statement ends the transaction it is in."""
        with self.transaction(write=True) as cursor:
            name = "digits-" + hashlib.sha1(self._server.database.encode()).hexdigest()
            cursor.execute("SELECT GET_LOCK(?, ?)", (name, MIGRATION_LOCK_TIMEOUT_S))
            self._connection.read_timeout = None  # to change a large table may take hours
            if cursor.fetchall() != [(1,)]:
                raise DatabaseError(
                    f"Database {self.url}: another program has been changing its tables for"
                    f" {MIGRATION_LOCK_TIMEOUT_S} seconds; wait for it and try again."
                )
            yield cursor  # after an error the connection is closed, which releases the lock too
            self._connection.commit()  # the next to hold the lock must see what was done
            cursor.execute("SELECT RELEASE_LOCK(?)", (name,))
            cursor.fetchall()
            self._connection.read_timeout = ANSWER_TIMEOUT_S

    def apply_migration(self, cursor: Any, number: int) -> None:
        if number == 1:
            cursor.execute(_MYSQL_ANCESTOR_TABLE)
        elif number == 2:
            cursor.execute(_MYSQL_RUNS_TABLE)
            self._extend_images_table(cursor)
        else:
            change = "MODIFY" if "sorted_to" in _mysql_columns(cursor) else "ADD"
            cursor.execute(f"ALTER TABLE classified_images {change} COLUMN sorted_to {_MYSQL_TEXT}")

    def _extend_images_table(self, cursor: Any) -> None:
        """Extend the ancestor's table in place, by one statement: wholly or, cut off, not at all.

        Changing a text column's character set converts what it holds.
        """
        found = _mysql_columns(cursor)
        _check_ancestor_columns(self.url, list(found))
        changes = [
            f"{'MODIFY' if name in found else 'ADD'} COLUMN {name} {definition}"
            for name, definition in _MYSQL_IMAGE_COLUMNS.items()
        ]
        changes += [
            f"MODIFY COLUMN {name} {found[name][0]} NULL"
            for name in ("digit", "confidence")
            if not found[name][1]
        ]
        cursor.execute(
            "SELECT DISTINCT index_name FROM information_schema.statistics"
            " WHERE table_schema = DATABASE() AND table_name = 'classified_images'"
        )
        indexes = {name for (name,) in cursor.fetchall()}
        changes += [
            f"ADD {definition}"
            for name, definition in _MYSQL_IMAGE_INDEXES.items()
            if name not in indexes
        ]
        # InnoDB, for a table from an old server may be MyISAM, which has no transactions.
        cursor.execute(
            f"ALTER TABLE classified_images ENGINE=InnoDB, {', '.join(changes)},"
            " DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"
        )

    def close(self) -> None:
        if self._connection is not None:
            with suppress(self._driver.Error, OSError):
                self._connection.close()


def _mysql_columns(cursor: Any) -> dict[str, tuple[str, bool]]:
    """Each column of classified_images: its type, and whether it takes NULL."""
    cursor.execute(
        "SELECT column_name, CAST(column_type AS CHAR), is_nullable"
        " FROM information_schema.columns"
        " WHERE table_schema = DATABASE() AND table_name = 'classified_images'"
    )
    return {name.lower(): (type_, null == "YES") for name, type_, null in cursor.fetchall()}


@lru_cache
def _multi_row_insert(table: str, key: str, columns: tuple[str, ...], rows: int) -> str:
    """Cached, because the driver prepares a statement anew unless it is the same object."""
    row = f"({', '.join('?' * len(columns))})"
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * rows)}"
        f" ON DUPLICATE KEY UPDATE {key} = {key}"
    )


def _chunks(rows: Sequence[tuple[Any, ...]], max_bytes: int) -> Iterator[list[tuple[Any, ...]]]:
    """Split rows so that each chunk makes one statement of well under `max_bytes`."""
    chunk: list[tuple[Any, ...]] = []
    chunk_bytes = 0
    for row in rows:
        # At most 4 bytes of UTF-8 per character; 16 for a number, or a text's type and length.
        row_bytes = sum(16 + 4 * len(value) if isinstance(value, str) else 16 for value in row)
        if chunk and (len(chunk) == ROWS_PER_STATEMENT or chunk_bytes + row_bytes > max_bytes):
            yield chunk
            chunk, chunk_bytes = [], 0
        chunk.append(row)
        chunk_bytes += row_bytes
    if chunk:
        yield chunk
