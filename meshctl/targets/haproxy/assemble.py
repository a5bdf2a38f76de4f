"""A sidecar as HAProxy's file: which feature contributes what, and in which order."""

from __future__ import annotations

from collections.abc import Iterator

from meshctl import ir
from meshctl.targets.haproxy import (
    access_logs,
    authorization,
    backends,
    circuit_breaking,
    egress,
    fault_injection,
    gateways,
    jwt,
    mirroring,
    mtls,
    outlier_detection,
    quoting,
    rate_limiting,
    retries,
    routing,
    splitting,
    tables,
    tcp,
    timeouts,
    tracing,
)
from meshctl.targets.haproxy.admin import admin
from meshctl.targets.haproxy.grpc import shapes_answers
from meshctl.targets.haproxy.health import health
from meshctl.targets.haproxy.http2 import multiplexes
from meshctl.targets.haproxy.metrics import metrics
from meshctl.targets.haproxy.model import Configuration, HostRule, Inbound, Outbound
from meshctl.targets.haproxy.quoting import Token


def assemble(sidecar: ir.Sidecar) -> Configuration:
    """The whole file of one sidecar."""
    clusters = {cluster.name: cluster for cluster in sidecar.clusters}
    asked = splitting.Backends(clusters, backends.socket(sidecar, "mirrors"))
    files: dict[str, bytes] = {}
    listeners = tuple(_listeners(sidecar, asked, files))
    made = backends.backends(sidecar, asked)
    inbound = _inbound(sidecar, sidecar.inbound) if sidecar.inbound else None
    doorway = mtls.doorway(sidecar.inbound) if sidecar.inbound else None
    files.update(jwt.files(sidecar.inbound.authorization) if sidecar.inbound else {})
    streams = sidecar.inbound is not None and sidecar.inbound.protocol is ir.Protocol.TCP
    return Configuration(
        node=quoting.word(sidecar.service),
        description=quoting.word(sidecar.build),
        tls=mtls.tls(sidecar.tls),
        subject=mtls.subject(sidecar.identity),
        names_one=mtls.names_one(sidecar.inbound, sidecar.identity),
        idle_timeout=quoting.duration(sidecar.outbound.idle_timeout),
        admin=admin(sidecar),
        health=health(sidecar),
        metrics=metrics(sidecar),
        tracing=tracing.sampling(sidecar.tracing),
        kept=access_logs.kept(sidecar.access_log),
        silence=access_logs.silence(sidecar.access_log),
        unanswered=backends.socket(sidecar, "unanswered"),
        listeners=listeners,
        backends=made,
        files=files,
        multiplexes=multiplexes(sidecar),
        reads_tokens=inbound is not None and bool(inbound.issuers),
        challenges=inbound is not None and inbound.challenge is not None,
        streams=tuple(tcp.listeners(sidecar)),
        resolvers=egress.resolvers(sidecar),
        checks=tuple(backends.checks(sidecar)),
        queues=tuple(backends.queues(sidecar, asked)),
        mirrors=asked.mirrors if any(each.copies for each in asked.policies()) else None,
        counts=any(each.tries.counted.named for each in made if each.tries.counted),
        notes=any(hop.late for each in made for hop in each.hops),
        scripts=tuple(scripts(sidecar)),
        inbound=None if streams else inbound,
        inbound_streams=inbound if streams else None,
        takes_plaintext=bool(inbound and inbound.plain_binds),
        doorway=doorway,
        has_streams=bool(sidecar.tcp or streams or doorway),
    )


def scripts(sidecar: ir.Sidecar) -> Iterator[Token]:
    """What takes some Lua."""
    hosts = [host for each in (sidecar.outbound, *sidecar.locals) for host in routing.hosts(each)]
    routes = [route for host in hosts for route in host.routes]
    if any(retries.pauses(route.retries) for route in routes):
        yield Token(retries.SCRIPT)
    if any(fault_injection.delays(route) for route in routes):
        yield Token(fault_injection.SCRIPT)
    if circuit_breaking.bounds_retries(sidecar):
        yield Token(circuit_breaking.SCRIPT)
    if any(route.mirrors for route in routes):
        yield Token(mirroring.SCRIPT)
    if any(outlier_detection.observes(cluster) for cluster in sidecar.clusters):
        yield Token(outlier_detection.SCRIPT)
    if sidecar.inbound and sidecar.inbound.rate_limit:
        yield Token(rate_limiting.SCRIPT)


def _listeners(sidecar: ir.Sidecar, asked: splitting.Backends, files: dict[str, bytes]) -> Iterator[Outbound]:
    """The one for all callees, then those of local ports; destinations are numbered through."""
    numbered = 0
    for number, listener in enumerate((sidecar.outbound, *sidecar.locals)):
        name = quoting.name(f"local:{listener.virtual_hosts[0].service}" if number else "outbound")
        hosts = routing.hosts(listener)
        found = routing.destinations(hosts, numbered)
        numbered += len(found)
        targets = tuple(splitting.target(target, route, listener, asked) for target, route in found.values())
        in_tables = routing.in_tables(hosts)
        made = (
            tables.tables(name, in_tables, routing.targets_of(hosts, found), targets) if in_tables else None
        )
        files.update(made.files if made else {})
        yield Outbound(
            name=name,
            binds=tuple(Token(bind + gateways.options(listener)) for bind in quoting.binds(listener.binds)),
            domain_suffix=quoting.word(f".{listener.domain}") if listener.domain else None,
            idle_timeout=quoting.duration(listener.idle_timeout),
            access_log=access_logs.access_log(sidecar, access_logs.Direction.OUTBOUND),
            grpc=shapes_answers(listener),
            hosts=tuple(routing.host_rules(hosts)),
            egress=HostRule(quoting.string(routing.EGRESS), None) if listener.egress else None,
            lookup=made.lookup if made else None,
            rules=tuple(routing.rules(hosts, found, in_tables)),
            targets=targets,
            spelled_out=tuple(each for each in targets if not (made and each.is_plain)),
        )


def _inbound(sidecar: ir.Sidecar, inbound: ir.InboundListener) -> Inbound:
    tls_binds, plain_binds = mtls.binds(inbound)
    takes_plaintext = inbound.mtls is not ir.MtlsMode.STRICT
    limit = inbound.rate_limit
    return Inbound(
        binds=tls_binds,
        plain_binds=plain_binds,
        application=quoting.address(inbound.application),
        multiplexed=inbound.protocol.multiplexed,
        grpc=inbound.protocol is ir.Protocol.GRPC,
        upstream=quoting.string(str(inbound.application)),
        access=authorization.access(
            inbound.authorization, limited=bool(limit), takes_plaintext=takes_plaintext
        ),
        issuers=jwt.issuers(inbound.authorization),
        challenge=jwt.challenge(sidecar.service) if inbound.authorization.challenges else None,
        rate_limit=rate_limiting.rate_limit(limit, takes_plaintext=takes_plaintext) if limit else None,
        identity_prefix=authorization.identity_prefix(sidecar.identity),
        connect_timeout=quoting.duration(inbound.connect_timeout),
        idle_timeout=quoting.duration(inbound.idle_timeout),
        pool_timeout=timeouts.pool_timeout(inbound.idle_timeout),
        access_log=access_logs.access_log(sidecar, access_logs.Direction.INBOUND),
        stream_log=access_logs.stream_log(sidecar, access_logs.Direction.INBOUND),
    )
