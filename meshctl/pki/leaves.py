"""What a leaf says of itself: whose it is, and who signed it."""

from __future__ import annotations

from cryptography import x509

from meshctl.ir import WorkloadIdentity


def proves(leaf: x509.Certificate, identity: WorkloadIdentity) -> bool:
    """Whether it is the certificate of ``identity``: one URI, the subject, and no DNS name but its own; some may lack."""
    return (
        _names(leaf).get_values_for_type(x509.UniformResourceIdentifier) == [identity.spiffe_id]
        and dns_names(leaf) <= set(identity.dns_names)
        and leaf.subject.rfc4514_string() == identity.distinguished_name
    )


def dns_names(leaf: x509.Certificate) -> set[str]:
    """Those of the subject's alternative names; raises ExtensionNotFound."""
    return set(_names(leaf).get_values_for_type(x509.DNSName))


def signer(leaf: x509.Certificate) -> bytes | None:
    """The key identifier of who signed it; raises ExtensionNotFound."""
    return leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier


def _names(leaf: x509.Certificate) -> x509.SubjectAlternativeName:
    return leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
