"""Who may call whom: what services and gateways list, and what the routes of their callees lead on to."""

from __future__ import annotations

from collections.abc import Iterator

from meshctl.diagnostics import Position
from meshctl.resolve import gateways
from meshctl.spec import Spec
from meshctl.spec.routing import RouteSpec


def declared_calls(spec: Spec) -> Iterator[tuple[str, str, Position | None]]:
    """Each pair of a caller and a service that it may call, with the place of the call; pairs may repeat."""
    services = spec.written.services or {}
    for caller, service in services.items():
        for callee in service.calls or {}:
            if callee in services:
                at = spec.source["services"][caller]["calls"].at(callee)
                routes = (each for each in services[callee].routes or () if _seen_by(caller, each))
                onward = {each.service for route in routes for each in route.backends or () if each.service}
                yield from ((caller, reached, at) for reached in {callee} | (onward & services.keys()))
    for name, gateway in (spec.written.gateways or {}).items():
        for callee in gateways.reached(gateway) & services.keys():
            yield name, callee, spec.source["gateways"][name].at("calls", callee)


def _seen_by(caller: str, route: RouteSpec) -> bool:
    """Whether any match of the route is not bound to other callers."""
    matches = route.matches or ()
    return not matches or any(not each.callers or caller in each.callers for each in matches)
