"""Versions and names of the hop."""

from __future__ import annotations

from meshctl import ir
from meshctl.ir import TlsVersion
from meshctl.targets import mtls as certificates
from meshctl.targets.nginx import quoting
from meshctl.targets.nginx.model import Doorway, Tls
from meshctl.targets.nginx.quoting import Token

_PROTOCOLS = {TlsVersion.V1_2: "TLSv1.2", TlsVersion.V1_3: "TLSv1.3"}


_CIPHER_SUITES = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
)
"""Of TLS 1.2. Certificates of the mesh are ECDSA's."""


NOBODY = "unauthenticated"
"""In the place of a caller's name, which no service has: the caller has no certificate."""

_SOCKET = "unix:../run/inbound_{}.sock"
_TLS, _HTTP1, _HTTP2, _STREAM = (Token(_SOCKET.format(each)) for each in ("tls", "http1", "http2", "plain"))


def doorway(listener: ir.InboundListener) -> Doorway | None:
    """A stream that looks at the first bytes, where those who come in do not all speak alike.

    NGINX takes TLS, HTTP/1.1 and HTTP/2 without TLS on ports of their own.
    """
    streams = listener.protocol is ir.Protocol.TCP
    if listener.mtls is ir.MtlsMode.STRICT or (streams and listener.mtls is ir.MtlsMode.DISABLED):
        return None
    return Doorway(
        listens=tuple(quoting.address(bind) for bind in listener.binds),
        look=Token("stream" if streams else "requests"),
        idle_timeout=quoting.duration(listener.idle_timeout),
        sockets=((_TLS,) if listener.mtls is ir.MtlsMode.PERMISSIVE else ())
        + ((_STREAM,) if streams else (_HTTP1, _HTTP2)),
    )


def listens(listener: ir.InboundListener) -> tuple[tuple[Token, ...], tuple[Token, ...]]:
    """Where TLS is taken, and where plaintext, with what that is; behind a doorway nobody else comes there."""
    if doorway(listener) is None:
        written = tuple(quoting.address(bind) for bind in listener.binds)
        return ((), written) if listener.mtls is ir.MtlsMode.DISABLED else (written, ())
    tls = (Token(f"{_TLS} proxy_protocol"),) if listener.mtls is ir.MtlsMode.PERMISSIVE else ()
    if listener.protocol is ir.Protocol.TCP:
        return tls, (Token(f"{_STREAM} proxy_protocol"),)
    return tls, (Token(f"{_HTTP1} proxy_protocol"), Token(f"{_HTTP2} http2 proxy_protocol"))


def tls(context: ir.TlsContext) -> Tls:
    """The protocols and suites that may be negotiated, for both directions."""
    suites = context.cipher_suites or _CIPHER_SUITES
    return Tls(
        protocols=protocols(context.minimum_version, context.maximum_version),
        cipher_suites=quoting.word(":".join(suites)),
        crl=context.crl,
    )


def protocols(minimum: TlsVersion, maximum: TlsVersion) -> Token:
    """The versions from ``minimum`` to ``maximum``."""
    versions = list(TlsVersion)
    chosen = versions[versions.index(minimum) : versions.index(maximum) + 1]
    return Token(" ".join(_PROTOCOLS[version] for version in chosen))


def server_name(identity: ir.WorkloadIdentity) -> Token:
    """What a caller sends as SNI and verifies: NGINX can check a DNS name, not a SPIFFE id."""
    return quoting.name(identity.server_name)


def names_one(listener: ir.InboundListener, identity: ir.WorkloadIdentity) -> str | None:
    """The expression for the names in a caller's certificate; None where nobody shows one."""
    shown = listener.mtls is not ir.MtlsMode.DISABLED
    return certificates.names_one(identity) if shown else None


def subject(identity: ir.WorkloadIdentity, before: str = "") -> Token:
    """The whole subject of a name in the trust domain, behind ``before``; its CN is captured, in lower case only.

    Whole and with case: the map behind it, which knows the callers, compares without.
    """
    organization = quoting.literal_regex(identity.trust_domain)
    return quoting.map_regex(rf"^{before}CN=(?<subject_cn>[a-z0-9-]+),O={organization}\z")
