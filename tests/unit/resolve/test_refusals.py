"""Routes at the edge of what is refused: each row is a list of routes and what is found about them."""

from __future__ import annotations

import pytest

from meshctl.resolve import resolve
from tests.unit.resolve.specs import read, slugs

TEXT = """
services:
  web: {{calls: {{catalog: {{}}}}}}
  other: {{calls: {{catalog: {{}}}}}}
  catalog: {{port: 80, endpoints: [{{address: 10.0.0.1}}]{more}, routes: [{routes}]}}
"""


def found(folder, routes, more=""):
    return slugs(resolve(read(folder, TEXT.format(routes=routes, more=more))))


LOOP = ["redirect-loop"]
REDIRECTS = [
    ("{name: a, matches: [{path: {prefix: /a}}], redirect: {scheme: https}}", []),
    ("{name: a, matches: [{path: {prefix: /a}}], redirect: {port: 8080}}", []),
    ("{name: a, matches: [{path: {prefix: /a}}], redirect: {path: {full: /b}}}", []),
    ("{name: a, matches: [{path: {prefix: /a}}], redirect: {path: {prefix: /ab}}}", []),
    ("{name: a, matches: [{path: {prefix: /a}}], redirect: {path: {prefix: /a/b}}}", LOOP),
    ("{name: a, matches: [{path: {exact: /a}}], redirect: {path: {full: /a}}}", LOOP),
    ("{name: a, redirect: {path: {full: /b}}}", LOOP),
    ("{name: a, redirect: {path: {full: /b}}}, {name: b, matches: [{path: {exact: /b}}]}", []),
    ("{name: a, redirect: {path: {full: /b}}}, {name: b, matches: [{path: {regex: '/b+'}}]}", []),
    ("{name: a, matches: [{methods: [POST]}], redirect: {status: 303, path: {full: /b}}}", []),
    ("{name: a, matches: [{methods: [POST]}], redirect: {status: 308, path: {full: /b}}}", LOOP),
    ("{name: a, matches: [{path: {regex: '/a+'}}], redirect: {path: {full: /a}}}", []),
]


@pytest.mark.parametrize(("routes", "expected"), REDIRECTS)
def test_a_redirect_to_itself_is_told_only_where_it_is_sure(tmp_path, routes, expected):
    assert found(tmp_path, routes) == expected


A, UNREACHABLE = "{name: a, matches: [{path: {prefix: /a}}]}", ["unreachable-route"]
ORDERS = [
    (f"{A}, {{name: b, matches: [{{path: {{prefix: /a/b}}}}]}}", "", []),
    (f"{A}, {{name: b, matches: [{{path: {{prefix: /a/b}}}}]}}", ", routeOrder: listed", UNREACHABLE),
    (f"{A}, {{name: b, matches: [{{path: {{prefix: /ab}}}}]}}", ", routeOrder: listed", []),
    (f"{A}, {{name: b, matches: [{{path: {{exact: /a}}}}]}}", ", routeOrder: listed", UNREACHABLE),
    (f"{A}, {{name: b, matches: [{{path: {{regex: '/a/.*'}}}}]}}", ", routeOrder: listed", []),
    (f"{A}, {{name: b, matches: [{{path: {{prefix: /a/}}}}]}}", "", UNREACHABLE),
    (f"{A}, {{name: b, hostnames: [x.example], matches: [{{path: {{prefix: /a}}}}]}}", "", []),
    ("{name: all}, {name: b}", "", UNREACHABLE),
    ("{name: all}, {name: b, matches: [{headers: {x: '1'}}]}", "", []),
    ("{name: all, matches: [{from: [web]}]}, {name: b}", "", []),
    ("{name: all, matches: [{from: [web, other]}]}, {name: b, matches: [{from: [web]}]}", "", UNREACHABLE),
    ("{name: all, matches: [{methods: [GET]}]}, {name: b, matches: [{methods: [GET, HEAD]}]}", "", []),
    (
        "{name: all, matches: [{methods: [GET, HEAD]}]}, {name: b, matches: [{methods: [GET]}]}",
        "",
        UNREACHABLE,
    ),
    ("{name: a, matches: [{query: {q: '1'}}]}, {name: b, matches: [{query: {q: '2'}}]}", "", []),
    (
        "{name: a, matches: [{query: {q: '1'}}]}, {name: b, matches: [{query: {q: {exact: '1'}}}]}",
        "",
        UNREACHABLE,
    ),
]


@pytest.mark.parametrize(("routes", "more", "expected"), ORDERS)
def test_a_match_is_unreachable_where_an_earlier_one_takes_all_of_it(tmp_path, routes, more, expected):
    assert found(tmp_path, routes, more) == expected


FILTERS = [
    ("{name: a, rewrite: {path: {prefix: /b}}}", []),
    ("{name: a, matches: [{headers: {x: '1'}}], rewrite: {path: {prefix: /b}}}", []),
    ("{name: a, matches: [{path: {regex: '/a'}}], rewrite: {path: {full: /b}}}", []),
    (
        "{name: a, matches: [{path: {regex: '/a'}}], rewrite: {path: {prefix: /b}}}",
        ["prefix-change-without-prefix"],
    ),
    ("{name: a, rewrite: {path: {full: /a//b}}}", ["path-not-canonical"]),
    ("{name: a, responseHeaders: {set: {location: /x}}, redirect: {hostname: h.example}}", []),
    ("{name: a, requestHeaders: {set: {x-a: '1'}}, respond: {status: 200}}", ["conflicting-filters"]),
    ("{name: a, mirror: [{service: catalog}], respond: {status: 200}}", ["conflicting-filters"]),
    ("{name: a, requestHeaders: {set: {te: trailers}}}", ["header-not-changeable"]),
    ("{name: a, requestHeaders: {set: {x.forwarded_client-cert: x}}}", ["header-not-changeable"]),
    ("{name: a, requestHeaders: {set: {x-meshy: x}, add: {authorization: x}}}", []),
]


@pytest.mark.parametrize(("routes", "expected"), FILTERS)
def test_filters_that_cannot_be(tmp_path, routes, expected):
    assert found(tmp_path, routes) == expected


HOSTS = [
    ("{name: a, hostnames: [catalog.shop.mesh]}", []),
    ("{name: a, hostnames: [web]}", ["hostname-clash"]),
    ("{name: a, hostnames: [web.shop.mesh]}", ["hostname-clash"]),
    ("{name: a, hostnames: ['*.shop.mesh']}", ["hostname-clash"]),
    ("{name: a, hostnames: ['*.mesh']}", ["hostname-clash"]),
    ("{name: a, hostnames: ['*.catalog.shop.mesh']}", ["hostname-clash"]),
    ("{name: a, hostnames: ['*.notshop.mesh', myshop.mesh, single]}", []),
]


@pytest.mark.parametrize(("routes", "expected"), HOSTS)
def test_host_names_that_are_somebody_elses(tmp_path, routes, expected):
    assert found(tmp_path, routes) == expected
