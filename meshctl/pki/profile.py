"""What all certificates of a mesh share, built in one place.

The profile is RFC 5280's as far as ``openssl verify -x509_strict`` checks it, and the X.509-SVID of
SPIFFE: P-256 everywhere, because Envoy fails handshakes with Ed25519 and P-384 leaves.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TypeGuard

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from meshctl.ir import WorkloadIdentity

BACKDATED = timedelta(minutes=5)
"""How far a certificate starts before its issuing, for hosts whose clocks are behind."""

_NO_USAGE = {
    "digital_signature": False,
    "content_commitment": False,
    "key_encipherment": False,
    "data_encipherment": False,
    "key_agreement": False,
    "key_cert_sign": False,
    "crl_sign": False,
    "encipher_only": False,
    "decipher_only": False,
}
CA_USAGE = x509.KeyUsage(**{**_NO_USAGE, "key_cert_sign": True, "crl_sign": True})
LEAF_USAGE = x509.KeyUsage(**{**_NO_USAGE, "digital_signature": True})
BOTH_ENDS = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])


def new_key() -> ec.EllipticCurvePrivateKey:
    """A fresh P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def name(organization: str, common: str) -> x509.Name:
    """A subject: O first, then CN. Both hold at most 64 characters (RFC 5280, appendix A)."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def alternative_names(identity: WorkloadIdentity) -> x509.SubjectAlternativeName:
    """The names of a leaf beside its subject. One URI only: no sidecar lets a caller with two in."""
    return x509.SubjectAlternativeName(
        [x509.UniformResourceIdentifier(identity.spiffe_id), *map(x509.DNSName, identity.dns_names)]
    )


def key_identifier(key: ec.EllipticCurvePublicKey) -> x509.SubjectKeyIdentifier:
    """The SHA-1 of the public key's bits (RFC 5280, 4.2.1.2, method 1)."""
    return x509.SubjectKeyIdentifier.from_public_key(key)


def certificate(
    subject: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    now: datetime,
    lifetime: timedelta,
) -> x509.CertificateBuilder:
    """A certificate that lacks only what tells a CA from a leaf; signed by :func:`sign`.

    Valid from ``BACKDATED`` before ``now`` until ``now + lifetime``, in whole seconds.
    """
    moment = now.replace(microsecond=0)
    authority = key_identifier(issuer_key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())  # 159 random bits
        .not_valid_before(moment - BACKDATED)
        .not_valid_after(moment + lifetime)
        .add_extension(key_identifier(key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority), critical=False
        )
    )


def sign(builder: x509.CertificateBuilder, issuer_key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """The certificate, signed with ECDSA and SHA-256."""
    return builder.sign(issuer_key, hashes.SHA256())


def pem(certificate: x509.Certificate) -> bytes:
    """A certificate as PEM text."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def is_usable(key: object) -> TypeGuard[ec.EllipticCurvePublicKey]:
    """Whether a public key is of the one kind that every pair of proxies shakes hands with."""
    return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)


def is_key(key: object) -> TypeGuard[ec.EllipticCurvePrivateKey]:
    """Whether a private key is of that kind."""
    return isinstance(key, ec.EllipticCurvePrivateKey) and is_usable(key.public_key())


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as unencrypted PKCS#8 PEM: the one form that all three proxies read."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
