"""What an SQL store has to offer, and bringing its tables up to date, whichever it is."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from digit_classification.results.errors import DatabaseError
from digit_classification.results.records import now, text_time

# Migration 1 is the ancestor's table, 2 adds the runs and what traces a row, 3 where its copy is,
# 4 what is read of numbers, 5 what a person corrected, 6 where on a form numbers stand,
# 7 in which field.
SCHEMA_VERSION = 7
_ANCESTOR_COLUMNS = ("id", "digit", "confidence", "timestamp", "folder_name", "file_name")


class Store(Protocol):
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

    def columns_of(self, cursor: Any, table: str) -> Sequence[str]:
        """The columns of a table or view, in lower case; none if it is not there."""

    def quoted(self, name: str) -> str:
        """A name of a column as a quoted identifier."""

    def replace_view(self, cursor: Any, name: str, select: str) -> None:
        """Make a view of what `select` selects, or put it in the place of the one of that name."""

    def migrating(self) -> AbstractContextManager[Any]:
        """A cursor, while no other process migrates this database."""

    def apply_migration(self, cursor: Any, number: int) -> None:
        """Run a migration, numbered from 1; one that was cut off half-way is completed."""

    def close(self) -> None:
        """Close the connection."""


def migrate(store: Store, read_only: bool) -> None:
    """Bring the schema up to date; processes that open the database at once take turns."""
    found = check_schema(store)
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
                (number, text_time(now())),
            )


def check_schema(store: Store) -> int:
    """Return the version of the schema; change nothing.

    Raises DatabaseError if it is one that cannot be brought up to date.
    """
    with store.transaction() as cursor:
        found = _schema_version(store, cursor)
        if not found and store.has_table(cursor, "classified_images"):
            check_ancestor_columns(store.url, store.columns_of(cursor, "classified_images"))
    if found > SCHEMA_VERSION:
        raise DatabaseError(
            f"Database {store.url}: its schema version {found} is newer than"
            f" {SCHEMA_VERSION}, the newest this program knows; update the program."
        )
    return found


def _schema_version(store: Store, cursor: Any) -> int:
    if not store.has_table(cursor, "schema_migrations"):
        return 0
    cursor.execute("SELECT COALESCE(MAX(version), 0) FROM schema_migrations")
    return int(cursor.fetchall()[0][0])


def check_ancestor_columns(url: str, columns: Sequence[str]) -> None:
    missing = [name for name in _ANCESTOR_COLUMNS if name not in columns]
    if missing:
        raise DatabaseError(
            f"Database {url}: its table classified_images belongs to another program, for it has no"
            f" column {missing[0]}; rename that table or choose another database."
        )
