"""Server lines. Made here and not in a template: the one loop that grows with the mesh."""

from __future__ import annotations

from collections.abc import Sequence

from meshctl import ir
from meshctl.targets.haproxy import egress, health_checks, load_balancing, quoting
from meshctl.targets.haproxy.load_balancing import HEAVIEST
from meshctl.targets.haproxy.quoting import Token


def servers(cluster: ir.Cluster, attempts: int) -> tuple[Token, ...]:
    """A line for each endpoint, or for as many as a name may have."""
    if cluster.dns:
        return egress.servers(cluster.dns)
    return lines(cluster, [quoting.address(endpoint.socket) for endpoint in cluster.endpoints], attempts)


def lines(cluster: ir.Cluster, addresses: Sequence[Token], attempts: int) -> tuple[Token, ...]:
    """The ``server`` lines of a section that chooses among these addresses, one for each endpoint of the cluster.

    The addresses of a name are not known, and there is one for all of them.

    HAProxy waits a second before it connects again to the only server there is. Twice in the list,
    the first time with nearly all the weight, a single endpoint is tried again at once.
    """
    weights = load_balancing.weights(cluster.load_balancing, cluster.endpoints) or [1] * len(addresses)
    options = _options(cluster) or [""] * len(addresses)
    if len(addresses) == 1 and attempts:
        first = f"e1 {addresses[0]} weight {HEAVIEST}{options[0]}"
        # Both would have the one place on the ring.
        again = f"e1.again {addresses[0]} weight 1{options[0].partition(' id ')[0]}"
        return (Token(f"server {first}"), Token(f"server {again}"))
    return tuple(
        Token(f"server e{number} {address} weight {weight}{option}")
        for number, (address, weight, option) in enumerate(zip(addresses, weights, options, strict=True), 1)
    )


def alone(cluster: ir.Cluster) -> tuple[Token, ...]:
    """The lines of sections that have one endpoint each, or all those of a name."""
    if cluster.dns:
        return egress.servers(cluster.dns)
    return tuple(
        Token(f"server e{number} {quoting.address(endpoint.socket)} weight {endpoint.weight}")
        for number, endpoint in enumerate(cluster.endpoints, 1)
    )


def _options(cluster: ir.Cluster) -> list[str]:
    followed = health_checks.section(cluster)
    places = load_balancing.places(cluster.load_balancing, cluster.endpoints)
    return [
        (f" track {followed}/e{number}" if followed else "") + (f" id {place}" if place else "")
        for number, place in enumerate(places, 1)
    ]


def reuse(cluster: ir.Cluster) -> Token:
    """Whose connections a request may take over.

    A server whose name gets another address keeps its connections to the old one, and uses them. And one of HTTP/2
    that is still connecting is shared only by "always": when it fails, all but one take that for a broken answer.
    """
    if cluster.dns and cluster.dns.name:
        return Token("never")
    return Token("aggressive" if cluster.protocol.multiplexed else "always")
