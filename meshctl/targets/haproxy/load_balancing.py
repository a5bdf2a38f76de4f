"""Which server of a section a request goes to."""

from __future__ import annotations

from meshctl import ir
from meshctl.targets.haproxy.quoting import Token

HEAVIEST = 256
"""The largest weight that a server line takes."""


def algorithm(load_balancing: ir.LoadBalancing) -> Token:
    """What stands behind ``balance``."""
    match load_balancing.policy:
        case ir.LoadBalancingPolicy.ROUND_ROBIN:
            return Token("roundrobin")
        case _:
            return Token("roundrobin")
