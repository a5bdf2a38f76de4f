"""HAProxy: what leaves the mesh and what comes into it. Real names, certificates and connections."""

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
import os
import socket
import ssl
import struct
import threading
import time
from datetime import timedelta

import pytest
from msgspec import structs

from meshctl import ir
from tests import sidecars
from tests.proxies.haproxy_fixtures import App, Authority, raw, request, running
from tests.proxies.test_haproxy_access import http2_get
from tests.sidecars import NO_RETRIES, cluster, route

pytestmark = pytest.mark.xdist_group("haproxy-egress")

NETWORK = f"127.61.{os.getpid() % 250 + 1}"
WEB, PLAIN, SECURE, OTHER, DNS, EDGE, CALLEE, SIX = (f"{NETWORK}.{number}" for number in range(31, 39))
V6_PORTS = {"inbound": 22000 + os.getpid() % 400, "outbound": 22400 + os.getpid() % 400}
APP_6 = 22800 + os.getpid() % 190
RETRIES = ir.RetryPolicy(1, (ir.RetryCondition.CONNECT_FAILURE,), sidecars.IDEMPOTENT)
SECOND = timedelta(seconds=1)


class Names:
    """A name server with a table; what is not in it does not exist, and what is None gets no answer."""

    def __init__(self, address):
        self.table, self.asked = {}, []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 53000))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                query, client = self.socket.recvfrom(4096)
                if answer := self._answer(query):
                    self.socket.sendto(answer, client)

    def _answer(self, query):
        position, labels = 12, []
        while size := query[position]:
            labels.append(query[position + 1 : position + 1 + size].decode())
            position += 1 + size
        name, (kind,) = ".".join(labels).lower(), struct.unpack(">H", query[position + 1 : position + 3])
        self.asked.append(name)
        addresses = self.table.get(name, ())
        if addresses is None:
            return None
        packed = [ipaddress.ip_address(each).packed for each in addresses]
        fitting = [each for each in packed if len(each) == {1: 4, 28: 16}.get(kind, 0)]
        head = query[:2] + struct.pack(">HHHHH", 0x8180 | (0 if addresses else 3), 1, len(fitting), 0, 0)
        records = b"".join(
            b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 1, len(each)) + each for each in fitting
        )
        return head + query[12 : position + 5] + records


class Secure:
    """An HTTPS server with a certificate of ``authority`` for one name; tells the name that it was asked for."""

    def __init__(self, address, authority, folder, name):
        who = ir.WorkloadIdentity(name.partition(".")[0], "shop.example", name.partition(".")[2])
        authority.issue(who, folder)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(folder / "tls" / "cert.pem", folder / "tls" / "cert.pem.key")
        self.context.sni_callback = lambda _socket, sni, _context: self.names.append(sni)
        self.names: list[object] = []
        self.heads: list[object] = []
        self.certificates: list[object] = []
        self.listener = socket.create_server((address, 8443))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            plain, _ = self.listener.accept()
            threading.Thread(target=self._answer, args=(plain,), daemon=True).start()

    def _answer(self, plain):
        with contextlib.suppress(OSError), self.context.wrap_socket(plain, server_side=True) as secure:
            while head := secure.recv(65536):
                self.heads.append(head)
                secure.sendall(
                    b"HTTP/1.1 425 Too Early\r\nx-mesh-status: 7\r\ncontent-length: 6\r\n\r\nsecure"
                )


def external(name, *endpoints, tls=None, dns=None):
    made = cluster(name, *endpoints)
    return structs.replace(made, identity=None, origin=ir.Origin(tls), dns=dns)


def host(name, *hostnames, to=None):
    return ir.VirtualHost(name, hostnames, (route(name, (to or name, 1), retries=RETRIES),))


@dataclasses.dataclass
class World:
    app: App
    other: App
    secure: Secure
    names: Names
    folder: object

    def clear(self):
        for each in (self.app.seen, self.other.seen, self.secure.names, self.secure.heads):
            each.clear()


def outbound(folder):
    def tls(name, file="ca.pem"):
        return ir.OriginTls(name, str(folder / file), ir.TlsVersion.V1_2)

    def follows(port, encrypted=None):
        return {"dns": ir.DnsName("", port, SECOND), "tls": encrypted}

    clusters = (
        external("plain", (PLAIN, 8080, 1)),
        external("secure", (SECURE, 8443, 1), tls=tls("api.secure.example")),
        external("misnamed", (SECURE, 8443, 1), tls=tls("www.secure.example")),
        external("foreign", (SECURE, 8443, 1), tls=tls("api.secure.example", "foreign.pem")),
        external("named", dns=ir.DnsName("named.example", 8080, SECOND)),
        external("wide", **follows(8443, tls(""))),
        external("any", **follows(0)),
    )
    hosts = (
        host("plain", "plain.example"),
        host("secure", "api.secure.example"),
        host("misnamed", "www.secure.example"),
        host("foreign", "foreign.example"),
        host("named", "named.example"),
        host("wide", "*.secure.example"),
    )
    web = sidecars.sidecar(
        "web", ir.Proxy.HAPROXY, address=WEB, virtual_hosts=hosts, clusters=clusters, inbound=False
    )
    listener = structs.replace(web.outbound, egress=route("egress", ("any", 1), retries=NO_RETRIES))
    resolvers = (ir.SocketAddress(DNS, 53000),)
    return structs.replace(web, outbound=listener, resolvers=resolvers)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    folder, authority = tmp_path_factory.mktemp("egress"), Authority("world")
    secure = Secure(SECURE, authority, folder / "secure", "api.secure.example")
    (folder / "ca.pem").write_bytes((folder / "secure" / "tls" / "ca.pem").read_bytes())
    Authority("foreign").issue(sidecars.identity("x"), folder / "foreign")
    (folder / "foreign.pem").write_bytes((folder / "foreign" / "tls" / "ca.pem").read_bytes())
    names = Names(DNS)
    names.table |= {
        "named.example": [PLAIN],
        "api.secure.example": [SECURE],
        "b.secure.example": [SECURE],
        "free.example": [OTHER],
    }
    with running(outbound(folder), Authority(), folder / "web"):
        app, other = App(PLAIN), App(OTHER)
        yield World(app, other, secure, names, folder)
        app.stop()
        other.stop()


@pytest.fixture
def world(mesh):
    mesh.clear()
    return mesh


def test_a_plain_external_gets_what_the_application_sent(world):
    sent = [("x-mesh-identity", "mine"), ("x-own", "1")]
    world.app.answer = lambda handler: handler.reply(425, b"", {"x-mesh-status": "7"})
    answer = request(WEB, "/x?y", host="plain.example", headers=sent)
    world.app.answer = lambda handler: handler.reply(200)
    assert answer.status == 425
    (seen,) = world.app.seen
    assert (seen.target, sorted(seen.headers)) == ("/x?y", sorted([("host", "plain.example"), *sent]))


@pytest.mark.parametrize(
    ("asked", "status"),
    [("api.secure.example", 425), ("www.secure.example", 503), ("foreign.example", 503)],
)
def test_a_secure_external_is_known_by_name_and_authority(world, asked, status):
    assert request(WEB, "/", host=asked).status == status
    assert len(world.secure.heads) == (status == 425)


def test_its_name_is_sent_and_nothing_of_the_meshs(world):
    request(WEB, "/x", host="api.secure.example")
    assert world.secure.names in (["api.secure.example"], [])
    assert world.secure.heads == [b"GET /x HTTP/1.1\r\nhost: api.secure.example\r\n\r\n"]


def eventually(check, seconds=6):
    deadline = time.monotonic() + seconds
    while not check() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert check()


def test_a_name_is_asked_again_and_its_last_answer_stays_until_it_is_gone(world):
    eventually(lambda: request(WEB, "/", host="named.example").status == 200)
    world.names.table["named.example"] = None
    time.sleep(3)
    assert request(WEB, "/", host="named.example").status == 200
    world.names.table["named.example"] = ()
    eventually(lambda: request(WEB, "/", host="named.example").status == 503)
    world.names.table["named.example"] = [OTHER]
    world.other.seen.clear()
    eventually(lambda: request(WEB, "/", host="named.example").status == 200 and world.other.seen)
    world.names.table["named.example"] = [PLAIN]


@pytest.mark.parametrize(
    ("asked", "status"), [("b.secure.example:443", 503), ("nowhere.secure.example", 503)]
)
def test_a_wildcard_follows_the_host_and_verifies_it(world, asked, status):
    # The certificate is for api.secure.example, which has a virtual host of its own.
    assert request(WEB, "/", host=asked).status == status
    assert not world.secure.heads
    assert world.secure.names == (["b.secure.example"] if asked.startswith("b.") else [])


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ("free.example:8080", 200),
        ("FREE.example.:8080", 200),
        pytest.param(f"{OTHER}:8080", 200, id="an address"),
        ("free.example", 503),
        ("nowhere.example:8080", 503),
        ("single:8080", 403),
        ("nobody.shop.mesh", 403),
    ],
)
def test_egress(world, asked, status):
    assert request(WEB, "/x", host=asked).status == status
    assert [dict(seen.headers)["host"] for seen in world.other.seen] == [asked] * (status == 200)


def test_a_forward_proxys_client(world):
    head = (
        b"GET http://free.example:8080/x?y HTTP/1.1\r\nhost: free.example:8080\r\nconnection: close\r\n\r\n"
    )
    assert raw(WEB, head).startswith(b"HTTP/1.1 200 ")
    assert world.other.seen[0].target == "/x?y"
    assert raw(WEB, b"CONNECT free.example:8080 HTTP/1.1\r\nhost: free.example:8080\r\n\r\n", timeout=1)[
        9:12
    ] in (b"400", b"405")


@pytest.fixture(scope="module")
def edge(tmp_path_factory):
    folder, authority = tmp_path_factory.mktemp("edge"), Authority()
    shown = Authority("public").issue(ir.WorkloadIdentity("www", "shop.example", "example.com"), folder)
    (shown / "cert.pem.key").rename(shown / "its own.key")
    web = sidecars.sidecar("web", ir.Proxy.HAPROXY, address=CALLEE, callers=("edge",))
    web = structs.replace(
        web,
        health=ir.HealthListener(
            (ir.SocketAddress(CALLEE, 15021),), "/healthz", ir.SocketAddress(CALLEE, 8080)
        ),
    )
    moved = structs.replace(
        route("moved", match=ir.RouteMatch(ir.PathMatch(ir.PathMatchKind.EXACT, "/moved"), (), ())),
        answer=ir.Redirect(302, path="/new"),
    )
    hosts = (ir.VirtualHost("edge", ("www.example.com",), (moved, route("all", ("web", 1)))),)
    gateway = sidecars.sidecar(
        "edge",
        ir.Proxy.HAPROXY,
        address=EDGE,
        virtual_hosts=hosts,
        inbound=False,
        clusters=(cluster("web", (CALLEE, 15006, 1)),),
    )
    tls = ir.ServerTls(str(shown / "cert.pem"), str(shown / "its own.key"), ir.TlsVersion.V1_2)
    listener = structs.replace(gateway.outbound, domain="", tls=tls, binds=(ir.SocketAddress(EDGE, 8443),))
    gateway = structs.replace(gateway, outbound=listener)
    with running(gateway, authority, folder / "edge"), running(web, authority, folder / "web"):
        app = App(CALLEE)
        context = ssl.create_default_context(cafile=shown / "ca.pem")
        yield app, context
        app.stop()


def ask_edge(context, target, host="www.example.com", protocols=("http/1.1",)):
    context.set_alpn_protocols(list(protocols))
    with (
        socket.create_connection((EDGE, 8443), 5) as plain,
        context.wrap_socket(plain, server_hostname="www.example.com") as secure,
    ):
        if protocols == ("h2",):
            return http2_get(secure, target, host)
        secure.sendall(f"GET {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode())
        head = secure.recv(65536).decode()
        lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        return int(head.split(" ")[1]), lines


@pytest.mark.parametrize("protocols", [("http/1.1",), ("h2",)])
@pytest.mark.parametrize(
    ("target", "asked", "status", "location"),
    [
        ("/x", "www.example.com", 200, None),
        ("/x", "WWW.example.com.:8443", 200, None),
        ("/x", "example.com", 404, None),
        ("/x", "web", 404, None),
        ("/a//b", "www.example.com", 400, None),
        ("/moved", "www.example.com", 302, "https://www.example.com:8443/new"),
        ("/moved", "www.example.com:444", 302, "https://www.example.com:444/new"),
        ("/moved", "www.example.com:443", 302, "https://www.example.com/new"),
    ],
)
def test_a_gateway(edge, protocols, target, asked, status, location):
    app, context = edge
    app.seen.clear()
    if asked.endswith(":443") and protocols == ("h2",):
        location = location.replace(".com/", ".com:8443/")  # as capabilities.py says of redirects
    got, lines = ask_edge(context, target, asked, protocols)
    assert (got, lines.get("location")) == (status, location)
    assert [dict(seen.headers)["x-mesh-identity"] for seen in app.seen] == (
        ["spiffe://shop.example/edge"] * (status == 200)
    )


@pytest.mark.parametrize(
    ("method", "target", "stopped", "status"),
    [
        ("GET", "/healthz", False, 200),
        ("HEAD", "/healthz", False, 200),
        ("GET", "/healthz?x", False, 200),
        ("POST", "/healthz", False, 404),
        ("GET", "/healthz/", False, 404),
        ("GET", "/", False, 404),
        ("GET", "/ready", False, 200),
        ("HEAD", "/ready", False, 404),
        ("GET", "/build", False, 404),
        ("GET", "/healthz", True, 503),
        ("GET", "/ready", True, 200),
    ],
)
def test_the_health_listener(edge, method, target, stopped, status):
    app, _ = edge
    app.seen.clear()
    if stopped:
        app.stop()
    try:
        spoofed = [("x-mesh-identity", "me"), ("X_Mesh_Identity", "me")]
        answers = [
            request(CALLEE, target, method=method, headers=spoofed, port=15021, host="x") for _ in range(2)
        ]
    finally:
        if stopped:
            app.start()
    assert [answer.status for answer in answers] == [status] * 2
    assert all(seen.headers == [("host", "x")] for seen in app.seen)


def test_everything_over_ipv6(tmp_path):
    def six(port):
        return ir.SocketAddress("::1", port)

    web = sidecars.sidecar("web", ir.Proxy.HAPROXY, address=SIX, callers=("web",))
    assert web.inbound is not None
    web = structs.replace(
        web,
        inbound=structs.replace(
            web.inbound,
            binds=(ir.SocketAddress(SIX, V6_PORTS["inbound"]), six(V6_PORTS["inbound"])),
            application=six(APP_6),
        ),
        outbound=structs.replace(
            web.outbound,
            binds=(ir.SocketAddress(SIX, V6_PORTS["outbound"]), six(V6_PORTS["outbound"])),
            virtual_hosts=(sidecars.virtual_host("web", route("all", ("web", 1))),),
        ),
        clusters=(cluster("web", ("::1", V6_PORTS["inbound"], 1)),),
    )
    import http.server

    class Server(http.server.ThreadingHTTPServer):
        address_family = socket.AF_INET6

    class Hello(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with Server(("::1", APP_6), Hello) as application:
        threading.Thread(target=application.serve_forever, daemon=True).start()
        with running(web, Authority(), tmp_path) as runs:
            for address in ("::1", SIX):
                assert request(address, "/", host="web", port=V6_PORTS["outbound"]).status == 200
            assert {line["upstream"] for line in runs.last_log(4)} == {
                f"[::1]:{V6_PORTS['inbound']}",
                f"[::1]:{APP_6}",
            }
        application.shutdown()
