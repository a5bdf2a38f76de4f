"""Whether a request gets to a match: what the search says, and what the simulator does with requests at random."""

from __future__ import annotations

import os
import random
from datetime import timedelta

import pytest

from meshctl import ir
from meshctl.lint.automata import UndecidedError, exact, prefix, regex, shortest
from meshctl.lint.checks import CHECKS
from meshctl.lint.collect_routes import matches
from meshctl.lint.facts import MatchFacts, MeshFacts, World
from meshctl.lint.requests import Search, conditions
from meshctl.simulate import message, routing
from meshctl.spec import Positions, Source
from meshctl.spec.regex import fault

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
VALUE_PATTERNS = ("[12]", "[0-9]*", ".+", "a|1", "")
TEXTS = sorted(
    {
        text[:at] + more + text[at:]
        for text in (*PATHS, *VALUES, "/x/y", "aaa", "aaab", "ac", ".7", "/ite/1")
        for at in range(len(text) + 1)
        for more in ("", "a", "7", "/", "\u00e9")
    }
)
METHODS = ("GET", "HEAD", "POST")
RANDOM_REQUESTS = 300


def a_value(chance, kind):
    drawn = chance.choice(("exact", "regex", "present"))
    if drawn == "present":
        return kind(chance.choice("xy"), "", ir.ValueMatchKind.PRESENT)
    if drawn == "regex":
        return kind(chance.choice("xy"), chance.choice(VALUE_PATTERNS[:-1]), ir.ValueMatchKind.REGEX)
    return kind(chance.choice("xy"), chance.choice(VALUES), ir.ValueMatchKind.EXACT)


def a_match(chance):
    kind = chance.choice(list(ir.PathMatchKind))
    value = chance.choice(PATTERNS if kind is ir.PathMatchKind.REGEX else PATHS)
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


def a_host(chance):
    rows = [
        ir.Route(
            f"r{number}",
            a_match(chance),
            (),
            ir.Timeout(timedelta(seconds=1)),
            ir.RetryPolicy(0, (), ()),
        )
        for number in range(chance.randrange(2, 9))
    ]
    return ir.VirtualHost("svc", ("svc",), tuple(rows))


def a_request(chance):
    path = chance.choice((*PATHS, "/a/", "/a/x", "/ite/7", "/b/c"))
    query = "&".join(f"{chance.choice('xyz')}={chance.choice(VALUES)}" for _ in range(chance.randrange(3)))
    headers = tuple((chance.choice("xyz"), chance.choice(VALUES)) for _ in range(chance.randrange(4)))
    target = f"{path}?{query}" if query else path
    return message.Request(chance.choice((*METHODS, "PUT")), target, headers)


def facts(host):
    source = Source(Positions(), {})
    return matches({"web": (host,)}, {"svc": source})


def search(table, number):
    asked = [conditions(each) for each in table]
    found = Search([asked[number]], asked[:number])
    return found.run(), found.in_the_way


def sent(request):
    return message.Request(request.method, request.target, request.headers)


def compare(seed, requests):
    """How many matches of one table are dead, after the simulator has agreed."""
    chance = random.Random(seed)
    host = a_host(chance)
    table = facts(host)
    dead = set()
    for number, match in enumerate(table):
        witness, in_the_way = search(table, number)
        if witness is None:
            dead.add(match.route)
            # What is named as the cover covers it without the others.
            asked = [conditions(each) for each in table]
            assert Search([asked[number]], [asked[each] for each in sorted(in_the_way)]).run() is None
        else:
            taken = routing.route(host, sent(witness))
            assert taken is not None
            assert taken.name == match.route, f"{seed}: {witness}"
    for _ in range(requests):
        request = a_request(chance)
        taken = routing.route(host, request)
        assert taken is None or taken.name not in dead, f"{seed}: {request}"
    uncovered = Search([], [conditions(each) for each in table]).run()
    if uncovered is not None:
        assert routing.route(host, sent(uncovered)) is None
    return len(dead), len(table)


def test_a_dead_match_is_never_hit_and_a_witness_gets_to_its_route():
    counts = [compare(seed, RANDOM_REQUESTS) for seed in range(100)]
    # Otherwise the test would say nothing.
    assert sum(dead for dead, _ in counts) > 40
    assert sum(every for _, every in counts) > 400


@pytest.mark.soak
def test_a_dead_match_is_never_hit_by_many_requests():
    seconds = int(os.environ.get("MESHCTL_SOAK_SECONDS", "60"))
    tables = max(350, seconds * 20)
    assert sum(compare(1000 + seed, RANDOM_REQUESTS)[0] for seed in range(tables)) > 100


@pytest.mark.parametrize(
    "pattern",
    [
        *PATTERNS,
        *VALUE_PATTERNS[:-1],
        "a{3}",
        "a{2,4}b",
        "a{2,}",
        "a{0,2}",
        "(a|b?)c",
        r"\.\d",
    ],
)
def test_an_automaton_takes_what_the_pattern_takes(pattern):
    import re2

    assert not fault(pattern)
    language = regex(pattern)
    taken = 0
    for text in TEXTS:
        agrees = shortest((exact(text), language), ()) is not None
        assert agrees == (re2.fullmatch(pattern, text) is not None), (pattern, text)
        taken += agrees
    assert taken


def test_prefixes_go_by_segments():
    assert shortest((prefix("/a"),), (exact("/a"), exact("/a/"))) in ("/a/a", "/a/0", "/a//")
    assert shortest((prefix("/a"), exact("/ab")), ()) is None


def test_what_is_too_large_is_not_decided():
    with pytest.raises(UndecidedError, match="too large"):
        regex("[a-z]{1001}")
    many = [
        MatchFacts(route=f"r{n}", path=f"regex /[a-{chr(98 + n % 20)}]*x{{{n + 1}}}[a-z]{{{n + 5}}}")
        for n in range(12)
    ]
    found = list(
        CHECKS["dead-route"].run(
            World(MeshFacts(), {}, matches=(*many, MatchFacts(route="last", path="regex /.*x.*"))), {}
        )
    )
    assert all(each.severity is not None for each in found)
    host = MatchFacts(route="b", headers={"host": "exact a"})
    (told,) = CHECKS["dead-route"].run(
        World(MeshFacts(), {}, matches=(MatchFacts(route="a", path="prefix /a"), host)), {}
    )
    assert "not found out" in str(told.values["how"])
