"""What leaves the mesh through Envoy, and what comes in by a gateway: names, TLS, local ports, IPv6."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import struct
import threading
import time
from datetime import timedelta
from typing import ClassVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import structs

from meshctl import ir
from tests.proxies import envoy_fixtures as fixtures
from tests.proxies import envoy_http2 as http2
from tests.proxies.envoy_fixtures import App, Authority, Client, ask
from tests.sidecars import WRITTEN, cluster, route, sidecar, virtual_host

NETWORK = f"127.60.{os.getpid() % 250 + 1}"
WEB, OUTSIDE, NAMES, NOBODY, ONE, EDGE, PLAIN, OTHER = (f"{NETWORK}.{n}" for n in range(51, 59))
pytestmark = pytest.mark.xdist_group("envoy-egress")

PORT6 = 21100 + os.getpid() % 200 * 4
SECURE, CLEAR = 4443, 8000
REFRESH = timedelta(milliseconds=300)


def external(name, *, dns=None, address=None, port=CLEAR, tls=None):
    endpoints = ((address, port, 1),) if address else ()
    return structs.replace(
        cluster("external", *endpoints),
        name=name,
        identity=None,
        origin=ir.Origin(tls),
        dns=None if dns is None else ir.DnsName(dns, port, REFRESH),
    )


def hosted(name, *hostnames, answer=None, **others):
    its = route(name, *([(name, 1)] if answer is None else []), answer=answer, **others)
    return structs.replace(virtual_host(name, its), hostnames=hostnames)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A CA of the world and the certificates of some hosts."""
    folder = tmp_path_factory.mktemp("world")
    authority = Authority("world.example")
    for name in ("api.example.com", "*.wild.example.com", OTHER):
        issue(authority, folder, name)
    (folder / "ca.pem").write_bytes(authority._root.public_bytes(serialization.Encoding.PEM))
    return folder


def issue(authority, folder, name):
    key = ec.generate_private_key(ec.SECP256R1())
    kind = x509.IPAddress(__import__("ipaddress").ip_address(name)) if name == OTHER else x509.DNSName(name)
    leaf = authority._sign(
        fixtures._name("world", "host"), key, authority._issuing.subject, authority._key, names=[kind]
    )
    pem = serialization.Encoding.PEM
    chain = leaf.public_bytes(pem) + authority._issuing.public_bytes(pem)
    encoded = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / f"{name}.pem").write_bytes(chain + encoded)


def clusters(ca):
    def tls(name):
        return ir.OriginTls(name, str(ca), ir.TlsVersion.V1_2, WRITTEN)

    return (
        external("named", dns="api.example.com", port=SECURE, tls=tls("api.example.com")),
        external("misnamed", dns="api.example.com", port=SECURE, tls=tls("other.example.com")),
        external(
            "distrusted",
            address=OUTSIDE,
            port=SECURE,
            tls=structs.replace(tls("api.example.com"), authorities="/etc/ssl/certs/ca-certificates.crt"),
        ),
        external("fixed", address=OUTSIDE, port=SECURE, tls=tls("api.example.com")),
        external("numbered", address=OTHER, port=SECURE, tls=tls(OTHER)),
        external("clear", dns="moving.example.com"),
        external("unknown", dns="nxdomain.example.com"),
        external("wild", dns="", port=SECURE, tls=tls("")),
        external("wild-clear", dns="", port=CLEAR),
        external("open", dns="", port=0),
    )


HOSTS = (
    hosted("named", "api.example.com"),
    hosted("misnamed", "misnamed.example.com"),
    hosted("distrusted", "distrusted.example.com"),
    hosted("fixed", "fixed.example.com"),
    hosted("numbered", "numbered.example.com"),
    hosted("clear", "clear.example.com", response_headers=ir.HeaderChanges(set=(("x-set", "1"),))),
    hosted("unknown", "unknown.example.com"),
    hosted("wild", "*.wild.example.com"),
    hosted("wild-clear", "*.clear.example.com"),
    hosted("renamed", "renamed.example.com"),
)


def web(ca):
    its = sidecar("web", ir.Proxy.ENVOY, address=WEB, inbound=False, clusters=clusters(ca))
    renamed = hosted("wild-clear", "renamed.example.com", rewrite=ir.Rewrite(hostname="a.clear.example.com"))
    hosts = (*HOSTS[:-1], renamed)
    assert len({host.service for host in hosts}) < len(hosts)
    local = ir.OutboundListener(
        (ir.SocketAddress(WEB, 15003), ir.SocketAddress("::1", PORT6)),
        "",
        (hosted("clear", "*", rewrite=ir.Rewrite(hostname="clear.example.com")),),
        timedelta(seconds=60),
    )
    return structs.replace(
        its,
        outbound=structs.replace(
            its.outbound,
            binds=(its.outbound.bind, ir.SocketAddress("::1", PORT6 + 1)),
            virtual_hosts=hosts,
            egress=route("egress", ("open", 1)),
        ),
        locals=(local,),
        resolvers=(ir.SocketAddress(NOBODY, 5353), ir.SocketAddress(NAMES, 5353)),
    )


def gateway(tls=None):
    address = EDGE if tls else PLAIN
    made = sidecar(
        "edge",
        ir.Proxy.ENVOY,
        address=address,
        inbound=False,
        clusters=(cluster("catalog", (ONE, 15006, 1)),),
    )
    hosts = (
        hosted("moved", "moved.example", answer=ir.Redirect(302, path="/x")),
        structs.replace(virtual_host("catalog", route("all", ("catalog", 1))), hostnames=("shop.example",)),
    )
    outbound = structs.replace(
        made.outbound,
        domain="",
        virtual_hosts=hosts,
        tls=tls,
        binds=(ir.SocketAddress(address, 8443), ir.SocketAddress("::1", PORT6 + (2 if tls else 3))),
    )
    return structs.replace(made, outbound=outbound, instance="secure" if tls else "plain")


@pytest.fixture(scope="module")
def mesh(tmp_path_factory, world):
    authority, root = Authority(), tmp_path_factory.mktemp("mesh")
    pair = str(world / "api.example.com.pem")
    parts = (
        web(world / "ca.pem"),
        fixtures.callee("catalog", ONE, "edge"),
        gateway(ir.ServerTls(pair, pair, ir.TlsVersion.V1_2, WRITTEN)),
        gateway(),
    )
    with (
        Names({"api.example.com": OUTSIDE, "moving.example.com": OUTSIDE}),
        fixtures.running(root, authority, *parts) as started,
    ):
        yield started


class Names:
    """A DNS server that knows some A records, and says of all other names that there are none."""

    table: ClassVar[dict[str, str]] = {}
    silent = False

    def __init__(self, table):
        Names.table = dict(table)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((NAMES, 5353))
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._socket.close()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                query, sender = self._socket.recvfrom(512)
                if not Names.silent:
                    self._socket.sendto(self._answer(query), sender)

    @staticmethod
    def _answer(query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode().lower())
            at += 1 + query[at]
        kind = struct.unpack("!H", query[at + 1 : at + 3])[0]
        question = query[12 : at + 5]
        known = Names.table.get(".".join(labels))
        records = b""
        if known and kind == 1:
            records = struct.pack("!HHHIH", 0xC00C, 1, 1, 3600, 4) + socket.inet_aton(known)
        code = 0 if known else 3
        return query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, bool(records), 0, 0) + question + records


class TlsApp(App):
    """An application behind TLS that remembers the names that clients asked for, and their certificates."""

    def __init__(self, address, port, certificate):
        super().__init__(address, port)
        self.names = []
        self._certificate = certificate

    def __enter__(self):
        entered = super().__enter__()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._certificate)
        context.sni_callback = lambda _, name, __: self.names.append(name)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        return entered


@pytest.fixture(scope="module")
def apps(mesh, world):
    with (
        TlsApp(OUTSIDE, SECURE, world / "api.example.com.pem") as secure,
        TlsApp(OTHER, SECURE, world / f"{OTHER}.pem") as numbered,
        TlsApp(NOBODY, SECURE, world / "*.wild.example.com.pem") as wild,
        App(OUTSIDE, CLEAR) as clear,
        App(OTHER, CLEAR) as second,
        App(ONE) as catalog,
    ):
        yield {
            "secure": secure,
            "numbered": numbered,
            "wild": wild,
            "clear": clear,
            "second": second,
            "catalog": catalog,
        }


@pytest.fixture(autouse=True)
def _forget(apps):
    for app in apps.values():
        app.seen.clear()
        if isinstance(app, TlsApp):
            app.names.clear()


@pytest.mark.parametrize(
    ("host", "app", "name"),
    [
        ("api.example.com", "secure", "api.example.com"),
        ("fixed.example.com", "secure", "api.example.com"),
        ("numbered.example.com", "numbered", None),
    ],
)
def test_tls_to_an_external(apps, host, app, name):
    answer = ask(WEB, "POST", "/x?y", host=host, headers=[("x-mesh-identity", "mine")], body=b"abc")
    assert answer.status == 200
    (seen,) = apps[app].seen
    assert seen["target"] == "/x?y"
    assert set(seen["headers"]) == {("host", host), ("x-mesh-identity", "mine"), ("content-length", "3")}
    assert set(apps[app].names) <= {name}


@pytest.mark.parametrize("host", ["misnamed.example.com", "distrusted.example.com", "unknown.example.com"])
def test_externals_that_are_not_believed_or_found(apps, host):
    assert ask(WEB, host=host).status == 503
    assert all(app.seen == [] for app in apps.values())


@pytest.mark.parametrize(
    ("given", "status", "headers"),
    [
        ("status=425&body=x", 425, []),
        ("status=470&body=x&headers=x-mesh-status%3D425", 470, []),
        ("status=503&body=x", 503, []),
        ("status=302&body=x&headers=x-mesh-status%3Dredirect%26location%3D/y", 302, ["/y"]),
    ],
)
def test_nothing_of_the_mesh_is_believed_from_an_external(apps, given, status, headers):
    answer = ask(WEB, "GET", f"/?{given}", host="clear.example.com")
    assert (answer.status, answer.values("location"), answer.body) == (status, headers, b"x")
    assert (answer.values("x-mesh-status"), answer.values("x-set")) == ([], ["1"])
    assert len(apps["clear"].seen) == 1


def test_names_are_asked_again_and_the_last_answer_stays(apps):
    def where():
        return ask(WEB, host="clear.example.com").body.decode()

    assert where() == OUTSIDE
    Names.table["moving.example.com"] = OTHER
    deadline = time.monotonic() + 5
    while where() != OTHER:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    Names.silent = True
    try:
        time.sleep(2)
        assert where() == OTHER
    finally:
        Names.silent = False
        Names.table["moving.example.com"] = OUTSIDE
    while where() != OUTSIDE:
        assert time.monotonic() < deadline + 10
        time.sleep(0.05)


def test_wildcards_follow_the_host(apps):
    Names.table |= {
        "a.wild.example.com": NOBODY,
        "b.c.wild.example.com": NOBODY,
        "x.wild.example.com": OUTSIDE,
    }
    for host in ("a.wild.example.com", "a.wild.example.com:99", "A.wild.example.com", "a.wild.example.com."):
        apps["wild"].seen.clear()
        answer = ask(WEB, host=host)
        assert answer.status == 200, (host, answer.body)
        assert dict(apps["wild"].seen[0]["headers"])["host"] == host
    assert {name.lower().rstrip(".") for name in apps["wild"].names} <= {"a.wild.example.com"}
    # The certificate is good for one label only, and the other server has another name.
    assert ask(WEB, host="b.c.wild.example.com").status == 503
    assert ask(WEB, host="x.wild.example.com").status == 503
    assert ask(WEB, host="gone.wild.example.com").status == 503
    assert len(apps["wild"].seen) == 1


def test_a_wildcards_port_is_the_external_s_own(apps):
    Names.table["a.clear.example.com"] = OUTSIDE
    for host in ("a.clear.example.com", "a.clear.example.com.:80", "renamed.example.com:1"):
        assert ask(WEB, host=host).status == 200, host
    hosts = [dict(seen["headers"])["host"] for seen in apps["clear"].seen]
    assert hosts == ["a.clear.example.com", "a.clear.example.com.:80", "a.clear.example.com"]


def test_egress(apps):
    Names.table["anything.example.net"] = OUTSIDE
    for host in (f"anything.example.net:{CLEAR}", f"{OUTSIDE}:{CLEAR}", f"Anything.example.net.:{CLEAR}"):
        apps["clear"].seen.clear()
        assert ask(WEB, target="/x", host=host).status == 200, host
        assert dict(apps["clear"].seen[0]["headers"]) == {"host": host}
    for host, status in (
        (f"nothing.example.net:{CLEAR}", 503),
        ("anything.example.net", 503),
        (f"{NOBODY}:1", 503),
        ("single", 403),
        ("x.shop.mesh", 403),
        ("[::1]:1", 503),
    ):
        assert ask(WEB, host=host).status == status, host


def test_absolute_targets(apps):
    with Client(WEB) as client:
        client.send(b"GET http://clear.example.com/a?b HTTP/1.1\r\nHost: other\r\n\r\n")
        assert client.receive().status == 200
        client.send(b"GET http://clear.example.com HTTP/1.1\r\nHost: clear.example.com\r\n\r\n")
        assert client.receive().status == 200
        client.send(b"GET http://clear.example.com/a//b HTTP/1.1\r\nHost: clear.example.com\r\n\r\n")
        assert client.receive().status == 400
    assert [(seen["target"], dict(seen["headers"])["host"]) for seen in apps["clear"].seen] == [
        ("/a?b", "clear.example.com"),
        ("/", "clear.example.com"),
    ]


@pytest.mark.parametrize("place", [(WEB, 15003), ("::1", PORT6), ("::1", PORT6 + 1)], ids=["v4", "v6", "own"])
def test_local_ports_and_ipv6(mesh, apps, place):
    address, port = place
    host = "clear.example.com" if port == PORT6 + 1 else "whatever:1"
    with Client(address, port) as client:
        assert client.ask(target="/x", host=host).status == 200
        assert client.ask(target="/a//b", host=host).status == 400
    assert dict(apps["clear"].seen[0]["headers"])["host"] == "clear.example.com"
    assert mesh["web"].logged(path="/x", host=host)["upstream"] == f"{OUTSIDE}:{CLEAR}"


def world_context(world):
    context = ssl.create_default_context(cafile=world / "ca.pem")
    context.check_hostname = False
    return context


@pytest.mark.parametrize("place", [(EDGE, 8443), ("::1", PORT6 + 2)], ids=["v4", "v6"])
def test_gateway_over_http1(mesh, apps, world, place):
    address, port = place
    with Client(address, port, world_context(world), "shop.example") as client:
        spoofed = [("x-mesh-identity", "spiffe://shop.example/admin"), ("x-forwarded-proto", "ftp")]
        assert client.ask(target="/x", host="shop.example:8443", headers=spoofed).status == 200
        assert client.ask(host="unknown.example").status == 404
        assert client.ask(host="single").status == 404
        assert client.ask(host="catalog").status == 404
        assert client.ask(target="/a/../b", host="shop.example").status == 400
        moved = client.ask(target="/y?z", host="moved.example").values("location")
        assert moved == [f"https://moved.example:{8443}/x?z"]
        moved = client.ask(target="/y", host="moved.example:443").values("location")
        assert moved == ["https://moved.example/x"]
    (seen,) = apps["catalog"].seen
    assert sorted(seen["headers"]) == [
        ("host", "shop.example:8443"),
        ("x-forwarded-proto", "ftp"),
        ("x-mesh-identity", "spiffe://shop.example/edge"),
    ]


def test_gateway_over_http2(mesh, apps, world):
    def asked(*fields, body=b""):
        return http2.ask(EDGE, 8443, world_context(world), "shop.example", http2.head(*fields), body)

    assert asked("POST", "/x?y", "shop.example", ("te", "trailers"), body=b"abc").status == 200
    (seen,) = apps["catalog"].seen
    assert (seen["target"], seen["body"]) == ("/x?y", 3)
    assert {"host", "x-mesh-identity"} <= {name for name, _ in seen["headers"]}
    assert asked("GET", "/", "unknown").status == 404
    assert asked("GET", "/a//b", "shop.example").status == 400
    assert asked("GET", "/?status=425", "shop.example").status == 425
    assert mesh["edgesecure"].logged(path="/x")["direction"] == "outbound"


def test_plain_gateway(apps):
    assert ask(PLAIN, host="shop.example", port=8443).status == 200
    moved = ask(PLAIN, host="moved.example", port=8443).values("location")
    assert moved == ["http://moved.example:8443/x"]


def test_gateway_reads_a_new_certificate(mesh, world):
    def shown():
        with Client(EDGE, 8443, world_context(world), "shop.example") as client:
            return client._socket.getpeercert()["serialNumber"]

    before = shown()
    renewed = world / "renewed.pem"
    renewed.write_bytes((world / "*.wild.example.com.pem").read_bytes())
    renewed.rename(world / "api.example.com.pem")
    deadline = time.monotonic() + 5
    while shown() == before:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_gateway_does_not_start_without_its_certificate(tmp_path, world):
    missing = str(world / "missing.pem")
    bundle = fixtures.write_bundle(
        gateway(ir.ServerTls(missing, missing, ir.TlsVersion.V1_2)), tmp_path, Authority()
    )
    refused = fixtures.Running(bundle, wait=False)
    try:
        assert refused.process.wait(10) == 1
    finally:
        refused.stop()
    assert f"cannot read {missing}" in (bundle / "stderr").read_text()
