"""Hostile requests over connections that are kept while they can be, and what each of them came to."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import cast

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from meshctl import ir
from tests.behaviour.hostile import Sent, with_host

PATIENCE, LITTLE = 20.0, 0.3
"""Seconds for an answer; and for one to what may never be a whole request, of which only what an application saw is judged."""

AMBIGUOUS = ("framing", "control", "line", "host", "nomination")
"""Kinds that may leave a connection in a state of its own."""

TOGETHER = 60
"""Streams of one HTTP/2 connection at a time."""


@dataclass(frozen=True)
class Came:
    """An answer's status, None where the connection or the stream was closed, 0 where nothing came."""

    status: int | None
    identity: str
    """Under which applications count it."""


def over_http1(
    address: ir.SocketAddress, context: ssl.SSLContext | None, name: str, sent: Sequence[Sent], mark: str
) -> list[Came]:
    """One after the other; whatever could confuse a connection has one of its own."""
    found, kept = [], None
    for number, each in enumerate(sent):
        identity = f"{mark}-{number}"
        alone = each.kind in AMBIGUOUS
        if kept is None or alone:
            _close(kept)
            kept = _open(address, context, name)
        status, keeps = _ask(kept, each, identity)
        found.append(Came(status, identity))
        if alone or not keeps:
            _close(kept)
            kept = None
    _close(kept)
    return found


def _open(address: ir.SocketAddress, context: ssl.SSLContext | None, name: str) -> socket.socket:
    plain = socket.create_connection((address.address, address.port), timeout=PATIENCE)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(plain, server_hostname=name) if context else plain


def _close(kept: socket.socket | None) -> None:
    if kept is not None:
        kept.close()


def head_of(sent: Sent, identity: str) -> bytes:
    """The bytes of the head, the body behind it."""
    lines = [f"{sent.method} {sent.target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in with_host(sent)]
    lines += [sent.raw] if sent.raw else []
    lines += [f"x-echo-id: {identity}"]
    lines += ["Content-Length: 0"] if sent.method == "POST" and sent.kind != "framing" else []
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + sent.body


def _ask(kept: socket.socket, sent: Sent, identity: str) -> tuple[int | None, bool]:
    kept.settimeout(LITTLE if sent.kind in AMBIGUOUS else PATIENCE)
    try:
        kept.sendall(head_of(sent, identity))
        return _answer(kept, sent.method)
    except TimeoutError:
        return 0, False
    except OSError:
        return None, False


def _answer(kept: socket.socket, method: str) -> tuple[int | None, bool]:
    """(status, whether another request may follow)."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = kept.recv(65536)
        if not piece:
            return None, False
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    fields = dict(line.split(b": ", 1) for line in lines[1:] if b": " in line)
    length = 0 if method == "HEAD" else int(fields.get(b"content-length", b"-1"))
    while length >= 0 and len(body) < length:
        piece = kept.recv(65536)
        if not piece:
            return int(lines[0].split()[1]), False
        body += piece
    whole = length >= 0 and len(body) == length
    return int(lines[0].split()[1]), whole and fields.get(b"connection") != b"close"


def over_http2(
    address: ir.SocketAddress, context: ssl.SSLContext, name: str, sent: Sequence[Sent], mark: str
) -> list[Came]:
    """Many streams at a time; what may end a connection has one of its own."""
    context.set_alpn_protocols(["h2"])
    found: dict[int, int | None] = {}
    alone = [number for number, each in enumerate(sent) if _may_end_it(each)]
    others = [number for number, each in enumerate(sent) if not _may_end_it(each)]
    parts = [others[start : start + TOGETHER] for start in range(0, len(others), TOGETHER)]
    # Envoy takes a second to close a connection with what is no HTTP/2: several wait for that at once.
    with ThreadPoolExecutor(10) as pool:
        jobs = [
            {number: sent[number] for number in part} for part in (*parts, *([number] for number in alone))
        ]
        for answered in pool.map(lambda job: _streams(address, context, name, job, mark), jobs):
            found |= answered
    return [Came(found.get(number), f"{mark}-{number}") for number in range(len(sent))]


def _may_end_it(sent: Sent) -> bool:
    return sent.kind in AMBIGUOUS or off_the_wire(sent.target)


def off_the_wire(target: str) -> bool:
    """Whether it is no path in HTTP/2 at all (RFC 9113, 8.1.1 and 8.3.1)."""
    return "#" in target or any(not "!" <= each <= "~" for each in target)


def _streams(
    address: ir.SocketAddress, context: ssl.SSLContext, name: str, sent: dict[int, Sent], mark: str
) -> dict[int, int | None]:
    settings = h2.config.H2Configuration(
        header_encoding="latin-1",
        validate_outbound_headers=False,
        normalize_outbound_headers=False,
        validate_inbound_headers=False,
    )
    connection = h2.connection.H2Connection(settings)
    found: dict[int, int | None] = {}
    with _open(address, context, name) as kept:
        kept.settimeout(LITTLE if any(each.kind in AMBIGUOUS for each in sent.values()) else PATIENCE)
        connection.initiate_connection()
        kept.sendall(connection.data_to_send())
        streams = {}
        for number, each in sent.items():
            stream = connection.get_next_available_stream_id()
            streams[stream] = number
            connection.send_headers(stream, list(_fields(each, f"{mark}-{number}")), end_stream=True)
        try:
            kept.sendall(connection.data_to_send())
            while len(found) < len(sent):
                data = kept.recv(65536)
                if not data:
                    break
                for event in connection.receive_data(data):
                    _note(event, streams, found)
                kept.sendall(connection.data_to_send())
        except TimeoutError:
            found |= {number: 0 for number in sent if number not in found}
        except (OSError, h2.exceptions.ProtocolError, struct.error):
            pass
    return found


def _note(event: h2.events.Event, streams: dict[int, int], found: dict[int, int | None]) -> None:
    match event:
        case h2.events.ResponseReceived():
            found[streams[event.stream_id]] = _status(event)
        case h2.events.StreamReset():
            found.setdefault(streams[event.stream_id], None)
        case _:
            pass


def _status(event: h2.events.ResponseReceived) -> int:
    # Text, for the connection was told an encoding.
    lines = cast("list[tuple[str, str]]", event.headers)
    return int(dict(lines)[":status"])


def _fields(sent: Sent, identity: str) -> Iterator[tuple[bytes, bytes]]:
    lines = with_host(sent)
    authority = next((value for name, value in lines if name.lower() == "host"), None)
    pairs = [
        (":method", sent.method),
        (":scheme", "https"),
        *([(":authority", authority)] if authority is not None else []),
        (":path", sent.target),
    ]
    first = True
    for name, value in lines:
        if name.lower() == "host" and first:
            first = False
        else:
            pairs.append((name.lower(), value))
    pairs.append(("x-echo-id", identity))
    return ((name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs)
