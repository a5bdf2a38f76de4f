"""What is large or dense takes bounded time, and where a bound cuts, a finding says so."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from msgspec.structs import replace

from meshctl.diagnostics import Severity
from meshctl.lint.checks import (
    CHECKS,
    Violation,
    ambiguous_overlap,
    dead_route,
    misread_path,
    no_default_route,
    redirect_circle,
    shadowed_rule,
)
from meshctl.lint.facts import CallFacts, MatchFacts, MeshFacts, RuleFacts, ServiceFacts, World

LIMIT = 60
"""Seconds of processor. Trying all paths, or all pairs, would take hours at least: it only has to tell the two apart."""


def layers(depth: int, width: int) -> Iterator[tuple[int, int]]:
    """Every service of a layer calls every one of the next."""
    for layer in range(depth - 1):
        here = range(layer * width, (layer + 1) * width)
        yield from itertools.product(here, range(here.stop, here.stop + width))


def circles() -> Iterator[tuple[int, int]]:
    """Circles of every length up to 60, all through one service."""
    number = 0
    for length in range(2, 61):
        around = [0, *range(number + 1, number + length)]
        number += length - 1
        yield from itertools.pairwise([*around, 0])


GRAPHS: dict[str, Callable[[], Iterable[tuple[int, int]]]] = {
    "dense acyclic": lambda: itertools.combinations(range(300), 2),
    "complete": lambda: itertools.permutations(range(200), 2),
    "chain": lambda: ((n, n + 1) for n in range(20_000)),
    "circle": lambda: ((n, (n + 1) % 10_000) for n in range(10_000)),
    "circles": circles,
    "1,000 services in layers": lambda: layers(20, 50),
}
MANY: dict[str, Callable[[], Iterable[tuple[int, int]]]] = {
    "complete, 400": lambda: itertools.permutations(range(400), 2),
    "dense acyclic, 400": lambda: itertools.combinations(range(400), 2),
    "1,000 services in two layers": lambda: layers(2, 500),
}


@cache
def graph(name: str) -> World:
    """Services that retry, each protected and in one of nine zones, with calls of that shape."""
    calls = tuple(
        CallFacts(
            f"s{a:05}",
            f"s{b:05}",
            timeout=timedelta(seconds=1 + (a * 7 + b) % 50),
            attempts=2,
            retry_on=("gateway-error",),
        )
        for a, b in (GRAPHS | MANY)[name]()
    )
    names = sorted({name for each in calls for name in (each.caller, each.callee)})
    services = {
        each: ServiceFacts(each, labels={"protected": "true"}, instances=2, capacity={f"z{nth % 9}": "100"})
        for nth, each in enumerate(names)
    }
    return World(MeshFacts(gateways=tuple(names[:1])), services, (), calls)


def found(check: str, world: World) -> list[Violation]:
    """What a check finds, in bounded time."""
    begun = time.process_time()
    violations = list(CHECKS[check].run(world, CHECKS[check].params))
    assert time.process_time() - begun < LIMIT
    return violations


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("check", sorted(CHECKS))
def test_large_graphs_take_no_longer_than_their_calls(check, name):
    found(check, graph(name))


@pytest.mark.soak
@pytest.mark.parametrize("name", MANY)
@pytest.mark.parametrize("check", sorted(CHECKS))
def test_larger_graphs_do_not_either(check, name):
    found(check, graph(name))


def routes(count: int, **conditions: Callable[[int], Any]) -> World:
    """So many routes of one service, the conditions of each made from its number."""
    made = (
        MatchFacts("svc", f"r{n}", hostnames=("svc",), **{key: make(n) for key, make in conditions.items()})
        for n in range(count)
    )
    return World(MeshFacts(), {}, matches=tuple(made))


def hard(n: int) -> str:
    """No two of them contain each other, and to find that out takes long."""
    return f"regex /[a-{chr(98 + n % 20)}]*x{{{n % 30 + 1}}}[a-z]{{{n % 17 + 5}}}"


def deep(n: int) -> str:
    """Together they take every path, which a hundred thousand sets of states show."""
    return ("regex .{0,30}", "regex .*[a-m].{16}", "regex .*[^a-m].{16}")[n]


def rules(count: int, effect: str, path: Callable[[int], str]) -> World:
    """Everything is allowed and so much denied, or the other way about."""
    other = {"allow": "deny", "deny": "allow"}[effect]
    made = [RuleFacts("svc", effect, callers=("b",), paths=(path(n),)) for n in range(count)]
    return World(
        MeshFacts(), {}, rules=(RuleFacts("svc", other, callers=("b",), paths=("regex .*x",)), *made)
    )


def redirected(count: int, path: Callable[[int], str]) -> World:
    found = routes(count, path=path, redirect=lambda n: {"status": "302", "path": f"/x{n}"})
    return replace(found, matches=tuple(replace(each, callers=("b",)) for each in found.matches))


def round_and_round(matches: int) -> World:
    """A redirect that leads on and on, in a large table."""
    first = MatchFacts(
        "svc", "on", ("b",), ("svc",), "prefix /x", redirect={"status": "302", "prefix": "/x/y"}
    )
    rest = (MatchFacts("svc", f"r{n}", ("b",), ("svc",), f"exact /{n}") for n in range(matches))
    return World(MeshFacts(), {}, matches=(first, *rest))


def many_callers(callers: int, deny: int) -> World:
    """Whom a rule names, and other rules about somebody else."""
    allow = RuleFacts("svc", callers=tuple(f"s{n}" for n in range(callers)))
    others = (RuleFacts("svc", "deny", callers=(f"t{n}",), paths=(f"prefix /{n}",)) for n in range(deny))
    return World(MeshFacts(), {}, rules=(allow, *others))


def protected(count: int) -> World:
    names = [f"s{n}" for n in range(count)]
    services = {each: ServiceFacts(each, labels={"protected": "true"}) for each in names}
    calls = tuple(CallFacts("edge", each) for each in names)
    return World(MeshFacts(gateways=("edge",)), services, calls=calls)


def chained(count: int, attempts: int) -> World:
    calls = (CallFacts(f"s{n}", f"s{n + 1}", attempts=attempts, retry_on=("5xx",)) for n in range(count))
    return World(MeshFacts(), {}, calls=tuple(calls))


CUT: list[tuple[str, Callable[[], World], str]] = [
    (
        "ambiguous-overlap",
        lambda: routes(4000, headers=lambda n: {f"x-{n}": "exact a"}),
        "could not be compared",
    ),
    ("ambiguous-overlap", lambda: routes(300, path=hard), "could not be compared"),
    ("ambiguous-overlap", lambda: routes(2, headers=lambda n: {"host": f"exact {n}"}), "not the client's"),
    ("dead-route", lambda: routes(4000, headers=lambda n: {f"x-{n}": "exact a"}), "was not found out"),
    ("dead-route", lambda: routes(3, path=deep), "was not found out"),
    ("no-default-route", lambda: routes(3, path=deep), "was not found out"),
    ("no-default-route", lambda: routes(2, headers=lambda n: {"host": f"exact {n}"}), "was not found out"),
    ("shadowed-rule", lambda: rules(3, "deny", deep), "was not found out"),
    (
        "misread-path",
        lambda: rules(9, "deny", lambda n: f"regex .*[a-m].{{{n + 16}}}//"),
        "was not found out, nor of",
    ),
    ("misread-path", lambda: rules(3000, "deny", lambda n: f"exact /{n}"), "was not found out, nor of"),
    ("redirect-circle", lambda: redirected(300, hard), "was not found out of it, nor of"),
    ("redirect-circle", lambda: round_and_round(50_000), "was not found out of it"),
    ("shadowed-rule", lambda: many_callers(2000, 600), "was not found out"),
    ("exposure", lambda: protected(101), "was not looked at"),
    ("retry-layers", lambda: chained(102, 1), "1 more such calls are not told"),
    ("retry-amplification", lambda: chained(40, 9), "1,000,000,000 or more"),
    ("retry-amplification", lambda: graph("circle"), "1,000,000,000 or more each time round"),
]
"""A check, what is too large for it, and what it says."""


def says_so(check: str, world: World, says: str) -> None:
    """The check finds what it finds in bounded time, and says that there may be more."""
    told = [each for each in found(check, world) if says in " ".join(map(str, each.values.values()))]
    assert told
    if check in MODULES:
        assert {each.severity for each in told} == {Severity.INFO}


MODULES = {
    "ambiguous-overlap": ambiguous_overlap,
    "dead-route": dead_route,
    "no-default-route": no_default_route,
    "shadowed-rule": shadowed_rule,
    "misread-path": misread_path,
    "redirect-circle": redirect_circle,
}
"""Those whose effort is bounded, for one mesh."""


@pytest.mark.parametrize(("check", "world", "says"), CUT, ids=range(len(CUT)))
def test_a_bound_that_cuts_is_told(check, world, says, monkeypatch):
    for module in MODULES.values():
        monkeypatch.setattr(module, "MOST", module.MOST // 20)
    says_so(check, world(), says)


@pytest.mark.soak
@pytest.mark.parametrize(("check", "world", "says"), CUT, ids=range(len(CUT)))
def test_the_bounds_that_users_have_are_bounds_of_time(check, world, says):
    says_so(check, world(), says)
