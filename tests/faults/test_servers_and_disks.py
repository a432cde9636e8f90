"""Full disks, servers that demand TLS, users with few rights: what is said, and the way on."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from digit_classification.results.database import ResultsDatabase
from digit_classification.results.errors import DatabaseError
from digit_classification.results.records import RunInfo
from tests.conftest import (
    MYSQL_PASSWORD,
    MYSQL_USER,
    PASSWORD_VARIABLE,
    execute_on_mysql,
    mysql_database,
    private_server,
)
from tests.documents import ROOT
from tests.faults.conftest import (
    NONE,
    PICTURES,
    Damage,
    Detector,
    Rows,
    stored_rows,
    stored_runs,
)
from tests.faults.test_connections import ROWS, make_results

pytestmark = pytest.mark.usefixtures("reads_alone")

MEBIBYTE = 2**20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of half a mebibyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None or sys.platform != "linux":
        pytest.skip("needs Linux's mount")
    options = ["-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    if subprocess.run([mount, *options], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def make_room(folder: Path) -> None:
    command = ["mount", "-o", "remount,size=256m", str(folder)]
    subprocess.run(command, check=True)


def test_a_full_disk_under_sqlite(small_disk: Path, detector: Detector, undisturbed: Rows) -> None:
    url = f"sqlite:///{small_disk / 'digits.db'}"
    done = detector.run("pictures", database=url)
    assert done.returncode == 3
    error, to_go_on, command = done.stderr.splitlines()
    assert error == (
        f"Error: Database {url}: SQLite says 'database or disk is full'; make room on the disk."
    )
    assert to_go_on == "To go on with the run:"
    assert 0 < len(stored_rows(url)) < PICTURES
    make_room(small_disk)
    assert detector.run_in_shell(command).returncode == 1
    assert Damage.of(stored_rows(url), undisturbed) == NONE


def test_a_file_that_may_not_grow(detector: Detector, sqlite_url: str, undisturbed: Rows) -> None:
    """What a quota does: writing fails, though there is room on the disk."""
    words = detector.command("pictures", database=sqlite_url)
    done = detector.run_in_shell(f"ulimit -f 300; exec {subprocess.list2cmdline(words)}")
    assert done.returncode == 3
    *_, error, _, command = done.stderr.splitlines()
    assert error == (
        f"Error: Database {sqlite_url}: SQLite says 'disk I/O error'; check the disk, and that"
        " there is room on it."
    )
    assert len(stored_rows(sqlite_url)) < PICTURES
    assert detector.run_in_shell(command).returncode == 1
    assert Damage.of(stored_rows(sqlite_url), undisturbed) == NONE


def test_a_full_disk_to_sort_into(
    small_disk: Path, detector: Detector, sqlite_url: str, undisturbed: Rows
) -> None:
    target = small_disk / "sorted"
    done = detector.run("pictures", "--sort-into", target, database=sqlite_url)
    assert done.returncode == 2
    error, _, command = done.stderr.splitlines()
    assert error.startswith("Error: 'pictures/")
    assert f" cannot be copied to '{target}/" in error
    assert error.endswith(
        ": No space left on device; see to the permissions and to room on the disk."
    )
    make_room(small_disk)
    assert detector.run_in_shell(command).returncode == 1
    rows = stored_rows(sqlite_url)
    assert Damage.of(rows, undisturbed) == NONE
    files = {str(file) for file in target.rglob("*") if file.is_file()}
    assert files == {row.sorted_to for row in rows if row.sorted_to}
    assert len(files) == len([row for row in rows if row.status != "error"])


def test_a_full_table_space(server_program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server whose data file may not grow."""
    monkeypatch.setenv(PASSWORD_VARIABLE, MYSQL_PASSWORD)
    options = [
        "--innodb-file-per-table=0",
        "--innodb-data-file-path=ibdata1:12M:autoextend:max:14M",
    ]
    with private_server(server_program, *options) as server:
        url = f"{server.url}full"
        with ResultsDatabase.open(url, password=MYSQL_PASSWORD, retry_seconds=60) as database:
            run_id = database.start_run(RunInfo(sources=["x"], model_path="m"))
            batches = count()
            with pytest.raises(DatabaseError) as caught:
                deque((database.add(run_id, make_results(n)) for n in batches), maxlen=0)
            assert str(caught.value) == (
                f"Database {url}: the server's disk or table space is full; make room there."
            )
            stored = ROWS * (next(batches) - 1)
            assert len(list(database.rows(run_id))) == stored > 0
            assert database.finish_run(run_id, "failed").images == stored


def test_a_run_with_the_smallest_grant(
    detector: Detector, mysql_url: str, undisturbed: Rows, tmp_path: Path
) -> None:
    """The grant in the documentation is enough to make the database, run, sort and resume."""
    page = (ROOT / "docs/databases.md").read_text(encoding="utf-8")
    privileges = page.split("\nGRANT ", 1)[1].split(" ON ", 1)[0]
    name, user = mysql_database(mysql_url), "smallest"
    execute_on_mysql(
        mysql_url,
        f"CREATE USER '{user}'@'%' IDENTIFIED BY '{MYSQL_PASSWORD.replace(chr(39), chr(39) * 2)}'",
        f"GRANT {privileges} ON `{name}`.* TO '{user}'@'%'",
        use_database=False,
    )
    try:
        password = os.environ[PASSWORD_VARIABLE]
        if password != MYSQL_PASSWORD:
            pytest.skip("the server is not the tests' own")
        url = f"mysql://{user}@{mysql_url.rpartition('@')[2]}"
        sort = ["--sort-into", tmp_path / "sorted"]
        assert detector.run("pictures", *sort, database=url).returncode == 1
        (run,) = stored_runs(url)
        with ResultsDatabase.open(url, password=password) as database:
            database.finish_run(run.info.id, "interrupted")
        assert detector.run("--resume", *sort, database=url).returncode == 1
        assert Damage.of(stored_rows(url), undisturbed) == NONE
    finally:
        execute_on_mysql(mysql_url, f"DROP USER '{user}'@'%'", use_database=False)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority `ca.pem`, a server's certificate that it signed, and another authority."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl")
    folder = tmp_path_factory.mktemp("certificates")

    def run(command: str) -> None:
        subprocess.run([openssl, *command.split()], cwd=folder, check=True, capture_output=True)

    key = "-newkey rsa:2048 -nodes -days 2"
    for name in ("ca", "other"):
        run(f"req -x509 {key} -keyout {name}-key.pem -out {name}.pem -subj /CN={name}")
    run(f"req {key} -keyout key.pem -out request.pem -subj /CN=localhost")
    run("x509 -req -in request.pem -CA ca.pem -CAkey ca-key.pem -CAcreateserial -out cert.pem")
    return folder


def test_tls(
    server_program: str, certificates: Path, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against a server that demands it, and with the wrong authority."""
    monkeypatch.setenv(PASSWORD_VARIABLE, MYSQL_PASSWORD)
    options = [
        "--require-secure-transport=ON",
        f"--ssl-cert={certificates / 'cert.pem'}",
        f"--ssl-key={certificates / 'key.pem'}",
        f"--ssl-ca={certificates / 'ca.pem'}",
    ]
    for file in certificates.iterdir():
        file.chmod(0o644)
    with private_server(server_program, *options) as server:
        url = f"{server.url}tls"
        with ResultsDatabase.open(
            url, password=MYSQL_PASSWORD, tls_ca=certificates / "ca.pem", tls_required=True
        ) as database:
            assert database.add("run", make_results(0)) == ROWS
            with database._store.transaction() as cursor:
                cursor.execute("SHOW STATUS LIKE 'Ssl_cipher'")
                assert cursor.fetchall()[0][1]
        execute_on_mysql(url, f"ALTER USER '{MYSQL_USER}'@'%' REQUIRE SSL", use_database=False)
        ResultsDatabase.open(url, password=MYSQL_PASSWORD).close()  # TLS is used if offered
        detector.settings["DIGITS_DATABASE_TLS_CA"] = str(certificates / "other.pem")
        done = detector.run("pictures", database=url)
        assert done.returncode == 3
        (error,) = done.stderr.splitlines()
        assert error.startswith(f"Error: Database {url}: TLS failed (")
        assert error.endswith("); check the server's certificate and tls_ca.")

        # The connection that is lost in the middle is made again, with TLS.
        with ResultsDatabase.open(
            url, password=MYSQL_PASSWORD, tls_ca=certificates / "ca.pem", retry_seconds=30
        ) as database:
            server.kill()
            server.start()
            assert database.add("after", make_results(0)) == ROWS


@pytest.mark.parametrize(
    ("user", "password", "message"),
    [
        ("digits", "wrong", "the server refuses the password of 'digits'@'127.0.0.1'; set"),
        ("digits", None, "user 'digits' is not admitted without a password; set"),
        ("nobody", "x", "the server refuses the password of 'nobody'@'127.0.0.1'; set"),
    ],
)
def test_who_is_not_admitted(
    user: str,
    password: str | None,
    message: str,
    detector: Detector,
    mysql_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.delenv(PASSWORD_VARIABLE)
        if password is not None:
            patch.setenv(PASSWORD_VARIABLE, password)
        url = mysql_url.replace("digits@", f"{user}@")
        done = detector.run("pictures", database=url)
    assert done.returncode == 3
    if password is None:
        more = "it"
    else:
        more = (
            "the right one, or if that is the right one, have an administrator drop the anonymous"
            f" user ''@'127.0.0.1', which goes before '{user}'@'%'"
        )
    assert done.stderr == (
        f"Error: Database {url}: {message} DIGITS_DATABASE_PASSWORD or name a MySQL option file"
        f" that holds {more}.\n"
    )


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "mysql://me@nowhere.invalid/d",
            "Database mysql://me@nowhere.invalid:3306/d: the host 'nowhere.invalid' is unknown;"
            " correct the URL.",
        ),
        (
            "mysql://me@127.0.0.1:9/d",
            "Database mysql://me@127.0.0.1:9/d: no server answers there (Connection refused);"
            " start it, or correct the URL.",
        ),
        (
            "postgres://me@h/d",
            "Unknown kind of database 'postgres'; use"
            " mysql://user@host:3306/digit_classification, sqlite:///digit_classification.db,"
            " parquet:results or none.",
        ),
    ],
)
def test_what_is_not_there(url: str, message: str, detector: Detector) -> None:
    """Said at once: only a database that was there is waited for."""
    done = detector.run("pictures", database=url)
    assert (done.returncode, done.stderr) == (3, f"Error: {message}\n")


def test_a_read_only_server_ends_the_run(
    detector: Detector, mysql_url: str, undisturbed: Rows
) -> None:
    """It became one in the middle, as an old primary server does."""
    if os.environ.get("DIGITS_TEST_MYSQL_URL"):
        pytest.skip("would change the settings of a server that is not the tests' own")
    name = mysql_database(mysql_url)
    execute_on_mysql(
        mysql_url,
        "CREATE USER 'plain'@'%' IDENTIFIED BY 'x'",
        f"GRANT ALL ON `{name}`.* TO 'plain'@'%'",
        use_database=False,
    )
    url = f"mysql://plain@{mysql_url.rpartition('@')[2]}"
    try:
        with contextlib.ExitStack() as stack:
            database = stack.enter_context(
                ResultsDatabase.open(url, password="x", retry_seconds=60)
            )
            run_id = database.start_run(RunInfo(sources=["x"], model_path="m"))
            execute_on_mysql(mysql_url, "SET GLOBAL read_only = 1", use_database=False)
            with pytest.raises(DatabaseError) as caught:
                database.add(run_id, make_results(0))
            assert str(caught.value) == (
                f"Database {url}: the server is read-only; use its primary server or end the"
                " read-only mode."
            )
    finally:
        execute_on_mysql(
            mysql_url, "SET GLOBAL read_only = 0", "DROP USER 'plain'@'%'", use_database=False
        )
