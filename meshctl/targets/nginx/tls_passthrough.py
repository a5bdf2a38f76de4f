"""TLS that the application speaks with its destination itself: a stream reads the server name, and changes nothing.

Limits and times are a destination's, and NGINX has them for each server, so each destination has an inner one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from meshctl import ir
from meshctl.targets.nginx import quoting, timeouts
from meshctl.targets.nginx.model import PassedName, SniListener
from meshctl.targets.nginx.quoting import Token


def sockets(listeners: Iterable[ir.TcpListener]) -> dict[str, Token]:
    """Where each destination's inner server listens, by the cluster's name."""
    reached = dict.fromkeys(route.cluster for listener in listeners for route in listener.sni)
    return {name: Token(f"unix:../run/passed_{number}.sock") for number, name in enumerate(reached, start=1)}


def listener(
    number: int, written: ir.TcpListener, clusters: Mapping[str, ir.Cluster], inner: Mapping[str, Token]
) -> SniListener:
    """One local port, and where each server name leads. NGINX compares them without case."""
    longest = max(clusters[route.cluster].idle_timeout for route in written.sni)
    return SniListener(
        listens=tuple(quoting.address(bind) for bind in written.binds),
        variable=quoting.variable("passed", number),
        unknown=quoting.variable("unknown", number),
        names=tuple(
            PassedName(quoting.map_key(name), inner[route.cluster])
            for route in written.sni
            for name in route.hostnames
        ),
        idle_timeout=quoting.duration(timeouts.outlasting(longest)),
    )
