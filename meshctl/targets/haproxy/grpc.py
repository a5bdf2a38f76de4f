"""gRPC: answers of our own in its shape, and when a request may go on."""

from __future__ import annotations

from meshctl import ir
from meshctl.targets.haproxy import quoting
from meshctl.targets.haproxy.quoting import Token


def shapes_answers(listener: ir.OutboundListener) -> bool:
    """Whether clients of gRPC can come here."""
    return listener.http2


def whole_body(cluster: ir.Cluster) -> Token:
    """How long a body is waited for that may be sent again, and how much of it.

    The first message of a call is often the only one, and comes with the end of the request. Whether a second one
    follows it cannot be known; and a conversation must not wait for its end.
    """
    time = Token(f"time {quoting.duration(cluster.idle_timeout)}")
    return Token(f"{time} at-least 1") if cluster.protocol is ir.Protocol.GRPC else time
