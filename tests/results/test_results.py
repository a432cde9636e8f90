"""The results database, on SQLite and on a real MySQL or MariaDB server."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digit_classification.results import database as database_module
from digit_classification.results import sqlite
from digit_classification.results.database import ResultsDatabase
from digit_classification.results.errors import DatabaseError
from digit_classification.results.mysql import store as mysql
from digit_classification.results.mysql import tables
from digit_classification.results.mysql.server import MySQLServer
from digit_classification.results.mysql.store import ROWS_PER_STATEMENT, MySQLStore
from digit_classification.results.records import (
    Result,
    RunCounts,
    RunInfo,
    Status,
    new_run_id,
    path_key,
)
from digit_classification.results.sqlite import SQLiteStore, sqlite_path
from tests.conftest import (
    MYSQL_PASSWORD,
    PASSWORD_VARIABLE,
    connect_to_mysql,
    execute_on_mysql,
    mysql_database,
)
from tests.documents import ROOT

TEN = (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.6, 0.08, 0.04)
VALID_URLS = (
    "mysql://user@host:3306/digit_classification, sqlite:///digit_classification.db, "
    "parquet:results or none"
)
GIVE_PASSWORD = "set DIGITS_DATABASE_PASSWORD or name a MySQL option file that holds"
NOT_A_MYSQL_URL = (
    "The database URL is no valid mysql:// URL; write it like"
    " mysql://user@host:3306/digit_classification, with nothing behind it but ?unix_socket=/path."
)
NO_FILE = (
    "The database URL names no file; write sqlite:///digit_classification.db, or"
    " sqlite:////var/digits.db for an absolute path."
)
PASSWORD_IN_URL = (
    "The database URL holds a password, which others could read; take it out and"
    f" {GIVE_PASSWORD} it."
)
MIGRATIONS = [(number,) for number in range(1, 8)]
ANCESTOR_ROWS = [
    (3, 7, 16.25, "2024-05-01 10:11:12", "scans", "7 é.png"),
    (8, 0, -1.5, "2024-05-01 10:11:13", "", "x" * 255),
    (9, 9, 3.0, None, "it's", 'a "b" \\ c.png'),
]


def open_database(url: str, **options: Any) -> ResultsDatabase:
    return ResultsDatabase.open(url, password=os.environ.get(PASSWORD_VARIABLE), **options)


def execute(url: str, *statements: str) -> list[Any]:
    """Run statements from outside the program; return the rows of the last one."""
    if url.startswith("mysql"):
        return execute_on_mysql(url, *statements)
    with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        for statement in statements:
            rows = connection.execute(statement).fetchall()
        connection.commit()
    return rows


def make_run(**changes: Any) -> RunInfo:
    return replace(RunInfo(sources=("scans",), model_path="digits.keras"), **changes)


def make_results(count: int, folder: str = "scans") -> list[Result]:
    return [
        Result(f"{folder}/{number}.png", "ok", number % 10, 0.5, None, TEN, path_key(str(number)))
        for number in range(count)
    ]


def sentence(call: Callable[[], object]) -> str:
    """The message of the DatabaseError that the call raises."""
    with pytest.raises(DatabaseError) as caught:
        call()
    return str(caught.value)


# --- Storing and reading --------------------------------------------------------------------------


def test_a_result_comes_back_as_it_was(database_url: str) -> None:
    result = Result("a/b/7.png", "uncertain", 7, 0.625, "faint", TEN, "ab" * 32)
    with open_database(database_url) as database:
        run_id = database.start_run(make_run())
        assert database.add(run_id, [result]) == 1
        (stored,) = database.rows(run_id)
    assert (stored.id, stored.run_id, stored.path) == (1, run_id, "a/b/7.png")
    assert (stored.folder_name, stored.file_name) == ("b", "7.png")
    assert (stored.digit, stored.confidence, stored.probabilities) == (7, 0.625, TEN)
    assert (stored.status, stored.reason, stored.image_sha256) == ("uncertain", "faint", "ab" * 32)
    assert stored.path_key == path_key("a/b/7.png")
    now = datetime.now(timezone.utc).replace(tzinfo=None)
    assert stored.timestamp is not None
    assert abs((now - datetime.fromisoformat(stored.timestamp)).total_seconds()) < 60


def test_a_result_without_digit_has_nulls(database_url: str) -> None:
    with open_database(database_url) as database:
        database.add("run", [Result("x.png", "error", reason="truncated")])
        (stored,) = database.rows("run")
    assert (stored.digit, stored.confidence, stored.probabilities) == (None, None, None)
    assert (stored.status, stored.reason, stored.folder_name) == ("error", "truncated", "")
    assert execute(database_url, "SELECT p0, p9 FROM classified_images") == [(None, None)]


def test_numpy_scalars_are_stored_as_numbers(database_url: str) -> None:
    np = pytest.importorskip("numpy")
    ten = np.asarray(TEN, dtype=np.float32)
    with open_database(database_url) as database:
        database.add("run", [Result("x", "ok", np.int64(7), ten[7], None, tuple(ten))])
        (stored,) = database.rows("run")
    assert stored.digit == 7
    assert stored.confidence == ten[7]
    assert stored.probabilities == tuple(ten.tolist())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"status": "fine"}, "status 'fine' is none of ok, uncertain, rejected, error"),
        ({"probabilities": (0.5, 0.5)}, "2 probabilities instead of ten"),
        ({"probabilities": (float("nan"),) * 10}, r"probabilities \(nan, .* are not all finite"),
    ],
)
def test_a_result_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        replace(Result("x.png", "ok"), **changes)


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ('it\'s "quoted" `here` \\ % %s ? ;.png', None),
        ("😀 Ж 数.png", None),
        ("tab\tand\nnewline.png", None),
        ("delimiter 7.png", None),  # the driver's ordinary cursors store "7.png"
        ("`# DELIMITER $$ -- '.png", None),
        ("photos/'); DROP TABLE classified_images; --.png", None),
        ("=cmd|' /C calc'!A0.png", None),
        ("n" * 256 + ".png", None),
        ("archive.zip/" + "é" * 32_767, None),  # 65,535 bytes are the most a zip member has
        ("raw \udcff\udc80.png", "raw \\xff\\x80.png"),
        ("lone \ud800.png", "lone \\ud800.png"),
        ("😀" * 20_000, None),
    ],
    ids=lambda name: name and ascii(name[:12]),
)
def test_odd_names_arrive_whole(database_url: str, name: str, stored: str | None) -> None:
    expected = stored or name
    with open_database(database_url) as database:
        database.add("run", [Result(name, "error", reason=f"cannot read {name}")])
        (row,) = database.rows("run")
    assert (row.path, row.file_name) == (expected, expected.rpartition("/")[2])
    assert row.reason == f"cannot read {expected}"
    assert row.path_key == path_key(name)


def test_any_names_arrive_whole(database_url: str) -> None:
    name = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)

    @settings(max_examples=50, deadline=None)
    @given(names=st.lists(name, unique=True))
    def check(names: list[str]) -> None:
        run_id = new_run_id()
        assert database.add(run_id, [Result(name, "error") for name in names]) == len(names)
        assert [row.path for row in database.rows(run_id)] == names

    with open_database(database_url) as database:
        check()


def test_names_that_look_alike_are_two_images(database_url: str) -> None:
    names = ["\udcff.png", "\\xff.png", "A.png", "a.png", "é.png", "e\u0301.png", "a.png "]
    with open_database(database_url) as database:
        assert database.add("run", [Result(name, "ok") for name in names]) == len(names)


@pytest.mark.skipif(sys.platform == "win32", reason="paths are no bytes there")
def test_path_key_is_the_hash_of_the_raw_bytes() -> None:
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1
    assert path_key("abc") == abc
    assert path_key(os.fsdecode(b"\xff")) == path_key("\udcff")
    assert len({path_key("\udcff"), path_key("ÿ"), path_key("\ud800")}) == 3


def test_adding_twice_stores_once(database_url: str) -> None:
    rows = make_results(250)
    with open_database(database_url) as database:
        assert database.add("run", rows[:100]) == 100
        before = list(database.rows("run"))
        assert database.add("run", rows) == 150
        assert database.add("run", rows) == 0
        assert database.add("run", []) == 0
        assert database.add("run", [replace(rows[0], digit=9, status="rejected")]) == 0
        after = list(database.rows("run"))
    assert after[:100] == before
    assert [row.path for row in after] == [row.path for row in rows]


def test_an_image_named_twice_in_a_batch_is_stored_once(database_url: str) -> None:
    with open_database(database_url) as database:
        assert database.add("run", make_results(3) * 2) == 3


def test_runs_do_not_share_rows(database_url: str) -> None:
    with open_database(database_url) as database:
        first, second = (database.start_run(make_run()) for _ in range(2))
        assert database.add(first, make_results(3)) == 3
        before = list(database.rows(first))
        assert database.add(second, make_results(3)) == 3
        assert list(database.rows(first)) == before
        assert list(database.rows("no such run")) == []


def test_a_batch_is_stored_wholly_or_not_at_all(database_url: str) -> None:
    with open_database(database_url) as database:
        database.add("run", make_results(2))
        fail = (
            "BEGIN SELECT RAISE(ABORT, 'refused'); END"
            if database_url.startswith("sqlite")
            else "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'refused'"
        )
        when = "WHEN NEW.path = 'bad'" if database_url.startswith("sqlite") else ""
        if not when:
            fail = f"IF NEW.path = 'bad' THEN {fail}; END IF"
        execute(
            database_url,
            f"CREATE TRIGGER t BEFORE INSERT ON classified_images FOR EACH ROW {when} {fail}",
        )
        rows = [*make_results(150), Result("bad", "ok"), *make_results(9, "more")]
        assert "'refused'" in sentence(lambda: database.add("run", rows))
        assert len(list(database.rows("run"))) == 2
        execute(database_url, "DROP TRIGGER t")
        assert database.add("run", rows) == 149 - 1 + 1 + 9


def test_mysql_cuts_nothing_in_silence(mysql_url: str) -> None:
    with open_database(mysql_url) as database:
        message = sentence(lambda: database.add("run", [Result("x", "ok", image_sha256="a" * 65)]))
        assert "Data too long for column 'image_sha256'" in message
        assert list(database.rows("run")) == []


def test_rows_are_read_in_pages(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "ROWS_PER_PAGE", 3)
    with open_database(database_url) as database:
        for count in (0, 2, 3, 6, 7):
            run_id = new_run_id()
            database.add(run_id, make_results(count))
            paths = [row.path for row in database.rows(run_id)]
            assert paths == [f"scans/{number}.png" for number in range(count)]


def test_rows_may_be_added_while_others_are_read(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "ROWS_PER_PAGE", 3)
    with open_database(database_url) as database:
        database.add("old", make_results(7))
        for row in database.rows("old"):
            assert database.add("new", [Result(str(row.path), "ok")]) == 1
        assert len(list(database.rows("new"))) == 7


def test_latest_rows_come_first(database_url: str) -> None:
    with open_database(database_url) as database:
        assert database.latest() == []
        database.add("a", make_results(3))
        database.add("b", make_results(2, "more"))
        paths = [row.path for row in database.latest(3)]
    assert paths == ["more/1.png", "more/0.png", "scans/2.png"]


# --- Runs -----------------------------------------------------------------------------------------


def test_a_run_comes_back_as_it_was(database_url: str) -> None:
    info = make_run(
        sources=("scans", "raw \udcff", "😀 é"),
        model_path="models/ж.keras",
        model_sha256="cd" * 32,
        model_version="digits 3",
        program_version="1.0",
        settings={"detection": {"min_confidence": 0.6, "name": "😀"}},
    )
    with open_database(database_url) as database:
        assert database.start_run(info) == info.id
        (run,) = database.runs()
        assert (run.info, run.state, run.finished_at, run.counts) == (info, "running", None, None)
        assert database.start_run(info) == info.id
        assert database.runs() == [run]


def test_a_closed_run_knows_its_counts(database_url: str) -> None:
    times: dict[Status, int] = {"ok": 4, "uncertain": 3, "rejected": 2, "error": 1}
    rows = [
        Result(f"{status} {number}.png", status)
        for status, count in times.items()
        for number in range(count)
    ]
    counts = RunCounts(images=10, ok=4, uncertain=3, rejected=2, errors=1)
    with open_database(database_url) as database:
        run_id = database.start_run(make_run())
        database.add(run_id, rows)
        database.add("other", rows)
        assert database.finish_run(run_id, "interrupted") == counts
        (run,) = database.runs()
        assert (run.state, run.counts) == ("interrupted", counts)
        assert run.finished_at is not None
        assert run.finished_at >= run.info.started_at
        database.start_run(run.info)
        assert database.runs() == [run]
        assert database.finish_run(run_id, "finished") == counts
        assert database.runs()[0].state == "finished"


def test_a_run_without_images_is_closed_with_zeros(database_url: str) -> None:
    with open_database(database_url) as database:
        assert database.finish_run(database.start_run(make_run()), "failed") == RunCounts()
        assert database.runs()[0].counts == RunCounts()


def test_runs_come_newest_first(database_url: str) -> None:
    moments = [datetime(2026, 1, day, tzinfo=timezone.utc) for day in (2, 3, 1)]
    with open_database(database_url) as database:
        for moment in moments:
            database.start_run(make_run(started_at=moment, id=new_run_id()))
        assert [run.info.started_at.day for run in database.runs()] == [3, 2, 1]


def test_closing_an_unknown_run_is_an_error(database_url: str) -> None:
    with open_database(database_url) as database:
        assert sentence(lambda: database.finish_run("nope", "finished")) == (
            f"Database {database_url}: there is no run 'nope'; start it before closing it."
        )


def test_run_ids_sort_by_time_and_are_unique() -> None:
    ids = [new_run_id() for _ in range(1_000)]
    assert len(set(ids)) == 1_000
    stamps = [datetime.strptime(run_id[:15], "%Y%m%d-%H%M%S") for run_id in ids]
    assert stamps == sorted(stamps)
    moments = [run_id[:21] for run_id in ids]
    assert moments == sorted(moments)


# --- Two at once ----------------------------------------------------------------------------------


def test_two_writers_at_once(database_url: str) -> None:
    """Each adds to its own run, and both add the same rows to a third, in opposite orders."""
    shared = make_results(600, "shared")

    def write(run_id: str, batches: list[list[Result]]) -> int:
        with open_database(database_url) as database:
            database.add(run_id, make_results(600))
            return sum(database.add("shared", batch) for batch in batches)

    batches = [shared[start : start + 60] for start in range(0, 600, 60)]
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(write, "first", batches)
        second = pool.submit(write, "second", [batch[::-1] for batch in reversed(batches)])
        assert first.result() + second.result() == 600
    with open_database(database_url, read_only=True) as database:
        for run_id in ("first", "second", "shared"):
            assert len(list(database.rows(run_id))) == 600


def test_a_deadlock_is_tried_again(mysql_url: str) -> None:
    """Two transactions want each other's rows; the server ends ours, the smaller one."""

    def insert(run_id: str, names: list[str]) -> str:
        values = ", ".join(f"('{run_id}', '{path_key(name)}')" for name in names)
        return f"INSERT INTO classified_images (run_id, path_key) VALUES {values}"

    rows = make_results(ROWS_PER_STATEMENT + 1)  # two statements
    with open_database(mysql_url) as database, ThreadPoolExecutor(1) as pool:
        other = connect_to_mysql(mysql_url)
        with contextlib.closing(other), contextlib.closing(other.cursor()) as cursor:
            cursor.execute("BEGIN")
            cursor.execute(insert("other", [str(number) for number in range(2_000)]))
            cursor.execute(insert("run", [rows[-1].path]))
            added = pool.submit(database.add, "run", rows)
            waiting = "SELECT 1 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
            while not execute(mysql_url, waiting):
                time.sleep(0.2)  # InnoDB refreshes this table only if unread for 0.1 seconds
                assert not added.done()
            cursor.execute(insert("run", [rows[0].path]))
            cursor.execute("COMMIT")
            assert added.result(timeout=30) == len(rows) - 2
        assert len(list(database.rows("run"))) == len(rows)


def test_a_transaction_of_sqlite_locks_at_once(sqlite_url: str) -> None:
    """One that began by reading could not write any more after another one has written."""
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), timeout=0)
    with (
        contextlib.closing(other),
        open_database(sqlite_url) as database,
        database._store.transaction(write=True),
        pytest.raises(sqlite3.OperationalError, match="database is locked"),
    ):
        other.execute("BEGIN IMMEDIATE")


def test_many_open_a_blank_database_at_once(database_url: str) -> None:
    start = threading.Barrier(8)

    def open_and_add(number: int) -> int:
        start.wait()
        with open_database(database_url) as database:
            return database.add(str(number), make_results(5))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(open_and_add, range(8))) == [5] * 8
    assert execute(database_url, "SELECT version FROM schema_migrations") == MIGRATIONS


# --- Migrations -----------------------------------------------------------------------------------


def schema(url: str) -> list[Any]:
    if url.startswith("sqlite"):
        return execute(
            url,
            "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name",
        )
    columns = (
        "table_name, column_name, column_type, is_nullable, column_key, extra, collation_name"
        " FROM information_schema.columns WHERE"
    )
    # schema_migrations holds no text, and takes its character set from the database.
    tables = (
        "table_name, engine, table_collation FROM information_schema.tables"
        " WHERE table_name <> 'schema_migrations' AND"
    )
    here = "table_schema = DATABASE() ORDER BY 1, 2"
    return execute(url, f"SELECT {columns} {here}") + execute(url, f"SELECT {tables} {here}")


def create_ancestor(url: str, *, options: str = "", not_null: str = "", extra: str = "") -> None:
    """Make the table as the ancestor makes it, with three rows."""
    connection: Any
    if url.startswith("mysql"):
        execute_on_mysql(url, f"CREATE DATABASE {mysql_database(url)}", use_database=False)
        key, mark, connection = "INT AUTO_INCREMENT PRIMARY KEY", "%s", connect_to_mysql(url)
    else:
        key, mark = "INTEGER PRIMARY KEY AUTOINCREMENT", "?"
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    with contextlib.closing(connection):
        cursor = connection.cursor()
        cursor.execute(
            f"CREATE TABLE classified_images (id {key}, digit INT {not_null},"
            f" confidence FLOAT {not_null}, timestamp DATETIME, folder_name VARCHAR(255)"
            f" {not_null}, file_name VARCHAR(255) {not_null} {extra}) {options}"
        )
        cursor.executemany(
            "INSERT INTO classified_images"
            " (id, digit, confidence, timestamp, folder_name, file_name)"
            f" VALUES ({', '.join([mark] * 6)})",
            ANCESTOR_ROWS,
        )
        connection.commit()


def ancestor_rows(url: str) -> list[tuple[Any, ...]]:
    """The ancestor's columns of the rows that belong to no run."""
    rows = execute(
        url,
        "SELECT id, digit, confidence, timestamp, folder_name, file_name FROM classified_images"
        " WHERE run_id IS NULL ORDER BY id",
    )
    return [(*row[:3], row[3] and str(row[3]), *row[4:]) for row in rows]


def check_extended(url: str) -> None:
    """Open the database and see that the old rows are whole and that new ones fit."""
    long_name = "n" * 300 + "😀.png"
    with open_database(url) as database:
        assert database.add("run", [Result(f"f/{long_name}", "error"), *make_results(2)]) == 3
        assert database.add("run", make_results(2)) == 0
        latest = database.latest()
        assert [row.id for row in latest] == [12, 11, 10, 9, 8, 3]
        assert (latest[2].digit, latest[2].file_name) == (None, long_name)
        old = latest[-1]
        assert (old.run_id, old.path, old.status, old.probabilities) == (None, None, None, None)
        assert (old.digit, old.confidence, old.file_name) == (7, 16.25, "7 é.png")
        assert (old.timestamp, latest[3].timestamp) == ("2024-05-01 10:11:12", None)
    assert ancestor_rows(url) == ANCESTOR_ROWS
    assert execute(url, "SELECT version FROM schema_migrations") == MIGRATIONS


def test_opening_again_changes_nothing(database_url: str) -> None:
    open_database(database_url).close()
    before = schema(database_url)
    open_database(database_url).close()
    assert schema(database_url) == before
    assert execute(database_url, "SELECT version FROM schema_migrations") == MIGRATIONS


def test_the_ancestors_table_is_extended(database_url: str) -> None:
    create_ancestor(database_url)
    check_extended(database_url)


def test_the_ancestors_table_may_be_strict(database_url: str) -> None:
    create_ancestor(database_url, not_null="NOT NULL")
    check_extended(database_url)


@pytest.mark.parametrize(
    "options",
    [
        "ENGINE=InnoDB DEFAULT CHARACTER SET latin1",
        "ENGINE=MyISAM DEFAULT CHARACTER SET latin1",
        "ENGINE=InnoDB DEFAULT CHARACTER SET utf8 ROW_FORMAT=COMPACT",
        "ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
    ],
)
def test_the_ancestors_table_may_be_old(mysql_url: str, options: str) -> None:
    create_ancestor(mysql_url, options=options)
    check_extended(mysql_url)
    engines = execute(
        mysql_url,
        "SELECT DISTINCT engine FROM information_schema.tables WHERE table_schema = DATABASE()",
    )
    assert engines == [("InnoDB",)]  # the one with transactions


def test_blank_and_ancestor_end_alike(database_url: str) -> None:
    create_ancestor(database_url, not_null="NOT NULL")
    open_database(database_url).close()
    extended = schema(database_url)
    if database_url.startswith("sqlite"):
        Path(database_url.removeprefix("sqlite:///")).unlink()
    else:
        execute(database_url, f"DROP DATABASE {mysql_database(database_url)}")
    open_database(database_url).close()
    assert schema(database_url) == extended


def test_what_the_user_added_to_the_ancestors_table_is_kept(database_url: str) -> None:
    extra = ", `my note` VARCHAR(40), status VARCHAR(40)"
    create_ancestor(database_url, extra=extra)
    execute(
        database_url,
        "UPDATE classified_images SET `my note` = 'mine', status = 'seen' WHERE id = 8",
        "CREATE INDEX by_digit ON classified_images (digit)",
        "CREATE VIEW eights AS SELECT id FROM classified_images WHERE digit = 8",
        "CREATE TRIGGER t BEFORE DELETE ON classified_images FOR EACH ROW "
        + (
            "BEGIN SELECT RAISE(ABORT, 'no'); END"
            if database_url.startswith("sqlite")
            else "SIGNAL SQLSTATE '45000'"
        ),
    )
    # A word of the user's own in our column `status` is no reason to fail.
    check_extended(database_url)
    rows = execute(
        database_url, "SELECT id, `my note`, status FROM classified_images WHERE id < 10"
    )
    assert rows == [(3, None, None), (8, "mine", "seen"), (9, None, None)]
    assert execute(database_url, "SELECT id FROM eights") == []
    with pytest.raises(Exception, match=r"no|45000"):
        execute(database_url, "DELETE FROM classified_images")
    index = (
        "SELECT 1 FROM sqlite_master WHERE name = 'by_digit'"
        if database_url.startswith("sqlite")
        else "SELECT 1 FROM information_schema.statistics"
        " WHERE table_schema = DATABASE() AND index_name = 'by_digit'"
    )
    assert execute(database_url, index) == [(1,)]


def test_a_view_on_the_ancestors_table_of_mysql_stays(mysql_url: str) -> None:
    create_ancestor(mysql_url)
    execute(mysql_url, "CREATE VIEW sevens AS SELECT * FROM classified_images WHERE digit = 7")
    check_extended(mysql_url)
    assert execute(mysql_url, "SELECT id FROM sevens") == [(3,)]


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_migration_that_was_cut_off_is_completed(
    database_url: str, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off before the first, the second, and in the middle of the second migration."""
    create_ancestor(database_url)

    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        for store, place in ((MySQLStore, tables), (SQLiteStore, SQLiteStore)):
            if steps == 2:
                patch.setattr(place, "_extend_images_table", cut_off)
            else:
                apply = store.apply_migration
                patch.setattr(
                    store,
                    "apply_migration",
                    lambda self, cursor, number, apply=apply: (
                        apply(self, cursor, number) if number <= steps else cut_off()
                    ),
                )
        with pytest.raises(KeyboardInterrupt):
            open_database(database_url)
    check_extended(database_url)


@pytest.mark.parametrize("lost", [1, 2, 3, 4, 5, 6, 7])
def test_a_migration_that_was_not_recorded_is_repeated(mysql_url: str, lost: int) -> None:
    """On MySQL a server may die between a change of a table and the record of it."""
    create_ancestor(mysql_url)
    open_database(mysql_url).close()
    before = schema(mysql_url)
    execute(mysql_url, f"DELETE FROM schema_migrations WHERE version >= {lost}")
    check_extended(mysql_url)
    assert schema(mysql_url) == before


def test_a_database_of_a_newer_program_is_refused(database_url: str) -> None:
    open_database(database_url).close()
    execute(database_url, "INSERT INTO schema_migrations VALUES (8, '2030-01-01 00:00:00')")
    message = (
        f"Database {database_url}: its schema version 8 is newer than 7, the newest this program"
        " knows; update the program."
    )
    assert sentence(lambda: open_database(database_url)) == message
    assert sentence(lambda: open_database(database_url, read_only=True)) == message


def test_a_table_of_another_program_is_refused(database_url: str) -> None:
    if database_url.startswith("mysql"):
        name = mysql_database(database_url)
        execute_on_mysql(database_url, f"CREATE DATABASE {name}", use_database=False)
    execute(database_url, "CREATE TABLE classified_images (id INT, digit INT, label TEXT)")
    assert sentence(lambda: open_database(database_url)) == (
        f"Database {database_url}: its table classified_images belongs to another program, for it"
        " has no column confidence; rename that table or choose another database."
    )
    execute(database_url, "SELECT id, digit, label FROM classified_images")


@pytest.mark.parametrize(
    ("add", "drop", "column", "on_mariadb"),
    [
        (
            "DROP PRIMARY KEY, ADD PRIMARY KEY (id, file_name)",
            "DROP PRIMARY KEY, ADD PRIMARY KEY (id)",
            "file_name",
            "BLOB/TEXT column 'file_name' used in key specification without a key length",
        ),
        (
            "ADD INDEX by_place (folder_name, file_name)",
            "DROP INDEX by_place",
            "folder_name",
            "Specified key was too long; max key length is 3072 bytes",
        ),
        # MariaDB shortens the index on one column by itself.
        ("ADD INDEX by_name (file_name)", "DROP INDEX by_name", "file_name", None),
    ],
)
def test_an_index_on_columns_that_are_widened(
    mysql_url: str, add: str, drop: str, column: str, on_mariadb: str | None
) -> None:
    create_ancestor(mysql_url)
    execute(mysql_url, f"ALTER TABLE classified_images {add}")
    reason: str | None = (
        f"BLOB/TEXT column {column!r} used in key specification without a key length"
    )
    if "MariaDB" in execute(mysql_url, "SELECT VERSION()")[0][0]:
        reason = on_mariadb
    if reason is not None:
        assert sentence(lambda: open_database(mysql_url)) == (
            f"Database {mysql_url}: an index of your own is in the way ({reason}); drop that index."
        )
        execute(mysql_url, f"ALTER TABLE classified_images {drop}")
    check_extended(mysql_url)


# --- Reading only ---------------------------------------------------------------------------------


def test_reading_makes_no_file(sqlite_url: str, tmp_path: Path) -> None:
    assert sentence(lambda: open_database(sqlite_url, read_only=True)) == (
        f"Database {sqlite_url}: there is no such file; correct the URL or store results in it"
        " first."
    )
    assert list(tmp_path.iterdir()) == []


def test_reading_makes_no_mysql_database(mysql_url: str) -> None:
    assert sentence(lambda: open_database(mysql_url, read_only=True)) == (
        f"Database {mysql_url}: there is no such database; correct the URL or store results in it"
        " first."
    )
    name = mysql_database(mysql_url)
    assert execute_on_mysql(mysql_url, f"SHOW DATABASES LIKE '{name}'", use_database=False) == []


def test_reading_extends_no_table(database_url: str) -> None:
    create_ancestor(database_url)
    before = schema(database_url)
    assert sentence(lambda: open_database(database_url, read_only=True)) == (
        f"Database {database_url}: its schema version 0 is older than 7; store results in it once,"
        " which brings it up to date."
    )
    assert schema(database_url) == before


def test_reading_sees_what_a_writer_stores(database_url: str) -> None:
    with open_database(database_url) as writer:
        writer.add("run", make_results(2))
        with open_database(database_url, read_only=True) as reader:
            assert len(list(reader.rows("run"))) == 2
            writer.add("run", make_results(5))
            assert len(list(reader.rows("run"))) == 5


# --- URLs and passwords ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgres://u:hush@h/d", f"Unknown kind of database 'postgres'; use {VALID_URLS}."),
        ("digits.db", f"Unknown kind of database 'digits.db'; use {VALID_URLS}."),
        ("", f"Unknown kind of database ''; use {VALID_URLS}."),
        ("sqlite://digits.db", NO_FILE),
        ("sqlite:digits.db", NO_FILE),
        ("sqlite:///", NO_FILE),
        ("sqlite:///:memory:", NO_FILE),
        ("sqlite://u:hush@h/d", NO_FILE),
        ("mysql:/h/d", f"The database URL begins with no mysql://; use {VALID_URLS}."),
        ("mysql://u:hush@h/d", PASSWORD_IN_URL),
        ("mysql://u:hu/sh@h/d", PASSWORD_IN_URL),
        ("mysql://u:hu@sh@h/d", PASSWORD_IN_URL),
        ("mysql://u:hu#sh?@h/d", PASSWORD_IN_URL),
        ("mysql://:hush@h:3306", PASSWORD_IN_URL),
        ("mysql://h/d?password=hush", NOT_A_MYSQL_URL),
        ("mysql://h/d?hush", NOT_A_MYSQL_URL),
        ("mysql://h:hush/d", NOT_A_MYSQL_URL),
        ("mysql://h:99999/d", NOT_A_MYSQL_URL),
        ("mysql://h/d/hush", NOT_A_MYSQL_URL),
        ("mysql://[::1/d", NOT_A_MYSQL_URL),
    ],
)
def test_a_url_that_is_none_is_refused(url: str, message: str) -> None:
    assert sentence(lambda: ResultsDatabase.open(url)) == message
    assert "hush" not in message


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mysql://", "mysql://localhost:3306/digit_classification"),
        ("mysql:///", "mysql://localhost:3306/digit_classification"),
        ("mysql://me@db.example", "mysql://me@db.example:3306/digit_classification"),
        ("mysql://me%40home@db:3307/other", "mysql://me@home@db:3307/other"),
        ("mysql://[::1]:1/d", "mysql://[::1]:1/d"),
        ("mysql:///d?unix_socket=/run/my.sock", "mysql:///d?unix_socket=/run/my.sock"),
        ("mysql:///d?unix_socket=%2Frun%2Fmy.sock", "mysql:///d?unix_socket=/run/my.sock"),
    ],
)
def test_a_mysql_url_may_leave_things_out(url: str, shown: str) -> None:
    assert MySQLServer.parse(url, None, None, None, False).url == shown


def test_relative_sqlite_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "50% of?#").mkdir()
    for name in ("plain.db", "50% of?#/ä b?mode=memory#.db"):
        with ResultsDatabase.open(f"sqlite:///{name}") as database:
            assert repr(database) == f"ResultsDatabase('sqlite:///{name}')"
        assert (tmp_path / name).stat().st_size > 0
        ResultsDatabase.open(f"sqlite:///{name}", read_only=True).close()


def test_windows_paths_are_understood() -> None:
    assert sqlite_path("sqlite:///C:/data/x.db") == Path("C:/data/x.db")


def test_the_password_is_shown_nowhere(mysql_url: str, capfd: pytest.CaptureFixture[str]) -> None:
    with open_database(mysql_url) as database:
        assert repr(database) == f"ResultsDatabase({mysql_url!r})"
        shown = [repr(database), str(database), repr(vars(database))]
        shown += [repr(value) for value in vars(database._store).values()]
    wrong = secrets.token_hex()
    with pytest.raises(DatabaseError) as caught:
        ResultsDatabase.open(mysql_url, password=wrong)
    shown += [repr(caught.value), "".join(traceback.format_exception(caught.value))]
    shown += capfd.readouterr()
    assert not [text for text in shown if MYSQL_PASSWORD in text or wrong in text]


# --- The option file ------------------------------------------------------------------------------


def write_option_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "my.cnf"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("mark", ["", '"', "'"])
def test_the_option_file_gives_what_the_url_leaves_out(
    mysql_url: str, tmp_path: Path, mark: str
) -> None:
    server, _, database = mysql_url.rpartition("/")
    user, _, address = server.removeprefix("mysql://").partition("@")
    host, _, port = address.partition(":")
    option_file = write_option_file(
        tmp_path,
        f"# mine\n[client]\nuser = {user}\nhost={host}\nport={port}\nloose-thing\n"
        f"password={mark}{os.environ[PASSWORD_VARIABLE]}{mark}\n[mysqld]\nuser=other\n",
    )
    with ResultsDatabase.open(f"mysql:///{database}", option_file=option_file) as opened:
        assert opened.url == mysql_url
    # The password given beside it goes first.
    message = sentence(
        lambda: ResultsDatabase.open(mysql_url, password="wrong", option_file=option_file)
    )
    assert f"the server refuses the password of '{user}'@" in message


def test_option_file_and_tls() -> None:
    parse = MySQLServer.parse
    plain = parse("mysql://h", None, None, None, False)
    assert (plain.tls_required, plain.tls["ssl_verify_cert"]) == (False, False)
    with_ca = parse("mysql://h", None, None, Path("ca.pem"), False)
    assert (with_ca.tls_required, with_ca.tls["ssl_verify_cert"]) == (True, True)
    assert with_ca.tls["ssl_ca"] == "ca.pem"


@pytest.mark.parametrize(
    ("mode", "required", "certificate", "identity"),
    [
        ("PREFERRED", False, False, False),
        ("REQUIRED", True, False, False),
        ("VERIFY_CA", True, True, False),
        ("verify_identity", True, True, True),
    ],
)
def test_ssl_mode_of_the_option_file(
    tmp_path: Path, mode: str, required: bool, certificate: bool, identity: bool
) -> None:
    option_file = write_option_file(tmp_path, f"[client]\nssl-mode={mode}\n")
    server = MySQLServer.parse("mysql://h", None, option_file, None, False)
    assert server.tls_required is required
    assert server.tls["ssl_verify_cert"] is certificate
    assert server.tls["ssl_verify_identity"] is identity


def test_an_option_file_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "no.cnf"
    assert sentence(lambda: ResultsDatabase.open("mysql://h", option_file=path)) == (
        f"The MySQL option file {path} cannot be read: No such file or directory; correct its name"
        " or its permissions."
    )


@pytest.mark.parametrize(
    "content", [b"[client]\n=hush\n", b"[client]\nport=hush\n", b"[client]\npassword=hush\xff\n"]
)
def test_an_option_file_that_is_none_is_not_shown(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "my.cnf"
    path.write_bytes(content)
    with pytest.raises(DatabaseError) as caught:
        ResultsDatabase.open("mysql://127.0.0.1:1", option_file=path)
    assert str(caught.value) == (
        f"The MySQL option file {path} is not one; write a line [client] and below it lines like"
        " user=name and password=secret."
    )
    assert "hush" not in "".join(traceback.format_exception(caught.value))


# --- What can go wrong with SQLite ----------------------------------------------------------------


def test_sqlite_commits_are_durable(sqlite_url: str) -> None:
    with open_database(sqlite_url) as database:
        connection = database._store._connection  # type: ignore[attr-defined]
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


@pytest.mark.parametrize(
    "content", [b"x", b"digit,confidence\n", b"\x89PNG" * 5_000, b"SQLite format 2\x00" * 99]
)
def test_a_foreign_file_is_left_untouched(sqlite_url: str, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "digits.db"
    path.write_bytes(content)
    message = (
        f"Database {sqlite_url}: this file is no SQLite database and was left untouched; choose"
        " another name."
    )
    assert sentence(lambda: open_database(sqlite_url)) == message
    assert sentence(lambda: open_database(sqlite_url, read_only=True)) == message
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_with_only_sqlites_first_line_is_left_untouched(
    sqlite_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "digits.db"
    content = b"SQLite format 3\x00" + b"garbage " * 1_000
    path.write_bytes(content)
    assert "left untouched" in sentence(lambda: open_database(sqlite_url))
    assert path.read_bytes() == content


def test_an_empty_file_becomes_a_database(sqlite_url: str, tmp_path: Path) -> None:
    (tmp_path / "digits.db").touch()
    with open_database(sqlite_url) as database:
        assert database.add("run", make_results(1)) == 1


def test_a_damaged_file_is_named(sqlite_url: str, tmp_path: Path) -> None:
    with open_database(sqlite_url) as database:
        database.add("run", make_results(500))
    path = tmp_path / "digits.db"
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)
    assert sentence(lambda: open_database(sqlite_url)) == (
        f"Database {sqlite_url}: SQLite says 'database disk image is malformed'; the file is"
        " damaged; restore a copy, or move it away to start a new one."
    )
    assert path.read_bytes() == content


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "no"
    url = f"sqlite:///{folder / 'x.db'}"
    assert sentence(lambda: ResultsDatabase.open(url)) == (
        f"Database {url}: the folder {folder} does not exist; make it first."
    )
    assert not folder.exists()


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    assert sentence(lambda: ResultsDatabase.open(f"sqlite:///{tmp_path}")) == (
        f"Database sqlite:///{tmp_path}: this is no file; choose another name."
    )


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_opened(sqlite_url: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "digits.db")
    assert sentence(lambda: open_database(sqlite_url)) == (
        f"Database {sqlite_url}: this is no file; choose another name."
    )


def test_a_busy_database_is_named(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.1)
    with open_database(sqlite_url) as database:
        other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
        with contextlib.closing(other):
            other.execute("BEGIN IMMEDIATE")
            assert sentence(lambda: database.add("run", make_results(1))) == (
                f"Database {sqlite_url}: SQLite says 'database is locked'; another program keeps"
                " it locked; close that program and try again."
            )
        assert database.add("run", make_results(1)) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be removed there")
@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_is_removed_in_the_middle(
    sqlite_url: str, tmp_path: Path, replaced: bool
) -> None:
    path = tmp_path / "digits.db"
    with open_database(sqlite_url) as database:
        database.add("run", make_results(1))
        path.unlink()
        if replaced:
            path.write_bytes(b"")
        assert sentence(lambda: database.add("run", make_results(2))) == (
            f"Database {sqlite_url}: its file was removed or replaced while it was in use, and"
            " what was stored is there no more; start a new run."
        )


def test_a_read_only_file_is_named(sqlite_url: str) -> None:
    with (
        open_database(sqlite_url),
        open_database(sqlite_url, read_only=True) as database,
    ):
        assert sentence(lambda: database.add("run", make_results(1))) == (
            f"Database {sqlite_url}: SQLite says 'attempt to write a readonly database'; it cannot"
            " be written to; correct its permissions or choose another place."
        )


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="this user may write everywhere"
)
def test_missing_permissions_are_named(sqlite_url: str, tmp_path: Path) -> None:
    open_database(sqlite_url).close()
    path = tmp_path / "digits.db"
    path.chmod(stat.S_IRUSR)
    with open_database(sqlite_url) as database:
        assert "readonly database" in sentence(lambda: database.add("run", make_results(1)))
    path.chmod(0)
    assert sentence(lambda: open_database(sqlite_url)) == (
        f"Database {sqlite_url}: Permission denied; correct the URL or the permissions."
    )
    path.unlink()
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    assert sentence(lambda: open_database(sqlite_url)) == (
        f"Database {sqlite_url}: SQLite says 'unable to open database file'; correct the URL or"
        " the permissions of the file and its folder."
    )
    tmp_path.chmod(stat.S_IRWXU)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is full")
def test_a_full_disk_is_named(sqlite_url: str) -> None:
    with open_database(sqlite_url) as database:
        connection = database._store._connection  # type: ignore[attr-defined]
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")  # full, as far as SQLite can tell
        assert sentence(lambda: database.add("run", make_results(500))) == (
            f"Database {sqlite_url}: SQLite says 'database or disk is full'; make room on the disk."
        )
        assert list(database.rows("run")) == []


# --- What can go wrong with MySQL -----------------------------------------------------------------


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mysql.connector", None)
    assert sentence(lambda: ResultsDatabase.open("mysql://h/d")) == (
        "MySQL needs the package mysql-connector-python; run: pip install mysql-connector-python"
    )


def test_sqlite_needs_no_driver(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mysql.connector", None)
    open_database(sqlite_url).close()


def test_an_unknown_host_is_named() -> None:
    assert sentence(lambda: ResultsDatabase.open("mysql://me@nowhere.invalid/d")) == (
        "Database mysql://me@nowhere.invalid:3306/d: the host 'nowhere.invalid' is unknown; correct"
        " the URL."
    )


def test_a_refused_connection_is_named() -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    assert sentence(lambda: ResultsDatabase.open(f"mysql://me@127.0.0.1:{port}/d")) == (
        f"Database mysql://me@127.0.0.1:{port}/d: no server answers there (Connection refused);"
        " start it, or correct the URL."
    )


@pytest.mark.skipif(sys.platform == "win32", reason="needs Unix sockets")
def test_a_missing_unix_socket_is_named() -> None:
    url = "mysql://me@/d?unix_socket=/no/such.sock"
    assert sentence(lambda: ResultsDatabase.open(url)) == (
        f"Database {url}: no server answers there (No such file or directory); start it, or correct"
        " the URL."
    )


@contextlib.contextmanager
def other_server(greeting: bytes | None) -> Iterator[str]:
    """A server of another kind: it sends a greeting and hangs up, or None: it stays silent."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                client, _ = server.accept()
                if greeting is not None:
                    client.sendall(greeting)
                    client.close()
                else:
                    client.recv(1)

        threading.Thread(target=serve, daemon=True).start()
        yield f"mysql://me@127.0.0.1:{server.getsockname()[1]}/d"


@pytest.mark.parametrize(
    "greeting", [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0" * 99]
)
def test_a_server_of_another_kind_is_named(greeting: bytes) -> None:
    with other_server(greeting) as url:
        message = sentence(lambda: ResultsDatabase.open(url))
    assert message.startswith(f"Database {url}: ")
    assert message.endswith(
        ("see that a MySQL server runs there.", "correct the host and the port.")
    )


def test_a_silent_server_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mysql, "CONNECT_TIMEOUT_S", 1)
    with other_server(None) as url:
        assert sentence(lambda: ResultsDatabase.open(url)) == (
            f"Database {url}: no answer; see that the server runs and that no firewall is between."
        )


def test_a_wrong_password_is_named(mysql_url: str) -> None:
    user = mysql_url.removeprefix("mysql://").partition("@")[0]
    host = host_seen_by(mysql_url)
    assert sentence(lambda: ResultsDatabase.open(mysql_url, password="wrong")) == (
        f"Database {mysql_url}: the server refuses the password of '{user}'@'{host}';"
        f" {GIVE_PASSWORD} the right one, or if that is the right one, have an administrator drop"
        f" the anonymous user ''@'{host}', which goes before '{user}'@'%'."
    )
    assert sentence(lambda: ResultsDatabase.open(mysql_url)) == (
        f"Database {mysql_url}: user '{user}' is not admitted without a password; {GIVE_PASSWORD}"
        " it."
    )


def test_a_missing_user_is_named(mysql_url: str) -> None:
    url = f"mysql://{mysql_url.rpartition('@')[2]}"
    assert sentence(lambda: ResultsDatabase.open(url)) == (
        f"Database {url}: it names no user; write mysql://user@host/database."
    )


def host_seen_by(mysql_url: str) -> str:
    """The host that the server takes this process to be on."""
    ((seen,),) = execute_on_mysql(mysql_url, "SELECT USER()", use_database=False)
    return str(seen).rpartition("@")[2]


@pytest.fixture
def anonymous_host(mysql_url: str) -> Iterator[str]:
    """The host of an anonymous user without a password, whom the server takes us for meanwhile."""
    host = host_seen_by(mysql_url)
    connection = connect_to_mysql(mysql_url, use_database=False)  # before there is that user
    with contextlib.closing(connection), contextlib.closing(connection.cursor()) as cursor:
        cursor.execute(f"CREATE USER ''@'{host}'")
        try:
            yield host
        finally:
            cursor.execute(f"DROP USER ''@'{host}'")


def test_an_anonymous_user_that_goes_before_ours_is_named(
    mysql_url: str, mysql_server: tuple[str, str], anonymous_host: str
) -> None:
    user = mysql_url.removeprefix("mysql://").partition("@")[0]
    refused = sentence(lambda: ResultsDatabase.open(mysql_url, password=mysql_server[1]))
    assert f"have an administrator drop the anonymous user ''@'{anonymous_host}'" in refused
    denied = sentence(lambda: ResultsDatabase.open(mysql_url))
    name = mysql_database(mysql_url)
    assert denied == (
        f"Database {mysql_url}: the server takes user '{user}' for the anonymous user"
        f" ''@'{anonymous_host}' (Access denied for user ''@'{anonymous_host}' to database"
        f" '{name}'); have an administrator drop that one, which goes before '{user}'@'%'."
    )
    nobody = f"mysql://{mysql_url.rpartition('@')[2]}"
    assert sentence(lambda: ResultsDatabase.open(nobody)) == (
        f"Database {nobody}: it names no user; write mysql://user@host/database."
    )


@pytest.fixture
def poor_url(mysql_url: str) -> Iterator[str]:
    """The URL of the same database for a user without privileges, whose password is `x`."""
    execute_on_mysql(mysql_url, "CREATE USER 'poor'@'%' IDENTIFIED BY 'x'", use_database=False)
    yield f"mysql://poor@{mysql_url.rpartition('@')[2]}"
    execute_on_mysql(mysql_url, "DROP USER 'poor'@'%'", use_database=False)


def grant(mysql_url: str, privileges: str) -> None:
    execute_on_mysql(
        mysql_url,
        f"GRANT {privileges} ON `{mysql_database(mysql_url)}`.* TO 'poor'@'%'",
        use_database=False,
    )


def test_the_missing_privilege_to_create_the_database_is_named(poor_url: str) -> None:
    name = mysql_database(poor_url)
    assert sentence(lambda: ResultsDatabase.open(poor_url, password="x")) == (
        f"Database {poor_url}: user 'poor' lacks a privilege (Access denied for user 'poor'@'%' to"
        f" database '{name}'); have an administrator GRANT SELECT, INSERT, UPDATE, CREATE, ALTER ON"
        f" `{name}`.* TO 'poor'."
    )


def test_a_missing_privilege_is_named(mysql_url: str, poor_url: str) -> None:
    open_database(mysql_url).close()
    grant(mysql_url, "SELECT")
    with ResultsDatabase.open(poor_url, password="x") as database:
        message = sentence(lambda: database.add("run", make_results(1)))
        assert "user 'poor' lacks a privilege (INSERT" in message
        assert database.latest() == []


def test_the_smallest_grant_suffices(mysql_url: str, poor_url: str) -> None:
    """The README's grant: from the ancestor's table to a finished run."""
    grant(mysql_url, "SELECT, INSERT, UPDATE, CREATE, ALTER")
    create_ancestor(mysql_url)
    with ResultsDatabase.open(poor_url, password="x") as database:
        run_id = database.start_run(make_run())
        database.add(run_id, make_results(3))
        assert database.finish_run(run_id, "finished").images == 3


def test_the_smallest_grant_creates_the_database(mysql_url: str, poor_url: str) -> None:
    grant(mysql_url, "SELECT, INSERT, UPDATE, CREATE, ALTER")
    ResultsDatabase.open(poor_url, password="x").close()


def test_a_unix_socket_may_be_used(mysql_url: str) -> None:
    ((path,),) = execute_on_mysql(mysql_url, "SELECT @@socket", use_database=False)
    if not os.path.exists(path):
        pytest.skip("the server runs elsewhere")
    user = mysql_url.removeprefix("mysql://").partition("@")[0]
    url = f"mysql://{user}@/{mysql_database(mysql_url)}?unix_socket={path}"
    with open_database(url, tls_required=True) as database:
        assert database.url == url
        assert database.add("run", make_results(1)) == 1


def test_a_lost_connection_is_named(mysql_url: str) -> None:
    with open_database(mysql_url) as database:
        connection = database._store._connection  # type: ignore[attr-defined]
        execute_on_mysql(mysql_url, f"KILL {connection.connection_id}")
        assert sentence(lambda: database.add("run", make_results(1))) == (
            f"Database {mysql_url}: the connection was lost; see that a MySQL server runs there."
        )
    with open_database(mysql_url) as database:
        assert list(database.rows("run")) == []


def test_ctrl_c_leaves_the_database_usable(mysql_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted after a statement was sent and before its answer was read."""
    with open_database(mysql_url) as database:
        run_id = database.start_run(make_run())
        network = database._store._connection._socket  # type: ignore[attr-defined]

        def interrupted(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        for after in range(6):
            with monkeypatch.context() as patch:
                receive, answers = network.recv, iter(range(after))
                patch.setattr(
                    network,
                    "recv",
                    lambda *a, receive=receive, answers=answers, **k: (
                        interrupted() if next(answers, None) is None else receive(*a, **k)
                    ),
                )
                with pytest.raises(KeyboardInterrupt):
                    database.add(run_id, make_results(250))
            assert database.finish_run(run_id, "interrupted") == RunCounts()
            network = database._store._connection._socket  # type: ignore[attr-defined]
        assert database.add(run_id, make_results(250)) == 250
        assert database.finish_run(run_id, "finished").ok == 250


@pytest.fixture
def set_global(mysql_url: str) -> Iterator[Callable[[str, object], None]]:
    """Sets a variable of the private server until the test ends."""
    if os.environ.get("DIGITS_TEST_MYSQL_URL"):
        pytest.skip("would change the settings of a server that is not ours")
    changed: dict[str, object] = {}

    def change(name: str, value: object) -> None:
        ((changed[name],),) = execute_on_mysql(
            mysql_url, f"SELECT @@GLOBAL.{name}", use_database=False
        )
        execute_on_mysql(mysql_url, f"SET GLOBAL {name} = {value}", use_database=False)

    yield change
    for name, value in changed.items():
        execute_on_mysql(mysql_url, f"SET GLOBAL {name} = {value}", use_database=False)


def test_statements_respect_max_allowed_packet(
    mysql_url: str, set_global: Callable[[str, object], None]
) -> None:
    set_global("max_allowed_packet", 65_536)
    with open_database(mysql_url) as database:
        names = [f"{'é' * 2_000}{number}" for number in range(300)]
        assert database.add("run", [Result(name, "ok") for name in names]) == 300
        assert sentence(lambda: database.add("run", [Result("n" * 70_000, "ok")])) == (
            f"Database {mysql_url}: a row is larger than the server takes; raise its"
            " max_allowed_packet."
        )


def test_a_lock_that_is_held_too_long_is_named(
    mysql_url: str, set_global: Callable[[str, object], None]
) -> None:
    set_global("innodb_lock_wait_timeout", 1)
    with open_database(mysql_url) as database:
        other = connect_to_mysql(mysql_url)
        with contextlib.closing(other), contextlib.closing(other.cursor()) as cursor:
            cursor.execute("BEGIN")
            cursor.execute(
                f"INSERT INTO classified_images (run_id, path_key) VALUES ('r', '{path_key('x')}')"
            )
            assert sentence(lambda: database.add("r", [Result("x", "ok")])) == (
                f"Database {mysql_url}: another program holds a lock for too long; close that"
                " program and try again."
            )
        assert database.add("r", [Result("x", "ok")]) == 1


def test_a_read_only_server_is_named(
    mysql_url: str, poor_url: str, set_global: Callable[[str, object], None]
) -> None:
    open_database(mysql_url).close()
    grant(mysql_url, "ALL")
    set_global("read_only", 1)
    with ResultsDatabase.open(poor_url, password="x") as database:
        assert sentence(lambda: database.add("run", make_results(1))) == (
            f"Database {poor_url}: the server is read-only; use its primary server or end the"
            " read-only mode."
        )


def test_a_migration_waits_for_another_only_so_long(
    mysql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mysql, "MIGRATION_LOCK_TIMEOUT_S", 1)
    create_ancestor(mysql_url)
    other = connect_to_mysql(mysql_url)
    with contextlib.closing(other), contextlib.closing(other.cursor()) as cursor:
        name = f"digits-{hashlib.sha1(mysql_database(mysql_url).encode()).hexdigest()}"
        cursor.execute(f"SELECT GET_LOCK('{name}', 0)")
        assert cursor.fetchall() == [(1,)]
        assert sentence(lambda: open_database(mysql_url)) == (
            f"Database {mysql_url}: another program has been changing its tables for 1 seconds;"
            " wait for it and try again."
        )
    check_extended(mysql_url)


# --- The tests themselves -------------------------------------------------------------------------


@pytest.mark.parametrize("required", [False, True])
def test_what_the_tests_do_without_a_server(required: bool) -> None:
    """They skip, and the last line says so; or they fail where a server is required."""
    program = (
        "import sys, pytest, tests.conftest as c; c.SERVER_FOLDERS = ();"
        f" sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', {__file__!r}, '-k',"
        " 'test_adding_twice_stores_once or test_a_wrong_password_is_named']))"
    )
    environment = {key: value for key, value in os.environ.items() if "MYSQL" not in key}
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={
            **environment,
            "PATH": "/nowhere",
            **({"DIGITS_TEST_REQUIRE_MYSQL": "1"} if required else {}),
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    *_, before, last = run.stdout.splitlines()
    if required:
        assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout
        assert "1 passed" in last, run.stdout
        assert "2 errors" in last, run.stdout
        assert "Failed: no MySQL or MariaDB server: install one" in run.stdout
    else:
        assert run.returncode == pytest.ExitCode.OK, run.stdout
        assert "1 passed, 2 skipped" in before
        assert last == (
            "2 tests skipped, no MySQL or MariaDB server: install one (Debian: apt-get install"
            " mariadb-server) or set DIGITS_TEST_MYSQL_URL to a server whose user may create"
            " databases, with its password in DIGITS_DATABASE_PASSWORD"
        )


def test_what_is_said_where_oracles_server_cannot_be_had(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.oracle_mysql", tmp_path],
        env={**os.environ, "PATH": "/nowhere"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (run.returncode, run.stdout, run.stderr) == (
        1,
        "",
        "No MySQL of Oracle's: apt-get is not installed; on another system than Debian or Ubuntu,"
        " set DIGITS_TEST_MYSQLD to the program of a server.\n",
    )
