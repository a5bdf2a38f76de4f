"""An address that neither accepts nor refuses connections."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator


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
