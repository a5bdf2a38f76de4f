"""The interpreter, row by row of docs/wire-contract.md, on a model made by hand."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

import pytest
from msgspec.structs import replace

from meshctl import ir, simulate
from meshctl.diagnostics import UsageError
from meshctl.simulate import Request
from tests.sidecars import NO_RETRIES, cluster, identity, route, sidecar, virtual_host

HOUR = timedelta(hours=1)
GATEWAY = ir.RetryPolicy(
    2, (ir.RetryCondition.CONNECT_FAILURE, ir.RetryCondition.GATEWAY_ERROR), ("GET", "PUT")
)
ONLY_ANSWERS = ir.RetryPolicy(3, (ir.RetryCondition.GATEWAY_ERROR,), ("GET",))


def path(kind: str, value: str) -> ir.PathMatch:
    return ir.PathMatch(ir.PathMatchKind(kind), value)


def match(where: ir.PathMatch, *methods: str, **headers: str) -> ir.RouteMatch:
    lines = tuple(ir.HeaderMatch(name.replace("_", "-"), value) for name, value in headers.items())
    return ir.RouteMatch(where, methods, lines)


CATALOG = virtual_host(
    "catalog",
    route("exact", ("catalog.v1", 1), match=match(path("exact", "/abc/def"))),
    route(
        "prefix", ("catalog.v1", 1), ("catalog.v2", 3), match=match(path("prefix", "/abc")), retries=GATEWAY
    ),
    route(
        "writes", ("catalog.v2", 1), match=match(path("prefix", "/m"), "POST", "PUT"), retries=ONLY_ANSWERS
    ),
    route("beta", ("catalog.v2", 1), match=match(path("prefix", "/h"), x_beta="true", x_more="A b")),
    route(
        "slow",
        ("catalog.v1", 1),
        match=match(path("prefix", "/slow")),
        timeout=ir.Timeout(HOUR),
        retries=NO_RETRIES,
    ),
    route(
        "endless",
        ("catalog.v1", 1),
        match=match(path("prefix", "/endless")),
        timeout=ir.Timeout(timedelta(0)),
    ),
    route("empty", match=match(path("prefix", "/empty"))),
    route("gone", ("catalog.gone", 1), match=match(path("prefix", "/gone"))),
    route("mixed", ("catalog.gone", 1), ("catalog.v1", 1), match=match(path("prefix", "/mixed"))),
    route("onward", ("orders", 1), match=match(path("prefix", "/orders"))),
)
ORDERS = virtual_host("orders", route("rest", ("orders", 1)))
STRICT = virtual_host("strict", route("rest", ("strict", 1)))
WILD = replace(ORDERS, hostnames=("*.orders.example",))
HERE = ("10.0.0.1", 15006, 1)
WEB = sidecar(
    "web",
    ir.Proxy.ENVOY,
    virtual_hosts=(CATALOG, ORDERS, STRICT, WILD),
    clusters=(
        cluster("catalog.v1", HERE),
        cluster("catalog.v2", HERE),
        cluster("catalog.gone"),
        cluster("orders", HERE),
        cluster("strict", HERE),
    ),
)
MESH = ir.Mesh(
    name="shop",
    domain="shop.mesh",
    trust_domain="shop.example",
    certificates=ir.CertificatePolicy(timedelta(days=30), timedelta(days=10)),
    sidecars=(
        sidecar("catalog", ir.Proxy.HAPROXY, callers=("web",)),
        sidecar("orders", ir.Proxy.NGINX, callers=("web", "catalog")),
        sidecar("strict", ir.Proxy.NGINX, callers=("catalog",)),
        WEB,
    ),
    calls=(("web", "catalog"), ("web", "orders"), ("web", "strict")),
)


def ask(url: str, method: str = "GET", *headers: tuple[str, str]) -> simulate.Outcome:
    return simulate.request(MESH, "web", method, url, headers)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("orders", "orders"),
        ("ORDERS", "orders"),
        ("orders.shop.mesh", "orders"),
        ("Orders.Shop.Mesh.", "orders"),
        ("orders:80", "orders"),
        ("orders.:15001", "orders"),
        ("a.b.orders.example", "orders"),
        (".orders.example", 404),
        ("orders.example", 404),
        ("web", 403),
        ("nobody", 403),
        ("nobody.shop.mesh", 403),
        ("a.orders.shop.mesh", 403),
        ("Nobody.SHOP.mesh:1", 403),
        ("shop.mesh", 404),
        ("orders.xshop.mesh", 404),
        ("example.com", 404),
        ("127.0.0.1:15001", 404),
    ],
)
def test_hosts(host, expected):
    outcome = ask(f"http://{host}/")
    assert (outcome.status or outcome.virtual_host) == expected
    assert bool(outcome.route) is (outcome.status is None)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/abc", "prefix"),
        ("/abc/", "prefix"),
        ("/abc/x", "prefix"),
        ("/abc?x=/y", "prefix"),
        ("/abc/def", "exact"),
        ("/abc/def?", "exact"),
        ("/abc/def/", "prefix"),
        ("/abcd", 404),
        ("/ABC", 404),
        ("/", 404),
        ("", 404),
        ("?/abc", 404),
        ("/abc/../x", 400),
        ("/abc#x", 400),
        ("#x", 400),
    ],
)
def test_paths(target, expected):
    outcome = ask(f"http://catalog{target}")
    assert (outcome.status or outcome.route) == expected


@pytest.mark.parametrize(
    ("method", "expected"), [("POST", "writes"), ("PUT", "writes"), ("GET", 404), ("post", 400)]
)
def test_methods(method, expected):
    outcome = ask("http://catalog/m", method)
    assert (outcome.status or outcome.route) == expected


MORE = ("x-more", "A b")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([("x-beta", "true"), MORE], "beta"),
        ([("X-BETA", "true"), ("X-More", "A b")], "beta"),
        ([("x-beta", "other"), ("x-beta", "true"), MORE], "beta"),
        ([("x-beta", "true")], 404),
        ([("x-beta", "True"), MORE], 404),
        ([("x-beta", "true,"), MORE], 404),
        ([("x-beta", "other,true"), MORE], 404),
        ([("x_beta", "true"), MORE], 404),
        ([], 404),
    ],
)
def test_headers(headers, expected):
    outcome = ask("http://catalog/h", "GET", *headers)
    assert (outcome.status or outcome.route) == expected


@pytest.mark.parametrize(
    "headers",
    [
        [("Host", "catalog")],
        [("host", "other")],
        [("Content-Length", "1"), ("Transfer-Encoding", "chunked")],
    ],
)
def test_requests_that_proxies_read_in_different_ways(headers):
    assert ask("http://catalog/abc", "GET", *headers).status == 400


def test_no_host():
    assert simulate.answer(MESH, "web", Request("GET", "/abc", ())).status == 400


def test_the_gate_comes_before_the_host():
    assert ask("http://nobody/a//b").status == 400


def test_shares_are_of_the_sum_and_each_names_its_callee():
    first, second = ask("http://catalog/abc").backends
    assert (first.cluster, first.share) == ("catalog.v1", Fraction(1, 4))
    assert (second.cluster, second.share) == ("catalog.v2", Fraction(3, 4))
    assert first.callee == second.callee == identity("catalog")


@pytest.mark.parametrize(
    ("target", "status", "statuses"),
    [
        ("/abc", None, [None, None]),
        ("/empty", 503, []),
        ("/gone", 503, [503]),
        ("/mixed", None, [503, None]),
        ("/orders", None, [None]),
    ],
)
def test_no_endpoint(target, status, statuses):
    outcome = ask(f"http://catalog{target}")
    assert outcome.status == status
    assert [each.status for each in outcome.backends] == statuses
    assert bool(outcome.reason) is (status is not None)


def test_a_callee_refuses_whom_no_rule_names():
    outcome = ask("http://strict/")
    assert (outcome.status, outcome.route) == (403, "rest")
    assert outcome.reason == "`strict` does not let `web` in"


def test_no_rule_lets_nobody_in():
    closed = replace(MESH, sidecars=(sidecar("orders", ir.Proxy.NGINX, callers=()), WEB))
    assert simulate.request(closed, "web", "GET", "http://orders/").status == 403


def test_a_caller_counts_as_a_whole_not_by_its_name():
    stranger = replace(WEB, identity=replace(WEB.identity, trust_domain="shop.test"))
    mesh = replace(MESH, sidecars=(*MESH.sidecars[:-1], stranger))
    assert simulate.request(mesh, "web", "GET", "http://orders/").status == 403


CONNECT = ir.RetryCondition.CONNECT_FAILURE
ANSWER = ir.RetryCondition.GATEWAY_ERROR


@pytest.mark.parametrize(
    ("target", "method", "attempts", "conditions"),
    [
        ("/abc", "GET", 2, (CONNECT, ANSWER)),
        ("/abc", "PUT", 2, (CONNECT, ANSWER)),
        ("/abc", "POST", 2, (CONNECT,)),
        ("/m", "POST", 0, ()),
        ("/slow", "GET", 0, ()),
    ],
)
def test_retries_of_a_method(target, method, attempts, conditions):
    outcome = ask(f"http://catalog{target}", method)
    assert (outcome.attempts, outcome.retry_on) == (attempts, conditions)


@pytest.mark.parametrize(
    ("target", "expected"), [("/slow", HOUR), ("/abc", timedelta(seconds=15)), ("/endless", None)]
)
def test_timeouts(target, expected):
    assert ask(f"http://catalog{target}").timeout == expected


@pytest.mark.parametrize(
    ("callee", "target", "status"),
    [("orders", "/", None), ("orders", "/a//b", 400), ("strict", "/", 403), ("strict", "/a//b", 400)],
)
def test_the_callees_sidecar_alone(callee, target, status):
    received = simulate.receive(MESH, "web", callee, Request("GET", target, (("Host", "anything"),)))
    assert received.status == status


@pytest.mark.parametrize("url", ["catalog/x", "https://catalog/", "http:///x", "//catalog/", "http://"])
def test_what_is_no_url(url):
    with pytest.raises(UsageError):
        ask(url)


def test_an_unknown_caller():
    with pytest.raises(UsageError, match="nobody"):
        simulate.request(MESH, "nobody", "GET", "http://catalog/")
