"""How long a request may take."""

from __future__ import annotations

from datetime import timedelta

from meshctl import ir
from meshctl.targets.haproxy import quoting
from meshctl.targets.haproxy.quoting import Token


def needs_deadline(timeout: ir.Timeout) -> bool:
    """Whether the time must be kept by a section of its own.

    HAProxy's only timer for a response, ``timeout server``, starts anew with every try and does not
    count connecting. That is near enough for our default and not for what a user wrote.
    """
    return timeout.written and bool(timeout.duration)


def response_timeout(timeout: ir.Timeout, cluster: ir.Cluster) -> Token:
    """Silence of a callee that ends a try; switched off, what is left is the idle timeout."""
    return quoting.duration(timeout.duration or cluster.idle_timeout)


def pool_timeout(idle_timeout: timedelta) -> Token:
    """How often idle connections are thinned out.

    Each time a connection that was not needed since the last time goes. Half the idle timeout, so that
    we let go before the callee's sidecar does and no request meets a connection that is being closed.
    """
    return quoting.duration(idle_timeout / 2)
