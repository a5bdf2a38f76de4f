"""Egress: what becomes of hosts that are neither services nor externals."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import structs

from meshctl import ir
from meshctl.catalogue import finding
from meshctl.diagnostics import Finding
from meshctl.resolve import circuit_breaking, load_balancing, routing, timeouts
from meshctl.resolve.externals import REFRESH
from meshctl.resolve.layers import default_layers
from meshctl.spec import Spec

NAME = "egress"
"""The route and the cluster of requests that leave the mesh by `egress: allow`."""


def allowed(spec: Spec) -> bool:
    """Whether unknown hosts are asked for at all."""
    return spec.written.mesh.egress == "allow"


def route(spec: Spec) -> ir.Route | None:
    """Where unknown hosts go; nowhere unless the spec says so."""
    if not allowed(spec):
        return None
    layers = default_layers(spec)
    table = routing.RouteTable(NAME, ("*",), None, spec.source["mesh"]["egress"])
    (host,) = table.virtual_hosts("", lambda _: layers)
    return structs.replace(host.routes[0], name=NAME)


def cluster(spec: Spec) -> ir.Cluster:
    """The host that the request names, in plain HTTP."""
    layers = default_layers(spec)
    at = spec.source["mesh"].at("egress")
    return ir.Cluster(
        name=NAME,
        identity=None,
        endpoints=(),
        connect_timeout=timeouts.connect_timeout(layers),
        idle_timeout=timeouts.idle_timeout(layers),
        load_balancing=load_balancing.load_balancing(layers),
        circuit_breaker=circuit_breaking.circuit_breaker(layers),
        origin=ir.Origin(None),
        dns=ir.DnsName("", 0, REFRESH),
        asks=(ir.FeatureUse(ir.Feature.EGRESS_ALLOW, at),) if at is not None else (),
    )


def check(spec: Spec) -> Iterator[Finding]:
    """A callee that has the name which access logs give to this."""
    if not allowed(spec):
        return
    for section, defined in (("services", spec.written.services), ("externals", spec.written.externals)):
        if NAME in (defined or {}):
            yield finding(
                "reserved-name",
                spec.source[section].at(NAME),
                f"with `egress: allow` the name `{NAME}` stands for hosts outside the mesh",
            )
