"""Server lines. Made here and not in a template: the one loop that grows with the mesh."""

from __future__ import annotations

from meshctl import ir
from meshctl.targets.haproxy import quoting
from meshctl.targets.haproxy.load_balancing import HEAVIEST
from meshctl.targets.haproxy.quoting import Token


def servers(cluster: ir.Cluster, attempts: int) -> tuple[Token, ...]:
    """The arguments of a ``server`` line for each endpoint.

    HAProxy waits a second before it connects again to the only server there is. Twice in the list,
    the first time with nearly all the weight, a single endpoint is tried again at once.
    """
    if len(cluster.endpoints) == 1 and attempts:
        address = quoting.address(cluster.endpoints[0].socket)
        return (Token(f"e1 {address} weight {HEAVIEST}"), Token(f"e1.again {address} weight 1"))
    return tuple(
        Token(f"e{number} {quoting.address(endpoint.socket)} weight {endpoint.weight}")
        for number, endpoint in enumerate(cluster.endpoints, start=1)
    )
