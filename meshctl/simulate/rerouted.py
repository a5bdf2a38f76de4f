"""Where the requests of a route go that is there no more: shown by one of them."""

from __future__ import annotations

from collections.abc import Iterator

from meshctl.ir import Mesh, Route, Sidecar, VirtualHost
from meshctl.ir.change import Consequence, Effect
from meshctl.simulate import routing
from meshctl.simulate.examples import Lead, search
from meshctl.simulate.examples import example as example_of
from meshctl.simulate.leads import OUTSIDE

_Hosts = dict[tuple[str, tuple[str, ...]], VirtualHost]


def rerouted(before: Mesh, after: Mesh) -> tuple[Consequence, ...]:
    """One for each route that went while its callee stays, and each other way that its requests take; with whom it is about."""
    old, new = ({each.service: each for each in reversed(mesh.sidecars)} for mesh in (before, after))
    found: dict[str, list[str]] = {}
    known: dict[tuple[int, int], tuple[str, ...]] = {}
    for caller in sorted(old.keys() & new.keys()):
        for host, other in _pairs(old[caller], new[caller]):
            # Callers that narrow nothing share hosts.
            key = (id(host), id(other))
            if key not in known:
                known[key] = tuple(_of_host(host, other))
            for text in known[key]:
                found.setdefault(text, []).append(caller)
    return tuple(Consequence(Effect.REROUTED, tuple(callers), text) for text, callers in found.items())


def _pairs(before: Sidecar, after: Sidecar) -> Iterator[tuple[VirtualHost, VirtualHost]]:
    if before.outbound.virtual_hosts == after.outbound.virtual_hosts:
        return
    new = {(each.service, each.hostnames[:1]): each for each in after.outbound.virtual_hosts}
    for host in before.outbound.virtual_hosts:
        other = new.get((host.service, host.hostnames[:1]))
        if other is not None and other is not host:
            yield host, other


def _of_host(before: VirtualHost, after: VirtualHost) -> Iterator[str]:
    names = {each.name for each in after.routes}
    told: set[tuple[str, str | None]] = set()
    for index, route in enumerate(before.routes):
        if route.name in names:
            continue
        way = search((Lead(before, index),), OUTSIDE, None)
        shown = example_of(way, "http") if way is not None else None
        if way is None or way.request is None or shown is None:
            continue
        taken = routing.route(after, way.request)
        to = taken.name if taken is not None else None
        if (route.name, to) in told or (taken is not None and _same(route, taken)):
            continue
        told.add((route.name, to))
        lines = [f"{name}: {value}" for name, value in shown.headers]
        such = f"{shown.method} {shown.url}{' with ' if lines else ''}{', '.join(lines)}"
        goes = f"now go by route `{to}`" if to is not None else "are now answered 404"
        yield f"requests of route `{route.name}` of `{before.service}`, such as {such}, {goes}"


def _same(before: Route, after: Route) -> bool:
    """Whether only the name differs, so that nothing becomes of the requests."""
    return (before.backends, before.answer) == (after.backends, after.answer) and (
        before.match == after.match
    )
