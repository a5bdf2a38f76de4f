"""Which routes and which rules of a mesh requests come by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from meshctl.diagnostics import Position
from meshctl.ir import Mesh, Protocol, Route
from meshctl.simulate.decisions import Decision


class Part(Struct, frozen=True):
    """One match of a route, or one rule of authorization, that the user wrote."""

    kind: str
    """``route``, ``allow`` or ``deny``."""
    owner: str
    """The service, external or gateway that it belongs to."""
    name: str
    """The route's; empty for a rule."""
    at: Position


class Coverage(Struct, frozen=True):
    """All parts in order of their places, and those that no request came by."""

    parts: tuple[Part, ...]
    untested: tuple[Part, ...]


def coverage(mesh: Mesh, decisions: Iterable[Decision]) -> Coverage:
    """What ``decisions`` leave out of ``mesh``."""
    touched: set[Position | None] = set()
    for each in decisions:
        if each.route is not None:
            touched.add(_place(each.route))
        touched.update(rule.at for _, rule in each.rules if rule is not None)
    parts = tuple(sorted(set(_parts(mesh)), key=lambda each: (each.at, each.kind, each.owner)))
    return Coverage(parts, tuple(each for each in parts if each.at not in touched))


def _parts(mesh: Mesh) -> Iterator[Part]:
    for sidecar in mesh.sidecars:
        for host in sidecar.outbound.virtual_hosts:
            for route in host.routes:
                at = _place(route)
                if at is not None:
                    yield Part("route", host.service, route.name, at)
        inbound = sidecar.inbound
        # Route tests are requests, and a TCP stream has none.
        if inbound is None or inbound.protocol is Protocol.TCP:
            continue
        its = inbound.authorization
        for kind, rules in (("allow", its.rules), ("deny", its.deny)):
            for rule in rules:
                if rule.at is not None:
                    yield Part(kind, sidecar.service, "", rule.at)


def _place(route: Route) -> Position | None:
    return route.match.at or route.at
