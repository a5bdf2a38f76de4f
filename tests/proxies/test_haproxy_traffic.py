"""Two HAProxy sidecars and more, with real certificates and real requests."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import os
import signal
import socket
import ssl
import threading
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.x509.oid import NameOID
from msgspec import structs
from ruamel.yaml import YAML

from meshctl import ir
from meshctl.ir.access_logs import ACCESS_LOG_FIELDS
from tests import sidecars
from tests.proxies.haproxy_fixtures import App, Authority, raw, request, running, start, write_bundle
from tests.sidecars import NO_RETRIES, WRITTEN, cluster, route, virtual_host

# One mesh at one set of addresses for the whole file.
pytestmark = pytest.mark.xdist_group("haproxy-traffic")

# And another one for whoever runs this file on the same machine at the same time.
NETWORK = f"127.42.{os.getpid() % 250 + 1}"
WEB, ONE, TWO, STOCK, IMPOSTOR, ALONE, FULL, NOBODY = (f"{NETWORK}.{number}" for number in range(1, 9))

CONNECT = ir.RetryCondition.CONNECT_FAILURE
BOTH = (CONNECT, ir.RetryCondition.GATEWAY_ERROR)


def prefix(path, methods=(), *headers):
    return ir.RouteMatch(
        ir.PathMatch(ir.PathMatchKind.PREFIX, path), methods, tuple(ir.HeaderMatch(*each) for each in headers)
    )


def exact(path):
    return ir.RouteMatch(ir.PathMatch(ir.PathMatchKind.EXACT, path), (), ())


def retries(attempts, *conditions):
    return ir.RetryPolicy(attempts, conditions, sidecars.IDEMPOTENT)


def within(seconds):
    return ir.Timeout(timedelta(seconds=seconds), WRITTEN)


def of_catalog(name, *endpoints, **limits):
    made = structs.replace(cluster(name, *endpoints), identity=sidecars.identity("catalog"))
    return structs.replace(made, circuit_breaker=ir.CircuitBreaker(**limits)) if limits else made


CLUSTERS = (
    of_catalog("catalog", (ONE, 15006, 1), (TWO, 15006, 1)),
    of_catalog("catalog.one", (ONE, 15006, 1)),
    of_catalog("catalog.gone", (NOBODY, 15006, 100), (TWO, 15006, 1)),
    of_catalog("catalog.nobody", (NOBODY, 15006, 1)),
    of_catalog("catalog.full", (FULL, 15006, 1)),
    of_catalog("catalog.impostor", (IMPOSTOR, 15006, 1)),
    of_catalog("catalog.empty"),
    of_catalog("catalog.narrow", (ONE, 15006, 1), max_connections=2, max_requests=1024),
    cluster("stock", (STOCK, 15006, 1)),
)
ROUTES = (
    route("exact", ("catalog.one", 1), match=exact("/exact")),
    route("prefix", ("catalog.one", 1), match=prefix("/prefix")),
    route("method", ("catalog.one", 1), match=prefix("/method", ("PUT",))),
    route("header", ("catalog.one", 1), match=prefix("/header", (), ("x-beta", "yes, please"))),
    route("no-header", ("catalog.one", 1), match=prefix("/empty-header", (), ("x-beta", ""))),
    route("split", ("catalog.one", 3), ("stock", 1), match=prefix("/split")),
    route("once", ("catalog.one", 1), match=prefix("/once"), retries=NO_RETRIES),
    route("again", ("catalog", 1), match=prefix("/again"), retries=retries(2, *BOTH)),
    route("again-one", ("catalog.one", 1), match=prefix("/one-again"), retries=retries(2, *BOTH)),
    route("gone", ("catalog.gone", 1), match=prefix("/gone"), retries=retries(1, CONNECT)),
    route("nobody", ("catalog.nobody", 1), match=prefix("/nobody"), retries=retries(3, CONNECT)),
    route(
        "limited",
        ("catalog.one", 1),
        match=prefix("/limited"),
        timeout=within(0.4),
        retries=retries(5, *BOTH),
    ),
    route("full", ("catalog.full", 1), match=prefix("/full"), timeout=within(5), retries=NO_RETRIES),
    route("impostor", ("catalog.impostor", 1), match=prefix("/impostor"), retries=NO_RETRIES),
    route("empty", ("catalog.empty", 1), match=prefix("/nothing")),
    route("nowhere", match=prefix("/nowhere")),
    route("narrow", ("catalog.narrow", 1), match=prefix("/narrow"), retries=retries(1, *BOTH)),
    route("any", ("catalog", 1), match=prefix("/any")),
)


@dataclasses.dataclass
class World:
    """The sidecars and applications that all tests share; each test sets the answers it needs."""

    authority: Authority
    folder: Path
    web: object
    catalog: object
    one: App
    two: App
    stock: App
    impostor: App

    def answer(self, answer):
        for app in (self.one, self.two, self.stock, self.impostor):
            app.answer = answer
            app.seen.clear()

    @property
    def tries(self):
        return sum(len(app.seen) for app in (self.one, self.two, self.stock))


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mesh")
    authority = Authority()
    web = sidecars.sidecar(
        "web",
        ir.Proxy.HAPROXY,
        address=WEB,
        virtual_hosts=(virtual_host("catalog", *ROUTES), virtual_host("stock", route("all", ("stock", 1)))),
        clusters=CLUSTERS,
    )

    def callee(service, address):
        return sidecars.sidecar(service, ir.Proxy.HAPROXY, address=address, callers=("web", "other"))

    with (
        running(web, authority, folder / "web") as web_runs,
        running(callee("catalog", ONE), authority, folder / "one") as one_runs,
        running(callee("catalog", TWO), authority, folder / "two"),
        running(callee("stock", STOCK), authority, folder / "stock"),
        running(callee("impostor", IMPOSTOR), authority, folder / "impostor"),
    ):
        apps = App(ONE), App(TWO), App(STOCK), App(IMPOSTOR)
        yield World(authority, folder, web_runs, one_runs, *apps)
        for app in apps:
            app.stop()


@pytest.fixture
def world(mesh):
    mesh.answer(lambda handler: handler.reply(200, handler.server.app.address.encode()))
    yield mesh
    for app in (mesh.one, mesh.two, mesh.stock):
        if app.stopped:
            app.start()


@pytest.fixture
def connection():
    """A connection of the application to its sidecar that is kept from request to request."""
    with contextlib.closing(http.client.HTTPConnection(WEB, 15001, timeout=10)) as kept:
        yield kept


def statuses(*values):
    """An answer with one status after the other; the last one stays."""
    lock, left = threading.Lock(), list(values)

    def answer(handler):
        with lock:
            status = left.pop(0) if len(left) > 1 else left[0]
        handler.reply(status, b"from the application")

    return answer


def slowly(seconds):
    """An answer after a while."""

    def answer(handler):
        time.sleep(seconds)
        handler.reply(200)

    return answer


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("catalog", 200),
        ("CATALOG.shop.MESH.:15001", 200),
        ("stock", 200),
        ("nobody", 403),
        ("nobody.shop.mesh", 403),
        ("nobody.shop.mesh.", 403),
        ("shop.mesh", 404),
        ("example.com", 404),
        ("catalog.example.com", 404),
        ("xcatalog", 403),
        (None, 400),
        ("", 400),
    ],
)
def test_hosts(world, host, status):
    assert request(WEB, "/any", host=host).status == status
    assert world.tries == (status == 200)


@pytest.mark.parametrize(
    ("method", "target", "headers", "status"),
    [
        ("GET", "/exact", [], 200),
        ("GET", "/exact?query", [], 200),
        ("GET", "/exact/", [], 404),
        ("GET", "/Exact", [], 404),
        ("GET", "/prefix", [], 200),
        ("GET", "/prefix/", [], 200),
        ("GET", "/prefix/x?y", [], 200),
        ("GET", "/prefixx", [], 404),
        ("PUT", "/method", [], 200),
        ("put", "/method", [], 400),
        ("GET", "/method", [], 404),
        ("GET", "/header", [("X-Beta", "yes, please")], 200),
        ("GET", "/header", [("x-beta", "no"), ("X-BETA", "yes, please")], 200),
        ("GET", "/header", [("x-beta", "yes"), ("x-beta", "please")], 404),
        ("GET", "/header", [("x-beta", "Yes, please")], 404),
        ("GET", "/header", [], 404),
        ("GET", "/empty-header", [("x-beta", "")], 200),
        ("GET", "/empty-header", [("x-beta", "a")], 404),
        ("GET", "/empty-header", [], 404),
    ],
)
def test_routes(world, method, target, headers, status):
    assert request(WEB, target, method=method, headers=headers).status == status


def test_what_the_application_sent_arrives(world):
    sent = [("X-Two", "a"), ("X-Two", "b, c"), ("Cookie", "d=e"), ("X-Mesh-Status", "7")]
    request(
        WEB,
        "/any?x=%2F",
        method="POST",
        headers=[*sent, ("TE", "trailers"), ("Upgrade", "h2c")],
        body=b"body",
    )
    (seen,) = world.one.seen + world.two.seen
    assert (seen.method, seen.target, seen.body) == ("POST", "/any?x=%2F", b"body")
    assert sorted(seen.headers) == sorted(
        [("host", "catalog"), ("content-length", "4"), ("x-mesh-identity", "spiffe://shop.example/web")]
        + [(name.lower(), value) for name, value in sent]
    )


def test_a_split_follows_the_weights(world, connection):
    count = Counter(request(WEB, "/split", connection=connection).body for _ in range(400))
    assert sum(count.values()) == 400
    assert 250 < count[ONE.encode()] < 350  # 300, and 8.7 is one sigma


def test_a_dead_application_is_tried_elsewhere_for_any_method(world):
    world.one.stop()
    answers = [request(WEB, "/any", method="POST", body=b"x" * 20_000) for _ in range(4)]
    assert [(answer.status, answer.body) for answer in answers] == [(200, TWO.encode())] * 4
    assert [seen.body for seen in world.two.seen] == [b"x" * 20_000] * 4


def test_a_body_that_comes_late_can_be_sent_again(world):
    world.one.stop()
    for _ in range(2):
        with socket.create_connection((WEB, 15001), 5) as slow:
            slow.sendall(b"POST /any HTTP/1.1\r\nHost: catalog\r\nContent-Length: 4\r\n\r\n")
            time.sleep(0.1)
            slow.sendall(b"late")
            assert slow.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert [seen.body for seen in world.two.seen] == [b"late"] * 2


def test_a_dead_application_ends_as_503(world):
    world.one.stop()
    for target in ("/exact", "/once", "/one-again", "/limited"):
        answer = request(WEB, target)
        assert (answer.status, answer.body, answer.header("x-mesh-status")) == (503, b"", [])


def test_an_unreachable_sidecar_is_tried_elsewhere(world):
    # A hundred to one against the live one: every try but the first avoids the endpoint that failed.
    answers = [request(WEB, "/gone", method="POST", body=b"x") for _ in range(5)]
    assert [answer.status for answer in answers] == [200] * 5


def test_a_single_endpoint_is_tried_again_at_once(world):
    answer = request(WEB, "/nobody")
    assert answer.status == 503
    assert answer.seconds < 0.9  # HAProxy's pause would be a second
    assert world.web.last_log()[0]["tries"] == 4


@pytest.mark.parametrize(
    ("method", "target", "answers", "status", "tries"),
    [
        ("GET", "/again", (503, 200), 200, 2),
        ("GET", "/again", (502, 504, 200), 200, 3),
        ("PUT", "/again", (503, 200), 200, 2),
        ("POST", "/again", (503, 200), 503, 1),
        ("PATCH", "/again", (503, 200), 503, 1),
        ("GET", "/again", (500, 200), 500, 1),
        ("GET", "/again", (503,), 503, 3),
        ("GET", "/one-again", (503, 503, 200), 200, 3),
        ("GET", "/once", (503, 200), 503, 1),
        ("GET", "/exact", (503, 200), 503, 1),
    ],
)
def test_gateway_errors(world, method, target, answers, status, tries):
    world.answer(statuses(*answers))
    body = b"x" if method in ("POST", "PATCH", "PUT") else None
    answer = request(WEB, target, method=method, body=body)
    assert (answer.status, world.tries) == (status, tries)
    assert answer.body == b"from the application"


def test_a_written_timeout_covers_all_tries(world):
    def slow_failure(handler):
        time.sleep(0.15)
        handler.reply(503)

    world.answer(slow_failure)
    answer = request(WEB, "/limited")
    assert answer.status == 504
    assert 0.38 <= answer.seconds < 0.9  # its clock ticks once a turn, so a few milliseconds early
    tries = world.tries
    assert 1 < tries <= 3
    time.sleep(0.4)
    assert world.tries == tries  # none after the deadline


def test_a_written_timeout_covers_a_slow_try(world, connection):
    world.answer(slowly(1))
    for method, body in (("GET", None), ("POST", b"x"), ("GET", None)):
        answer = request(WEB, "/limited", method=method, body=body, connection=connection)
        assert answer.status == 504
        assert 0.38 <= answer.seconds < 0.9  # its clock ticks once a turn, so a few milliseconds early


def test_a_connection_that_times_out_is_503_on_any_request(world, connection):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((FULL, 15006))
    listener.listen(0)
    waiting = [socket.socket() for _ in range(3)]
    for each in waiting:
        each.setblocking(False)
        each.connect_ex((FULL, 15006))
    assert request(WEB, "/any", connection=connection).status == 200
    answer = request(WEB, "/full", connection=connection)
    for each in (*waiting, listener):
        each.close()
    assert answer.status == 503
    assert 0.9 < answer.seconds < 2.5


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (425, {}),
        (425, {"x-mesh-status": "7"}),
        (470, {}),
        (470, {"x-mesh-status": "425"}),
        (200, {"x-mesh-status": "425"}),
    ],
)
@pytest.mark.parametrize("target", ["/any", "/limited"])
def test_an_applications_own_status_survives(world, status, headers, target):
    world.answer(lambda handler: handler.reply(status, b"mine", {"x-own": "1", **headers}))
    answer = request(WEB, target)
    assert (answer.status, answer.body, answer.header("x-own")) == (status, b"mine", ["1"])
    assert answer.header("x-mesh-status") == []
    assert answer.header("x-mesh-hop") == []
    assert world.tries == 1


@pytest.mark.parametrize("target", ["/any", "/limited", "/again", "/once"])
def test_an_application_that_hangs_up_is_a_gateway_error_on_any_request(world, connection, target):
    for method, body in (("GET", None), ("POST", b"x" * 1000)):
        world.answer(lambda handler: handler.reply(200))
        assert request(WEB, target, connection=connection).status == 200
        world.answer(lambda handler: handler.reset())
        attempts = 3 if target == "/again" and method == "GET" else 1
        attempts = 6 if target == "/limited" and method == "GET" else attempts
        assert request(WEB, target, method=method, body=body, connection=connection).status in (502, 503)
        assert world.tries == attempts


def test_a_late_body_does_not_bring_the_silence_back(world, connection):
    world.answer(lambda handler: handler.reset())
    for _ in range(2):
        connection.putrequest("POST", "/once", skip_host=True)
        connection.putheader("Host", "catalog")
        connection.putheader("Content-Length", "4")
        connection.endheaders()
        time.sleep(0.1)
        connection.send(b"late")
        with contextlib.closing(connection.getresponse()) as answer:
            assert answer.status in (502, 503)
            answer.read()
    assert world.tries == 2


def test_half_a_conversation_is_not_waited_for_at_the_callee(world):
    context = ssl.create_default_context(cafile=world.folder / "one" / "tls" / "ca.pem")
    context.load_cert_chain(
        world.folder / "web" / "tls" / "cert.pem", world.folder / "web" / "tls" / "cert.pem.key"
    )
    world.one.stop()
    with socket.create_server((ONE, 8080)) as application:
        application.settimeout(5)
        with (
            socket.create_connection((ONE, 15006), 5) as plain,
            context.wrap_socket(plain, server_hostname="catalog.shop.mesh") as secure,
        ):
            secure.sendall(
                b"POST / HTTP/1.1\r\nHost: catalog\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"
            )
            taken, _ = application.accept()
            with taken:
                taken.settimeout(5)
                received = b""
                while not received.endswith(b"1\r\na\r\n"):
                    received += taken.recv(65536)


@pytest.mark.parametrize("target", ["/nothing", "/nowhere"])
def test_no_endpoint_is_503(world, target):
    assert request(WEB, target).status == 503


def test_a_server_of_another_name_is_not_spoken_to(world):
    assert request(WEB, "/impostor").status == 503
    assert not world.impostor.seen


def test_no_more_requests_than_the_circuit_breaker_allows(world):
    world.answer(slowly(1))
    answers = []
    threads = [
        # GET and POST have backends of their own, and are counted together.
        threading.Thread(
            target=lambda number=number: answers.append(
                request(
                    WEB, "/narrow", method=("GET", "POST")[number % 2], body=None if number % 2 == 0 else b"x"
                )
            )
        )
        for number in range(6)
    ]
    for thread in threads:
        thread.start()
        time.sleep(0.02)
    for thread in threads:
        thread.join()
    assert Counter(answer.status for answer in answers) == {200: 2, 503: 4}
    assert max(answer.seconds for answer in answers if answer.status == 503) < 0.5


def test_big_bodies_pass_both_ways(world):
    body = bytes(range(256)) * 800
    world.answer(lambda handler: handler.reply(200, handler.request_body))
    for target in ("/any", "/limited"):
        assert request(WEB, target, method="POST", body=body).body == body


def test_a_connection_goes_on_after_errors(world, connection):
    request(WEB, "/any", connection=connection)
    local = connection.sock.getsockname()
    for target, status in (
        ("/a//b", 400),
        ("/no-route", 404),
        ("/nothing", 503),
        ("/nobody", 503),
        ("/any", 200),
    ):
        assert request(WEB, target, connection=connection).status == status
    assert connection.sock.getsockname() == local


def vectors():
    path = Path(__file__).parents[1] / "vectors" / "paths.yaml"
    read = YAML(typ="safe", pure=True).load(path.read_text())["vectors"]
    # On the wire a blank at the end of a target is one more blank before the version.
    return [vector for vector in read if not vector["target"].endswith(" ")]


def test_path_vectors(world):
    wrong = []
    for vector in vectors():
        target = vector["target"].encode("latin-1")
        head = b"GET %s HTTP/1.1\r\nHost: stock\r\nConnection: close\r\n\r\n" % target
        world.stock.seen.clear()
        status = int(raw(WEB, head).split(b" ", 2)[1])
        accepted = vector["verdict"] == "accepted"
        through = [seen.target for seen in world.stock.seen] == ([vector["target"]] if accepted else [])
        if status != (200 if accepted else 400) or not through:
            wrong.append((vector, status, world.stock.seen))
    assert not wrong


@pytest.mark.parametrize(
    "head",
    [
        "GET /any HTTP/1.1\r\nHost: catalog\r\nHost: stock\r\n\r\n",
        "GET /any HTTP/1.1\r\n\r\n",
        "GET /any HTTP/1.0\r\n\r\n",
        "GET http://stock/any HTTP/1.1\r\nHost: catalog\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: catalog\r\n\r\n",
        "CONNECT catalog:80 HTTP/1.1\r\nHost: catalog:80\r\n\r\n",
        "POST /any HTTP/1.1\r\nHost: catalog\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "\x00\r\n\r\n",
    ],
)
def test_malformed_requests(world, head):
    assert raw(WEB, head.encode("latin-1"), timeout=1).split(b" ")[1] == b"400"
    assert world.tries == 0


def test_a_forward_proxys_target_becomes_an_origins(world):
    raw(WEB, b"GET http://catalog/any?x HTTP/1.1\r\nHost: catalog\r\nConnection: close\r\n\r\n")
    (seen,) = world.one.seen + world.two.seen
    assert seen.target == "/any?x"


def direct(world, folder, *, certificate=True, headers=(), target="/"):
    """A request straight to the inbound listener; None when it was refused before it was read."""
    context = ssl.create_default_context(cafile=world.folder / "one" / "tls" / "ca.pem")
    if certificate:
        context.load_cert_chain(folder / "tls" / "cert.pem", folder / "tls" / "cert.pem.key")
    try:
        with (
            socket.create_connection((ONE, 15006), 3) as plain,
            context.wrap_socket(plain, server_hostname="catalog.shop.mesh") as secure,
        ):
            lines = [f"GET {target} HTTP/1.1", "Host: catalog", *headers, "Connection: close", "", ""]
            secure.sendall("\r\n".join(lines).encode())
            answer = secure.recv(65536)
    except (ssl.SSLError, ConnectionError):
        return None
    return int(answer.split(b" ")[1]) if answer else None


def subject(*attributes):
    oids = {"O": NameOID.ORGANIZATION_NAME, "CN": NameOID.COMMON_NAME, "OU": NameOID.ORGANIZATIONAL_UNIT_NAME}
    return tuple((oids[key], value) for key, value in attributes)


@pytest.mark.parametrize(
    ("who", "attributes", "status"),
    [
        ("web", None, 200),
        ("other", None, 200),
        ("stranger", None, 403),
        ("web", [("CN", "web"), ("O", "shop.example")], None),
        ("web", [("O", "shop.example"), ("CN", "stranger"), ("CN", "web")], None),
        ("web", [("O", "shop.example"), ("CN", "web"), ("CN", "stranger")], None),
        ("web", [("O", "shop.example"), ("OU", "x"), ("CN", "web")], None),
        ("web", [("O", "elsewhere.example"), ("O", "shop.example"), ("CN", "web")], None),
        ("web", [("O", "elsewhere.example"), ("CN", "web")], None),
        ("web", [("O", "shopxexample"), ("CN", "web")], None),
        ("web", [("CN", "web,O=shop.example")], None),
        ("web", [("O", "shop.example"), ("CN", "web,O=shop.example")], None),
        ("web", [("O", "shop.example,CN=web")], None),
        ("web", [("O", "shop.example"), ("CN", "WEB")], None),
        ("web", [("CN", "web")], None),
    ],
)
def test_callers_are_known_by_their_whole_subject(world, tmp_path, who, attributes, status):
    world.authority.issue(sidecars.identity(who), tmp_path, attributes and subject(*attributes))
    assert direct(world, tmp_path) == status
    assert len(world.one.seen) == (status == 200)


def test_without_a_certificate_nothing_is_read(world):
    assert direct(world, world.folder, certificate=False) is None


def test_a_foreign_authoritys_caller_is_not_read(world, tmp_path):
    Authority("foreign").issue(sidecars.identity("web"), tmp_path)
    assert direct(world, tmp_path) is None
    assert not world.one.seen


def test_the_callees_gate_comes_before_authorization(world, tmp_path):
    world.authority.issue(sidecars.identity("stranger"), tmp_path)
    assert direct(world, tmp_path, target="/a/../b") == 400


def test_the_identity_is_ours_in_every_spelling(world):
    spoofed = [
        "X-Mesh-Identity",
        "x_mesh_identity",
        "x.mesh.identity",
        "X-mesh_IDENTITY",
        "X-Forwarded-Client-Cert",
    ]
    spoofed += ["x_forwarded_client_cert", "X-Forwarded.Client_Cert"]
    direct(world, world.folder / "web", headers=[f"{name}: spoofed" for name in spoofed])
    (seen,) = world.one.seen
    assert seen.headers == [("host", "catalog"), ("x-mesh-identity", "spiffe://shop.example/web")]


def test_the_access_log_of_both_sides(world):
    request(WEB, "/exact?secret=1", method="POST", body=b"12345")
    (out,) = world.web.last_log()
    (into,) = world.catalog.last_log()
    for line in (out, into):
        assert tuple(line) == ACCESS_LOG_FIELDS
        assert (line["path"], line["method"], line["host"], line["status"]) == (
            "/exact",
            "POST",
            "catalog",
            200,
        )
        assert (line["caller"], line["tries"], line["bytes_in"], line["mesh"]) == ("web", 1, 5, "shop")
        assert len(line["time"]) == len("2026-01-01T00:00:00.000Z")
        assert line["build"] == "sha256:" + "0" * 64
    assert (out["direction"], out["route"], out["service"], out["upstream"]) == (
        "outbound",
        "exact",
        "web",
        f"{ONE}:15006",
    )
    assert (into["direction"], into["route"], into["service"], into["upstream"]) == (
        "inbound",
        "",
        "catalog",
        f"{ONE}:8080",
    )


def test_the_log_counts_tries_behind_a_deadline(world):
    world.answer(statuses(503, 503, 200))
    request(WEB, "/limited")
    (line,) = world.web.last_log()
    assert (line["status"], line["tries"], line["upstream"], line["route"]) == (
        200,
        3,
        f"{ONE}:15006",
        "limited",
    )


def test_every_line_is_json_whatever_comes(world):
    count = len(world.web.log())
    hostile = [
        b'GET /a"b\\ HTTP/1.1\r\nHost: a"\\\xff\xfe\r\n\r\n',
        b'G"T / HTTP/1.1\r\n\r\n',
        b"\x16\x03\x01\x00\x00",
        b"\r\n\r\n\r\n{",
    ]
    for data in (*hostile, b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: b\r\n\r\n"):
        raw(WEB, data, timeout=0.3)
        raw(ONE, data, port=15006, timeout=0.3)
    assert len(world.web.last_log(count + 5)) >= 5
    assert all(tuple(line) == ACCESS_LOG_FIELDS for line in world.web.log() + world.catalog.log())


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/ready", 200),
        ("GET", "/build", 200),
        ("POST", "/ready", 404),
        ("GET", "/", 404),
        ("GET", "/metrics", 404),
    ],
)
def test_admin(world, method, target, status):
    answer = request(WEB, target, method=method, port=15000, host="localhost")
    assert answer.status == status
    if target == "/build":
        assert json.loads(answer.body)["build"] == "sha256:" + "0" * 64
        assert answer.header("content-type") == ["application/json"]


def test_the_socket_is_for_its_owner_only(world):
    assert (world.web.bundle / "run" / "haproxy.sock").stat().st_mode & 0o777 == 0o600


def test_a_second_sidecar_on_the_same_ports_does_not_start(world, tmp_path):
    # Of another build, so that it is the ports and not the sockets between sections that it is refused for.
    second = structs.replace(world.web.sidecar, build="sha256:" + "1" * 64)
    world.authority.issue(second.identity, tmp_path)
    write_bundle(second, tmp_path)
    process = start(second, tmp_path)
    try:
        assert process.wait(10) != 0
    finally:
        process.kill()
    assert (
        f"cannot bind socket (Address already in use) for [{WEB}:15000]" in (tmp_path / "stderr").read_text()
    )
    assert request(WEB, "/limited").status == 200


def test_a_reload_drops_nothing(world):
    failed = []
    done = threading.Event()

    def ask():
        while not done.is_set():
            try:
                if request(WEB, "/limited", timeout=5).status != 200:
                    failed.append("status")
            except (OSError, http.client.HTTPException) as error:
                failed.append(repr(error))

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.1)
    reload = world.web.reload()
    time.sleep(1)
    done.set()
    asking.join()
    assert reload == 0
    assert not failed
    assert "Loading success" in (world.web.bundle / "stderr").read_text().partition("Reloading")[2]


def test_sigterm_stops_it(tmp_path):
    with running(sidecars.sidecar("alone", ir.Proxy.HAPROXY, address=ALONE), Authority(), tmp_path) as alone:
        # The signal's own number where it comes before HAProxy has begun to listen for signals.
        assert alone.stop() in (0, -signal.SIGTERM)
    deadline = time.monotonic() + 3
    while is_listening(ALONE, 15000):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_listening(address, port):
    with socket.socket() as knocking:
        return knocking.connect_ex((address, port)) == 0
