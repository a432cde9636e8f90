"""Where a MySQL or MariaDB server is, how to log in, and what its errors mean."""

from __future__ import annotations

import importlib
import re
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from digit_classification.results.errors import DatabaseError, Deadlock, Unavailable
from digit_classification.results.forms import VIEW
from digit_classification.urls import MYSQL, VALID_URLS

DEFAULT_DATABASE = "digit_classification"
DEFAULT_MYSQL_PORT = 3306

_GIVE_PASSWORD = "set DIGITS_DATABASE_PASSWORD or name a MySQL option file that holds"
LOST = "the connection was lost; see that a MySQL server runs there"
_GRANT_VIEW = "GRANT CREATE, CREATE VIEW, DROP"
_GRANT = "GRANT SELECT, INSERT, UPDATE, CREATE, ALTER"
_FULL = "the server's disk or table space is full; make room there"
_READ_ONLY = "the server is read-only; use its primary server or end the read-only mode"
_TOO_MANY = "the server has too many connections; close some or raise its max_connections"
_EXPIRED = "the password has expired; set a new one with the mysql client"
# Error numbers of MySQL and MariaDB, and (2xxx) of the client: what is wrong, and what to do.
# https://dev.mysql.com/doc/mysql-errors/en/server-error-reference.html
# https://mariadb.com/kb/en/mariadb-error-code-reference/
_ADVICE = {
    3: _FULL,
    1021: _FULL,
    1040: _TOO_MANY,
    1053: LOST,
    1114: _FULL,
    1129: "the server has blocked this host; have its administrator run FLUSH HOSTS",
    1130: "the server admits no user from this host; have its administrator create one",
    1153: "a row is larger than the server takes; raise its max_allowed_packet",
    1158: LOST,
    1159: LOST,
    1160: LOST,
    1161: LOST,
    1203: _TOO_MANY,
    1205: "another program holds a lock for too long; close that program and try again",
    1213: "the transaction was rolled back as a deadlock over and over; try again",
    1226: _TOO_MANY,
    1290: _READ_ONLY,
    1820: _EXPIRED,
    1836: _READ_ONLY,
    1862: _EXPIRED,
    1927: LOST,
    2006: LOST,
    2013: LOST,
    2055: LOST,
    3159: "the server demands TLS; remove the Unix socket from the URL or what disables TLS",
    3169: LOST,
    4031: LOST,
}
UNKNOWN_DATABASE = 1049
_DENIED = (1044, 1142, 1143, 1227)
_WRONG_PASSWORD = (1045, 1698)
_NO_SERVER = (2002, 2003, 2005)
_NO_LOGIN = 2061  # as other clients number what goes wrong in a way to log in
_READ_TIMEOUT = 3024  # as the driver numbers its own timeout
_REQUIRES_TLS = "requires SSL"  # as the driver says of a way to log in
_KEYS_IN_THE_WAY = (1071, 1170)  # too long for the wider column; that has no length
_DEADLOCK = 1213
_PASSING = (*_NO_SERVER, _READ_TIMEOUT, 1205)


@dataclass(frozen=True)
class MySQLServer:
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
    ) -> MySQLServer:
        """Read the URL; what it leaves out comes from the option file, then from the defaults."""
        if not url.startswith(MYSQL):
            raise DatabaseError(f"The database URL begins with no mysql://; use {VALID_URLS}.")
        try:
            parts = urlsplit(url)
            port, query = parts.port, dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        except ValueError:
            port, query = None, None
        if ":" in url.removeprefix(MYSQL).rpartition("@")[0]:
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
            return f"{MYSQL}{user}/{self.database}?unix_socket={self.unix_socket}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{MYSQL}{user}{host}:{self.port}/{self.database}"

    def sentence(self, error: Any) -> DatabaseError:
        """The user's sentence for an error of the driver, a `mysql.connector.Error`."""
        number, message = error.errno, " ".join(str(error.msg).split()).rstrip(".")
        problem = self._network_problem(error) or self._login_problem(number, message)
        if problem is None and number in _KEYS_IN_THE_WAY:
            problem = f"an index of your own is in the way ({message}); drop that index"
        if problem is None:
            unknown = f"the server says {message!r}; see its error log"
            problem = LOST if number < 0 else _ADVICE.get(number, unknown)
        passes = number < 0 or number in _PASSING or problem in (LOST, _TOO_MANY)
        kind = Deadlock if number == _DEADLOCK else Unavailable if passes else DatabaseError
        return kind(f"Database {self.url}: {problem}.")

    def _network_problem(self, error: Any) -> str | None:
        """What is wrong with the way to the server, if that is the matter."""
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        message = str(error.msg)
        if message.endswith(_REQUIRES_TLS):
            return (
                "the server asks for the password itself, which is never sent unencrypted; enable"
                " TLS there, or use its Unix socket"
            )
        cut_off = isinstance(cause, ConnectionError | ssl.SSLEOFError)
        if ("SSL" in message or "ertificate" in message) and not cut_off:
            return f"TLS failed ({message}); check the server's certificate and tls_ca"
        if isinstance(cause, socket.gaierror):
            return f"the host {self.host!r} is unknown; correct the URL"
        if isinstance(cause, TimeoutError):
            return "no answer; see that the server runs and that no firewall is between"
        if error.errno in _NO_SERVER:
            why = cause.strerror if isinstance(cause, OSError) else message
            return f"no server answers there ({why}); start it, or correct the URL"
        return None

    def _login_problem(self, number: int, message: str) -> str | None:
        """What keeps this user out, if that is the matter."""
        user, name = repr(self.user), quote(self.database)
        seen_user, seen_host = _seen(message) or (self.user, self.host)
        if number in (*_WRONG_PASSWORD, *_DENIED) and not self.user:
            return "it names no user; write mysql://user@host/database"
        if number in _WRONG_PASSWORD and "using password: YES" not in message:
            return f"user {user} is not admitted without a password; {_GIVE_PASSWORD} it"
        if number in _WRONG_PASSWORD:
            return (
                f"the server refuses the password of '{seen_user}'@'{seen_host}';"
                f" {_GIVE_PASSWORD} the right one, or if that is the right one, have an"
                f" administrator drop the anonymous user ''@'{seen_host}', which goes before"
                f" '{seen_user}'@'%'"
            )
        if number in _DENIED and not seen_user:
            return (
                f"the server takes user {user} for the anonymous user ''@'{seen_host}'"
                f" ({message}); have an administrator drop that one, which goes before"
                f" '{self.user}'@'%'"
            )
        if number in _DENIED and re.search(f"{VIEW}[`']", message):
            return (
                f"user {user} may make no view ({message}); have an administrator"
                f" {_GRANT_VIEW} ON {name}.{VIEW} TO {user}"
            )
        if number in _DENIED:
            return (
                f"user {user} lacks a privilege ({message}); have an administrator"
                f" {_GRANT} ON {name}.* TO {user}"
            )
        if number == UNKNOWN_DATABASE:
            return "there is no such database; correct the URL or store results in it first"
        return None


def _seen(message: str) -> tuple[str, str] | None:
    """The user and the host that the server names in an error, if it names them.

    Of a wrong password these are the name that the client gave and where it came from; of a missing
    privilege the account that the server chose.  That is the one with the most specific host, so
    that an anonymous user of this host goes before a named user of any host:
    https://dev.mysql.com/doc/refman/8.4/en/connection-access.html
    """
    found = re.search(r"user '([^']*)'@'([^']*)'", message)
    return None if found is None else (found[1], found[2])


def quote(identifier: str) -> str:
    """A name for use in SQL, where it cannot be bound; SQLite knows MySQL's backticks too."""
    return "`" + identifier.replace("`", "``") + "`"


def _read_option_file(path: Path) -> dict[str, str]:
    """The group `client` of a MySQL option file, keys with underscores.

    https://dev.mysql.com/doc/refman/8.4/en/option-files.html: quotes around a value are not part
    of it. No message repeats a line of the file, which may hold the password.
    """
    optionfiles = import_driver("mysql.connector.optionfiles")
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


def import_driver(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise DatabaseError(
            "MySQL needs the package mysql-connector-python; run: pip install"
            " mysql-connector-python"
        ) from error


def load_driver() -> ModuleType:
    """Import the driver, and see that it sends no password unencrypted over a network.

    By caching_sha2_password a server may ask for the password itself, as MySQL does of a user who
    logs in for the first time since it was started.  The driver sends it without TLS, too, since it
    cannot encrypt it with the server's public key (mysql-connector-python 26.10).
    """
    driver = import_driver("mysql.connector")
    plugins = import_driver("mysql.connector.plugins.caching_sha2_password")
    sockets = import_driver("mysql.connector.network")
    _guard(plugins.MySQLCachingSHA2PasswordAuthPlugin, sockets.MySQLUnixSocket, driver.Error)
    return driver


@cache
def _guard(plugin: Any, unix_socket: type, refusal: Callable[..., Exception]) -> None:
    """Let a way to log in answer a demand for the password only where nobody else can listen."""

    def guarded(answer: Callable[..., bytes]) -> Callable[..., bytes]:
        def answer_safely(self: Any, sock: Any, demand: bytes, **options: Any) -> bytes:
            itself = demand == bytes([plugin.perform_full_authentication])
            if itself and not (self.ssl_enabled or isinstance(sock, unix_socket)):
                raise refusal(f"{self.name} {_REQUIRES_TLS}", errno=_NO_LOGIN)
            return answer(self, sock, demand, **options)

        return answer_safely

    for name in ("auth_switch_response", "auth_more_response"):
        setattr(plugin, name, guarded(getattr(plugin, name)))
