"""Tables of routes at random that overlap, and whether the simulator agrees with what is proved about them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from meshctl import ir
from meshctl.lint import requests
from meshctl.lint.checks import dead_route
from meshctl.lint.collect_routes import matches
from meshctl.lint.facts import MeshFacts, World
from meshctl.simulate import message, routing
from meshctl.spec import Positions, Source

PATHS = ("/", "/a", "/a/b", "/a/b/c", "/b", "/ab", "/items/7", "/items/77", "/x")
PATTERNS = (
    "/[ab]+",
    "/a/.*",
    "/items/[0-9]+",
    "/items/[0-9]{2}",
    "/.*",
    "/(a|b)(/.*)?",
    "/[^/]+",
    "/x?",
    "/ite\\w*/\\d",
)
VALUES = ("1", "2", "a", "")
VALUE_PATTERNS = ("[12]", "[0-9]*", ".+", "a|1", "aa?", "1?")
FITTING = (
    "/a",
    "/b",
    "/a/",
    "/a/x",
    "/ab",
    "/ite/7",
    "/items/0",
    "/items/12",
    "/x",
    "/",
    "/b/c",
    "/aab",
    "/é",
)
"""Paths, some of which fit each pattern."""
METHODS = ("GET", "HEAD", "POST")


@dataclass(frozen=True)
class Prover:
    """What is asked: the modules, or variants of them."""

    requests: Any = requests
    dead_route: Any = dead_route

    def search(self, table, number):
        """The witness for one match, or None; and the matches that stood in the way."""
        asked = [self.requests.conditions(each) for each in table]
        found = self.requests.Search([asked[number]], asked[:number])
        return found.run(), found.in_the_way


def a_value(chance, kind):
    drawn = chance.choice(("exact", "regex", "present"))
    if drawn == "present":
        return kind(chance.choice("xy"), "", ir.ValueMatchKind.PRESENT)
    if drawn == "regex":
        return kind(chance.choice("xy"), chance.choice(VALUE_PATTERNS), ir.ValueMatchKind.REGEX)
    return kind(chance.choice("xy"), chance.choice(VALUES), ir.ValueMatchKind.EXACT)


def a_match(chance):
    kind = chance.choice(list(ir.PathMatchKind))
    value = chance.choice(PATTERNS if kind is ir.PathMatchKind.REGEX else PATHS)
    if chance.random() < 0.4:
        kind, value = ir.PathMatchKind.PREFIX, "/"
    headers = {
        each.name: each
        for each in (a_value(chance, ir.HeaderMatch) for _ in range(chance.choice((0, 0, 1, 2))))
    }
    queries = {
        each.name: each
        for each in (a_value(chance, ir.QueryMatch) for _ in range(chance.choice((0, 0, 0, 1, 2))))
    }
    return ir.RouteMatch(
        ir.PathMatch(kind, value),
        tuple(sorted(chance.sample(METHODS, chance.choice((0, 0, 1, 2))))),
        tuple(headers.values()),
        tuple(queries.values()),
    )


def a_route(chance, name):
    return ir.Route(name, a_match(chance), (), ir.Timeout(timedelta(seconds=1)), ir.RetryPolicy(0, (), ()))


def a_host(chance, name="svc"):
    rows = [a_route(chance, f"{name}-{number}") for number in range(chance.randrange(2, 9))]
    return ir.VirtualHost("svc", (name,), tuple(rows))


def a_request(chance):
    """Any request of the same words."""
    path = chance.choice((*PATHS, "/a/", "/a/x", "/ite/7", "/b/c"))
    query = "&".join(f"{chance.choice('xyz')}={chance.choice(VALUES)}" for _ in range(chance.randrange(3)))
    headers = tuple((chance.choice("xyz"), chance.choice(VALUES)) for _ in range(chance.randrange(4)))
    target = f"{path}?{query}" if query else path
    return message.Request(chance.choice((*METHODS, "PUT")), target, headers)


def a_near_request(chance, host):
    """A request at the edges of what two of the routes ask for."""
    match, other = (chance.choice(host.routes).match for _ in range(2))
    path = match.path.value + chance.choice(("", "", "", "/", "/x", "x", "/b"))
    if match.path.kind is ir.PathMatchKind.REGEX:
        path = chance.choice(FITTING)
    elif chance.random() < 0.2:
        path = match.path.value[:-1] or "/"
    path = path.replace("//", "/")
    methods = match.methods if match.methods and chance.random() < 0.8 else (*METHODS, "PUT")
    query = "&".join(f"{name}={value}" for name, value in near(chance, match.queries, other.queries))
    headers = near(chance, match.headers, other.headers)
    return message.Request(chance.choice(methods), f"{path}?{query}" if query else path, tuple(headers))


def near(chance, its, others):
    """Lines or parameters with the values that are asked for, others, several, or none."""
    found = []
    for each in (*its, *(others if chance.random() < 0.5 else ())):
        for _ in range(chance.choice((0, 1, 1, 1, 2))):
            right = (
                each.value if each.kind is ir.ValueMatchKind.EXACT else chance.choice((*VALUES, "12", "aa"))
            )
            found.append(
                (each.name, right if chance.random() < 0.8 else chance.choice((*VALUES, "12", "aa")))
            )
    chance.shuffle(found)
    return found


def facts(hosts):
    return matches(hosts, {"svc": Source(Positions(), {})})


def sent(request):
    return message.Request(request.method, request.target, request.headers)


def compare(seed, requests, prover=Prover()):
    """How many matches of one table are dead, and how many there are, after the simulator has agreed."""
    chance = random.Random(seed)
    host = a_host(chance)
    table = facts({"web": (host,)})
    asked = [prover.requests.conditions(each) for each in table]
    dead = set()
    for number, match in enumerate(table):
        witness, in_the_way = prover.search(table, number)
        if witness is None:
            dead.add(match.route)
            # What is named as the cover covers it without the others.
            cover = [asked[each] for each in sorted(in_the_way)]
            assert prover.requests.Search([asked[number]], cover).run() is None
        else:
            taken = routing.route(host, sent(witness))
            assert taken is not None
            assert taken.name == match.route, f"{seed}: {witness}"
    drawn = [a_near_request(chance, host) if nth % 4 else a_request(chance) for nth in range(requests)]
    for request in drawn:
        taken = routing.route(host, request)
        assert taken is None or taken.name not in dead, f"{seed}: {request}"
    compare_pair(chance, host, prover, asked, drawn)
    uncovered = prover.requests.Search([], asked).run()
    if uncovered is not None:
        assert routing.route(host, sent(uncovered)) is None
    return len(dead), len(table)


def compare_pair(chance, host, prover, asked, drawn):
    """A request for two routes at once, as `ambiguous-overlap` looks for it."""
    first, second = sorted(chance.sample(range(len(asked)), 2))
    shared = prover.requests.Search([asked[first], asked[second]], asked[:first]).run()
    for request in drawn if shared is None else [sent(shared)]:
        taken = routing.route(host, request)
        alone = ir.VirtualHost("svc", ("svc",), (host.routes[second],))
        both = taken is host.routes[first] and routing.route(alone, request) is not None
        assert both is (shared is not None), f"{request}"


def compare_views(seed, requests, prover=Prover()):
    """The same of the rule: two hosts with routes of their own, and callers that do not see all of them."""
    chance = random.Random(seed)
    hosts = (a_host(chance), a_host(chance, "other"))
    hosts = (hosts[0], ir.VirtualHost("svc", ("other",), (*hosts[1].routes, *hosts[0].routes)))
    seen = tuple(
        ir.VirtualHost("svc", each.hostnames, tuple(row for row in each.routes if chance.random() < 0.7))
        for each in hosts
    )
    views = {"web": hosts, "batch": tuple(each for each in seen if each.routes)}
    told = list(prover.dead_route.check(World(MeshFacts(), {}, matches=facts(views)), {}))
    dead = {each.values["route"] for each in told}
    assert not any(each.severity for each in told)
    every = [each for seen in views.values() for each in seen]
    tables = [facts({"one": (each,)}) for each in every]
    alive = {each.route for table in tables for nth, each in enumerate(table) if prover.search(table, nth)[0]}
    assert dead == {row.name for host in every for row in host.routes} - alive
    for number in range(requests):
        host = chance.choice(every)
        request = a_near_request(chance, host) if number % 4 else a_request(chance)
        taken = routing.route(host, request)
        assert taken is None or taken.name not in dead, f"{seed}: {request}"
    return len(dead), len({row.name for host in every for row in host.routes})
