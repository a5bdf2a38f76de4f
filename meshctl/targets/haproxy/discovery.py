"""Server lines. Made here and not in a template: the one loop that grows with the mesh."""

from __future__ import annotations

from meshctl import ir
from meshctl.targets.haproxy import quoting
from meshctl.targets.haproxy.quoting import Token


def servers(cluster: ir.Cluster) -> tuple[Token, ...]:
    """The arguments of a ``server`` line for each endpoint."""
    return tuple(
        Token(f"e{number} {quoting.address(endpoint.socket)} weight {endpoint.weight}")
        for number, endpoint in enumerate(cluster.endpoints, start=1)
    )
