"""TLS that the world sees."""

from __future__ import annotations

from meshctl import ir
from meshctl.targets.nginx import mtls, quoting
from meshctl.targets.nginx.model_outbound import ServerTls


def server_tls(tls: ir.ServerTls | None) -> ServerTls | None:
    """The certificate and the versions; None for plain HTTP."""
    if tls is None:
        return None
    return ServerTls(
        certificate=quoting.file(tls.certificate),
        key=quoting.file(tls.key),
        protocols=mtls.protocols(tls.minimum_version, ir.TlsVersion.V1_3),
    )
