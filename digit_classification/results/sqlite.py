"""SQLite: the file, its tables, and what can be wrong with them."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from digit_classification.files import check_creatable, check_writable
from digit_classification.results.errors import DatabaseError, Unavailable
from digit_classification.results.records import BOX_COLUMNS, CELL_COLUMNS
from digit_classification.results.schema import check_ancestor_columns, check_schema
from digit_classification.urls import SQLITE

BUSY_TIMEOUT_S = 5
# Checksums as keys scatter over the pages of their index, so that each batch changes most of them.
# 32 MiB of changes gathered before they go to the main file: 27 microseconds a row, not 34.
WAL_PAGES = 8192

_HEADER = b"SQLite format 3\x00"  # https://www.sqlite.org/fileformat.html, section 1.2
# Words of SQLite's messages, for before Python 3.11 an error has no code to go by.
_ADVICE = {
    "malformed": "the file is damaged; restore a copy, or move it away to start a new one",
    "locked": "another program keeps it locked; close that program and try again",
    "readonly": "it cannot be written to; correct its permissions or choose another place",
    "unable to open": "correct the URL or the permissions of the file and its folder",
    "disk is full": "make room on the disk",
    "disk I/O error": "check the disk, and that there is room on it",
}
_ANCESTOR_TABLE = """
CREATE TABLE IF NOT EXISTS classified_images (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    digit INT,
    confidence FLOAT,
    timestamp DATETIME,
    folder_name VARCHAR(255),
    file_name VARCHAR(255)
)"""
_IMAGES_TABLE = """
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
_RUNS_TABLE = """
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

# Without a rowid the rows of a picture lie together, under the key that finds them.
_DIGITS_TABLE = """
CREATE TABLE classified_digits (
    run_id TEXT NOT NULL,
    path_key TEXT NOT NULL,
    position INT NOT NULL,
    text TEXT NOT NULL,
    box_left DOUBLE NOT NULL,
    box_top DOUBLE NOT NULL,
    box_width DOUBLE NOT NULL,
    box_height DOUBLE NOT NULL,
    confidence DOUBLE NOT NULL,
    p0 DOUBLE, p1 DOUBLE, p2 DOUBLE, p3 DOUBLE, p4 DOUBLE,
    p5 DOUBLE, p6 DOUBLE, p7 DOUBLE, p8 DOUBLE, p9 DOUBLE,
    PRIMARY KEY (run_id, path_key, position)
) WITHOUT ROWID"""


class SQLiteStore:
    """A results database in one file, in WAL mode where the file system has it."""

    def __init__(self, path: Path, read_only: bool) -> None:
        self.url = f"{SQLITE}{path}"
        _check_file(path, self.url, must_exist=read_only)
        # Opened for reading alone, SQLite would leave the files of its write-ahead log behind.
        in_use = os.path.exists(f"{path}-wal")
        mode = "rwc" if not read_only else "ro" if in_use else "rw"
        uri = f"{path.absolute().as_uri()}?mode={mode}"  # as_uri() escapes what a URI cannot hold
        try:
            # isolation_level=None: this class, not the driver, says where a transaction begins.
            self._connection = sqlite3.connect(
                uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None
            )
        except sqlite3.Error as error:
            raise _sentence(error, self.url) from error
        try:
            if not read_only:
                self._switch_to_wal()
            if read_only:
                self._connection.execute("PRAGMA query_only = ON")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
            self._path = path.absolute()
            self._file = os.stat(path)
        except sqlite3.Error as error:
            self._connection.close()
            raise _sentence(error, self.url) from error

    def _switch_to_wal(self) -> None:
        """Switch, again if need be: while another switches, SQLite refuses without waiting."""
        stop = time.monotonic() + BUSY_TIMEOUT_S
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
                raise _sentence(error, self.url) from error
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

    def columns_of(self, cursor: sqlite3.Cursor, table: str) -> list[str]:
        cursor.execute("SELECT lower(name) FROM pragma_table_info(?)", (table,))
        return [name for (name,) in cursor.fetchall()]

    def quoted(self, name: str) -> str:
        return _quote(name)

    def replace_view(self, cursor: sqlite3.Cursor, name: str, select: str) -> None:
        cursor.execute(f"DROP VIEW IF EXISTS {name}")
        cursor.execute(f"CREATE VIEW {name} AS {select}")

    def migrating(self) -> AbstractContextManager[sqlite3.Cursor]:
        return self.transaction(write=True)

    def apply_migration(self, cursor: sqlite3.Cursor, number: int) -> None:
        if number == 1:
            cursor.execute(_ANCESTOR_TABLE)
        elif number == 2:
            cursor.execute(_RUNS_TABLE)
            self._extend_images_table(cursor)
        elif number == 3:
            self._add_image_column(cursor, "sorted_to TEXT")
        elif number == 4:
            self._add_image_column(cursor, "number TEXT")
            cursor.execute(_DIGITS_TABLE)
        elif number == 5:
            self._add_image_column(cursor, "corrected_at DATETIME")
            from digit_classification.results import corrections

            cursor.execute(corrections.SQLITE_TABLE)
        elif number == 6:
            for name in CELL_COLUMNS:
                type_ = "DOUBLE" if name in BOX_COLUMNS else "INT"
                self._add_image_column(cursor, f"{name} {type_}")
        else:
            self._add_image_column(cursor, "field TEXT")

    def _add_image_column(self, cursor: sqlite3.Cursor, column: str) -> None:
        if column.split()[0] not in self.columns_of(cursor, "classified_images"):
            cursor.execute(f"ALTER TABLE classified_images ADD COLUMN {column}")

    def _extend_images_table(self, cursor: sqlite3.Cursor) -> None:
        """Rebuild the ancestor's table, for SQLite cannot drop a NOT NULL; all rows are kept.

        Columns, indexes and triggers that the user added are kept too.
        """
        found = {name.lower(): type_ for _, name, type_, *_ in _table_info(cursor)}
        check_ancestor_columns(self.url, list(found))
        cursor.execute(
            "SELECT sql FROM sqlite_master WHERE tbl_name = 'classified_images'"
            " AND type IN ('index', 'trigger') AND sql IS NOT NULL"
        )
        additions = [sql for (sql,) in cursor.fetchall()]
        cursor.execute("CREATE TABLE ancestor_rows AS SELECT * FROM classified_images")
        cursor.execute("DROP TABLE classified_images")
        cursor.execute(_IMAGES_TABLE)
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


def _quote(name: str) -> str:
    """A column's name as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def _table_info(cursor: sqlite3.Cursor) -> list[tuple[Any, ...]]:
    return cursor.execute("PRAGMA table_info(classified_images)").fetchall()


def sqlite_path(url: str) -> Path:
    """Return the path in `sqlite:///PATH`, which is taken literally."""
    name = url.removeprefix(SQLITE)
    if name == url or name in ("", ":memory:"):
        raise DatabaseError(
            "The database URL names no file; write sqlite:///digit_classification.db, or"
            " sqlite:////var/digits.db for an absolute path."
        )
    return Path(name)


def check_sqlite(path: Path) -> None:
    """Find out whether results could be stored in the file `path`; change nothing.

    Raises DatabaseError if they could not.
    """
    url = f"{SQLITE}{path}"
    _check_file(path, url, must_exist=False)
    try:
        check_writable(path)
        check_creatable(path)  # SQLite writes two files beside its own
    except OSError as error:
        raise _not_permitted(url, error) from error
    if path.exists() and path.stat().st_size:
        with closing(SQLiteStore(path, read_only=True)) as store:
            check_schema(store)


def _check_file(path: Path, url: str, *, must_exist: bool) -> None:
    """Look before SQLite does, which would take a short foreign file for an empty database.

    Raises DatabaseError if the file or its folder is not there, or is something else.
    """
    try:
        if not path.parent.is_dir():
            raise DatabaseError(
                f"Database {url}: the folder {path.parent} does not exist; make it first."
            )
        if not path.exists():
            if must_exist:
                raise DatabaseError(
                    f"Database {url}: there is no such file; correct the URL or store"
                    " results in it first."
                )
            return
        if not path.is_file():  # opening a pipe or a device could hang
            raise DatabaseError(f"Database {url}: this is no file; choose another name.")
        with path.open("rb") as file:
            header = file.read(len(_HEADER))
    except OSError as error:
        raise _not_permitted(url, error) from error
    if header not in (b"", _HEADER):
        raise _not_sqlite(url)


def _sentence(error: sqlite3.Error, url: str) -> DatabaseError:
    """The user's sentence for an error of the driver."""
    message = str(error)
    if "file is not a database" in message:
        return _not_sqlite(url)
    next_step = next((_ADVICE[key] for key in _ADVICE if key in message), "correct its tables")
    kind = Unavailable if "locked" in message else DatabaseError
    return kind(f"Database {url}: SQLite says {message!r}; {next_step}.")


def _not_permitted(url: str, error: OSError) -> DatabaseError:
    return DatabaseError(f"Database {url}: {error.strerror}; correct the URL or the permissions.")


def _not_sqlite(url: str) -> DatabaseError:
    return DatabaseError(
        f"Database {url}: this file is no SQLite database and was left untouched;"
        " choose another name."
    )
