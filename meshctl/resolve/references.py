"""Names that lead somewhere: calls, backends and their subsets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Position
from meshctl.resolve import discovery
from meshctl.spec import Source, Spec
from meshctl.spec.service import ServiceSpec
from meshctl.spec.splitting import BackendSpec


def check(spec: Spec) -> Iterator[Finding]:
    """Every name that is used and nowhere defined, and callees that nothing can answer for."""
    services = spec.written.services or {}
    for name, service in services.items():
        here = spec.source["services"][name]
        yield from _check_calls(name, service, here, services)
        for index, route in enumerate(service.routes or ()):
            for number, backend in enumerate(route.backends or ()):
                where = here["routes"][index]["backends"][number]
                yield from _check_backend(name, backend, where, services)
        if service.endpoints and service.port is None:
            yield finding(
                "missing-key",
                here.at("endpoints"),
                f"`{name}` has endpoints, but no `port` where its application listens",
            )


def _check_calls(
    name: str, service: ServiceSpec, here: Source, services: dict[str, ServiceSpec]
) -> Iterator[Finding]:
    for callee in service.calls or {}:
        if callee not in services:
            yield undefined("service", callee, here["calls"].at(callee), services)
        elif not discovery.takes_requests(services[callee]):
            yield finding(
                "route-to-empty-pool",
                here["calls"].at(callee),
                f"`{name}` calls `{callee}`, which has no endpoints that take requests",
            )


def _check_backend(
    name: str, backend: BackendSpec, where: Source, services: dict[str, ServiceSpec]
) -> Iterator[Finding]:
    target = backend.service or name
    if target not in services:
        yield undefined("service", target, where.at("service"), services)
        return
    known = discovery.subsets(services[target])
    if backend.subset is not None and backend.subset not in known:
        yield undefined(f"subset of `{target}`", backend.subset, where.at("subset"), known)
    elif (
        backend.weight != 0
        and (backend.service or backend.subset)
        and not discovery.takes_requests(services[target], backend.subset)
    ):
        pool = f"the subset `{backend.subset}` of `{target}`" if backend.subset else f"`{target}`"
        yield finding("route-to-empty-pool", where.here, f"{pool} has no endpoints that take requests")


def undefined(kind: str, name: str, at: Position | None, known: Iterable[str]) -> Finding:
    """The finding for a name that is not there, with the nearest one that is."""
    close = get_close_matches(name, sorted(known), n=1)
    return finding(
        "undefined-reference",
        at,
        f"there is no {kind} named `{name}`",
        fix=f"Did you mean `{close[0]}`?" if close else "",
    )
