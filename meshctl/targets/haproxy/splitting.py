"""How the requests of one route are shared out, and the backends that this takes.

Policies of HAProxy belong to a backend, so there is one for each cluster under each policy that a
route has for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import accumulate

from msgspec import Struct, field
from msgspec.structs import replace

from meshctl import ir
from meshctl.targets.haproxy import circuit_breaking, fault_injection, filters, mirroring, quoting, retries
from meshctl.targets.haproxy.grpc import shapes_answers
from meshctl.targets.haproxy.model import RouteTarget, Share
from meshctl.targets.haproxy.quoting import Token
from meshctl.targets.haproxy.sections import Copy


class Policy(Struct, frozen=True):
    """What HAProxy keeps with a backend and not with a route.

    ``written`` stands beside the timeout because its place takes no part in its equality.
    """

    timeout: ir.Timeout
    written: bool
    per_try_timeout: timedelta
    body_timeout: timedelta
    streaming: bool
    attempts: int
    causes: tuple[str, ...]
    needs_an_answer: bool
    counted: ir.RetryPolicy | None
    """Set where tries go through a section for each endpoint."""
    paced: bool
    queued: bool
    copies: tuple[Copy, ...]
    is_copy: bool
    delayed: ir.Fault | None
    marks_answers: bool


class Backends(Struct):
    """The backends that routes asked for so far, by cluster and policy, in the order of asking.

    ``mirrors`` is where copies of requests are sent.
    """

    clusters: Mapping[str, ir.Cluster]
    mirrors: Token
    by_cluster: dict[str, dict[Policy, Token]] = field(default_factory=dict)

    def policies(self) -> Iterator[Policy]:
        """All of them, of whichever cluster."""
        for names in self.by_cluster.values():
            yield from names

    def name(self, cluster: str, policy: Policy) -> Token:
        """The backend for a cluster under a policy."""
        names = self.by_cluster.setdefault(cluster, {})
        return names.setdefault(policy, quoting.name(f"{cluster}:{len(names) + 1}"))


def target(
    number: int,
    route: ir.Route,
    listener: ir.OutboundListener,
    backends: Backends,
) -> RouteTarget:
    """The shares of one route, as bounds of a number that is drawn once for all tries."""
    bounds = list(accumulate(backend.weight for backend in route.backends))
    single = len(route.backends) <= 1
    copies = tuple(_copies(route, backends)) if route.backends else ()
    return RouteTarget(
        number=number,
        name=route.name,
        route=quoting.string(route.name),
        range=None if single else bounds[-1],
        shares=tuple(
            Share(
                backends.name(backend.cluster, _marking(policy, listener)), None if single else bound, methods
            )
            for backend, bound in zip(route.backends, bounds, strict=True)
            for methods, policy in _policies(route, backends.clusters[backend.cluster], copies)
        ),
        actions=(*fault_injection.actions(route), *filters.actions(route, listener)),
    )


def _copies(route: ir.Route, backends: Backends) -> Iterator[Copy]:
    made = mirroring.of_copies(route)
    for mirror in route.mirrors:
        cluster = backends.clusters[mirror.cluster]
        policy = replace(_policy(made, cluster, (), idempotent=False), is_copy=True)
        backend = backends.name(mirror.cluster, policy)
        yield mirroring.copy(
            mirror, backend, backends.mirrors, route.timeout.duration or cluster.idle_timeout
        )


def _policies(
    route: ir.Route, cluster: ir.Cluster, copies: tuple[Copy, ...]
) -> Iterator[tuple[Token | None, Policy]]:
    """For some methods, and for all others."""
    if retries.needs_method_split(route.retries, cluster):
        methods = quoting.words(route.retries.idempotent_methods)
        yield methods, _policy(route, cluster, copies, idempotent=True)
    yield None, _policy(route, cluster, copies, idempotent=False)


def _policy(route: ir.Route, cluster: ir.Cluster, copies: tuple[Copy, ...], *, idempotent: bool) -> Policy:
    causes = retries.causes(route.retries, cluster, idempotent=idempotent)
    return Policy(
        timeout=route.timeout,
        written=route.timeout.written,
        per_try_timeout=route.retries.per_try_timeout.duration,
        body_timeout=route.body_timeout.duration,
        streaming=route.streaming,
        attempts=route.retries.attempts if causes else 0,
        causes=causes,
        needs_an_answer=retries.needs_an_answer(route.retries),
        counted=route.retries if retries.needs_sections(route.retries, cluster) else None,
        paced=retries.needs_counting(route.retries, cluster),
        queued=circuit_breaking.queues(cluster),
        copies=copies,
        is_copy=False,
        delayed=route.fault if fault_injection.delays(route) else None,
        marks_answers=filters.changes_answers(route),
    )


def _marking(policy: Policy, listener: ir.OutboundListener) -> Policy:
    """Where clients of gRPC come in it must be known who gave an answer."""
    return replace(policy, marks_answers=True) if shapes_answers(listener) else policy
