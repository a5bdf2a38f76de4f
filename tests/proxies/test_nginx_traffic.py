"""Two NGINX sidecars, real certificates, real applications: what docs/wire-contract.md promises."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import pwd
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from msgspec import structs
from ruamel.yaml import YAML

from meshctl import ir
from meshctl.ir.access_logs import ACCESS_LOG_FIELDS
from meshctl.targets.nginx import COMMANDS
from tests.proxies.nginx_fixtures import (
    App,
    Running,
    new_authority,
    raw,
    request,
    running,
    start,
    write_bundle,
    write_tls,
)
from tests.sidecars import (
    IDEMPOTENT,
    NO_RETRIES,
    WRITTEN,
    cluster,
    identity,
    route,
    sidecar,
    virtual_host,
)

# One mesh on fixed addresses for the whole file.
pytestmark = pytest.mark.xdist_group("nginx-traffic")

WEB, V1, V2, NOBODY = "127.43.0.1", "127.43.0.2", "127.43.0.3", "127.43.0.9"
LATE = 2.0
"""Seconds that 400 ms may take on a machine with other things to do; without the timeout it would be more."""

ONE, TWO = (V1, 15006, 1), (V2, 15006, 1)
VECTORS = Path(__file__).parents[1] / "vectors" / "paths.yaml"


def retries(
    attempts: int, *conditions: ir.RetryCondition, methods: tuple[str, ...] = IDEMPOTENT
) -> ir.RetryPolicy:
    return ir.RetryPolicy(attempts, conditions, methods, at=WRITTEN)


def timeout(milliseconds: int) -> ir.Timeout:
    return ir.Timeout(timedelta(milliseconds=milliseconds), at=WRITTEN)


def match(path: str = "/", *methods: str, exact: bool = False, **headers: str) -> ir.RouteMatch:
    kind = ir.PathMatchKind.EXACT if exact else ir.PathMatchKind.PREFIX
    conditions = tuple(ir.HeaderMatch(name.replace("_", "-"), value) for name, value in headers.items())
    return ir.RouteMatch(ir.PathMatch(kind, path), methods, conditions)


CONNECT, GATEWAY = ir.RetryCondition.CONNECT_FAILURE, ir.RetryCondition.GATEWAY_ERROR
BOTH = retries(2, CONNECT, GATEWAY)

HOSTS = (
    virtual_host("catalog", route("all", ("catalog.one", 1))),
    virtual_host(
        "routed",
        route("exact", ("catalog.one", 1), match=match("/shop", exact=True)),
        route("method", ("catalog.one", 1), match=match("/shop", "GET", "PUT")),
        route("beta", ("catalog.two", 1), match=match("/", x_beta="True", x_tier="a \"$b\" \\ 'c'")),
        route("gamma", ("catalog.two", 1), match=match("/", "GET", x_gamma="1")),
        route("prefix", ("catalog.one", 1), match=match("/api")),
        route("strange", ("catalog.one", 1), match=match("/a.b/$host{1}\"'|(x)", exact=True)),
    ),
    virtual_host("split", route("split", ("catalog.one", 9), ("catalog.two", 1))),
    virtual_host(
        "thirds", route("thirds", *((f"catalog.{n}", 1) for n in ("one", "two", "both")), retries=BOTH)
    ),
    virtual_host("fan", route("fan", ("catalog.one", 1), ("orders", 1), ("catalog.none", 1))),
    virtual_host("weighted", route("weighted", ("catalog.heavy", 1))),
    virtual_host("both", route("both", ("catalog.both", 1), retries=BOTH)),
    virtual_host("again", route("again", ("catalog.one", 1), retries=BOTH)),
    virtual_host("never", route("never", ("catalog.one", 1), retries=NO_RETRIES)),
    virtual_host("gateway", route("gateway", ("catalog.one", 1), retries=retries(2, GATEWAY))),
    virtual_host("posts", route("posts", ("catalog.one", 1), retries=retries(1, GATEWAY, methods=("POST",)))),
    virtual_host("often", route("often", ("catalog.one", 1), retries=retries(8, CONNECT))),
    virtual_host("halfdead", route("halfdead", ("catalog.halfdead", 1))),
    virtual_host("dead", route("dead", ("catalog.dead", 1))),
    virtual_host("none", route("none", ("catalog.none", 1))),
    virtual_host("empty", route("empty")),
    virtual_host("impostor", route("impostor", ("impostor", 1))),
    virtual_host(
        "quick",
        route("short", ("catalog.both", 1), timeout=timeout(400), retries=BOTH, match=match("/short")),
        route("blink", ("catalog.one", 1), timeout=timeout(43), retries=BOTH, match=match("/blink")),
        route("off", ("catalog.one", 1), timeout=timeout(0), match=match("/off")),
        route("long", ("catalog.one", 1), timeout=timeout(3000)),
    ),
    virtual_host("narrow", route("narrow", ("catalog.narrow", 1))),
    virtual_host(
        "many",
        *(route(f"r{n}", ("catalog.one", 1), match=match(f"/S{n % 20}/{n}")) for n in range(60)),
        route("gets", ("catalog.two", 1), match=match("/", "GET", x_beta="1")),
        route("s3", ("catalog.one", 1), match=match("/s3")),
        route("rest", ("catalog.one", 1)),
    ),
)


def web_sidecar() -> ir.Sidecar:
    narrow = structs.replace(cluster("catalog.narrow", ONE, TWO), circuit_breaker=ir.CircuitBreaker(2, 1024))
    return sidecar(
        "web",
        ir.Proxy.NGINX,
        address=WEB,
        virtual_hosts=HOSTS,
        clusters=(
            cluster("catalog.one", ONE),
            cluster("catalog.two", TWO),
            cluster("catalog.both", ONE, TWO),
            cluster("catalog.heavy", (V1, 15006, 3), (V2, 15006, 1)),
            cluster("catalog.halfdead", (NOBODY, 15006, 5), ONE),
            cluster("catalog.dead", (NOBODY, 15006, 1)),
            cluster("catalog.none"),
            cluster("orders", ("127.43.0.4", 15006, 1)),
            cluster("impostor", ONE),
            narrow,
        ),
    )


class World:
    """One caller, two instances of catalog, one of orders."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.signer = new_authority()
        self.apps = {V1: App(V1), V2: App(V2), "127.43.0.4": App("127.43.0.4")}
        self.web = self._start(web_sidecar(), folder / "web", stack)
        self.catalog = self._start(catalog_sidecar(V1), folder / "one", stack)
        self._start(catalog_sidecar(V2), folder / "two", stack)
        orders = sidecar("orders", ir.Proxy.NGINX, address="127.43.0.4", callers=("web",))
        self._start(orders, folder / "orders", stack)
        self.folder = folder

    def _start(self, each: ir.Sidecar, folder: Path, stack: ExitStack) -> Running:
        return stack.enter_context(running(each, folder, self.signer))

    @property
    def one(self) -> App:
        return self.apps[V1]

    @property
    def two(self) -> App:
        return self.apps[V2]

    def counts(self) -> tuple[int, int]:
        return len(self.one.seen), len(self.two.seen)


def catalog_sidecar(address: str) -> ir.Sidecar:
    return sidecar("catalog", ir.Proxy.NGINX, address=address, callers=("web", "Upper"))


@pytest.fixture(scope="module", autouse=True)
def addresses():
    """Whoever else runs this file on this machine waits: the addresses are the same."""
    with (Path(tempfile.gettempdir()) / "meshctl-tests-127.43.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="module")
def live(tmp_path_factory, addresses):
    with ExitStack() as stack:
        world = World(tmp_path_factory.mktemp("nginx"), stack)
        yield world
        for app in world.apps.values():
            app.stop()


@pytest.fixture
def world(live):
    for app in live.apps.values():
        app.seen.clear()
        app.answer = lambda handler: handler.reply(200, b"hello")
    return live


def test_a_request_goes_through_unchanged(world):
    headers = [("X-Twice", "a"), ("X-Twice", "b"), ("x_under", "1"), ("x.dot", "2"), ("Cookie", "k=v")]
    answer = request(WEB, "/a%20b/?q=%2F..//", headers=headers, method="PATCH", body=b"body")
    seen = world.one.seen[-1]
    assert (answer.status, answer.body) == (200, b"hello")
    assert (seen.method, seen.target, seen.body) == ("PATCH", "/a%20b/?q=%2F..//", b"body")
    own = ("host", "content-length", "x-mesh-identity")
    assert [pair for pair in seen.headers if pair[0].lower() not in own] == headers
    assert seen.header("x-mesh-identity") == ["spiffe://shop.example/web"]
    assert seen.header("host") == ["catalog"]
    assert sorted(name.lower() for name, _ in answer.headers) == ["connection", "content-length"]


def test_answers_go_through_unchanged(world):
    sent = {
        "Server": "apache",
        "Date": "yesterday",
        "X-Accel-Redirect": "/ready",
        "Location": "http://catalog/x",
    }
    world.one.answer = lambda handler: handler.reply(302, b"there", sent)
    answer = request(WEB)
    assert (answer.status, answer.body) == (302, b"there")
    assert {name: answer.header(name.lower()) for name in sent} == {
        name: [value] for name, value in sent.items()
    }


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("catalog", 200),
        ("CATALOG.shop.MESH.:99", 200),
        ("catalog.shop.mesh", 200),
        ("unknown", 403),
        ("unknown:8080", 403),
        ("x.y.shop.mesh", 403),
        ("shop.mesh", 404),
        ("xshop.mesh", 404),
        ("example.com", 404),
        ("10.0.0.1", 404),
    ],
)
def test_hosts(world, host, status):
    assert request(WEB, host=host).status == status


@pytest.mark.parametrize(
    ("method", "path", "headers", "route_name"),
    [
        ("DELETE", "/shop", [], "exact"),
        ("DELETE", "/shop?x=/", [], "exact"),
        ("DELETE", "/shop/", [], None),
        ("PUT", "/shop/", [], "method"),
        ("GET", "/shop/x", [], "method"),
        ("HEAD", "/shop/x", [], None),
        ("GET", "/shopping", [], None),
        ("GET", "/SHOP/", [], None),
        ("GET", "/api", [], "prefix"),
        ("GET", "/api/", [], "prefix"),
        ("GET", "/api?x", [], "prefix"),
        ("GET", "/api/x/y", [], "prefix"),
        ("GET", "/apix", [], None),
        ("GET", "/x/api", [], None),
        ("GET", "/a.b/$host{1}\"'|(x)", [], "strange"),
        ("GET", "/aXb/$host{1}\"'|(x)", [], None),
        ("POST", "/", [("x-beta", "True"), ("X-Tier", "a \"$b\" \\ 'c'")], "beta"),
        ("POST", "/", [("x-beta", "True")], None),
        ("POST", "/", [("x-beta", "true"), ("x-tier", "a \"$b\" \\ 'c'")], None),
        ("POST", "/", [("x-beta", "True, no"), ("x-tier", "a \"$b\" \\ 'c'")], None),
        (
            "POST",
            "/",
            [("x-tier", "a \"$b\" \\ 'c'"), ("X-Beta", "no"), ("x-Beta", "True"), ("x-beta", "")],
            "beta",
        ),
        ("GET", "/", [("X-GAMMA", "1")], "gamma"),
        ("POST", "/", [("x-gamma", "1")], None),
        ("GET", "/", [("x_gamma", "1")], None),
        ("GET", "/", [*((f"x-{n}", "0") for n in range(150)), ("x-gamma", "1")], "gamma"),
    ],
)
def test_routing(world, method, path, headers, route_name):
    answer = request(WEB, path, host="routed", method=method, headers=headers)
    assert answer.status == (200 if route_name else 404)
    assert world.web.last_log()[0]["route"] == (route_name or "")
    assert world.counts() == ((0, 1) if route_name in ("beta", "gamma") else (1, 0) if route_name else (0, 0))


@pytest.mark.parametrize(
    ("path", "headers", "route_name"),
    [
        ("/S0/0", [], "r0"),
        ("/S19/59/x", [], "r59"),
        ("/S3/3", [], "r3"),
        ("/s3/3", [], "s3"),
        ("/S3/3x", [], "rest"),
        ("/", [], "rest"),
        ("/S1", [("x-beta", "1")], "gets"),
        ("/S1/1", [("x-beta", "1")], "r1"),
        ("/nowhere", [("x-beta", "1")], "gets"),
        ("/nowhere", [], "rest"),
    ],
)
def test_many_routes(world, path, headers, route_name):
    assert request(WEB, path, host="many", headers=headers).status == 200
    assert world.web.last_log()[0]["route"] == route_name


def test_split(world):
    with closing(http.client.HTTPConnection(WEB, 15001)) as connection:
        for _ in range(1000):
            request(WEB, host="split", connection=connection)
    one, two = world.counts()
    assert one + two == 1000
    assert 60 <= two <= 140  # four standard deviations


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_split_with_retries_by_method(world, method):
    world.one.answer = world.two.answer = lambda handler: handler.reply(503)
    assert {request(WEB, host="thirds", method=method, body=b"x").status for _ in range(30)} == {503}
    assert sum(world.counts()) == 30 * (3 if method == "GET" else 1)
    assert min(world.counts()) > 0


def test_split_between_services_and_an_empty_one(world):
    statuses = Counter(request(WEB, host="fan").status for _ in range(90))
    assert set(statuses) == {200, 503}
    assert len(world.one.seen) + len(world.apps["127.43.0.4"].seen) == statuses[200]
    assert all(
        10 <= count <= 52
        for count in (len(world.one.seen), len(world.apps["127.43.0.4"].seen), statuses[503])
    )


def test_round_robin_by_weight(world):
    with closing(http.client.HTTPConnection(WEB, 15001)) as connection:
        for _ in range(40):
            request(WEB, host="weighted", connection=connection)
    assert world.counts() == (30, 10)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_dead_application_is_tried_elsewhere(world, method):
    world.one.stop()
    try:
        for _ in range(6):
            answer = request(WEB, host="both", method=method, body=b"x" * 200_000)
            assert answer.status == 200
        assert {len(seen.body) for seen in world.two.seen} == {200_000}
        assert {line["tries"] for line in world.web.last_log(6)} == {1, 2}
    finally:
        world.apps[V1] = App(V1)


@pytest.mark.parametrize(
    ("host", "tries", "method"),
    [
        ("catalog", 2, "GET"),
        ("again", 3, "POST"),
        ("never", 1, "POST"),
        ("often", 9, "POST"),
        ("gateway", 1, "GET"),
    ],
)
def test_dead_application_and_nobody_else(world, host, tries, method):
    before = len(world.catalog.log())
    world.one.stop()
    try:
        with closing(http.client.HTTPConnection(WEB, 15001)) as connection:
            answers = [
                request(WEB, host=host, method=method, body=b"x", connection=connection) for _ in range(2)
            ]
    finally:
        world.apps[V1] = App(V1)
    assert [answer.status for answer in answers] == [503, 503]
    assert [line["tries"] for line in world.web.last_log(2)] == [tries, tries]
    hops = world.catalog.last_log(before + 2 * tries)[before:]
    assert [line["status"] for line in hops] == [425] * 2 * tries


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("status", [502, 503, 504])
def test_gateway_errors_are_tried_again_where_that_does_no_harm(world, method, status):
    world.one.answer = lambda handler: handler.reply(status if len(world.one.seen) < 3 else 200, b"mine")
    answer = request(WEB, host="again", method=method, body=b"x")
    assert (answer.status, answer.body) == ((200, b"mine") if method == "GET" else (status, b"mine"))
    assert len(world.one.seen) == (3 if method == "GET" else 1)


@pytest.mark.parametrize("host", ["again", "both", "gateway"])
def test_the_last_answer_is_handed_on(world, host):
    for app in (world.one, world.two):
        app.answer = lambda handler: handler.reply(503, b"mine", {"x-mine": "1"})
    answer = request(WEB, host=host)
    assert (answer.status, answer.body, answer.header("x-mine")) == (503, b"mine", ["1"])
    assert sum(world.counts()) == 3


def test_idempotence_is_what_the_spec_says(world):
    world.one.answer = lambda handler: handler.reply(503)
    request(WEB, host="posts", method="POST", body=b"x")
    assert len(world.one.seen) == 2
    request(WEB, host="posts", method="GET")
    assert len(world.one.seen) == 3


@pytest.mark.parametrize("host", ["catalog", "again"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_broken_connection_is_no_connect_failure(world, host, method):
    world.one.answer = lambda handler: handler.reset()
    answer = request(WEB, host=host, method=method, body=b"x")
    # The callee's sidecar answers 502: that is a gateway error where those are tried again.
    assert answer.status == 502
    assert len(world.one.seen) == (3 if (host, method) == ("again", "GET") else 1)


def test_unreachable_endpoints(world):
    for method in ("GET", "POST"):
        assert [request(WEB, host="halfdead", method=method, body=b"x").status for _ in range(8)] == [200] * 8
        assert request(WEB, host="dead", method=method, body=b"x").status == 503
    assert world.web.last_log()[0]["tries"] == 2


@pytest.mark.parametrize("host", ["none", "empty"])
def test_no_endpoint(world, host):
    assert request(WEB, host=host).status == 503
    assert world.web.last_log()[0]["route"] == host


def test_wrong_server_name_is_a_failed_connection(world):
    assert request(WEB, host="impostor").status == 503
    assert world.counts() == (0, 0)


def test_written_timeout_before_the_head(world):
    world.one.answer = world.two.answer = lambda handler: handler.reply(after=4)
    answer = request(WEB, "/short", host="quick")
    assert answer.status == 504
    assert 0.39 <= answer.seconds <= LATE
    assert sum(world.counts()) == 1


def test_a_timeout_is_never_tried_again(world):
    """A timer that is a millisecond early must not leave time for another try."""
    world.one.answer = lambda handler: handler.reply(after=0.5)
    with closing(http.client.HTTPConnection(WEB, 15001)) as connection:
        for _ in range(40):
            assert request(WEB, "/blink", host="quick", connection=connection).status == 504
    assert {line["tries"] for line in world.web.last_log(40)} == {1}


def test_written_timeout_counts_all_tries(world):
    world.one.answer = world.two.answer = lambda handler: handler.reply(503, after=0.25)
    answer = request(WEB, "/short", host="quick")
    assert answer.status == 504
    assert 0.39 <= answer.seconds <= LATE
    assert sum(world.counts()) == 2


def test_a_timeout_begins_with_the_last_byte_of_the_request(world):
    with closing(socket.create_connection((WEB, 15001), 5)) as connection:
        connection.sendall(b"POST /short HTTP/1.1\r\nHost: quick\r\nContent-Length: 4\r\n\r\n")
        for _ in range(4):
            time.sleep(0.2)
            connection.sendall(b"x")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("chunked", [True, False])
def test_written_timeout_cuts_a_dripping_body(world, chunked):
    world.one.answer = world.two.answer = lambda handler: handler.drip(100, 0.1, chunked=chunked)
    started = time.monotonic()
    with closing(http.client.HTTPConnection(WEB, 15001, timeout=5)) as connection:
        connection.request("GET", "/short", headers={"Host": "quick"})
        answer = connection.getresponse()
        assert answer.status == 200
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            answer.read()
    assert 0.39 <= time.monotonic() - started <= LATE
    assert world.web.last_log()[0]["flags"] == "T"


def test_written_timeout_cuts_a_stalled_body(world):
    world.one.answer = world.two.answer = lambda handler: handler.drip(1, 5, chunked=True)
    started = time.monotonic()
    with closing(http.client.HTTPConnection(WEB, 15001, timeout=5)) as connection:
        connection.request("GET", "/short", headers={"Host": "quick"})
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            connection.getresponse().read()
    assert 0.39 <= time.monotonic() - started <= LATE


def test_only_the_late_response_is_cut(world):
    """A connection that is used again, and others beside it, live on."""
    world.one.answer = lambda handler: handler.drip(5, 0.1, chunked=True)
    with closing(http.client.HTTPConnection(WEB, 15001, timeout=5)) as connection:
        for path in ("/short", "/long", "/long"):
            if path == "/short":
                world.two.answer = world.one.answer = lambda handler: handler.drip(1, 0.05, chunked=True)
            else:
                world.one.answer = lambda handler: handler.drip(5, 0.1, chunked=True)
            answer = request(WEB, path, host="quick", connection=connection)
            assert answer.status == 200
            assert answer.body in (b"drip", b"drip" * 5)


def test_timeout_switched_off(world):
    world.one.answer = lambda handler: handler.reply(200, b"late", after=0.6)
    assert request(WEB, "/off", host="quick").body == b"late"


@pytest.mark.parametrize("host", ["catalog", "again", "never"])
@pytest.mark.parametrize("status", [425, 470])
def test_the_applications_own_statuses_survive(world, host, status):
    world.one.answer = lambda handler: handler.reply(status, b"mine", {"x-mine": "1", "x-mesh-status": "425"})
    answer = request(WEB, host=host)
    assert (answer.status, answer.body, answer.header("x-mine")) == (status, b"mine", ["1"])
    assert answer.header("x-mesh-status") == []
    assert len(world.one.seen) == 1


def test_concurrent_requests_are_bounded_for_the_cluster(world):
    world.one.answer = world.two.answer = lambda handler: handler.reply(after=0.4)
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(request(WEB, host="narrow").status)) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(answers) == {200: 2, 503: 4}


@pytest.mark.parametrize("size", [0, 1, 20_000, 200_000])
@pytest.mark.parametrize("chunked", [True, False])
def test_bodies(world, size, chunked):
    world.one.answer = lambda handler: handler.reply(200, world.one.seen[-1].body)
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    seconds = []
    with closing(http.client.HTTPConnection(WEB, 15001, timeout=5)) as connection:
        for _ in range(5):
            started = time.monotonic()
            pieces = (body[at : at + 30_000] for at in range(0, size, 30_000))
            connection.request(
                "POST", "/", pieces if chunked else body, {"Host": "catalog"}, encode_chunked=chunked
            )
            assert connection.getresponse().read() == body
            seconds.append(time.monotonic() - started)
    # An upload that waits for a delayed ACK takes 40 ms and more, every time.
    assert min(seconds) < 0.04


def test_connections_live_on_after_errors(world):
    with closing(http.client.HTTPConnection(WEB, 15001, timeout=5)) as connection:
        statuses = []
        connection.connect()
        local = connection.sock.getsockname()
        for host, path in (
            ("unknown", "/"),
            ("a.b", "/"),
            ("routed", "/"),
            ("dead", "/"),
            ("none", "/"),
            ("catalog", "/"),
        ):
            statuses.append(
                request(WEB, path, host=host, connection=connection, method="POST", body=b"x" * 1000).status
            )
        assert statuses == [403, 404, 404, 503, 503, 200]
        assert connection.sock.getsockname() == local


@pytest.mark.parametrize(
    "head",
    [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost:\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: catalog\r\nHost: catalog\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: catalog\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: catalog\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
        "GET / HTTP/1.1\r\nHost: catalog\r\nX-A: a\x00b\r\n\r\n",
        "GET /\x7f HTTP/1.1\r\nHost: catalog\r\n\r\n",
        "GET /\x00 HTTP/1.1\r\nHost: catalog\r\n\r\n",
        "GET /\xe9 HTTP/1.1\r\nHost: catalog\r\n\r\n",
        "GET /a?\xe9 HTTP/1.1\r\nHost: catalog\r\n\r\n",
        "GET /a?b#c HTTP/1.1\r\nHost: catalog\r\n\r\n",
        "GET http://catalog/../x HTTP/1.1\r\nHost: catalog\r\n\r\n",
        "GET http://catalog/x HTTP/1.1\r\nHost: other\r\n\r\n",
        "GET http://catalog/x HTTP/1.1\r\nHost: cat\r\n\r\n",
        "GET http://catalog/x HTTP/1.1\r\nHost: catalog:80\r\n\r\n",
    ],
)
def test_malformed_requests(world, head):
    data = head.encode("latin-1")
    assert raw(WEB, data, timeout=0.5).startswith(b"HTTP/1.1 400 ")
    assert world.counts() == (0, 0)
    world.web.log()


@pytest.mark.parametrize("connection", ["close", "close\r\nConnection: upgrade"])
def test_nobody_changes_the_protocol(world, connection):
    """An Upgrade is not handed on, and who answers 101 all the same gets no bytes that no rule has seen."""
    world.one.answer = lambda handler: handler.reply(101, headers={"upgrade": "x", "connection": "upgrade"})
    head = f"GET /x HTTP/1.1\r\nHost: catalog\r\nConnection: {connection}\r\nUpgrade: x\r\n\r\n".encode()
    assert raw(WEB, head, timeout=1).startswith(b"HTTP/1.1 50")
    assert hop(world, head) == b""
    assert [seen.target for seen in world.one.seen] == ["/x", "/x"]
    assert not any(name.lower() == "upgrade" for seen in world.one.seen for name, _ in seen.headers)


def test_absolute_form(world):
    answer = raw(WEB, b"GET http://catalog/x?y HTTP/1.1\r\nHost: catalog\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert world.one.seen[-1].target == "/x?y"


def _vectors():
    return YAML(typ="safe", pure=True).load(VECTORS)["vectors"]


def test_path_gate_outbound(world):
    wrong = []
    for vector in _vectors():
        target = vector["target"].encode("latin-1")
        answer = raw(
            WEB, b"GET %s HTTP/1.1\r\nHost: catalog\r\nConnection: close\r\n\r\n" % target, timeout=2
        )
        expected = b"HTTP/1.1 200 " if vector["verdict"] == "accepted" else b"HTTP/1.1 400 "
        if not answer.startswith(expected):
            wrong.append((vector["target"], answer[:20]))
    assert wrong == []
    accepted = [vector["target"] for vector in _vectors() if vector["verdict"] == "accepted"]
    assert [seen.target for seen in world.one.seen] == accepted


def test_path_gate_inbound(world):
    wrong = []
    for vector in _vectors():
        target = vector["target"].encode("latin-1")
        answer = hop(world, b"GET %s HTTP/1.1\r\nHost: catalog\r\nConnection: close\r\n\r\n" % target)
        expected = b"HTTP/1.1 200 " if vector["verdict"] == "accepted" else b"HTTP/1.1 400 "
        if not answer.startswith(expected):
            wrong.append((vector["target"], answer[:20]))
    assert wrong == []


def hop(world, data: bytes, tls: Path | None = None, address: str = V1) -> bytes:
    """What another sidecar would send; ``tls`` holds its certificate, by default web's."""
    context = ssl.create_default_context(cafile=world.web.bundle / "tls" / "ca.pem")
    if tls is None or tls.is_dir():
        folder = tls or world.web.bundle / "tls"
        context.load_cert_chain(folder / "cert.pem", folder / "cert.pem.key")
    parts = []
    with (
        suppress(OSError),
        socket.create_connection((address, 15006), 3) as connection,
        context.wrap_socket(connection, server_hostname="catalog.shop.mesh") as secure,
    ):
        secure.sendall(data)
        while part := secure.recv(65536):
            parts.append(part)
    return b"".join(parts)


PLAIN = b"GET / HTTP/1.1\r\nHost: catalog\r\nConnection: close\r\n\r\n"


def test_only_certificates_of_the_mesh_get_through(world):
    folder = world.folder / "strangers"
    foreign = new_authority()
    known = write_tls(folder / "known", identity("web"), world.signer)
    unknown = write_tls(folder / "unknown", identity("stranger"), world.signer)
    forged = write_tls(folder / "forged", identity("web"), foreign)
    other = ir.WorkloadIdentity("web", trust_domain="other.example", domain="shop.mesh")
    elsewhere = write_tls(folder / "elsewhere", other, world.signer)
    loud = write_tls(folder / "loud", identity("Web"), world.signer)
    assert hop(world, PLAIN, known).startswith(b"HTTP/1.1 200 ")
    assert hop(world, PLAIN, unknown).startswith(b"HTTP/1.1 403 ")
    assert hop(world, PLAIN, forged) == b""
    assert hop(world, PLAIN, elsewhere) == b""
    assert hop(world, PLAIN, loud) == b""
    assert hop(world, PLAIN, Path("/nowhere")) == b""
    assert raw(V1, PLAIN, port=15006) == b""
    assert len(world.one.seen) == 1


def test_no_rule_lets_nobody_in(world, tmp_path):
    address = "127.43.0.5"
    with running(sidecar("closed", ir.Proxy.NGINX, address=address), tmp_path / "closed", world.signer):
        context = ssl.create_default_context(cafile=world.web.bundle / "tls" / "ca.pem")
        context.load_cert_chain(
            world.web.bundle / "tls" / "cert.pem", world.web.bundle / "tls" / "cert.pem.key"
        )
        with (
            socket.create_connection((address, 15006), 3) as connection,
            context.wrap_socket(connection, server_hostname="closed.shop.mesh") as secure,
        ):
            secure.sendall(PLAIN)
            assert secure.recv(65536).startswith(b"HTTP/1.1 403 ")


def _answering(application: socket.socket, answer: bytes) -> None:
    """Serve one connection, and leave it open after the answer."""
    connection, _ = application.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(answer)
        connection.recv(65536)


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST"])
def test_what_is_no_http_does_not_pass(world, tmp_path, method):
    """NGINX takes it for HTTP/0.9, and would hand it on without a head."""
    address = "127.43.0.40"
    mumbling = sidecar("mumbling", ir.Proxy.NGINX, address=address, callers=("web",))
    with (
        running(mumbling, tmp_path / "mumbling", world.signer),
        socket.create_server((address, 8080)) as application,
    ):
        threading.Thread(target=_answering, args=(application, b"hello"), daemon=True).start()
        context = ssl.create_default_context(cafile=world.web.bundle / "tls" / "ca.pem")
        context.load_cert_chain(
            world.web.bundle / "tls" / "cert.pem", world.web.bundle / "tls" / "cert.pem.key"
        )
        with (
            socket.create_connection((address, 15006), 3) as connection,
            context.wrap_socket(connection, server_hostname="mumbling.shop.mesh") as secure,
        ):
            secure.sendall(PLAIN.replace(b"GET", method).replace(b"Connection: close\r\n", b""))
            answer = secure.recv(65536)
    assert answer.startswith(b"HTTP/1.1 502 ")
    assert b"hello" not in answer


def test_identity_headers_are_the_sidecars(world):
    spoofed = [f"x{a}mesh{b}identity" for a in "-_." for b in "-_."] + [
        f"x{a}forwarded{b}client{c}cert" for a in "-_." for b in "-_." for c in "-_."
    ]
    lines = "".join(f"{name.title()}: evil\r\n{name}: evil\r\n" for name in spoofed)
    answer = hop(world, f"GET / HTTP/1.1\r\nHost: catalog\r\nConnection: close\r\n{lines}\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert [name for name, value in world.one.seen[-1].headers if value == "evil"] == []
    assert world.one.seen[-1].header("x-mesh-identity") == ["spiffe://shop.example/web"]


def test_headers_of_one_hop_end_there(world):
    headers = [
        ("Connection", "X-Hop, host"),
        ("X-Hop", "1"),
        ("X-Stays", "2"),
        ("TE", "trailers"),
        ("Keep-Alive", "3"),
    ]
    request(WEB, headers=headers)
    names = [name.lower() for name, _ in world.one.seen[-1].headers]
    assert sorted(names) == ["host", "x-mesh-identity", "x-stays"]


def test_access_log(world):
    before = len(world.web.log()), len(world.catalog.log())
    answer = request(WEB, "/a?secret=1", headers=[("User-Agent", '"\\')], method="POST", body=b"12345")
    raw(WEB, b'GET /"\\?x HTTP/1.1\r\nHost: a"\xe9\\b\r\nConnection: close\r\n\r\n', timeout=1)
    raw(WEB, b"\x16\x03\x01garbage\xff\r\n\r\n", timeout=1)
    assert answer.status == 200
    out, *others = world.web.last_log(before[0] + 3)[-3:]
    (inside,) = world.catalog.last_log(before[1] + 1)[-1:]
    for line in (out, *others, inside):
        assert tuple(line) == ACCESS_LOG_FIELDS
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
        assert all(
            type(line[key]) is int for key in ("status", "duration_ms", "bytes_in", "bytes_out", "tries")
        )
    shared = {
        "mesh": "shop",
        "caller": "web",
        "method": "POST",
        "host": "catalog",
        "path": "/a",
        "status": 200,
    }
    shared |= {
        "bytes_in": 5,
        "bytes_out": 5,
        "tries": 1,
        "flags": "",
        "audit": "",
        **dict.fromkeys(("trace_id", "span_id", "parent_id"), ""),
        "build": "sha256:" + "0" * 64,
    }
    assert shared | {
        "service": "web",
        "direction": "outbound",
        "route": "all",
        "upstream": f"{V1}:15006",
    } == {key: out[key] for key in out if key not in ("time", "duration_ms")}
    assert shared | {"service": "catalog", "direction": "inbound", "route": "", "upstream": f"{V1}:8080"} == {
        key: inside[key] for key in inside if key not in ("time", "duration_ms")
    }
    assert abs(time.time() - _epoch(out["time"])) < 10


def test_access_log_of_a_chunked_upload(world):
    with closing(http.client.HTTPConnection(WEB, 15001, timeout=5)) as connection:
        connection.request("POST", "/", iter([b"x" * 5000]), {"Host": "catalog"}, encode_chunked=True)
        assert connection.getresponse().read() == b"hello"
    assert 5000 <= world.web.last_log()[0]["bytes_in"] <= 5300


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_admin(world):
    assert request(WEB, "/ready", port=15000).status == 200
    build = request(WEB, "/build", port=15000)
    assert build.header("content-type") == ["application/json"]
    assert json.loads(build.body) == {
        "mesh": "shop",
        "service": "web",
        "instance": "",
        "proxy": "nginx",
        "build": "sha256:" + "0" * 64,
    }
    assert request(WEB, "/", port=15000).status == 404
    assert request(WEB, "/readyx", port=15000).status == 404
    assert request(WEB, "/ready", port=15000, method="POST", body=b"x").status == 404


@contextmanager
def callee(tmp_path, answer):
    """A caller alone, and a sidecar of a callee whose every step is ours: ``answer`` gets each connection."""
    signer = new_authority()
    tls = write_tls(tmp_path / "server", identity("catalog"), signer)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=tls / "ca.pem")
    context.load_cert_chain(tls / "cert.pem", tls / "cert.pem.key")
    context.verify_mode = ssl.CERT_REQUIRED
    caller = sidecar(
        "web",
        ir.Proxy.NGINX,
        address="127.43.0.6",
        inbound=False,
        virtual_hosts=(virtual_host("catalog", route("all", ("catalog", 1), retries=BOTH)),),
        clusters=(cluster("catalog", ("127.43.0.7", 15006, 1)),),
    )

    def serve(listener):
        while listener.fileno() >= 0:
            with suppress(OSError):
                connection, _ = listener.accept()
                with context.wrap_socket(connection, server_side=True) as secure:
                    answer(secure)

    with (
        socket.create_server(("127.43.0.7", 15006)) as listener,
        running(caller, tmp_path / "web", signer) as web,
    ):
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield web
        # A thread that waits in accept would keep the address.
        listener.shutdown(socket.SHUT_RDWR)


def test_tls_sessions_are_not_used_again(tmp_path):
    """NGINX sets TCP_NODELAY on a hop only where sessions may be reused; the balancer keeps none."""
    reused = []

    def answer(secure):
        secure.recv(65536)
        reused.append(secure.session_reused)
        secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        secure.unwrap()

    with (
        callee(tmp_path, answer),
        closing(http.client.HTTPConnection("127.43.0.6", 15001, timeout=5)) as client,
    ):
        assert [request("127.43.0.6", connection=client).body for _ in range(4)] == [b"ok"] * 4
    assert reused == [False] * 4


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("used_before", [True, False])
def test_a_hop_that_breaks_is_not_tried_again(tmp_path, method, used_before):
    """The application may have seen the request, on a fresh connection as on one from the pool."""
    arrived = []

    def answer(secure):
        for number in range(1 + used_before):
            if not secure.recv(65536):
                return
            arrived.append(number)
            if number < used_before:
                secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with (
        callee(tmp_path, answer) as web,
        closing(http.client.HTTPConnection("127.43.0.6", 15001, timeout=5)) as client,
    ):
        if used_before:
            assert request("127.43.0.6", connection=client).status == 200
        assert request("127.43.0.6", method=method, body=b"x", connection=client).status == 502
        assert web.last_log(1 + used_before)[-1]["tries"] == 1
    assert arrived == list(range(1 + used_before))


def _alone(address: str) -> ir.Sidecar:
    return sidecar("alone", ir.Proxy.NGINX, address=address)


def test_a_port_is_never_shared(tmp_path):
    signer = new_authority()
    with running(_alone("127.43.0.8"), tmp_path / "first", signer):
        write_bundle(_alone("127.43.0.8"), tmp_path / "second")
        shutil.copytree(tmp_path / "first" / "tls", tmp_path / "second" / "tls")
        second = start(_alone("127.43.0.8"), tmp_path / "second")
        assert second.wait(10) != 0
        assert request("127.43.0.8", "/ready", port=15000).status == 200


def test_starts_again_after_a_kill_and_ends_on_sigterm(tmp_path):
    signer = new_authority()
    with running(_alone("127.43.0.10"), tmp_path / "alone", signer) as first:
        workers = _children(first.process.pid)
        first.process.kill()
        first.process.wait(5)
        for worker in workers:
            _await_end(worker)
        with running(_alone("127.43.0.10"), tmp_path / "alone", signer) as second:
            workers = _children(second.process.pid)
            second.process.terminate()
            assert second.process.wait(5) == 0
            for worker in workers:
                _await_end(worker)
    assert second.errors() == ""
    assert {path.name for path in (tmp_path / "alone").iterdir()} == {
        "nginx",
        "run",
        "tls",
        "stdout",
        "stderr",
    }
    assert {path.name for path in (tmp_path / "alone" / "nginx").iterdir()} == {
        "nginx.conf",
        "check.conf",
        "mesh.lua",
        "mtls.lua",
        "reload",
        "reload.lua",
        "run",
    }


def _children(pid: int) -> list[int]:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if len(children) == 2:
            # They ask to end with their master a little after they were made.
            time.sleep(0.1)
            return [int(child) for child in children]
        time.sleep(0.02)
    raise AssertionError("two workers were expected")


def _await_end(pid: int) -> None:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if not Path(f"/proc/{pid}").exists() or ") Z " in Path(f"/proc/{pid}/stat").read_text():
            return
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    raise AssertionError("a worker outlived its master")


def test_reload(tmp_path):
    signer, alone = new_authority(), _alone("127.43.0.11")
    with running(alone, tmp_path / "alone", signer) as before:
        write_bundle(structs.replace(alone, build="sha256:new"), tmp_path / "alone")
        subprocess.run(["sh", "-c", COMMANDS.reload], cwd=tmp_path / "alone" / "nginx", check=True)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            if b"sha256:new" in request("127.43.0.11", "/build", port=15000).body:
                break
            time.sleep(0.05)
        else:
            raise AssertionError("the new build does not answer")
        assert before.errors() == ""


def test_runs_as_a_normal_user_and_logs_to_a_socket(tmp_path):
    """systemd's journal is a socket, and a socket cannot be opened as /dev/stdout."""
    bundle = tmp_path / "alone"
    write_bundle(_alone("127.43.0.12"), bundle)
    write_tls(bundle, identity("alone"), new_authority())
    user: int | None = None
    group: int | None = None
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        user, group = nobody.pw_uid, nobody.pw_gid
        for path in (bundle, *bundle.rglob("*")):
            os.chown(path, user, group)
        for path in (tmp_path, *tmp_path.parents[:3]):
            path.chmod(0o755)
    ours, theirs = socket.socketpair()
    process = subprocess.Popen(
        [str(bundle / "nginx" / "run")],
        cwd="/",
        stdout=theirs.fileno(),
        stderr=subprocess.PIPE,
        user=user,
        group=group,
    )
    theirs.close()
    try:
        deadline = time.monotonic() + 5
        while True:
            with suppress(OSError):
                if request("127.43.0.12", "/ready", port=15000).status == 200:
                    break
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert request("127.43.0.12", host="unknown").status == 403
        ours.settimeout(3)
        assert json.loads(ours.recv(65536))["status"] == 403
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=5)
        ours.close()
    assert errors == b""


def test_nothing_went_wrong_unseen(live):
    """Last: no sidecar complained of itself."""
    assert live.web.errors() == ""
    assert live.catalog.errors() == ""
