"""Who answers on the admin addresses of sidecars, and with which build: many at a time, none of them for long."""

from __future__ import annotations

import asyncio
import http.client
import io
import os
import re
import socket
from collections.abc import Iterable, Mapping
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import cast

import orjson
from msgspec import Struct

from meshctl.ir import SocketAddress

PATIENCE = timedelta(seconds=5)
"""For one answer as a whole, however it trickles in."""

AT_A_TIME = 100
_BYTES = 1 << 16
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}
_BUILD = re.compile(r"sha256:[0-9a-f]{64}")
_SHOWN = 60


class Heard(Enum):
    """What came back."""

    SIDECAR = "a sidecar names its build"
    OTHER = "something else answers, or nothing comes"
    NOBODY = "nobody listens"
    UNREACHABLE = "it cannot be told"


class Answer(Struct, frozen=True):
    """Of one address. ``said`` is what came in words, the rest what a sidecar says of itself."""

    heard: Heard
    said: str = ""
    mesh: str = ""
    service: str = ""
    instance: str = ""
    proxy: str = ""
    build: str = ""

    @property
    def bundle(self) -> str:
        """The folder of the bundle that answers."""
        return f"{self.service}/{self.instance}".rstrip("/")


def ask(addresses: Iterable[SocketAddress], patience: timedelta = PATIENCE) -> Mapping[SocketAddress, Answer]:
    """The answer to `GET /build` of each address, ``AT_A_TIME`` of them at a time."""
    return asyncio.run(_ask_all(sorted(set(addresses), key=str), patience))


async def _ask_all(addresses: list[SocketAddress], patience: timedelta) -> dict[SocketAddress, Answer]:
    turn = asyncio.Semaphore(AT_A_TIME)

    async def one(where: SocketAddress) -> Answer:
        async with turn:
            return await _ask(where, patience)

    return dict(zip(addresses, await asyncio.gather(*map(one, addresses)), strict=True))


async def _ask(where: SocketAddress, patience: timedelta) -> Answer:
    seconds = patience.total_seconds()
    host = _ANY.get(where.address, where.address)
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(host, where.port, limit=_BYTES)
    except ConnectionRefusedError:
        return Answer(Heard.NOBODY)
    except TimeoutError:
        return Answer(Heard.UNREACHABLE, f"no connection within {seconds:g} s")
    except OSError as error:
        return Answer(Heard.UNREACHABLE, os.strerror(error.errno) if error.errno else str(error))
    received, in_time = await exchange(reader, writer, _request("/build", where), patience)
    answer = _read(received)
    if answer.heard is Heard.OTHER and not in_time and not received:
        return Answer(Heard.OTHER, f"takes the connection and says nothing within {seconds:g} s")
    return answer


def body(where: SocketAddress, path: str, patience: timedelta = PATIENCE) -> bytes | None:
    """That of a 200 answer to `GET path`; None for any other, one that does not end in time or within 64 KiB, and nobody."""
    return asyncio.run(_body(where, path, patience))


async def _body(where: SocketAddress, path: str, patience: timedelta) -> bytes | None:
    try:
        async with asyncio.timeout(patience.total_seconds()):
            reader, writer = await asyncio.open_connection(where.address, where.port, limit=_BYTES)
    except OSError:
        return None
    received, in_time = await exchange(reader, writer, _request(path, where), patience)
    found = _parse(received) if in_time and len(received) < _BYTES else None
    return found[1] if found and found[0].status == 200 else None


def _request(path: str, where: SocketAddress) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: {where}\r\nConnection: close\r\n\r\n".encode()


async def exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes, patience: timedelta
) -> tuple[bytes, bool]:
    """What comes back: an answer of HTTP, or until the other side closes, at most 64 KiB; and whether that was in time."""
    received = bytearray()
    in_time = False
    try:
        async with asyncio.timeout(patience.total_seconds()):
            writer.write(request)
            while len(received) < _BYTES and (part := await reader.read(_BYTES)):
                received += part
                # Envoy waits a second before it closes.
                if _is_whole(received):
                    break
            in_time = True
    except (TimeoutError, OSError):
        pass
    finally:
        writer.transport.abort()
    return bytes(received), in_time


def _is_whole(received: bytes | bytearray) -> bool:
    head, end, body = received.partition(b"\r\n\r\n")
    if not end:
        return False
    if re.search(rb"(?i)^transfer-encoding: *chunked\r?$", head, re.MULTILINE):
        return body.endswith(b"0\r\n\r\n")
    length = re.search(rb"(?i)^content-length: *([0-9]{1,9})\r?$", head, re.MULTILINE)
    return length is not None and len(body) >= int(length[1])


def _read(received: bytes) -> Answer:
    if not received:
        return Answer(Heard.OTHER, "closes the connection without a word")
    parsed = _parse(received)
    if parsed is None:
        return Answer(Heard.OTHER, f"does not speak HTTP: {_shown(received.decode('latin-1'))}")
    answer, body = parsed
    if answer.status == 200 and (found := _build(body)) is not None:
        return found
    server = answer.headers.get("server", "")
    named = f" (server: {_shown(server)})" if server else ""
    return Answer(Heard.OTHER, f"answers {answer.status}{named} and names no build")


def _parse(received: bytes) -> tuple[http.client.HTTPResponse, bytes] | None:
    answer = http.client.HTTPResponse(cast("socket.socket", _Received(received)))
    try:
        answer.begin()
        return answer, answer.read()
    except (http.client.HTTPException, ValueError, OverflowError):
        return None


def _build(body: bytes) -> Answer | None:
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    names = ("mesh", "service", "instance", "proxy", "build")
    if not isinstance(told, dict) or not all(isinstance(told.get(each), str) for each in names):
        return None
    if not _BUILD.fullmatch(told["build"]):
        return None
    return Answer(Heard.SIDECAR, **{each: _shown(told[each], 200) for each in names})


def _shown(text: str, length: int = _SHOWN) -> str:
    """Short, on one line, and nothing in it that a terminal obeys."""
    cut = text[:length] + ("…" if len(text) > length else "")
    return "".join(each if each.isprintable() else "·" for each in cut).strip()


class _Received:
    """What http.client reads an answer from."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._content)


def ask_socket(path: Path, request: bytes, patience: timedelta = PATIENCE) -> bytes | None:
    """What a program answers on the socket file at ``path``; None where it cannot be asked."""
    return asyncio.run(_ask_socket(path, request, patience))


async def _ask_socket(path: Path, request: bytes, patience: timedelta) -> bytes | None:
    try:
        # A path of a socket has 107 bytes at most; its folder's descriptor makes any short.
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        async with asyncio.timeout(patience.total_seconds()):
            reader, writer = await asyncio.open_unix_connection(f"/proc/self/fd/{folder}/{path.name}")
        received, in_time = await exchange(reader, writer, request, patience)
    except (TimeoutError, OSError):
        return None
    finally:
        os.close(folder)
    return received if in_time else None
