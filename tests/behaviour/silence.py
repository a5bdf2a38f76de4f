"""Endpoints that are worse than absent ones: they neither accept nor refuse, or take a request and reset."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

from meshctl import artifacts
from meshctl.ir import SocketAddress


@contextlib.contextmanager
def swallowing(address: str, port: int) -> Iterator[None]:
    """A listener whose queue is full, so that the kernel drops what knocks (Linux)."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(0)
        for _ in range(16):
            knocking = stack.enter_context(socket.socket())
            knocking.settimeout(0.2)
            try:
                knocking.connect((address, port))
            except TimeoutError:
                break
        else:
            raise AssertionError(f"{address}:{port} goes on accepting")
        yield


@contextlib.contextmanager
def resetting(where: SocketAddress, bundle: Path) -> Iterator[None]:
    """In the place of a sidecar, with its certificate: reads what a caller sends, and resets the connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bundle / artifacts.CERTIFICATE, bundle / artifacts.PRIVATE_KEY)
    with socket.create_server((where.address, where.port), backlog=64) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    threading.Thread(target=_reset, args=(listener.accept()[0], context), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield
        listener.shutdown(socket.SHUT_RDWR)


def _reset(raw: socket.socket, context: ssl.SSLContext) -> None:
    raw.settimeout(5)
    with contextlib.suppress(OSError), context.wrap_socket(raw, server_side=True) as stream:
        stream.recv(65536)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
