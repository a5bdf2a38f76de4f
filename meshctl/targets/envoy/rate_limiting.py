"""How often the application may be called."""

from __future__ import annotations

from fractions import Fraction

from meshctl.ir import Authorization, RateLimit
from meshctl.ir.mesh import IDENTITY_HEADER
from meshctl.targets.envoy import authorization as rules
from meshctl.targets.envoy import status_match
from meshctl.targets.envoy.matching import HeaderTable
from meshctl.targets.envoy.protobuf import Message, duration, fraction, typed

_CALLER = "caller"
_MOST_CALLERS = 100_000
"""Buckets that are kept; over it the one that was not asked for longest is forgotten."""


def http_filters(
    limit: RateLimit | None,
    authorization: Authorization,
    anyone: Message,
    headers: HeaderTable,
    *,
    told: bool,
) -> list[Message]:
    """They stand behind the authorization, and where the identity header is already the sidecar's own.

    Where no identity is ``told`` all callers have one bucket together.
    """
    if limit is None:
        return []
    name, config = "rate-limit", _config(limit, by_caller=limit.by_caller and told)
    exemption, key = rules.exemption(authorization, anyone, headers)
    if not exemption:
        return [{"name": name, "typed_config": config}]
    return [*exemption, status_match.skipping(name, _said(key), config)]


def _config(limit: RateLimit, *, by_caller: bool) -> Message:
    retry_after = {"key": "retry-after", "value": str(limit.retry_after)}
    everything = {"default_value": fraction(Fraction(1))}
    config = typed(
        "filters.http.local_ratelimit.v3.LocalRateLimit",
        stat_prefix="rate_limit",
        status={"code": "TooManyRequests"},
        # Both are none by default: nothing would be limited.
        filter_enabled=everything,
        filter_enforced=everything,
        response_headers_to_add=[
            {"header": retry_after, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"},
        ],
        local_rate_limit_per_downstream_connection=False,
        enable_x_ratelimit_headers="OFF",
        rate_limited_as_resource_exhausted=False,
    )
    if not by_caller:
        return config | {"token_bucket": _bucket(limit)}
    identity = {"header_name": IDENTITY_HEADER, "descriptor_key": _CALLER}
    return config | {
        "rate_limits": [{"actions": [{"request_headers": identity}]}],
        "descriptors": [{"entries": [{"key": _CALLER}], "token_bucket": _bucket(limit)}],
        "max_dynamic_descriptors": _MOST_CALLERS,
        "always_consume_default_token_bucket": False,
    }


def _bucket(limit: RateLimit) -> Message:
    return {
        "max_tokens": limit.burst,
        "tokens_per_fill": limit.requests,
        "fill_interval": duration(limit.per),
    }


def _said(key: str) -> Message:
    """A predicate: the request is exempt."""
    read = typed(
        "matching.common_inputs.network.v3.DynamicMetadataInput", filter=rules.METADATA, path=[{"key": key}]
    )
    allowed = typed(
        "matching.input_matchers.metadata.v3.Metadata", value={"string_match": {"exact": "allowed"}}
    )
    return {
        "single_predicate": {
            "input": {"name": "exempt", "typed_config": read},
            "custom_match": {"name": "exempt", "typed_config": allowed},
        }
    }
