"""For the tests: an SQLite file, a private MySQL or MariaDB server, and a private S3."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import mysql.connector
import pytest
from PIL import Image

from digit_classification.network.default_model import DEFAULT_MODEL
from tests.trainer import train_model

PASSWORD_VARIABLE = "DIGITS_DATABASE_PASSWORD"
# A user of the private server; the quote and the percent sign are there to be mishandled.
MYSQL_USER, MYSQL_PASSWORD = "digits", "s3cr'et%pässword"
NO_SERVER = "no MySQL or MariaDB server"
HOW_TO_GET_ONE = (
    "install one (Debian: apt-get install mariadb-server) or set DIGITS_TEST_MYSQL_URL to a"
    " server whose user may create databases, with its password in DIGITS_DATABASE_PASSWORD"
)
# Beside the PATH: Debian, a build from source, Red Hat, Homebrew on Intel and on Apple silicon.
SERVER_FOLDERS = (
    "/usr/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/usr/libexec",
    "/usr/local/mysql/bin",
    "/usr/local/opt/mariadb/bin",
    "/usr/local/opt/mysql/bin",
    "/opt/homebrew/opt/mariadb/bin",
    "/opt/homebrew/opt/mysql/bin",
)
STARTUP_TIMEOUT_S = 60


def pytest_configure() -> None:
    """Train no judge, which takes minutes, unless a test asks for one; hear signals.

    A shell has what it starts in the background ignore Ctrl-C, and nohup SIGHUP: so would each
    program that a test starts and then interrupts.
    """
    os.environ.setdefault("DIGITS_TRAINING_SCENES", "0")
    for name, usual in (("SIGINT", signal.default_int_handler), ("SIGHUP", signal.SIG_DFL)):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


# The rooms whose files take longest, which pytest-xdist is to hand out first: at the end one
# process would otherwise work on such a file alone.
LONGEST = ("faults", "training", "docs", "reports")


@pytest.hookimpl(tryfirst=True)  # before pytest picks those of `-m server`
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if needs_server(item):
            item.add_marker("server")

    def place(item: pytest.Item) -> int:
        room = item.path.parent.name
        return LONGEST.index(room) if room in LONGEST else len(LONGEST)

    items.sort(key=place)


def needs_server(item: pytest.Item) -> bool:
    """Whether a test needs a MySQL or MariaDB server, by its fixtures or as one of its kinds."""
    assert isinstance(item, pytest.Function)
    kinds = item.callspec.params.values() if hasattr(item, "callspec") else ()
    fixtures = {"mysql_server", "server_program"} & {*item.fixturenames}
    return bool(fixtures) or any(isinstance(kind, str) and kind == "mysql" for kind in kinds)


@pytest.fixture(scope="session", autouse=True)
def few_drawn_for_a_judge() -> Iterator[None]:
    """Have a judge learn of a few digits in the book's styles: drawing them takes longest of all.

    There are some of each digit among them still.
    """
    with pytest.MonkeyPatch.context() as patch:
        for number in ("DRAWN", "DRAWN_IN_PAIRS", "DRAWN_HELD_OUT"):
            patch.setattr(f"digit_classification.training.judging.training.{number}", 75)
        yield


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model that reads drawn digits well; to be left as it is."""
    # Larger steps are not stable with so few digits.
    options = ("--hidden-units", 64, "--epochs", 20, "--learning-rate", 0.5)
    return train_model(tmp_path_factory.mktemp("model"), *options, per_class=40)


@pytest.fixture(scope="session")
def trained() -> Path:
    """A model of real digits with a judge, which reads samples/; to be left as it is."""
    return DEFAULT_MODEL


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the charts of a report blank: they take seconds, and tests/reports looks at them."""
    blank = io.BytesIO()
    Image.new("L", (1, 1)).save(blank, "png")
    monkeypatch.setattr("digit_classification.reports.charts.render", lambda *_: blank.getvalue())


def find_program(*names: str) -> str | None:
    """The path of the first of these programs that is installed."""
    search_path = os.pathsep.join([os.environ.get("PATH", os.defpath), *SERVER_FOLDERS])
    return next(filter(None, (shutil.which(name, path=search_path) for name in names)), None)


class PrivateServer:
    """A server in a temporary folder, which can be stopped, killed and started again."""

    def __init__(self, program: str, *options: str) -> None:
        # Not pytest's folder: the path of a Unix socket has at most about 100 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="digits-", dir="/tmp"))
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
            self.port = free.getsockname()[1]
        self.url = f"mysql://{MYSQL_USER}@127.0.0.1:{self.port}/"  # without a database
        as_root = ["--user=root"] if os.geteuid() == 0 else []
        data = f"--datadir={self.folder / 'data'}"
        self._log = self.folder / "server.log"
        self._initialize = _initialize_command(program, data, as_root)
        self._start = [
            program,
            "--no-defaults",
            data,
            *as_root,
            f"--socket={self.folder / 'sock'}",
            f"--pid-file={self.folder / 'pid'}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--loose-mysqlx=OFF",  # a second port of Oracle's server, the same for each of them
            f"--secure-file-priv={self.folder}",  # Debian's own is there only with its server
            "--innodb-buffer-pool-size=64M",
            "--innodb-flush-log-at-trx-commit=2",  # no test cuts the power
            *options,
        ]
        self.process: subprocess.Popen[bytes] | None = None

    def create(self) -> None:
        """Make the data folder and the user that the tests log in as, and start."""
        with self._log.open("wb") as log:
            subprocess.run(
                self._initialize, check=True, stdout=log, stderr=log, timeout=STARTUP_TIMEOUT_S
            )
        self.start()
        connection = self.connect_as_root()
        with contextlib.closing(connection), contextlib.closing(connection.cursor()) as cursor:
            # The anonymous user of a fresh server would go before a user of any host.
            cursor.execute("DROP USER IF EXISTS ''@'localhost'")
            cursor.execute(f"CREATE USER '{MYSQL_USER}'@'%' IDENTIFIED BY %s", (MYSQL_PASSWORD,))
            cursor.execute(f"GRANT ALL ON *.* TO '{MYSQL_USER}'@'%' WITH GRANT OPTION")

    def start(self) -> None:
        """Start, and wait until it answers."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._start, stdout=log, stderr=log)
        deadline = time.monotonic() + STARTUP_TIMEOUT_S
        while True:
            try:
                self.connect_as_root().close()
                return
            except mysql.connector.Error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    log_text = self._log.read_text()
                    raise RuntimeError(f"the server did not start:\n{log_text}") from None
                time.sleep(0.05)

    def connect_as_root(self) -> Any:
        return mysql.connector.connect(
            user="root",
            unix_socket=str(self.folder / "sock"),
            collation="utf8mb4_general_ci",
            autocommit=True,
        )

    def stop(self) -> None:
        """Ask it to end, which rolls back what is open, and wait for that."""
        assert self.process is not None
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def private_server(program: str, *options: str) -> Iterator[PrivateServer]:
    """Run a server until the end of the block."""
    server = PrivateServer(program, *options)
    try:
        server.create()
        yield server
    except subprocess.CalledProcessError as error:
        log = server.folder / "server.log"
        raise RuntimeError(f"{error}; it said:\n{log.read_text()}") from error
    finally:
        if server.process is not None:
            server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)


def _initialize_command(program: str, data: str, as_root: list[str]) -> list[str]:
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    if "MariaDB" not in version.stdout:
        return [program, "--no-defaults", "--initialize-insecure", data, *as_root]
    install = find_program("mariadb-install-db", "mysql_install_db")
    if install is None:
        raise RuntimeError(f"{program} is installed without mariadb-install-db")
    return [
        install,
        "--no-defaults",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        data,
        *as_root,
    ]


@pytest.fixture(scope="session")
def mysql_server(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """The URL of a server, `mysql://user@host:port/`, and the password.

    Each process of pytest-xdist has a server of its own, started when a test asks for it.
    """
    if given := os.environ.get("DIGITS_TEST_MYSQL_URL"):
        base, _, query = given.partition("?")
        server = base.removeprefix("mysql://").partition("/")[0]
        suffix = f"?{query}" if query else ""
        yield f"mysql://{server}/{suffix}", os.environ.get(PASSWORD_VARIABLE, "")
        return
    with private_server(request.getfixturevalue("server_program")) as private:
        yield private.url, MYSQL_PASSWORD


@pytest.fixture(scope="session")
def server_program() -> str:
    """The server's program; the test that needs it is skipped, or fails, where there is none."""
    program = os.environ.get("DIGITS_TEST_MYSQLD") or find_program("mariadbd", "mysqld")
    if program is None or os.name != "posix":
        reason = f"{NO_SERVER}: {HOW_TO_GET_ONE}"
        if os.environ.get("DIGITS_TEST_REQUIRE_MYSQL"):
            pytest.fail(reason)
        pytest.skip(reason)
    return program


@pytest.fixture(scope="session")
def chromium() -> tuple[str, str]:
    """The paths of Chromium and its driver; who needs them is skipped, or fails, without."""
    from benchmarks import browser

    found = browser.find_chromium()
    if found is None:
        reason = f"no Chromium with its driver: {browser.HOW_TO_GET_ONE}"
        if os.environ.get("DIGITS_TEST_REQUIRE_CHROMIUM"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest.fixture
def mysql_url(mysql_server: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a database that does not exist yet; its password is in the environment."""
    server, password = mysql_server
    monkeypatch.setenv(PASSWORD_VARIABLE, password)
    base, mark, query = server.partition("?")
    url = f"{base}digits_test_{secrets.token_hex(6)}{mark}{query}"
    yield url
    execute_on_mysql(url, f"DROP DATABASE IF EXISTS `{mysql_database(url)}`", use_database=False)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a database file that does not exist yet."""
    return f"sqlite:///{(tmp_path / 'digits.db').as_posix()}"


@pytest.fixture(params=["sqlite", "mysql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a database that does not exist yet, on each kind of store."""
    return str(request.getfixturevalue(f"{request.param}_url"))


def mysql_database(url: str) -> str:
    """The name of the database in a URL that `mysql_url` made."""
    return url.partition("?")[0].rpartition("/")[2]


def server_name(url: str) -> str:
    """`MySQL 9.7.4` or `MariaDB 10.11.19`, as the server itself says."""
    ((version,),) = execute_on_mysql(url, "SELECT VERSION()", use_database=False)
    return f"{'MariaDB' if 'MariaDB' in version else 'MySQL'} {version.partition('-')[0]}"


def connect_to_mysql(url: str, *, use_database: bool = True) -> Any:
    """A plain connection, to look at a database from outside the program."""
    parts = urlsplit(url)
    unix_socket = dict(parse_qsl(parts.query)).get("unix_socket")
    return mysql.connector.connect(
        host=parts.hostname or "localhost",
        port=parts.port or 3306,
        user=unquote(parts.username or ""),
        password=os.environ[PASSWORD_VARIABLE],
        **({"unix_socket": unix_socket} if unix_socket else {}),
        **({"database": mysql_database(url)} if use_database else {}),
        collation="utf8mb4_general_ci",
        autocommit=True,
    )


def execute_on_mysql(url: str, *statements: str, use_database: bool = True) -> list[Any]:
    """Run statements from outside the program; return the rows of the last one."""
    rows: list[Any] = []
    connection = connect_to_mysql(url, use_database=use_database)
    with contextlib.closing(connection), contextlib.closing(connection.cursor()) as cursor:
        for statement in statements:
            cursor.execute(statement)
            rows = cursor.fetchall() if cursor.with_rows else []
    return rows


@dataclass
class Bucket:
    """An empty bucket of a private S3, whose endpoint and credentials are in the environment."""

    client: Any  # boto3's, to look at the bucket from outside the program
    name: str = field(default_factory=lambda: f"digits-{secrets.token_hex(6)}")
    requests: list[str] = field(default_factory=list)  # such as `GET /bucket/7.png?`

    @property
    def url(self) -> str:
        return f"s3://{self.name}"

    def put(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=content)

    def keys(self) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return [each["Key"] for page in pages for each in page.get("Contents", ())]


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The URL of a private S3 server, which runs in this process."""
    pytest.importorskip("obstore")
    moto_server = pytest.importorskip("moto.server")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it tells of each request
    server = moto_server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """A bucket of its own for each test."""
    import boto3
    from moto.server import DomainDispatcherApplication

    from digit_classification.pictures import object_store

    for variable in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    object_store._open_bucket.cache_clear()
    bucket = Bucket(boto3.client("s3", region_name="us-east-1"))
    bucket.client.create_bucket(Bucket=bucket.name)
    answer = DomainDispatcherApplication.__call__

    def listen(self: Any, environ: dict[str, Any], start_response: Any) -> Any:
        query = environ["QUERY_STRING"]
        bucket.requests.append(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}?{query}")
        return answer(self, environ, start_response)

    monkeypatch.setattr(DomainDispatcherApplication, "__call__", listen)
    yield bucket
    object_store._open_bucket.cache_clear()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Make the last line of the run say what was skipped for want of a server."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:  # a worker of pytest-xdist
        return
    skipped = sum(NO_SERVER in str(report.longrepr) for report in reporter.getreports("skipped"))
    if skipped:
        reporter.write_line(f"{skipped} tests skipped, {NO_SERVER}: {HOW_TO_GET_ONE}")
