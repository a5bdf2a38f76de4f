"""The named parts of a spec as they were written: who has a name, what it is like, whom it mentions, what changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from meshctl.diagnostics import Position
from meshctl.spec import Source
from meshctl.spec.source import Node

SECTIONS = ("services", "externals", "gateways")
_SIMILAR = 0.6
_WITHOUT_MEANING = frozenset({"lint", "apiVersion"})
"""Keys of the top that change no mesh."""
_AS_CALLEE = frozenset(
    {
        *(
            "owner",
            "labels",
            "waive",
            "port",
            "ports",
            "appAddress",
            "healthPath",
            "admin",
            "health",
            "rateLimit",
        ),
        *("allow", "deny", "pathPolicy", "timeout", "bodyTimeout", "streaming", "retries", "idempotent"),
        *(
            "connectTimeout",
            "idleTimeout",
            "loadBalancing",
            "circuitBreaker",
            "outlierDetection",
            "healthCheck",
        ),
    }
)
"""Keys of a service that say what its callers get, and nothing of whom it calls itself."""


class Part(Struct, frozen=True):
    """A part of a spec that changed, by its path, and its place after (before, where it is gone)."""

    path: str
    at: Position | None


def section_of(source: Source, name: str) -> str:
    """Where the service, external or gateway ``name`` is written; empty where nowhere."""
    return next((each for each in SECTIONS if name in source[each]), "")


def names(source: Source) -> Mapping[str, Source]:
    """Every service, external and gateway."""
    return {
        name: source[section][name]
        for section in SECTIONS
        for name in (source[section].node if isinstance(source[section].node, dict) else ())
    }


def former_name(before: Source, after: Source, name: str) -> str:
    """How the part ``name`` was called before; empty where it is new.

    Of those that are gone it is the one with the same endpoints, or the one that it has most lines in common with, if these
    are six in ten or more.
    """
    section = section_of(after, name)
    known, now = names(before), names(after)
    gone = (each for each in known if each not in now and section_of(before, each) == section)
    rated = sorted(((_likeness(now[name], known[each]), each) for each in gone), reverse=True)
    return rated[0][1] if rated and rated[0][0] >= _SIMILAR else ""


def _likeness(one: Source, other: Source) -> float:
    if one["endpoints"].node and one["endpoints"].node == other["endpoints"].node:
        return 1
    mine, theirs = set(leaves(one.node)), set(leaves(other.node))
    return len(mine & theirs) / (len(mine | theirs) or 1)


def leaves(node: Node, path: str = "") -> Iterator[tuple[str, str]]:
    """Every value with its path; those of a list without their numbers."""
    match node:
        case dict():
            for key, value in node.items():
                yield from leaves(value, f"{path}.{key}")
        case list():
            for value in node:
                yield from leaves(value, path)
        case _:
            yield path, "" if node is None else str(node)


def changed_parts(before: Source, after: Source) -> tuple[Part, ...]:
    """What was written otherwise: services, externals and gateways by their names, the rest key by key."""
    found: list[Part] = []
    old, new = (each.node if isinstance(each.node, dict) else {} for each in (before, after))
    for key in dict.fromkeys((*new, *old)):
        if key in _WITHOUT_MEANING or new.get(key) == old.get(key):
            continue
        inside = [each.get(key) for each in (old, new)]
        both = [each if isinstance(each, dict) else {} for each in inside]
        for name in dict.fromkeys((*both[1], *both[0])):
            if both[0].get(name) != both[1].get(name) or (name in both[0]) != (name in both[1]):
                here = (after if name in both[1] else before)[key]
                found.append(Part(f"{key}.{name}", here.at(name)))
    return tuple(found)


def concerning(parts: tuple[Part, ...], sides: tuple[Source, Source], name: str) -> tuple[Part, ...]:
    """Those of ``parts`` that can matter to the service ``name``.

    Of others only whom it calls and who calls it, be it by way of somebody whose routes lead on.
    """
    near, calling = {name}, set[str]()
    for side in sides:
        mentioned = _mentions(side)
        callers = {each for each, theirs in mentioned.items() if name in theirs}
        calling |= callers | {each for each, theirs in mentioned.items() if theirs & callers}
        callees = mentioned.get(name, set())
        near |= callees.union(*(mentioned[each] for each in callees))
    return tuple(each for each in parts if _concerns(each, sides, near, calling))


def _concerns(part: Part, sides: tuple[Source, Source], near: set[str], calling: set[str]) -> bool:
    section, _, name = part.path.partition(".")
    if section not in SECTIONS or name in near:
        return True
    if name not in calling:
        return False
    old, new = (side[section][name].node for side in sides)
    if not isinstance(old, dict) or not isinstance(new, dict):
        return True
    return any(old.get(key) != new.get(key) for key in (old.keys() | new.keys()) - _AS_CALLEE)


def _mentions(source: Source) -> dict[str, set[str]]:
    """By part, which other parts' names stand in it."""
    known = names(source)
    return {name: {each for each in _texts(part.node) if each in known} for name, part in known.items()}


def _texts(node: Node) -> Iterator[str]:
    match node:
        case dict():
            for key, value in node.items():
                yield key
                yield from _texts(value)
        case list():
            for value in node:
                yield from _texts(value)
        case str():
            yield node
        case _:
            pass
