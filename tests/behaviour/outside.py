"""What stands outside the mesh and is no echo application: TLS in front of one."""

from __future__ import annotations

import contextlib
import select
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

from meshctl import artifacts
from meshctl.ir import SocketAddress
from tests.behaviour.certificates import CERTIFICATE, KEY


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, where: SocketAddress, serve):
        self.address_family = socket.AF_INET6 if ":" in where.address else socket.AF_INET
        self._serve = serve
        super().__init__((where.address, where.port), socketserver.BaseRequestHandler)

    def finish_request(self, request, client_address):
        with contextlib.suppress(OSError):
            self._serve(request)


@contextlib.contextmanager
def _running(server: socketserver.BaseServer) -> Iterator[None]:
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()


@contextlib.contextmanager
def tls_server(
    where: SocketAddress, behind: SocketAddress, names: list[str], site: Path, ca: Path
) -> Iterator[None]:
    """TLS in front of a plain server, for clients that ask for one of ``names`` and show no certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(site / CERTIFICATE, site / KEY)
    context.load_verify_locations(ca / artifacts.TRUST_BUNDLE)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.sni_callback = lambda _, name, __: (
        None if name and name.lower() in names else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
    )

    def serve(raw):
        raw.settimeout(20)
        with (
            context.wrap_socket(raw, server_side=True) as front,
            socket.create_connection((behind.address, behind.port)) as back,
        ):
            if front.getpeercert(binary_form=True) is not None:
                return
            _exchange(front, back)

    with _running(_Server(where, serve)):
        yield


def _exchange(front: ssl.SSLSocket, back: socket.socket) -> None:
    """Bytes both ways until either side ends, in one thread: OpenSSL allows no two in one connection."""
    front.setblocking(False)
    back.setblocking(False)
    waiting: dict[socket.socket, bytes] = {front: b"", back: b""}
    ended = False
    while not ended or any(waiting.values()):
        for source, sink in ((front, back), (back, front)):
            if not ended and not waiting[sink]:
                piece = _received(source)
                ended = piece == b""
                waiting[sink] = piece or b""
            if waiting[sink]:
                waiting[sink] = waiting[sink][_sent(sink, waiting[sink]) :]
        select.select([front, back], [each for each in waiting if waiting[each]], [], 0.01)


def _received(source: socket.socket) -> bytes | None:
    """What came, nothing at the end, and None where nothing has come yet."""
    try:
        return source.recv(65536)
    except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return None


def _sent(sink: socket.socket, data: bytes) -> int:
    try:
        return sink.send(data)
    except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return 0
