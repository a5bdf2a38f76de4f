"""Balancing: round-robin where the spec is silent; what else it says is asked of the targets."""

from __future__ import annotations

from meshctl import ir
from meshctl.resolve.layers import Layers, said

_NOT_YET = {
    "least-request": ir.Feature.LEAST_REQUEST,
    "random": ir.Feature.RANDOM,
    "ring-hash": ir.Feature.RING_HASH,
}


def load_balancing(layers: Layers) -> ir.LoadBalancing:
    """The policy of a cluster."""
    for written, at in said(layers, "load_balancing", "loadBalancing"):
        return ir.LoadBalancing(
            ir.LoadBalancingPolicy.ROUND_ROBIN, at if written.policy not in _NOT_YET else None
        )
    return ir.LoadBalancing(ir.LoadBalancingPolicy.ROUND_ROBIN)


def asked(layers: Layers) -> tuple[ir.FeatureUse, ...]:
    """A policy that no target has yet."""
    for written, at in said(layers, "load_balancing", "loadBalancing"):
        feature = _NOT_YET.get(written.policy)
        return (ir.FeatureUse(feature, at),) if feature is not None and at is not None else ()
    return ()
