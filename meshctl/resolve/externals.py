"""Externals: hosts outside the mesh as callees. Each host that can be looked up is a cluster of its own.

Clusters: `name` where there is one; else `name.host` for each exact host, and `name` for all wildcards.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from msgspec import structs

from meshctl import ir
from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Position
from meshctl.ir.egress import SYSTEM_AUTHORITIES
from meshctl.resolve import (
    circuit_breaking,
    discovery,
    health_checks,
    hostnames,
    load_balancing,
    outlier_detection,
    routing,
    timeouts,
)
from meshctl.resolve.layers import Layers, call_layer, callee_layers, particular
from meshctl.resolve.splitting import cluster_name
from meshctl.spec import Source, Spec
from meshctl.spec.externals import ExternalSpec

REFRESH = timedelta(seconds=30)
"""How long the addresses of a name are good."""

HTTPS = 443
_PASSED_THROUGH = "tls"


def protocol(external: ExternalSpec) -> ir.Protocol:
    """What the external speaks."""
    return ir.Protocol.TCP if external.protocol in ("tcp", _PASSED_THROUGH) else ir.Protocol.HTTP


def passes_through(external: ExternalSpec) -> bool:
    """Whether the application speaks TLS with it, and the sidecar only reads for whom."""
    return external.protocol == _PASSED_THROUGH


def is_passed_through(spec: Spec, name: str) -> bool:
    """Whether ``name`` is an external of that kind."""
    external = (spec.written.externals or {}).get(name)
    return external is not None and passes_through(external)


def only_host(external: ExternalSpec) -> str:
    """The host, where there is exactly one and no wildcard; else empty."""
    hosts = set(external.hosts or ())
    host = hosts.pop() if len(hosts) == 1 else ""
    return "" if host.startswith(routing.WILDCARD) else host


def looked_up(external: ExternalSpec) -> bool:
    """Whether DNS is asked for its addresses."""
    return not external.endpoints


def virtual_hosts(spec: Spec, name: str, layers: Layers) -> tuple[ir.VirtualHost, ...]:
    """Its hosts, those that share a cluster together. None for TCP."""
    external = (spec.written.externals or {})[name]
    source = spec.source["externals"][name]
    if protocol(external) is ir.Protocol.TCP:
        return ()
    return tuple(
        structs.replace(host, asks=tuple(_asks(external, source, host.hostnames)))
        for part, hosts in _parts(external).items()
        for host in routing.RouteTable(
            name, hosts, None, source, target=cluster_name(name, part)
        ).virtual_hosts("", lambda _: layers)
    )


def sni_routes(external: ExternalSpec, name: str, at: Position | None) -> Iterator[ir.SniRoute]:
    """Its hosts by their clusters, for an application that speaks TLS with it."""
    for part, hosts in _parts(external).items():
        yield ir.SniRoute(hosts, name, cluster_name(name, part), at)


def _asks(external: ExternalSpec, source: Source, hosts: tuple[str, ...]) -> Iterator[ir.FeatureUse]:
    if source.here is not None:
        yield ir.FeatureUse(ir.Feature.EXTERNALS, source.here)
    for index, host in enumerate(external.hosts or ()):
        at = source["hosts"].at(index)
        if host in hosts and host.startswith(routing.WILDCARD) and at is not None:
            yield ir.FeatureUse(ir.Feature.WILDCARD_HOSTS, at)
            if looked_up(external):
                yield ir.FeatureUse(ir.Feature.WILDCARD_EXTERNALS, at)


def _parts(external: ExternalSpec) -> dict[str, tuple[str, ...]]:
    """The hosts behind each of its clusters, by the cluster's part."""
    hosts = sorted(set(external.hosts or ()))
    if len(hosts) == 1 or (not looked_up(external) and _one_name(external)):
        return {"": tuple(hosts)}
    wild = tuple(each for each in hosts if each.startswith(routing.WILDCARD))
    parts: dict[str, tuple[str, ...]] = {each: (each,) for each in hosts if each not in wild}
    return parts | {"": wild} if wild else parts


def _one_name(external: ExternalSpec) -> bool:
    """Whether all hosts are shown the same name in TLS, or none."""
    return external.tls is None or external.tls.sni is not None


def cluster(spec: Spec, name: str, part: str, layers: Layers) -> ir.Cluster:
    """The addresses behind a part of an external, as the caller with these ``layers`` reaches them."""
    external = (spec.written.externals or {})[name]
    source = spec.source["externals"][name]
    (host, *_) = _parts(external)[part]
    speaks = protocol(external)
    followed = "" if host.startswith(routing.WILDCARD) else host
    known = bool(followed) or not looked_up(external)
    kinds = health_checks.kinds(speaks, outside=True)
    return ir.Cluster(
        name=cluster_name(name, part),
        identity=None,
        endpoints=tuple(
            ir.Endpoint(ir.SocketAddress(each.address, each.port or external.port), 1)
            for each in external.endpoints or ()
        ),
        connect_timeout=timeouts.connect_timeout(layers),
        idle_timeout=timeouts.idle_timeout(layers),
        load_balancing=load_balancing.load_balancing(layers, stream=speaks is ir.Protocol.TCP),
        circuit_breaker=circuit_breaking.circuit_breaker(layers),
        outlier_detection=outlier_detection.outlier_detection(layers) if known else None,
        health_check=health_checks.health_check(layers, _asked(external, part), kinds) if known else None,
        protocol=speaks,
        origin=ir.Origin(_tls(external, source, followed)),
        dns=ir.DnsName(followed, external.port, REFRESH) if looked_up(external) else None,
        asks=(
            *timeouts.asked(layers),
            *discovery.asked_ipv6([each.address for each in external.endpoints or ()], source),
        ),
    )


def _asked(external: ExternalSpec, part: str) -> str:
    """The Host of a health check: nobody is named by a wildcard."""
    hosts = _parts(external)[part]
    shown = external.tls.sni if external.tls is not None else None
    exact = (each for each in hosts if not each.startswith(routing.WILDCARD))
    return next(exact, shown or hosts[0].removeprefix(routing.WILDCARD))


def _tls(external: ExternalSpec, source: Source, host: str) -> ir.OriginTls | None:
    written = external.tls
    if written is None:
        return None
    return ir.OriginTls(
        server_name=written.sni or host,
        authorities=SYSTEM_AUTHORITIES if written.ca in (None, "system") else written.ca,
        minimum_version=ir.TlsVersion(written.min_version or ir.TlsVersion.V1_2),
        at=source.at("tls"),
    )


def check(spec: Spec) -> Iterator[Finding]:
    """Faults that externals have by themselves, and names that are not theirs to take."""
    for name, external in (spec.written.externals or {}).items():
        source = spec.source["externals"][name]
        if not external.hosts:
            yield finding("missing-key", source.here, f"`{name}` has no `hosts`")
        yield from discovery.check(external.endpoints, external.port, source)
        yield from _check_hosts(spec, name, external, source)
        yield from _check_tls(name, external, source)
        yield from _check_followed(name, external, callee_layers(spec, name))
    yield from _check_calls(spec)


def _check_hosts(spec: Spec, name: str, external: ExternalSpec, source: Source) -> Iterator[Finding]:
    for index, host in enumerate(external.hosts or ()):
        at = source["hosts"].at(index)
        if host in (external.hosts or ())[:index]:
            twice = source["hosts"].part(index)
            yield finding("repeated-item", at, f"`{host}` is here twice", remove=twice)
        if host in (spec.written.services or {}):
            yield finding("hostname-clash", at, f"`{host}` is the name of a service")
        elif hostnames.within(host, spec.written.mesh.domain):
            message = f"`{host}` is in the mesh's own domain, where only services have names"
            yield finding("hostname-clash", at, message)
    if external.protocol == "tcp" and external.hosts and not only_host(external):
        message = f"`{name}` speaks TCP, where no request says which of several hosts is meant"
        yield finding(
            "not-exactly-one", source.at("hosts"), message, fix="Write one host, without a wildcard."
        )


def _check_tls(name: str, external: ExternalSpec, source: Source) -> Iterator[Finding]:
    if passes_through(external):
        yield from _check_passed(name, external, source)
        return
    if external.tls is None:
        if external.port == HTTPS:
            yield finding(
                "plain-on-tls-port", source.at("port"), f"`{name}` is asked in plain text on port {HTTPS}"
            )
        return
    wild = any(host.startswith(routing.WILDCARD) for host in external.hosts or ())
    if wild and external.endpoints and external.tls.sni is None:
        yield finding(
            "missing-key",
            source.at("tls"),
            f"the endpoints of `{name}` stand for any host, so `tls` must say whose certificate they show",
            fix="Write `sni`, or leave `endpoints` out so that each host is looked up.",
        )


def _check_followed(name: str, external: ExternalSpec, layers: Layers) -> Iterator[Finding]:
    """What speaks of endpoints, where each host is looked up as it is asked for."""
    wild = [host for host in external.hosts or () if host.startswith(routing.WILDCARD)]
    if not looked_up(external) or len(wild) < len(external.hosts or ()):
        return
    for layer in particular(layers):
        for field, key in (("health_check", "healthCheck"), ("outlier_detection", "outlierDetection")):
            if field in layer.says:
                message = (
                    f"the hosts of `{name}` are looked up as they are asked for, so no endpoint is known"
                )
                idle = layer.source.part(key)
                yield finding("ineffective-setting", layer.source.at(key), message, remove=idle)


def _check_passed(name: str, external: ExternalSpec, source: Source) -> Iterator[Finding]:
    """TLS that the application speaks itself."""
    if external.tls is not None:
        message = (
            f"with `protocol: tls` the application speaks TLS with `{name}`, and the sidecar passes it on"
        )
        fix = "Remove `tls`, or write `protocol: http` to let the sidecar speak TLS."
        yield finding("not-exactly-one", source.at("tls"), message, fix=fix)
    wild = next((each for each in external.hosts or () if each.startswith(routing.WILDCARD)), None)
    if wild is not None and looked_up(external):
        message = f"`{wild}` cannot be looked up, and `{name}` has no `endpoints`"
        fix = "Write `endpoints`, or each host by its name."
        at = source["hosts"].at((external.hosts or []).index(wild))
        yield finding("missing-key", at, message, fix=fix)


def _check_calls(spec: Spec) -> Iterator[Finding]:
    """Hosts that lead one caller to two externals, and local ports for more than one host."""
    others = spec.written.externals or {}
    for caller, service in (spec.written.services or {}).items():
        first_of: dict[tuple[str, int], str] = {}
        for callee, call in (service.calls or {}).items():
            if callee not in others:
                continue
            source = spec.source["services"][caller]["calls"][callee]
            yield from _check_followed(callee, others[callee], call_layer(spec, caller, callee))
            told = protocol(others[callee]) is ir.Protocol.TCP
            if call.local_port and not only_host(others[callee]) and not told:
                yield finding(
                    "not-exactly-one",
                    source.at("localPort"),
                    f"`{callee}` has several hosts, and a local port stands for one",
                    fix="Give this host an external of its own.",
                )
            # A connection that is passed through comes by its port too, a request by its Host alone.
            port = (call.local_port or 0) if passes_through(others[callee]) else 0
            for host in others[callee].hosts or ():
                first = first_of.setdefault((host, port), callee)
                if first != callee:
                    message = f"`{host}` would lead `{caller}` to `{first}` and to `{callee}`"
                    yield finding("hostname-clash", source.here, message)
