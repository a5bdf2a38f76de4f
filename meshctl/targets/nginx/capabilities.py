"""What NGINX can do of the language, and what not together."""

from __future__ import annotations

from collections.abc import Mapping

from meshctl.ir import Feature, RetryCondition, Sidecar
from meshctl.targets.base import Capability, Conflict, Native
from meshctl.targets.nginx.retries import MOST_HOP_FAILURES

CAPABILITIES: Mapping[Feature, Capability] = {feature: Native() for feature in Feature}


def _tries_too_often(sidecar: Sidecar) -> bool:
    return any(
        route.retries.attempts > MOST_HOP_FAILURES
        and route.retries.retries_on(RetryCondition.CONNECT_FAILURE)
        for host in sidecar.outbound.virtual_hosts
        for route in host.routes
    )


CONFLICTS: tuple[Conflict, ...] = (
    Conflict(
        features=(Feature.RETRY_CONNECT_FAILURE,),
        applies=_tries_too_often,
        why=f"NGINX can send a request to dead applications {MOST_HOP_FAILURES + 1} times at most",
        instead=f"Set attempts to {MOST_HOP_FAILURES} or less.",
    ),
)
