"""What must not get through a handshake: each proxy as the callee, and as the caller."""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import ssl
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from meshctl import ir
from meshctl.live.processes import ProcessGroup, Program
from meshctl.live.sidecars import Bundle, await_open, start
from meshctl.pki.authority import create_authority
from meshctl.pki.issue import issue
from tests.behaviour.client import Connection, fetch
from tests.behaviour.impostors import of_two
from tests.behaviour.tables import Expect, Row, Table
from tests.behaviour.world import (
    DOMAIN,
    TRUST_DOMAIN,
    WRITTEN_NETWORK,
    build,
    instances,
    network,
    specification,
)

NOW = datetime.now(UTC)
CA = create_authority(TRUST_DOMAIN, NOW - timedelta(days=2))
FOREIGN_CA = create_authority(TRUST_DOMAIN, NOW - timedelta(days=2))
LIFETIME = timedelta(days=30)
ROW = Row("a request", Expect())

TABLE = Table(
    name="tls",
    features=["strict mTLS"],
    spec={
        "services": {
            "client": {"port": 8080, "endpoints": [{"address": "127.50.0.1"}], "calls": {"server": {}}},
            "server": {
                "port": 8080,
                "endpoints": [{"address": "127.50.0.11"}],
                "retries": {"attempts": 0},
                "connectTimeout": "1s",
            },
        }
    },
    requests=[],
)


def identity(service, trust_domain=TRUST_DOMAIN):
    return ir.WorkloadIdentity(service, trust_domain, DOMAIN)


def chain(folder, who, *, authority=CA, lifetime=LIFETIME, issued_at=NOW):
    """A certificate with its key in one file for `ssl`, issued as asked."""
    return written(folder, issue(authority.authority, who, lifetime, issued_at))


def written(folder, issued):
    path = folder / "chain.pem"
    path.write_bytes(issued.key_pem + issued.chain_pem)
    return path


def good(folder, service):
    return chain(folder, identity(service))


def foreign(folder, service):
    return chain(folder, identity(service), authority=FOREIGN_CA)


def expired(folder, service):
    return chain(folder, identity(service), lifetime=timedelta(hours=1), issued_at=NOW - timedelta(hours=3))


def not_yet_valid(folder, service):
    return chain(folder, identity(service), issued_at=NOW + timedelta(hours=3))


def of_another_trust_domain(folder, service):
    return chain(folder, identity(service, "other.example"))


def of_another_service(folder, service):
    return chain(folder, identity("other"))


def of_two_services(folder, service):
    """One of them may call."""
    who, other = identity(service), identity("other")
    issued = of_two(issue(CA.authority, who, LIFETIME, NOW), CA.authority, who, other)
    return written(folder, issued)


def nothing(folder, service):
    return None


@contextlib.contextmanager
def sidecar(
    tmp_path, proxy, service, *, with_application=False, mtls=None, streams=False, audit=False, lines=None
):
    """One sidecar of the table's mesh, everybody else left to the test. What it says goes to ``lines``."""
    said = [] if lines is None else lines
    with network() as net, ProcessGroup(lambda _, line: said.append(line)) as group:
        spec = specification(TABLE, proxy, proxy, {WRITTEN_NETWORK: net})
        if streams:
            spec["services"]["server"] = {**spec["services"]["server"], "protocol": "tcp"}
            del spec["services"]["server"]["retries"]
            spec["services"]["client"]["calls"]["server"] = {"localPort": 15432}
        spec["mesh"] |= {"authorization": {"audit": audit}} if audit else {}
        spec["mesh"] |= {"mtls": mtls} if mtls else {}
        mesh, out = build(spec, tmp_path, CA)
        found = {each.service: each for each in mesh.sidecars}
        one = found[service]
        if with_application:
            address = instances(spec)[f"{service}/1"]
            kind = "tcp:" if streams else ""
            argv = (
                *("-m", "meshctl.live.echo", f"{kind}{address}:8080={service}/1"),
                *("--control", f"{address}:8081"),
            )
            process = group.start(Program("echo", (sys.executable, *argv), tmp_path))
            await_open(ir.SocketAddress(address, 8081), process)
        start([Bundle(one, out / service / one.instance)], group)
        yield one, found


def client_context(certificate, *, version=None, suite=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        context.load_cert_chain(certificate)
    if version is not None:
        context.maximum_version = version
    if suite is not None:
        context.set_ciphers(suite)
    return context


@pytest.mark.parametrize("proxy", ir.Proxy)
@pytest.mark.parametrize("audit", [False, True])
def test_the_line_of_a_stream_names_nobody_on_a_strangers_word(proxy, audit, tmp_path):
    """Whoever has another CA may write any name into a certificate."""
    lines: list[str] = []
    with sidecar(tmp_path, proxy, "server", streams=True, audit=audit, lines=lines) as (server, _):
        for make in (foreign, expired, nothing, of_another_trust_domain, of_two_services, good):
            with (
                contextlib.suppress(OSError),
                socket.create_connection((server.inbound.bind.address, server.inbound.bind.port), 5) as raw,
                client_context(make(tmp_path, "client")).wrap_socket(raw) as stream,
            ):
                stream.sendall(b"x")
                stream.recv(16)
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline and '"caller":"client"' not in "".join(lines):
            time.sleep(0.05)
    written = [json.loads(line) for line in lines if line.startswith("{")]
    callers = [each["caller"] for each in written if each["caller"]]
    assert callers == ["client"], written
    assert {each["tries"] for each in written if not each["caller"]} <= {0}


PERMISSIVE = {"mode": "permissive", "until": "2099-01-01"}


@pytest.mark.parametrize("proxy", ir.Proxy)
@pytest.mark.parametrize(
    ("mtls", "plaintext"), [(None, None), (PERMISSIVE, 403)], ids=["strict", "permissive"]
)
def test_a_callee_reads_requests_of_the_mesh_only(proxy, mtls, plaintext, tmp_path):
    """A bad certificate is not plaintext, and plaintext without a rule for it is refused."""
    with sidecar(tmp_path, proxy, "server", with_application=True, mtls=mtls) as (server, _):

        def ask(context):
            with Connection(server.inbound.bind, context, server.identity.server_name) as connection:
                return connection.ask(ROW).status

        answers = {
            make.__name__: ask(client_context(make(tmp_path, "client")))
            for make in (
                good,
                nothing,
                foreign,
                expired,
                not_yet_valid,
                of_another_trust_domain,
                of_two_services,
            )
        }
        answers["plaintext"] = ask(None)
        again = ask(client_context(good(tmp_path, "client")))
    assert answers.pop("good") == again == 200
    assert answers.pop("plaintext") == plaintext
    assert answers == dict.fromkeys(answers), "an answer where none should come"


@pytest.mark.parametrize("proxy", ir.Proxy)
@pytest.mark.parametrize("mtls", [None, PERMISSIVE], ids=["strict", "permissive"])
def test_an_application_that_speaks_first_speaks_to_the_mesh_only(proxy, mtls, tmp_path):
    """It counts its connections, and nobody else sees one of its bytes. Who sends nothing waits out the first word."""
    makers = (good, nothing, foreign, expired, not_yet_valid, of_another_trust_domain, of_two_services)
    contexts = {make.__name__: client_context(make(tmp_path, "client")) for make in makers} | {
        "plaintext": None
    }
    with (
        sidecar(tmp_path, proxy, "server", with_application=True, streams=True, mtls=mtls) as (server, _),
        ThreadPoolExecutor(len(contexts)) as together,
    ):
        said = together.map(lambda context: greeting(server.inbound.bind, context), contexts.values())
        heard = dict(zip(contexts, said, strict=True))
        control = ir.SocketAddress(server.inbound.bind.address, 8081)
        seen = fetch(control, "/__echo/hits?id=server")["seen"]
    assert heard.pop("good") == b"server/1\n"
    assert heard == dict.fromkeys(heard, b"")
    assert len(seen) == 1


def greeting(address, context):
    """What the application says to whom says nothing."""
    with (
        contextlib.suppress(OSError),
        socket.create_connection((address.address, address.port), 5) as raw,
        context.wrap_socket(raw) if context else raw as stream,
    ):
        stream.settimeout(0.5 if context else 2.5)
        return stream.recv(100)
    return b""


class Impostor(socketserver.ThreadingTCPServer):
    """Stands where the callee's sidecar should be, with a certificate of the test's choice."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address, certificate, trust):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if certificate else None
        self.requests: list[bytes] = []
        self.names: list[str | None] = []
        self.peers: list = []
        if self.context:
            self.context.load_cert_chain(certificate)
            self.context.load_verify_locations(trust)
            self.context.verify_mode = ssl.CERT_OPTIONAL
            self.context.sni_callback = lambda sock, name, context: self.names.append(name)
        super().__init__((address.address, address.port), socketserver.BaseRequestHandler)

    def finish_request(self, request, client_address):
        request.settimeout(3)
        with contextlib.suppress(OSError):
            if self.context is None:
                self.answer(request)
                return
            with self.context.wrap_socket(request, server_side=True) as stream:
                self.answer(stream)

    def answer(self, stream):
        received = b""
        while b"\r\n\r\n" not in received and (piece := stream.recv(65536)):
            received += piece
        if received.startswith(b"GET "):
            self.requests.append(received)
            self.peers.append(stream.getpeercert() if self.context else None)
            stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")


@contextlib.contextmanager
def impostor(address, certificate, trust):
    with Impostor(address, certificate, trust) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()


@pytest.mark.parametrize("proxy", ir.Proxy)
def test_a_caller_speaks_to_its_callee_only(proxy, tmp_path):
    trust = tmp_path / "trust.pem"
    trust.write_bytes(CA.authority.root_pem + CA.authority.issuing_pem)
    answers, requests = {}, {}
    with sidecar(tmp_path, proxy, "client") as (client, found):
        callee = found["server"].inbound.bind
        for make in (
            of_another_service,
            of_another_trust_domain,
            foreign,
            expired,
            not_yet_valid,
            nothing,
            good,
        ):
            with (
                impostor(callee, make(tmp_path, "server"), trust) as server,
                Connection(client.outbound.bind) as connection,
            ):
                answers[make.__name__] = connection.ask(ROW).status
                requests[make.__name__] = len(server.requests)
        (peer,) = server.peers
    assert answers.pop("good") == 200
    assert requests.pop("good") == 1
    assert answers == dict.fromkeys(answers, 503)
    assert requests == dict.fromkeys(requests, 0), "a request reached someone who is not the callee"
    assert set(server.names) == {"server.spiffe.test.example"}
    assert ("URI", "spiffe://test.example/client") in peer["subjectAltName"]


def test_the_impostor_itself_would_answer(tmp_path):
    """So that a refusal above is the proxy's doing."""
    trust = tmp_path / "trust.pem"
    trust.write_bytes(CA.authority.root_pem)
    address = ir.SocketAddress("127.50.3.1", 15006)
    with (
        impostor(address, foreign(tmp_path, "server"), trust),
        socket.create_connection(("127.50.3.1", 15006)) as raw,
        client_context(None).wrap_socket(raw) as stream,
    ):
        stream.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert stream.recv(100).startswith(b"HTTP/1.1 200 OK")


NAMED, OTHER = "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256"
SUITES = {"minVersion": "1.2", "cipherSuites": [NAMED]}


@pytest.mark.parametrize("proxy", ir.Proxy)
def test_a_callee_takes_the_named_suites_only(proxy, tmp_path):
    with sidecar(tmp_path, proxy, "server", with_application=True, mtls=SUITES) as (server, _):
        answers = {}
        for suite in (NAMED, OTHER, None):
            version = ssl.TLSVersion.TLSv1_2 if suite else ssl.TLSVersion.TLSv1_3
            context = client_context(good(tmp_path, "client"), version=version, suite=suite)
            with Connection(server.inbound.bind, context, server.identity.server_name) as connection:
                answers[suite] = connection.ask(ROW).status
    assert answers == {NAMED: 200, OTHER: None, None: 200}


@pytest.mark.parametrize("proxy", ir.Proxy)
def test_a_caller_offers_the_named_suites_only(proxy, tmp_path):
    trust = tmp_path / "trust.pem"
    trust.write_bytes(CA.authority.root_pem + CA.authority.issuing_pem)
    answers = {}
    with sidecar(tmp_path, proxy, "client", mtls=SUITES) as (client, found):
        for suite in (NAMED, OTHER):
            with (
                impostor(found["server"].inbound.bind, good(tmp_path, "server"), trust) as server,
                Connection(client.outbound.bind) as connection,
            ):
                server.context.maximum_version = ssl.TLSVersion.TLSv1_2
                server.context.set_ciphers(suite)
                answers[suite] = connection.ask(ROW).status
    assert answers == {NAMED: 200, OTHER: 503}


@pytest.mark.parametrize("proxy", ir.Proxy)
def test_without_a_word_there_is_no_tls_1_2(proxy, tmp_path):
    with sidecar(tmp_path, proxy, "server", with_application=True) as (server, _):
        context = client_context(good(tmp_path, "client"), version=ssl.TLSVersion.TLSv1_2)
        with Connection(server.inbound.bind, context, server.identity.server_name) as connection:
            assert connection.ask(ROW).status is None
