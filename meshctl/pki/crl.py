"""Lists of revoked certificates (RFC 5280, 5): one of each CA, all in one PEM file.

Every proxy checks a whole chain against them, so a file without the root's list lets nobody in.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from meshctl.pki import parsing, profile
from meshctl.pki.pem import blocks


def sign(
    issuer: x509.Certificate,
    key: ec.EllipticCurvePrivateKey,
    now: datetime,
    end: datetime,
    before: x509.CertificateRevocationList | None = None,
    revoked: Iterable[int] = (),
) -> bytes:
    """A CA's next list as PEM, good until ``end`` (UTC): what stood in the one ``before``, and ``revoked`` serials."""
    moment = now.replace(microsecond=0)
    authority = profile.key_identifier(key.public_key())
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.subject)
        .last_update(moment - profile.BACKDATED)
        .next_update(end.replace(microsecond=0))
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority), critical=False
        )
        .add_extension(x509.CRLNumber(_number(before) + 1), critical=False)
    )
    for entry in before or ():
        builder = builder.add_revoked_certificate(entry)
    known = serials([before] if before is not None else [])
    for serial in sorted(set(revoked) - known):
        entry_builder = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(moment)
        builder = builder.add_revoked_certificate(entry_builder.build())
    return pem(builder.sign(key, hashes.SHA256()))


def pem(one: x509.CertificateRevocationList) -> bytes:
    """A list as PEM text."""
    return one.public_bytes(serialization.Encoding.PEM)


def parse(content: bytes) -> tuple[x509.CertificateRevocationList, ...]:
    """Every list in a PEM file. Raises ValueError where there is none, or one that is not a list."""
    texts = [text for kind, text in blocks(content) if kind == b"X509 CRL"]
    found = tuple(parsing.revocation_list(each) for each in texts)
    if not found or b"".join(texts).strip() != content.strip():
        raise ValueError("not a file of revocation lists")
    return found


def serials(lists: Iterable[x509.CertificateRevocationList]) -> frozenset[int]:
    """The serial numbers in all of them."""
    return frozenset(entry.serial_number for each in lists for entry in each)


def end(lists: Iterable[x509.CertificateRevocationList]) -> datetime:
    """When the first of them ends, UTC; one that says nothing has ended."""
    return min(each.next_update_utc or each.last_update_utc for each in lists)


def knows_more(one: x509.CertificateRevocationList, than: x509.CertificateRevocationList | None) -> bool:
    """Whether a CA's list is newer than another of its lists, or has who does not stand in that."""
    known = serials([than] if than is not None else [])
    return _number(one) > _number(than) or not serials([one]) <= known


def _number(crl: x509.CertificateRevocationList | None) -> int:
    if crl is None:
        return 0
    with contextlib.suppress(x509.ExtensionNotFound):
        return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    return 0
