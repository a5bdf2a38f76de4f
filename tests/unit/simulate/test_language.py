"""The rest of the language on a model made by hand: filters, rules, local ports, streams, egress, health.

The tables of tests/behaviour go through the simulator too; here is what they cannot say.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from meshctl import ir, simulate
from meshctl.diagnostics import UsageError
from meshctl.simulate import Request
from tests.sidecars import cluster, identity, route, sidecar, virtual_host

HERE = ("10.0.0.1", 15006, 1)
EVERYTHING = ir.PathMatch(ir.PathMatchKind.PREFIX, "/")


def match(kind: str = "prefix", value: str = "/") -> ir.RouteMatch:
    return ir.RouteMatch(ir.PathMatch(ir.PathMatchKind(kind), value), (), ())


def outside(name: str, dns: ir.DnsName | None = None, *endpoints: tuple[str, int, int]) -> ir.Cluster:
    return replace(cluster(name, *endpoints), identity=None, origin=ir.Origin(None), dns=dns)


EGRESS = outside("egress", ir.DnsName("", 0, timedelta(seconds=30)))
STREAM = replace(cluster("ledger", HERE), protocol=ir.Protocol.TCP)


def local_port(name: str) -> ir.OutboundListener:
    return replace(
        sidecar("web", ir.Proxy.ENVOY).outbound,
        virtual_hosts=(replace(virtual_host(name, route("rest", (name, 1))), hostnames=("*",)),),
    )


def tcp_port(service: str) -> ir.TcpListener:
    return ir.TcpListener((ir.SocketAddress("127.0.0.1", 5432),), service, service)


CATALOG = virtual_host(
    "catalog",
    replace(
        route("filtered", ("catalog", 1), match=match(value="/legacy")),
        rewrite=ir.Rewrite(prefix="/v1", hostname="inner"),
        request_headers=ir.HeaderChanges(set=(("x-a", "1"),), add=(("x-b", "2"),), remove=("x-c",)),
    ),
    replace(
        route("moved", match=match("exact", "/old")),
        answer=ir.Redirect(301, path="/new"),
        response_headers=ir.HeaderChanges(set=(("x-a", "1"),)),
    ),
    replace(route("teapot", match=match(value="/teapot")), answer=ir.DirectResponse(418, "short")),
    route("rest", ("catalog", 1)),
)
WEB = replace(
    sidecar(
        "web", ir.Proxy.ENVOY, virtual_hosts=(CATALOG,), clusters=(cluster("catalog", HERE), STREAM, EGRESS)
    ),
    locals=(local_port("catalog"),),
    tcp=(tcp_port("ledger"),),
)
GATEWAY = replace(
    sidecar(
        "edge", ir.Proxy.ENVOY, inbound=False, virtual_hosts=(CATALOG,), clusters=(cluster("catalog", HERE),)
    ),
)
GATEWAY = replace(
    GATEWAY,
    outbound=replace(
        GATEWAY.outbound,
        domain="",
        binds=(ir.SocketAddress("10.0.0.9", 8443),),
        tls=ir.ServerTls("/c.pem", "/k.pem", ir.TlsVersion.V1_2),
    ),
)


def mesh(*sidecars: ir.Sidecar, rules: ir.Authorization | None = None) -> ir.Mesh:
    callee = sidecar("catalog", ir.Proxy.HAPROXY, callers=("web", "edge"))
    if rules is not None:
        assert callee.inbound is not None
        callee = replace(callee, inbound=replace(callee.inbound, authorization=rules))
    return ir.Mesh(
        name="shop",
        domain="shop.mesh",
        trust_domain="shop.example",
        certificates=ir.CertificatePolicy(timedelta(days=30), timedelta(days=10)),
        sidecars=(callee, sidecar("ledger", ir.Proxy.NGINX, callers=("web",)), *(sidecars or (WEB, GATEWAY))),
        calls=(("web", "catalog"),),
    )


MESH = mesh()


def ask(target: str, *headers: tuple[str, str], host: str = "catalog", method: str = "GET") -> Request:
    return Request(method, target, (("Host", host), *headers))


def test_filters_are_what_the_application_sees():
    outcome = simulate.answer(MESH, "web", ask("/legacy/x?q", ("X-A", "0"), ("X-B", "0"), ("X-C", "0")))
    (backend,) = outcome.backends
    assert backend.received is not None
    assert backend.received.target == "/v1/x?q"
    assert sorted(backend.received.headers) == [
        ("Host", "inner"),
        ("X-B", "0"),
        ("x-a", "1"),
        ("x-b", "2"),
        ("x-mesh-identity", "spiffe://shop.example/web"),
    ]


def test_what_ends_at_a_hop_and_what_only_a_sidecar_may_say_does_not_arrive():
    lines = (("Connection", "close, X-Named"), ("X-Named", "1"), ("TE", "x"), ("X.Mesh_Identity", "me"))
    (backend,) = simulate.answer(MESH, "web", ask("/", *lines)).backends
    assert backend.received is not None
    assert {name for name, _ in backend.received.headers} == {"Host", "x-mesh-identity"}


@pytest.mark.parametrize(
    ("caller", "host", "location"),
    [
        ("web", "catalog", "http://catalog/new"),
        ("web", "Catalog.:81", "http://catalog:81/new"),
        ("web", "catalog:443", "http://catalog:443/new"),
        ("edge", "catalog", "https://catalog:8443/new"),
        ("edge", "catalog:443", "https://catalog/new"),
        ("edge", "catalog:80", "https://catalog:80/new"),
    ],
)
def test_where_a_redirect_leads(caller, host, location):
    outcome = simulate.answer(MESH, caller, ask("/old", host=host))
    assert (outcome.status, outcome.headers) == (301, (("location", location), ("x-a", "1")))


@pytest.mark.parametrize(("method", "body"), [("GET", "short"), ("HEAD", ""), ("POST", "short")])
def test_a_response(method, body):
    outcome = simulate.answer(MESH, "web", ask("/teapot", method=method))
    assert (outcome.status, outcome.body, outcome.route) == (418, body, "teapot")


@pytest.mark.parametrize(
    ("target", "host", "seen"),
    [
        ("http://catalog/x", "catalog", ("catalog", "/x")),
        ("HTTP://catalog?x", "other", ("catalog", "/?x")),
        ("http://catalog", "other", ("catalog", "/")),
        ("/http://other/", "catalog", 400),
        ("http://nobody/x", "catalog", 403),
    ],
)
def test_a_target_in_absolute_form_says_the_host(target, host, seen):
    outcome = simulate.answer(MESH, "web", ask(target, host=host))
    if outcome.status is None:
        (backend,) = outcome.backends
        assert backend.received is not None
        assert (backend.received.values("host")[0], backend.received.target) == seen
    else:
        assert outcome.status == seen


def test_no_tunnel():
    assert simulate.answer(MESH, "web", ask("catalog:80", method="CONNECT")).status == 405


@pytest.mark.parametrize(
    ("host", "caller", "expected"),
    [
        ("example.com", "web", 404),
        ("nobody", "web", 403),
        ("nobody", "edge", 404),
        ("nobody.shop.mesh", "edge", 404),
        ("[::1]:80", "web", 404),
    ],
)
def test_hosts_that_nobody_has(host, caller, expected):
    assert simulate.answer(MESH, caller, ask("/", host=host)).status == expected


@pytest.mark.parametrize(
    ("host", "expected"), [("example.com:8090", "out"), ("10.1.1.1", "out"), ("nobody", 403)]
)
def test_egress(host, expected):
    way_out = replace(route("out", ("egress", 1)))
    open_web = replace(WEB, outbound=replace(WEB.outbound, egress=way_out))
    outcome = simulate.answer(mesh(open_web), "web", ask("/x", host=host))
    assert (outcome.status or outcome.route) == expected
    for backend in outcome.backends:
        assert backend.callee is None
        assert backend.received == ask("/x", host=host)


def test_a_local_port_takes_any_host():
    outcome = simulate.answer(MESH, "web", ask("/x", host="whatever:1"), local_port="catalog")
    assert (outcome.status, outcome.virtual_host, outcome.route) == (None, "catalog", "rest")


@pytest.mark.parametrize(
    ("refused", "reason"), [(False, ""), (True, "`ledger` does not let `web` in")], ids=["let in", "refused"]
)
def test_a_stream(refused, reason):
    callers = () if refused else ("web",)
    ledger = sidecar("ledger", ir.Proxy.NGINX, callers=callers)
    its = replace(MESH, sidecars=(ledger, *(each for each in MESH.sidecars if each.service != "ledger")))
    outcome = simulate.connect(its, "web", "ledger")
    assert (outcome.closed, outcome.reason) == (refused, reason)


def test_a_stream_without_an_endpoint():
    empty = replace(WEB, clusters=(replace(STREAM, endpoints=()),))
    assert simulate.connect(mesh(empty), "web", "ledger").closed


def rule(*callers: str, **parts: Any) -> ir.AuthorizationRule:
    return replace(ir.AuthorizationRule(tuple(identity(each) for each in callers)), **parts)


PATHS = {"paths": (ir.PathMatch(ir.PathMatchKind.PREFIX, "/a"), ir.PathMatch(ir.PathMatchKind.REGEX, "/b.*"))}
ADMIN = {
    "headers": (ir.HeaderMatch("x-role", "admin"), ir.HeaderMatch("x-on", "", ir.ValueMatchKind.PRESENT))
}
HEALTH = rule("web", methods=("GET",), paths=(ir.PathMatch(ir.PathMatchKind.EXACT, "/healthz"),))


@pytest.mark.parametrize(
    ("request_", "allow", "deny", "passes"),
    [
        (ask("/"), (), (), False),
        (ask("/"), (rule("web"),), (), True),
        (ask("/"), (rule(anyone=True),), (), True),
        (ask("/"), (rule("edge"),), (), False),
        (ask("/"), (rule("web", methods=("POST",)),), (), False),
        (ask("/a/x"), (rule("web", **PATHS),), (), True),
        (ask("/bc"), (rule("web", **PATHS),), (), True),
        (ask("/ab"), (rule("web", **PATHS),), (), False),
        (ask("/", ("X-Role", "user"), ("x-role", "admin"), ("x-on", "")), (rule("web", **ADMIN),), (), True),
        (ask("/", ("x-role", "admin")), (rule("web", **ADMIN),), (), False),
        (ask("/a"), (rule("web"),), (rule(anyone=True, **PATHS),), False),
        (ask("/a"), (rule("web"),), (rule("edge", **PATHS),), True),
        (ask("/healthz"), (), (rule(anyone=True),), True),
        (ask("/healthz?x"), (), (), True),
        (ask("/healthz/"), (), (), False),
        (ask("/healthz", method="POST"), (), (), False),
    ],
)
@pytest.mark.parametrize("audit", [False, True])
def test_rules(request_, allow, deny, passes, audit):
    rules = ir.Authorization(ir.AuthorizationMode.DECLARED, allow, deny, exempt=(HEALTH,), audit=audit)
    (backend,) = simulate.receive(mesh(rules=rules), "web", "catalog", request_).backends
    assert (backend.status is None) is (passes or audit)
    assert backend.audited is (audit and not passes)


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/healthz", None),
        ("HEAD", "/healthz", None),
        ("POST", "/healthz", 404),
        ("GET", "/ready", 200),
        ("POST", "/ready", 404),
        ("GET", "/", 404),
    ],
)
def test_health(method, target, status):
    binds = (ir.SocketAddress("10.0.0.1", 15021),)
    watched = replace(WEB, health=ir.HealthListener(binds, "/healthz", ir.SocketAddress("127.0.0.1", 8080)))
    outcome = simulate.probe(mesh(watched), "web", ask(target, method=method))
    assert outcome.status == status


@pytest.mark.parametrize(
    "question",
    [
        lambda: simulate.probe(MESH, "web", ask("/")),
        lambda: simulate.connect(MESH, "web", "catalog"),
        lambda: simulate.answer(MESH, "web", ask("/"), local_port="ledger"),
        lambda: simulate.receive(MESH, "web", "edge", ask("/")),
    ],
)
def test_where_nothing_listens(question):
    with pytest.raises(UsageError):
        question()


CONDITIONS = ir.RetryCondition


@pytest.mark.parametrize(
    ("conditions", "statuses", "answers"),
    [
        ((CONDITIONS.GATEWAY_ERROR,), (), {502, 503, 504}),
        ((CONDITIONS.SERVER_ERROR,), (), {500, 502, 503, 504, 599}),
        ((CONDITIONS.RESET,), (), set()),
        ((), (429,), {429}),
        ((CONDITIONS.CONNECT_FAILURE,), (404, 500), {404, 500}),
    ],
)
@pytest.mark.parametrize(
    ("method", "non_idempotent"), [("GET", False), ("POST", True), ("POST", False)], ids=str
)
def test_answers_that_are_tried_again(conditions, statuses, answers, method, non_idempotent):
    policy = ir.RetryPolicy(1, conditions, ("GET",), statuses, non_idempotent=non_idempotent)
    host = virtual_host("catalog", route("rest", ("catalog", 1), retries=policy))
    web = replace(WEB, outbound=replace(WEB.outbound, virtual_hosts=(host,)))
    outcome = simulate.answer(mesh(web), "web", ask("/", method=method))
    again = {
        status
        for status in (200, 404, 425, 429, 499, 500, 502, 503, 504, 599)
        if simulate.tries_again(outcome, status)
    }
    assert again == (answers if method == "GET" or non_idempotent else set())
    assert outcome.attempts == (1 if outcome.retry_on or outcome.retry_statuses else 0)
