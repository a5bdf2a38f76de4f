"""Who reaches whom, against what the simulator makes of requests: nobody missing, and nobody too much."""

from __future__ import annotations

import itertools
import random
import time

import pytest
from msgspec.structs import replace

from meshctl import simulate
from meshctl.simulate.decisions import Places
from meshctl.simulate.message import Request
from meshctl.simulate.reachability import reachability
from tests.differential.comparing import CALLERS
from tests.differential.drawing import drawn as drawn_from
from tests.differential.meshes import meshes
from tests.differential.soaking import rows_for
from tests.differential.worlds import resolved as world
from tests.seconds import soak_seconds
from tests.unit.resolve.specs import resolved

SEED, WORLDS, ROWS = 7, 4, 3


def faultless(mesh):
    """The mesh without injected faults, which reach is not asked about."""

    def without(host):
        return replace(host, routes=tuple(replace(each, fault=None) for each in host.routes))

    return replace(
        mesh,
        sidecars=tuple(
            replace(
                each,
                outbound=replace(
                    each.outbound, virtual_hosts=tuple(map(without, each.outbound.virtual_hosts))
                ),
            )
            for each in mesh.sidecars
        ),
    )


def let_in(outcome):
    """The callees whose application sees the request, or a copy of it."""
    return {
        each.callee.service
        for each in (*outcome.backends, *outcome.mirrors)
        if each.callee is not None and each.received is not None
    }


def asked(each):
    _, _, rest = each.url.partition("://")
    host = rest.partition("/")[0]
    return Request(each.method, rest[len(host) :], (("host", host), *each.headers))


def test_it_says_of_random_meshes_what_their_requests_show(tmp_path):
    holds_for(SEED, WORLDS, ROWS, tmp_path)


@pytest.mark.soak
def test_it_does_so_of_any_for_long(tmp_path):
    end = time.monotonic() + soak_seconds(1)
    while time.monotonic() < end:
        seed = random.SystemRandom().randrange(1 << 32)
        print(f"reachability: seed {seed}")
        holds_for(seed, 12, 10, tmp_path)


def holds_for(seed, worlds, rows, tmp_path):
    drawn = proved = shown = 0
    for number, document in enumerate(drawn_from(meshes(), seed, worlds)):
        compiled = world(document, CALLERS, tmp_path)
        if compiled is None:
            continue
        mesh = faultless(compiled)
        found, places = reachability(mesh), Places.of(mesh)
        for caller in (f"from-{each}" for each in CALLERS):
            for row in rows_for(document, seed + number, rows):
                request = Request(row.method, row.target, (("host", row.host or ""), *row.headers))
                outcome = simulate.answer(mesh, caller, request)
                drawn += 1
                for callee in let_in(outcome):
                    shown += 1
                    assert caller in found.permissions[callee], (document, row)
                for inbound, rule in places.decision(caller, request, outcome).rules:
                    if rule is None or rule in (*inbound.authorization.deny,):
                        continue
                    (callee,) = (each.service for each in mesh.sidecars if each.inbound is inbound)
                    rules = [each.rule for each in found.permissions[callee][caller]]
                    assert rule in rules, (document, row)
        for callee, callers in found.permissions.items():
            for caller, permissions in callers.items():
                for each in permissions:
                    if each.example is not None:
                        proved += 1
                        assert callee in let_in(simulate.answer(mesh, caller, asked(each.example)))
    assert drawn > 150
    assert shown > 40
    assert proved > 20


def random_spec(draw, services=0):
    """Services that call each other at random, under rules that know nothing but callers, methods and paths."""
    names = [f"s{each}" for each in range(services or draw.randint(2, 7))]
    lines = [f"mode: {draw.choice(('declared', 'explicit', 'open'))}"]
    services = []
    for number, name in enumerate(names):
        calls = [each for each in names if each != name and draw.random() < 0.3]
        rules = {
            key: [
                {
                    "from": "[" + ", ".join(draw.sample([*names, '"*"'], 2)) + "]",
                    "methods": draw.choice(("[GET]", "[POST]", "[GET, POST]")),
                    "paths": draw.choice(
                        ("[{prefix: /}]", "[{prefix: /a}]", "[{exact: /a}]", "[{prefix: /a/b}]")
                    ),
                }
                for _ in range(draw.randint(1, 2))
            ]
            for key in ("allow", "deny")
            if draw.random() < 0.5
        }
        told = "".join(
            f", {key}: [{', '.join('{' + ', '.join(f'{k}: {v}' for k, v in rule.items()) + '}' for rule in its)}]"
            for key, its in rules.items()
        )
        listed = ", ".join(f"{each}: {{}}" for each in calls)
        services.append(
            f"  {name}: {{port: 80, endpoints: [{{address: 10.0.0.{number + 1}}}], calls: {{{listed}}}{told}}}"
        )
    return f", authorization: {{{lines[0]}}}", "services:\n" + "\n".join(services) + "\n"


def closure(edges, target):
    """Everybody from whom a chain of edges leads to ``target``, one after the other and the long way round."""
    reaching = {caller for caller, callee in edges if callee == target}
    while True:
        more = reaching | {caller for caller, callee in edges if callee in reaching}
        if more == reaching:
            return reaching - {target}
        reaching = more


def test_chains_are_those_of_the_requests(tmp_path):
    draw = random.Random(SEED)
    chains = 0
    for _ in range(12):
        head, text = random_spec(draw)
        mesh = resolved(tmp_path, text, head)
        names = [each.service for each in mesh.sidecars]
        edges = {
            (caller, callee)
            for caller, callee in itertools.permutations(names, 2)
            for method, path in itertools.product(
                ("GET", "POST", "PUT"), ("/", "/a", "/a/", "/ab", "/a/b", "/a/b/c", "/a/c")
            )
            if callee in let_in(simulate.request(mesh, caller, method, f"http://{callee}{path}"))
        }
        found = reachability(mesh)
        assert {(caller, callee) for callee, its in found.permissions.items() for caller in its} == edges
        for target in names:
            ways = found.ways(target)
            assert {each[0] for each in ways} == closure(edges, target)
            every, more = found.all_ways(target, 10_000)
            assert not more
            assert set(ways) <= set(every)
            assert len(set(every)) == len(every)
            for way in every:
                assert set(itertools.pairwise(way)) <= edges
                assert len(set(way)) == len(way)
                shortest = next(each for each in ways if each[0] == way[0])
                assert len(shortest) <= len(way)
            chains += sum(len(each) > 2 for each in ways)
    assert chains > 8


ONE = """
services:
  web: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {shop: {}}}
  other: {port: 80, endpoints: [{address: 10.0.0.4}]}
  shop:
    port: 80
    endpoints: [{address: 10.0.0.2}]
    routes: [%s]
  copied: {port: 80, endpoints: [{address: 10.0.0.3}]%s}
"""
MIRROR = "{name: a, mirror: [{service: copied}]}"
LEGACY = "{name: a, matches: [{path: {prefix: /old}}], backends: [{service: copied}], rewrite: {path: {prefix: /new}}}, {name: b}"


@pytest.mark.parametrize(
    ("routes", "rules", "example"),
    [
        (MIRROR, "", "GET http://shop/"),
        ("{name: a, backends: [{service: shop, weight: 1}, {service: copied, weight: 0}]}", "", None),
        ("{name: a, redirect: {hostname: copied}}", "", None),
        (LEGACY, "", "GET http://shop/old"),
        (LEGACY, ", allow: [{paths: [{prefix: /new/x}], methods: [PUT]}]", "PUT http://shop/old/x"),
        (LEGACY, ", allow: [{paths: [{prefix: /old}]}]", None),
        (LEGACY, ", allow: [{from: [other]}]", None),
        (LEGACY, ", deny: [{paths: [{prefix: /new}]}]", None),
        (LEGACY, ", deny: [{paths: [{exact: /new}]}]", "GET http://shop/old/example"),
        (LEGACY, ", deny: [{methods: [GET, POST]}]", "PUT http://shop/old"),
        ("{name: z}, " + LEGACY.replace("/old", "/"), "", None),
        (
            MIRROR.replace("}]}", "}], requestHeaders: {set: {x-a: b}}}"),
            ", allow: [{headers: {x-a: b}}], deny: [{headers: {x-b: {present: true}}}]",
            "GET http://shop/",
        ),
        (
            MIRROR.replace("}]}", "}], requestHeaders: {remove: [x-a]}}"),
            ", allow: [{headers: {x-a: b}}]",
            None,
        ),
    ],
)
def test_a_route_that_leads_on(tmp_path, routes, rules, example):
    mesh = resolved(
        tmp_path, ONE % (routes.replace("{name: z}, ", "{name: z, matches: [{path: {prefix: /}}]}, "), rules)
    )
    permissions = reachability(mesh).permissions.get("copied", {})
    assert "other" not in permissions
    if example is None:
        assert "web" not in permissions
        return
    (found,) = permissions["web"]
    assert found.example is not None
    assert f"{found.example.method} {found.example.url}" == example
    assert found.copy is ("mirror" in routes)
    assert "copied" in let_in(simulate.answer(mesh, "web", asked(found.example)))
