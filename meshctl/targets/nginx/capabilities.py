"""What NGINX can do of the language, and what not together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meshctl.ir import Feature, RetryCondition, RetryPolicy, Sidecar
from meshctl.targets.base import NOT_YET, TO_DO, Capability, Conflict, Emulated, Native
from meshctl.targets.nginx.retries import MOST_HOP_FAILURES

CAPABILITIES: Mapping[Feature, Capability] = {
    **NOT_YET,
    **TO_DO,
    Feature.STATIC_DISCOVERY: Native(),
    Feature.ENDPOINT_WEIGHTS: Native(),
    Feature.HOST_ROUTING: Native(),
    Feature.PATH_EXACT: Native(),
    Feature.PATH_PREFIX: Native(),
    Feature.METHOD_MATCH: Native(),
    Feature.HEADER_MATCH: Native(),
    Feature.PATH_GATE: Native(),
    Feature.WEIGHTED_SPLITTING: Native(),
    Feature.TIMEOUT: Emulated(
        "while a callee takes a large request body slowly, each gap may last as long as the timeout; where it "
        "takes the body at once, the time is exact over all tries to the end of the response"
    ),
    Feature.CONNECT_TIMEOUT: Native(),
    Feature.IDLE_TIMEOUT: Native(),
    Feature.RETRY_CONNECT_FAILURE: Native(),
    Feature.RETRY_REFUSED_STREAM: Native(),
    Feature.RETRY_GATEWAY_ERROR: Native(),
    Feature.ROUND_ROBIN: Native(),
    Feature.MAX_CONNECTIONS: Emulated("connections that are kept without a request do not count"),
    Feature.MAX_REQUESTS: Native(),
    Feature.MTLS_STRICT: Native(),
    Feature.AUTHORIZATION_DECLARED: Native(),
    Feature.IDENTITY_HEADER: Native(),
    Feature.DEAD_APPLICATION: Native(),
    Feature.ACCESS_LOG: Native(),
    Feature.ADMIN: Native(),
}


def _too_many_retries(sidecar: Sidecar) -> Iterator[RetryPolicy]:
    for host in sidecar.outbound.virtual_hosts:
        for route in host.routes:
            retries = route.retries
            if retries.attempts > MOST_HOP_FAILURES and retries.retries_on(RetryCondition.CONNECT_FAILURE):
                yield retries


CONFLICTS: tuple[Conflict, ...] = (
    Conflict(
        features=(Feature.RETRY_CONNECT_FAILURE,),
        offenders=_too_many_retries,
        why=f"NGINX can send a request to dead applications {MOST_HOP_FAILURES + 1} times at most",
        instead=f"Set attempts to {MOST_HOP_FAILURES} or less.",
    ),
)
