"""How often the application may be asked. The bucket is in ``rate_limiting.lua``.

``limit_req`` knows whole requests a second or a minute only, and counts those that are refused afterwards.
"""

from __future__ import annotations

from meshctl import ir
from meshctl.targets.nginx import quoting
from meshctl.targets.nginx.model import RateLimit


def rate_limit(limit: ir.RateLimit | None, *, kept_apart: bool) -> RateLimit | None:
    """None where the application may be asked as often as anybody likes.

    With ``kept_apart`` callers without a certificate have another bucket than all others.
    """
    if limit is None:
        return None
    return RateLimit(
        requests=limit.requests,
        per=quoting.lua_seconds(limit.per),
        burst=limit.burst,
        by_caller=limit.by_caller or kept_apart,
        retry_after=limit.retry_after,
    )
