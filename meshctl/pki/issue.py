"""One workload's identity to its key, certificate chain and trust bundle."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from meshctl.catalogue import finding
from meshctl.diagnostics import FindingsError
from meshctl.ir import WorkloadIdentity
from meshctl.pki import profile
from meshctl.pki.authority import Authority


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
    """The root, in a rotation both: HAProxy and NGINX refuse chains that end in anything else."""
    not_before: datetime
    not_after: datetime
    serial: int


def issue(authority: Authority, identity: WorkloadIdentity, lifetime: timedelta, now: datetime) -> Issued:
    """A fresh key and its certificate, valid from five minutes before ``now`` to ``now + lifetime``.

    The identity stands in it three times, one to one: the SPIFFE id for Envoy, the whole subject for
    proxies that cannot read a URI SAN, and the DNS name that such a caller verifies. Raises
    IssuerEndsFirstError.
    """
    key = profile.new_key()
    leaf = certify(authority, identity, key.public_key(), lifetime, now)
    return Issued(
        chain_pem=profile.pem(leaf) + authority.issuing_pem,
        key_pem=profile.key_pem(key),
        trust_pem=authority.trust_pem,
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        serial=leaf.serial_number,
    )


def certify(
    authority: Authority,
    identity: WorkloadIdentity,
    key: ec.EllipticCurvePublicKey,
    lifetime: timedelta,
    now: datetime,
) -> x509.Certificate:
    """The certificate of whoever holds a key, as :func:`issue` says. Raises IssuerEndsFirstError."""
    end = now.replace(microsecond=0) + lifetime
    if end > authority.not_after:
        raise IssuerEndsFirstError(identity, end, authority.not_after)
    builder = (
        profile.certificate(
            profile.name(identity.trust_domain, identity.service),
            key,
            authority.issuing.subject,
            authority.issuing_key,
            now,
            lifetime,
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(profile.LEAF_USAGE, critical=True)
        .add_extension(profile.BOTH_ENDS, critical=False)
        .add_extension(profile.alternative_names(identity), critical=False)
    )
    return profile.sign(builder, authority.issuing_key)
