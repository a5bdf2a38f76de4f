"""Requests byte for byte as a row writes them, and what comes back."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from meshctl import ir

LIMIT = 20.0
"""Seconds that anything may take; rows expect far less."""


@dataclass(frozen=True)
class Answer:
    """What came back. No ``status``: nothing did, and ``failure`` says why."""

    identifier: str
    duration: float
    status: int | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    cut: bool = False
    failure: str = ""

    @property
    def document(self) -> Any:
        """The body as JSON, None when it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def values(self, name):
        """All values of a header of the answer."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


def compose(row):
    """(identifier, head, body) of one request of a row."""
    identifier = uuid.uuid4().hex
    orders = "".join(f"x-echo-{name}: {value}\r\n" for name, value in row.orders.items())
    orders += f"x-echo-id: {identifier}\r\n"
    if row.raw is not None:
        head, _, body = row.raw.partition("\n\n")
        return (
            identifier,
            (head.replace("\n", "\r\n") + "\r\n" + orders + "\r\n").encode("latin-1"),
            body.encode(),
        )
    body = b"x" * row.body if isinstance(row.body, int) else (row.body or "").encode()
    lines = [f"{row.method} {row.target} HTTP/1.1"]
    lines += [f"Host: {row.host}"] if row.host is not None else []
    lines += [f"{name}: {value}" for name, value in row.headers]
    lines += [f"Content-Length: {len(body)}"] if row.body is not None else []
    return identifier, ("\r\n".join(lines) + "\r\n" + orders + "\r\n").encode("latin-1"), body


class Connection:
    """A connection that is kept while the other side keeps it."""

    def __init__(self, address: ir.SocketAddress, context: ssl.SSLContext | None = None, name: str = ""):
        self._address, self._context, self._name = address, context, name
        self._socket: socket.socket | None = None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def ask(self, row):
        """Send one request of ``row`` and read its answer, on a new connection if need be."""
        identifier, head, body = compose(row)
        started = time.monotonic()
        try:
            sock = self._open()
            sock.sendall(head)
            ended = self._upload(sock, body, row.upload)
            started = ended if row.upload else started
            return self._receive(sock, row, identifier, started)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return Answer(identifier, time.monotonic() - started, failure=repr(error))

    def _open(self):
        if self._socket is None:
            sock = socket.create_connection((self._address.address, self._address.port), timeout=LIMIT)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket = (
                self._context.wrap_socket(sock, server_hostname=self._name) if self._context else sock
            )
        return self._socket

    def _upload(self, sock, body, upload):
        size, interval = upload or (max(1, len(body)), 0)
        for start in range(0, len(body), int(size)):
            sock.sendall(body[start : start + int(size)])
            time.sleep(interval)
        return time.monotonic()

    def _receive(self, sock, row, identifier, started):
        method = row.raw.split(" ", 1)[0] if row.raw else row.method
        response = http.client.HTTPResponse(sock, method=method)
        response.begin()
        cut = False
        try:
            body = response.read()
        except http.client.IncompleteRead as error:
            body, cut = error.partial, True
        except ConnectionError:
            body, cut = b"", True
        closes = cut or response.will_close
        response.close()
        if closes:
            self.close()
        return Answer(
            identifier, time.monotonic() - started, response.status, response.getheaders(), body, cut
        )


def fetch(address: ir.SocketAddress, target: str) -> Any:
    """The JSON document that a plain HTTP server answers."""
    connection = http.client.HTTPConnection(address.address, address.port, timeout=LIMIT)
    try:
        connection.request("GET", target)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()
