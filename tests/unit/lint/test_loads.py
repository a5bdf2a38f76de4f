"""Loads, limits, idle connections, zones and what is unused, from a spec to the finding."""

from __future__ import annotations

from datetime import date

import pytest

from meshctl import pipeline

HEAD = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example, resolvers: ["127.0.0.53:53"]MESH}
services:
  web:
    port: 80
    endpoints: [{address: 10.0.0.1, zone: a}, {address: 10.0.0.2, zone: a}]
    calls: {orders: {CALL}}
  orders:
    port: 80
    endpoints: [{address: 10.0.1.1, zone: a, subset: v1}, {address: 10.0.1.2, zone: b, subset: v1}]
"""
ORDERS = len(HEAD.splitlines())


def lint(tmp_path, call="", rest="", mesh="", profile=None):
    path = tmp_path / "mesh.yaml"
    path.write_text(HEAD.replace("CALL", call).replace("MESH", mesh) + rest, "utf-8")
    return pipeline.lint(str(path), today=date(2026, 1, 1), profile=profile)


def messages(linted, slug):
    return [
        (each.severity.value, each.at.line, each.message) for each in linted.findings if each.slug == slug
    ]


@pytest.mark.parametrize(
    ("load", "breaker", "proxy", "found"),
    [
        # 200 a second for 100 ms are 20 under way, 10 in each of two sidecars.
        ("{requests: 200, per: 1s, latency: 100ms}", "{maxRequests: 10, maxConnections: 10}", "http", False),
        ("{requests: 200, per: 1s, latency: 100ms}", "{maxRequests: 9, maxConnections: 10}", "http", True),
        ("{requests: 12000, per: 1m, latency: 100ms}", "{maxRequests: 10, maxConnections: 9}", "http", True),
        # Over HTTP/2 one connection carries many.
        ("{requests: 200, per: 1s, latency: 100ms}", "{maxRequests: 10, maxConnections: 1}", "http2", False),
        ("{requests: 200, per: 1s}", "{maxRequests: 1, maxConnections: 1}", "http", False),
    ],
)
def test_the_breaker_and_the_load(tmp_path, load, breaker, proxy, found):
    call = f"load: {load}, circuitBreaker: {breaker}"
    told = messages(lint(tmp_path, call, f"    protocol: {proxy}\n"), "breaker-below-load")
    message = "each sidecar of `web` has 10 requests to `orders` under way on average, and its circuit breaker takes 9 (at most 100 % of which)"
    assert told == ([("warning", 7, message)] if found else [])


@pytest.mark.parametrize(
    ("call", "web", "limit", "found"),
    [
        ("load: {requests: 100, per: 1s}", "", "{requests: 50, per: 1s}", None),
        ("load: {requests: 101, per: 1s}", "", "{requests: 50, per: 1s}", ("warning", "web 101")),
        ("load: {requests: 6060, per: 1m}", "", "{requests: 3000, per: 1m}", ("warning", "web 101")),
        ("", "", "{requests: 50, per: 1s}", None),
        ("", "    rateLimit: {requests: 51, per: 1s}\n", "{requests: 50, per: 1s}", ("info", "web 102 by its own limit")),
        ("", "    rateLimit: {requests: 50, per: 1s}\n", "{requests: 50, per: 1s}", None),
    ],
)  # fmt: skip
def test_the_limit_and_what_is_asked(tmp_path, call, web, limit, found):
    head = HEAD.replace("  orders:\n", f"{web}  orders:\n").replace("CALL", call).replace("MESH", "")
    (tmp_path / "mesh.yaml").write_text(f"{head}    rateLimit: {limit}\n", "utf-8")
    told = messages(pipeline.lint(str(tmp_path / "mesh.yaml"), today=date(2026, 1, 1)), "rate-limit-sum")
    if found is None:
        assert told == []
        return
    ((severity, _, message),) = told
    assert severity == found[0]
    assert message.startswith("`orders` lets in 100 requests a second over all its instances")
    assert message.endswith(f": {found[1]}")


def test_a_load_changes_no_output(tmp_path):
    plain = lint(tmp_path).require()
    assert lint(tmp_path, "load: {requests: 200, per: 1s, latency: 1h}").require() == plain


def test_a_stream_has_no_load(tmp_path):
    call = "localPort: 9000, load: {requests: 1, per: 1s}"
    told = messages(lint(tmp_path, call, "    protocol: tcp\n"), "needs-http")
    assert told == [("error", 7, "`load` speaks of requests, and `orders` is a TCP stream")]


@pytest.mark.parametrize(
    ("call", "rest", "found"),
    [
        ("", "", False),
        ("timeout: 4m", "", False),
        ("timeout: 6m", "", True),
        ("timeout: 6m", "    idleTimeout: 6m\n", False),
        ("idleTimeout: 6m", "", True),
        ("idleTimeout: 4m", "", False),
        ("streaming: true", "", False),
    ],
)
def test_idle_connections(tmp_path, call, rest, found):
    told = messages(lint(tmp_path, call, rest), "idle-timeout-too-short")
    assert [(severity, line) for severity, line, _ in told] == ([("warning", 7)] if found else [])


@pytest.mark.parametrize(
    ("rest", "found"),
    [("", True), ("    locality: {preferSameZone: true}\n    outlierDetection: {}\n", False)],
)
def test_zones(tmp_path, rest, found):
    rest = rest.replace("{}", "{consecutiveErrors: 5}")
    told = messages(lint(tmp_path, "", rest, profile="strict"), "zone-blind-call")
    message = "`web` asks the endpoints of `orders` in all zones alike, with some in its own"
    assert told == ([("warning", 7, message)] if found else [])


def test_what_is_unused(tmp_path):
    rest = """\
    routes: [{name: a, matches: [{from: [lone], path: {prefix: /a}}]}, {name: rest}]
  lone: {port: 80, endpoints: [{address: 10.0.2.1}]}
externals:
  bank: {hosts: [bank.example], port: 443, tls: {sni: other.example}}
  shop: {hosts: ["*.shop.example"], port: 443, tls: {sni: a.shop.example}}
"""
    linted = lint(tmp_path, "", rest)
    assert messages(linted, "unused-definition") == [
        ("info", ORDERS, "no route names these subsets of `orders`: v1"),
        ("info", ORDERS + 2, "`lone` calls nobody, and nobody calls it"),
        ("info", ORDERS + 4, "nobody calls `bank`"),
        ("info", ORDERS + 5, "nobody calls `shop`"),
    ]
    message = "nobody who calls `orders` is named under `from` of a"
    assert messages(linted, "route-for-nobody") == [("warning", ORDERS + 1, message)]
    message = "`bank` (bank.example) is verified as other.example, which is none of its hosts"
    assert messages(linted, "verified-name-differs") == [("warning", ORDERS + 4, message)]


def test_what_is_told_of_the_mesh(tmp_path):
    edge = "gateways: {edge: {port: 8080, endpoints: [{address: 10.0.9.1}], calls: {web: {}}, routes: [{name: all, backends: [{service: web}]}]}}\n"
    bare = lint(tmp_path, "", edge, profile="strict")
    assert [line for _, line, _ in messages(bare, "no-telemetry")] == [2]
    assert messages(lint(tmp_path, "", edge), "no-telemetry") == []
    told = lint(
        tmp_path, "", edge, mesh=', metrics: {format: prometheus}, tracing: {otlp: "127.0.0.1:4317", sampling: 100%}', profile="strict",
    )  # fmt: skip
    assert messages(told, "no-telemetry") == []
    assert [message for *_, message in messages(told, "everything-sampled")] == [
        "100 % of all requests are traced (at most 50 %)"
    ]


def test_sizes_and_copies(tmp_path):
    rest = """\
    routes:
      - {name: all, mirror: [{service: copy}]}
  copy: {port: 80, endpoints: [{address: 10.0.2.1}]}
lint: {rules: {config-size: {endpoints: 2}, fan-out: {most: 0}}}
"""
    linted = lint(tmp_path, "", rest)
    assert messages(linted, "everything-mirrored") == [
        ("info", ORDERS + 2, "route `all` of `orders` sends a copy of every request to copy")
    ]
    (size,) = messages(linted, "config-size")
    assert size[2] == "the sidecar of `web` holds 3 endpoints and 1 routes (at most 2 and 1000)"
    (fan,) = messages(linted, "fan-out")
    assert fan[2] == "`web` calls many others (more than 0): orders"
