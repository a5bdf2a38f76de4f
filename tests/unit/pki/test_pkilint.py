"""Every kind of certificate and list that meshctl makes, judged by pkilint: nothing but what it says of all SPIFFE ids."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from pkilint.bin import lint_crl, lint_pkix_cert, lint_pkix_signer_signee_cert_chain

from meshctl.ir import WorkloadIdentity
from meshctl.pki import crl
from meshctl.pki.issue import issue

MONTH = timedelta(days=30)
SHORTEST = WorkloadIdentity("a", "b", "c")
LONGEST = WorkloadIdentity("s" * 63, f"{'t' * 31}.{'t' * 32}", f"{'d' * 63}.{'d' * 63}.{'d' * 62}")


def found(capsys, lint, *arguments):
    """The codes that pkilint finds, from notices on, with what it says of them."""
    capsys.readouterr()
    lint.main(["lint", "-s", "NOTICE", "-f", "JSON", *map(str, arguments)])
    results = json.loads(capsys.readouterr().out)["results"]
    said = [(each["code"], each["message"] or "") for one in results for each in one["finding_descriptions"]]
    return sorted(code for code, message in said if not _of_a_spiffe_id(code, message))


def _of_a_spiffe_id(code, message):
    """The one filter: pkilint knows the schemes of the web, and calls every other URI wrong."""
    return code == "pkix.invalid_uri_syntax" and message.startswith('Invalid URI syntax: "spiffe://')


@pytest.fixture
def linted(capsys, tmp_path):
    """What pkilint finds in a certificate, behind its issuer's if that is given, or in a list."""

    def lint(content, issuer=None):
        (tmp_path / "it.pem").write_bytes(content)
        if issuer is not None:
            (tmp_path / "issuer.pem").write_bytes(issuer)
            both = (tmp_path / "issuer.pem", tmp_path / "it.pem")
            return found(capsys, lint_pkix_signer_signee_cert_chain, *both)
        if b"CRL" in content:
            return found(capsys, lint_crl, "-t", "CRL", "-p", "PKIX", tmp_path / "it.pem")
        return found(capsys, lint_pkix_cert, tmp_path / "it.pem")

    return lint


def pem(signed):
    return signed.public_bytes(serialization.Encoding.PEM)


def leaf_of(authority, identity, now):
    return pem(x509.load_pem_x509_certificate(issue(authority, identity, MONTH, now).chain_pem))


@pytest.mark.parametrize("identity", [SHORTEST, LONGEST], ids=["shortest", "longest"])
def test_a_leaf(linted, authority, now, identity):
    leaf = leaf_of(authority, identity, now)
    assert linted(leaf) == []
    assert linted(leaf, authority.issuing_pem) == []


def test_both_certificates_of_a_ca(linted, authority):
    assert linted(authority.issuing_pem) == []
    assert linted(authority.root_pem) == []
    assert linted(authority.issuing_pem, authority.root_pem) == []


def test_the_lists(linted, authority, now):
    (own, roots) = crl.parse(authority.crl_pem)
    revoked = crl.sign(authority.issuing, authority.issuing_key, now, now + MONTH, own, [7, 8])
    assert [linted(each) for each in (pem(own), pem(roots), revoked)] == [[], [], []]


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
def test_a_leaf_that_is_not_right_is_found(linted, authority, now, change, code):
    assert code in linted(resigned(authority, change, now))


def test_a_certificate_beside_another_issuers_is_found(linted, authority, now):
    assert linted(leaf_of(authority, SHORTEST, now), authority.root_pem) != []


def test_a_list_without_a_number_is_found(linted, authority, now):
    builder = x509.CertificateRevocationListBuilder().issuer_name(authority.issuing.subject)
    listed = builder.last_update(now).next_update(now + MONTH).sign(authority.issuing_key, hashes.SHA256())
    assert linted(pem(listed)) != []
