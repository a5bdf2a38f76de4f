"""WebSocket as an application's library speaks it."""

from __future__ import annotations

import contextlib
import socket
import time

from websockets.exceptions import InvalidHandshake, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from meshctl import ir
from tests.behaviour.client import LIMIT, Answer, body_of, new_identifier, orders_of


class WebSocketConnection:
    """A connection for each row."""

    def __init__(self, address: ir.SocketAddress):
        self._address = address

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def ask(self, row):
        """Change the protocol, send the body in messages, and hear them back one by one.

        The answer is 101 with all of them, or the one that refuses. `cut`: the connection ended before its time.
        """
        identifier = new_identifier()
        started = time.monotonic()
        lines = [*row.headers, *orders_of(row, identifier)]
        try:
            with connect(
                f"ws://{row.host}{row.target}",
                sock=socket.create_connection((self._address.address, self._address.port), timeout=LIMIT),
                additional_headers=lines,
                open_timeout=LIMIT,
                compression=None,
                user_agent_header=None,
                ping_interval=None,
                proxy=None,
            ) as client:
                return _talk(client, row, identifier, started)
        except InvalidStatus as refused:
            response = refused.response
            headers = list(response.headers.raw_items())
            took = time.monotonic() - started
            return Answer(identifier, took, response.status_code, headers, bytes(response.body))
        except (OSError, InvalidHandshake) as error:
            return Answer(identifier, time.monotonic() - started, failure=repr(error))


def _talk(client: ClientConnection, row, identifier, started):
    body = body_of(row)
    size, interval = row.upload or (max(1, len(body)), 0)
    heard, cut = bytearray(), False
    try:
        for start in range(0, len(body), int(size)):
            client.send(body[start : start + int(size)])
            heard += client.recv(LIMIT, decode=False)
            time.sleep(interval)
    except (WebSocketException, TimeoutError):
        cut = True
    took = time.monotonic() - started
    assert client.response is not None
    headers = list(client.response.headers.raw_items())
    with contextlib.suppress(WebSocketException):
        client.close()
    return Answer(identifier, took, client.response.status_code, headers, bytes(heard), cut)
