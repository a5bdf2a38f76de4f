"""One workload's identity to its key, certificate chain and trust bundle."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from meshctl.catalogue import finding
from meshctl.diagnostics import FindingsError
from meshctl.ir import WorkloadIdentity
from meshctl.pki import profile
from meshctl.pki.authority import Authority

_BOTH_ENDS = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])


class IssuerEndsFirstError(FindingsError):
    """A certificate would outlive the CA that signs it, so it would fail before its own end."""

    def __init__(self, identity: WorkloadIdentity, not_after: datetime, issuer_end: datetime) -> None:
        message = (
            f"the certificate of `{identity.service}` would end {not_after:%Y-%m-%dT%H:%M:%SZ}, "
            f"after its issuer, which ends {issuer_end:%Y-%m-%dT%H:%M:%SZ}"
        )
        super().__init__([finding("issuer-ends-first", None, message)])


@dataclass(frozen=True, slots=True)
class Issued:
    """What a bundle's ``tls`` folder holds. Times are UTC, in whole seconds."""

    chain_pem: bytes
    """The leaf, then the issuing CA."""
    key_pem: bytes = field(repr=False)
    trust_pem: bytes
    """The root: HAProxy and NGINX refuse chains that end in anything else."""
    not_before: datetime
    not_after: datetime
    serial: int


def issue(authority: Authority, identity: WorkloadIdentity, lifetime: timedelta, now: datetime) -> Issued:
    """A fresh key and its certificate, valid from five minutes before ``now`` to ``now + lifetime``.

    The identity stands in it three times, one to one: the SPIFFE id for Envoy, the whole subject for
    proxies that cannot read a URI SAN, and the DNS name that such a caller verifies. Raises
    IssuerEndsFirstError.
    """
    end = now.replace(microsecond=0) + lifetime
    if end > authority.not_after:
        raise IssuerEndsFirstError(identity, end, authority.not_after)
    key = profile.new_key()
    builder = (
        profile.certificate(
            profile.name(identity.trust_domain, identity.service),
            key.public_key(),
            authority.issuing.subject,
            authority.issuing_key,
            now,
            lifetime,
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(profile.LEAF_USAGE, critical=True)
        .add_extension(_BOTH_ENDS, critical=False)
        .add_extension(_alternative_names(identity), critical=False)
    )
    leaf = profile.sign(builder, authority.issuing_key)
    return Issued(
        chain_pem=profile.pem(leaf) + authority.issuing_pem,
        key_pem=profile.key_pem(key),
        trust_pem=authority.root_pem,
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        serial=leaf.serial_number,
    )


def _alternative_names(identity: WorkloadIdentity) -> x509.SubjectAlternativeName:
    # One URI only: no sidecar lets a caller with two in.
    return x509.SubjectAlternativeName(
        [x509.UniformResourceIdentifier(identity.spiffe_id), *map(x509.DNSName, identity.dns_names)]
    )
