"""Balancing: round-robin where the spec is silent, and it cannot say anything else yet."""

from __future__ import annotations

from meshctl import ir


def load_balancing() -> ir.LoadBalancing:
    """The policy of a cluster."""
    return ir.LoadBalancing(ir.LoadBalancingPolicy.ROUND_ROBIN)
