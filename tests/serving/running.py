"""A server of the detector in a process of its own, and questions to it over real sockets."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from tests.documents import ROOT

ENDS_WITHIN = 20  # seconds


@dataclass
class Server:
    process: subprocess.Popen[str]
    url: str

    @property
    def port(self) -> int:
        return int(self.url.rstrip("/").rpartition(":")[2])

    def ask(
        self, method: str, target: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, Any, dict[str, str]]:
        """Return status, content (JSON taken apart) and headers of the answer."""
        with contextlib.closing(HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, target, body, named)
            response = connection.getresponse()
            content: Any = response.read()
            if response.headers.get_content_type() == "application/json" and content:
                content = json.loads(content)
            return response.status, content, dict(response.headers)

    def refusal(
        self, method: str, target: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, str]:
        """Return status and sentence of a refusal."""
        status, content, _ = self.ask(method, target, body, **headers)
        assert list(content) == ["error"]
        return status, content["error"]

    def say(self, raw: bytes) -> bytes:
        """Send these bytes, and return all that comes back until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(2**16), b""))

    def stop(self, number: int = signal.SIGINT) -> tuple[int, str, str]:
        """Send a signal; return the exit code, standard output and standard error."""
        self.process.send_signal(number)
        output, messages = self.process.communicate(timeout=ENDS_WITHIN)
        return self.process.returncode, output, messages


@contextlib.contextmanager
def running(model: Path, folder: Path, *options: object) -> Iterator[Server]:
    """Start a server at a free port in `folder`, wait until it listens, and end it."""
    words = ["--serve", "0", "--model", model, *options]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DIGITS_DATABASE_URL")}
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "digit_classification_detector.py"), *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=environment,
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url, process.communicate()[1]
        yield Server(process, url)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def form(*pictures: tuple[str, bytes], boundary: str = "x1y2") -> bytes:
    """Return a form as browsers send it, with the pictures under their file names."""
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="f"; filename="{name}"\r\n'
        "Content-Type: image/png\r\n\r\n".encode()
        + content
        + b"\r\n"
        for name, content in pictures
    ]
    return b"".join([*parts, f"--{boundary}--\r\n".encode()])


FORM = "multipart/form-data; boundary=x1y2"
