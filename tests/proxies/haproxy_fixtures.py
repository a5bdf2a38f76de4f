"""What the traffic tests of HAProxy need: certificates, applications that misbehave, running sidecars."""

from __future__ import annotations

import http.client
import json
import signal
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

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from meshctl import ir
from meshctl.targets import haproxy

Subject = tuple[tuple[x509.ObjectIdentifier, str], ...]


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


class Authority:
    """A root and an issuing CA, as the mesh's certificates have them."""

    def __init__(self, label: str = "test") -> None:
        self._root_key = ec.generate_private_key(ec.SECP256R1())
        self._issuing_key = ec.generate_private_key(ec.SECP256R1())
        root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{label} root")])
        issuing_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{label} issuing")])
        self.root = self._sign(root_name, self._root_key, root_name, self._root_key, path_length=1)
        self.issuing = self._sign(issuing_name, self._issuing_key, root_name, self._root_key, path_length=0)

    def _sign(self, subject, key, issuer, issuer_key, *, path_length=None, names=()):
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(
                x509.BasicConstraints(ca=path_length is not None, path_length=path_length), critical=True
            )
            .add_extension(_key_usage(ca=path_length is not None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
            )
        )
        if path_length is None:
            usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(issuer_key, hashes.SHA256())

    def issue(self, identity: ir.WorkloadIdentity, folder: Path, subject: Subject | None = None) -> Path:
        """Write ``tls/`` of a bundle. ``subject`` replaces the one that the mesh gives."""
        key = ec.generate_private_key(ec.SECP256R1())
        attributes = subject or (
            (NameOID.ORGANIZATION_NAME, identity.trust_domain),
            (NameOID.COMMON_NAME, identity.service),
        )
        leaf = self._sign(
            x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes]),
            key,
            self.issuing.subject,
            self._issuing_key,
            names=[
                x509.UniformResourceIdentifier(identity.spiffe_id),
                *map(x509.DNSName, identity.dns_names),
            ],
        )
        tls = folder / "tls"
        tls.mkdir(parents=True, exist_ok=True)
        pem = serialization.Encoding.PEM
        (tls / "cert.pem").write_bytes(leaf.public_bytes(pem) + self.issuing.public_bytes(pem))
        (tls / "cert.pem.key").write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        (tls / "cert.pem.key").chmod(0o600)
        (tls / "ca.pem").write_bytes(self.root.public_bytes(pem) + self.issuing.public_bytes(pem))
        return tls


@dataclass
class Seen:
    """One request as an application saw it."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes


Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body in one segment, else a delayed ACK costs 40 ms a request.
    wbufsize = -1

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def _serve(self) -> None:
        assert isinstance(self.server, _Server)
        app = self.server.app
        self.request_body = self._read_body()
        app.seen.append(Seen(self.command, self.path, list(self.headers.items()), self.request_body))
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

    def reply(self, status: int = 200, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response_only(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

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

    stopped: bool = True

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Listen; again, where it was stopped."""
        self.stopped = False
        self._server = _Server((self.address, self.port), Handler)
        self._server.app = self
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """As if the process had ended: its connections are closed too."""
        if self.stopped:
            return
        self.stopped = True
        self._server.shutdown()
        self._server.server_close()
        for connection in self._server.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        # Until the sidecars have seen it: a request that meets the end of a kept connection may be lost.
        time.sleep(0.1)


@dataclass
class Running:
    """A started sidecar and its folder."""

    sidecar: ir.Sidecar
    bundle: Path
    process: subprocess.Popen[bytes]

    def log(self) -> list[dict[str, object]]:
        """The lines of the access log so far. Fails if one is no JSON."""
        return [json.loads(line) for line in (self.bundle / "stdout").read_bytes().splitlines()]

    def last_log(self, count: int = 1) -> list[dict[str, object]]:
        """The last lines, once there are so many."""
        deadline = time.monotonic() + 3
        while len(self.log()) < count and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.05)
        return self.log()[-count:]

    def reload(self) -> int:
        """The target's own command."""
        folder = self.bundle / "haproxy"
        return subprocess.run(["sh", "-c", haproxy.COMMANDS.reload], cwd=folder, check=False).returncode

    def stop(self, sig: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(sig)
        return self.process.wait(10)


def write_bundle(sidecar: ir.Sidecar, bundle: Path) -> None:
    for artifact in haproxy.emit(sidecar):
        path = bundle / artifact.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(artifact.content)
        path.chmod(0o755 if artifact.executable else 0o644)


def start(sidecar: ir.Sidecar, bundle: Path) -> subprocess.Popen[bytes]:
    with (bundle / "stdout").open("ab") as out, (bundle / "stderr").open("ab") as err:
        return subprocess.Popen([bundle / "haproxy" / "run"], cwd="/", stdout=out, stderr=err)


@contextmanager
def running(
    sidecar: ir.Sidecar, authority: Authority, bundle: Path, subject: Subject | None = None
) -> Iterator[Running]:
    """A sidecar that serves, with a certificate of ``authority`` unless ``tls/`` is there already."""
    if not (bundle / "tls").exists():
        authority.issue(sidecar.identity, bundle, subject)
    write_bundle(sidecar, bundle)
    process = start(sidecar, bundle)
    try:
        wait_ready(sidecar, process, bundle)
        yield Running(sidecar, bundle, process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(10)


def wait_ready(sidecar: ir.Sidecar, process: subprocess.Popen[bytes], bundle: Path) -> None:
    deadline = time.monotonic() + 10
    bind = sidecar.admin.bind
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            if request(bind.address, "/ready", port=bind.port, host="localhost").status == 200:
                return
        except OSError:
            time.sleep(0.02)
    raise AssertionError(f"sidecar did not start: {(bundle / 'stderr').read_text()}")


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
        try:
            while part := connection.recv(65536):
                parts.append(part)
        except (TimeoutError, ConnectionResetError):
            pass
        return b"".join(parts)
