"""The sections behind a route: one for each cluster under each policy, in layers where a policy needs them.

From the request's side: one that notices an upload that stands still, one that keeps the time of all tries
together, one that tries again, one for each endpoint that counts. What no field asks for is left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import partial

from meshctl import ir
from meshctl.ir.mesh import HOP_STATUS
from meshctl.targets.haproxy import (
    circuit_breaking,
    discovery,
    egress,
    failover,
    fault_injection,
    health_checks,
    load_balancing,
    mtls,
    outlier_detection,
    quoting,
    retries,
    splitting,
    timeouts,
)
from meshctl.targets.haproxy.grpc import whole_body
from meshctl.targets.haproxy.quoting import Token
from meshctl.targets.haproxy.sections import Attempt, Backend, Checks, Counted, Entry, Hop, Queue, Tries
from meshctl.targets.haproxy.splitting import Policy


def backends(sidecar: ir.Sidecar, asked: splitting.Backends) -> tuple[Backend, ...]:
    """Everything that the routes asked for."""
    clusters = {cluster.name: cluster for cluster in sidecar.clusters}
    return tuple(
        _backend(sidecar, clusters[cluster], policy, name, policies)
        for cluster, policies in asked.by_cluster.items()
        for policy, name in policies.items()
    )


def checks(sidecar: ir.Sidecar) -> Iterator[Checks]:
    """For each cluster whose endpoints are asked how they are."""
    for cluster in sidecar.clusters:
        name, check = health_checks.section(cluster), health_checks.check(cluster)
        if name and check and cluster.health_check:
            connecting = min(cluster.connect_timeout, cluster.health_check.timeout)
            yield Checks(
                name,
                check,
                quoting.duration(connecting),
                transport(cluster, sidecar),
                discovery.alone(cluster),
            )


def queues(sidecar: ir.Sidecar, asked: splitting.Backends) -> Iterator[Queue]:
    """For each cluster whose requests may wait for a connection."""
    for cluster in sidecar.clusters:
        if cluster.name in asked.by_cluster and circuit_breaking.queues(cluster):
            pool = timeouts.pool_timeout(cluster.idle_timeout)
            yield circuit_breaking.queue(cluster, partial(socket, sidecar), pool)


def socket(sidecar: ir.Sidecar, section: str) -> Token:
    """The abstract socket between two sections.

    These names are one for the whole host; the listener's address makes them differ between bundles. A worker
    that has handed its listeners over, these too, asks the next one for what is left to do on its connections.
    """
    who = f"{sidecar.outbound.bind} {section}"
    return Token(f"abns@meshctl-{hashlib.sha256(who.encode()).hexdigest()[:24]}")


def transport(cluster: ir.Cluster, sidecar: ir.Sidecar) -> Token:
    """How a server of the cluster is spoken to."""
    return mtls.transport(cluster, sidecar.tls) if cluster.identity else egress.transport(cluster)


def _backend(
    sidecar: ir.Sidecar, cluster: ir.Cluster, policy: Policy, name: Token, siblings: Mapping[Policy, Token]
) -> Backend:
    idle = quoting.duration(cluster.idle_timeout)
    hops, heading, entry = _hops(sidecar, cluster, policy, siblings)
    return Backend(
        name=name,
        in_mesh=cluster.identity is not None,
        has_ipv6=bool(cluster.dns) or any(":" in each.socket.address for each in cluster.endpoints),
        reuse=discovery.reuse(cluster),
        delay=fault_injection.delay(policy.delayed) if policy.delayed else None,
        limit=circuit_breaking.limit(cluster, siblings.values()),
        key=load_balancing.key(cluster.load_balancing),
        follows_source=load_balancing.follows_source(cluster.load_balancing),
        answer_within=quoting.duration(policy.timeout.duration) if _is_short_copy(policy) else None,
        is_watched=egress.looked_up(cluster)
        or cluster.health_check is not None
        or outlier_detection.observes(cluster),
        check=health_checks.check(cluster) if cluster.dns else None,
        hops=hops,
        tries=_tries(sidecar, cluster, policy, siblings, heading, entry),
        preparations=egress.preparations(cluster),
        transport=transport(cluster, sidecar),
        idle_timeout=idle,
        multiplexed=cluster.protocol.multiplexed,
        renews=cluster.identity is not None and egress.looked_up(cluster),
        whole_body=whole_body(cluster),
        pool_timeout=timeouts.pool_timeout(cluster.idle_timeout),
        marks_answers=policy.marks_answers,
    )


def _hops(
    sidecar: ir.Sidecar, cluster: ir.Cluster, policy: Policy, siblings: Mapping[Policy, Token]
) -> tuple[tuple[Hop, ...], Token, Entry | None]:
    """The sections before the one that tries, and how that begins."""
    idle = quoting.duration(cluster.idle_timeout)
    layers, name = timeouts.layers(policy), siblings[policy]
    hops, heading, entry = [], Token(f"backend {name}"), None
    for number, layer in enumerate(layers, start=1):
        last = number == len(layers)
        below = "tries" if last else layers[number].name
        queued = last and policy.queued
        leads_to = socket(sidecar, name if last else f"{name}:{below}")
        if queued:
            leads_to = socket(sidecar, f"{cluster.name}:queue")
        its_name = quoting.name(f"{name}:{below}")
        hops.append(
            Hop(
                heading,
                entry,
                layer.holds_body,
                layer.timeout or idle,
                leads_to,
                beyond=its_name if queued else None,
                copies=policy.copies if layer.holds_body else (),
                late=_late(cluster, siblings) if layer.timeout else None,
            )
        )
        heading = Token(f"{'backend' if queued else 'listen'} {its_name}")
        entry = Entry(None if queued else leads_to, layer.silence or idle)
    return tuple(hops), heading, entry


def _tries(
    sidecar: ir.Sidecar,
    cluster: ir.Cluster,
    policy: Policy,
    siblings: Mapping[Policy, Token],
    heading: Token,
    entry: Entry | None,
) -> Tries:
    name = siblings[policy]
    counted = _counted(sidecar, cluster, policy, siblings) if policy.counted else None
    if counted:
        spoken = " proto h2" if cluster.protocol.multiplexed else ""
        sockets = [Token(f"{each.bind}{spoken}") for each in counted.attempts]
        lines = discovery.lines(cluster, sockets, policy.attempts)
    else:
        lines = discovery.servers(cluster, policy.attempts)
    servers, levels = failover.split(cluster, lines, name, partial(socket, sidecar))
    held_before = any(layer.holds_body for layer in timeouts.layers(policy))
    return Tries(
        heading=heading,
        entry=entry,
        attempts=policy.attempts,
        causes=quoting.words(policy.causes or ("none",)),
        connect_timeout=timeouts.connect_timeout(policy, cluster),
        response_timeout=timeouts.response_timeout(policy, cluster),
        algorithm=load_balancing.algorithm(cluster.load_balancing),
        servers=servers,
        levels=levels,
        fails_over=failover.levels(cluster) > 1,
        copies=() if held_before else policy.copies,
        holds_body=bool(policy.causes or policy.body_timeout or policy.copies) and not policy.streaming,
        retries_timeouts=retries.TIMED_OUT in policy.causes,
        counted=counted,
    )


def _counted(
    sidecar: ir.Sidecar, cluster: ir.Cluster, policy: Policy, siblings: Mapping[Policy, Token]
) -> Counted | None:
    if policy.counted is None:
        return None
    in_mesh = cluster.identity is not None
    outcomes = retries.outcomes(policy.counted, in_mesh=in_mesh)
    own = set() if in_mesh else {HOP_STATUS}
    keeps_time = any(layer.timeout for layer in timeouts.layers(policy))
    named_before = keeps_time and _late(cluster, siblings) is not None
    return Counted(
        attempts=tuple(_attempts(sidecar, cluster, siblings[policy])),
        any_method=policy.counted.non_idempotent,
        idempotent=quoting.word_lists(policy.counted.idempotent_methods),
        outcomes=outcomes,
        statuses=tuple(sorted(own | {outcome.status for outcome in outcomes})),
        named=policy.paced or named_before,
        named_before=named_before,
        pauses=retries.pauses(policy.counted),
        bound=retries.bound(policy.counted, cluster),
        observed=outlier_detection.observation(cluster, _choosing(cluster, siblings)),
    )


def _attempts(sidecar: ir.Sidecar, cluster: ir.Cluster, name: Token) -> Iterator[Attempt]:
    """A section for each endpoint; a name's addresses are not known, and share one."""
    for number, line in enumerate(discovery.alone(cluster), start=1):
        its_name = quoting.name(f"{name}:e{number}")
        yield Attempt(number, its_name, socket(sidecar, its_name), (line,))


def _is_short_copy(policy: Policy) -> bool:
    return policy.is_copy and bool(policy.timeout.duration)


def _late(cluster: ir.Cluster, siblings: Mapping[Policy, Token]) -> Token | None:
    return outlier_detection.late(cluster, _choosing(cluster, siblings))


def _choosing(cluster: ir.Cluster, siblings: Mapping[Policy, Token]) -> Iterator[Token]:
    """The sections that choose among the endpoints of a cluster."""
    for policy, name in siblings.items():
        if cluster.dns:
            yield quoting.name(f"{name}:e1")
        else:
            yield quoting.name(f"{name}:tries") if timeouts.layers(policy) else name
            yield from (quoting.name(f"{name}:p{each}") for each in range(1, failover.levels(cluster) - 1))
