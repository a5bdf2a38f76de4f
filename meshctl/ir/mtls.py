"""Who a workload is, and how it proves it."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from msgspec import Struct

from meshctl.diagnostics import Position
from meshctl.ir.features import Feature, needs
from meshctl.ir.written import Written

RESERVED_LABEL = "spiffe"
"""Between a service and its trust domain in the DNS name of an identity."""


class WorkloadIdentity(Struct, frozen=True):
    """One service's name in its forms, all of them in its certificate."""

    service: str
    trust_domain: str
    domain: str

    @property
    def spiffe_id(self) -> str:
        """The URI SAN, exactly one in a certificate."""
        return f"spiffe://{self.trust_domain}/{self.service}"

    @property
    def dns_name(self) -> str:
        """The host by which applications ask for it. Two meshes may have the same ``domain``, so it proves nothing."""
        return f"{self.service}.{self.domain}"

    @property
    def server_name(self) -> str:
        """What a caller sends as SNI, and verifies where it cannot verify the SPIFFE id: one to one with that.

        No mesh has a domain that begins with the label in the middle, so no other identity has this name.
        """
        return f"{self.service}.{RESERVED_LABEL}.{self.trust_domain}"

    @property
    def dns_names(self) -> tuple[str, str]:
        """The DNS SANs, all of them."""
        return (self.dns_name, self.server_name)

    @property
    def distinguished_name(self) -> str:
        """The whole subject in RFC 2253 form, as every proxy prints it. Never compare the CN alone."""
        return f"CN={self.service},O={self.trust_domain}"


class TlsVersion(StrEnum):
    """The versions of TLS that may be negotiated between sidecars."""

    V1_2 = "1.2"
    V1_3 = "1.3"


class MtlsMode(StrEnum):
    """What a sidecar takes from those who call its service.

    STRICT: mutual TLS alone. PERMISSIVE: that, and plaintext on the same port from callers whom nobody knows; the mesh's
    own callers speak mutual TLS. DISABLED: plaintext alone, from the mesh's own callers too.
    """

    STRICT = "strict"
    PERMISSIVE = "permissive"
    DISABLED = "disabled"


class TlsContext(Written, frozen=True):
    """Both directions of a hop: certificates of the mesh's CA are shown and demanded, names verified.

    Files have fixed places in a bundle, see ``meshctl.artifacts``.
    """

    minimum_version: Annotated[TlsVersion, needs(Feature.MTLS_STRICT)]
    maximum_version: TlsVersion = TlsVersion.V1_3
    cipher_suites: Annotated[tuple[str, ...], needs(Feature.CIPHER_SUITES)] = ()
    """OpenSSL's names, for TLS 1.2 only; empty: the safe ones that every proxy has (see docs/wire-contract.md)."""
    crl: Annotated[bool, needs(Feature.REVOCATION)] = False
    """Whether certificates of peers are looked up in the bundle's lists of revoked ones, and none passes without. Never
    for a sidecar that speaks plaintext alone."""
    at: Position | None = None


class ServerTls(Written, frozen=True):
    """TLS that a gateway serves to clients outside the mesh; no client certificate is asked for.

    ``certificate`` (a chain) and ``key`` are PEM files on the host, absolute paths.
    """

    certificate: Annotated[str, needs(Feature.GATEWAY_TLS)]
    key: str
    minimum_version: TlsVersion
    at: Position | None = None


class CertificatePolicy(Struct, frozen=True):
    """How long a leaf lives, and how long before its end it is due for renewal."""

    lifetime: timedelta
    renew_before: timedelta
