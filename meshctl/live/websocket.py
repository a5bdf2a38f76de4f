"""The server's side of WebSocket (RFC 6455), for the echo applications: every message comes back."""

from __future__ import annotations

import base64
import hashlib
from asyncio import StreamReader, StreamWriter

from meshctl.live.http1 import Head, response_head

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _BINARY, _CLOSE, _PING, _PONG = 1, 2, 8, 9, 10
_FINAL = 0x80


def asked_for(head: Head) -> bool:
    """Whether the client wants to change to WebSocket."""
    return head.method == "GET" and head.get("upgrade").lower() == "websocket" and bool(_key(head))


def _key(head: Head) -> str:
    return head.get("sec-websocket-key")


async def repeat(head: Head, reader: StreamReader, writer: StreamWriter) -> int:
    """Change the protocol, and send messages back until the client is done; how many there were.

    Raises ConnectionError and IncompleteReadError when the client does not say goodbye.
    """
    # The algorithm that the RFC prescribes; it proves no identity.
    accept = base64.b64encode(hashlib.sha1(_key(head).encode() + _GUID, usedforsecurity=False).digest())
    headers = [("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-accept", accept.decode())]
    writer.write(response_head(101, headers))
    messages = 0
    while True:
        await writer.drain()
        final, opcode, payload = await _read_frame(reader)
        messages += opcode in (_TEXT, _BINARY)
        writer.write(_frame(final | (_PONG if opcode == _PING else opcode), payload))
        if opcode == _CLOSE:
            await writer.drain()
            return messages


async def _read_frame(reader: StreamReader) -> tuple[int, int, bytes]:
    first, second = await reader.readexactly(2)
    length = second & 0x7F
    if length >= 126:
        length = int.from_bytes(await reader.readexactly(2 if length == 126 else 8))
    mask = await reader.readexactly(4)
    masked = await reader.readexactly(length)
    payload = bytes(byte ^ mask[index % 4] for index, byte in enumerate(masked))
    return first & _FINAL, first & 0x0F, payload


def _frame(first: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        length = bytes([size])
    elif size < 1 << 16:
        length = bytes([126]) + size.to_bytes(2)
    else:
        length = bytes([127]) + size.to_bytes(8)
    return bytes([first]) + length + payload
