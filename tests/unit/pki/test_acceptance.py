"""An issuer's answer: every way in which it may not be the certificate that was asked for."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from meshctl.diagnostics import FindingsError, UsageError
from meshctl.pki import acceptance, crl, profile, requests
from meshctl.pki.authority import create_authority
from meshctl.pki.issuers import Embedded
from tests.unit.pki.conftest import NOW, holder

WEB = holder("web")
KEY = profile.new_key()
DAY = timedelta(days=1)
IDENTITY_URI = x509.UniformResourceIdentifier("spiffe://shop.example/web")
IDENTITY_DNS = tuple(map(x509.DNSName, WEB.identity.dns_names))
BOTH = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]


def leaf(authority, **other):
    """A leaf as it should be, but for what is ``other``."""
    names = other.get("names", [IDENTITY_URI, *IDENTITY_DNS])
    builder = profile.certificate(
        profile.name(*other.get("subject", ("shop.example", "web"))),
        other.get("key", KEY).public_key(),
        authority.issuing.subject,
        authority.issuing_key,
        other.get("start", NOW),
        other.get("lifetime", 30 * DAY),
    )
    constraints = x509.BasicConstraints(ca=other.get("ca", False), path_length=None)
    builder = (
        builder.add_extension(constraints, critical=True)
        .add_extension(other.get("usage", profile.LEAF_USAGE), critical=True)
        .add_extension(x509.ExtendedKeyUsage(other.get("ends", BOTH)), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )
    if not other.get("linked", True):
        del builder._extensions[
            [each.oid for each in builder._extensions].index(x509.AuthorityKeyIdentifier.oid)
        ]
    return profile.pem(profile.sign(builder, other.get("signer", authority.issuing_key)))


def faults(answer, trust, now=NOW):
    with pytest.raises(FindingsError) as caught:
        acceptance.check(answer, KEY.public_key(), WEB, trust, now)
    assert {each.slug for each in caught.value.findings} == {"certificate-refused"}
    assert caught.value.exit_code == 1
    return [each.message.removeprefix("certificate for `web`: ") for each in caught.value.findings]


@pytest.mark.parametrize("with_root", [False, True])
def test_what_was_asked_for_is_taken(authority, with_root):
    sent = leaf(authority)
    chain = sent + authority.issuing_pem
    answer = b"subject=web\n" + chain + (authority.root_pem if with_root else b"")
    found = acceptance.check(answer, KEY.public_key(), WEB, authority.root_pem, NOW)
    assert found.chain_pem == chain
    assert found.lists_pem == b""


def test_the_chain_is_put_in_order(authority):
    answer = leaf(authority) + authority.root_pem + authority.issuing_pem
    found = acceptance.check(answer, KEY.public_key(), WEB, authority.root_pem, NOW)
    assert [each.subject for each in x509.load_pem_x509_certificates(found.chain_pem)] == [
        found.leaf.subject,
        authority.issuing.subject,
    ]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"key": profile.new_key()}, "its key is not the one that was asked for"),
        (
            {
                "names": [
                    IDENTITY_URI,
                    x509.UniformResourceIdentifier("spiffe://shop.example/b"),
                    *IDENTITY_DNS,
                ]
            },
            "its URI names are spiffe://shop.example/web, spiffe://shop.example/b, not spiffe://shop.example/web alone",
        ),
        (
            {"names": [x509.UniformResourceIdentifier("spiffe://other.example/web"), *IDENTITY_DNS]},
            "its URI names are spiffe://other.example/web, not spiffe://shop.example/web alone",
        ),
        ({"names": [*IDENTITY_DNS]}, "its URI names are none, not spiffe://shop.example/web alone"),
        (
            {"names": [IDENTITY_URI]},
            "its DNS names are none, not web.shop.mesh and web.spiffe.shop.example alone",
        ),
        (
            {"names": [IDENTITY_URI, *IDENTITY_DNS, x509.DNSName("*.shop.mesh")]},
            "its DNS names are web.shop.mesh, web.spiffe.shop.example, *.shop.mesh, not web.shop.mesh and web.spiffe.shop.example alone",
        ),
        (
            {"names": [IDENTITY_URI, *IDENTITY_DNS, x509.RFC822Name("a@shop.example")]},
            "it has other names: a@shop.example",
        ),
        (
            {"subject": ("shop.example", "b")},
            "its subject is `CN=b,O=shop.example`, not `CN=web,O=shop.example`",
        ),
        ({"ca": True}, "it is a CA's (CA:TRUE)"),
        (
            {"usage": profile.CA_USAGE},
            "its key usage is not that of a leaf: digitalSignature, and no keyCertSign",
        ),
        ({"ends": BOTH[:1]}, "its extended key usage lacks clientAuth"),
        ({"ends": BOTH[1:]}, "its extended key usage lacks serverAuth"),
        ({"linked": False}, "it has no authority key identifier, by which its chain is found"),
        ({"start": NOW - 31 * DAY}, "it ended 2026-02-28T12:00:00Z"),
        ({"start": NOW + DAY}, "it starts 2026-03-02T11:55:00Z, which is not yet"),
        (
            {"lifetime": 400 * DAY},
            "it would end 2027-04-05T12:00:00Z, after its issuer, which ends 2027-03-01T12:00:00Z",
        ),
        (
            {"signer": profile.new_key()},
            "it does not lead to a root in tls/ca.pem, by CAs in force that came with it and may sign it",
        ),
    ],
)
def test_what_was_not_asked_for_is_refused(authority, other, said):
    assert faults(leaf(authority, **other) + authority.issuing_pem, authority.root_pem) == [said]


def test_everything_that_is_wrong_is_told_at_once(authority):
    names, ends = [x509.DNSName("a.shop.mesh")], [ExtendedKeyUsageOID.CODE_SIGNING]
    wrong = leaf(authority, ca=True, ends=ends, names=names)
    assert len(faults(wrong + authority.issuing_pem, authority.root_pem)) == 5


@pytest.mark.parametrize(
    ("other", "trusting", "way_out"),
    [
        ({}, True, "renew"),
        ({"key": profile.new_key()}, True, "certs csr` again"),
        ({"start": NOW - 31 * DAY}, True, "Have a new one issued"),
        ({"start": NOW + DAY}, True, "clocks"),
        ({"lifetime": 400 * DAY}, True, "shorter time"),
        ({"linked": False}, True, "authorityKeyIdentifier"),
        ({"subject": ("shop.example", "b")}, True, "identity.json"),
        ({}, False, "--trust FILE"),
        (None, True, "certs sign` wrote"),
    ],
)
def test_each_cause_has_its_way_out(authority, other, trusting, way_out):
    trust = (authority if trusting else create_authority("shop.example", NOW).authority).root_pem
    answer = b"" if other is None else leaf(authority, **other) + authority.issuing_pem
    if other == {} and trusting:
        serial = x509.load_pem_x509_certificate(answer).serial_number
        answer += listing(authority, revoked=[serial])
    with pytest.raises(FindingsError) as caught:
        acceptance.check(answer, KEY.public_key(), WEB, trust, NOW)
    (found,) = caught.value.findings
    assert way_out in found.fix


NO_ROOT = "it does not lead to a root in tls/ca.pem, by CAs in force that came with it and may sign it"


def test_only_a_chain_to_the_bundles_own_root_counts(authority):
    other = create_authority("shop.example", NOW).authority
    answer = leaf(other) + other.issuing_pem + other.root_pem
    assert faults(answer, authority.root_pem) == [NO_ROOT]
    assert faults(leaf(authority), authority.root_pem) == [NO_ROOT]
    found = acceptance.check(answer, KEY.public_key(), WEB, authority.root_pem + other.root_pem, NOW)
    assert found.leaf.issuer == other.issuing.subject


def test_a_ca_that_has_ended_signs_nothing():
    short = create_authority("shop.example", NOW - 40 * DAY, issuing_lifetime=35 * DAY).authority
    assert faults(leaf(short) + short.issuing_pem, short.root_pem) == [NO_ROOT]


@pytest.mark.parametrize(
    "content", [b"", b"no PEM", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_no_certificate(authority, content):
    assert faults(content, authority.root_pem) == ["there is no certificate in PEM that can be read"]


def test_an_answer_with_a_key_is_refused_and_not_quoted(authority):
    secret = profile.key_pem(KEY)
    told = faults(leaf(authority) + authority.issuing_pem + secret, authority.root_pem)
    assert told == ["a private key came with it: whoever sent that could be this sidecar"]


@pytest.mark.parametrize("trust", [b"", b"words", None])
def test_a_trust_bundle_without_a_root(authority, trust):
    with pytest.raises(UsageError, match="holds no root"):
        acceptance.check(
            leaf(authority) + authority.issuing_pem,
            KEY.public_key(),
            WEB,
            authority.issuing_pem if trust is None else trust,
            NOW,
        )


def listing(authority, *, key=None, end=30 * DAY, revoked=()):
    return crl.sign(authority.issuing, key or authority.issuing_key, NOW, NOW + end, None, revoked)


def test_revocation_lists_come_along(authority):
    answer = leaf(authority) + authority.issuing_pem + authority.crl_pem
    found = acceptance.check(answer, KEY.public_key(), WEB, authority.root_pem, NOW)
    assert found.lists_pem == authority.crl_pem


NOT_SIGNED = "a revocation list that came with it is not signed by the CA in whose name it speaks"
NO_CA = "a revocation list came with it, and not the certificate of its CA"


@pytest.fixture(scope="module")
def other():
    """The other CA of a rotation."""
    return create_authority("shop.example", NOW).authority


def test_in_a_rotation_the_lists_of_both_cas_count(authority, other):
    sent = leaf(authority) + authority.issuing_pem
    both, lists = authority.root_pem + other.root_pem, authority.crl_pem + other.crl_pem
    found = acceptance.check(sent + other.issuing_pem + lists, KEY.public_key(), WEB, both, NOW)
    assert (found.chain_pem, found.lists_pem) == (sent, lists)
    # Without its certificate nobody can say who signed it.
    assert faults(sent + lists, both) == [NO_CA]
    assert acceptance.check(sent + lists, KEY.public_key(), WEB, both, NOW, carried=True).lists_pem == lists


def test_the_meshs_own_ca_says_all_that_its_lists_are_checked_with(authority, other):
    in_rotation = dataclasses.replace(authority, beside=other)
    request = requests.render(KEY, WEB.identity)
    answer = Embedded(in_rotation, NOW, crl=True).issue(WEB, request, 30 * DAY)
    for trust, lists in (
        (in_rotation.trust_pem, in_rotation.lists_pem),
        (authority.root_pem, authority.crl_pem),
    ):
        assert acceptance.check(answer, KEY.public_key(), WEB, trust, NOW).lists_pem == lists


@pytest.mark.parametrize("came", [True, False])
def test_a_list_in_the_name_of_the_other_ca_by_a_foreign_key_is_refused(authority, other, came):
    forged = listing(other, key=profile.new_key())
    sent = leaf(authority) + authority.issuing_pem + (other.issuing_pem if came else b"")
    told = faults(sent + authority.crl_pem + forged, authority.root_pem + other.root_pem)
    assert told == [NOT_SIGNED if came else NO_CA]


def test_a_list_of_the_other_root_by_a_foreign_key_is_refused(authority, other):
    forged = crl.sign(other.root, profile.new_key(), NOW, NOW + DAY)
    sent = leaf(authority) + authority.issuing_pem
    assert faults(sent + forged, authority.root_pem + other.root_pem) == [NOT_SIGNED]


def test_lists_of_cas_that_the_bundle_does_not_trust_are_left_out(authority, other):
    sent = leaf(authority) + authority.issuing_pem + other.issuing_pem + other.root_pem
    for listed in (other.crl_pem, listing(other, key=profile.new_key())):
        answer = sent + authority.crl_pem + listed
        found = acceptance.check(answer, KEY.public_key(), WEB, authority.root_pem, NOW)
        assert found.lists_pem == authority.crl_pem


def test_a_leaf_signs_no_lists(authority):
    # Whoever has a certificate of the mesh has a key that its CA vouches for.
    mine = x509.load_pem_x509_certificate(leaf(authority))
    forged = crl.sign(mine, KEY, NOW, NOW + DAY)
    answer = leaf(authority) + authority.issuing_pem + profile.pem(mine) + forged
    found = acceptance.check(answer, KEY.public_key(), WEB, authority.root_pem, NOW)
    assert found.lists_pem == b""


def test_revocation_lists_that_are_no_use_are_refused(authority):
    sent = leaf(authority)
    serial = x509.load_pem_x509_certificate(sent).serial_number
    for added, said in (
        (
            listing(authority, key=ec.generate_private_key(ec.SECP256R1())),
            "a revocation list that came with it is not signed by the CA in whose name it speaks",
        ),
        (
            listing(authority, revoked=[serial]),
            "it stands in the revocation list that came with it",
        ),
        (
            b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
            "a revocation list that came with it cannot be read",
        ),
    ):
        assert faults(sent + authority.issuing_pem + added, authority.root_pem) == [said]
    old = listing(authority, end=DAY)
    later = faults(sent + authority.issuing_pem + old, authority.root_pem, NOW + 2 * DAY)
    assert later == ["a revocation list that came with it has ended"]
