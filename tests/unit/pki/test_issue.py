"""The certificate profile, and whether other implementations accept what it makes."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID

from meshctl.ir import WorkloadIdentity
from meshctl.pki.authority import create_authority
from meshctl.pki.issue import IssuerEndsFirstError, issue

WEB = WorkloadIdentity("web", "shop.example", "shop.mesh")
MONTH = timedelta(days=30)


@pytest.fixture(scope="module")
def issued(authority):
    return issue(authority, WEB, MONTH, datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC))


@pytest.fixture(scope="module")
def chain(issued, authority):
    leaf, issuing = x509.load_pem_x509_certificates(issued.chain_pem)
    return leaf, issuing, authority.root


def usages(certificate):
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    names = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment"]
    names += ["key_agreement", "key_cert_sign", "crl_sign"]
    return usage.critical, {name for name in names if getattr(usage.value, name)}


@pytest.mark.parametrize(
    ("which", "path_length", "usage"),
    [
        (0, None, {"digital_signature"}),
        (1, 0, {"key_cert_sign", "crl_sign"}),
        (2, 1, {"key_cert_sign", "crl_sign"}),
    ],
    ids=["leaf", "issuing", "root"],
)
def test_constraints_and_usage(chain, which, path_length, usage):
    certificate = chain[which]
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=which > 0, path_length=path_length)
    assert usages(certificate) == (True, usage)
    assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
    assert certificate.public_key().curve.name == "secp256r1"
    assert certificate.signature_hash_algorithm.name == "sha256"


def test_every_key_identifier_names_its_issuers_key(chain):
    issuers = (chain[1], chain[2], chain[2])
    for certificate, issuer in zip(chain, issuers, strict=True):
        own = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        authority = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
        assert own.value == x509.SubjectKeyIdentifier.from_public_key(certificate.public_key())
        assert (
            authority.value.key_identifier
            == x509.SubjectKeyIdentifier.from_public_key(issuer.public_key()).digest
        )
        assert not own.critical
        assert not authority.critical


def test_the_leaf_names_its_identity_in_each_form_and_nothing_else(chain):
    leaf = chain[0]
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert not names.critical
    assert list(names.value) == [
        x509.UniformResourceIdentifier("spiffe://shop.example/web"),
        x509.DNSName("web.shop.mesh"),
        x509.DNSName("web.spiffe.shop.example"),
    ]
    assert leaf.subject.rfc4514_string() == WEB.distinguished_name == "CN=web,O=shop.example"
    purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert set(purposes.value) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    assert not purposes.critical
    assert len(leaf.extensions) == 6


def test_a_leaf_starts_five_minutes_early_and_ends_on_time(issued, chain):
    leaf = chain[0]
    assert leaf.not_valid_before_utc == issued.not_before == datetime(2026, 3, 1, 11, 55, tzinfo=UTC)
    assert leaf.not_valid_after_utc == issued.not_after == datetime(2026, 3, 31, 12, 0, tzinfo=UTC)


def test_serials_and_keys_are_fresh_and_long(authority, now):
    leaves = [x509.load_pem_x509_certificate(issue(authority, WEB, MONTH, now).chain_pem) for _ in range(64)]
    serials = {leaf.serial_number for leaf in leaves}
    assert len(serials) == 64
    # Of 64 numbers of 159 bits one has its top bit set, but for one case in 2^64.
    assert max(serial.bit_length() for serial in serials) == 159
    assert len({leaf.public_key().public_numbers().x for leaf in leaves}) == 64


def test_the_trust_bundle_is_the_root_and_the_key_fits(issued, authority):
    assert x509.load_pem_x509_certificates(issued.trust_pem) == [authority.root]
    key = serialization.load_pem_private_key(issued.key_pem, None)
    assert key.public_key() == x509.load_pem_x509_certificate(issued.chain_pem).public_key()
    assert issued.key_pem.decode() not in repr(issued)


@pytest.mark.parametrize(
    ("lifetime", "ends_first"), [(timedelta(days=365), False), (timedelta(days=365, seconds=1), True)]
)
def test_a_leaf_never_outlives_its_issuer(authority, now, lifetime, ends_first):
    if not ends_first:
        assert issue(authority, WEB, lifetime, now).not_after == authority.not_after
        return
    with pytest.raises(IssuerEndsFirstError) as caught:
        issue(authority, WEB, lifetime, now)
    (finding,) = caught.value.findings
    assert finding.slug == "issuer-ends-first"
    assert "`web`" in finding.message


def test_a_root_that_ends_before_its_issuing_ca_counts(now):
    short = create_authority("shop.example", now, root_lifetime=timedelta(days=20)).authority
    with pytest.raises(IssuerEndsFirstError):
        issue(short, WEB, MONTH, now)


@pytest.mark.parametrize("purpose", ["sslserver", "sslclient"])
@pytest.mark.parametrize("service", ["web", "a" * 63])
def test_openssl_accepts_the_chain_strictly(tmp_path, authority, now, purpose, service):
    identity = WorkloadIdentity(service, f"{'t' * 31}.{'t' * 32}", "shop.mesh")
    issued = issue(authority, identity, MONTH, now)
    for name, content in {"chain": issued.chain_pem, "ca": issued.trust_pem}.items():
        (tmp_path / name).write_bytes(content)
    command = ["openssl", "verify", "-x509_strict", "-check_ss_sig", "-purpose", purpose]
    command += ["-attime", str(int(now.timestamp())), "-verify_hostname", identity.server_name]
    # The leaf is read from the front of the chain, the issuing CA from behind it, as a proxy does.
    command += [
        "-CAfile",
        str(tmp_path / "ca"),
        "-untrusted",
        str(tmp_path / "chain"),
        str(tmp_path / "chain"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_cryptographys_verifiers_accept_the_chain(chain, now):
    leaf, issuing, root = chain
    builder = verification.PolicyBuilder().store(verification.Store([root])).time(now)
    assert builder.build_server_verifier(x509.DNSName(WEB.server_name)).verify(leaf, [issuing]) == [
        leaf,
        issuing,
        root,
    ]
    verified = builder.build_client_verifier().verify(leaf, [issuing])
    assert verified.subjects is not None
    assert x509.UniformResourceIdentifier("spiffe://shop.example/web") in verified.subjects


def test_a_handshake_of_two_workloads_verifies_both(tmp_path):
    now = datetime.now(UTC)
    authority = create_authority("shop.example", now).authority
    catalog = WorkloadIdentity("catalog", "shop.example", "shop.mesh")
    server = _context(tmp_path, issue(authority, catalog, MONTH, now), ssl.PROTOCOL_TLS_SERVER)
    client = _context(tmp_path, issue(authority, WEB, MONTH, now), ssl.PROTOCOL_TLS_CLIENT)
    caller, callee = _handshake(server, client, "catalog.shop.mesh")
    assert ("URI", "spiffe://shop.example/web") in caller["subjectAltName"]
    assert ("URI", "spiffe://shop.example/catalog") in callee["subjectAltName"]


def test_a_handshake_with_the_wrong_name_or_another_ca_fails(tmp_path):
    now = datetime.now(UTC)
    authority, other = (create_authority("shop.example", now).authority for _ in range(2))
    server = _context(tmp_path, issue(authority, WEB, MONTH, now), ssl.PROTOCOL_TLS_SERVER)
    client = _context(tmp_path, issue(authority, WEB, MONTH, now), ssl.PROTOCOL_TLS_CLIENT)
    stranger = _context(tmp_path, issue(other, WEB, MONTH, now), ssl.PROTOCOL_TLS_CLIENT)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        _handshake(server, client, "catalog.shop.mesh")
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(server, stranger, "web.shop.mesh")


def _context(folder, issued, protocol):
    for name, content in {"c": issued.chain_pem, "k": issued.key_pem, "t": issued.trust_pem}.items():
        (folder / name).write_bytes(content)
    context = ssl.SSLContext(protocol)
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(folder / "c", folder / "k")
    context.load_verify_locations(folder / "t")
    return context


def _handshake(server, client, name):
    """What each side learnt of the other: (the caller's certificate, the callee's)."""
    left, right = socket.socketpair()
    caller: list[dict] = []

    def accept():
        try:
            with server.wrap_socket(left, server_side=True) as connection:
                caller.append(connection.getpeercert())
                connection.sendall(b"x")
        except (ssl.SSLError, OSError):
            left.close()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        with client.wrap_socket(right, server_hostname=name) as connection:
            callee = connection.getpeercert()
            connection.recv(1)
    finally:
        right.close()
        thread.join(timeout=10)
    return caller[0], callee
