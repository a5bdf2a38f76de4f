"""One request to a listener, as a client on this machine sends it: every line as it is given, none of its own."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterable
from datetime import timedelta

from msgspec import Struct

from meshctl.ir import SocketAddress

PATIENCE = timedelta(seconds=30)


class Answer(Struct, frozen=True):
    """What came back, interim answers apart."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def ask(
    where: SocketAddress,
    method: str,
    target: str,
    headers: Iterable[tuple[str, str]],
    body: bytes = b"",
    *,
    tls: bool = False,
) -> Answer:
    """The answer of the listener at ``where``; with ``tls`` whatever its certificate.

    Raises OSError or http.client.HTTPException where there is none within ``PATIENCE``.
    """
    seconds = PATIENCE.total_seconds()
    connection = http.client.HTTPConnection(where.address, where.port, timeout=seconds)
    if tls:
        connection = http.client.HTTPSConnection(
            where.address, where.port, timeout=seconds, context=_trusting()
        )
    try:
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        if body:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        answer = connection.getresponse()
        return Answer(answer.status, tuple(answer.getheaders()), answer.read())
    finally:
        connection.close()


def _trusting() -> ssl.SSLContext:
    # A rehearsed gateway shows a certificate of a CA that was made for the occasion.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
