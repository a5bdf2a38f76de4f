"""The server's side of HTTP/2 by prior knowledge (h2c), for the echo applications.

Nothing is folded or sorted: `h2` keeps frames and flow control, and a stream shows what came.
"""

from __future__ import annotations

import asyncio
import contextlib
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable, Sequence
from typing import cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RequestReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)
from h2.exceptions import ProtocolError

from meshctl.live.http1 import Head

VERSION = "HTTP/2"

Headers = Sequence[tuple[str, str]]


class GoneError(Exception):
    """The client has taken its request back, or is not there any more."""


class Stream:
    """One request and its answer."""

    def __init__(self, connection: Connection, number: int, head: Head) -> None:
        self.head = head
        self.trailers: Headers = ()
        """Those of the request, once its body has been read."""
        self._connection = connection
        self._number = number
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def read(self) -> bytes:
        """The next piece of the body, empty at its end. Raises GoneError."""
        piece = await self._pieces.get()
        if piece is None:
            raise GoneError
        return piece

    async def send_head(self, status: int, headers: Headers, *, end: bool = False) -> None:
        """The answer's head; with ``end`` all of it."""
        await self._connection.send_headers(self._number, [(":status", str(status)), *headers], end=end)

    async def send(self, data: bytes) -> None:
        """A piece of the answer's body, as fast as the client takes it. Raises GoneError."""
        await self._connection.send_data(self._number, data)

    async def end(self, trailers: Headers = ()) -> None:
        """The end of the answer."""
        await self._connection.end(self._number, trailers)

    async def reset(self, code: ErrorCodes = ErrorCodes.INTERNAL_ERROR) -> None:
        """Break it off."""
        await self._connection.reset(self._number, code)

    def abort(self) -> None:
        """Break off the whole connection, without a word."""
        self._connection.abort()

    def arrive(self, piece: bytes | None) -> None:
        """Hand the reader a piece; None: the client is gone."""
        self._pieces.put_nowait(piece)


class Connection:
    """All streams of one client; ``answer`` is called once for each."""

    def __init__(
        self, reader: StreamReader, writer: StreamWriter, answer: Callable[[Stream], Awaitable[None]]
    ) -> None:
        self._reader, self._writer, self._answer = reader, writer, answer
        self._h2 = H2Connection(
            H2Configuration(client_side=False, header_encoding="latin-1", normalize_inbound_headers=False)
        )
        self._streams: dict[int, Stream] = {}
        self._work: dict[int, asyncio.Task[None]] = {}
        self._window = asyncio.Condition()

    async def serve(self) -> None:
        """Until the client leaves, or says what is no HTTP/2."""
        self._h2.initiate_connection()
        try:
            with contextlib.suppress(ConnectionError, ProtocolError):
                await self._flush()
                while received := await self._reader.read(65536):
                    for event in self._h2.receive_data(received):
                        self._take(event)
                    async with self._window:
                        self._window.notify_all()
                    await self._flush()
        finally:
            for task in self._work.values():
                task.cancel()

    def _take(self, event: Event) -> None:
        match event:
            case RequestReceived():
                self._begin(event)
            case DataReceived(stream_id=int() as number):
                self._h2.acknowledge_received_data(event.flow_controlled_length or 0, number)
                self._streams[number].arrive(event.data or b"")
            case TrailersReceived(stream_id=int() as number):
                self._streams[number].trailers = cast("Headers", event.headers)
            case StreamEnded(stream_id=int() as number):
                self._streams[number].arrive(b"")
            case StreamReset(stream_id=int() as number):
                self._streams[number].arrive(None)
                self._work[number].cancel()
            case ConnectionTerminated() | WindowUpdated() | _:
                pass

    def _begin(self, event: RequestReceived) -> None:
        lines = cast("list[tuple[str, str]]", event.headers)
        pseudo = dict(each for each in lines if each[0].startswith(":"))
        authority = [("host", pseudo[":authority"])] if ":authority" in pseudo else []
        fields = (*authority, *(each for each in lines if not each[0].startswith(":")))
        head = Head(pseudo[":method"], pseudo.get(":path", ""), VERSION, fields)
        number = event.stream_id
        stream = self._streams[number] = Stream(self, number, head)
        self._work[number] = asyncio.ensure_future(self._run(stream))

    async def _run(self, stream: Stream) -> None:
        with contextlib.suppress(GoneError, ConnectionError, ProtocolError):
            await self._answer(stream)

    async def _flush(self) -> None:
        if data := self._h2.data_to_send():
            self._writer.write(data)
            await self._writer.drain()

    async def send_headers(self, number: int, headers: Headers, *, end: bool) -> None:
        """A block of headers on one stream."""
        self._h2.send_headers(number, list(headers), end_stream=end)
        await self._flush()

    async def send_data(self, number: int, data: bytes) -> None:
        """As much as the windows let through, and the rest when they open."""
        left = memoryview(data)
        while left:
            async with self._window:
                await self._window.wait_for(lambda: self._h2.local_flow_control_window(number) > 0)
            size = min(
                len(left), self._h2.local_flow_control_window(number), self._h2.max_outbound_frame_size
            )
            self._h2.send_data(number, bytes(left[:size]))
            left = left[size:]
            await self._flush()

    async def end(self, number: int, trailers: Headers) -> None:
        """The end of one stream."""
        if trailers:
            self._h2.send_headers(number, list(trailers), end_stream=True)
        else:
            self._h2.end_stream(number)
        await self._flush()

    async def reset(self, number: int, code: ErrorCodes) -> None:
        """Break one stream off."""
        self._h2.reset_stream(number, code)
        await self._flush()

    def abort(self) -> None:
        """Break off, without a word."""
        self._writer.transport.abort()
