"""An HTTP/2 client that sends header fields as they are written."""

from __future__ import annotations

import socket

import h2.config
import h2.connection
import h2.events

from tests.proxies.envoy_fixtures import Answer


def ask(address, port, context, name, fields, body=b""):
    """One request over a connection of its own; ``fields`` with the pseudo headers. None: it was reset."""
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection((address, port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=name) as sock,
    ):
        assert sock.selected_alpn_protocol() == "h2"
        connection = h2.connection.H2Connection(
            h2.config.H2Configuration(
                header_encoding="latin-1",
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        connection.initiate_connection()
        connection.send_headers(1, fields, end_stream=not body)
        if body:
            connection.send_data(1, body, end_stream=True)
        sock.sendall(connection.data_to_send())
        return _receive(sock, connection)


def _receive(sock, connection):
    answer = Answer(0, [], b"")
    while data := sock.recv(65536):
        for event in connection.receive_data(data):
            if isinstance(event, h2.events.ResponseReceived):
                fields = [(str(name), str(value)) for name, value in event.headers]
                answer.status, answer.headers = int(dict(fields)[":status"]), fields[1:]
            elif isinstance(event, h2.events.DataReceived):
                answer.body += event.data
            elif isinstance(event, h2.events.StreamEnded):
                return answer
            elif isinstance(event, h2.events.StreamReset | h2.events.ConnectionTerminated):
                return None
        sock.sendall(connection.data_to_send())
    return None


def head(method="GET", target="/", host="catalog", *more):
    """The fields of a request."""
    return [(":method", method), (":scheme", "https"), (":path", target), (":authority", host), *more]
