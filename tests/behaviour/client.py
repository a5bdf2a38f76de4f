"""Requests byte for byte as a row writes them, and what comes back."""

from __future__ import annotations

import contextlib
import http.client
import json
import select
import socket
import ssl
import threading
import time
import uuid
from typing import Any

from msgspec import Struct, field

from meshctl import ir

LIMIT = 20.0
"""Seconds that anything may take; rows expect far less."""

TURN = 16384
"""Bytes of a stream in TLS before its client listens again."""


class Answer(Struct, frozen=True):
    """What came back. No ``status``: nothing did, and ``failure`` says why."""

    identifier: str
    duration: float
    status: int | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    cut: bool = False
    failure: str = ""
    first_byte: float | None = None
    """Seconds until the first byte of the body."""
    trailers: list[tuple[str, str]] = field(default_factory=list)
    key: str = ""
    """What a row that varies a key has sent."""
    ended: float = field(default_factory=time.monotonic)
    """When that was, by the monotonic clock."""

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


def new_identifier():
    """Under which the echo applications count a request."""
    return uuid.uuid4().hex


def body_of(row):
    """The bytes of a row's body, maybe none."""
    return b"x" * row.body if isinstance(row.body, int) else (row.body or "").encode()


def orders_of(row, identifier):
    """The headers for the echo application."""
    orders = {f"x-echo-{name}": str(value) for name, value in row.orders.items()}
    return [*orders.items(), ("x-echo-id", identifier)]


def compose(row):
    """(identifier, head, body) of one request of a row."""
    identifier = new_identifier()
    orders = "".join(f"{name}: {value}\r\n" for name, value in orders_of(row, identifier))
    if row.raw is not None:
        head, _, body = row.raw.partition("\n\n")
        return (
            identifier,
            (head.replace("\n", "\r\n") + "\r\n" + orders + "\r\n").encode("latin-1"),
            body.encode(),
        )
    body = body_of(row)
    lines = [f"{row.method} {row.target} HTTP/1.1"]
    lines += [f"Host: {row.host}"] if row.host is not None else []
    lines += [f"{name}: {value}" for name, value in row.headers]
    lines += [f"Content-Length: {len(body)}"] if row.body is not None else []
    return identifier, ("\r\n".join(lines) + "\r\n" + orders + "\r\n").encode("latin-1"), body


class Connection:
    """A connection that is kept while the other side keeps it."""

    def __init__(
        self,
        address: ir.SocketAddress,
        context: ssl.SSLContext | None = None,
        name: str = "",
        source: str = "",
    ):
        self._address, self._context, self._name, self._source = address, context, name, source
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
            if row.leave is not None:
                return self._leave(sock, body, row, identifier, started)
            ended = self._upload(sock, body, row.upload)
            started = ended if row.upload else started
            return self._receive(sock, row, identifier, started)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return Answer(identifier, time.monotonic() - started, failure=repr(error))

    def _open(self):
        if self._socket is None:
            sock = socket.create_connection(
                (self._address.address, self._address.port),
                timeout=LIMIT,
                source_address=(self._source, 0) if self._source else None,
            )
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket = (
                self._context.wrap_socket(sock, server_hostname=self._name) if self._context else sock
            )
        return self._socket

    def _upload(self, sock, body, upload):
        """When the last piece went out; no more are sent to who has answered already."""
        size, interval = upload or (max(1, len(body)), 0)
        sent = time.monotonic()
        for start in range(0, len(body), int(size)):
            sock.sendall(body[start : start + int(size)])
            sent = time.monotonic()
            if self._context is not None:
                time.sleep(interval)
            elif interval and select.select([sock], [], [], interval)[0]:
                break
        return sent

    def _leave(self, sock, body, row, identifier, started):
        """Go away in the middle: of the upload, where that takes longer."""
        size, interval = row.upload or (max(1, len(body)), 0)
        for start in range(0, len(body), int(size)):
            if time.monotonic() + interval > started + row.leave:
                break
            sock.sendall(body[start : start + int(size)])
            time.sleep(interval)
        time.sleep(max(0.0, started + row.leave - time.monotonic()))
        self.close()
        return Answer(identifier, time.monotonic() - started, failure="left")

    def _receive(self, sock, row, identifier, started):
        method = row.raw.split(" ", 1)[0] if row.raw else row.method
        response = http.client.HTTPResponse(sock, method=method)
        response.begin()
        first, body, cut = None, bytearray(), False
        try:
            while piece := response.read1(65536):
                first = first or time.monotonic() - started
                body += piece
            cut = bool(response.length)
        except (http.client.IncompleteRead, ConnectionError):
            cut = True
        ended = time.monotonic() - started
        closes = cut or response.will_close
        response.close()
        if closes:
            self.close()
        headers = response.getheaders()
        return Answer(identifier, ended, response.status, headers, bytes(body), cut, first_byte=first)


class Stream:
    """TCP connections to an application that says its name first and then repeats what it hears."""

    def __init__(
        self,
        address: ir.SocketAddress,
        service: str,
        context: ssl.SSLContext | None = None,
        name: str | None = None,
        *,
        speaks_first: bool = False,
    ):
        self._address, self._service = address, service
        self._context, self._name = context, name
        self._speaks_first = speaks_first

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def ask(self, row):
        """Send the row's body on a new one; the answer's only header is the application's greeting."""
        started = time.monotonic()
        greeting, heard = "", b""
        failure = "closed"
        try:
            with self._open() as sock, sock.makefile("rb") as stream:
                sender = threading.Thread(target=_say, args=(sock, row), daemon=True)
                if self._speaks_first:
                    sender.start()
                greeting = stream.readline().decode().strip()
                if self._context is not None:
                    heard = _alternate(sock, stream, row)
                else:
                    heard = _converse(sender, stream, row)
        except OSError as error:
            failure = repr(error)
        cut = bool(greeting) and len(heard) < len(body_of(row))
        return Answer(
            self._service,
            time.monotonic() - started,
            headers=[("greeting", greeting)] if greeting else [],
            body=heard,
            cut=cut,
            failure="" if greeting else failure,
        )

    def _open(self):
        sock = socket.create_connection((self._address.address, self._address.port), timeout=LIMIT)
        return self._context.wrap_socket(sock, server_hostname=self._name) if self._context else sock


def _converse(sender, stream, row):
    if not sender.ident:
        sender.start()
    heard = stream.read() if row.half_close else stream.read(len(body_of(row)))
    sender.join(LIMIT)
    return heard


def _alternate(sock, stream, row):
    """By turns: OpenSSL allows no two threads in one connection."""
    body, heard = body_of(row), b""
    for start in range(0, len(body), TURN):
        piece = body[start : start + TURN]
        sock.sendall(piece)
        heard += stream.read(len(piece))
    return heard


def _say(sock, row):
    body = body_of(row)
    size, interval = row.upload or (max(1, len(body)), 0)
    with contextlib.suppress(OSError):
        for start in range(0, len(body), int(size)):
            sock.sendall(body[start : start + int(size)])
            time.sleep(interval)
        if row.half_close:
            sock.shutdown(socket.SHUT_WR)


def fetch(address: ir.SocketAddress, target: str) -> Any:
    """The JSON document that a plain HTTP server answers."""
    connection = http.client.HTTPConnection(address.address, address.port, timeout=LIMIT)
    try:
        connection.request("GET", target)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()
