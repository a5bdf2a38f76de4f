"""What the built-in checks find in the worlds of their policies' cases, and in some more: everything, with its places."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from meshctl import lint
from meshctl.diagnostics import Position
from meshctl.ir.change import MeshChange, Opened, Ordered
from meshctl.ir.reachability import Ground, Permission
from meshctl.lint.checks import CHECKS, Check
from meshctl.lint.facts import CallFacts, ChangeFacts, MeshFacts, ServiceFacts, World
from meshctl.lint.literals import shown
from meshctl.lint.policy import BuiltIn, Policy, Specs
from meshctl.load import read_yaml
from meshctl.pipeline.policy_cases import compare_case

ROOT = Path(__file__).resolve().parents[3]
GRAPHS = 25
CROWDS = (100, 101)
_SHOWN = 2
"""Of a crowd's findings the first and the last."""
WORLDS = Path(__file__).parent / "more_worlds"
"""Policies for no one: worlds that no reader of a rule wants to see, in the words of its cases."""


class _Place:
    """Says what a finding points at, where a policy's case has no file."""

    def __init__(self, name: str) -> None:
        self._name = name

    def at(self, *path: str) -> Position:
        return Position(" ".join((self._name, *path)), 1, 1)


@cache
def policies() -> list[Policy]:
    """Those that name a built-in check, the worlds for tests among them."""
    found = []
    for folder in (ROOT / "policies", WORLDS):
        files = {path.name: read_yaml(path.read_bytes(), path.name) for path in sorted(folder.glob("*.yaml"))}
        read = lint.read_policies(files)
        assert not read.findings
        found += [_compared(each) for each in read.policies if isinstance(each.body, BuiltIn)]
    return found


def _compared(policy: Policy) -> Policy:
    """With the facts of a change in place of the specs before and after it, which no check reads."""
    cases = (replace(each, given=_facts(each.given)) for each in policy.tests)
    return replace(policy, tests=tuple(cases))


def worlds(policy: Policy) -> dict[str, World]:
    """The facts of each case."""
    return {case.name: case.given for case in policy.tests if isinstance(case.given, World)}


def _facts(given: World | Specs) -> World:
    if isinstance(given, World):
        return given
    compared = compare_case(given)
    assert isinstance(compared, World), compared
    return compared


def located(world: World) -> World:
    """The same with places for everything, but for the places of some calls' timeouts and retries."""
    calls = tuple(
        replace(
            _placed(each, f"{each.caller} -> {each.callee}"),
            timeout_at=Position(f"{each.caller} -> {each.callee} timeout", 1, 1) if nth % 2 else None,
            retries_at=Position(f"{each.caller} -> {each.callee} retries", 1, 1) if nth % 2 else None,
        )
        for nth, each in enumerate(world.calls)
    )
    matches = tuple(
        _placed(each, f"{nth} {each.service} {each.route}") for nth, each in enumerate(world.matches)
    )
    services = {name: _placed(each, name) for name, each in world.services.items()}
    rules = tuple(_placed(each, f"{nth} rule of {each.service}") for nth, each in enumerate(world.rules))
    externals = tuple(_placed(each, f"external {each.name}") for each in world.externals)
    mesh = _placed(world.mesh, "mesh")
    return replace(
        world, mesh=mesh, calls=calls, matches=matches, services=services, rules=rules, externals=externals
    )


def _placed(facts: Any, name: str) -> Any:
    return replace(facts, source=_Place(name))


def findings(policy: Policy, check: Check, world: World) -> Iterator[str]:
    """One line for each, with what is told of it."""
    for each in check.run(world, policy.params):
        values = " | ".join(f"{key}: {shown(value)}" for key, value in sorted(each.values.items()))
        severity = f" {each.severity}" if each.severity else ""
        related = "".join(f" [{_at(one.at)}: {one.message}]" for one in each.related)
        caller = f" caller {each.caller}" if each.caller else ""
        at = _at(each.at) if each.at is not None else "nowhere"
        yield f"at {at}{severity}{caller}: {values}{related}"


def _at(place: Position) -> str:
    """A file that a `_Place` has made up, or where in one line of a spec."""
    return place.file if place.column == 1 else f"{place.file}:{place.column}"


def any_world(seed: int) -> World:
    """A call graph at random, with circles, dead ends and parts that only one service connects."""
    chance = random.Random(seed)
    names = [f"s{number}" for number in range(chance.randrange(5, 16))]
    chance.shuffle(names)
    pairs = [pair for pair in itertools.permutations(names, 2) if chance.random() < 1.6 / len(names)]
    calls = (
        CallFacts(
            caller,
            callee,
            protocol=chance.choice(["http", "http", "http", "tcp"]),
            timeout=timedelta(seconds=chance.choice([0, 1, 2, 3, 5, 8])),
            attempts=chance.choice([0, 0, 1, 2, 3]),
            retry_on=chance.choice([(), ("5xx",), ("connect-failure",), ("refused-stream", "reset")]),
        )
        for caller, callee in pairs
    )
    services = {name: _any_service(chance, name) for name in names}
    return World(MeshFacts(gateways=tuple(sorted(names)[:2])), services, calls=tuple(calls))


def _let_in(doors: tuple[str, ...], **callers: tuple[str, ...]) -> World:
    """What is protected is `vault`; who is let in differs from who calls."""
    services = {"vault": _placed(ServiceFacts("vault", labels={"protected": "true"}), "vault")}
    calls = (CallFacts("edge", "vault"),)
    mesh = MeshFacts(gateways=("edge", "b-edge"))
    return World(mesh, services, calls=calls, permitted=callers, doors=doors)


LET_IN = {
    "a call that nobody lets in": _let_in(()),
    "over a service": _let_in((), vault=("web",), web=("edge",)),
    "in plaintext": _let_in(("vault",)),
    "in plaintext, elsewhere": _let_in(("other",)),
    "in plaintext, and others": _let_in(("web", "vault"), vault=("web",), web=("edge", "b-edge")),
}


def crowd(number: int) -> World:
    """A change that lets so many in, and needs so many orders; the first are told in many words."""
    names = [f"s{each}" for each in range(number)]
    made = MeshChange(
        opened=tuple(Opened(Permission("web", name, Ground.RULE, stream=True)) for name in names),
        ordered=tuple(
            Ordered("x" * (400 + nth) if nth < 2 else name, (name,), (), (f"{name} first", "then web"))
            for nth, name in enumerate(names)
        ),
    )
    told = ChangeFacts(
        opened=tuple(f"web -> {name}" for name in names),
        ordered=tuple(f"port of {name}" for name in names),
        made=made,
    )
    return World(MeshFacts(), {}, change=_placed(told, "change"))


def _any_service(chance: random.Random, name: str) -> ServiceFacts:
    left = chance.choice([0, 20, 30, 31, 50, 100])
    return ServiceFacts(
        name,
        labels={"protected": chance.choice(["true", "false"])},
        instances=chance.choice([0, 1, 1, 2, 3]),
        zones=tuple(chance.sample(["x", "y", "z"], chance.choice([0, 1, 1, 2]))),
        capacity={"x": str(100 - left), "y": str(left)} if left else {chance.choice("xyz"): "100"},
    )


def report(policy: Policy, check: Check) -> dict[str, list[str]]:
    """What is found in each case, with places and without."""
    told: dict[str, list[str]] = {}
    for name, world in worlds(policy).items():
        told[name] = list(findings(policy, check, located(world)))
        bare = list(findings(policy, check, world))
        assert len(bare) == len(told[name])
    for seed in range(GRAPHS):
        if found := list(findings(policy, check, located(any_world(seed)))):
            told[f"graph {seed}"] = found
    for name, world in LET_IN.items():
        if found := list(findings(policy, check, world)):
            told[name] = found
    for number in CROWDS if check.about_change else ():
        found = list(findings(policy, check, crowd(number)))
        told[f"crowd of {number}"] = [*found[:_SHOWN], f"{len(found)} in all", *found[-_SHOWN:]]
    return told


def check_of(policy: Policy, checks: Mapping[str, Check] = CHECKS) -> Check:
    assert isinstance(policy.body, BuiltIn)
    return checks[policy.body.name]
