"""What a listener that faces the world serves as TLS."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from meshctl import ir
from meshctl.targets.haproxy import mtls, quoting
from meshctl.targets.haproxy.quoting import Token

_CERTIFICATE, _KEY = "../run/server.pem", "../run/server.pem.key"


def options(listener: ir.OutboundListener) -> Token:
    """What stands behind the address of a ``bind`` line; nothing for a plain listener."""
    if listener.tls is None:
        return Token("")
    minimum = mtls.version(listener.tls.minimum_version)
    certificate = (
        Token(_CERTIFICATE) if _needs_links(listener.tls) else quoting.word(listener.tls.certificate)
    )
    return quoting.statement(
        Token(" ssl crt"),
        certificate,
        Token("verify none alpn h2,http/1.1"),
        Token(f"ssl-min-ver {minimum} ssl-max-ver TLSv1.3 no-tls-tickets"),
    )


def links(listener: ir.OutboundListener) -> Iterator[str]:
    """Lines of ``run``: a key whose name does not fit gets one that does, and so does its certificate."""
    if listener.tls and _needs_links(listener.tls):
        for file, link in ((listener.tls.certificate, _CERTIFICATE), (listener.tls.key, _KEY)):
            yield f"ln -sfn -- {shlex.quote(file)} {link}\n"


def _needs_links(tls: ir.ServerTls) -> bool:
    """HAProxy finds a key inside its certificate's file or beside it, under the same name and ``.key``."""
    return tls.key not in (tls.certificate, f"{tls.certificate}.key")
