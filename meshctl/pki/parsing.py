"""Certificates, revocation lists and keys out of bytes that somebody else wrote: read whole at once, or not at all.

``cryptography`` reads most of an object only when it is asked for, and tells what it cannot read by exceptions of seven kinds.
Here all that meshctl asks for later is asked for, and every kind becomes the one that nobody forgets.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

REFUSALS = (
    ValueError,
    TypeError,
    ArithmeticError,
    NotImplementedError,
    InvalidSignature,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises for bytes that it does not like, and for keys and algorithms that it does not have."""


class UnreadableError(ValueError):
    """Bytes that are not what they should be. It never quotes them, for they may be a key."""


def certificate(pem: bytes) -> x509.Certificate:
    """The first certificate in PEM. Raises UnreadableError."""
    with _refused():
        return _whole(x509.load_pem_x509_certificate(pem))


def certificates(pem: bytes) -> tuple[x509.Certificate, ...]:
    """Every certificate in PEM, at least one. Raises UnreadableError."""
    with _refused():
        return tuple(_whole(each) for each in x509.load_pem_x509_certificates(pem))


def shown_certificate(der: bytes) -> x509.Certificate:
    """A certificate in DER, as a handshake shows it. Raises UnreadableError."""
    with _refused():
        return _whole(x509.load_der_x509_certificate(der))


def revocation_list(pem: bytes) -> x509.CertificateRevocationList:
    """The first revocation list in PEM. Raises UnreadableError."""
    with _refused():
        found = x509.load_pem_x509_crl(pem)
        _ = found.issuer, found.extensions, found.last_update_utc, found.next_update_utc
        return found


def private_key(pem: bytes) -> PrivateKeyTypes:
    """A key in PEM without a passphrase. Raises UnreadableError."""
    with _refused():
        return serialization.load_pem_private_key(pem, password=None)


def has_key(found: x509.Certificate, key: object) -> bool:
    """Whether a certificate is for this public key; one whose key cannot be read is not."""
    try:
        return found.public_key() == key
    except REFUSALS:
        return False


def is_signed(found: x509.Certificate | x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    """Whether this CA signed it; a kind of key or signature that nobody knows has signed nothing."""
    try:
        if isinstance(found, x509.Certificate):
            found.verify_directly_issued_by(issuer)
            return True
        return found.issuer == issuer.subject and found.is_signature_valid(issuer.public_key())  # type: ignore[arg-type] # others raise TypeError
    except REFUSALS:
        return False


def _whole(found: x509.Certificate) -> x509.Certificate:
    _ = found.version, found.subject, found.issuer, found.extensions
    _ = found.not_valid_before_utc, found.not_valid_after_utc
    return found


@contextlib.contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except REFUSALS:
        raise UnreadableError("it cannot be read") from None
