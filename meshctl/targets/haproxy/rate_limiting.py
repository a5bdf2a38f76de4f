"""How often the application may be called, see ``rate_limits.lua``.

HAProxy's own counters would do it in two steps, reading and writing, between which another thread reads.
"""

from __future__ import annotations

from datetime import timedelta

from meshctl import ir
from meshctl.targets.haproxy.model import RateLimit
from meshctl.targets.haproxy.quoting import Token

SCRIPT = "rate_limits.lua"

_CALLER = "sess.subject"
"""The whole identity, or one word for all who have none."""


_PLAINTEXT = "sess.plaintext"
"""Something where the caller has no certificate, and nothing where he has."""


def rate_limit(limit: ir.RateLimit, *, takes_plaintext: bool) -> RateLimit:
    """The sample that takes a token, and what is told to whom there is none for."""
    period = limit.per // timedelta(microseconds=1)
    key = f",{_CALLER}" if limit.by_caller else f",{_PLAINTEXT}" if takes_plaintext else ""
    return RateLimit(Token(f"lua.admitted({limit.requests},{period},{limit.burst}{key})"), limit.retry_after)
