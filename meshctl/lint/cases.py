"""The `tests` of a policy: how a case is read, and how all of them are run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

from meshctl.lint import literals
from meshctl.lint.facts import (
    CallFacts,
    ChangeFacts,
    ExternalFacts,
    MatchFacts,
    MeshFacts,
    RouteFacts,
    RuleFacts,
    ServiceFacts,
    Value,
    World,
    fields_of,
)
from meshctl.lint.literals import LiteralError
from meshctl.lint.policy import Case, Specs
from meshctl.spec import Source
from meshctl.spec.source import Node

F = TypeVar(
    "F", MeshFacts, ServiceFacts, RouteFacts, MatchFacts, CallFacts, ExternalFacts, RuleFacts, ChangeFacts
)
_PLURALS = {
    "service": "services",
    "route": "routes",
    "match": "matches",
    "call": "calls",
    "external": "externals",
    "rule": "rules",
}
_OUTCOMES = {"pass": True, "fail": False}


def case(source: Source) -> Case:
    """One case; raises LiteralError with what is wrong."""
    node = source.node
    if not isinstance(node, Mapping) or set(node) != {"name", "given", "expect"}:
        raise LiteralError("it needs exactly `name`, `given` and `expect`")
    if not (
        isinstance(node["name"], str) and isinstance(node["expect"], str) and node["expect"] in _OUTCOMES
    ):
        raise LiteralError("`expect` is `pass` or `fail`")
    given = _specs(node["given"]) or _world(node["given"])
    return Case(node["name"], given, _OUTCOMES[node["expect"]], source.here)


def _specs(given: Node) -> Specs | None:
    if not isinstance(given, Mapping) or not {"before", "after"} & given.keys():
        return None
    if set(given) != {"before", "after"} or not all(isinstance(each, dict) for each in given.values()):
        raise LiteralError("of a change it needs `before` and `after`, each a spec, and nothing else")
    return Specs(given["before"], given["after"])


def _world(given: Node) -> World:
    if not isinstance(given, Mapping):
        raise LiteralError("`given` is a mapping of facts, such as {service: {name: a}}")
    unknown = set(given) - {"mesh", "change", *_PLURALS, *_PLURALS.values()}
    if unknown:
        raise LiteralError(f"there are no facts about `{min(unknown)}`")
    services = list(_listed(given, "service", ServiceFacts))
    mesh = _facts(given.get("mesh", {}), MeshFacts)
    return World(
        mesh=mesh,
        services={each.name: each for each in services},
        routes=tuple(_listed(given, "route", RouteFacts)),
        calls=tuple(_listed(given, "call", CallFacts)),
        matches=tuple(_listed(given, "match", MatchFacts)),
        externals=tuple(_listed(given, "external", ExternalFacts)),
        change=_facts(given["change"], ChangeFacts) if "change" in given else None,
        rules=tuple(_listed(given, "rule", RuleFacts)),
    )


def _listed(given: Mapping[str, Node], kind: str, facts: type[F]) -> Iterator[F]:
    if kind in given:
        yield _facts(given[kind], facts)
    several = given.get(_PLURALS[kind], [])
    if not isinstance(several, list):
        raise LiteralError(f"`{_PLURALS[kind]}` is a list")
    for node in several:
        yield _facts(node, facts)


def _facts(node: Node, facts: type[F]) -> F:
    if not isinstance(node, Mapping):
        raise LiteralError("facts are a mapping")
    known = fields_of(facts)
    values: dict[str, Value] = {}
    for name, value in node.items():
        if name not in known:
            raise LiteralError(f"`{name}` is not one of: {', '.join(sorted(known))}")
        own, type_ = known[name]
        try:
            values[own] = literals.read(value, type_)
        except LiteralError as error:
            raise LiteralError(f"`{name}` must be {error}") from None
    return facts(**values)  # type: ignore[arg-type]
