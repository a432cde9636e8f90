"""MySQL and MariaDB: connections, tables, and rows by the hundred."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import lru_cache
from typing import Any

from digit_classification.results.errors import DatabaseError, Unavailable
from digit_classification.results.mysql.server import (
    UNKNOWN_DATABASE,
    MySQLServer,
    load_driver,
    quote,
)
from digit_classification.results.mysql.tables import apply_migration, columns_of
from digit_classification.results.schema import SCHEMA_VERSION, check_schema

CONNECT_TIMEOUT_S = 10
ANSWER_TIMEOUT_S = 180  # more than the 50 seconds that InnoDB waits for a lock
MIGRATION_LOCK_TIMEOUT_S = 60
_TOO_LARGE = 1153
_UNKNOWN_TABLE = 1146
# Measured on MariaDB: 10,400 rows/s with 10 rows a statement, 20,700 with 100, 20,600 with 200.
ROWS_PER_STATEMENT = 100

_KEYS = {
    "classified_images": "id",
    "classification_runs": "id",
    "classified_digits": "position",
    "corrected_images": "revision",
}


def check_mysql(server: MySQLServer) -> None:
    """Find out whether results could be stored on a server; change nothing.

    Raises DatabaseError if they could not.
    """
    with closing(MySQLStore(server, read_only=True, may_be_missing=True)) as store:
        store.check_privileges(to_migrate=check_schema(store) < SCHEMA_VERSION)


class MySQLStore:
    """A results database on a MySQL or MariaDB server.

    All values travel in prepared statements. The driver's ordinary cursors, `executemany` too,
    put values into the text of the statement and then look for the word DELIMITER in it, so that
    a file named "delimiter 7.png" is stored as "7.png" (mysql-connector-python 26.10).
    """

    def __init__(
        self, server: MySQLServer, read_only: bool, *, may_be_missing: bool = False
    ) -> None:
        self.url = server.url
        self._server = server
        self._driver = load_driver()
        self._connection: Any = None  # None: lost, the next transaction connects again
        self._connect(create=not read_only, may_be_missing=may_be_missing)

    def _connect(self, *, create: bool, may_be_missing: bool = False) -> None:
        connection = self._open_connection(create, may_be_missing)
        self._full_chunks = connection.cursor(prepared=True)
        self._connection = connection

    def _open_connection(self, create: bool, may_be_missing: bool) -> Any:
        """Connect; a database that is missing is made, or connected without if it may be."""
        name = self._server.database
        try:
            try:
                return self._log_in(database=name)
            except self._driver.Error as error:
                if error.errno != UNKNOWN_DATABASE or not (create or may_be_missing):
                    raise
            if may_be_missing:
                return self._log_in()
            with ExitStack() as opened:  # one connection: a user may be allowed no second
                connection = opened.enter_context(closing(self._log_in()))
                sql = f"CREATE DATABASE IF NOT EXISTS {quote(name)} COLLATE utf8mb4_general_ci"
                connection.cmd_query(sql)
                connection.cmd_init_db(name)
                opened.pop_all()
            return connection
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
            if len(chunk) == 1 and _text_bytes(chunk[0]) > self._max_allowed_packet:
                # Said here, for MySQL may hang up before what it says of it is read.
                raise self._server.sentence(self._driver.Error(errno=_TOO_LARGE))
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

    def columns_of(self, cursor: Any, table: str) -> list[str]:
        return list(columns_of(cursor, table))

    def quoted(self, name: str) -> str:
        return quote(name)

    def replace_view(self, cursor: Any, name: str, select: str) -> None:
        cursor.execute(f"CREATE OR REPLACE SQL SECURITY INVOKER VIEW {name} AS {select}")

    def check_privileges(self, *, to_migrate: bool) -> None:
        """Ask the server for what a run does, in statements that do nothing.

        A server looks at the privileges first.  So a statement about no row, or about a table that
        is not there, tells whether they are granted.

        Raises DatabaseError if one is not.
        """
        database = quote(self._server.database)
        statements = []
        for table, key in _KEYS.items():
            table = f"{database}.{table}"
            statements += [
                f"SELECT 1 FROM {table} WHERE FALSE",
                f"INSERT INTO {table} SELECT * FROM {table} WHERE FALSE",
                f"UPDATE {table} SET {key} = {key} WHERE FALSE",
            ]
        if to_migrate:
            table = f"{database}.digits_no_such_table"
            statements += [
                f"CREATE TABLE {table}_either LIKE {table}",
                f"ALTER TABLE {table} ADD COLUMN digit INT",
            ]
        for statement in statements:
            try:
                with closing(self._connection.cursor()) as cursor:
                    cursor.execute(statement)
                    cursor.fetchall() if cursor.with_rows else None
            except self._driver.Error as error:
                if error.errno not in (UNKNOWN_DATABASE, _UNKNOWN_TABLE):
                    raise self._server.sentence(error) from error
        self._connection.rollback()

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
        apply_migration(self.url, cursor, number)

    def close(self) -> None:
        if self._connection is not None:
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


def _text_bytes(row: tuple[Any, ...]) -> int:
    return sum(len(value.encode()) for value in row if isinstance(value, str))


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
