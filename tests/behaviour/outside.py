"""What stands outside the mesh and is no echo application: TLS in front of one, a name server."""

from __future__ import annotations

import contextlib
import select
import socket
import socketserver
import ssl
import struct
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
        None if name in names else ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
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


_A, _AAAA = 1, 28


class _NameServer(socketserver.ThreadingUDPServer):
    daemon_threads = True
    names: dict[str, str]


class _Names(socketserver.BaseRequestHandler):
    """A and AAAA records from a table; what is not in it does not exist."""

    server: _NameServer

    def handle(self):
        query, sock = self.request
        identifier = query[:2]
        labels, index = [], 12
        while query[index]:
            labels.append(query[index + 1 : index + 1 + query[index]].decode().lower())
            index += 1 + query[index]
        (kind,) = struct.unpack("!H", query[index + 1 : index + 3])
        question = query[12 : index + 5]
        address = self.server.names.get(".".join(labels))
        answers = b""
        if address is not None and kind == (_AAAA if ":" in address else _A):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            data = socket.inet_pton(family, address)
            answers = b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 1, len(data)) + data
        flags = 0x8180 if address is not None else 0x8183
        head = identifier + struct.pack("!HHHHH", flags, 1, 1 if answers else 0, 0, 0)
        sock.sendto(head + question + answers, self.client_address)


@contextlib.contextmanager
def name_server(where: SocketAddress, names: dict[str, str]) -> Iterator[None]:
    """DNS over UDP for ``names``, whose answers are good for a second."""
    server = _NameServer((where.address, where.port), _Names)
    server.names = names
    with _running(server):
        yield
