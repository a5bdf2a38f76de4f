"""HTTP/2: with callees and the application by NGINX's module for gRPC, with callers on the port of HTTP/1.1.

NGINX 1.22 takes one of the two protocols on a plain port, so there a stream looks at the first bytes (``http2.js``)
and hands the connection to one of two inner listeners.
"""

from __future__ import annotations

from meshctl import ir
from meshctl.targets.nginx import quoting
from meshctl.targets.nginx.model_outbound import Preread
from meshctl.targets.nginx.quoting import Token


def module(protocol: ir.Protocol) -> Token:
    """What the directives begin with that send requests on; also the scheme without TLS, but for ``http``."""
    return Token("grpc" if protocol.multiplexed else "proxy")


def scheme(protocol: ir.Protocol) -> Token:
    """How the application is spoken to."""
    return Token("grpc" if protocol.multiplexed else "http")


def preread(number: int, listener: ir.OutboundListener) -> Preread | None:
    """None where the listener takes one protocol, or TLS tells which."""
    if not listener.http2 or listener.tls is not None:
        return None
    return Preread(
        number=number,
        listens=tuple(quoting.address(bind) for bind in listener.binds),
        http1=Token(f"unix:../run/http1_{number}.sock"),
        http2=Token(f"unix:../run/http2_{number}.sock"),
        idle_timeout=quoting.duration(listener.idle_timeout),
    )
