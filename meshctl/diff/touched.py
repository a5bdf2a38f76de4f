"""How far a change reaches: bundles, routes, callers, services."""

from __future__ import annotations

from collections.abc import Iterator

from meshctl import ir
from meshctl.diff.ordering import ordering
from meshctl.ir.change import MeshChange

_Routes = dict[tuple[str, str], list[ir.Route]]


def touched(before: ir.Mesh, after: ir.Mesh) -> MeshChange:
    """All of the change but who is let in. Both meshes have build ids: what has the same is the same."""
    old, new = ({_bundle(each): each for each in mesh.sidecars} for mesh in (before, after))
    differ = sorted(
        name for name in old.keys() | new.keys() if _build(old.get(name)) != _build(new.get(name))
    )
    was, now = ({each.service for each in mesh.sidecars} for mesh in (before, after))
    changed = [(old[name], new[name]) for name in differ if name in old and name in new]
    routes: set[tuple[str, str]] = set()
    seen: set[tuple[int, int]] = set()
    for one, other in changed:
        for host, hosts in _hosts(one, other):
            # Callers that narrow nothing share objects, so each pair of them is compared once.
            if (id(host), id(hosts)) not in seen:
                seen.add((id(host), id(hosts)))
                routes |= set(_differing(host, hosts))
    return MeshChange(
        sidecars=tuple(differ),
        routes=tuple(f"{service}/{route}" for service, route in sorted(routes)),
        callers=tuple(sorted({other.service for one, other in changed if _sends(one) != _sends(other)})),
        services_added=tuple(sorted(now - was)),
        services_removed=tuple(sorted(was - now)),
        ordered=ordering(before, after),
    )


def services_of(change: MeshChange) -> frozenset[str]:
    """The services and gateways whose bundles differ."""
    return frozenset(each.partition("/")[0] for each in change.sidecars)


def _bundle(sidecar: ir.Sidecar) -> str:
    return f"{sidecar.service}/{sidecar.instance}".rstrip("/")


def _build(sidecar: ir.Sidecar | None) -> str:
    return sidecar.build if sidecar is not None else ""


def _sends(sidecar: ir.Sidecar) -> tuple[object, ...]:
    return sidecar.outbound, sidecar.locals, sidecar.tcp, sidecar.clusters


def _hosts(
    before: ir.Sidecar, after: ir.Sidecar
) -> Iterator[tuple[ir.VirtualHost | None, ir.VirtualHost | None]]:
    old, new = (
        {(each.service, each.hostnames[:1]): each for each in one.outbound.virtual_hosts}
        for one in (before, after)
    )
    for key in old.keys() | new.keys():
        if old.get(key) is not new.get(key):
            yield old.get(key), new.get(key)


def _differing(before: ir.VirtualHost | None, after: ir.VirtualHost | None) -> Iterator[tuple[str, str]]:
    old, new = _by_name(before), _by_name(after)
    for key in old.keys() | new.keys():
        if old.get(key) != new.get(key):
            yield key


def _by_name(host: ir.VirtualHost | None) -> _Routes:
    found: _Routes = {}
    if host is not None:
        for route in host.routes:
            found.setdefault((host.service, route.name), []).append(route)
    return found
