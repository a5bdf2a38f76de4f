"""Precedence: Gateway API's order, each row one pair of matches and the one that must be tried first."""

from __future__ import annotations

import itertools

import pytest

from meshctl import ir
from tests.unit.resolve.specs import resolved, sidecar

# From the most to the least particular. HTTPRouteRule.matches of Gateway API v1 ("Proxy or Load Balancer routing
# configuration generated from HTTPRoutes MUST prioritize matches based on the following criteria"): exact path,
# longest prefix, method, most headers, most query parameters, then the order of the rules. It leaves regexes to
# the implementation and has no callers; docs/spec.md says where they stand.
BY_PARTICULARITY = [
    "{path: {exact: /a}, methods: [GET], headers: {x-a: '1'}}",
    "{path: {exact: /a}, methods: [GET]}",
    "{path: {exact: /a}, headers: {x-a: '1'}}",
    "{path: {exact: /a}, query: {q: '1'}}",
    "{path: {exact: /a}, from: [web]}",
    "{path: {exact: /a}}",
    "{path: {prefix: /a/b}}",
    "{path: {prefix: /a}, methods: [GET]}",
    "{path: {prefix: /a}, headers: {x-a: '1', x-b: '2'}}",
    "{path: {prefix: /a}, headers: {x-a: '1'}, query: {q: '1'}}",
    "{path: {prefix: /a}, headers: {x-a: '1'}}",
    "{path: {prefix: /a}, query: {q: '1', p: '2'}, from: [web]}",
    "{path: {prefix: /a}, query: {q: '1', p: '2'}}",
    "{path: {prefix: /a}, query: {q: '1'}}",
    "{path: {prefix: /a}}",
    "{path: {regex: '/[a-z]+'}, headers: {x-a: {present: true}}}",
    "{path: {regex: '/[a-z]+'}}",
    "{methods: [GET]}",
    "{headers: {x-a: '1'}}",
    "{query: {q: {regex: '[0-9]+'}}}",
    "{path: {prefix: /}, from: [web]}",
    "{path: {prefix: /}}",
]


def names(folder, routes: str, order: str = "") -> list[str]:
    mesh = resolved(
        folder,
        f"""
        services:
          web: {{calls: {{catalog: {{}}}}}}
          catalog: {{port: 80, endpoints: [{{address: 10.0.0.1}}]{order}, routes: [{routes}]}}
        """,
    )
    return [route.name for route in sidecar(mesh, "web").outbound.virtual_hosts[0].routes]


@pytest.mark.parametrize("pair", list(itertools.combinations(range(len(BY_PARTICULARITY)), 2)), ids=str)
def test_the_more_particular_match_is_tried_first_wherever_it_stands(tmp_path, pair):
    more, less = (BY_PARTICULARITY[index] for index in pair)
    routes = f"{{name: less, matches: [{less}]}}, {{name: more, matches: [{more}]}}"
    assert names(tmp_path, routes) == ["more", "less"]


def test_the_order_of_the_example_in_the_gateway_api_guide_to_http_routing(tmp_path):
    """https://gateway-api.sigs.k8s.io/guides/http-routing/: of two rules under one path the one with a header."""
    routes = (
        "{name: stable, matches: [{path: {prefix: /}}]}, {name: canary, matches: [{headers: {env: canary}}]}, "
        "{name: login, matches: [{path: {prefix: /login}}]}"
    )
    assert names(tmp_path, routes) == ["login", "canary", "stable"]


def test_equal_matches_keep_the_order_of_the_file(tmp_path):
    routes = "{name: b, matches: [{path: {prefix: /x}}]}, {name: a, matches: [{path: {prefix: /y}}]}"
    assert names(tmp_path, routes) == ["b", "a"]


def test_listed_order_is_kept(tmp_path):
    routes = "{name: all}, {name: exact, matches: [{path: {exact: /a}}]}"
    assert names(tmp_path, routes, ", routeOrder: listed") == ["all", "exact"]


def test_the_matches_of_one_route_are_ordered_each_for_itself(tmp_path):
    routes = (
        "{name: two, matches: [{path: {prefix: /a}}, {path: {exact: /b}}]}, "
        "{name: one, matches: [{path: {prefix: /a/c}}]}"
    )
    assert names(tmp_path, routes) == ["two", "one", "two"]


@pytest.mark.parametrize(("written", "meant"), [("/a/", "/a"), ("/", "/"), ("/a/b/", "/a/b")])
def test_a_slash_at_the_end_of_a_prefix_means_nothing(tmp_path, written, meant):
    mesh = resolved(
        tmp_path,
        f"""
        services:
          web: {{calls: {{catalog: {{}}}}}}
          catalog:
            port: 80
            endpoints: [{{address: 10.0.0.1}}]
            routes: [{{name: r, matches: [{{path: {{prefix: {written}}}}}]}}]
        """,
    )
    [route] = sidecar(mesh, "web").outbound.virtual_hosts[0].routes
    assert route.match.path.value == meant


TWO_CALLERS = """
services:
  web: {{calls: {{catalog: {{}}}}}}
  other: {{calls: {{catalog: {{}}}}}}
  third: {{calls: {{catalog: {{}}}}}}
  catalog: {{port: 80, endpoints: [{{address: 10.0.0.1}}], routes: [{routes}]}}
"""


def test_a_match_that_is_bound_to_callers_is_there_for_them_alone(tmp_path):
    routes = "{name: mine, matches: [{from: [web]}, {path: {prefix: /x}, from: [web, other]}]}, {name: rest}"
    mesh = resolved(tmp_path, TWO_CALLERS.format(routes=routes))
    hosts = {caller: sidecar(mesh, caller).outbound.virtual_hosts for caller in ("web", "other", "third")}
    seen = {caller: [route.name for route in host.routes] for caller, (host,) in hosts.items()}
    assert seen == {"web": ["mine", "mine", "rest"], "other": ["mine", "rest"], "third": ["rest"]}
    asked = {caller: {use.feature for use in ir.features_of(host)} for caller, host in hosts.items()}
    assert [ir.Feature.CALLER_MATCH in asked[each] for each in ("web", "other", "third")] == [
        True,
        True,
        False,
    ]


def test_callers_that_no_match_names_share_one_virtual_host(tmp_path):
    mesh = resolved(
        tmp_path, TWO_CALLERS.format(routes="{name: mine, matches: [{from: [web]}]}, {name: rest}")
    )
    web, other, third = (sidecar(mesh, each).outbound.virtual_hosts[0] for each in ("web", "other", "third"))
    assert other is third
    assert web is not other


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        ("{name: a}", {("catalog", "catalog.shop.mesh"): ["a"]}),
        (
            "{name: a, hostnames: [x.example, y.example]}, {name: b, hostnames: [x.example]}, {name: c}",
            {("catalog", "catalog.shop.mesh"): ["c"], ("x.example",): ["a", "b"], ("y.example",): ["a"]},
        ),
        (
            "{name: a, hostnames: [x.example, '*.x.example']}",
            {("catalog", "catalog.shop.mesh"): [], ("x.example", "*.x.example"): ["a"]},
        ),
        (
            "{name: a, hostnames: [catalog]}, {name: b}",
            {("catalog",): ["a", "b"], ("catalog.shop.mesh",): ["b"]},
        ),
    ],
)
def test_a_route_answers_under_its_host_names_or_else_under_the_services_own(tmp_path, routes, expected):
    mesh = resolved(tmp_path, TWO_CALLERS.format(routes=routes))
    hosts = sidecar(mesh, "web").outbound.virtual_hosts
    assert {each.hostnames: [route.name for route in each.routes] for each in hosts} == expected


def test_filters_are_in_order_of_names_and_ask_where_they_are_written(tmp_path):
    routes = (
        "{name: a, matches: [{path: {prefix: /old/}}], rewrite: {path: {prefix: /new/}, hostname: h.example}, "
        "requestHeaders: {set: {X-B: '2', x-a: '1'}, remove: [X-D, x-c]}}"
    )
    [route] = (
        sidecar(resolved(tmp_path, TWO_CALLERS.format(routes=routes)), "web").outbound.virtual_hosts[0].routes
    )
    assert route.request_headers.set == (("x-a", "1"), ("x-b", "2"))
    assert route.request_headers.remove == ("x-c", "x-d")
    assert (route.rewrite.prefix, route.rewrite.hostname) == ("/new", "h.example")
    assert {each.feature for each in ir.features_of(route)} >= {
        ir.Feature.PATH_REWRITE, ir.Feature.HOST_REWRITE, ir.Feature.REQUEST_HEADERS,
    }  # fmt: skip


@pytest.mark.parametrize("filters", ["redirect: {hostname: h.example}", "respond: {status: 204}"])
def test_a_route_that_answers_by_itself_has_no_backend_and_asks_for_no_limit(tmp_path, filters):
    text = TWO_CALLERS.format(routes=f"{{name: a, {filters}}}").replace("port: 80", "timeout: 1s, port: 80")
    caller = sidecar(resolved(tmp_path, text), "web")
    [route] = caller.outbound.virtual_hosts[0].routes
    assert route.backends == ()
    assert caller.clusters == ()
    assert not route.timeout.written
    assert route.retries.attempts == 0
