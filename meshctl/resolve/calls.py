"""Who may call whom: what services and gateways list, and what the routes of their callees lead on to."""

from __future__ import annotations

from collections.abc import Iterator

from meshctl.diagnostics import Position
from meshctl.resolve import gateways
from meshctl.spec import Spec
from meshctl.spec.routing import RouteSpec


def declared_calls(spec: Spec) -> Iterator[tuple[str, str, str]]:
    """Each pair of a caller and a service that it may call, and the entry of its `calls` that says so.

    Pairs may repeat, for several entries can lead to one service.
    """
    services = spec.written.services or {}
    onward: dict[str, bool] = {}
    for caller, service in services.items():
        for listed in service.calls or {}:
            if listed not in services:
                continue
            yield caller, listed, listed
            routes = services[listed].routes or ()
            if listed not in onward:
                onward[listed] = any(reached(route) for route in routes)
            if onward[listed]:
                seen = (each for each in routes if _seen_by(caller, each))
                named = {name for route in seen for name in reached(route)}
                yield from ((caller, onto, listed) for onto in sorted(named & services.keys() - {listed}))
    for name, gateway in (spec.written.gateways or {}).items():
        yield from ((name, callee, callee) for callee in sorted(gateways.reached(gateway) & services.keys()))


def place(spec: Spec, caller: str, listed: str) -> Position | None:
    """Where a service or gateway lists a call."""
    section = "services" if caller in (spec.written.services or {}) else "gateways"
    return spec.source[section][caller].at("calls", listed)


def reached(route: RouteSpec) -> set[str]:
    """The services that a route sends requests or copies of them to, beside its own."""
    return {each.service for each in (*(route.backends or ()), *(route.mirror or ())) if each.service}


def _seen_by(caller: str, route: RouteSpec) -> bool:
    """Whether any match of the route is not bound to other callers."""
    matches = route.matches or ()
    return not matches or any(not each.callers or caller in each.callers for each in matches)
