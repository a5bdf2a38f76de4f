"""Versions and names of the hop."""

from __future__ import annotations

from meshctl import ir
from meshctl.ir import TlsVersion
from meshctl.targets.nginx import quoting
from meshctl.targets.nginx.model import Tls
from meshctl.targets.nginx.quoting import Token

_PROTOCOLS = {TlsVersion.V1_2: "TLSv1.2", TlsVersion.V1_3: "TLSv1.3"}


def tls(context: ir.TlsContext) -> Tls:
    """The protocols that may be negotiated, for both directions."""
    versions = list(TlsVersion)
    chosen = versions[versions.index(context.minimum_version) : versions.index(context.maximum_version) + 1]
    return Tls(Token(" ".join(_PROTOCOLS[version] for version in chosen)))


def server_name(identity: ir.WorkloadIdentity) -> Token:
    """What a caller sends as SNI and verifies: NGINX can check a DNS name, not a SPIFFE id."""
    return quoting.name(identity.dns_name)


def subject(identity: ir.WorkloadIdentity) -> Token:
    """The whole subject of a name in the trust domain; its CN is captured, in lower case only.

    Whole and with case: the map behind it, which knows the callers, compares without.
    """
    organization = quoting.literal_regex(identity.trust_domain)
    return quoting.map_regex(rf"^CN=(?<subject_cn>[a-z0-9-]+),O={organization}\z")
