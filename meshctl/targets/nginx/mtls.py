"""Versions and names of the hop."""

from __future__ import annotations

from meshctl import ir
from meshctl.ir import TlsVersion
from meshctl.targets.nginx import quoting
from meshctl.targets.nginx.model import Tls
from meshctl.targets.nginx.quoting import Token

_PROTOCOLS = {TlsVersion.V1_2: "TLSv1.2", TlsVersion.V1_3: "TLSv1.3"}


_CIPHER_SUITES = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
)
"""Of TLS 1.2. Certificates of the mesh are ECDSA's."""


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
    return quoting.name(identity.dns_name)


def subject(identity: ir.WorkloadIdentity) -> Token:
    """The whole subject of a name in the trust domain; its CN is captured, in lower case only.

    Whole and with case: the map behind it, which knows the callers, compares without.
    """
    organization = quoting.literal_regex(identity.trust_domain)
    return quoting.map_regex(rf"^CN=(?<subject_cn>[a-z0-9-]+),O={organization}\z")
