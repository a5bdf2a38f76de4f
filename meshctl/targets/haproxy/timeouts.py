"""How long a request may take, and the sections that this takes."""

from __future__ import annotations

from datetime import timedelta

from msgspec import Struct

from meshctl import ir
from meshctl.targets.haproxy import outlier_detection, quoting
from meshctl.targets.haproxy.quoting import Token
from meshctl.targets.haproxy.splitting import Policy


class Layer(Struct, frozen=True):
    """A section before the tries. ``timeout`` for what comes back, ``silence`` for what it sends on."""

    name: str
    timeout: Token | None = None
    silence: Token | None = None
    holds_body: bool = False


def layers(policy: Policy) -> tuple[Layer, ...]:
    """The sections before the one that tries, the first that a request meets first."""
    found = []
    if policy.body_timeout:
        # The next section's timer for its client is the only one that looks at an upload's pieces.
        found.append(Layer("upload", silence=quoting.duration(policy.body_timeout)))
    if _needs_deadline(policy):
        found.append(
            Layer("deadline", quoting.duration(policy.timeout.duration), holds_body=not policy.streaming)
        )
    if policy.queued and not found:
        found.append(Layer("entry"))
    return tuple(found)


def _needs_deadline(policy: Policy) -> bool:
    """Whether the time must be kept by a section of its own.

    HAProxy's only timer for a response, ``timeout server``, starts anew with every try and does not
    count connecting. That is near enough for our default and not for what a user wrote, nor where one try
    has a time of its own, pauses, or ends in a silence that a section before it has to turn into an answer.
    """
    asked = (
        policy.written or policy.per_try_timeout or policy.paced or policy.queued or policy.needs_an_answer
    )
    return bool(asked and policy.timeout.duration)


def response_timeout(policy: Policy, cluster: ir.Cluster) -> Token:
    """Silence of a callee that ends a try; switched off, what is left is the idle timeout."""
    whole = policy.timeout.duration
    if _needs_deadline(policy) and outlier_detection.observes(cluster):
        whole = outlier_detection.response_timeout(cluster, whole)
    return quoting.duration(policy.per_try_timeout or whole or cluster.idle_timeout)


def connect_timeout(policy: Policy, cluster: ir.Cluster) -> Token:
    """Connecting is part of a try."""
    bounds = (cluster.connect_timeout, policy.per_try_timeout or cluster.connect_timeout)
    return quoting.duration(min(bounds))


def pool_timeout(idle_timeout: timedelta) -> Token:
    """How often idle connections are thinned out.

    Each time a connection that was not needed since the last time goes. Half the idle timeout, so that
    we let go before the callee's sidecar does and no request meets a connection that is being closed.
    """
    return quoting.duration(idle_timeout / 2)
