"""Which endpoint of a cluster a request goes to."""

from __future__ import annotations

from meshctl.ir import LoadBalancing, LoadBalancingPolicy
from meshctl.targets.envoy.protobuf import Message


def load_balancing(balancing: LoadBalancing) -> Message:
    """Fields of a Cluster."""
    match balancing.policy:
        case LoadBalancingPolicy.ROUND_ROBIN:
            policy = "ROUND_ROBIN"
        case _:
            policy = "ROUND_ROBIN"
    return {
        "lb_policy": policy,
        "common_lb_config": {
            # Under 50 % healthy Envoy would by default send to all endpoints, the dead ones too.
            "healthy_panic_threshold": {"value": 0},
            # By default changes of health reach the workers up to a second late.
            "update_merge_window": "0s",
        },
    }
