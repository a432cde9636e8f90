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
import importlib
import json
import math
import os
import secrets
import socket
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Literal, Protocol, get_args
from urllib.parse import parse_qsl, unquote, urlsplit

from digit_classification.sources import escape_undecodable

Status = Literal["ok", "uncertain", "rejected", "error"]
STATUSES = frozenset(get_args(Status))
RunState = Literal["running", "finished", "interrupted", "failed"]

SCHEMA_VERSION = 2  # migration 1 is the ancestor's table; 2 adds the runs and what traces a row
DEFAULT_DATABASE = "digit_classification"
DEFAULT_MYSQL_PORT = 3306
CONNECT_TIMEOUT_S = 10
MIGRATION_LOCK_TIMEOUT_S = 60
SQLITE_BUSY_TIMEOUT_S = 30
DEADLOCK_ATTEMPTS = 10
ROWS_PER_PAGE = 1_000
# Measured on MariaDB: 10,400 rows/s with 10 rows a statement, 20,700 with 100, 20,600 with 200.
ROWS_PER_STATEMENT = 100

_VALID_URLS = "mysql://user@host:3306/digit_classification or sqlite:///digit_classification.db"
_GIVE_PASSWORD = "set DIGITS_DATABASE_PASSWORD or name a MySQL option file that holds"


class DatabaseError(Exception):
    """One sentence for the user: what is wrong, where (never with a password), what to do next."""


class _Deadlock(DatabaseError):
    """The server rolled the transaction back in favour of another one; it can be sent again."""


# --- What is stored -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Result:
    """The result of one image, to be stored.

    Args:
        path: the image's path as given, or `archive.zip/member`; surrogate escapes are welcome.
        status: `ok`, `uncertain`, `rejected` or `error`.
        digit: 0 to 9, or None where there is none.
        confidence: the probability of that digit, 0 to 1, or None.
        reason: why the image was rejected or could not be read.
        probabilities: ten finite numbers, of the digits 0 to 9, or None.
        image_sha256: 64 hex digits, of the image file's bytes.

    Raises:
        ValueError: an unknown status, not ten probabilities, or one that is not finite.
    """

    path: str
    status: Status
    digit: int | None = None
    confidence: float | None = None
    reason: str | None = None
    probabilities: tuple[float, ...] | None = None
    image_sha256: str | None = None

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"status {self.status!r} is none of {', '.join(get_args(Status))}")
        if self.probabilities is not None:
            if len(self.probabilities) != 10:
                raise ValueError(f"{len(self.probabilities)} probabilities instead of ten")
            if not all(map(math.isfinite, self.probabilities)):
                raise ValueError(f"probabilities {self.probabilities} are not all finite")

    @property
    def folder_name(self) -> str:
        """The name of the folder the image lies in; empty for a bare file name."""
        return os.path.basename(os.path.dirname(self.path))

    @property
    def file_name(self) -> str:
        """The base name of the image."""
        return os.path.basename(self.path)


@dataclass(frozen=True)
class StoredResult:
    """A row of `classified_images` as read back.

    A row that the ancestor wrote has no run, path, status or probabilities. `timestamp` is
    `YYYY-MM-DD HH:MM:SS`, UTC in a row of a run. Undecodable bytes of names are escaped.
    """

    id: int
    run_id: str | None
    timestamp: str | None
    digit: int | None
    confidence: float | None
    status: Status | None
    reason: str | None
    folder_name: str | None
    file_name: str | None
    path: str | None
    path_key: str | None
    image_sha256: str | None
    probabilities: tuple[float, ...] | None


def path_key(path: str) -> str:
    """SHA-256 of the raw bytes of a path, 64 hex digits: the key of an image within its run."""
    try:
        raw = os.fsencode(path)
    except UnicodeEncodeError:  # a name from elsewhere (a zip) that this file system cannot hold
        raw = path.encode("utf-8", "surrogatepass")
    return hashlib.sha256(raw).hexdigest()


def new_run_id() -> str:
    """A run's identity, such as `20261122-185501-a3f9c2d1`: sorts by time, unique by chance."""
    return f"{_now():%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"


def _now() -> datetime:
    return datetime.now(timezone.utc).replace(microsecond=0)


@dataclass(frozen=True)
class RunInfo:
    """What a run is: its identity, what it reads, with which model, program and settings.

    `sources` are the paths as given; `settings` must be JSON-able and hold no password. The
    identity is made here, by the client, so that `start_run` can be repeated.
    """

    sources: Sequence[str]
    model_path: str
    model_sha256: str | None = None
    model_version: str | None = None
    program_version: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=new_run_id)
    started_at: datetime = field(default_factory=_now)


@dataclass(frozen=True)
class RunCounts:
    """How many images of a run are stored, and how many of them by status."""

    images: int = 0
    ok: int = 0
    uncertain: int = 0
    rejected: int = 0
    errors: int = 0


@dataclass(frozen=True)
class Run:
    """A row of `classification_runs`; `counts` and `finished_at` are None while it is running."""

    info: RunInfo
    state: RunState
    finished_at: datetime | None
    counts: RunCounts | None


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
_SELECT_IMAGES = f"SELECT id, {', '.join(_IMAGE_COLUMNS)} FROM classified_images"
_SELECT_RUNS = (
    f"SELECT {', '.join(_RUN_COLUMNS)}, finished_at, images, ok, uncertain, rejected, errors"
    " FROM classification_runs"
)


class ResultsDatabase:
    """The results of all runs; made by `open`, closed by `close` or at the end of a `with`.

    Every method raises `DatabaseError`. Use it from one thread, as DB-API connections are.
    """

    def __init__(self, store: _Store) -> None:
        self._store = store

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
    ) -> ResultsDatabase:
        """Open the database, make what is missing, and bring its tables up to date.

        Args:
            url: see the module's docstring; the part after `sqlite:///` is taken literally.
            password: for MySQL; goes before the one in `option_file`.
            option_file: a MySQL option file, whose group `client` gives what is left out here.
            tls_ca: a PEM file; a MySQL server whose certificate it did not sign is refused.
            tls_required: refuse a MySQL server without TLS; a Unix socket needs none.
            read_only: make and change nothing, not even a missing SQLite file.

        Raises:
            DatabaseError: the URL is none, or the database cannot be reached, used or understood.
        """
        scheme = url.partition(":")[0]
        if scheme == "sqlite":
            store: _Store = _SQLiteStore(_sqlite_path(url), read_only)
        elif scheme == "mysql":
            server = _MySQLServer.parse(url, password, option_file, tls_ca, tls_required)
            store = _MySQLStore(server, read_only)
        else:
            # Only the scheme is repeated: the rest may hold a password.
            raise DatabaseError(f"Unknown kind of database {scheme!r}; use {_VALID_URLS}.")
        try:
            _migrate(store, read_only)
        except BaseException:
            store.close()
            raise
        return cls(store)

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
        with self._store.transaction(write=True) as cursor:
            self._store.insert_new(cursor, "classification_runs", ("id",), _RUN_COLUMNS, [values])
        return info.id

    def add(self, run_id: str, rows: Sequence[Result]) -> int:
        """Store the results of a run in one transaction: all of them or none.

        An image that the run has already is left as it is, so a batch may be sent again. Batches
        of about 1,000 are fast.

        Returns:
            How many rows were new.
        """
        timestamp = _text_time(_now())
        values = [_image_values(run_id, timestamp, row) for row in rows]
        for attempt in range(1, DEADLOCK_ATTEMPTS + 1):
            try:
                with self._store.transaction(write=True) as cursor:
                    return self._store.insert_new(
                        cursor,
                        "classified_images",
                        ("run_id", "path_key"),
                        _IMAGE_COLUMNS,
                        values,
                    )
            except _Deadlock:
                if attempt == DEADLOCK_ATTEMPTS:
                    raise
        raise AssertionError("unreachable")

    def finish_run(
        self, run_id: str, state: Literal["finished", "interrupted", "failed"]
    ) -> RunCounts:
        """Close a run: record its state, the time, and the counts of its stored images."""
        with self._store.transaction(write=True) as cursor:
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
                    _text_time(_now()),
                    counts.images,
                    counts.ok,
                    counts.uncertain,
                    counts.rejected,
                    counts.errors,
                    run_id,
                ),
            )
        return counts

    def runs(self) -> list[Run]:
        """All runs, the newest first."""
        with self._store.transaction() as cursor:
            cursor.execute(f"{_SELECT_RUNS} ORDER BY started_at DESC, id DESC")
            return [_run(values) for values in cursor.fetchall()]

    def rows(self, run_id: str) -> Iterator[StoredResult]:
        """The rows of a run in the order of storing, read page by page: any size fits in memory."""
        last_id = 0
        while True:
            with self._store.transaction() as cursor:
                cursor.execute(
                    f"{_SELECT_IMAGES} WHERE run_id = ? AND id > ? ORDER BY id LIMIT ?",
                    (run_id, last_id, ROWS_PER_PAGE),
                )
                page = [_stored_result(values) for values in cursor.fetchall()]
            yield from page
            if len(page) < ROWS_PER_PAGE:
                return
            last_id = page[-1].id

    def latest(self, limit: int = 20) -> list[StoredResult]:
        """The rows stored last, of any run and of the ancestor, the newest first."""
        with self._store.transaction() as cursor:
            cursor.execute(f"{_SELECT_IMAGES} ORDER BY id DESC LIMIT ?", (limit,))
            return [_stored_result(values) for values in cursor.fetchall()]


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
        *((None,) * 10 if row.probabilities is None else map(float, row.probabilities)),
    )


def _stored_result(values: Sequence[Any]) -> StoredResult:
    (id_, run_id, timestamp, digit, confidence, status, reason, folder_name, file_name) = values[:9]
    path, key, image_sha256, *probabilities = values[9:]
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
                (number, _text_time(_now())),
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

_SQLITE_HEADER = b"SQLite format 3\x00"  # https://www.sqlite.org/fileformat.html, section 1.2

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


def _sqlite_path(url: str) -> Path:
    name = url.removeprefix("sqlite:///")
    if name == url or name in ("", ":memory:"):
        raise DatabaseError(
            "The database URL names no file; write sqlite:///digit_classification.db, or"
            " sqlite:////var/digits.db for an absolute path."
        )
    return Path(name)


class _SQLiteStore:
    """A results database in one file, in WAL mode where the file system has it."""

    def __init__(self, path: Path, read_only: bool) -> None:
        self.url = f"sqlite:///{path}"
        self._check_file(path, read_only)
        # A URI, for mode=ro; as_uri() escapes what a URI cannot hold.
        uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
        try:
            # isolation_level=None: this class, not the driver, says where a transaction begins.
            self._connection = sqlite3.connect(
                uri, uri=True, timeout=SQLITE_BUSY_TIMEOUT_S, isolation_level=None
            )
        except sqlite3.Error as error:
            raise self._sentence(error) from error
        try:
            if not read_only:
                self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
        except sqlite3.Error as error:
            self._connection.close()
            raise self._sentence(error) from error

    def _check_file(self, path: Path, read_only: bool) -> None:
        """SQLite itself would take a short foreign file for an empty database."""
        try:
            if not path.parent.is_dir():
                raise DatabaseError(
                    f"Database {self.url}: the folder {path.parent} does not exist; make it first."
                )
            if not path.exists():
                if read_only:
                    raise DatabaseError(
                        f"Database {self.url}: there is no such file; correct the URL or store"
                        " results in it first."
                    )
                return
            if not path.is_file():  # opening a pipe or a device could hang
                raise DatabaseError(f"Database {self.url}: this is no file; choose another name.")
            with path.open("rb") as file:
                header = file.read(len(_SQLITE_HEADER))
        except OSError as error:
            raise DatabaseError(
                f"Database {self.url}: {error.strerror}; correct the URL or the permissions."
            ) from error
        if header not in (b"", _SQLITE_HEADER):
            raise self._not_sqlite()

    def _not_sqlite(self) -> DatabaseError:
        return DatabaseError(
            f"Database {self.url}: this file is no SQLite database and was left untouched;"
            " choose another name."
        )

    def _sentence(self, error: sqlite3.Error) -> DatabaseError:
        """SQLite's message for the user; before Python 3.11 an error has no code to go by."""
        message = str(error)
        if "file is not a database" in message:
            return self._not_sqlite()
        advice = {
            "malformed": "the file is damaged; restore a copy, or move it away to start a new one",
            "locked": "another program keeps it locked; close that program and try again",
            "readonly": "it cannot be written to; correct its permissions or choose another place",
            "unable to open": "correct the URL or the permissions of the file and its folder",
            "disk is full": "make room on the disk",
            "disk I/O error": "check the disk",
        }
        next_step = next((advice[key] for key in advice if key in message), "correct its tables")
        return DatabaseError(f"Database {self.url}: SQLite says {message!r}; {next_step}.")

    @contextmanager
    def transaction(self, *, write: bool = False) -> Iterator[sqlite3.Cursor]:
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
                raise self._sentence(error) from error
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
        else:
            cursor.execute(_SQLITE_RUNS_TABLE)
            self._extend_images_table(cursor)

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
            cursor.execute(f"ALTER TABLE classified_images ADD COLUMN {_quote(name)} {found[name]}")
        names = ", ".join(_quote(name) for name in found)
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


def _quote(identifier: str) -> str:
    """A name for use in SQL, where it cannot be bound; SQLite knows MySQL's backticks too."""
    return "`" + identifier.replace("`", "``") + "`"


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

_GRANT = "GRANT SELECT, INSERT, UPDATE, CREATE, ALTER"
_LOST = "the connection was lost; see that a MySQL server runs there, and run again"
_FULL = "the server's disk or table space is full; make room there"
_READ_ONLY = "the server is read-only; use its primary server or end the read-only mode"
_TOO_MANY = "the server has too many connections; close some or raise its max_connections"
# Error numbers of MySQL and MariaDB, and (2xxx) of the client: what is wrong, and what to do.
# https://dev.mysql.com/doc/mysql-errors/en/server-error-reference.html
_MYSQL_ADVICE = {
    3: _FULL,
    1021: _FULL,
    1040: _TOO_MANY,
    1053: _LOST,
    1114: _FULL,
    1129: "the server has blocked this host; have its administrator run FLUSH HOSTS",
    1130: "the server admits no user from this host; have its administrator create one",
    1153: "a row is larger than the server takes; raise its max_allowed_packet",
    1203: _TOO_MANY,
    1205: "another program holds a lock for too long; close that program and try again",
    1213: "the transaction was rolled back as a deadlock over and over; try again",
    1226: _TOO_MANY,
    1290: _READ_ONLY,
    1820: "the password has expired; set a new one with the mysql client",
    1836: _READ_ONLY,
    1862: "the password has expired; set a new one with the mysql client",
    2006: _LOST,
    2013: _LOST,
    2055: _LOST,
    3159: "the server demands TLS; remove the Unix socket from the URL or what disables TLS",
}
_DENIED = (1044, 1142, 1143, 1227)
_WRONG_PASSWORD = (1045, 1698)
_UNKNOWN_DATABASE = 1049
_DEADLOCK = 1213
_TEXT_IN_KEY = 1170


@dataclass(frozen=True)
class _MySQLServer:
    """Where a MySQL or MariaDB database is, and how to log in; its repr shows no password."""

    host: str
    port: int
    user: str
    database: str
    unix_socket: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: Mapping[str, Any] = field(default_factory=dict)
    tls_required: bool = False

    @classmethod
    def parse(
        cls,
        url: str,
        password: str | None,
        option_file: Path | None,
        tls_ca: Path | None,
        tls_required: bool,
    ) -> _MySQLServer:
        """Read the URL; what it leaves out comes from the option file, then from the defaults."""
        if not url.startswith("mysql://"):
            raise DatabaseError(f"The database URL begins with no mysql://; use {_VALID_URLS}.")
        try:
            parts = urlsplit(url)
            port, query = parts.port, dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        except ValueError:
            port, query = None, None
        if ":" in url.removeprefix("mysql://").rpartition("@")[0]:
            raise DatabaseError(
                "The database URL holds a password, which others could read; take it out and"
                f" {_GIVE_PASSWORD} it."
            )
        if query is None or query.keys() - {"unix_socket"} or "/" in parts.path[1:]:
            # Not repeated: who mistypes a URL may have mistyped a password in it.
            raise DatabaseError(
                "The database URL is no valid mysql:// URL; write it like"
                " mysql://user@host:3306/digit_classification, with nothing behind it but"
                " ?unix_socket=/path."
            )
        options = {} if option_file is None else _read_option_file(option_file)
        ssl_mode = options.get("ssl_mode", "").upper()
        verify = tls_ca is not None or "ssl_ca" in options or ssl_mode.startswith("VERIFY")
        return cls(
            host=parts.hostname or options.get("host", "localhost"),
            port=port or int(options.get("port", DEFAULT_MYSQL_PORT)),
            user=unquote(parts.username or "") or options.get("user", ""),
            database=unquote(parts.path[1:]) or DEFAULT_DATABASE,
            unix_socket=query.get("unix_socket")
            or (None if parts.hostname else options.get("socket")),
            password=password if password is not None else options.get("password"),
            tls={
                "ssl_ca": str(tls_ca) if tls_ca is not None else options.get("ssl_ca"),
                "ssl_cert": options.get("ssl_cert"),
                "ssl_key": options.get("ssl_key"),
                "ssl_verify_cert": verify,
                "ssl_verify_identity": ssl_mode == "VERIFY_IDENTITY",
            },
            tls_required=tls_required or verify or ssl_mode == "REQUIRED",
        )

    @property
    def url(self) -> str:
        """The URL for messages, without a password."""
        user = f"{self.user}@" if self.user else ""
        if self.unix_socket:
            return f"mysql://{user}/{self.database}?unix_socket={self.unix_socket}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"mysql://{user}{host}:{self.port}/{self.database}"

    def sentence(self, error: Any) -> DatabaseError:
        """The user's sentence for an error of the driver, a `mysql.connector.Error`."""
        number, message = error.errno, " ".join(str(error.msg).split()).rstrip(".")
        user = repr(self.user)
        grant = f"{_GRANT} ON {_quote(self.database)}.* TO {user}"
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        if "SSL" in message or "ertificate" in message:
            problem = f"TLS failed ({message}); check the server's certificate and tls_ca"
        elif number in _WRONG_PASSWORD and not self.user:
            problem = "it names no user; write mysql://user@host/database"
        elif number in _WRONG_PASSWORD and "using password: YES" not in message:
            problem = f"user {user} is not admitted without a password; {_GIVE_PASSWORD} it"
        elif number in _WRONG_PASSWORD:
            problem = f"the password of user {user} is wrong; {_GIVE_PASSWORD} the right one"
        elif number in _DENIED:
            problem = f"user {user} lacks a privilege ({message}); have an administrator {grant}"
        elif "Connection not available" in message:  # the driver's words, without a number
            problem = _LOST
        elif number == _UNKNOWN_DATABASE:
            problem = "there is no such database; correct the URL or store results in it first"
        elif number == _TEXT_IN_KEY:
            problem = f"an index of your own is in the way ({message}); drop that index"
        elif isinstance(cause, socket.gaierror):
            problem = f"the host {self.host!r} is unknown; correct the URL"
        elif isinstance(cause, TimeoutError):
            problem = (
                f"no answer within {CONNECT_TIMEOUT_S} seconds; see that the server runs and that"
                " no firewall is between"
            )
        elif number in (2002, 2003):
            why = cause.strerror if isinstance(cause, OSError) else message
            problem = f"no server answers there ({why}); start it, or correct the URL"
        else:
            default = f"the server says {message!r}; see its error log"
            problem = _MYSQL_ADVICE.get(number, default)
        kind = _Deadlock if number == _DEADLOCK else DatabaseError
        return kind(f"Database {self.url}: {problem}.")


def _read_option_file(path: Path) -> dict[str, str]:
    """The group `client` of a MySQL option file, keys with underscores.

    https://dev.mysql.com/doc/refman/8.4/en/option-files.html: quotes around a value are not part
    of it. No message repeats a line of the file, which may hold the password.
    """
    optionfiles = _import_driver("mysql.connector.optionfiles")
    try:
        path.read_bytes()
    except OSError as error:
        raise DatabaseError(
            f"The MySQL option file {path} cannot be read: {error.strerror}; correct its name or"
            " its permissions."
        ) from error
    try:
        options = optionfiles.MySQLOptionsParser(str(path), keep_dashes=False).get_groups("client")
        int(options.get("port", 0))
    except Exception:
        raise DatabaseError(
            f"The MySQL option file {path} is not one; write a line [client] and below it lines"
            " like user=name and password=secret."
        ) from None
    return {
        name: value[1:-1] if value[:1] in "'\"" and value[:1] == value[-1:] else value
        for name, value in options.items()
    }


def _import_driver(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise DatabaseError(
            "MySQL needs the package mysql-connector-python; run: pip install"
            " mysql-connector-python"
        ) from error


class _MySQLStore:
    """A results database on a MySQL or MariaDB server.

    All values travel in prepared statements. The driver's ordinary cursors, `executemany` too,
    put values into the text of the statement and then look for the word DELIMITER in it, so that
    a file named "delimiter 7.png" is stored as "7.png" (mysql-connector-python 26.10).
    """

    def __init__(self, server: _MySQLServer, read_only: bool) -> None:
        self.url = server.url
        self._server = server
        self._driver = _import_driver("mysql.connector")
        self._connect(create=not read_only)
        (packet,) = self._connection.info_query("SELECT @@max_allowed_packet")
        self._max_allowed_packet = int(packet)

    def _connect(self, *, create: bool) -> None:
        self._connection = self._open_connection(create)
        self._full_chunks = self._connection.cursor(prepared=True)

    def _open_connection(self, create: bool) -> Any:
        """Connect; a database that is missing is made."""
        name = self._server.database
        try:
            try:
                return self._log_in(database=name)
            except self._driver.Error as error:
                if error.errno != _UNKNOWN_DATABASE or not create:
                    raise
            with closing(self._log_in()) as connection:
                connection.cmd_query(
                    f"CREATE DATABASE IF NOT EXISTS {_quote(name)}"
                    " CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"
                )
            return self._log_in(database=name)
        except DatabaseError:
            raise
        except self._driver.Error as error:
            raise self._server.sentence(error) from error
        except Exception as error:  # the driver chokes in many ways on what is no MySQL server
            raise DatabaseError(
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
        return connection

    @contextmanager
    def transaction(self, *, write: bool = False) -> Iterator[Any]:
        cursor = None
        try:
            cursor = self._connection.cursor(prepared=True)
            yield cursor
            self._connection.commit()
        except Exception as error:
            with suppress(self._driver.Error):
                self._connection.rollback()
            if isinstance(error, self._driver.Error):
                raise self._server.sentence(error) from error
            raise
        except BaseException:
            # Ctrl-C, perhaps before an answer was read, which the next command would then take
            # for its own. Without its connection the server rolls the transaction back.
            self._connection.shutdown()
            with suppress(DatabaseError):
                self._connect(create=False)
            raise
        finally:
            if cursor is not None:
                with suppress(self._driver.Error, ReferenceError):  # the connection may be gone
                    cursor.close()

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
            if cursor.fetchall() != [(1,)]:
                raise DatabaseError(
                    f"Database {self.url}: another program has been changing its tables for"
                    f" {MIGRATION_LOCK_TIMEOUT_S} seconds; wait for it and try again."
                )
            yield cursor  # after an error the connection is closed, which releases the lock too
            self._connection.commit()  # the next to hold the lock must see what was done
            cursor.execute("SELECT RELEASE_LOCK(?)", (name,))
            cursor.fetchall()

    def apply_migration(self, cursor: Any, number: int) -> None:
        if number == 1:
            cursor.execute(_MYSQL_ANCESTOR_TABLE)
        else:
            cursor.execute(_MYSQL_RUNS_TABLE)
            self._extend_images_table(cursor)

    def _extend_images_table(self, cursor: Any) -> None:
        """Extend the ancestor's table in place, by one statement: wholly or, cut off, not at all.

        Changing a text column's character set converts what it holds.
        """
        cursor.execute(
            "SELECT column_name, CAST(column_type AS CHAR), is_nullable"
            " FROM information_schema.columns"
            " WHERE table_schema = DATABASE() AND table_name = 'classified_images'"
        )
        found = {name.lower(): (type_, null == "YES") for name, type_, null in cursor.fetchall()}
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
        with suppress(self._driver.Error, OSError):
            self._connection.close()


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
