"""Requests as they came off the wire: HTTP/1.1 with nothing folded, sorted or decoded.

The standard library's servers fold repeated header lines and change the target, and what the echo
application is for is to show exactly those.
"""

from __future__ import annotations

from asyncio import StreamReader, StreamWriter
from collections.abc import Iterable

from msgspec import Struct

HEAD_LIMIT = 256 * 1024
"""Bytes of a request's head, and of a line of a chunked body."""


class MalformedError(Exception):
    """What came is not an HTTP/1.1 request."""


class Head(Struct, frozen=True):
    """A request line and its header lines, in order and as they were spelt."""

    method: str
    target: str
    version: str
    headers: tuple[tuple[str, str], ...]

    def get(self, name: str, default: str = "") -> str:
        """The first value of a header, without case."""
        return next((value for key, value in self.headers if key.lower() == name), default)

    @property
    def keeps_alive(self) -> bool:
        """Whether the connection may serve another request."""
        return self.version == "HTTP/1.1" and self.get("connection").lower() != "close"


async def read_head(reader: StreamReader) -> Head:
    """The next head on a connection. Raises MalformedError, IncompleteReadError when the client is gone."""
    raw = await reader.readuntil(b"\r\n\r\n")
    request_line, *lines = raw[:-4].decode("latin-1").split("\r\n")
    parts = request_line.split(" ")
    if len(parts) != 3:
        raise MalformedError(request_line)
    headers = tuple((name, value.strip(" \t")) for name, _, value in (line.partition(":") for line in lines))
    return Head(parts[0], parts[1], parts[2], headers)


async def read_body(head: Head, reader: StreamReader, writer: StreamWriter) -> bytes:
    """The whole body, by Content-Length or chunked. Raises MalformedError."""
    if head.get("expect").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if head.get("transfer-encoding").lower() == "chunked":
        return await _read_chunks(reader)
    length = head.get("content-length", "0")
    if not length.isdecimal():
        raise MalformedError(f"content-length: {length}")
    return await reader.readexactly(int(length))


async def _read_chunks(reader: StreamReader) -> bytes:
    body = bytearray()
    while True:
        line = (await reader.readuntil(b"\r\n")).partition(b";")[0].strip()
        try:
            size = int(line, 16)
        except ValueError:
            raise MalformedError(f"chunk size {line!r}") from None
        if size == 0:
            break
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass
    return bytes(body)


def response_head(status: int, headers: Iterable[tuple[str, str]]) -> bytes:
    """A response's head; the reason phrase is left empty, as the standard allows."""
    lines = [f"HTTP/1.1 {status} ", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1")
