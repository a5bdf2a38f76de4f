"""Faults, copies, limits, protocols and names in TLS: what a request or a connection meets, from specs."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

import pytest

from meshctl import simulate
from meshctl.ir import Abort
from tests.unit.resolve.specs import resolved

SPEC = """
services:
  web:
    port: 80
    endpoints: [{address: 10.0.0.1}]
    calls: {api: {}, rpc: {}, two: {}, pay: {localPort: 16443}, bank: {localPort: 16443}, mail: {localPort: 12525}}
  api:
    port: 81
    endpoints: [{address: 10.0.1.1, subset: v1}, {address: 10.0.1.2, subset: v2}]
    healthPath: /healthz
    rateLimit: {requests: 9, per: 1s}
    routes:
      - {name: none, matches: [{path: {prefix: /none}}], fault: {delay: {duration: 1s, percent: 5%}, abort: {status: 503}}}
      - {name: some, matches: [{path: {prefix: /some}}], fault: {abort: {status: 418, percent: 20%}}}
      - {name: never, matches: [{path: {prefix: /never}}], fault: {abort: {status: 418, percent: 0%}}}
      - {name: copied, backends: [{subset: v1}], mirror: [{subset: v2, percent: 5%}, {service: rpc}], rewrite: {path: {full: /x}}}
  rpc:
    port: 82
    protocol: grpc
    endpoints: [{address: 10.0.2.1}]
    allow: [{from: [web], paths: [{prefix: /a.B}]}]
    healthCheck: {grpc: {}}
    retries: {attempts: 2, retryOn: [connect-failure, unavailable], nonIdempotent: true}
  two: {port: 83, protocol: http2, endpoints: [{address: 10.0.3.1}]}
externals:
  pay: {hosts: [pay.example, "*.pay.example"], port: 443, protocol: tls, endpoints: [{address: 192.0.2.1}]}
  bank: {hosts: [bank.example], port: 443, protocol: tls, endpoints: [{address: 192.0.2.2}]}
  mail: {hosts: [mail.example], port: 25, protocol: tcp, endpoints: [{address: 192.0.2.3}]}
"""


@pytest.fixture
def mesh(tmp_path):
    return resolved(tmp_path, SPEC)


def test_what_every_request_gets_is_an_answer(mesh):
    outcome = simulate.request(mesh, "web", "GET", "http://api/none")
    assert (outcome.status, outcome.route, outcome.backends, outcome.mirrors) == (503, "none", (), ())
    assert outcome.delay is not None
    assert (outcome.delay.duration, outcome.delay.share) == (timedelta(seconds=1), Fraction(1, 20))


def test_what_some_requests_get_is_a_chance(mesh):
    outcome = simulate.request(mesh, "web", "GET", "http://api/some")
    assert (outcome.status, outcome.abort, outcome.delay) == (None, Abort(418, Fraction(1, 5)), None)
    assert simulate.request(mesh, "web", "GET", "http://api/never").abort is None


def test_copies_are_what_the_backend_gets(mesh):
    outcome = simulate.request(mesh, "web", "GET", "http://api/y")
    (backend,) = outcome.backends
    assert [(each.cluster, each.share) for each in outcome.mirrors] == [
        ("api.v2", Fraction(1, 20)),
        ("rpc", 1),
    ]
    first, second = outcome.mirrors
    assert first.received == backend.received
    assert backend.received is not None
    assert backend.received.target == "/x"
    # What becomes of a copy is nothing to the request.
    assert (second.status, outcome.status) == (403, None)


@pytest.mark.parametrize(
    ("target", "limited"), [("/healthz", False), ("/healthz?x", False), ("/", True), ("/healthz/", True)]
)
def test_a_limit_lets_health_checks_through(mesh, target, limited):
    outcome = simulate.receive(mesh, "web", "api", simulate.Request("GET", target, (("host", "api"),)))
    assert (outcome.backends[0].limit is not None) is limited


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("POST", "/a.B/C", None),
        ("POST", "/grpc.health.v1.Health/Check", None),
        ("GET", "/grpc.health.v1.Health/Check", 403),
        ("POST", "/grpc.health.v1.Health/Watch", 403),
    ],
)
def test_health_checks_by_grpc_pass_the_rules(mesh, method, target, status):
    assert simulate.request(mesh, "web", method, f"http://rpc{target}").status == status


def test_statuses_of_grpc_count_for_posts_that_may_be_made_twice(mesh):
    outcome = simulate.request(mesh, "web", "POST", "http://rpc/a.B/C")
    assert (outcome.attempts, outcome.retry_grpc_statuses) == (2, ("unavailable",))


WEBSOCKET = (("Connection", "keep-alive, Upgrade"), ("Upgrade", "WebSocket"))


@pytest.mark.parametrize(
    ("callee", "headers", "kept"),
    [
        ("api", WEBSOCKET, True),
        ("api", (("Connection", "upgrade"), ("Upgrade", "h2c")), False),
        ("api", (("Upgrade", "websocket"),), False),
        ("two", WEBSOCKET, False),
    ],
)
def test_only_websockets_change_the_protocol_and_not_over_http2(mesh, callee, headers, kept):
    (backend,) = simulate.request(mesh, "web", "GET", f"http://{callee}/", headers).backends
    assert backend.received is not None
    seen = {name: backend.received.values(name) for name in ("connection", "upgrade")}
    assert seen == (
        {"connection": ["upgrade"], "upgrade": ["websocket"]} if kept else {"connection": [], "upgrade": []}
    )


@pytest.mark.parametrize(
    ("name", "cluster"),
    [
        ("pay.example", "pay"),
        ("a.b.pay.example", "pay"),
        ("BANK.example", "bank"),
        ("other.example", None),
        ("", None),
        ("example", None),
    ],
)
def test_the_name_in_tls_picks_the_cluster(mesh, name, cluster):
    outcome = simulate.connect(mesh, "web", "pay", name)
    assert outcome.closed is (cluster is None)
    assert [each.cluster for each in outcome.backends] == ([cluster] if cluster else [])


def test_a_stream_without_names_goes_its_way(mesh):
    assert [each.cluster for each in simulate.connect(mesh, "web", "mail").backends] == ["mail"]
