"""TCP callees: what speaks of requests cannot apply to them, and nothing but a port tells who is meant."""

from __future__ import annotations

from collections.abc import Iterator

from meshctl import ir
from meshctl.catalogue import finding
from meshctl.diagnostics import Finding
from meshctl.resolve import applications, externals
from meshctl.spec import Source, Spec
from meshctl.spec.policy import CallSpec
from meshctl.spec.routing import RouteSpec
from meshctl.spec.service import ServiceSpec
from meshctl.spec.types import Model

_OF_REQUESTS = (
    "timeout",
    "bodyTimeout",
    "streaming",
    "retries",
    "idempotent",
    "rateLimit",
    "pathPolicy",
    "healthPath",
    "routeOrder",
    "routes",
    "load",
)
_OF_REQUESTS_IN_RULES = ("methods", "paths", "headers", "jwt", "claims")


def callees(spec: Spec) -> frozenset[str]:
    """The services and externals that speak TCP."""
    services = spec.written.services or {}
    others = spec.written.externals or {}
    return frozenset(
        (
            *(name for name, each in services.items() if applications.protocol(each) is ir.Protocol.TCP),
            *(name for name, each in others.items() if externals.protocol(each) is ir.Protocol.TCP),
        )
    )


def check(spec: Spec) -> Iterator[Finding]:
    """Settings of HTTP at TCP callees, calls to them without a local port, and routes that lead there."""
    streams = callees(spec)
    for section, named in (("services", spec.written.services), ("externals", spec.written.externals)):
        for name, callee in (named or {}).items():
            if name in streams:
                yield from _check_settings(name, callee, spec.source[section][name])
    for name, service in (spec.written.services or {}).items():
        source = spec.source["services"][name]
        if name in streams:
            yield from _check_rules(name, service, source)
        yield from _check_calls(service.calls, streams, source)
        yield from _check_routes(service.routes, streams, source)
    for name, gateway in (spec.written.gateways or {}).items():
        source = spec.source["gateways"][name]
        yield from _check_routes(gateway.routes, streams, source)
        for called in gateway.calls or {}:
            if called in streams:
                message = f"a gateway sends requests, and `{called}` speaks TCP"
                yield finding("needs-http", source["calls"].at(called), message)


def _check_settings(name: str, written: Model, source: Source) -> Iterator[Finding]:
    aliases = {field.alias: key for key, field in type(written).model_fields.items()}
    for key in _OF_REQUESTS:
        field = aliases.get(key)
        if field is not None and getattr(written, field) is not None:
            yield finding(
                "needs-http", source.at(key), f"`{key}` speaks of requests, and `{name}` is a TCP stream"
            )


def _check_rules(name: str, service: ServiceSpec, source: Source) -> Iterator[Finding]:
    for key, rules in (("allow", service.allow), ("deny", service.deny)):
        for index in range(len(rules or ())):
            for part in _OF_REQUESTS_IN_RULES:
                if part in source[key][index]:
                    message = f"`{part}` speaks of requests, and `{name}` is a TCP stream"
                    yield finding("needs-http", source[key][index].at(part), message)


def _check_calls(
    calls: dict[str, CallSpec] | None, streams: frozenset[str], source: Source
) -> Iterator[Finding]:
    for callee, call in (calls or {}).items():
        if callee not in streams:
            continue
        here = source["calls"][callee]
        yield from _check_settings(callee, call, here)
        if call.local_port is None:
            yield finding(
                "local-port-missing", here.here, f"`{callee}` speaks TCP, and this call has no `localPort`"
            )


def _check_routes(
    routes: list[RouteSpec] | None, streams: frozenset[str], source: Source
) -> Iterator[Finding]:
    for index, route in enumerate(routes or ()):
        named = {
            "backends": [each.service for each in route.backends or ()],
            "mirror": [each.service for each in route.mirror or ()],
        }
        for key, targets in named.items():
            for number, target in enumerate(targets):
                if target in streams:
                    at = source["routes"][index][key][number].at("service")
                    yield finding("needs-http", at, f"a route sends requests, and `{target}` speaks TCP")
