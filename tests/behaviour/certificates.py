"""Certificates from outside the mesh: of a gateway's own site, and of servers that the mesh calls."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

CA, CERTIFICATE, KEY = "public-ca.pem", "site.pem", "site.key"
OTHER_CA = "other-ca.pem"


def write_site(folder: Path, names: list[str]) -> None:
    """A CA, a certificate of it for all ``names`` with its key, and another CA of the same name."""
    now = datetime.now(UTC) - timedelta(minutes=5)
    authority_key, other_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a site")])
    site = (
        _builder(subject, _AUTHORITY, key, now)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    for name, certificate in (
        (CA, _authority(authority_key, now)),
        (OTHER_CA, _authority(other_key, now)),
        (CERTIFICATE, site),
    ):
        (folder / name).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / KEY).write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


_AUTHORITY = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a public CA")])


def _authority(key, now):
    return (
        _builder(_AUTHORITY, _AUTHORITY, key, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )


def _builder(subject, issuer, key, now):
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
    )
