"""Routes in the order in which they are tried, each match on its own."""

from __future__ import annotations

import re
from collections.abc import Iterator

from meshctl import ir
from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Related
from meshctl.resolve import retries, splitting, timeouts
from meshctl.resolve.layers import Layer, Layers, says
from meshctl.spec import Source
from meshctl.spec.routing import RouteMatchSpec, RouteSpec
from meshctl.spec.service import ServiceSpec

DEFAULT_ROUTE = "default"
"""The name of the only route of a service that has none of its own."""

_Policies = tuple[ir.Timeout, ir.RetryPolicy]

_NEEDLESS = re.compile(r"%(2[DdEeFf]|3[0-9]|4[1-9A-Fa-f]|5[0-9AaCcFf]|6[1-9A-Fa-f]|7[0-9AaEe]|00)")
_BROKEN = re.compile(r"%(?![0-9A-Fa-f]{2})")
_DOTS = re.compile(r"/\.{1,2}(/|;|$)")


def hostnames(service: str, domain: str) -> tuple[str, ...]:
    """The names under which callers know a service."""
    return (service, f"{service}.{domain}")


def routes(name: str, service: ServiceSpec, source: Source, layers: Layers) -> tuple[ir.Route, ...]:
    """The routes of a service as a caller with these ``layers`` sees them, the first to match first."""
    policies = _policies(layers)
    if service.routes is None:
        return tuple(_matches(name, RouteSpec(name=DEFAULT_ROUTE), source["routes"], policies))
    resolved = [
        each
        for index, route in enumerate(service.routes)
        for here in (source["routes"][index],)
        for each in _matches(name, route, here, _own_policies(route, here, layers) or policies)
    ]
    if service.route_order != "listed":
        resolved.sort(key=_specificity)
    return tuple(resolved)


def narrowed(
    seen: tuple[ir.Route, ...], service: ServiceSpec, source: Source, layers: Layers
) -> tuple[ir.Route, ...]:
    """The routes that others see, as a caller with these ``layers`` does: only the policies differ."""
    policies = _policies(layers)
    own = {
        route.name: _own_policies(route, source["routes"][index], layers)
        for index, route in enumerate(service.routes or ())
    }
    return tuple(
        ir.Route(each.name, each.match, each.backends, *(own.get(each.name) or policies), at=each.at)
        for each in seen
    )


def _policies(layers: Layers) -> _Policies:
    return timeouts.timeout(layers), retries.retry_policy(layers)


def _own_policies(route: RouteSpec, source: Source, layers: Layers) -> _Policies | None:
    """What holds on a route that says something itself; None where it says nothing."""
    own = (Layer(route, source),)
    return _policies((*layers, *own)) if says(own, "timeout", "retries") else None


def _specificity(route: ir.Route) -> tuple[bool, int, bool, int]:
    """Gateway API's precedence; Python's stable sort keeps the order of the file among equals."""
    match = route.match
    exact = match.path.kind is ir.PathMatchKind.EXACT
    return (not exact, 0 if exact else -len(match.path.value), not match.methods, -len(match.headers))


def _matches(service: str, route: RouteSpec, source: Source, policies: _Policies) -> Iterator[ir.Route]:
    backends = splitting.weighted_clusters(service, route.backends)
    timeout, retry_policy = policies
    at = source.here if source.node is not None else None
    for index, match in enumerate(route.matches or (RouteMatchSpec(),)):
        yield ir.Route(
            name=route.name,
            match=_match(match, source["matches"][index]),
            backends=backends,
            timeout=timeout,
            retries=retry_policy,
            at=at,
        )


def _match(match: RouteMatchSpec, source: Source) -> ir.RouteMatch:
    return ir.RouteMatch(
        path=_path(match, source),
        methods=tuple(sorted(set(match.methods or ()))),
        headers=tuple(
            ir.HeaderMatch(name, value.exact or "") for name, value in sorted((match.headers or {}).items())
        ),
        at=source.here if source.node is not None else None,
    )


def _path(match: RouteMatchSpec, source: Source) -> ir.PathMatch:
    if match.path is None:
        return ir.PathMatch(ir.PathMatchKind.PREFIX, "/")
    if match.path.exact is not None:
        return ir.PathMatch(ir.PathMatchKind.EXACT, match.path.exact, at=source.at("path"))
    return ir.PathMatch(
        ir.PathMatchKind.PREFIX, (match.path.prefix or "").rstrip("/") or "/", at=source.at("path")
    )


def check(service: ServiceSpec, source: Source) -> Iterator[Finding]:
    """Faults that the routes of one service have by themselves."""
    first_of: dict[str, int] = {}
    for index, route in enumerate(service.routes or ()):
        here = source["routes"][index]
        first = first_of.setdefault(route.name, index)
        if first != index:
            before = source["routes"][first].at("name")
            yield finding(
                "duplicate-definition",
                here.at("name"),
                f"a second route named `{route.name}`",
                related=(Related(before, "the first one"),) if before else (),
            )
        for number, match in enumerate(route.matches or ()):
            yield from _check_match(match, here["matches"][number])
        if route.backends is not None:
            yield from splitting.check(route.backends, here["backends"])


def _check_match(match: RouteMatchSpec, source: Source) -> Iterator[Finding]:
    if not match.model_fields_set:
        yield finding("ambiguous-match", source.here, "this match has no condition")
    if match.path is None:
        return
    here = source["path"]
    if (match.path.exact is None) == (match.path.prefix is None):
        yield finding(
            "ambiguous-match", here.here, "a path is either `exact` or `prefix`", fix="Keep one of them."
        )
    for kind, path in (("exact", match.path.exact), ("prefix", match.path.prefix)):
        if path is not None and not _is_canonical(path):
            yield finding("path-not-canonical", here.value_at(kind), f"`{path}` is not canonical")


def _is_canonical(path: str) -> bool:
    return not (
        "//" in path or "\\" in path or _DOTS.search(path) or _BROKEN.search(path) or _NEEDLESS.search(path)
    )
