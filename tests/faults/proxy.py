"""A TCP proxy that cuts connections at a chosen moment."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import Literal

# Before the request reaches the server; after it did, but before the answer; amid the answer.
Moment = Literal["request", "answer", "half"]


class CuttingProxy:
    """Forwards to a port of this machine; cuts the connection at the n-th request after `arm`.

    With `every`, each n-th request from then on.  A request is what the client sends at once; a
    long statement makes several.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._lock = threading.Lock()
        self._requests = 0
        self._cut_at: int | None = None
        self._moment: Moment = "request"
        self._every = False
        self.cuts = 0
        self.heard = bytearray()  # all that clients said
        threading.Thread(target=self._accept, daemon=True).start()

    def arm(self, request: int, moment: Moment, *, every: bool = False) -> None:
        with self._lock:
            self._requests, self._cut_at, self._moment = 0, request, moment
            self._every, self.cuts = every, 0

    def disarm(self) -> None:
        with self._lock:
            self._cut_at = None

    def close(self) -> None:
        self._server.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._target))
                except OSError:
                    client.close()
                    continue
                threading.Thread(target=_Pair(self, client, server).forward, daemon=True).start()

    def _is_due(self) -> Moment | None:
        with self._lock:
            self._requests += 1
            if self._requests != self._cut_at:
                return None
            self.cuts += 1
            if self._every:
                self._requests = 0
            return self._moment


class _Pair:
    """A client's connection and the one to the server for it."""

    def __init__(self, proxy: CuttingProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy, self._client, self._server = proxy, client, server
        self._cut_answer: Moment | None = None
        for side in (client, server):  # what is forwarded must not wait for more to come
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def forward(self) -> None:
        threading.Thread(target=self._answer, daemon=True).start()
        with contextlib.suppress(OSError):
            while data := self._client.recv(2**16):
                self._proxy.heard += data
                moment = self._proxy._is_due()
                if moment == "request":
                    break
                self._cut_answer = moment
                self._server.sendall(data)
        self._cut(reset=self._proxy.cuts % 2 == 0)

    def _answer(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._server.recv(2**16):
                if self._cut_answer is not None:
                    if self._cut_answer == "half":
                        self._client.sendall(data[: len(data) // 2])
                    break
                self._client.sendall(data)
        self._cut(reset=False)

    def _cut(self, *, reset: bool) -> None:
        if reset:  # the other side sees "connection reset" rather than an end of the data
            with contextlib.suppress(OSError):
                linger = struct.pack("ii", 1, 0)
                self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        for side in (self._client, self._server):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()
