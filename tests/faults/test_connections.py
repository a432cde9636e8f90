"""Connections that are cut, servers that go away and come back, locks that are held."""

from __future__ import annotations

import contextlib
import os
import random
import shlex
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from digit_classification.results import errors as database_errors
from digit_classification.results import sqlite
from digit_classification.results.database import ResultsDatabase
from digit_classification.results.errors import DatabaseError
from digit_classification.results.mysql import store as mysql
from digit_classification.results.records import Result, RunInfo, StoredDigit, path_key
from digit_classification_detector import main
from tests.conftest import (
    MYSQL_PASSWORD,
    PASSWORD_VARIABLE,
    PrivateServer,
    connect_to_mysql,
    execute_on_mysql,
    private_server,
    server_name,
)
from tests.faults.conftest import (
    NONE,
    PICTURES,
    SEED,
    SOAK,
    Damage,
    Detector,
    Rows,
    open_database,
    stored_rows,
    stored_runs,
)
from tests.faults.proxy import CuttingProxy, Moment

Record = Callable[[str, object], None]
TEN = (0.1,) * 10
ROWS = 250 if SOAK else 120  # more than a statement takes


@pytest.fixture(scope="module")
def server(server_program: str) -> Iterator[PrivateServer]:
    """A server that the tests may kill."""
    with private_server(server_program) as server:
        yield server


@pytest.fixture
def url(server: PrivateServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv(PASSWORD_VARIABLE, MYSQL_PASSWORD)
    url = f"{server.url}faults"
    yield url
    execute_on_mysql(url, "DROP DATABASE IF EXISTS faults", use_database=False)


@pytest.fixture
def proxy(server: PrivateServer) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(server.port)
    yield proxy
    proxy.close()


def through(proxy: CuttingProxy, url: str) -> str:
    start, _, end = url.rpartition(":")
    return f"{start}:{proxy.port}/{end.partition('/')[2]}"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_errors, "FIRST_PAUSE_S", 0.01)


def make_results(number: int, rows: int = ROWS) -> list[Result]:
    return [
        Result(f"batch {number}/{row}.png", "ok", row % 10, 0.5, None, TEN, path_key(str(row)))
        for row in range(rows)
    ]


def make_numbers(number: int, rows: int = ROWS) -> list[Result]:
    """The same of numbers, which have rows of a second table."""
    return [
        Result(
            f"batch {number}/{row}.png",
            "ok",
            number=str(row),
            digits=tuple(
                StoredDigit(place, text, 0.1 * place, 0.25, 0.1, 0.5, 0.75, TEN)
                for place, text in enumerate(str(row), 1)
            ),
        )
        for row in range(rows)
    ]


def work(database: ResultsDatabase) -> str:
    """A run with every kind of statement that a detector sends."""
    run_id = database.start_run(RunInfo(sources=["x"], model_path="m"))
    database.add(run_id, make_results(0))
    database.add(run_id, make_numbers(1))
    database.set_sorted_to(run_id, "batch 0/7.png", "sorted/7/7.png")
    found = database.find(run_id, ["batch 0/7.png", "batch 9/9.png"])
    assert [row.sorted_to for row in found.values()] == ["sorted/7/7.png"]
    database.finish_run(run_id, "interrupted")
    run = database.latest_unfinished_run()
    assert run is not None
    assert run.info.id == run_id
    database.reopen_run(run_id)
    assert len(list(database.rows(run_id))) == 2 * ROWS
    assert database.finish_run(run_id, "finished").images == 2 * ROWS
    return run_id


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("moment", ["request", "answer", "half"])
def test_cut_at_every_request(
    moment: Moment, url: str, proxy: CuttingProxy, record_property: Record
) -> None:
    """Also in the middle of a commit, when nobody knows whether it was done."""
    expected = [row.path for row in (*make_results(0), *make_numbers(1))]
    signs = {row.path: row.digits for row in make_numbers(1)}
    cuts, damage = 0, NONE
    open_database(url).close()
    for request in count(1, 1 if SOAK else 5):
        notices: list[str] = []
        with ResultsDatabase.open(
            through(proxy, url), password=MYSQL_PASSWORD, retry_seconds=20, notice=notices.append
        ) as database:
            proxy.arm(request, moment)
            run_id = work(database)
            proxy.disarm()
        rows = stored_rows(url, run_id)
        paths = [row.path for row in rows]
        changed = sum(row.digits != signs.get(str(row.path), ()) for row in rows)
        damage += Damage(len({*expected} - {*paths}), len(paths) - len({*paths}), changed)
        if not proxy.cuts:
            break
        cuts += 1
        if notices:  # the end of a prepared statement has no answer that could be missed
            lost, back = notices
            assert "the connection was lost" in lost
            assert back.startswith("The database is back after ")
    assert cuts > (30 if SOAK else 10)
    record_property(
        "what", f"connection cut at each request in turn ({moment}), {server_name(url)}"
    )
    record_property("times", cuts)
    record_property("images", cuts * 2 * ROWS)
    record_property("damage", vars(damage))
    assert damage == NONE


@pytest.mark.usefixtures("reads_alone")
@pytest.mark.parametrize("every", [41, 29])
def test_a_run_over_a_bad_line(
    every: int,
    url: str,
    proxy: CuttingProxy,
    detector: Detector,
    undisturbed: Rows,
    record_property: Record,
) -> None:
    open_database(url).close()
    proxy.arm(every, "answer", every=True)
    # Opening is not tried again, and takes fewer requests than these; so do, together, a login
    # with TLS and the longest transaction.
    done = detector.run("pictures", database=through(proxy, url))
    proxy.disarm()
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert proxy.cuts > 0
    damage = Damage.of(stored_rows(url), undisturbed)
    record_property("what", f"one request in {every} of a whole run cut off, {server_name(url)}")
    record_property("times", proxy.cuts)
    record_property("images", PICTURES)
    record_property("damage", vars(damage))
    assert damage == NONE


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_the_server_goes_and_comes_back(
    how: str,
    server: PrivateServer,
    url: str,
    detector: Detector,
    undisturbed: Rows,
    record_property: Record,
) -> None:
    """Killed, it rolls back what was not committed once it starts; stopped, it says goodbye."""
    chance = random.Random(SEED)
    detector.linger()
    # MySQL takes seconds to start, and is up for half a second between two misfortunes.
    detector.settings["DIGITS_DATABASE_RETRY_SECONDS"] = "600"
    wanted = 25 if SOAK else 2
    times, runs, damage = 0, 0, NONE
    while times < wanted:
        with detector.start("pictures", "--workers", 1, database=url) as process:
            while process.poll() is None and not started(url):
                time.sleep(0.02)
            while process.poll() is None and times < wanted:
                getattr(server, how)()
                time.sleep(chance.uniform(0, 0.5))
                server.start()
                times += 1
                time.sleep(chance.uniform(0, 1))
            _, messages = process.communicate(timeout=600)
        assert process.returncode == 1, messages
        assert "Trying again for 600 seconds" in messages
        damage += Damage.of(stored_rows(url), undisturbed)
        runs += 1
        execute_on_mysql(url, "DROP DATABASE faults", use_database=False)
    verb = {"kill": "killed", "stop": "stopped"}[how]
    record_property("what", f"server {verb} and started again, {server_name(url)}")
    record_property("times", times)
    record_property("images", runs * PICTURES)
    record_property("damage", vars(damage))
    assert damage == NONE


def started(url: str) -> bool:
    """Whether a run has stored something."""
    with contextlib.suppress(DatabaseError, ValueError), open_database(url) as database:
        run, *_ = database.runs()
        return next(database.rows(run.info.id), None) is not None
    return False


@pytest.mark.usefixtures("reads_alone")
def test_a_server_that_does_not_come_back(
    server: PrivateServer, url: str, detector: Detector, undisturbed: Rows
) -> None:
    detector.linger()
    detector.settings["DIGITS_DATABASE_RETRY_SECONDS"] = "1"
    with detector.start("pictures", database=url) as process:
        while process.poll() is None and not started(url):
            time.sleep(0.05)
        server.stop()
        _, messages = process.communicate(timeout=120)
    server.start()
    assert process.returncode == 3
    notice, error, to_go_on, command = messages.splitlines()
    (run,) = stored_runs(url)
    assert notice.startswith(f"Database {url}: ")
    assert notice.endswith(" Trying again for 1 seconds.")
    assert error.startswith(f"Error: Database {url}: no server answers there (")
    assert error.endswith("; start it, or correct the URL. Tried again for 1 seconds.")
    assert to_go_on == "To go on with the run:"
    assert f" --resume {run.info.id} " in command
    stored = len(stored_rows(url))
    assert 0 < stored < PICTURES

    detector.hurry()
    done = detector.run_in_shell(command)
    assert done.returncode == 1, done.stderr
    assert f", and {stored:,} before\n" in done.stderr
    assert Damage.of(stored_rows(url), undisturbed) == NONE
    assert stored_runs(url)[0].state == "finished"


def test_a_frozen_server(server: PrivateServer, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps the connection, but answers nothing."""
    monkeypatch.setattr(mysql, "ANSWER_TIMEOUT_S", 1)
    monkeypatch.setattr(mysql, "CONNECT_TIMEOUT_S", 1)
    notices: list[str] = []
    assert server.process is not None
    with ResultsDatabase.open(
        url, password=MYSQL_PASSWORD, retry_seconds=30, notice=notices.append
    ) as database:
        run_id = database.start_run(RunInfo(sources=["x"], model_path="m"))
        server.process.send_signal(signal.SIGSTOP)
        thaw = threading.Timer(3, server.process.send_signal, [signal.SIGCONT])
        thaw.start()
        database.add(run_id, make_results(0))
        thaw.join()
    assert [row.path for row in stored_rows(url)] == [row.path for row in make_results(0)]
    assert notices[0].startswith(f"Database {url}: ")
    assert notices[0].endswith(". Trying again for 30 seconds.")
    assert notices[1].startswith("The database is back after ")


def test_what_does_not_pass_is_not_waited_for(url: str) -> None:
    """A password that is changed while a run lasts."""
    user = "faults_user"
    execute_on_mysql(
        url,
        f"CREATE USER '{user}'@'%' IDENTIFIED BY 'old'",
        f"GRANT ALL ON faults.* TO '{user}'@'%'",
        use_database=False,
    )
    mine = url.replace("digits@", f"{user}@")
    with ResultsDatabase.open(mine, password="old", retry_seconds=600) as database:
        execute_on_mysql(
            url,
            f"ALTER USER '{user}'@'%' IDENTIFIED BY 'new'",
        )
        ((connection,),) = execute_on_mysql(
            url, f"SELECT id FROM information_schema.processlist WHERE user = '{user}'"
        )
        execute_on_mysql(url, f"KILL {connection}")
        begin = time.monotonic()
        with pytest.raises(DatabaseError, match="refuses the password of 'faults_user'@"):
            database.add("run", make_results(0))
        assert time.monotonic() - begin < 30
    execute_on_mysql(url, f"DROP USER '{user}'@'%'")


def test_too_many_connections_are_waited_for(url: str) -> None:
    execute_on_mysql(
        url,
        "CREATE USER 'crowd'@'%' IDENTIFIED BY 'x' WITH MAX_USER_CONNECTIONS 1",
        "GRANT ALL ON faults.* TO 'crowd'@'%'",
        use_database=False,
    )
    crowd = url.replace("digits@", "crowd@")
    notices: list[str] = []
    first = ResultsDatabase.open(crowd, password="x", retry_seconds=30, notice=notices.append)
    with first:
        with pytest.raises(DatabaseError, match="has too many connections; close some or raise"):
            ResultsDatabase.open(crowd, password="x")
        first._store._roll_back(lost=True)  # type: ignore[attr-defined]
        # The server hears of it later; if it never does, the next connection is refused.
        connected = "SELECT 1 FROM information_schema.processlist WHERE user = 'crowd'"
        end = time.monotonic() + 30
        while time.monotonic() < end and execute_on_mysql(url, connected):
            time.sleep(0.05)
        other = ResultsDatabase.open(crowd, password="x")
        threading.Timer(1, other.close).start()
        assert first.add("run", make_results(0)) == ROWS
    assert len(notices) == 2
    execute_on_mysql(url, "DROP USER 'crowd'@'%'")


def test_a_held_lock_is_waited_for(url: str) -> None:
    """Longer than the server itself waits, which is a second here."""
    open_database(url).close()
    execute_on_mysql(url, "SET GLOBAL innodb_lock_wait_timeout = 1")
    notices: list[str] = []
    other = connect_to_mysql(url)
    with (
        contextlib.closing(other),
        contextlib.closing(other.cursor()) as cursor,
        ResultsDatabase.open(
            url, password=MYSQL_PASSWORD, retry_seconds=30, notice=notices.append
        ) as database,
    ):
        cursor.execute("BEGIN")
        cursor.execute(
            "INSERT INTO classified_images (run_id, path_key)"
            f" VALUES ('run', '{path_key('batch 0/7.png')}')"
        )
        release = threading.Timer(2.5, other.rollback)
        release.start()
        assert database.add("run", make_results(0)) == ROWS
        release.join()
    execute_on_mysql(url, "SET GLOBAL innodb_lock_wait_timeout = DEFAULT")
    assert notices[0] == (
        f"Database {url}: another program holds a lock for too long; close that program and try"
        " again. Trying again for 30 seconds."
    )


def test_a_busy_sqlite_file_is_waited_for(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.1)
    notices: list[str] = []
    with ResultsDatabase.open(sqlite_url, retry_seconds=30, notice=notices.append) as database:
        path = sqlite_url.removeprefix("sqlite:///")
        other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        with contextlib.closing(other):
            other.execute("BEGIN IMMEDIATE")
            release = threading.Timer(1, other.execute, ["ROLLBACK"])
            release.start()
            assert database.add("run", make_results(0)) == ROWS
            release.join()
    assert notices[0] == (
        f"Database {sqlite_url}: SQLite says 'database is locked'; another program keeps it"
        " locked; close that program and try again. Trying again for 30 seconds."
    )


@pytest.mark.usefixtures("reads_alone")
def test_a_detector_gives_up_on_a_busy_file(
    detector: Detector,
    sqlite_url: str,
    undisturbed: Rows,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With exit code 3, and the command to go on."""
    detector.linger()
    detector.settings["DIGITS_DATABASE_RETRY_SECONDS"] = "0.5"
    open_database(sqlite_url).close()
    path = sqlite_url.removeprefix("sqlite:///")
    other = sqlite3.connect(path, isolation_level=None)
    add = ResultsDatabase.add

    def add_and_lock(database: ResultsDatabase, *arguments: Any) -> int:
        # A program beside the detector might wait for its own turn until the run is over.
        added = add(database, *arguments)
        if not other.in_transaction:
            other.execute("BEGIN IMMEDIATE")
        return added

    with contextlib.closing(other), monkeypatch.context() as patch:
        for name, value in detector.settings.items():
            patch.setenv(name, value)
        patch.chdir(detector.folder)
        patch.setattr(sqlite, "BUSY_TIMEOUT_S", 0.1)  # which is why it runs in this process
        patch.setattr(ResultsDatabase, "add", add_and_lock)
        _, _, *arguments = detector.command("pictures", database=sqlite_url)
        assert main(arguments) == 3
        assert stored_rows(sqlite_url)
    *_, error, _, command = capsys.readouterr().err.splitlines()
    assert error.startswith(f"Error: Database {sqlite_url}: SQLite says 'database is locked'; ")
    detector.hurry()
    assert detector.run_in_shell(command).returncode == 1
    assert Damage.of(stored_rows(sqlite_url), undisturbed) == NONE


@pytest.mark.parametrize("how", ["INT", "INT INT"])
def test_ctrl_c(how: str, detector: Detector, database_url: str, undisturbed: Rows) -> None:
    detector.linger()
    with detector.start("pictures", database=database_url) as process:
        while process.poll() is None and not started(database_url):
            time.sleep(0.02)
        for _ in how.split():
            process.send_signal(signal.SIGINT)
            time.sleep(0.05)
        try:
            _, messages = process.communicate(timeout=60)
        finally:
            process.kill()
    if how == "INT":
        assert process.returncode == 130, messages
        *_, said, to_go_on, command = messages.splitlines()
        assert said == "Interrupted: what was classified until then is stored."
        assert to_go_on == "To go on with the run:"
        assert stored_runs(database_url)[0].state == "interrupted"
    else:  # the second one may come after all is done, or end the program at once
        assert process.returncode in (130, -signal.SIGINT), messages
        command = shlex.join(detector.command("--resume", database=database_url))
    detector.hurry()
    done = detector.run_in_shell(command)
    assert done.returncode == 1, done.stderr
    assert Damage.of(stored_rows(database_url), undisturbed) == NONE


def test_files_stay_closed(tmp_path: Path) -> None:
    """A cut connection leaves no open socket behind (checked where the system shows them)."""
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("needs /proc")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        with pytest.raises(DatabaseError):
            ResultsDatabase.open("mysql://me@127.0.0.1:9/d")
    assert len(os.listdir("/proc/self/fd")) <= before + 1
