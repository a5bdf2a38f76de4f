"""A sidecar as HAProxy's file: which feature contributes what, and in which order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from meshctl import ir
from meshctl.targets.haproxy import (
    access_logs,
    authorization,
    circuit_breaking,
    discovery,
    load_balancing,
    mtls,
    quoting,
    routing,
    splitting,
    timeouts,
)
from meshctl.targets.haproxy.admin import admin
from meshctl.targets.haproxy.model import Backend, Configuration, Deadline, HostRule, Inbound, Outbound, Tries
from meshctl.targets.haproxy.quoting import Token


def assemble(sidecar: ir.Sidecar) -> Configuration:
    """The whole file of one sidecar."""
    asked = splitting.Backends()
    listeners = tuple(_listeners(sidecar, asked))
    return Configuration(
        node=quoting.word(sidecar.service),
        description=quoting.word(sidecar.build),
        tls=mtls.tls(sidecar.tls),
        idle_timeout=quoting.duration(sidecar.outbound.idle_timeout),
        admin=admin(sidecar),
        unanswered=_hop(sidecar, Token("unanswered")),
        listeners=listeners,
        backends=_backends(sidecar, asked),
        inbound=None if sidecar.inbound is None else _inbound(sidecar, sidecar.inbound),
    )


def _listeners(sidecar: ir.Sidecar, asked: splitting.Backends) -> Iterator[Outbound]:
    """The one for all callees, then those of local ports; destinations are numbered through."""
    numbered = 0
    for number, listener in enumerate((sidecar.outbound, *sidecar.locals)):
        hosts = routing.hosts(listener)
        found = routing.destinations(hosts, numbered)
        numbered += len(found)
        yield Outbound(
            name=quoting.name(f"local:{listener.virtual_hosts[0].service}" if number else "outbound"),
            binds=quoting.binds(listener.binds),
            domain_suffix=quoting.word(f".{listener.domain}") if listener.domain else None,
            idle_timeout=quoting.duration(listener.idle_timeout),
            access_log=access_logs.access_log(sidecar, access_logs.Direction.OUTBOUND),
            hosts=tuple(routing.host_rules(hosts)),
            egress=HostRule(quoting.string(routing.EGRESS), None) if listener.egress else None,
            rules=tuple(routing.rules(hosts, "m", found)),
            targets=tuple(
                splitting.target(target, route, listener, asked) for target, route in found.values()
            ),
        )


def _backends(sidecar: ir.Sidecar, asked: splitting.Backends) -> tuple[Backend, ...]:
    clusters = {cluster.name: cluster for cluster in sidecar.clusters}
    return tuple(
        _backend(sidecar, clusters[cluster], policy, name, policies)
        for cluster, policies in asked.by_cluster.items()
        for policy, name in policies.items()
    )


def _backend(
    sidecar: ir.Sidecar,
    cluster: ir.Cluster,
    policy: splitting.Policy,
    name: Token,
    siblings: dict[splitting.Policy, Token],
) -> Backend:
    return Backend(
        name=name,
        inner_name=quoting.name(f"{name}:tries"),
        limit=circuit_breaking.limit(cluster, siblings.values()),
        tries=_tries(cluster, policy),
        deadline=Deadline(quoting.duration(policy.timeout.duration), _hop(sidecar, name))
        if timeouts.needs_deadline(policy.timeout)
        else None,
    )


def _tries(cluster: ir.Cluster, policy: splitting.Policy) -> Tries:
    return Tries(
        attempts=policy.attempts,
        causes=quoting.words(policy.causes or ("none",)),
        connect_timeout=quoting.duration(cluster.connect_timeout),
        response_timeout=timeouts.response_timeout(policy.timeout, cluster),
        idle_timeout=quoting.duration(cluster.idle_timeout),
        pool_timeout=timeouts.pool_timeout(cluster.idle_timeout),
        algorithm=load_balancing.algorithm(cluster.load_balancing),
        server_name=mtls.server_name(cluster),
        server_name_sample=mtls.server_name_sample(cluster),
        servers=discovery.servers(cluster, policy.attempts),
        holds_body=bool(policy.causes),
        marks_answers=policy.marks_answers,
    )


def _hop(sidecar: ir.Sidecar, section: Token) -> Token:
    """The abstract socket between two sections.

    These names are one for the whole host. The listener's address makes them differ between bundles,
    the build between two configurations of one bundle that overlap at a reload.
    """
    who = f"{sidecar.outbound.bind} {sidecar.build} {section}"
    return Token(f"abns@meshctl-{hashlib.sha256(who.encode()).hexdigest()[:24]}")


def _inbound(sidecar: ir.Sidecar, inbound: ir.InboundListener) -> Inbound:
    return Inbound(
        bind=quoting.address(inbound.bind),
        application=quoting.address(inbound.application),
        upstream=quoting.string(str(inbound.application)),
        subject=mtls.subject(sidecar.identity),
        callers=authorization.callers(inbound.authorization),
        identity_prefix=authorization.identity_prefix(sidecar.identity),
        connect_timeout=quoting.duration(inbound.connect_timeout),
        idle_timeout=quoting.duration(inbound.idle_timeout),
        pool_timeout=timeouts.pool_timeout(inbound.idle_timeout),
        access_log=access_logs.access_log(sidecar, access_logs.Direction.INBOUND),
    )
