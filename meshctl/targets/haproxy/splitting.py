"""How the requests of one route are shared out, and the backends that this takes.

Policies of HAProxy belong to a backend, so there is one for each cluster under each policy that a
route has for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate

from meshctl import ir
from meshctl.targets.haproxy import filters, quoting, retries
from meshctl.targets.haproxy.model import RouteTarget, Share
from meshctl.targets.haproxy.quoting import Token


@dataclass(frozen=True, slots=True)
class Policy:
    """What HAProxy keeps with a backend and not with a route.

    ``written`` stands beside the timeout because its place takes no part in its equality.
    """

    timeout: ir.Timeout
    written: bool
    attempts: int
    causes: tuple[str, ...]
    marks_answers: bool


@dataclass(slots=True)
class Backends:
    """The backends that routes asked for so far, by cluster and policy, in the order of asking."""

    by_cluster: dict[str, dict[Policy, Token]] = field(default_factory=dict)

    def name(self, cluster: str, policy: Policy) -> Token:
        """The backend for a cluster under a policy."""
        names = self.by_cluster.setdefault(cluster, {})
        return names.setdefault(policy, quoting.name(f"{cluster}:{len(names) + 1}"))


def target(number: int, route: ir.Route, listener: ir.OutboundListener, backends: Backends) -> RouteTarget:
    """The shares of one route, as bounds of a number that is drawn once for all tries."""
    bounds = list(accumulate(backend.weight for backend in route.backends))
    single = len(route.backends) <= 1
    return RouteTarget(
        number=number,
        route=quoting.string(route.name),
        range=None if single else bounds[-1],
        shares=tuple(
            share
            for backend, bound in zip(route.backends, bounds, strict=True)
            for share in _shares(backend.cluster, None if single else bound, route, backends)
        ),
        actions=filters.actions(route, listener),
    )


def _shares(cluster: str, below: int | None, route: ir.Route, backends: Backends) -> list[Share]:
    shares = []
    if retries.needs_method_split(route.retries):
        methods = quoting.words(route.retries.idempotent_methods)
        name = backends.name(cluster, _policy(route, idempotent=True))
        shares.append(Share(name, below, methods))
    name = backends.name(cluster, _policy(route, idempotent=False))
    return [*shares, Share(name, below, None)]


def _policy(route: ir.Route, *, idempotent: bool) -> Policy:
    causes = retries.causes(route.retries, idempotent=idempotent)
    attempts = route.retries.attempts if causes else 0
    return Policy(route.timeout, route.timeout.written, attempts, causes, filters.changes_answers(route))
