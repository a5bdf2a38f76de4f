"""Which endpoint of a cluster a request goes to.

The balancer is in ``mesh.lua`` because NGINX's own cannot try a lone endpoint again, nor prefer an
untried one when weights differ. It is the same algorithm, smooth weighted round robin.
"""

from __future__ import annotations

from meshctl import ir
from meshctl.targets.nginx.quoting import Token, word


def algorithm(load_balancing: ir.LoadBalancing) -> Token:
    """The name of the picking function in ``mesh.lua``."""
    match load_balancing.policy:
        case ir.LoadBalancingPolicy.ROUND_ROBIN:
            return word("round_robin")
        case _:
            return word("round_robin")
