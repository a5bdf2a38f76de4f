"""The echo application: answers what it saw, and does what ``x-echo-`` headers order (see orders).

One process serves many instances: ``python -m meshctl.live.echo 127.1.0.1:8080=catalog/v1 …``. One with
``tcp:`` before its address says its name on a line, and then repeats whatever it hears. With
``--control ADDRESS`` it also answers, outside the mesh, ``GET /__echo/hits?id=ID``: how often requests
with that ``x-echo-id`` arrived, and what each of them looked like; a TCP connection has its SERVICE for an id. The control address opens last, so whoever reaches it
reaches all.
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
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from meshctl.ir import Protocol, SocketAddress
from meshctl.live.http1 import HEAD_LIMIT, MalformedError, read_body, read_head, response_head
from meshctl.live.orders import Close, Orders, Trickle, parse_orders

BODILESS = (204, 304)
_TCP = "tcp:"
_ARGUMENT = "[tcp:]ADDRESS:PORT=SERVICE/INSTANCE"


@dataclass(frozen=True, slots=True)
class Application:
    """One instance of a service and where it listens."""

    socket: SocketAddress
    service: str
    instance: str
    protocol: Protocol = Protocol.HTTP

    @classmethod
    def parse(cls, text: str) -> Self:
        """``[tcp:]ADDRESS:PORT=SERVICE/INSTANCE``. Raises ValueError."""
        where, _, name = text.partition("=")
        service, _, instance = name.partition("/")
        if not service:
            raise ValueError(f"{text!r} is not {_ARGUMENT}")
        protocol = Protocol.TCP if where.startswith(_TCP) else Protocol.HTTP
        return cls(_parse_address(where.removeprefix(_TCP)), service, instance, protocol)

    def __str__(self) -> str:
        kind = _TCP if self.protocol is Protocol.TCP else ""
        return f"{kind}{self.socket}={self.service}/{self.instance}"


@dataclass(slots=True)
class Journal:
    """What arrived, by ``x-echo-id``, on all instances of this process."""

    seen: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    def note(self, identifier: str, document: dict[str, Any]) -> int:
        """Remember an arrival; the number of arrivals so far, at least 1."""
        if not identifier:
            return 1
        self.seen[identifier].append(document)
        return len(self.seen[identifier])


async def serve(applications: Sequence[Application], control: SocketAddress | None) -> None:
    """Serve until cancelled. Raises OSError when an address cannot be had."""
    journal = Journal()
    async with contextlib.AsyncExitStack() as stack:
        for application in applications:

            def connected(reader: Reader, writer: Writer, app: Application = application) -> Any:  # noqa: ANN401
                if app.protocol is Protocol.TCP:
                    return _stream(app, journal, reader, writer)
                return _connection(app, journal, reader, writer)

            await stack.enter_async_context(await _listen(connected, application.socket))
        if control is not None:
            await stack.enter_async_context(
                await _listen(lambda reader, writer: _control(journal, reader, writer), control)
            )
        await asyncio.Event().wait()


Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter


async def _listen(connected: Any, where: SocketAddress) -> asyncio.Server:  # noqa: ANN401 - a coroutine function
    return await asyncio.start_server(connected, where.address, where.port, limit=HEAD_LIMIT, backlog=512)


async def _stream(app: Application, journal: Journal, reader: Reader, writer: Writer) -> None:
    journal.note(app.service, {"service": app.service, "instance": app.instance})
    with contextlib.suppress(ConnectionError):
        writer.write(f"{app.service}/{app.instance}\n".encode())
        while heard := await reader.read(HEAD_LIMIT):
            writer.write(heard)
            await writer.drain()
        writer.close()
        await writer.wait_closed()


async def _connection(app: Application, journal: Journal, reader: Reader, writer: Writer) -> None:
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        try:
            while await _exchange(app, journal, reader, writer):
                pass
        except MalformedError as error:
            await _send(writer, 400, _json({"error": str(error)}), Orders())
    with contextlib.suppress(ConnectionError):
        writer.close()
        await writer.wait_closed()


async def _exchange(app: Application, journal: Journal, reader: Reader, writer: Writer) -> bool:
    """One request and its answer; whether another may follow."""
    head = await read_head(reader)
    document: dict[str, Any] = {
        "service": app.service,
        "instance": app.instance,
        "method": head.method,
        "target": head.target,
        "headers": head.headers,
    }
    hit = journal.note(head.get("x-echo-id"), document)
    orders = parse_orders(head, app.instance, hit)
    began = time.monotonic()
    body = await read_body(head, reader, writer)
    took = round(time.monotonic() - began, 3)
    told = {"length": len(body), "sha256": hashlib.sha256(body).hexdigest()}
    document |= {"hit": hit, "body": told, "upload_seconds": took}
    await asyncio.sleep(orders.delay.total_seconds())
    if orders.close in (Close.BEFORE, Close.RESET):
        if orders.close is Close.RESET:
            _reset_on_close(writer)
        return False
    content = _json(document) if orders.body_size is None else b"x" * orders.body_size
    bodiless = head.method == "HEAD" or orders.status in BODILESS
    await _send(writer, orders.status, content, orders, bodiless=bodiless)
    return orders.close is Close.NO and head.keeps_alive


def _reset_on_close(writer: Writer) -> None:
    """Zero linger: the peer gets a reset, not an orderly end."""
    raw: socket.socket = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def _send(
    writer: Writer, status: int, content: bytes, orders: Orders, *, bodiless: bool = False
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
    await _send_body(writer, content[: len(content) // 2] if half else content, orders)
    if orders.chunked and not half:
        writer.write(b"0\r\n\r\n")
    await writer.drain()


async def _send_body(writer: Writer, content: bytes, orders: Orders) -> None:
    pieces = orders.trickle or Trickle(max(1, len(content)), orders.delay * 0)
    for start in range(0, len(content), pieces.size):
        piece = content[start : start + pieces.size]
        writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if orders.chunked else piece)
        await writer.drain()
        await asyncio.sleep(pieces.interval.total_seconds())


async def _control(journal: Journal, reader: Reader, writer: Writer) -> None:
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, MalformedError):
        head = await read_head(reader)
        url = urlsplit(head.target)
        identifier = parse_qs(url.query).get("id", [""])[0]
        seen = journal.seen.get(identifier, [])
        found = url.path == "/__echo/hits"
        await _send(writer, 200 if found else 404, _json({"hits": len(seen), "seen": seen}), Orders())
    writer.close()


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
