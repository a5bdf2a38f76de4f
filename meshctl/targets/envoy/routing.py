"""Which request goes where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import assert_never

from meshctl.ir import InboundListener, OutboundListener, PathMatch, PathMatchKind, Route, VirtualHost
from meshctl.ir.mesh import STATUS_HEADER
from meshctl.targets.envoy import discovery, forwarded_proto, retries, splitting, timeouts
from meshctl.targets.envoy.header_match import HeaderTable
from meshctl.targets.envoy.protobuf import Message, duration, line, regex_literal

_ONE_LABEL = "[^.,]*\\.?(?::[0-9]*)?"


def route_configuration(
    outbound: OutboundListener, idle: Mapping[str, timedelta], headers: HeaderTable
) -> Message:
    """``envoy.config.route.v3.RouteConfiguration``; ``idle`` is each cluster's idle timeout."""
    return {
        "name": "outbound",
        "ignore_port_in_host_matching": True,
        "validate_clusters": True,
        **forwarded_proto.forget(STATUS_HEADER),
        "virtual_hosts": [
            *(line(_virtual_host(host, outbound, idle, headers)) for host in outbound.virtual_hosts),
            line(_undeclared(outbound.domain)),
            line(_unknown()),
        ],
    }


def _virtual_host(
    host: VirtualHost, outbound: OutboundListener, idle: Mapping[str, timedelta], headers: HeaderTable
) -> Message:
    return {
        "name": host.service,
        "domains": [name + dot for name in host.hostnames for dot in ("", ".")],
        **forwarded_proto.restore(),
        "routes": [
            line(message)
            for route in host.routes
            for message in _routes(route, _idle(route, outbound, idle), headers)
        ],
    }


def _idle(route: Route, outbound: OutboundListener, idle: Mapping[str, timedelta]) -> timedelta:
    return max((idle[each.cluster] for each in route.backends), default=outbound.idle_timeout)


def _routes(route: Route, idle: timedelta, headers: HeaderTable) -> Iterator[Message]:
    """One route, or one for each group of methods that is retried in its own way."""
    matched = _path(route.match.path)
    if route.match.headers:
        matched["dynamic_metadata"] = [headers.matcher(each) for each in route.match.headers]
    if not route.backends:
        condition = _methods(route.match.methods)
        yield {"name": route.name, "match": {**matched, **condition}, "direct_response": {"status": 503}}
        return
    for methods, policy in retries.by_method(route):
        action = {**splitting.backends(route.backends), **timeouts.route_timeouts(route, idle)}
        if policy is not None:
            action["retry_policy"] = policy
        yield {"name": route.name, "match": {**matched, **_methods(methods)}, "route": action}


def _path(path: PathMatch) -> Message:
    match path.kind:
        case PathMatchKind.EXACT:
            return {"path": path.value, "case_sensitive": True}
        case PathMatchKind.PREFIX if path.takes_everything:
            return {"prefix": "/", "case_sensitive": True}
        case PathMatchKind.PREFIX:
            return {"path_separated_prefix": path.value, "case_sensitive": True}
        case PathMatchKind.REGEX:
            raise NotImplementedError
        case other:
            assert_never(other)


def _methods(methods: tuple[str, ...]) -> Message:
    if not methods:
        return {}
    regex = "|".join(regex_literal(method) for method in methods)
    matcher = {"exact": methods[0]} if len(methods) == 1 else {"safe_regex": {"regex": regex}}
    return {"headers": [{"name": ":method", "string_match": matcher}]}


def _undeclared(domain: str) -> Message:
    """Names inside the mesh that this service does not call. An exact name wins over it."""
    return {
        "name": "mesh:undeclared",
        "domains": [start + domain + dot for start in ("*.", ".") for dot in ("", ".")],
        "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 403}}],
    }


def _unknown() -> Message:
    """All the rest: one label is taken for a name of the mesh, anything else for one of the world's."""
    one_label = {"name": ":authority", "string_match": {"safe_regex": {"regex": _ONE_LABEL}}}
    return {
        "name": "mesh:unknown",
        "domains": ["*"],
        "routes": [
            {"match": {"prefix": "/", "headers": [one_label]}, "direct_response": {"status": 403}},
            {"match": {"prefix": "/"}, "direct_response": {"status": 404}},
        ],
    }


def to_application(inbound: InboundListener) -> Message:
    """The one route inbound: no time limit but the idle one, and never a retry."""
    action = {
        "cluster": discovery.APPLICATION,
        "timeout": "0s",
        "idle_timeout": duration(inbound.idle_timeout),
    }
    return {
        "name": "inbound",
        "validate_clusters": True,
        **forwarded_proto.forget(),
        "virtual_hosts": [
            {
                "name": "application",
                "domains": ["*"],
                **forwarded_proto.restore(),
                "routes": [{"match": {"prefix": "/"}, "route": action}],
            }
        ],
    }
