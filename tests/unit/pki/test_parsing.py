"""Bytes that `cryptography` takes at first and refuses later, each by another exception: all are refused at once."""

from __future__ import annotations

import base64
import re
from datetime import timedelta
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from msgspec.structs import replace

from meshctl.diagnostics import FindingsError
from meshctl.ir import CertificatePolicy
from meshctl.pki import acceptance, crl, installing, parsing, profile, requests, rotate, store
from meshctl.pki.authority import AuthorityError, create_authority
from meshctl.pki.identities import Identities
from meshctl.pki.issue import Issued
from meshctl.pki.issuers import Embedded
from meshctl.pki.store import CertificateState
from tests.unit.pki.conftest import NOW, holder

WEB = holder("web")
DAY = timedelta(days=1)
ALONE = Identities("shop", CertificatePolicy(30 * DAY, 10 * DAY), (replace(WEB, alone=True),))

ORGANIZATION = bytes.fromhex("060355040a0c")
KEY_IDENTIFIER, AUTHORITY = bytes.fromhex("0603551d0e"), bytes.fromhex("0603551d23")
POINT = re.compile(bytes.fromhex("03420004") + b".{64}", re.DOTALL)
CURVE = bytes.fromhex("06082a8648ce3d030107")


def changed(pem, change):
    kind, body = re.fullmatch(
        rb"-----BEGIN ([A-Z0-9 ]+)-----\n(.*)-----END \1-----\n", pem, re.DOTALL
    ).groups()
    before = base64.b64decode(body)
    after = change(before)
    assert after != before
    return b"-----BEGIN %b-----\n%b-----END %b-----\n" % (kind, base64.encodebytes(after), kind)


def name(der):
    """The last organization, the subject's, in bytes that are no UTF-8."""
    at = der.rindex(ORGANIZATION) + len(ORGANIZATION) + 1
    return der[:at] + b"\xff" + der[at + 1 :]


def issuers_name(der):
    at = der.index(ORGANIZATION) + len(ORGANIZATION) + 1
    return der[:at] + b"\xff" + der[at + 1 :]


def twice(der):
    return der.replace(KEY_IDENTIFIER, AUTHORITY)


def year_0(der):
    return re.sub(rb"\x17\x0d(\d{12}Z)", lambda found: b"\x17\x0d" + b"000000000000Z", der, count=1)


def no_point(der):
    return POINT.sub(lambda found: found[0][:4] + bytes(64), der)


def no_curve(der):
    return der.replace(CURVE, CURVE[:-1] + b"\x7f", 1)


def version(der):
    return der.replace(b"\x02\x01\x01\x30", b"\x02\x01\x13\x30", 1)


@pytest.fixture(scope="module")
def authority():
    return create_authority("shop.example", NOW).authority


@pytest.fixture(scope="module")
def lists(authority):
    return [crl.pem(each) for each in crl.parse(authority.crl_pem)]


@pytest.mark.parametrize("change", [name, issuers_name, twice, year_0])
def test_a_certificate_is_read_whole(authority, change):
    pem = changed(authority.issuing_pem, change)
    for parse in (parsing.certificate, parsing.certificates):
        with pytest.raises(parsing.UnreadableError):
            parse(pem)


@pytest.mark.parametrize("change", [name, year_0, version])
def test_a_list_is_read_whole(lists, change):
    with pytest.raises(ValueError, match="cannot be read"):
        crl.parse(changed(lists[0], change))


@pytest.mark.parametrize("change", [no_point, no_curve])
def test_a_key_that_cannot_be_read_is_nobodys(authority, change):
    found = parsing.certificate(changed(authority.issuing_pem, change))
    assert not parsing.has_key(found, authority.issuing_key.public_key())
    assert parsing.has_key(authority.issuing, authority.issuing_key.public_key())


@pytest.mark.parametrize("change", [no_point, no_curve])
def test_a_ca_whose_key_cannot_be_read_has_signed_nothing(authority, lists, change):
    root = parsing.certificate(changed(authority.root_pem, change))
    assert not parsing.is_signed(authority.issuing, root)
    assert not parsing.is_signed(crl.parse(lists[1])[0], root)
    assert parsing.is_signed(authority.issuing, authority.root)
    assert parsing.is_signed(crl.parse(lists[1])[0], authority.root)


@pytest.mark.parametrize("change", [name, twice, no_point, no_curve])
def test_install_and_status_say_so(authority, tmp_path, change):
    requests.create(tmp_path, WEB.identity)
    request = (tmp_path / "tls/request.csr").read_bytes()
    leaf, rest = (
        Embedded(authority, NOW, crl=False)
        .issue(WEB, request, 30 * DAY)
        .split(b"-----END CERTIFICATE-----\n", 1)
    )
    bad = changed(leaf + b"-----END CERTIFICATE-----\n", change) + rest
    with pytest.raises(FindingsError) as refused:
        installing.install(tmp_path, ALONE, bad, authority.root_pem, NOW)
    assert {each.slug for each in refused.value.findings} == {"certificate-refused"}
    assert not (tmp_path / "tls/cert.pem").exists()

    for file, content in (
        ("cert.pem", bad),
        ("cert.pem.key", profile.key_pem(profile.new_key())),
        ("ca.pem", authority.root_pem),
    ):
        (tmp_path / "tls" / file).write_bytes(content)
    assert installing.status(tmp_path, ALONE, NOW).state is CertificateState.UNREADABLE


@pytest.mark.parametrize("change", [no_point, no_curve])
def test_a_root_whose_key_cannot_be_read_signs_no_list(authority, change):
    key = profile.new_key()
    answer = Embedded(authority, NOW, crl=True).issue(WEB, requests.render(key, WEB.identity), 30 * DAY)
    with pytest.raises(FindingsError) as refused:
        acceptance.check(answer, key.public_key(), WEB, changed(authority.root_pem, change), NOW)
    told = " ".join(each.message for each in refused.value.findings)
    assert "it does not lead to a root" in told
    assert "is not signed by the CA in whose name it speaks" in told


def test_a_folder_where_the_key_goes_leaves_the_certificate(authority, tmp_path):
    requests.create(tmp_path, WEB.identity)
    answer = Embedded(authority, NOW, crl=False).issue(
        WEB, (tmp_path / "tls/request.csr").read_bytes(), 30 * DAY
    )
    (tmp_path / "tls/cert.pem.key").mkdir()
    (tmp_path / "tls/cert.pem").write_bytes(b"before")
    key = requests.parse((tmp_path / "tls/request.csr").read_bytes(), "it", WEB.identity).key
    found = acceptance.check(answer, key, WEB, authority.root_pem, NOW)
    issued = Issued(found.chain_pem, b"key", authority.root_pem, NOW, NOW, found.leaf.serial_number)
    with pytest.raises(OSError, match="Is a directory"):
        store.write(tmp_path, {ALONE.holders[0]: issued})
    assert (tmp_path / "tls/cert.pem").read_bytes() == b"before"


def test_a_root_without_a_trust_domain_has_no_next(tmp_path, monkeypatch):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")])
    named = SimpleNamespace(root=SimpleNamespace(subject=subject))
    (tmp_path / "ca").mkdir()
    monkeypatch.setattr("meshctl.pki.authority.load_authority", lambda _folder: named)
    with pytest.raises(AuthorityError) as refused:
        rotate.begin(tmp_path / "ca", NOW)
    assert "organization" in refused.value.findings[0].message
    assert not (tmp_path / "ca/next").exists()
