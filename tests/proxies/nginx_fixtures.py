"""What the traffic tests of NGINX need: certificates, applications that misbehave, running sidecars."""

from __future__ import annotations

import http.client
import json
import re
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from meshctl import ir
from meshctl.artifacts import CERTIFICATE, PRIVATE_KEY, TRUST_BUNDLE
from meshctl.pki.authority import Authority, create_authority
from meshctl.pki.issue import issue
from meshctl.targets import nginx

# Applications here take as many header lines as a sidecar sends.
http.client._MAXHEADERS = 1000  # type: ignore[attr-defined]

Answer = Callable[["Handler"], None]


def new_authority() -> Authority:
    return create_authority("shop.example", datetime.now(UTC)).authority


def write_tls(bundle: Path, identity: ir.WorkloadIdentity, signer: Authority, trusted: bytes = b"") -> Path:
    """``tls/`` of a bundle; ``trusted`` are roots in place of the signer's own."""
    issued = issue(signer, identity, timedelta(days=1), datetime.now(UTC))
    for name, content in (
        (CERTIFICATE, issued.chain_pem),
        (PRIVATE_KEY, issued.key_pem),
        (TRUST_BUNDLE, trusted or issued.trust_pem),
    ):
        path = bundle / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o600)
    return bundle / "tls"


@dataclass
class Seen:
    """One request as an application saw it."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body in one segment, else a delayed ACK costs 40 ms a request.
    wbufsize = -1
    disable_nagle_algorithm = True

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def _serve(self) -> None:
        app: App = self.server.app  # type: ignore[attr-defined]
        seen = Seen(self.command, self.path, list(self.headers.items()), self._read_body())
        app.seen.append(seen)
        app.answer(self)

    def _read_body(self) -> bytes:
        if self.headers.get("transfer-encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def reply(
        self, status: int = 200, body: bytes = b"", headers: dict[str, str] | None = None, after: float = 0
    ) -> None:
        time.sleep(after)
        self.send_response_only(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def drip(self, pieces: int, every: float, *, chunked: bool) -> None:
        """A head at once, then a body that comes in pieces of four bytes."""
        self.send_response_only(200)
        self.send_header(
            *(("transfer-encoding", "chunked") if chunked else ("content-length", str(4 * pieces)))
        )
        self.end_headers()
        self.wfile.flush()
        for _ in range(pieces):
            time.sleep(every)
            self.wfile.write(b"4\r\ndrip\r\n" if chunked else b"drip")
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n" if chunked else b"")

    def reset(self) -> None:
        """Close without an answer, rudely."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def handle(self) -> None:
        try:
            super().handle()
        except (OSError, ValueError):
            self.close_connection = True

    def finish(self) -> None:
        with suppress(OSError, ValueError):
            super().finish()

    def log_message(self, *_arguments) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    app: App

    def __init__(self, *arguments) -> None:
        self.connections: list[socket.socket] = []
        super().__init__(*arguments)

    def get_request(self):
        connection, client = super().get_request()
        self.connections.append(connection)
        return connection, client


@dataclass
class App:
    """An application on ``address:port``; ``answer`` may be changed at any time."""

    address: str
    port: int = 8080
    answer: Answer = field(default=lambda handler: handler.reply(200, b"hello"))
    seen: list[Seen] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._server = _Server((self.address, self.port), Handler)
        self._server.app = self
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """As if the process had ended: its connections are closed too."""
        self._server.shutdown()
        self._server.server_close()
        for connection in self._server.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


@dataclass
class Running:
    """A started sidecar and its folder."""

    sidecar: ir.Sidecar
    bundle: Path
    process: subprocess.Popen[bytes]

    def log(self) -> list[dict[str, object]]:
        """The lines of the access log so far. Fails if one is no JSON."""
        written, _, _ = (self.bundle / "stdout").read_bytes().rpartition(b"\n")
        return [json.loads(line) for line in written.splitlines()]

    def last_log(self, count: int = 1) -> list[dict[str, object]]:
        """The last lines, once there are so many."""
        deadline = time.monotonic() + 3
        while len(self.log()) < count and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.05)
        return self.log()[-count:]

    def errors(self) -> str:
        """What NGINX complained of, but for what a peer did to it."""
        text = (self.bundle / "stderr").read_text()
        return "\n".join(line for line in text.splitlines() if not re.search(r"\[(error|info)\]", line))


def write_bundle(sidecar: ir.Sidecar, bundle: Path) -> None:
    for artifact in nginx.emit(sidecar):
        path = bundle / artifact.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(artifact.content)
        path.chmod(0o755 if artifact.executable else 0o644)


def start(sidecar: ir.Sidecar, bundle: Path) -> subprocess.Popen[bytes]:
    with (bundle / "stdout").open("ab") as out, (bundle / "stderr").open("ab") as err:
        return subprocess.Popen([bundle / "nginx" / "run"], cwd="/", stdout=out, stderr=err)


@contextmanager
def running(sidecar: ir.Sidecar, bundle: Path, signer: Authority) -> Iterator[Running]:
    """A sidecar that serves, with a certificate of ``signer`` unless ``tls/`` is there already."""
    if not (bundle / "tls").exists():
        write_tls(bundle, sidecar.identity, signer)
    write_bundle(sidecar, bundle)
    process = start(sidecar, bundle)
    running_sidecar = Running(sidecar, bundle, process)
    try:
        wait_ready(running_sidecar)
        yield running_sidecar
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(10)


def wait_ready(sidecar: Running) -> None:
    deadline = time.monotonic() + 10
    bind = sidecar.sidecar.admin.bind
    while time.monotonic() < deadline and sidecar.process.poll() is None:
        with suppress(OSError):
            if request(bind.address, "/ready", port=bind.port, host="localhost").status == 200:
                return
        time.sleep(0.02)
    raise AssertionError(f"sidecar did not start: {(sidecar.bundle / 'stderr').read_text()}")


@dataclass
class Response:
    status: int
    headers: list[tuple[str, str]]
    body: bytes
    seconds: float

    def header(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name]


def request(
    address: str,
    target: str = "/",
    *,
    method: str = "GET",
    host: str | None = "catalog",
    headers: list[tuple[str, str]] | None = None,
    body: bytes | None = None,
    port: int = 15001,
    connection: http.client.HTTPConnection | None = None,
    timeout: float = 20,
) -> Response:
    """One request, over a connection of its own unless one is given."""
    client = connection or http.client.HTTPConnection(address, port, timeout=timeout)
    started = time.monotonic()
    try:
        client.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        if host is not None:
            client.putheader("Host", host)
        for name, value in headers or []:
            client.putheader(name, value)
        if body is not None:
            client.putheader("Content-Length", str(len(body)))
        client.endheaders(body)
        answer = client.getresponse()
        content = answer.read()
        return Response(answer.status, answer.getheaders(), content, time.monotonic() - started)
    finally:
        if connection is None:
            client.close()


def raw(address: str, data: bytes, port: int = 15001, timeout: float = 5) -> bytes:
    """Bytes out, bytes back until the other side closes or is silent."""
    with socket.create_connection((address, port), timeout) as connection:
        connection.sendall(data)
        parts = []
        with suppress(TimeoutError, ConnectionResetError):
            while part := connection.recv(65536):
                parts.append(part)
        return b"".join(parts)
