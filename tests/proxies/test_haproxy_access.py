"""HAProxy: who may do what, over HTTP/1.1, HTTP/2 and bare streams. Real certificates, real connections."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
import ssl
import threading
import time
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pytest
from msgspec import structs

from meshctl import ir
from tests import sidecars
from tests.proxies.haproxy_fixtures import App, Authority, raw, running
from tests.sidecars import cluster, identity

pytestmark = pytest.mark.xdist_group("haproxy-access")

NETWORK = f"127.61.{os.getpid() % 250 + 1}"
RULED, AUDITED, STREAM, CALLER, NOBODY, EMPTY = (f"{NETWORK}.{number}" for number in range(11, 17))
RULE, HEADER, PATH = ir.AuthorizationRule, ir.HeaderMatch, ir.PathMatch
EXACT, PREFIX, REGEX = (ir.PathMatchKind(each) for each in ("exact", "prefix", "regex"))
VALUE = ir.ValueMatchKind.REGEX
WEB, OPS = (identity("web"),), (identity("ops"),)


def authorization(*rules, deny=(), exempt=(), audit=False):
    return ir.Authorization(ir.AuthorizationMode.EXPLICIT, rules, deny, exempt, audit=audit)


RULES = authorization(
    RULE(WEB, methods=("GET", "HEAD")),
    RULE(WEB, methods=("POST",), paths=(PATH(EXACT, "/post"), PATH(PREFIX, "/posts"))),
    RULE(anyone=True, paths=(PATH(REGEX, "/open/[a-z]+"),)),
    RULE(OPS, headers=(HEADER("x-team", "a"), HEADER("x-level", "[0-9]+", VALUE))),
    RULE((), paths=(PATH(PREFIX, "/nobody"),)),
    deny=(
        RULE(anyone=True, paths=(PATH(PREFIX, "/admin"), PATH(REGEX, "/secret.*|/.*b.*b.*b.*cd.*e"))),
        RULE(WEB, methods=("GET",), headers=(HEADER("x-bad", "|.*b.*b.*b.*cd.*e", VALUE),)),
    ),
    exempt=(RULE((*WEB, *OPS), methods=("GET",), paths=(PATH(EXACT, "/admin/health"),)),),
)


def callee(service, address, rules, protocol=ir.Protocol.HTTP):
    made = sidecars.sidecar(service, ir.Proxy.HAPROXY, address=address)
    assert made.inbound is not None
    inbound = structs.replace(made.inbound, authorization=rules, protocol=protocol)
    return structs.replace(made, inbound=inbound)


def stream_cluster(name, address):
    return structs.replace(cluster(name, (address, 15006, 1)), protocol=ir.Protocol.TCP)


class Echo:
    """An application that sends back what it gets and then ends, as TCP lets it."""

    def __init__(self, address):
        self.listener = socket.create_server((address, 8080))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection):
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(65536):
                connection.sendall(data)


@dataclasses.dataclass
class World:
    authority: Authority
    folder: Path
    app: App
    audited: object
    audited_app: App
    stream: object

    def folder_of(self, who):
        folder = self.folder / f"caller-{who}"
        if not folder.exists():
            self.authority.issue(identity(who), folder)
        return folder

    def context(self, who, *protocols):
        folder = self.folder_of(who) / "tls"
        context = ssl.create_default_context(cafile=folder / "ca.pem")
        context.load_cert_chain(folder / "cert.pem", folder / "cert.pem.key")
        context.check_hostname = False
        if protocols:
            context.set_alpn_protocols(protocols)
        return context


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder, authority = tmp_path_factory.mktemp("access"), Authority()
    web = sidecars.sidecar(
        "web",
        ir.Proxy.HAPROXY,
        address=CALLER,
        clusters=(stream_cluster("ledger", STREAM), stream_cluster("gone", NOBODY)),
    )
    streams = (
        ir.TcpListener((ir.SocketAddress(CALLER, 15432),), "ledger", "ledger"),
        ir.TcpListener((ir.SocketAddress(CALLER, 15433),), "gone", "gone"),
    )
    ledger_rules = authorization(RULE(WEB), deny=(RULE(OPS),))
    with (
        running(callee("catalog", RULED, RULES), authority, folder / "ruled"),
        running(callee("empty", EMPTY, authorization()), authority, folder / "empty"),
        running(
            callee("catalog", AUDITED, structs.replace(RULES, audit=True)), authority, folder / "audited"
        ) as audited,
        running(
            callee("ledger", STREAM, ledger_rules, ir.Protocol.TCP), authority, folder / "stream"
        ) as stream,
        running(structs.replace(web, tcp=streams), authority, folder / "web"),
    ):
        app, audited_app = App(RULED), App(AUDITED)
        Echo(STREAM)
        yield World(authority, folder, app, audited, audited_app, stream)
        app.stop()
        audited_app.stop()


def http1(world, who, method, path, headers, address):
    with (
        socket.create_connection((address, 15006), 5) as plain,
        world.context(who).wrap_socket(plain) as secure,
    ):
        lines = [f"{method} {path} HTTP/1.1", "host: catalog", *(f"{k}: {v}" for k, v in headers)]
        secure.sendall("\r\n".join([*lines, "connection: close", "", ""]).encode())
        return int(secure.recv(65536).split(b" ")[1])


def http2(world, who, method, path, headers, address):
    with (
        socket.create_connection((address, 15006), 5) as plain,
        world.context(who, "h2").wrap_socket(plain) as secure,
    ):
        return http2_get(secure, path, "catalog", method, headers)[0]


def http2_get(secure, path, authority, method="GET", headers=()):
    """Status and headers; 400 where the stream or the connection is refused."""
    assert secure.selected_alpn_protocol() == "h2"
    config = h2.config.H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False)
    client = h2.connection.H2Connection(config)
    client.initiate_connection()
    head = [(":method", method), (":scheme", "https"), (":authority", authority), (":path", path)]
    client.send_headers(1, [*head, *headers], end_stream=True)
    secure.sendall(client.data_to_send())
    while data := secure.recv(65536):
        for event in client.receive_data(data):
            if isinstance(event, h2.events.ResponseReceived):
                lines = {name.decode(): value.decode() for name, value in event.headers}
                return int(lines[":status"]), lines
            if isinstance(event, h2.events.StreamReset):
                return 400, {}
        secure.sendall(client.data_to_send())
    return 400, {}


LONG = "/abbbcd" + "b" * 2_000 + "e"
ACCESS = [
    ("web", "GET", "/", (), 200),
    ("web", "PUT", "/", (), 403),
    ("web", "POST", "/post", (), 200),
    ("web", "POST", "/post/", (), 403),
    ("web", "POST", "/posts", (), 200),
    ("web", "POST", "/posts/1?x", (), 200),
    ("web", "POST", "/postsx", (), 403),
    ("stranger", "GET", "/", (), 403),
    ("stranger", "PUT", "/open/abc", (), 200),
    ("stranger", "PUT", "/open/abc/d", (), 403),
    ("web", "GET", "/admin", (), 403),
    ("web", "GET", "/admin/x", (), 403),
    ("web", "GET", "/adminx", (), 200),
    ("web", "GET", "/secrets", (), 403),
    ("web", "GET", "/admin/health", (), 200),
    ("web", "HEAD", "/admin/health", (), 403),
    ("stranger", "GET", "/admin/health", (), 403),
    ("ops", "PUT", "/", [("x-team", "a"), ("x-level", "7")], 200),
    ("ops", "PUT", "/", [("x-team", "b"), ("x-team", "a"), ("x-level", "7")], 200),
    ("ops", "PUT", "/", [("x-team", "a"), ("x-level", "7a")], 403),
    ("ops", "PUT", "/", [("x-team", "a")], 403),
    ("ops", "PUT", "/", [], 403),
    ("web", "PUT", "/nobody", (), 403),
    ("web", "GET", "/x", [("x-bad", "")], 403),
    ("web", "GET", "/x", [("x-bad", "ok"), ("x-bad", "bbbcde")], 403),
    ("web", "GET", "/x", [("x-bad", "ok")], 200),
]


@pytest.mark.parametrize("ask", [http1, http2])
@pytest.mark.parametrize(("who", "method", "path", "headers", "status"), ACCESS)
def test_rules(world, ask, who, method, path, headers, status):
    world.app.seen.clear()
    assert ask(world, who, method, path, headers, RULED) == status
    assert len(world.app.seen) == (status == 200)


@pytest.mark.parametrize(
    ("path", "headers"),
    [(LONG, ()), ("/x", [("x-bad", LONG)]), ("/x", [("x-bad", "ok"), ("x-bad", LONG)])],
    ids=["path", "header", "second-line"],
)
def test_an_expression_that_gives_up_refuses(world, path, headers):
    world.app.seen.clear()
    assert http1(world, "web", "GET", path, headers, RULED) == 403
    assert not world.app.seen


def test_no_rule_lets_nobody_in(world):
    assert http1(world, "web", "GET", "/", (), EMPTY) == 403


@pytest.mark.parametrize(("path", "audit"), [("/admin", "denied"), ("/", "")])
def test_audit_lets_pass_and_says_so(world, path, audit):
    count = len(world.audited.log())
    assert http1(world, "web", "GET", path, (), AUDITED) == 200
    (line,) = world.audited.last_log(count + 1)[count:]
    assert (line["audit"], line["path"], line["status"]) == (audit, path, 200)


@pytest.mark.parametrize("path", ["/a/../b", "/a//b", "/%2e", "/a#b", "/\\", "*"])
def test_the_gate_holds_on_http2(world, path):
    world.app.seen.clear()
    assert http2(world, "web", "GET", path, (), RULED) == 400
    assert not world.app.seen


def test_headers_are_stripped_on_http2(world):
    world.app.seen.clear()
    names = ("x-mesh-identity", "x_mesh_identity", "x.mesh-identity", "x-forwarded-client-cert")
    spoofed = [(name, "spoofed") for name in names]
    assert http2(world, "web", "GET", "/x?y", [*spoofed, ("x-kept", "1")], RULED) == 200
    (seen,) = world.app.seen
    assert seen.target == "/x?y"
    assert sorted(seen.headers) == [
        ("host", "catalog"),
        ("x-kept", "1"),
        ("x-mesh-identity", "spiffe://shop.example/web"),
    ]


def test_a_websocket_over_http2_is_no_way_round(world):
    world.app.seen.clear()
    # HAProxy makes a GET of it, and the rules are asked about that.
    assert http2(world, "web", "CONNECT", "/admin", [(":protocol", "websocket")], RULED) == 403
    assert not world.app.seen


def exchange(port, data=b"hello"):
    with socket.create_connection((CALLER, port), 5) as connection:
        connection.settimeout(5)
        with contextlib.suppress(OSError):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            received = b""
            while part := connection.recv(65536):
                received += part
            return received
    return b""


def test_a_stream_goes_through_byte_for_byte(world):
    data = os.urandom(200_000)
    assert exchange(15432, data) == data


def test_a_stream_has_a_line_in_the_log(world):
    count = len(world.stream.log())
    assert exchange(15432, b"seven b") == b"seven b"
    # A stream's line comes at its end, and that of the test before may come late.
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline and not (lines := seen_by(world.stream, 7)):
        time.sleep(0.02)
    (line,) = lines
    assert (line["direction"], line["caller"], line["upstream"], line["status"], line["bytes_out"]) == (
        *("inbound", "web", f"{STREAM}:8080", 0, 7),
    )
    assert len(world.stream.log()) > count


def seen_by(sidecar, size):
    return [line for line in sidecar.log() if line["bytes_in"] == size]


def test_a_stream_to_nobody_is_closed(world):
    assert exchange(15433) == b""


@pytest.mark.parametrize(("who", "answer"), [("web", b"hello"), ("ops", b""), ("stranger", b"")])
def test_streams_are_for_those_who_may(world, who, answer):
    with (
        socket.create_connection((STREAM, 15006), 5) as plain,
        world.context(who).wrap_socket(plain) as secure,
    ):
        secure.settimeout(3)
        try:
            secure.sendall(b"hello")
            received = secure.recv(100)
        except OSError:
            received = b""
    assert received == answer


def test_a_stream_without_a_certificate_is_not_read(world):
    assert raw(STREAM, b"hello", port=15006, timeout=1) in (b"", b"\x15\x03\x03\x00\x02\x02\x0a")
