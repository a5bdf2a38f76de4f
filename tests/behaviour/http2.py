"""The same requests over HTTP/2, one stream at a time, and nothing normalised on the way; gRPC calls too."""

from __future__ import annotations

import socket
import ssl
import struct
import time
from typing import cast

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from meshctl import ir
from tests.behaviour.client import LIMIT, Answer, body_of, new_identifier, orders_of


class Http2Connection:
    """A connection that is kept while the other side keeps it. TLS must settle on h2; without TLS nobody is asked."""

    def __init__(self, address: ir.SocketAddress, context: ssl.SSLContext | None, name: str):
        self._address, self._context, self._name = address, context, name
        if context is not None:
            context.set_alpn_protocols(["h2"])
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
        identifier = new_identifier()
        started = time.monotonic()
        try:
            if self._socket is None:
                self._open()
            stream = self._connection.get_next_available_stream_id()
            body = _framed(row.grpc) if row.grpc is not None else body_of(row)
            head = _head(row, identifier, body, "https" if self._context else "http")
            self._connection.send_headers(stream, head, end_stream=not body)
            self._socket.sendall(self._connection.data_to_send())
            answer = self._receive(stream, body, identifier, started)
        except (OSError, h2.exceptions.ProtocolError) as error:
            answer = Answer(identifier, time.monotonic() - started, failure=repr(error))
        if answer.status is None or answer.cut:
            self.close()
        return answer

    def _open(self):
        sock = socket.create_connection((self._address.address, self._address.port), timeout=LIMIT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = sock
        if self._context is not None:
            self._socket = self._context.wrap_socket(sock, server_hostname=self._name)
            if self._socket.selected_alpn_protocol() != "h2":
                raise OSError("the server does not speak h2")
        self._connection = h2.connection.H2Connection(
            h2.config.H2Configuration(
                header_encoding="latin-1",
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self._connection.initiate_connection()
        self._socket.sendall(self._connection.data_to_send())

    def _receive(self, stream, left, identifier, started):
        status, body = None, b""
        headers: list[tuple[str, str]] = []
        trailers: list[tuple[str, str]] = []

        def answer(failure=None):
            """So far; cut off, or without any head, where there is a failure."""
            cut = failure is not None and status is not None
            took = time.monotonic() - started
            why = failure if failure and not cut else ""
            return Answer(identifier, took, status, headers, body, cut, why, trailers=trailers)

        while True:
            left = self._send(stream, left)
            received = self._socket.recv(65536)
            if not received:
                return answer("closed")
            try:
                events = self._connection.receive_data(received)
            except h2.exceptions.InvalidBodyLengthError as error:
                return answer(repr(error))
            for event in events:
                match event:
                    case h2.events.ResponseReceived():
                        # Text, for the connection was told an encoding.
                        lines = cast("list[tuple[str, str]]", event.headers)
                        status = int(dict(lines)[":status"])
                        headers = [each for each in lines if not each[0].startswith(":")]
                    case h2.events.DataReceived():
                        body += event.data
                        self._connection.acknowledge_received_data(event.flow_controlled_length, stream)
                    case h2.events.TrailersReceived():
                        trailers = cast("list[tuple[str, str]]", event.headers)
                    case h2.events.StreamEnded():
                        self._flush()
                        return answer()
                    case h2.events.StreamReset() | h2.events.ConnectionTerminated():
                        return answer(repr(event))
                    case _:
                        pass
            self._flush()

    def _send(self, stream, left):
        while left:
            size = min(
                len(left),
                self._connection.local_flow_control_window(stream),
                self._connection.max_outbound_frame_size,
            )
            if size == 0:
                break
            self._connection.send_data(stream, left[:size], end_stream=size == len(left))
            left = left[size:]
        self._flush()
        return left

    def _flush(self):
        data = self._connection.data_to_send()
        if data:
            self._socket.sendall(data)


def _framed(message):
    """One message of a gRPC stream, not compressed."""
    return struct.pack("!BI", 0, len(message.encode())) + message.encode()


def _head(row, identifier, body, scheme):
    grpc = row.grpc is not None
    head = [
        (":method", "POST" if grpc else row.method),
        (":scheme", scheme),
        *([(":authority", row.host)] if row.host is not None else []),
        (":path", row.target),
        *([("content-type", "application/grpc"), ("te", "trailers")] if grpc else []),
        *((name.lower(), value) for name, value in row.headers),
        *orders_of(row, identifier),
    ]
    if row.body is not None:
        head.append(("content-length", str(len(body))))
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in head]
