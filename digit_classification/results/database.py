r"""The results database: SQL that SQLite, MySQL and MariaDB share.

`ResultsDatabase` is one class over two stores, both spoken to through DB-API: `mysql.MySQLStore`
(mysql-connector-python, imported only when such a URL is opened) and `sqlite.SQLiteStore`.

    mysql://user@host:3306/digit_classification     also mysql:/// and ?unix_socket=/run/mysqld.sock
    sqlite:///digit_classification.db               relative; sqlite:////var/digits.db is absolute

    with ResultsDatabase.open("sqlite:///digit_classification.db") as database:
        run_id = database.start_run(RunInfo(sources=["scans"], model_path="digits.keras"))
        database.add(run_id, [Result("scans/7.png", "ok", digit=7, confidence=0.98)])
        database.finish_run(run_id, "finished")

Tables: `classified_images`, one row per image of a run, which keeps the columns of the ancestor
program's table of that name; `classified_digits`, one row per sign of a number (`digits.py`);
`classification_runs`, one row per run; `corrected_images`, one row per correction
(`corrections.py`); `schema_migrations`. The view `forms` shows the fields of forms (`forms.py`).
Times are UTC, except in rows that the ancestor wrote. A run and the SHA-256 of an image's path make
a row unique, so that a batch whose commit was cut off can be sent again.

Names that are not valid Unicode are stored with each undecodable byte escaped, `\xff` for the byte
255 (as Python's "backslashreplace"), and each lone surrogate as `\ud800`; `path_key` tells such a
name from one that really contains a backslash.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from digit_classification.names import escape_undecodable
from digit_classification.results.digits import (
    SELECT_IMAGES,
    insert_images,
    some_at_a_time,
    stored_images,
)
from digit_classification.results.errors import DatabaseError, until_available
from digit_classification.results.forms import make_view, show_forms
from digit_classification.results.records import (
    RUN_COLUMNS,
    Result,
    Run,
    RunCounts,
    RunInfo,
    StoredResult,
    now,
    path_key,
    run_values,
    stored_run,
    text_time,
)
from digit_classification.results.schema import Store, migrate
from digit_classification.urls import MYSQL, SQLITE, VALID_URLS, kind_of

if TYPE_CHECKING:
    from digit_classification.results.corrections import Corrected, Correction

T = TypeVar("T")

ROWS_PER_PAGE = 1_000

_SELECT_RUNS = (
    f"SELECT {', '.join(RUN_COLUMNS)}, finished_at, images, ok, uncertain, rejected, errors"
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

    rows_can_change: ClassVar[Literal[True]] = True  # once they are stored

    def __init__(
        self,
        store: Store,
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
        kind = kind_of(url)
        if kind == kind_of(SQLITE):
            from digit_classification.results.sqlite import SQLiteStore, sqlite_path

            store: Store = SQLiteStore(sqlite_path(url), read_only)
        elif kind == kind_of(MYSQL):
            from digit_classification.results.mysql.server import MySQLServer
            from digit_classification.results.mysql.store import MySQLStore

            server = MySQLServer.parse(url, password, option_file, tls_ca, tls_required)
            store = MySQLStore(server, read_only)
        else:
            raise _unknown_kind(kind)
        try:
            migrate(store, read_only)
        except BaseException:
            store.close()
            raise
        return cls(store, retry_seconds, notice)

    @classmethod
    def check(
        cls,
        url: str,
        *,
        password: str | None = None,
        option_file: Path | None = None,
        tls_ca: Path | None = None,
        tls_required: bool = False,
    ) -> None:
        """Find out whether results could be stored there, as after `open`; change nothing.

        Raises DatabaseError as `open` does.
        """
        kind = kind_of(url)
        if kind == kind_of(SQLITE):
            from digit_classification.results.sqlite import check_sqlite, sqlite_path

            check_sqlite(sqlite_path(url))
        elif kind == kind_of(MYSQL):
            from digit_classification.results.mysql.server import MySQLServer
            from digit_classification.results.mysql.store import check_mysql

            check_mysql(MySQLServer.parse(url, password, option_file, tls_ca, tls_required))
        else:
            raise _unknown_kind(kind)

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
        self._transact(
            lambda cursor: self._store.insert_new(
                cursor, "classification_runs", ("id",), RUN_COLUMNS, [run_values(info)]
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

    def show_forms(self, fields: Sequence[str]) -> None:
        """Make the view `forms`, which has a column for each field, as `forms.py` says.

        If that cannot be, it says so to `notice`, and raises nothing.
        """

        def make() -> None:
            self._transact(lambda cursor: make_view(self._store, cursor, fields), write=True)

        show_forms(make, self._notice)

    def add(self, run_id: str, rows: Sequence[Result], part: int | None = None) -> int:
        """Store the results of a run in one transaction: all of them or none.

        An image that the run has already is left as it is, so a batch may be sent again. Batches
        of about 1,000 are fast.  `part`, which a Parquet dataset needs, makes no difference here.

        Returns:
            How many rows were new; fewer if the connection was lost during the commit.
        """
        return self._transact(
            lambda cursor: insert_images(self._store, cursor, run_id, rows), write=True
        )

    def next_part(self, run_id: str) -> int:
        """The number of a run's next part, as for a Parquet dataset; here parts have no numbers."""
        return 0

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

    def correct(
        self, corrections: Sequence[Correction], by: str | None = None, *, dry_run: bool = False
    ) -> Corrected:
        """Put what a person said in the place of what was read, in one transaction: all or nothing.

        What is so already is left as it is, so the same corrections may be sent again.  With
        `dry_run` nothing is changed.

        Returns:
            What became of them; rows count as unchanged if the connection was lost in the commit.
        """
        from digit_classification.results.corrections import correct_images

        return self._transact(
            lambda cursor: correct_images(self._store, cursor, corrections, by, dry_run=dry_run),
            write=not dry_run,
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
                    text_time(now()),
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
        return [
            stored_run(values)
            for values in self._select(f"{_SELECT_RUNS} ORDER BY {_NEWEST_FIRST}")
        ]

    def run(self, run_id: str) -> Run | None:
        """The run of that identity, if there is one."""
        found = self._select(f"{_SELECT_RUNS} WHERE id = ?", run_id)
        return stored_run(found[0]) if found else None

    def latest_unfinished_run(self) -> Run | None:
        """The newest run that was interrupted, failed, or never closed, if there is one."""
        found = self._select(
            f"{_SELECT_RUNS} WHERE state <> 'finished' ORDER BY {_NEWEST_FIRST} LIMIT 1"
        )
        return stored_run(found[0]) if found else None

    def rows(self, run_id: str) -> Iterator[StoredResult]:
        """The rows of a run in the order of storing, read page by page: any size fits in memory."""
        last_id = 0
        while True:
            statement = f"{SELECT_IMAGES} WHERE run_id = ? AND id > ? ORDER BY id LIMIT ?"
            page = self._rows(self._select(statement, run_id, last_id, ROWS_PER_PAGE))
            yield from page
            if len(page) < ROWS_PER_PAGE:
                return
            last_id = page[-1].id

    def find(self, run_id: str, paths: Sequence[str]) -> dict[str, StoredResult]:
        """The rows that a run has for these paths, by path; best a few hundred at a time."""
        rows = self._rows(self._select_paths(SELECT_IMAGES, run_id, paths))
        found = {row.path_key: row for row in rows}
        return {path: found[key] for path in paths if (key := path_key(path)) in found}

    def stored(self, run_id: str, paths: Sequence[str]) -> set[str]:
        """Those of these paths that the run has a row of; best a few hundred at a time."""
        select = "SELECT path_key FROM classified_images"
        found = {key for (key,) in self._select_paths(select, run_id, paths)}
        return {path for path in paths if path_key(path) in found}

    def _select_paths(
        self, select: str, run_id: str, paths: Sequence[str]
    ) -> Iterator[Sequence[Any]]:
        for keys, places in some_at_a_time([path_key(path) for path in paths]):
            statement = f"{select} WHERE run_id = ? AND path_key IN ({places})"
            yield from self._select(statement, run_id, *keys)

    def latest(self, limit: int = 20) -> list[StoredResult]:
        """The rows stored last, of any run and of the ancestor, the newest first."""
        return self._rows(self._select(f"{SELECT_IMAGES} ORDER BY id DESC LIMIT ?", limit))

    def _rows(self, selected: Iterable[Sequence[Any]]) -> list[StoredResult]:
        return stored_images(selected, self._select)

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


def _unknown_kind(kind: str) -> DatabaseError:
    """Only the beginning of the URL is repeated: the rest may hold a password."""
    return DatabaseError(f"Unknown kind of database {kind!r}; use {VALID_URLS}.")


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
