"""Precedence: Gateway API's order, each row one pair of matches and the one that must be tried first."""

from __future__ import annotations

import itertools

import pytest

from tests.unit.resolve.specs import resolved, sidecar

# From the most to the least particular (GEP-718 "HTTPRoute precedence" and spec.md).
BY_PARTICULARITY = [
    "{path: {exact: /a}, methods: [GET], headers: {x-a: '1'}}",
    "{path: {exact: /a}, methods: [GET]}",
    "{path: {exact: /a}, headers: {x-a: '1'}}",
    "{path: {exact: /a}}",
    "{path: {prefix: /a/b}}",
    "{path: {prefix: /a}, methods: [GET]}",
    "{path: {prefix: /a}, headers: {x-a: '1', x-b: '2'}}",
    "{path: {prefix: /a}, headers: {x-a: '1'}}",
    "{path: {prefix: /a}}",
    "{methods: [GET]}",
    "{headers: {x-a: '1'}}",
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
