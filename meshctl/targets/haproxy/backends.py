"""The sections behind a route: one for each cluster under each policy, in layers where a policy needs them.

From the request's side: one that notices an upload that stands still, one that keeps the time of all tries
together, one that tries again, one for each endpoint that counts. What no field asks for is left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from meshctl import ir
from meshctl.ir.mesh import HOP_STATUS
from meshctl.targets.haproxy import (
    circuit_breaking,
    discovery,
    egress,
    fault_injection,
    load_balancing,
    mtls,
    quoting,
    retries,
    splitting,
    timeouts,
)
from meshctl.targets.haproxy.grpc import whole_body
from meshctl.targets.haproxy.quoting import Token
from meshctl.targets.haproxy.sections import Attempt, Backend, Counted, Entry, Hop, Tries
from meshctl.targets.haproxy.splitting import Policy


def backends(sidecar: ir.Sidecar, asked: splitting.Backends) -> tuple[Backend, ...]:
    """Everything that the routes asked for."""
    clusters = {cluster.name: cluster for cluster in sidecar.clusters}
    return tuple(
        _backend(sidecar, clusters[cluster], policy, name, policies.values())
        for cluster, policies in asked.by_cluster.items()
        for policy, name in policies.items()
    )


def socket(sidecar: ir.Sidecar, section: str) -> Token:
    """The abstract socket between two sections.

    These names are one for the whole host. The listener's address makes them differ between bundles,
    the build between two configurations of one bundle that overlap at a reload.
    """
    who = f"{sidecar.outbound.bind} {sidecar.build} {section}"
    return Token(f"abns@meshctl-{hashlib.sha256(who.encode()).hexdigest()[:24]}")


def transport(cluster: ir.Cluster, sidecar: ir.Sidecar) -> Token:
    """How a server of the cluster is spoken to."""
    return mtls.transport(cluster, sidecar.tls) if cluster.identity else egress.transport(cluster)


def _backend(
    sidecar: ir.Sidecar, cluster: ir.Cluster, policy: Policy, name: Token, siblings: Iterable[Token]
) -> Backend:
    idle = quoting.duration(cluster.idle_timeout)
    layers = timeouts.layers(policy)
    hops, heading, entry = [], Token(f"backend {name}"), None
    for number, layer in enumerate(layers, start=1):
        below = "tries" if number == len(layers) else layers[number].name
        leads_to = socket(sidecar, name if below == "tries" else f"{name}:{below}")
        hops.append(Hop(heading, entry, layer.holds_body, layer.timeout or idle, leads_to))
        heading = Token(f"listen {quoting.name(f'{name}:{below}')}")
        entry = Entry(leads_to, layer.silence or idle)
    return Backend(
        name=name,
        in_mesh=cluster.identity is not None,
        has_ipv6=bool(cluster.dns) or any(":" in each.socket.address for each in cluster.endpoints),
        reuse=discovery.reuse(cluster),
        delay=fault_injection.delay(policy.delayed) if policy.delayed else None,
        limit=circuit_breaking.limit(cluster, siblings),
        hops=tuple(hops),
        tries=_tries(sidecar, cluster, policy, name, heading, entry),
        preparations=egress.preparations(cluster),
        transport=transport(cluster, sidecar),
        idle_timeout=idle,
        multiplexed=cluster.protocol.multiplexed,
        whole_body=whole_body(cluster),
        pool_timeout=timeouts.pool_timeout(cluster.idle_timeout),
        marks_answers=policy.marks_answers,
    )


def _tries(
    sidecar: ir.Sidecar, cluster: ir.Cluster, policy: Policy, name: Token, heading: Token, entry: Entry | None
) -> Tries:
    counted = _counted(sidecar, cluster, policy.counted, name) if policy.counted else None
    if counted:
        weights = [endpoint.weight for endpoint in cluster.endpoints] or [1]
        servers = discovery.lines([each.bind for each in counted.attempts], weights, policy.attempts)
    else:
        servers = discovery.servers(cluster, policy.attempts)
    return Tries(
        heading=heading,
        entry=entry,
        attempts=policy.attempts,
        causes=quoting.words(policy.causes or ("none",)),
        connect_timeout=timeouts.connect_timeout(policy, cluster),
        response_timeout=timeouts.response_timeout(policy, cluster),
        algorithm=load_balancing.algorithm(cluster.load_balancing),
        servers=servers,
        holds_body=bool(policy.causes or policy.body_timeout) and not policy.streaming,
        retries_timeouts=retries.TIMED_OUT in policy.causes,
        counted=counted,
    )


def _counted(sidecar: ir.Sidecar, cluster: ir.Cluster, policy: ir.RetryPolicy, name: Token) -> Counted:
    in_mesh = cluster.identity is not None
    outcomes = retries.outcomes(policy, in_mesh=in_mesh)
    own = set() if in_mesh else {HOP_STATUS}
    return Counted(
        attempts=tuple(_attempts(sidecar, cluster, name)),
        any_method=policy.non_idempotent,
        idempotent=quoting.word_lists(policy.idempotent_methods),
        outcomes=outcomes,
        statuses=tuple(sorted(own | {outcome.status for outcome in outcomes})),
        pauses=retries.pauses(policy),
        budget=retries.budget(policy, cluster.name),
    )


def _attempts(sidecar: ir.Sidecar, cluster: ir.Cluster, name: Token) -> Iterator[Attempt]:
    """A section for each endpoint; a name's addresses are not known, and share one."""
    servers = [(line,) for line in discovery.servers(cluster, attempts=0)]
    for number, lines in enumerate(servers, start=1):
        its_name = quoting.name(f"{name}:e{number}")
        yield Attempt(its_name, socket(sidecar, its_name), lines)
