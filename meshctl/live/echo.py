"""The echo application: answers what it saw, and does what ``x-echo-`` headers order (see orders).

One process serves many instances: ``python -m meshctl.live.echo 127.1.0.1:8080=catalog/v1 …``. One with
``tcp:`` before its address says its name on a line, and then repeats whatever it hears; one with ``h2c:`` speaks
HTTP/2 by prior knowledge, and gRPC on it. A client of WebSocket gets its messages back. With
``--control ADDRESS`` it also answers, outside the mesh, ``GET /__echo/hits?id=ID``: how often requests
with that ``x-echo-id`` arrived, and what each of them looked like and came to (``end``: ``answered``, ``gone`` when
the client went first, none while it is under way); a TCP connection has its SERVICE for an id; and
``GET /__echo/seen`` the same of all ids. ``standing`` has what else it does. The control address opens last, so whoever reaches it reaches all.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import signal
import socket
import struct
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from msgspec import Struct, field

from meshctl.ir import Protocol, SocketAddress
from meshctl.live import websocket
from meshctl.live.http1 import HEAD_LIMIT, Head, MalformedError, read_body, read_head, response_head
from meshctl.live.journal import Journal
from meshctl.live.orders import BODILESS, Close, Orders, Trickle, parse_orders
from meshctl.live.standing import Door, StandingOrders

_GLANCE = 0.02
"""Seconds between two looks whether the client is still there."""

_KINDS = {"tcp:": Protocol.TCP, "h2c:": Protocol.HTTP2, "": Protocol.HTTP}
_ARGUMENT = "[tcp:|h2c:]ADDRESS:PORT=SERVICE/INSTANCE"


class Application(Struct, frozen=True):
    """One instance of a service and where it listens."""

    socket: SocketAddress
    service: str
    instance: str
    protocol: Protocol = Protocol.HTTP

    @classmethod
    def parse(cls, text: str) -> Self:
        """``[tcp:|h2c:]ADDRESS:PORT=SERVICE/INSTANCE``. Raises ValueError."""
        where, _, name = text.partition("=")
        service, _, instance = name.partition("/")
        if not service:
            raise ValueError(f"{text!r} is not {_ARGUMENT}")
        kind = next(each for each in _KINDS if where.startswith(each))
        return cls(_parse_address(where.removeprefix(kind)), service, instance, _KINDS[kind])

    def __str__(self) -> str:
        spoken = Protocol.HTTP2 if self.protocol.multiplexed else self.protocol
        kind = next(each for each, protocol in _KINDS.items() if protocol is spoken)
        return f"{kind}{self.socket}={self.name}"

    @property
    def name(self) -> str:
        """Under which orders reach it."""
        return f"{self.service}/{self.instance}"


class House(Struct):
    """What the applications of one process share."""

    journal: Journal = field(default_factory=Journal)
    standing: StandingOrders = field(default_factory=StandingOrders)
    doors: dict[str, Door] = field(default_factory=dict)


async def serve(applications: Sequence[Application], control: SocketAddress | None) -> None:
    """Serve until cancelled. Raises OSError when an address cannot be had."""
    house = House()
    for application in applications:
        door = Door(partial(_listen, partial(_visit, house, application), application.socket))
        house.doors[application.name] = door
        await door.open()
    if control is not None:
        server = await _listen(partial(_control, house), control)
    try:
        await asyncio.Event().wait()
    finally:
        for door in house.doors.values():
            door.close()
        if control is not None:
            server.close()


Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter


async def _listen(connected: Any, where: SocketAddress) -> asyncio.Server:  # noqa: ANN401 - a coroutine function
    return await asyncio.start_server(connected, where.address, where.port, limit=HEAD_LIMIT, backlog=512)


async def _visit(house: House, app: Application, reader: Reader, writer: Writer) -> None:
    door = house.doors[app.name]
    door.enter(writer)
    try:
        if app.protocol is Protocol.TCP:
            await _stream(app, house.journal, reader, writer)
        elif app.protocol.multiplexed:
            await _multiplexed(app, house, reader, writer)
        else:
            await _connection(app, house, reader, writer)
    finally:
        door.leave(writer)


async def _stream(app: Application, journal: Journal, reader: Reader, writer: Writer) -> None:
    arrival: dict[str, Any] = {"service": app.service, "instance": app.instance, "heard": 0}
    journal.note(app.service, arrival)
    with contextlib.suppress(ConnectionError):
        writer.write(f"{app.service}/{app.instance}\n".encode())
        while heard := await reader.read(HEAD_LIMIT):
            arrival["heard"] += len(heard)
            writer.write(heard)
            await writer.drain()
        writer.close()
        await writer.wait_closed()


async def _multiplexed(app: Application, house: House, reader: Reader, writer: Writer) -> None:
    from meshctl.live import http2, multiplexed

    async def answer(stream: http2.Stream) -> None:
        document, orders = _arrive(app, house, stream.head)
        await multiplexed.answer(stream, document, orders)

    await http2.Connection(reader, writer, answer).serve()
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def _connection(app: Application, house: House, reader: Reader, writer: Writer) -> None:
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        try:
            while await _exchange(app, house, reader, writer):
                pass
        except MalformedError as error:
            await _send(reader, writer, 400, _json({"error": str(error)}), Orders())
    with contextlib.suppress(ConnectionError):
        writer.close()
        await writer.wait_closed()


async def _exchange(app: Application, house: House, reader: Reader, writer: Writer) -> bool:
    """One request and its answer; whether another may follow."""
    head = await read_head(reader)
    document, orders = _arrive(app, house, head)
    try:
        await _answer(document, head, orders, reader, writer)
        document["end"] = "answered"
    finally:
        document["end"] = document["end"] or "gone"
    return orders.close is Close.NO and head.keeps_alive and not websocket.asked_for(head)


def _arrive(app: Application, house: House, head: Head) -> tuple[dict[str, Any], Orders]:
    """What the journal knows of a request at first, and what it orders."""
    document: dict[str, Any] = {
        "service": app.service,
        "instance": app.instance,
        "method": head.method,
        "target": head.target,
        "headers": head.headers,
        "end": None,
    }
    document["hit"] = house.journal.note(head.get("x-echo-id"), document)
    return document, parse_orders(house.standing.added_to(head, app.name), app.instance, document["hit"])


async def _answer(
    document: dict[str, Any], head: Head, orders: Orders, reader: Reader, writer: Writer
) -> None:
    """What was ordered. Raises ConnectionError when the client goes before it has all of it."""
    began = time.monotonic()
    body = await read_body(head, reader, writer)
    took = round(time.monotonic() - began, 3)
    told = {"length": len(body), "sha256": hashlib.sha256(body).hexdigest()}
    document |= {"body": told, "upload_seconds": took}
    await _pause(orders.delay, reader)
    if orders.close in (Close.BEFORE, Close.RESET):
        if orders.close is Close.RESET:
            _reset_on_close(writer)
        return
    if websocket.asked_for(head) and orders.status == 200:
        document["messages"] = await websocket.repeat(head, reader, writer)
        return
    content = _json(document) if orders.body_size is None else b"x" * orders.body_size
    bodiless = head.method == "HEAD" or orders.status in BODILESS
    await _send(reader, writer, orders.status, content, orders, bodiless=bodiless)


async def _pause(length: timedelta, reader: Reader) -> None:
    """Raises ConnectionError as soon as the client has gone: nobody works on for nobody."""
    ends = time.monotonic() + length.total_seconds()
    while (left := ends - time.monotonic()) > 0:
        if reader.at_eof() or reader.exception() is not None:
            raise ConnectionResetError
        await asyncio.sleep(min(left, _GLANCE))


def _reset_on_close(writer: Writer) -> None:
    """Zero linger: the peer gets a reset, not an orderly end."""
    raw: socket.socket = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def _send(
    reader: Reader,
    writer: Writer,
    status: int,
    content: bytes,
    orders: Orders,
    *,
    bodiless: bool = False,
) -> None:
    own = {name.lower() for name, _ in orders.headers}
    headers = [] if "content-type" in own else [("content-type", "application/json")]
    framing = ("transfer-encoding", "chunked") if orders.chunked else ("content-length", str(len(content)))
    if status not in BODILESS:
        headers.append(framing)
    writer.write(response_head(status, [*headers, *orders.headers]))
    await writer.drain()
    if bodiless or orders.close is Close.AFTER_HEAD:
        return
    half = orders.close is Close.MID_BODY
    await _send_body(reader, writer, content[: len(content) // 2] if half else content, orders)
    if orders.chunked and not half:
        writer.write(b"0\r\n\r\n")
    await writer.drain()


async def _send_body(reader: Reader, writer: Writer, content: bytes, orders: Orders) -> None:
    pieces = orders.trickle or Trickle(max(1, len(content)), orders.delay * 0)
    for start in range(0, len(content), pieces.size):
        piece = content[start : start + pieces.size]
        writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if orders.chunked else piece)
        await writer.drain()
        await _pause(pieces.interval, reader)


async def _control(house: House, reader: Reader, writer: Writer) -> None:
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, MalformedError):
        head = await read_head(reader)
        url = urlsplit(head.target)
        asked = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        told = await _obey(house, url.path, asked)
        await _send(reader, writer, 404 if told is None else 200, _json(told or {}), Orders())
    writer.close()


async def _obey(house: House, path: str, asked: dict[str, str]) -> dict[str, Any] | None:
    """What a control request is answered, None where nobody knows of such a thing."""
    instance = asked.pop("instance", "")
    match path:
        case "/__echo/hits":
            seen = house.journal.seen.get(asked.get("id", ""), [])
            return {"hits": len(seen), "seen": seen}
        case "/__echo/seen":
            return house.journal.seen
        case "/__echo/orders" if instance in house.doors:
            house.standing.give(instance, asked.pop("path", ""), asked)
        case "/__echo/close" if instance in house.doors:
            house.doors[instance].close()
        case "/__echo/open" if instance in house.doors:
            await house.doors[instance].open()
        case _:
            return None
    return {"instance": instance}


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()


def _parse_address(text: str) -> SocketAddress:
    address, _, port = text.rpartition(":")
    if not port.isdecimal():
        raise ValueError(f"{text!r} is not ADDRESS:PORT")
    return SocketAddress(address.strip("[]"), int(port))


async def _until_stopped(applications: Sequence[Application], control: SocketAddress | None) -> None:
    work = asyncio.ensure_future(serve(applications, control))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, work.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await work


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program; 2 when an address cannot be had."""
    parser = argparse.ArgumentParser(prog="meshctl.live.echo")
    parser.add_argument("applications", nargs="+", type=Application.parse, metavar=_ARGUMENT)
    parser.add_argument("--control", type=_parse_address, metavar="ADDRESS:PORT")
    options = parser.parse_args(argv)
    try:
        asyncio.run(_until_stopped(options.applications, options.control))
    except OSError as error:
        print(f"echo: {error}", file=sys.stderr)  # noqa: T201 - a program of its own, read by its parent
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
