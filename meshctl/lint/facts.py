"""What a rule may ask about: plain facts on the resolved mesh, under the names that policies use.

In a policy the fields are camelCase: ``callers_on_default_timeout`` is `service.callersOnDefaultTimeout`.
Every field has an empty value, so that the case of a policy's test states only what it is about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from functools import cache
from typing import get_type_hints

from meshctl.diagnostics import Position
from meshctl.spec import Source

Value = str | int | bool | timedelta | tuple[str, ...] | Mapping[str, str]
"""Everything that a field, a parameter or a message can hold."""

KINDS: Mapping[object, str] = {
    str: "text",
    int: "a whole number",
    bool: "true or false",
    timedelta: "a duration",
    tuple[str, ...]: "a list of texts",
    Mapping[str, str]: "a mapping of texts",
}
"""The types of facts, and what to call them."""

_NOT_FACTS = frozenset({"source", "timeout_at", "retries_at"})


@dataclass(frozen=True, slots=True)
class MeshFacts:
    """The mesh as a whole."""

    name: str = ""
    domain: str = ""
    trust_domain: str = ""
    services: int = 0
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """One service. ``instances`` counts the endpoints that take requests, ``zones`` names theirs."""

    name: str = ""
    owner: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    proxy: str = ""
    instances: int = 0
    zones: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    callers: tuple[str, ...] = ()
    callers_on_default_timeout: tuple[str, ...] = ()
    """Callers for which a route of this service has no written timeout."""
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """One route of a service, as its callers see it (a caller that narrows it sees one of its own)."""

    name: str = ""
    service: str = ""
    callers: tuple[str, ...] = ()
    timeout: timedelta = timedelta()
    """Zero where it is switched off."""
    timeout_written: bool = False
    attempts: int = 0
    retry_on: tuple[str, ...] = ()
    backends: tuple[str, ...] = ()
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class CallFacts:
    """Who sends requests to whom, over all routes that lead there: the longest timeout, the most retries."""

    caller: str = ""
    """A service or gateway."""
    callee: str = ""
    """A service or external."""
    protocol: str = "http"
    """``tcp`` has neither timeouts nor retries."""
    timeout: timedelta = timedelta()
    """Zero where it is switched off."""
    timeout_written: bool = False
    attempts: int = 0
    retry_on: tuple[str, ...] = ()
    timeout_at: Position | None = None
    retries_at: Position | None = None
    source: Source | None = None


Facts = MeshFacts | ServiceFacts | RouteFacts | CallFacts


@dataclass(frozen=True, slots=True)
class World:
    """All facts about one mesh."""

    mesh: MeshFacts
    services: Mapping[str, ServiceFacts]
    routes: tuple[RouteFacts, ...] = ()
    calls: tuple[CallFacts, ...] = ()


SUBJECTS: Mapping[str, type[Facts]] = {
    "mesh": MeshFacts,
    "service": ServiceFacts,
    "route": RouteFacts,
    "call": CallFacts,
}
"""What `select.kind` can name."""


def fields_of(facts: type[Facts]) -> Mapping[str, tuple[str, object]]:
    """The name in policies of each field, with its own name and its type."""
    return _fields_of(facts.__name__)


@cache
def _fields_of(name: str) -> Mapping[str, tuple[str, object]]:
    facts = next(each for each in SUBJECTS.values() if each.__name__ == name)
    hints = get_type_hints(facts)
    return {
        _camel(each.name): (each.name, hints[each.name])
        for each in fields(facts)
        if each.name not in _NOT_FACTS
    }


def values_of(facts: Facts) -> dict[str, Value]:
    """The fields under the names that policies use."""
    return {name: getattr(facts, own) for name, (own, _) in fields_of(type(facts)).items()}


def place(facts: Facts, *path: str) -> Position | None:
    """Where the user wrote the thing, or the part of it at ``path`` as far as that exists."""
    return facts.source.at(*path) if facts.source is not None else None


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(each.capitalize() for each in rest)
