"""The nodes, with what their sidecars do and what people wrote about them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from meshctl import ir
from meshctl.diagnostics import Finding
from meshctl.graph import words
from meshctl.graph.calls import Conditions, doors, edges
from meshctl.graph.model import About, Graph, Kind, Node, RouteFacts, RouteTable
from meshctl.ir.reachability import Reachability


def graph(
    mesh: ir.Mesh,
    reach: Reachability,
    about: Mapping[str, About],
    findings: Iterable[tuple[str, Finding]],
    conditions: Conditions,
) -> Graph:
    """The whole mesh. ``about`` has every service, gateway and external; ``findings`` stand with the name that each is about."""
    sidecars = {each.service: each for each in reversed(mesh.sidecars)}
    calls = edges(mesh, dict(sorted(sidecars.items())), reach, conditions)
    found: dict[str, list[Finding]] = {}
    for name, finding in findings:
        found.setdefault(name if name in about else "", []).append(finding)
    tables = _tables(sidecars)
    clusters: dict[str, ir.Cluster] = {}
    for sidecar in sidecars.values():
        for each in sidecar.clusters:
            clusters.setdefault(each.name.partition(".")[0], each)
    protocols = {each.callee: each.protocol for each in calls}
    nodes = tuple(
        Node(
            name,
            _kind(sidecars.get(name)),
            proxy=sidecars[name].proxy.value if name in sidecars else "",
            protocol=_protocol(sidecars.get(name), protocols.get(name, "http")),
            mtls=_mtls(sidecars.get(name)),
            about=about[name],
            policies=tuple(
                _policies(sidecars.get(name), clusters.get(name), tuple(doors(reach, name)), conditions)
            ),
            tables=tables.get(name, ()),
            findings=tuple(found.get(name, ())),
        )
        for name in sorted(about)
    )
    return Graph(mesh.name, mesh.domain, nodes, calls, tuple(found.get("", ())))


def _kind(sidecar: ir.Sidecar | None) -> Kind:
    if sidecar is None:
        return Kind.EXTERNAL
    return Kind.GATEWAY if sidecar.is_gateway else Kind.SERVICE


def _protocol(sidecar: ir.Sidecar | None, outside: str) -> str:
    return sidecar.inbound.protocol.value if sidecar is not None and sidecar.inbound is not None else outside


def _mtls(sidecar: ir.Sidecar | None) -> str:
    return sidecar.inbound.mtls.value if sidecar is not None and sidecar.inbound is not None else ""


def _tables(sidecars: Mapping[str, ir.Sidecar]) -> dict[str, tuple[RouteTable, ...]]:
    """By callee (or by gateway), the different tables that callers have for it."""
    known: dict[int, tuple[RouteFacts, ...]] = {}
    found: dict[str, dict[tuple[RouteFacts, ...], dict[str, None]]] = {}
    for caller in sorted(sidecars):
        sidecar = sidecars[caller]
        for listener in (sidecar.outbound, *sidecar.locals):
            for host in listener.virtual_hosts:
                # Callers that narrow nothing share a host, which lives as long as the mesh does.
                rows = known.setdefault(id(host), ()) or tuple(_rows(host))
                known[id(host)] = rows
                if rows:
                    found.setdefault(host.service, {}).setdefault(rows, {})[caller] = None
    return {
        name: tuple(RouteTable(tuple(callers), rows) for rows, callers in tables.items())
        for name, tables in found.items()
    }


def _rows(host: ir.VirtualHost) -> Iterator[RouteFacts]:
    for route in host.routes:
        yield RouteFacts(
            route.name,
            words.matched(route.match),
            words.leads(route, host.service),
            words.details(route, host.service),
        )


def _policies(
    sidecar: ir.Sidecar | None, cluster: ir.Cluster | None, entrances: tuple[str, ...], conditions: Conditions
) -> Iterator[tuple[str, str]]:
    if sidecar is not None and sidecar.inbound is not None:
        inbound = sidecar.inbound
        yield "mutual TLS", inbound.mtls.value
        yield from _access(inbound.authorization, conditions)
        if inbound.rate_limit is not None:
            yield "rate limit", words.rate_limit(inbound.rate_limit)
    for each in entrances:
        yield "without a certificate", each
    if cluster is not None:
        yield "load balancing", words.balancing(cluster.load_balancing)
        yield "circuit breaker", words.circuit_breaker(cluster.circuit_breaker)
        if cluster.outlier_detection is not None:
            yield "outlier detection", words.outlier_detection(cluster.outlier_detection)
        if cluster.health_check is not None:
            yield "health check", words.health_check(cluster.health_check)
    if sidecar is not None and sidecar.outbound.egress is not None:
        yield "egress", "any host outside of the mesh"


def _access(its: ir.Authorization, conditions: Conditions) -> Iterator[tuple[str, str]]:
    yield "authorization", f"{its.mode.value}, audited only" if its.audit else its.mode.value
    written = (each for each in its.rules if each.at is not None)
    for title, rules in (("allow", written), ("deny", iter(its.deny))):
        for rule in rules:
            yield title, words.joined((_principals(rule), "; ".join(conditions(rule)) or "everything"))


def _principals(rule: ir.AuthorizationRule) -> str:
    named = ["any identity"] if rule.anyone else [each.service for each in rule.principals]
    if rule.unauthenticated:
        named.append("nobody known")
    return ", ".join(named) or "nobody"
