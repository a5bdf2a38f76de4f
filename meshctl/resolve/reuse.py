"""Whose sidecars are the same in two specs, by what they are made from: their own words and those of whom they call.

A test makes random changes and compares with resolving all of it, and one watches what is read for each sidecar.
"""

from __future__ import annotations

import marshal
from collections.abc import Mapping

from msgspec import Struct

from meshctl import ir
from meshctl.resolve.calls import declared_calls
from meshctl.resolve.gateways import reached
from meshctl.spec import Spec
from meshctl.spec.service import ServiceSpec
from meshctl.spec.source import Node


class Resolved(Struct, frozen=True):
    """A spec, and the mesh that came of it without an error."""

    spec: Spec
    mesh: ir.Mesh


class Shared(Struct, frozen=True):
    """What a spec has in common with another one."""

    services: frozenset[str] = frozenset()
    """Those that are written alike, where nothing but services differs."""
    sidecars: Mapping[str, tuple[ir.Sidecar, ...]] = {}
    """Of the other's, by service or gateway. They are equal but for the places of what was written."""


def shared(spec: Spec, other: Resolved) -> Shared:
    """What ``spec`` need not be asked again, and need not make."""
    now, was = spec.source.node, other.spec.source.node
    around = (now.keys() | was.keys()) - {"services"}
    if spec.files != other.spec.files or not all(_same(now.get(key), was.get(key)) for key in around):
        return Shared()
    services: Mapping[str, Node] = now.get("services") or {}
    changed = _changed(services, was.get("services") or {})
    kept = _kept(spec, changed, _callers(spec), _callers(other.spec))
    found: dict[str, tuple[ir.Sidecar, ...]] = {}
    for each in other.mesh.sidecars:
        if each.service in kept:
            found[each.service] = (*found.get(each.service, ()), each)
    return Shared(frozenset(services.keys() - changed), found)


def _same(one: Node, other: Node) -> bool:
    """Whether both are written alike, in the same order: version 0 of marshal writes nothing but that."""
    return one is other or marshal.dumps(one, 0) == marshal.dumps(other, 0)


def _changed(now: Mapping[str, Node], was: Mapping[str, Node]) -> frozenset[str]:
    """The services that are new, gone or written otherwise."""
    return frozenset(
        name
        for name in now.keys() | was.keys()
        if name not in now or name not in was or not _same(now[name], was[name])
    )


def _callers(spec: Spec) -> Mapping[str, set[str]]:
    callers: dict[str, set[str]] = {}
    for caller, callee, _ in declared_calls(spec):
        callers.setdefault(callee, set()).add(caller)
    return callers


def _kept(
    spec: Spec, changed: frozenset[str], now: Mapping[str, set[str]], was: Mapping[str, set[str]]
) -> set[str]:
    """Who is as before, is called by the same, and whose requests come to nobody who changed."""
    services = spec.written.services or {}
    leading = {name: _onward(each) for name, each in services.items()}
    kept = {
        name
        for name, service in services.items()
        if name not in changed
        and now.get(name) == was.get(name)
        and not any(
            callee in changed or not changed.isdisjoint(leading.get(callee, ()))
            for callee in service.calls or ()
        )
    }
    gateways = spec.written.gateways or {}
    return kept | {name for name, each in gateways.items() if changed.isdisjoint(reached(each))}


def _onward(service: ServiceSpec) -> set[str]:
    """The services that its routes send requests or copies of them to."""
    return {
        each.service
        for route in service.routes or ()
        for each in (*(route.backends or ()), *(route.mirror or ()))
        if each.service
    }
