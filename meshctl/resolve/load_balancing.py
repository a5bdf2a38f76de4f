"""Balancing: round-robin where the spec is silent; a ring needs a key, and nothing else has one."""

from __future__ import annotations

from meshctl import ir
from meshctl.diagnostics import Position
from meshctl.resolve.layers import Layers, said
from meshctl.spec.load_balancing import LoadBalancingSpec


def load_balancing(layers: Layers) -> ir.LoadBalancing:
    """The policy of a cluster: the most particular layer's as a whole."""
    for written, at in said(layers, "load_balancing", "loadBalancing"):
        return ir.LoadBalancing(ir.LoadBalancingPolicy(written.policy), _hash_on(written, at), at)
    return ir.LoadBalancing(ir.LoadBalancingPolicy.ROUND_ROBIN)


def _hash_on(written: LoadBalancingSpec, at: Position | None) -> ir.HashOn | None:
    keys = written.hash_on
    if keys is None or written.policy != "ring-hash":
        return None
    if keys.header is not None:
        return ir.HashOn(ir.HashKey.HEADER, keys.header.lower(), at)
    if keys.cookie is not None:
        return ir.HashOn(ir.HashKey.COOKIE, keys.cookie, at)
    return ir.HashOn(ir.HashKey.SOURCE_ADDRESS, "", at)
