"""The facts about a mesh, from its resolved model and the words of its spec."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta

from meshctl import ir
from meshctl.lint import collect_loads, collect_routes, collect_rules, collect_services
from meshctl.lint.facts import CallFacts, ExternalFacts, MeshFacts, World
from meshctl.spec import Source, Spec
from meshctl.spec.externals import ExternalSpec

Hosts = Mapping[str, tuple[ir.VirtualHost, ...]]
"""The virtual hosts of each caller."""

Places = Mapping[str, Source]


def collect(mesh: ir.Mesh, spec: Spec, today: date) -> World:
    """Everything that the rules can ask about ``mesh``, which is what ``spec`` resolved to."""
    sidecars = {each.service: each for each in mesh.sidecars}
    hosts = {name: each.outbound.virtual_hosts for name, each in sidecars.items()}
    clusters = {name: {one.name: one for one in each.clusters} for name, each in sidecars.items()}
    places = _places(spec)
    calls = (*_calls(hosts, clusters, places), *_streams(mesh, clusters, places))
    calls = tuple(collect_loads.loaded(calls, sidecars, clusters, spec))
    return World(
        mesh=_mesh(mesh, spec),
        services=collect_services.services(sidecars, hosts, calls, spec, today),
        routes=collect_routes.routes(sidecars, clusters, places, spec),
        calls=calls,
        matches=collect_routes.matches(hosts, places, _entrances(sidecars)),
        externals=tuple(_externals(calls, spec)),
        rules=tuple(collect_rules.rules(sidecars, spec)),
    )


def _entrances(sidecars: Mapping[str, ir.Sidecar]) -> dict[str, str]:
    """Scheme and port of each gateway."""
    return {
        name: f"{'https' if each.outbound.tls is not None else 'http'} {each.outbound.bind.port}"
        for name, each in sidecars.items()
        if each.is_gateway
    }


def _mesh(mesh: ir.Mesh, spec: Spec) -> MeshFacts:
    written = spec.written
    tracing = next((each.tracing for each in mesh.sidecars), None)
    return MeshFacts(
        name=mesh.name,
        domain=mesh.domain,
        trust_domain=mesh.trust_domain,
        services=len(written.services or {}),
        proxies=tuple(sorted({each.proxy.value for each in mesh.sidecars})),
        gateways=tuple(sorted(written.gateways or ())),
        egress=written.mesh.egress or "deny",
        metrics=written.mesh.metrics is not None,
        tracing=tracing is not None,
        sampling=int(100 * tracing.sampling) if tracing is not None else 0,
        unused_issuers=_unused_issuers(mesh, spec),
        certificate_lifetime=mesh.certificates.lifetime,
        renew_before=mesh.certificates.renew_before,
        source=spec.source["mesh"],
    )


def _unused_issuers(mesh: ir.Mesh, spec: Spec) -> tuple[str, ...]:
    written = spec.written.mesh.jwt.issuers if spec.written.mesh.jwt is not None else {}
    inbound = (each.inbound for each in mesh.sidecars if each.inbound is not None)
    used = {issuer.name for each in inbound for issuer in each.authorization.issuers}
    return tuple(sorted(written.keys() - used))


def _places(spec: Spec) -> Places:
    """Where each service, external and gateway is written; they share one namespace."""
    written = spec.written
    return {
        name: spec.source[section][name]
        for section, defined in (
            ("services", written.services),
            ("externals", written.externals),
            ("gateways", written.gateways),
        )
        for name in defined or ()
    }


def _externals(calls: Iterable[CallFacts], spec: Spec) -> Iterator[ExternalFacts]:
    callers: dict[str, list[str]] = {}
    for each in calls:
        callers.setdefault(each.callee, []).append(each.caller)
    for name, external in (spec.written.externals or {}).items():
        yield ExternalFacts(
            name=name,
            owner=external.owner or "",
            labels=dict(external.labels or {}),
            hosts=tuple(external.hosts or ()),
            protocol=external.protocol or "http",
            tls=external.tls is not None,
            server_name=_other_name(external),
            callers=tuple(sorted(callers.get(name, ()))),
            source=spec.source["externals"][name],
        )


def _other_name(external: ExternalSpec) -> str:
    name = (external.tls.sni if external.tls is not None else None) or ""
    hosts = external.hosts or []
    named = name in hosts or any(each.startswith("*") and name.endswith(each[1:]) for each in hosts)
    return "" if named else name


def _calls(hosts: Hosts, clusters: collect_routes.Clusters, places: Places) -> Iterator[CallFacts]:
    routes: dict[tuple[str, str], list[ir.Route]] = {}
    declared: dict[tuple[str, str], str] = {}
    for caller, seen in hosts.items():
        for host in seen:
            for route in host.routes:
                for callee in collect_routes.callees(route):
                    routes.setdefault((caller, callee), []).append(route)
                    # A call of one's own beats one that a route of somebody else leads on to.
                    if host.service == callee or (caller, callee) not in declared:
                        # A gateway's routes are its own: they lead to what it calls itself.
                        declared[caller, callee] = callee if host.service == caller else host.service
    for (caller, callee), leading in sorted(routes.items(), key=lambda each: each[0]):
        source = places[caller]["calls"][declared[caller, callee]]
        yield _call(caller, callee, leading, clusters[caller].get(callee), source)


def _streams(mesh: ir.Mesh, clusters: collect_routes.Clusters, places: Places) -> Iterator[CallFacts]:
    """Calls over TCP."""
    streams = ((each.service, stream) for each in mesh.sidecars for stream in each.tcp)
    pairs = {(caller, callee) for caller, stream in streams for callee in stream.services}
    for caller, callee in sorted(pairs):
        cluster = clusters[caller].get(callee)
        endpoints = len(cluster.endpoints) if cluster is not None else 0
        source = places[caller]["calls"][callee]
        yield CallFacts(caller=caller, callee=callee, protocol="tcp", endpoints=endpoints, source=source)


def _call(
    caller: str, callee: str, routes: list[ir.Route], cluster: ir.Cluster | None, source: Source
) -> CallFacts:
    retries = max((each.retries for each in routes), key=_weight_of_retries)
    timeout = max((each.timeout for each in routes), key=lambda each: patience(each.duration))
    endpoints = len(cluster.endpoints) if cluster is not None else 0
    outliers = cluster.outlier_detection if cluster is not None else None
    return CallFacts(
        caller=caller,
        callee=callee,
        timeout=timeout.duration,
        timeout_written=all(map(collect_routes.is_decided, routes)),
        attempts=retries.attempts,
        retry_on=collect_routes.retry_on(retries),
        endpoints=endpoints,
        outlier_detection=outliers is not None,
        ejectable=outliers.limit(endpoints) if outliers is not None else 0,
        health_check=cluster is not None and cluster.health_check is not None,
        timeout_at=timeout.at,
        retries_at=retries.at,
        source=source,
    )


def _weight_of_retries(policy: ir.RetryPolicy) -> tuple[bool, int]:
    return collect_routes.retries_answers(policy), policy.attempts


def patience(timeout: timedelta) -> timedelta:
    """How long a caller waits at most: for ever where the timeout is switched off."""
    return timeout or timedelta.max
