"""Which request goes where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct, field

from meshctl.ir import Cluster, InboundListener, OutboundListener, Protocol, Route, VirtualHost
from meshctl.ir.mesh import STATUS_HEADER
from meshctl.targets.envoy import (
    discovery,
    egress,
    fault_injection,
    filters,
    forwarded_proto,
    matching,
    metrics,
    mirroring,
    retries,
    splitting,
    timeouts,
    websocket,
)
from meshctl.targets.envoy.matching import HeaderTable
from meshctl.targets.envoy.protobuf import Message, duration, line

_ONE_LABEL = "(?:[^.,[][^.,]*)?\\.?(?::[0-9]*)?"
"""Of a Host; what begins with a bracket is an address."""


class RouteTable(Struct):
    """What the routes of one listener are made from, and the numbers that they are given on the way."""

    outbound: OutboundListener
    clusters: Mapping[str, Cluster]
    headers: HeaderTable
    counted: bool = False
    """Whether the callees of requests are counted."""
    uploads: int = 0
    roaming: list[Message] = field(default_factory=list)
    """Routes that a request needs wherever its new Host name leads it."""

    def configuration(self, name: str) -> Message:
        """``envoy.config.route.v3.RouteConfiguration``."""
        hosts = self.outbound.virtual_hosts
        named = [self._virtual_host(*each) for each in zip(hosts, _unique_names(hosts), strict=True)]
        for host in named:
            host["routes"] = [line(each) for each in (*self.roaming, *host["routes"])]
        others = [*self._undeclared(), *self._unknown()]
        for host in others:
            host["routes"] = [*self.roaming, *host["routes"]]
        return {
            "name": name,
            "ignore_port_in_host_matching": True,
            "validate_clusters": True,
            **forwarded_proto.forget(STATUS_HEADER),
            "virtual_hosts": [line(host) for host in (*named, *others)],
        }

    def _virtual_host(self, host: VirtualHost, name: str) -> Message:
        uploaded: list[Message] = []
        routes = [each for route in host.routes for each in self._routes(route, uploaded)]
        return {
            "name": name,
            "domains": list(_domains(host.hostnames)),
            **(metrics.callee(host.service) if self.counted else {}),
            **forwarded_proto.restore(),
            "routes": [*uploaded, *routes],
        }

    def _routes(self, route: Route, uploaded: list[Message]) -> Iterator[Message]:
        """One route, or one for each group of methods that is retried in its own way."""
        if not route.backends:
            match = matching.route_match(route.match, route.match.methods, self.headers)
            refused: Message = {"direct_response": {"status": 503}}
            given = filters.answer(route, route.answer, self.outbound) if route.answer else refused
            yield {"name": route.name, "match": match, **given}
            return
        multiplexed = any(self.clusters[each.cluster].protocol.multiplexed for each in route.backends)
        for methods, policy in retries.by_method(route, multiplexed=multiplexed):
            action = self._action(route, policy)
            yield from self._bounded(
                route,
                {
                    "name": route.name,
                    "match": matching.route_match(route.match, methods, self.headers),
                    "route": action,
                    **self._changes(route),
                },
                uploaded,
            )

    def _bounded(self, route: Route, message: Message, uploaded: list[Message]) -> Iterator[Message]:
        """The route as it is, or one for the time of an upload; what follows that goes to the others."""
        if not route.body_timeout.duration:
            yield message
            return
        self.uploads += 1
        insisting = forwarded_proto.insist("https" if self.outbound.tls else "http")
        message |= {"request_headers_to_add": [*message.get("request_headers_to_add", ()), insisting]}
        fields, patience = timeouts.uploading(self.uploads, route)
        match, rest = timeouts.uploaded(self.uploads)
        after = {**message, "match": match, "route": message["route"] | rest}
        # A route is chosen by the request as it has become by then.
        elsewhere = route.rewrite is not None and route.rewrite.hostname
        (self.roaming if elsewhere else uploaded).append(after)
        if self._all_speak(route, Protocol.HTTP):
            # What is sent behind an upgrade is no upload.
            headers = [*message["match"].get("headers", ()), websocket.asked_for()]
            yield {**message, "match": message["match"] | {"headers": headers}}
        yield {**message, "route": message["route"] | patience, **fields}

    def _action(self, route: Route, policy: Message | None) -> Message:
        idle = max(self.clusters[each.cluster].idle_timeout for each in route.backends)
        action = {
            **splitting.backends(route.backends),
            **timeouts.route_timeouts(route, idle),
            **filters.rewrite(route),
            **mirroring.mirrors(route),
            **({} if self._all_speak(route, Protocol.HTTP) else websocket.refused()),
        }
        guard = timeouts.idle_answer(route, idle)
        if guard:
            policy = {"num_retries": 0, **(policy or {}), **guard}
        if policy:
            action["retry_policy"] = policy
        return action

    def _all_speak(self, route: Route, protocol: Protocol) -> bool:
        return all(self.clusters[each.cluster].protocol is protocol for each in route.backends)

    def _changes(self, route: Route) -> Message:
        """What stands beside the action: header changes, and how the cluster looks up its hosts."""
        configs = {**filters.response_headers(route.response_headers), **fault_injection.route_config(route)}
        hostname = route.rewrite.hostname if route.rewrite else ""
        for backend in route.backends:
            cluster = self.clusters[backend.cluster]
            if egress.follows_the_request(cluster):
                configs |= egress.route_config(cluster, hostname)
        changes = filters.request_headers(route.request_headers)
        return {**changes, "typed_per_filter_config": configs} if configs else changes

    def _undeclared(self) -> Iterator[Message]:
        """Names inside the mesh that this service does not call. An exact name wins over it."""
        domain = self.outbound.domain
        hostnames = {name for host in self.outbound.virtual_hosts for name in host.hostnames}
        covering = {"*", *(f"*.{domain.split('.', at)[at]}" for at in range(domain.count(".") + 1))}
        if not domain or covering & hostnames:
            return
        yield {
            "name": "mesh:undeclared",
            "domains": [start + domain + dot for start in ("*.", ".") for dot in ("", ".")],
            "routes": [_refusal(403)],
        }

    def _unknown(self) -> Iterator[Message]:
        """All the rest: one label is taken for a name of the mesh, anything else for one of the world's."""
        if any("*" in host.hostnames for host in self.outbound.virtual_hosts):
            return
        routes: list[Message] = []
        if self.outbound.domain:
            one_label = {"name": ":authority", "string_match": {"safe_regex": {"regex": _ONE_LABEL}}}
            routes.append(_refusal(403, headers=[one_label]))
        uploaded: list[Message] = []
        outside = [*self._routes(self.outbound.egress, uploaded)] if self.outbound.egress else [_refusal(404)]
        restored = forwarded_proto.restore() if self.outbound.egress else {}
        yield {"name": "mesh:unknown", "domains": ["*"], **restored, "routes": [*uploaded, *routes, *outside]}


def _unique_names(hosts: tuple[VirtualHost, ...]) -> list[str]:
    """The service, and for its further virtual hosts a host name too."""
    names: dict[str, None] = {}
    for host in hosts:
        names[host.service if host.service not in names else f"{host.service}:{host.hostnames[0]}"] = None
    return list(names)


def _domains(hostnames: tuple[str, ...]) -> Iterator[str]:
    for name in hostnames:
        yield name
        if name != "*":
            yield f"{name}."


def _refusal(status: int, **match: object) -> Message:
    return {"match": {"prefix": "/", **match}, "direct_response": {"status": status}}


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
