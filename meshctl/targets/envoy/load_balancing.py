"""Which endpoint of a cluster a request goes to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from meshctl.ir import Cluster, Endpoint, HashKey, HashOn, LoadBalancingPolicy
from meshctl.targets.envoy.protobuf import Message, typed

RING_SIZE = 1024
"""Points on a ring at least, shared out by weight. Envoy makes it larger where there are many endpoints."""

_LARGEST_RING = 8 << 20
_MAGLEV_TABLE = 65_537
_CHOICES = 2
_KEYS = "meshctl.hash."
"""Before the names of what requests are hashed by."""


def load_balancing(cluster: Cluster) -> Message:
    """Fields of a Cluster."""
    return {
        **_policy(cluster),
        "common_lb_config": {
            # Under 50 % healthy Envoy would by default send to all endpoints, the dead ones too.
            "healthy_panic_threshold": {"value": 0},
            # By default changes of health reach the workers up to a second late.
            "update_merge_window": "0s",
        },
    }


def _policy(cluster: Cluster) -> Message:
    match cluster.load_balancing.policy:
        case LoadBalancingPolicy.ROUND_ROBIN:
            return {"lb_policy": "ROUND_ROBIN"}
        case LoadBalancingPolicy.LEAST_REQUEST:
            bias = {"default_value": 1, "runtime_key": "meshctl.least_request.bias"}
            config = {
                "choice_count": _CHOICES,
                "active_request_bias": bias,
            }
            return {"lb_policy": "LEAST_REQUEST", "least_request_lb_config": config}
        case LoadBalancingPolicy.RANDOM if _weighted(cluster.endpoints):
            # RANDOM knows no weights. A table that knows them is drawn from at random where there is no key.
            return {"lb_policy": "MAGLEV", "maglev_lb_config": {"table_size": _MAGLEV_TABLE}}
        case LoadBalancingPolicy.RANDOM:
            return {"lb_policy": "RANDOM"}
        case LoadBalancingPolicy.RING_HASH:
            ring = {
                "minimum_ring_size": RING_SIZE,
                "maximum_ring_size": _LARGEST_RING,
                "hash_function": "XX_HASH",
            }
            return {"lb_policy": "RING_HASH", "ring_hash_lb_config": ring}
        case other:
            assert_never(other)


def _weighted(endpoints: Iterable[Endpoint]) -> bool:
    return len({(each.priority, each.weight) for each in endpoints}) > len(
        {each.priority for each in endpoints}
    )


def hash_policy(cluster: Cluster) -> Message:
    """Fields of HttpProtocolOptions: the key of the cluster's ring, whichever route leads there."""
    key = cluster.load_balancing.hash_on
    return {"hash_policy": [_hashed(key)]} if key else {}


def _hashed(on: HashOn) -> Message:
    match on.key:
        case HashKey.COOKIE:
            # Without a lifetime Envoy sets none of its own.
            return {"cookie": {"name": on.name}}
        case HashKey.HEADER | HashKey.SOURCE_ADDRESS:
            return {"filter_state": {"key": _object_key(on)}}
        case other:
            assert_never(other)


def http_filters(clusters: Iterable[Cluster]) -> list[Message]:
    """What finds the keys of rings that Envoy would take otherwise.

    Its own way hashes all lines of a header, and as the client's address whatever x-forwarded-for says.
    """
    wanted = dict.fromkeys(each.load_balancing.hash_on for each in clusters)
    keys = [on for on in wanted if on is not None and on.key is not HashKey.COOKIE]
    if not keys:
        return []
    states = [
        {
            "object_key": _object_key(on),
            "factory_key": "envoy.hashable_string",
            "skip_if_empty": True,
            "format_string": {
                "omit_empty_values": True,
                "text_format_source": {"inline_string": _source(on)},
            },
        }
        for on in keys
    ]
    config = typed("filters.http.set_filter_state.v3.Config", on_request_headers=states)
    return [{"name": "hash-keys", "typed_config": config}]


def _object_key(on: HashOn) -> str:
    return f"{_KEYS}{on.key.name.lower()}.{on.name}"


def _source(on: HashOn) -> str:
    if on.key is HashKey.HEADER:
        return f"%REQ({on.name})%"
    return "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"
