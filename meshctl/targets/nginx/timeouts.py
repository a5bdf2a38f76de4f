"""How long a request may take.

The clock starts when NGINX has the whole request (it buffers bodies, or it could not try again) and runs
over all tries: each gets what is left. Up to the response's head that is exact and costs nothing, so
our default has it too. What a written timeout adds is the bound of the body, see ``mesh.lua``; with the
default alone a body may go on as long as no gap in it is longer than the timeout.
"""

from __future__ import annotations

from datetime import timedelta

from meshctl import ir
from meshctl.targets.nginx import quoting
from meshctl.targets.nginx.quoting import Token


def total(timeout: ir.Timeout, cluster: ir.Cluster) -> timedelta:
    """The longest gap that NGINX's own timers allow; switched off, that is the idle timeout."""
    return timeout.duration or cluster.idle_timeout


def bounds_body(timeout: ir.Timeout) -> bool:
    """Whether the response is cut at the end of the time although it still flows."""
    return timeout.written and bool(timeout.duration)


LATE = timedelta(milliseconds=300)
"""A timer that is pushed back by less keeps its time in NGINX, and would end an upload early."""


def body(timeout: ir.BodyTimeout) -> Token | None:
    """How long an upload may stand still; None where the listener's idle timeout is the only bound."""
    return quoting.duration(timeout.duration + LATE) if timeout.duration else None


OUTLAST = timedelta(seconds=1)
"""How much longer a listener keeps an idle connection than its callers do."""


def outlasting(idle_timeout: timedelta) -> timedelta:
    """The idle timeout of a listener: the caller closes first, so that no request meets a closed connection."""
    return idle_timeout + OUTLAST
