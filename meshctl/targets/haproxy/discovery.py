"""Server lines. Made here and not in a template: the one loop that grows with the mesh."""

from __future__ import annotations

from collections.abc import Sequence

from meshctl import ir
from meshctl.targets.haproxy import egress, quoting
from meshctl.targets.haproxy.load_balancing import HEAVIEST
from meshctl.targets.haproxy.quoting import Token


def servers(cluster: ir.Cluster, attempts: int) -> tuple[Token, ...]:
    """A line for each endpoint, or for as many as a name may have.

    HAProxy waits a second before it connects again to the only server there is. Twice in the list,
    the first time with nearly all the weight, a single endpoint is tried again at once.
    """
    if cluster.dns:
        return egress.servers(cluster.dns)
    sockets = [quoting.address(endpoint.socket) for endpoint in cluster.endpoints]
    return lines(sockets, [endpoint.weight for endpoint in cluster.endpoints], attempts)


def lines(addresses: Sequence[Token], weights: Sequence[int], attempts: int) -> tuple[Token, ...]:
    """The ``server`` lines of these addresses."""
    if len(addresses) == 1 and attempts:
        address = addresses[0]
        return (Token(f"server e1 {address} weight {HEAVIEST}"), Token(f"server e1.again {address} weight 1"))
    return tuple(
        Token(f"server e{number} {address} weight {weight}")
        for number, (address, weight) in enumerate(zip(addresses, weights, strict=True), start=1)
    )


def reuse(cluster: ir.Cluster) -> Token:
    """Whose connections a request may take over.

    A server whose name gets another address keeps its connections to the old one, and uses them.
    """
    return Token("never" if cluster.dns and cluster.dns.name else "always")
