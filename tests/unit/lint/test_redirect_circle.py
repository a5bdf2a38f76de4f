"""Redirects over several routes, hosts and gateways, followed as a client would."""

from __future__ import annotations

import time
from datetime import date

import pytest

from meshctl import pipeline
from meshctl.lint.checks import CHECKS
from meshctl.lint.facts import MatchFacts, MeshFacts, World

MESH = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}
services:
  web: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {orders: {}, other: {}}}
  other:
    port: 80
    endpoints: [{address: 10.0.0.3}]
    routes:
      - {name: back, matches: [{path: {prefix: /b}}], redirect: {hostname: orders, path: {full: /a}}}
      - {name: rest}
  orders:
    port: 80
    endpoints: [{address: 10.0.0.2}]
    routes:
"""
GATEWAYS = """\
      - {name: rest}
gateways:
  plain:
    port: 80
    endpoints: [{address: 10.0.0.9}]
    hostnames: [shop.example]
    calls: {orders: {}}
    routes: [{name: up, redirect: {scheme: https}}]
  edge:
    port: 443
    endpoints: [{address: 10.0.0.8}]
    hostnames: ["*.example"]
    tls: {certificate: /etc/c.pem, key: /etc/k.pem}
    calls: {orders: {}}
    routes: [{name: down, matches: [{path: {prefix: /old}}], redirect: {PORT path: {prefix: /new}}}, {name: rest, backends: [{service: orders}]}]
"""


def found(tmp_path, rest):
    (tmp_path / "mesh.yaml").write_text(MESH + rest, "utf-8")
    findings = pipeline.lint(str(tmp_path / "mesh.yaml"), today=date(2026, 1, 1)).findings
    return [(each.at.line, each.message) for each in findings if each.slug == "redirect-circle"]


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        ("      - {name: a, matches: [{path: {exact: /a}}], redirect: {path: {full: /c}}}\n", []),
        (
            "      - {name: a, matches: [{path: {exact: /a}}], redirect: {path: {full: /c}}}\n      - {name: c, matches: [{path: {exact: /c}}], redirect: {path: {full: /a}}}\n",
            [(15, "a", "GET orders/a", "orders/c → orders/a")],
        ),
        # Only a POST comes back, and the redirect makes it a GET.
        (
            "      - {name: a, matches: [{path: {exact: /a}, methods: [POST]}], redirect: {path: {full: /c}}}\n      - {name: c, matches: [{path: {exact: /c}}], redirect: {path: {full: /a}}}\n",
            [],
        ),
        (
            "      - {name: a, matches: [{path: {exact: /a}, methods: [POST]}], redirect: {status: 307, path: {full: /c}}}\n      - {name: c, matches: [{path: {exact: /c}, methods: [POST]}], redirect: {status: 308, path: {full: /a}}}\n",
            [(15, "a", "POST orders/a", "orders/c → orders/a")],
        ),
    ],
)
def test_routes_of_one_host(tmp_path, routes, expected):
    told = [
        (line, f"route `{route}` of `orders` redirects for ever: `{request}` is sent to {way}")
        for line, route, request, way in expected
    ]
    assert found(tmp_path, routes + "      - {name: rest}\n") == told


def test_over_two_hosts(tmp_path):
    routes = "      - {name: a, matches: [{path: {prefix: /a}}], redirect: {hostname: other.shop.mesh, path: {prefix: /b}}}\n"
    lines = [line for line, _ in found(tmp_path, routes)]
    assert lines == [15]
    away = routes.replace("other.shop.mesh", "elsewhere.example")
    assert found(tmp_path, away) == []


def test_over_two_gateways(tmp_path):
    """From plain to TLS and back; only upwards is no circle."""
    assert found(tmp_path, GATEWAYS.replace("PORT ", "")) == []
    down = GATEWAYS.replace("PORT ", "scheme: http, ").replace("{prefix: /new}", "{prefix: /old}")
    assert [line for line, _ in found(tmp_path, down)] == [29]


def test_a_target_is_told_with_its_port(tmp_path):
    plain = GATEWAYS.replace(
        "port: 80\n    endpoints: [{address: 10.0.0.9}]", "port: 8081\n    endpoints: [{address: 10.0.0.9}]"
    )
    turned = plain.replace("redirect: {scheme: https}", "redirect: {port: 8081, path: {full: /on}}")
    assert "port: 8081," in turned
    (told,) = (text for _, text in found(tmp_path, turned.replace("PORT ", "")))
    assert told.endswith(
        ": `GET shop.example/` is sent to http://shop.example:8081/on → http://shop.example:8081/on"
    )


def test_many_redirects_take_no_long_time():
    """Each to the next, and the last to the first."""
    matches = tuple(
        MatchFacts(
            service="a", route=f"r{n}", callers=("b",), hostnames=("a",), path=f"exact /x{n}",
            redirect={"status": "302", "path": f"/x{(n + 1) % 2000}"},
        )
        for n in range(2000)
    )  # fmt: skip
    begun = time.perf_counter()
    list(CHECKS["redirect-circle"].run(World(MeshFacts(), {}, matches=matches), {}))
    assert time.perf_counter() - begun < 20
