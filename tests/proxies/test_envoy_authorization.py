"""Who is let in by Envoy's sidecar: over HTTP/1.1 and HTTP/2, over TCP, and past the health listener."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import socket
import threading
import time
from datetime import timedelta

import pytest
from msgspec import structs
from ruamel.yaml import YAML

from meshctl import ir
from meshctl.targets.envoy import authorization
from tests.proxies import envoy_fixtures as fixtures
from tests.proxies import envoy_http2 as http2
from tests.proxies.envoy_fixtures import App, Authority, Client, ask
from tests.proxies.test_envoy_traffic import VECTORS, aliases
from tests.sidecars import WRITTEN, cluster, identity, sidecar

NETWORK = f"127.60.{os.getpid() % 250 + 1}"
VAULT, AUDITED, OPEN, WEB, LEDGER, PUBLIC, WATCHED, SIX = (f"{NETWORK}.{n}" for n in range(11, 19))
pytestmark = pytest.mark.xdist_group("envoy-authorization")

EXACT, PREFIX, REGEX = ir.PathMatchKind.EXACT, ir.PathMatchKind.PREFIX, ir.PathMatchKind.REGEX
IS, FITS, HAS = ir.ValueMatchKind.EXACT, ir.ValueMatchKind.REGEX, ir.ValueMatchKind.PRESENT
CALLERS = ("a", "b", "ab", "c")


def rule(*callers, methods=(), paths=(), headers=()):
    return ir.AuthorizationRule(
        principals=tuple(identity(name) for name in callers if name != "*"),
        anyone="*" in callers,
        methods=methods,
        paths=tuple(ir.PathMatch(*each) for each in paths),
        headers=tuple(ir.HeaderMatch(*each) for each in headers),
        at=WRITTEN,
    )


RULES = ir.Authorization(
    ir.AuthorizationMode.EXPLICIT,
    exempt=(rule("a", "b", methods=("GET",), paths=[(EXACT, "/healthz")]),),
    deny=(
        rule("*", paths=[(PREFIX, "/admin"), (EXACT, "/healthz")]),
        rule("*", methods=("DELETE", "PATCH")),
        rule("a", headers=[("x-evil", "yes", IS)]),
        rule("b", headers=[("x-evil", "[0-9]+", FITS), ("x-more", "", HAS)]),
        rule(),
    ),
    rules=(
        rule("a"),
        rule(
            "b", methods=("GET", "HEAD"), paths=[(PREFIX, "/b"), (REGEX, "/items/[0-9]+"), (EXACT, "/only")]
        ),
        rule("*", paths=[(PREFIX, "/pass")], headers=[("x-pass", "open", IS)]),
        rule(),
    ),
)
TABLE = [
    ("a", "GET", "/", (), True),
    ("a", "POST", "/b?admin", (), True),
    ("a", "GET", "/admin", (), False),
    ("a", "GET", "/admin/x?y", (), False),
    ("a", "GET", "/administrator", (), True),
    ("a", "GET", "/x/admin", (), True),
    ("a", "GET", "/Admin", (), True),
    ("a", "DELETE", "/", (), False),
    ("a", "PATCH", "/", (), False),
    ("a", "GET", "/healthz", (), True),
    ("a", "GET", "/healthz?x=1", (), True),
    ("a", "HEAD", "/healthz", (), False),
    ("b", "GET", "/healthz", (), True),
    ("c", "GET", "/healthz", (), False),
    ("a", "GET", "/", [("x-evil", "no"), ("x-evil", "yes")], False),
    ("a", "GET", "/", [("x-evil", "yes,"), ("x-evil", "7")], True),
    ("b", "GET", "/b", (), True),
    ("b", "GET", "/b/x", (), True),
    ("b", "HEAD", "/b", (), True),
    ("b", "POST", "/b", (), False),
    ("b", "GET", "/bc", (), False),
    ("b", "GET", "/items/12?x", (), True),
    ("b", "GET", "/items/12/x", (), False),
    ("b", "GET", "/only", (), True),
    ("b", "GET", "/only/", (), False),
    ("b", "GET", "/b", [("x-evil", "x"), ("x-evil", "12"), ("x-more", "")], False),
    ("b", "GET", "/b", [("x-evil", "12")], True),
    ("ab", "GET", "/", (), False),
    ("c", "GET", "/", (), False),
    ("c", "GET", "/pass", [("x-pass", "closed"), ("x-pass", "open")], True),
    ("c", "GET", "/pass", [("x-pass", "open,closed")], False),
    ("c", "DELETE", "/pass", [("x-pass", "open")], False),
]


def guarded(name, address, its, **inbound):
    made = fixtures.callee(name, address)
    return structs.replace(made, inbound=structs.replace(made.inbound, authorization=its, asks=(), **inbound))


def only(*allowed, deny=(), exempt=(), audit=False):
    return ir.Authorization(
        ir.AuthorizationMode.OPEN,
        tuple(rule(each) for each in allowed),
        deny=tuple(rule(each) for each in deny),
        exempt=tuple(rule(each) for each in exempt),
        audit=audit,
    )


def stream(name, address, its):
    return guarded(name, address, its, protocol=ir.Protocol.TCP)


def tcp_cluster(name, *addresses):
    return structs.replace(
        cluster(name, *((address, 15006, 1) for address in addresses), idle_timeout=timedelta(seconds=2)),
        protocol=ir.Protocol.TCP,
    )


def listening(port, name):
    return ir.TcpListener((ir.SocketAddress(WEB, port), ir.SocketAddress("::1", port)), name, name)


def web():
    made = sidecar(
        "a",
        ir.Proxy.ENVOY,
        address=WEB,
        inbound=False,
        clusters=(
            tcp_cluster("ledger", LEDGER),
            tcp_cluster("public", PUBLIC),
            tcp_cluster("gone", f"{NETWORK}.99"),
            tcp_cluster("none"),
        ),
    )
    port = 21000 + os.getpid() % 200 * 4
    names = ("ledger", "public", "gone", "none")
    return structs.replace(made, tcp=tuple(listening(port + n, name) for n, name in enumerate(names)))


CALLER = web()
PORTS = {each.service: each.binds[0].port for each in CALLER.tcp}


def watched():
    made = guarded("watched", WATCHED, only("a"))
    health = ir.HealthListener((ir.SocketAddress(WATCHED, 15021),), "/healthz", made.inbound.application)
    return structs.replace(made, health=health)


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture(scope="module")
def mesh(authority, tmp_path_factory):
    parts = (
        guarded("vault", VAULT, RULES),
        guarded("audited", AUDITED, structs.replace(RULES, audit=True)),
        guarded("open", OPEN, only("*", deny=("b",))),
        CALLER,
        stream("ledger", LEDGER, only("a", "b", deny=("b",))),
        stream("public", PUBLIC, only("*", deny=("b", "ac"))),
        watched(),
    )
    with fixtures.running(tmp_path_factory.mktemp("mesh"), authority, *parts) as started:
        yield started


@pytest.fixture(scope="module")
def apps(mesh):
    with contextlib.ExitStack() as stack:
        yield {each: stack.enter_context(App(each)) for each in (VAULT, AUDITED, OPEN, WATCHED)}


@pytest.fixture(autouse=True)
def _forget(apps):
    for app in apps.values():
        app.seen.clear()


@pytest.fixture(scope="module")
def contexts(authority, tmp_path_factory):
    def context(name):
        folder = tmp_path_factory.mktemp(name)
        authority.issue(name, folder / "tls")
        return fixtures.client_context(folder)

    return {name: context(name) for name in CALLERS}


def over_h1(address, context, method, target, headers, host="vault"):
    with Client(address, 15006, context, f"{host}.shop.mesh") as client:
        return client.ask(method, target, headers=headers)


def over_h2(address, context, method, target, headers, host="vault"):
    return http2.ask(address, 15006, context, f"{host}.shop.mesh", http2.head(method, target, host, *headers))


OVER = pytest.mark.parametrize("over", [over_h1, over_h2])


@OVER
@pytest.mark.parametrize(("caller", "method", "target", "headers", "allowed"), TABLE)
def test_rules(apps, contexts, over, caller, method, target, headers, allowed):
    context = fresh(contexts[caller])
    answer = over(VAULT, context, method, target, headers)
    assert answer.status == (200 if allowed else 403)
    assert len(apps[VAULT].seen) == allowed


def fresh(context):
    """ALPN is set on a context, so one that had it once would offer it again."""
    context.set_alpn_protocols(["http/1.1"])
    return context


def test_audit_lets_pass_and_tells(mesh, apps, contexts):
    expected = []
    for caller, method, target, headers, allowed in TABLE:
        answer = over_h1(AUDITED, fresh(contexts[caller]), method, target, headers, "audited")
        assert answer.status == 200, target
        expected.append((caller, method, target.partition("?")[0], "" if allowed else "denied"))
    refused = over_h1(AUDITED, fresh(contexts["c"]), "GET", "/a//b", (), "audited")
    assert refused.status == 400
    expected.append(("c", "GET", "/a//b", ""))

    def told():
        lines = (line for line in mesh["audited"].log() if line["direction"] == "inbound")
        return [tuple(line[key] for key in ("caller", "method", "path", "audit")) for line in lines]

    deadline = time.monotonic() + 5
    while len(told()) < len(expected) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert sorted(told()) == sorted(expected)


def test_everybody_but_one(mesh, apps, contexts):
    for caller, status in (("a", 200), ("b", 403), ("ab", 200), ("c", 200)):
        assert over_h1(OPEN, fresh(contexts[caller]), "GET", f"/{caller}", (), "open").status == status
        assert mesh["open"].logged(path=f"/{caller}", status=status)["caller"] == caller


@OVER
def test_identity_over_both(apps, contexts, over):
    spoofed = [(name.lower(), "spiffe://shop.example/admin") for name in aliases("x-mesh-identity")]
    assert over(VAULT, fresh(contexts["a"]), "GET", "/", spoofed).status == 200
    seen = dict(apps[VAULT].seen[0]["headers"])
    assert seen == {"host": seen["host"], "x-mesh-identity": "spiffe://shop.example/a"}


@OVER
def test_gate_over_both(apps, contexts, over):
    listed = YAML(typ="safe", pure=True).load(VECTORS.read_text())["vectors"]
    refused = [each["target"] for each in listed if each["verdict"] != "accepted"]
    context = fresh(contexts["c"])
    targets = [each for each in refused if each == each.strip() and " " not in each]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda target: over(VAULT, context, "GET", target, [("x-pass", "open")]), targets)
        for target, answer in zip(targets, answers, strict=True):
            # HTTP/2 may also end the stream as malformed; nothing may pass.
            assert answer is None or answer.status == 400, target
    assert len(targets) > 100
    assert apps[VAULT].seen == []


@pytest.mark.parametrize(
    "fields",
    [
        [(":method", "GET"), (":scheme", "https"), (":path", "/")],
        [(":method", "GET"), (":scheme", "https"), (":path", "/"), ("host", "vault"), ("host", "x")],
        [(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "vault,x")],
        [(":method", "CONNECT"), (":authority", "vault:80")],
        [(":method", "CONNECT"), (":protocol", "websocket"), *http2.head()[1:]],
        [(":method", "GET"), (":scheme", "https"), (":path", "*"), (":authority", "vault")],
        [(":method", "OPTIONS"), (":scheme", "https"), (":path", "*"), (":authority", "vault")],
        [(":method", "GET"), (":scheme", "https"), (":path", "http://vault/"), (":authority", "vault")],
        http2.head("GET", "/", "vault", ("transfer-encoding", "chunked")),
        http2.head("GET", "/", "vault", ("connection", "close")),
        http2.head("GET", "/", "vault", ("x-a", "a\r\nx-mesh-identity: b")),
        http2.head("GET", "/", "vault", ("X-Mesh-Identity", "b")),
        http2.head("POST", "/", "vault", ("content-length", "3")),
    ],
)
def test_malformed_http2(apps, contexts, fields):
    answer = http2.ask(VAULT, 15006, contexts["a"], "vault.shop.mesh", fields)
    assert answer is None or answer.status == 400
    assert apps[VAULT].seen == []


def test_host_of_http2_reaches_the_application(apps, contexts):
    fields = http2.head("GET", "/?q", "Vault:80", ("host", "other"), ("te", "trailers"))
    assert http2.ask(VAULT, 15006, contexts["a"], "vault.shop.mesh", fields, b"abc").status == 200
    (seen,) = apps[VAULT].seen
    assert [value for name, value in seen["headers"] if name == "host"] == ["Vault:80"]
    assert (seen["target"], seen["body"]) == ("/?q", 3)


def test_dead_application_over_http2(mesh, apps, contexts):
    """What a client of HTTP/2 sees is what any hop sees."""
    fields = http2.head("GET", "/?status=425", "vault")
    answer = http2.ask(VAULT, 15006, contexts["a"], "vault.shop.mesh", fields)
    assert (answer.status, answer.values("x-mesh-status")) == (470, ["425"])


class Greeter:
    """Speaks first, then says back what it hears, then what came after the other side had ended."""

    def __init__(self, address):
        self.accepted = 0
        self._listening = socket.create_server((address, 8080))
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._listening.close()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self.accepted += 1
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    @staticmethod
    def _talk(connection):
        with connection, contextlib.suppress(OSError):
            connection.sendall(b"hello ")
            while data := connection.recv(65536):
                connection.sendall(data)
            connection.sendall(b" bye")


@pytest.fixture(scope="module")
def greeters(mesh):
    with Greeter(LEDGER) as ledger, Greeter(PUBLIC) as public:
        yield {"ledger": ledger, "public": public}


def talk(sock, data=b""):
    """Everything that comes back, until it ends; a reset is an end too."""
    told = b""
    with sock, contextlib.suppress(OSError):
        sock.settimeout(5)
        if data:
            sock.sendall(data)
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_WR)
        while received := sock.recv(65536):
            told += received
    return told


@pytest.mark.parametrize("address", ["v4", "v6"])
def test_stream(greeters, address):
    place = WEB if address == "v4" else "::1"
    data = bytes(range(256)) * 1000
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        results = pool.map(lambda _: talk(socket.create_connection((place, PORTS["ledger"])), data), range(4))
        assert all(told == b"hello " + data + b" bye" for told in results)


@pytest.mark.parametrize("name", ["gone", "none"])
def test_stream_to_nowhere_is_closed(mesh, name):
    assert talk(socket.create_connection((WEB, PORTS[name])), b"x") == b""


@pytest.mark.parametrize(
    ("service", "caller", "allowed"),
    [
        ("ledger", "a", True),
        ("ledger", "b", False),
        ("ledger", "ab", False),
        ("ledger", "c", False),
        ("public", "a", True),
        ("public", "b", False),
        ("public", "ab", True),
        ("public", "c", True),
    ],
)
def test_stream_rules(greeters, contexts, service, caller, allowed):
    """A stranger gets nothing of an application that speaks first, nor does he reach it."""
    before = greeters[service].accepted
    context = fresh(contexts[caller])
    address = LEDGER if service == "ledger" else PUBLIC
    plain = socket.create_connection((address, 15006), timeout=5)
    told = b""
    with (
        contextlib.suppress(OSError),
        context.wrap_socket(plain, server_hostname=f"{service}.shop.mesh") as sock,
    ):
        told = sock.recv(100)
    assert told == (b"hello " if allowed else b"")
    assert greeters[service].accepted - before == allowed


@pytest.mark.parametrize(
    ("its", "in_", "out"),
    [
        (only(), (), ("a", "")),
        (only("a", "b"), ("a", "b"), ("ab", "c", "")),
        (only("a", deny=("*",)), (), ("a",)),
        (only("*", deny=("*",), exempt=("c",)), ("c",), ("a",)),
        (only("*"), ("a", "zz"), ()),
        (only("*", deny=("a", "ab", "b-c"), exempt=("b-c",)), ("b", "abc", "c", "b-c", "bx"), ("a", "ab")),
        (only("*", deny=("abc", "abd")), ("ab", "abcd", "a", "abe", "x"), ("abc", "abd")),
        (only(audit=True), ("a", "b"), ()),
    ],
)
def test_names_of_a_stream(its, in_, out):
    import re2

    def allowed(name):
        full = f"spiffe://shop.example/{name}"
        for matcher in authorization.tcp_names(its, "shop.example"):
            match matcher:
                case {"exact": text} if full == text and name:
                    return True
                case {"prefix": text} if full.startswith(text):
                    return True
                case {"safe_regex": {"regex": regex}} if re2.compile(regex).fullmatch(full):
                    return True
        return False

    assert [name for name in (*in_, *out) if allowed(name)] == list(in_)


def test_health_listener(mesh, apps):
    def probe(method, target, *headers):
        return ask(WATCHED, method, target, port=15021, headers=headers)

    spoofed = ("x_mesh.identity", "spiffe://shop.example/admin")
    assert probe("GET", "/healthz?x=1", spoofed).body == WATCHED.encode()
    (seen,) = apps[WATCHED].seen
    assert seen["target"] == "/healthz?x=1"
    assert {name for name, _ in seen["headers"]} == {"host"}
    assert probe("HEAD", "/healthz").status == 200
    assert probe("GET", "/healthz?status=503").status == 503
    answer = probe("GET", "/healthz?status=425")
    assert (answer.status, answer.values("x-mesh-status")) == (425, [])
    assert probe("GET", "/ready").status == 200
    apps[WATCHED].seen.clear()
    for method, target in (
        ("POST", "/healthz"),
        ("GET", "/healthz/"),
        ("GET", "/x/../healthz"),
        ("HEAD", "/build"),
        ("GET", "/"),
        ("POST", "/ready"),
        ("DELETE", "/quitquitquit"),
    ):
        assert probe(method, target).status == 404, target
    assert apps[WATCHED].seen == []


def test_health_of_a_dead_application(tmp_path):
    made = watched()
    moved = structs.replace(
        fixtures.callee("watched", SIX),
        health=structs.replace(
            made.health,
            binds=(ir.SocketAddress(SIX, 15021),),
            application=ir.SocketAddress(SIX, 8080),
        ),
    )
    with fixtures.running(tmp_path, Authority(), moved):
        assert ask(SIX, "GET", "/healthz", port=15021).status == 503
        assert json.loads(ask(SIX, "GET", "/build", port=15000).body)["service"] == "watched"
