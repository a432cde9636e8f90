"""The server: on this machine only, from requests to readings, and from refusals to JSON.

Python's own `http.server` is enough: one page for one person, and a question now and then of a
program beside it.  Starlette with uvicorn would need python-multipart as well, three packages and
their dependencies for what is here the routing of four paths; and their event loop would still
have to hand each reading to a thread.
"""

from __future__ import annotations

import contextlib
import html
import json
import os
import socket
import socketserver
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from string import Template

from digit_classification import __version__
from digit_classification.errors import UserError
from digit_classification.names import printable
from digit_classification.serving.readings import Question, Readings
from digit_classification.serving.requests import (
    Refused,
    SentPicture,
    addresses,
    body_length,
    check_sender,
    holds_several,
    pictures_of_form,
    what_is_wanted,
)

HOST = "127.0.0.1"
PAGE = Path(__file__).parent / "page"
# All that can be fetched, and the file that it is: no request is made a path of.
FILES = {
    "/": ("page.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
READING = ("/predict", "/look")  # for programs; for the page
SECURITY = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' blob: data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_PATIENCE = 30  # seconds without a byte, after which a connection is given up
_LINGERING = 2  # seconds in which the rest of a refused request is passed over


class ServeError(UserError):
    """The server cannot be started; the message is one sentence for the user."""


@dataclass(frozen=True)
class About:
    """What the page says of the server."""

    model: str
    read: str
    numbers: bool  # whether the model can read them
    stored_in: str | None


@dataclass(frozen=True)
class Answer:
    status: HTTPStatus
    kind: str
    content: bytes
    allowed: str | None = None  # methods, where another was used

    @classmethod
    def of(cls, value: object, status: HTTPStatus = HTTPStatus.OK, **more: str) -> Answer:
        return cls(status, "application/json", json.dumps(value).encode() + b"\n", **more)


class PictureServer(ThreadingHTTPServer):
    """Listens on 127.0.0.1, from the moment that it is made.

    Raises ServeError if the port is not to be had.
    """

    request_queue_size = 64
    # On Windows this would let two servers listen on the same port.
    allow_reuse_address = os.name != "nt"

    def __init__(self, port: int, readings: Readings, tell: Callable[[str], None]) -> None:
        self.readings = readings
        self.tell = tell
        self.page = b""
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise ServeError(
                f"Port {port} cannot be listened on: {error.strerror}: name another, such as "
                f"--serve {port + 1 if 1024 <= port < 65_535 else 8001}."
            ) from None

    def server_bind(self) -> None:
        """Bind, without asking a name server for a name that nobody uses."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        """Tell of a fault of the program; a client that goes away is none."""
        if not isinstance(sys.exc_info()[1], OSError):
            self.tell(traceback.format_exc())

    @property
    def url(self) -> str:
        return f"http://{addresses(self.server_port)[0]}/"

    @contextlib.contextmanager
    def listening(self, about: About) -> Iterator[None]:
        """Take requests meanwhile, in threads."""
        self.page = _page(about)
        thread = threading.Thread(target=self.serve_forever, args=(0.1,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.shutdown()
            thread.join()


def _page(about: About) -> bytes:
    """Return the page with what it says of the server in attributes of its body."""
    page = Template((PAGE / "page.html").read_text(encoding="utf-8"))
    return page.substitute(
        model=html.escape(printable(about.model)),
        read=about.read,
        numbers="yes" if about.numbers else "no",
        stored=html.escape(printable(about.stored_in or "")),
    ).encode()


class _Handler(BaseHTTPRequestHandler):
    """One connection, and the requests that come over it."""

    server: PictureServer
    protocol_version = "HTTP/1.1"
    server_version = f"digit_classification/{__version__}"
    sys_version = ""
    timeout = _PATIENCE
    disable_nagle_algorithm = True  # an answer should not wait for the next one

    _question: Question | None = None  # that the request put
    _is_read = False  # whether the body was

    def do_GET(self) -> None:
        """Answer with the page, one of its files, or why not."""
        self._answer(self._fetched)

    def do_POST(self) -> None:
        """Answer with readings, or why there are none."""
        self._answer(self._readings)

    # Those that are refused, too: Python itself would answer them with a page of its own.
    do_HEAD = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_GET  # noqa: N815

    def handle_expect_100(self) -> bool:
        """Let a long body come only if it will be read; if not, the answer is why."""
        try:
            check_sender(self.headers, self.server.server_port)
            body_length(self.headers)
        except Refused:
            return True
        return super().handle_expect_100()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Say, as all else is said here, what Python finds wrong with a request."""
        self.close_connection = True
        refused = Refused(
            f"The request is not understood, {printable(message or explain or str(code))}: ask as "
            "browsers and curl do.",
            HTTPStatus(code),
        )
        self._send(Answer.of({"error": str(refused)}, refused.status), has_more=True)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Print nothing: who asks is told."""

    def _answer(self, answering: Callable[[], Answer]) -> None:
        self._question, self._is_read = None, False
        try:
            check_sender(self.headers, self.server.server_port)
            answer = self._not_allowed() or answering()
        except Refused as refused:
            answer = Answer.of({"error": str(refused)}, refused.status)
        try:
            self._send(answer, has_more=not self._is_read and self._announces_a_body())
        finally:
            if self._question is not None:
                self._question.sent.set_result(None)

    def _not_allowed(self) -> Answer | None:
        """Refuse paths that are not there, and methods that they do not take."""
        path = self.path.partition("?")[0]
        if path not in FILES and path not in READING:
            raise Refused(
                f"There is nothing at '{printable(path)}': the page is at /, and pictures are read "
                "at /predict.",
                HTTPStatus.NOT_FOUND,
            )
        allowed = "POST" if path in READING else "GET, HEAD"
        if self.command in allowed.split(", "):
            return None
        refused = Refused(
            f"{self.command} is not possible at {path}: send pictures to /predict with POST, and "
            "fetch the page at / with GET.",
            HTTPStatus.METHOD_NOT_ALLOWED,
        )
        return Answer.of({"error": str(refused)}, refused.status, allowed=allowed)

    def _fetched(self) -> Answer:
        name, kind = FILES[self.path.partition("?")[0]]
        content = self.server.page if name == "page.html" else (PAGE / name).read_bytes()
        return Answer(HTTPStatus.OK, f"{kind}; charset=utf-8", content)

    def _readings(self) -> Answer:
        path, _, query = self.path.partition("?")
        wanted = what_is_wanted(query)
        length, several = body_length(self.headers), holds_several(self.headers)
        body = self._body(length)
        pictures = (
            pictures_of_form(body, self.headers["Content-Type"])
            if several
            else [SentPicture(wanted.name, body)]
        )
        shown = path == "/look"
        self._question = Question(pictures, wanted.read, wanted.store or not shown, shown)
        records = self.server.readings.ask(self._question)
        return Answer.of(records if several else records[0])

    def _body(self, length: int) -> bytes:
        body = b""
        with contextlib.suppress(TimeoutError):
            body = self.rfile.read(length)
        if len(body) < length:
            raise Refused(
                f"The request ended before its {length:,} bytes had come: send it again.",
                HTTPStatus.BAD_REQUEST,
            )
        self._is_read = True
        return body

    def _announces_a_body(self) -> bool:
        unsaid = "0" if self.command in ("GET", "HEAD") else "unknown"
        length = self.headers.get("Content-Length", unsaid)
        return "Transfer-Encoding" in self.headers or length != "0"

    def _send(self, answer: Answer, *, has_more: bool) -> None:
        """Send an answer, and close the connection if `has_more` of the request is to come."""
        self.send_response(answer.status)
        for name, value in SECURITY.items():
            self.send_header(name, value)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.content)))
        if answer.allowed is not None:
            self.send_header("Allow", answer.allowed)
        if has_more:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.content)
        if has_more:
            self._pass_over()

    def _pass_over(self) -> None:
        """Take what still comes: closed earlier, the sender would read of that before the reason.

        (RFC 9112, section 9.6.)
        """
        deadline = time.monotonic() + _LINGERING
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(_LINGERING)
            while time.monotonic() < deadline and self.connection.recv(2**16):
                pass
