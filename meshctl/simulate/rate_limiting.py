"""How often a service may be called."""

from __future__ import annotations

from collections.abc import Iterator

from meshctl.ir import RateLimit, duration_text
from meshctl.simulate.steps import Step, Topic


def told(limit: RateLimit | None) -> Iterator[Step]:
    """The bucket that a request takes from, where there is one."""
    if limit is not None:
        whose = "for each caller" if limit.by_caller else "for all callers together"
        text = f"{limit.requests} in {duration_text(limit.per)} {whose}, {limit.burst} at once; over that 429"
        yield Step(Topic.RATE_LIMIT, text, limit.at)
