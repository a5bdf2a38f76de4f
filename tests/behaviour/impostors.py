"""Certificates of the mesh's own CA that meshctl would never make."""

from __future__ import annotations

import dataclasses

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization


def with_names(issued, authority, names):
    """What was ``issued``, signed again with other names in the place of its own; the key stays."""
    leaf = x509.load_pem_x509_certificate(issued.chain_pem)
    builder = (
        x509.CertificateBuilder()
        .subject_name(leaf.subject)
        .issuer_name(leaf.issuer)
        .public_key(leaf.public_key())
        .serial_number(leaf.serial_number)
        .not_valid_before(leaf.not_valid_before_utc)
        .not_valid_after(leaf.not_valid_after_utc)
    )
    for extension in leaf.extensions:
        value = extension.value
        if isinstance(value, x509.SubjectAlternativeName):
            value = x509.SubjectAlternativeName(names)
        builder = builder.add_extension(value, critical=extension.critical)
    signed = builder.sign(authority.issuing_key, hashes.SHA256())
    pem = signed.public_bytes(serialization.Encoding.PEM)
    return dataclasses.replace(issued, chain_pem=pem + authority.issuing_pem)


def of_two(issued, authority, identity, other, *, first=False):
    """``issued`` for ``identity``, with the SPIFFE id of another in it too, ``first`` or last."""
    uris = [x509.UniformResourceIdentifier(each.spiffe_id) for each in (identity, other)]
    names = [*(reversed(uris) if first else uris), *map(x509.DNSName, identity.dns_names)]
    return with_names(issued, authority, names)
