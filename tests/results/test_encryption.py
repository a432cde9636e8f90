"""Servers without TLS: no password goes unencrypted over a network, whatever a server asks for."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from digit_classification.results.database import ResultsDatabase
from digit_classification.results.errors import DatabaseError
from digit_classification.results.records import Result
from tests.conftest import MYSQL_PASSWORD, MYSQL_USER, PrivateServer, private_server
from tests.faults.proxy import CuttingProxy

ASKS_FOR_PASSWORD = (
    "the server asks for the password itself, which is never sent unencrypted; enable TLS there, or"
    " use its Unix socket."
)


def refusal(url: str, *, tls_ca: Path | None = None, tls_required: bool = False) -> str:
    """What is said instead of opening a database."""
    with pytest.raises(DatabaseError) as caught:
        ResultsDatabase.open(url, password=MYSQL_PASSWORD, tls_ca=tls_ca, tls_required=tls_required)
    return str(caught.value)


# --- A server that wants to know it ---------------------------------------------------------------


@dataclass
class Listener:
    """A server without TLS, which sends packets and keeps what comes back."""

    packets: list[bytes]
    heard: list[bytes] = field(default_factory=list)

    @contextlib.contextmanager
    def listening(self) -> Iterator[str]:
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:
            thread = threading.Thread(target=self._serve, args=(server,), daemon=True)
            thread.start()
            yield f"mysql://{MYSQL_USER}@127.0.0.1:{server.getsockname()[1]}/d"
            thread.join(10)

    def _serve(self, server: socket.socket) -> None:
        client, _ = server.accept()
        with client:
            for number, packet in enumerate(self.packets):
                client.sendall(struct.pack("<I", len(packet))[:3] + bytes([2 * number]) + packet)
                self.heard.append(client.recv(2**16))


def greeting(plugin: bytes) -> bytes:
    """What a server says first: protocol 10, with ways to log in (PLUGIN_AUTH), without TLS.

    https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html
    """
    capabilities = (
        0x0008_A208  # CONNECT_WITH_DB, PROTOCOL_41, TRANSACTIONS, SECURE_..., PLUGIN_AUTH
    )
    low, high = capabilities & 0xFFFF, capabilities >> 16
    start = b"\x0a9.7.4\0" + struct.pack("<I", 1) + b"12345678\0"
    middle = struct.pack("<HBHHB", low, 45, 2, high, 21) + bytes(10)
    return start + middle + b"123456789012\0" + plugin + b"\0"


SWITCH = b"\xfe%s\0%s\0"  # to another way to log in
IN_FULL = b"\x01\x04"  # caching_sha2_password: "I do not know this scramble; what is it of?"


@pytest.mark.parametrize(
    "packets",
    [
        [greeting(b"caching_sha2_password"), IN_FULL],
        [greeting(b"mysql_native_password"), SWITCH % (b"caching_sha2_password", b"\x04")],
        [greeting(b"mysql_native_password"), SWITCH % (b"mysql_clear_password", b"")],
        [greeting(b"sha256_password")],
    ],
    ids=["full", "switch", "clear", "sha256"],
)
def test_a_server_without_tls_does_not_get_the_password(packets: list[bytes]) -> None:
    server = Listener(packets)
    with server.listening() as url:
        assert refusal(url) == f"Database {url}: {ASKS_FOR_PASSWORD}"
    assert server.heard
    assert MYSQL_PASSWORD.encode() not in b"".join(server.heard)


# --- Servers of MySQL and MariaDB -----------------------------------------------------------------


@pytest.fixture(scope="module")
def server(server_program: str) -> Iterator[PrivateServer]:
    """A server without TLS: the one way of saying so is MySQL's, the other MariaDB's."""
    with private_server(server_program, "--loose-tls-version=", "--loose-skip-ssl") as server:
        yield server


@pytest.fixture
def url(server: PrivateServer) -> Iterator[str]:
    """The URL of a database that does not exist yet."""
    yield f"{server.url}unencrypted"
    execute_as_root(server, "DROP DATABASE IF EXISTS unencrypted")


@pytest.fixture
def socket_url(server: PrivateServer, url: str) -> str:
    """The same through the Unix socket."""
    return f"mysql://{MYSQL_USER}@/unencrypted?unix_socket={server.folder / 'sock'}"


def execute_as_root(server: PrivateServer, *statements: str) -> None:
    connection = server.connect_as_root()
    with contextlib.closing(connection), contextlib.closing(connection.cursor()) as cursor:
        for statement in statements:
            cursor.execute(statement)


def test_a_server_without_tls_is_refused(url: str, socket_url: str) -> None:
    ResultsDatabase.open(socket_url, password=MYSQL_PASSWORD, tls_required=True).close()
    assert refusal(url, tls_required=True) == (
        f"Database {url}: the server offers no TLS; enable TLS there, or do not require it."
    )
    assert refusal(url, tls_ca=Path("ca.pem")) == (
        f"Database {url}: TLS failed (SSL is required but the server doesn't support it);"
        " check the server's certificate and tls_ca."
    )


@pytest.mark.parametrize("through", ["network", "socket"])
def test_a_user_who_needs_tls_is_refused_without(
    through: str, server: PrivateServer, url: str, socket_url: str
) -> None:
    """The server says no more than that, and does not say why."""
    ResultsDatabase.open(socket_url, password=MYSQL_PASSWORD).close()  # it may forget a scramble
    execute_as_root(server, f"ALTER USER '{MYSQL_USER}'@'%' REQUIRE SSL")
    tried = url if through == "network" else socket_url
    try:
        assert f"Database {tried}: the server refuses the password of '{MYSQL_USER}'@" in (
            refusal(tried)
        )
    finally:
        execute_as_root(server, f"ALTER USER '{MYSQL_USER}'@'%' REQUIRE NONE")


def test_caching_sha2_password_without_tls(
    server: PrivateServer, url: str, socket_url: str
) -> None:
    """Who has logged in safely may do so without TLS until the server ends, which knows enough."""
    if not knows_caching_sha2_password(server):
        pytest.skip("the server has no caching_sha2_password")
    execute_as_root(server, "FLUSH PRIVILEGES")  # it forgets the scrambles
    proxy = CuttingProxy(server.port)
    with contextlib.closing(proxy):
        over_network = url.replace(str(server.port), str(proxy.port))
        assert refusal(over_network) == f"Database {over_network}: {ASKS_FOR_PASSWORD}"
        ResultsDatabase.open(socket_url, password=MYSQL_PASSWORD).close()
        with ResultsDatabase.open(
            over_network, password=MYSQL_PASSWORD, retry_seconds=600
        ) as database:
            assert database.add("run", [Result("7.png", "ok", 7)]) == 1
            server.kill()
            server.start()
            with pytest.raises(DatabaseError) as caught:  # at once: waiting would not help
                database.add("run", [Result("8.png", "ok", 8)])
        assert str(caught.value) == f"Database {over_network}: {ASKS_FOR_PASSWORD}"
    assert MYSQL_USER.encode() in proxy.heard
    assert MYSQL_PASSWORD.encode() not in proxy.heard


def knows_caching_sha2_password(server: PrivateServer) -> bool:
    connection = server.connect_as_root()
    with contextlib.closing(connection), contextlib.closing(connection.cursor()) as cursor:
        cursor.execute("SELECT plugin_name FROM information_schema.plugins")
        return ("caching_sha2_password",) in cursor.fetchall()
