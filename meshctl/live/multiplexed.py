"""What the echo application answers over HTTP/2, as JSON or, to a gRPC client, as a message.

Each message of a gRPC client comes back as it is, in a stream of them; the status follows in trailers. An
ordered error without an ordered body is a head with that status in it and nothing else (`Trailers-Only`).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import struct
import time
from typing import Any

from meshctl.live.http2 import Headers, Stream
from meshctl.live.orders import BODILESS, Close, Orders, Trickle

_GRPC = "application/grpc"
_PREFIX = struct.Struct("!BI")
_HEALTH = "/grpc.health.v1.Health/Check"
_SERVING, _NOT_SERVING = b"\x08\x01", b"\x08\x02"
"""HealthCheckResponses, see https://github.com/grpc/grpc/blob/master/doc/health-checking.md."""


async def answer(stream: Stream, document: dict[str, Any], orders: Orders) -> None:
    """One request; ``document`` is what the journal knows of it, and learns more here."""
    document["protocol"] = stream.head.version
    try:
        if stream.head.target == _HEALTH and not orders.grpc_status:
            await _say_health(stream, orders)
        elif stream.head.get("content-type").startswith(_GRPC):
            await _answer_grpc(stream, document, orders)
        else:
            await _answer_http(stream, document, orders)
        document["end"] = "answered"
    finally:
        document["end"] = document["end"] or "gone"


async def _answer_http(stream: Stream, document: dict[str, Any], orders: Orders) -> None:
    await _read(stream, document)
    await asyncio.sleep(orders.delay.total_seconds())
    if orders.close in (Close.BEFORE, Close.RESET):
        stream.abort()
        return
    content = json.dumps(document).encode() if orders.body_size is None else b"x" * orders.body_size
    bodiless = stream.head.method == "HEAD" or orders.status in BODILESS
    headers = [("content-type", "application/json"), *orders.headers]
    if not bodiless and not orders.trailers:
        headers.append(("content-length", str(len(content))))
    await stream.send_head(orders.status, headers, end=bodiless)
    if not bodiless:
        await _send_body(stream, content, orders)


async def _read(stream: Stream, document: dict[str, Any]) -> None:
    began = time.monotonic()
    length, digest = 0, hashlib.sha256()
    while piece := await stream.read():
        length += len(piece)
        digest.update(piece)
    document["body"] = {"length": length, "sha256": digest.hexdigest()}
    document["trailers"] = list(stream.trailers)
    document["upload_seconds"] = round(time.monotonic() - began, 3)


async def _send_body(stream: Stream, content: bytes, orders: Orders) -> None:
    half = orders.close is Close.MID_BODY
    pieces = orders.trickle or Trickle(max(1, len(content)), orders.delay * 0)
    sent = 0 if orders.close is Close.AFTER_HEAD else len(content) // 2 if half else len(content)
    for start in range(0, sent, pieces.size):
        await stream.send(content[start : min(sent, start + pieces.size)])
        await asyncio.sleep(pieces.interval.total_seconds())
    if orders.close is Close.NO:
        await stream.end(orders.trailers)
    else:
        await stream.reset()


async def _answer_grpc(stream: Stream, document: dict[str, Any], orders: Orders) -> None:
    headers = [("content-type", _GRPC), *orders.headers]
    trailers = [("grpc-status", str(orders.grpc_status)), *orders.trailers]
    if orders == Orders():
        await _repeat(stream, headers, trailers)
        return
    await _read(stream, document)
    await asyncio.sleep(orders.delay.total_seconds())
    if orders.close in (Close.BEFORE, Close.RESET):
        stream.abort()
    elif orders.grpc_status and orders.body_size is None:
        await stream.send_head(orders.status, [*headers, *trailers], end=True)
    else:
        message = b"x" * (orders.body_size or 0)
        await stream.send_head(orders.status, headers)
        await stream.send(_PREFIX.pack(0, len(message)) + message)
        await stream.end(trailers)


async def _repeat(stream: Stream, headers: Headers, trailers: Headers) -> None:
    await stream.send_head(200, headers)
    while piece := await stream.read():
        await stream.send(piece)
    await stream.end(trailers)


async def _say_health(stream: Stream, orders: Orders) -> None:
    while await stream.read():
        pass
    await asyncio.sleep(orders.delay.total_seconds())
    message = _SERVING if orders.serving else _NOT_SERVING
    await stream.send_head(200, [("content-type", _GRPC)])
    await stream.send(_PREFIX.pack(0, len(message)) + message)
    await stream.end([("grpc-status", "0")])
