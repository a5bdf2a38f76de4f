"""Signing requests: what of them counts, and where their keys are until the answer comes."""

from __future__ import annotations

import stat

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from meshctl.diagnostics import FindingsError, UsageError
from meshctl.pki import profile, requests
from tests.unit.pki.conftest import holder

WEB = holder("web").identity


def pem(csr):
    return csr.public_bytes(serialization.Encoding.PEM)


def asking(*extensions, key=None, subject=()):
    """A request that asks for what it likes."""
    builder = x509.CertificateSigningRequestBuilder(x509.Name(list(subject)))
    for each in extensions:
        builder = builder.add_extension(each, critical=False)
    key = key or profile.new_key()
    return pem(builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()))


def test_our_own_asks_for_nothing_beyond():
    key = profile.new_key()
    found = requests.parse(requests.render(key, WEB), "it", WEB)
    assert found.key == key.public_key()
    assert found.ignored == ()


def test_our_own_says_all_that_the_certificate_will_hold():
    csr = x509.load_pem_x509_csr(requests.render(profile.new_key(), WEB))
    names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert csr.subject.rfc4514_string() == "CN=web,O=shop.example"
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://shop.example/web"]
    assert names.get_values_for_type(x509.DNSName) == ["web.shop.mesh", "web.spiffe.shop.example"]


@pytest.mark.parametrize(
    ("made", "ignored"),
    [
        (asking(), ()),
        (
            asking(subject=[x509.NameAttribute(NameOID.COMMON_NAME, "admin")]),
            ("subject CN=admin",),
        ),
        (
            asking(
                x509.SubjectAlternativeName(
                    [
                        x509.UniformResourceIdentifier("spiffe://shop.example/web"),
                        x509.UniformResourceIdentifier("spiffe://shop.example/payments"),
                        x509.DNSName("payments.shop.mesh"),
                    ]
                )
            ),
            ("name spiffe://shop.example/payments", "name payments.shop.mesh"),
        ),
        (
            asking(x509.BasicConstraints(ca=True, path_length=None)),
            ("extension 2.5.29.19 (BasicConstraints)",),
        ),
        (asking(profile.CA_USAGE), ("extension 2.5.29.15 (KeyUsage)",)),
        (
            asking(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])),
            ("extension 2.5.29.37 (ExtendedKeyUsage)",),
        ),
        (
            asking(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")),
            ("extension 1.2.3.4",),
        ),
    ],
)
def test_what_is_asked_for_beyond_is_told(made, ignored):
    assert requests.parse(made, "it", WEB).ignored == ignored


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP256K1()),
        rsa.generate_private_key(65537, 2048),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["P-384", "secp256k1", "RSA", "Ed25519"],
)
def test_other_keys_are_refused(key):
    with pytest.raises(FindingsError) as caught:
        requests.parse(asking(key=key), "it", WEB)
    assert [(each.slug, each.message) for each in caught.value.findings] == [
        ("request-refused", "the key of it is not P-256")
    ]


def test_a_key_of_somebody_else_is_refused():
    """The public key of one, signed by another: whoever sends that need not hold the key."""
    one = x509.load_pem_x509_csr(asking())
    other = one.public_bytes(serialization.Encoding.DER)
    mine = (
        profile.new_key()
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    theirs = one.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    forged = pem(x509.load_der_x509_csr(other.replace(theirs, mine)))
    with pytest.raises(FindingsError) as caught:
        requests.parse(forged, "it", WEB)
    assert caught.value.findings[0].message == "it is not signed by its own key"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
        profile.key_pem(profile.new_key()),
        b"\xff" * 100,
    ],
)
def test_what_is_no_request_is_never_quoted(content):
    with pytest.raises(UsageError) as caught:
        requests.parse(content, "it", WEB)
    assert str(caught.value) == "it is not a certificate signing request in PEM"


def test_a_key_and_its_request_beside_those_in_use(tmp_path):
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls/cert.pem.key").write_text("in use")
    path = requests.create(tmp_path, WEB)
    assert path == tmp_path / "tls/request.csr"
    key = tmp_path / "tls/request.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert (tmp_path / "tls/cert.pem.key").read_text() == "in use"
    assert sorted(each.name for each in (tmp_path / "tls").iterdir()) == [
        ".gitignore",
        "cert.pem.key",
        "request.csr",
        "request.key",
    ]
    found = requests.parse(path.read_bytes(), "it", WEB)
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    assert private.public_key() == found.key


def test_a_key_that_waits_is_asked_for_again(tmp_path):
    requests.create(tmp_path, WEB)
    before = (tmp_path / "tls/request.key").read_bytes()
    requests.create(tmp_path, WEB)
    assert (tmp_path / "tls/request.key").read_bytes() == before


def _link(tls):
    (tls / "elsewhere").write_text("")
    (tls / "request.key").symlink_to(tls / "elsewhere")


def _link_request(tls):
    (tls / "request.csr").symlink_to("/dev/null")


def _open(tls):
    (tls / "request.key").write_bytes(profile.key_pem(profile.new_key()))
    (tls / "request.key").chmod(0o644)


def _p384(tls):
    key = ec.generate_private_key(ec.SECP384R1())
    (tls / "request.key").write_bytes(profile.key_pem(key))
    (tls / "request.key").chmod(0o600)


def _words(tls):
    (tls / "request.key").write_text("secret words")
    (tls / "request.key").chmod(0o600)


@pytest.mark.parametrize("fault", [_link, _link_request, _open, _p384, _words])
def test_a_key_that_is_no_use_is_never_replaced(tmp_path, fault):
    tls = tmp_path / "tls"
    tls.mkdir()
    fault(tls)
    before = {each.name: each.read_bytes() for each in tls.iterdir()}
    with pytest.raises((OSError, UsageError)) as caught:
        requests.create(tmp_path, WEB)
    assert "secret" not in str(caught.value)
    assert {each.name: each.read_bytes() for each in tls.iterdir()} | {".gitignore": b"*\n"} == before | {
        ".gitignore": b"*\n"
    }
