"""Every kind of certificate and list that meshctl makes, judged by pkilint: nothing but what it says of all SPIFFE ids."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from pkilint import loader, pkix
from pkilint.bin import lint_pkix_signer_signee_cert_chain as chains
from pkilint.pkix import certificate as certificates
from pkilint.pkix import crl as lists
from pkilint.pkix import extension, name

from meshctl.ir import WorkloadIdentity
from meshctl.pki import crl
from meshctl.pki.issue import issue

MONTH = timedelta(days=30)
SHORTEST = WorkloadIdentity("a", "b.io", "c.io")
LONGEST = WorkloadIdentity("s" * 63, f"{'t' * 31}.{'t' * 32}", f"{'d' * 63}.{'d' * 63}.{'d' * 61}")

# As pkilint's own commands put them together.
OF_CERTIFICATES = certificates.create_pkix_certificate_validator_container(
    certificates.create_decoding_validators(name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS),
    [
        certificates.create_issuer_validator_container([]),
        certificates.create_validity_validator_container(),
        certificates.create_subject_validator_container([]),
        certificates.create_extensions_validator_container([]),
        certificates.create_spki_validator_container([]),
    ],
)
OF_LISTS = lists.create_pkix_crl_validator_container(
    [
        pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
        pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
    ],
    [
        lists.create_issuer_validator_container([]),
        lists.create_validity_validator_container([]),
        lists.create_extensions_validator_container([]),
    ],
)


def of_certificate(content):
    """What pkilint finds in a certificate."""
    return _codes(OF_CERTIFICATES.validate(loader.load_pem_certificate(content.decode(), "it").root))


def of_list(content):
    """What pkilint finds in a revocation list."""
    return _codes(OF_LISTS.validate(loader.load_pem_crl(content.decode(), "it").root))


def of_chain(issuer, subject):
    """What it finds between a certificate and its issuer's."""
    documents: dict = {}
    load = loader.RFC5280CertificateDocumentLoader().load_pem_document
    for which, content in (("issuer", issuer), ("subject", subject)):
        documents[which] = load(content.decode(), which, which, documents)
    decoding = chains.create_decoder_validation_container()
    return _codes(
        [
            *(result for each in documents.values() for result in decoding.validate(each.root)),
            *chains.create_issuer_validation_container().validate(documents["issuer"].root),
            *chains.create_subject_validation_container().validate(documents["subject"].root),
        ]
    )


def _codes(results):
    found = [each for result in results for each in result.finding_descriptions]
    return sorted(
        each.finding.code
        for each in found
        if each.finding.severity.name not in ("INFO", "DEBUG") and not _of_a_spiffe_id(each)
    )


def _of_a_spiffe_id(found):
    """The one filter: pkilint knows the schemes of the web, and calls every other URI wrong."""
    wrong = found.finding.code == "pkix.invalid_uri_syntax"
    return wrong and (found.message or "").startswith('Invalid URI syntax: "spiffe://')


def pem(signed):
    return signed.public_bytes(serialization.Encoding.PEM)


def leaf_of(authority, identity, now):
    return pem(x509.load_pem_x509_certificate(issue(authority, identity, MONTH, now).chain_pem))


@pytest.mark.parametrize("identity", [SHORTEST, LONGEST], ids=["shortest", "longest"])
def test_a_leaf(authority, now, identity):
    leaf = leaf_of(authority, identity, now)
    assert of_certificate(leaf) == []
    assert of_chain(authority.issuing_pem, leaf) == []


def test_both_certificates_of_a_ca(authority):
    assert of_certificate(authority.issuing_pem) == []
    assert of_certificate(authority.root_pem) == []
    assert of_chain(authority.root_pem, authority.issuing_pem) == []


def test_the_lists(authority, now):
    (own, roots) = crl.parse(authority.crl_pem)
    revoked = crl.sign(authority.issuing, authority.issuing_key, now, now + MONTH, own, [7, 8])
    assert [of_list(each) for each in (pem(own), pem(roots), revoked)] == [[], [], []]


def resigned(authority, change, now):
    """A leaf whose extensions were changed: from (value, critical) to the same, or None to leave it out."""
    leaf = x509.load_pem_x509_certificate(issue(authority, SHORTEST, MONTH, now).chain_pem)
    builder = (
        x509.CertificateBuilder()
        .subject_name(leaf.subject)
        .issuer_name(leaf.issuer)
        .public_key(leaf.public_key())
        .serial_number(leaf.serial_number)
        .not_valid_before(leaf.not_valid_before_utc)
        .not_valid_after(leaf.not_valid_after_utc)
    )
    for each in leaf.extensions:
        if (changed := change(each.value, each.critical)) is not None:
            builder = builder.add_extension(changed[0], critical=changed[1])
    return pem(builder.sign(authority.issuing_key, hashes.SHA256()))


def without(kind):
    return lambda value, critical: None if isinstance(value, kind) else (value, critical)


def named(name):
    names = x509.SubjectAlternativeName([name])
    return lambda value, critical: (names, critical) if isinstance(value, type(names)) else (value, critical)


def not_critical(value, critical):
    return value, False


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (without(x509.AuthorityKeyIdentifier), "pkix.authority_key_identifier_extension_absent"),
        (not_critical, "pkix.key_usage_extension_not_critical"),
        (named(x509.UniformResourceIdentifier("mesh")), "pkix.invalid_uri_syntax"),
        (named(x509.DNSName("a_b..c")), "pkix.invalid_domain_name_syntax"),
    ],
)
def test_a_leaf_that_is_not_right_is_found(authority, now, change, code):
    assert code in of_certificate(resigned(authority, change, now))


def test_a_certificate_beside_another_issuers_is_found(authority, now):
    assert of_chain(authority.root_pem, leaf_of(authority, SHORTEST, now)) != []


def test_a_list_without_a_number_is_found(authority, now):
    builder = x509.CertificateRevocationListBuilder().issuer_name(authority.issuing.subject)
    listed = builder.last_update(now).next_update(now + MONTH).sign(authority.issuing_key, hashes.SHA256())
    assert of_list(pem(listed)) != []
