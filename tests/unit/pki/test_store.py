"""What stands in a bundle's ``tls`` folder: every state, and what a reader may see while it changes."""

from __future__ import annotations

import dataclasses
import os
import stat
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from msgspec.structs import replace

from meshctl import ir
from meshctl.pki import profile, store
from meshctl.pki.authority import create_authority
from meshctl.pki.identities import Holder
from meshctl.pki.issue import issue
from meshctl.pki.store import CertificateState

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
MONTH = timedelta(days=30)
WINDOW = timedelta(days=10)
WEB = Holder("web", "", ir.WorkloadIdentity("web", "shop.example", "shop.mesh"))
FILES = ("cert.pem", "cert.pem.key", "ca.pem")


def state(root, authority, now=NOW, holder=WEB):
    return store.status(root, holder, authority, WINDOW, now).state


@pytest.fixture
def issued(authority):
    return issue(authority, WEB.identity, MONTH, NOW)


@pytest.fixture
def root(tmp_path, issued):
    (tmp_path / "web").mkdir()
    store.write(tmp_path, {WEB: issued})
    return tmp_path


def test_what_is_written(root, issued):
    tls = root / "web/tls"
    assert sorted(path.name for path in tls.iterdir()) == sorted([*FILES, ".gitignore"])
    assert (tls / "cert.pem").read_bytes() == issued.chain_pem
    assert (tls / "cert.pem.key").read_bytes() == issued.key_pem
    assert (tls / "ca.pem").read_bytes() == issued.trust_pem
    assert (tls / ".gitignore").read_text() == "*\n"
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tls.iterdir()}
    assert modes == {"cert.pem": 0o644, "cert.pem.key": 0o600, "ca.pem": 0o644, ".gitignore": 0o644}


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_modes_do_not_depend_on_the_umask(tmp_path, issued, umask):
    (tmp_path / "web").mkdir()
    before = os.umask(umask)
    try:
        store.write(tmp_path, {WEB: issued})
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "web/tls/cert.pem.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "web/tls/cert.pem").stat().st_mode) == 0o644


END = NOW + MONTH
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (NOW - timedelta(minutes=5) - SECOND, CertificateState.NOT_YET_VALID),
        (NOW - timedelta(minutes=5), CertificateState.VALID),
        (END - WINDOW - SECOND, CertificateState.VALID),
        (END - WINDOW, CertificateState.DUE),
        (END - SECOND, CertificateState.DUE),
        (END, CertificateState.EXPIRED),
    ],
)
def test_states_over_time(root, authority, now, expected):
    assert state(root, authority, now) is expected


def _identity(**changes):
    return replace(WEB, identity=replace(WEB.identity, **changes))


@pytest.mark.parametrize(
    "other",
    [_identity(service="webb"), _identity(trust_domain="shop.test"), _identity(domain="shop.example")],
)
def test_a_name_of_the_identity_that_differs(root, authority, other):
    assert state(root, authority, holder=other) is CertificateState.WRONG_IDENTITY


def test_a_subject_that_differs_while_the_san_is_right(root, authority, monkeypatch):
    monkeypatch.setattr(profile, "name", lambda organization, common: x509.Name([]))
    store.write(root, {WEB: issue(authority, WEB.identity, MONTH, NOW)})
    assert state(root, authority) is CertificateState.WRONG_IDENTITY


def test_a_leaf_of_an_earlier_release_is_due_for_the_name_that_it_lacks(root, authority, monkeypatch):
    monkeypatch.setattr(ir.WorkloadIdentity, "dns_names", property(lambda identity: (identity.dns_name,)))
    store.write(root, {WEB: issue(authority, WEB.identity, MONTH, NOW)})
    assert state(root, authority) is CertificateState.VALID
    monkeypatch.undo()
    found = store.status(root, WEB, authority, WINDOW, NOW)
    assert found.state is CertificateState.WRONG_IDENTITY
    assert found.message == "it lacks the DNS name web.spiffe.shop.example"
    assert found.state.needs_certificate


def test_a_certificate_of_another_ca(root, authority):
    other = create_authority("shop.example", NOW).authority
    assert state(root, other) is CertificateState.FOREIGN_CA
    assert state(root, None) is CertificateState.VALID


@pytest.mark.parametrize("name", ["cert.pem", "ca.pem"])
def test_a_chain_or_trust_bundle_without_this_ca(root, authority, name):
    other = create_authority("shop.example", NOW).authority
    path = root / "web/tls" / name
    content = path.read_bytes().replace(authority.issuing_pem, other.issuing_pem)
    path.write_bytes(content.replace(authority.root_pem, other.root_pem))
    assert state(root, authority) is CertificateState.FOREIGN_CA


def test_a_leaf_of_another_ca_before_this_cas_chain(root, authority):
    other = create_authority("shop.example", NOW).authority
    issued = issue(other, WEB.identity, MONTH, NOW)
    chain = issued.chain_pem.replace(other.issuing_pem, authority.issuing_pem)
    store.write(root, {WEB: dataclasses.replace(issued, chain_pem=chain, trust_pem=authority.root_pem)})
    assert state(root, authority) is CertificateState.FOREIGN_CA


def test_a_second_root_in_the_trust_bundle_is_a_rotation_under_way(root, authority):
    other = create_authority("shop.example", NOW).authority
    path = root / "web/tls/ca.pem"
    path.write_bytes(other.root_pem + path.read_bytes())
    assert state(root, authority) is CertificateState.VALID


def test_a_key_of_another_certificate(root, authority):
    (root / "web/tls/cert.pem.key").write_bytes(profile.key_pem(profile.new_key()))
    assert state(root, authority) is CertificateState.MISMATCHED_KEY


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_missing(root, authority, name):
    (root / "web/tls" / name).unlink()
    found = store.status(root, WEB, authority, WINDOW, NOW)
    assert found.state is CertificateState.MISSING
    assert name in found.message


def test_a_bundle_that_is_missing(tmp_path, authority):
    assert state(tmp_path, authority) is CertificateState.MISSING


@pytest.mark.parametrize("name", FILES[:2])
@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_file_that_does_not_parse(root, authority, name, content):
    (root / "web/tls" / name).write_bytes(content)
    assert state(root, authority) is CertificateState.UNREADABLE


def test_a_key_with_a_password_is_unreadable_for_a_proxy_too(root, authority, issued):
    key = serialization.load_pem_private_key(issued.key_pem, None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"password"),
    )
    (root / "web/tls/cert.pem.key").write_bytes(encrypted)
    assert state(root, authority) is CertificateState.UNREADABLE


@pytest.mark.parametrize("name", FILES)
def test_a_linked_file_is_neither_read_nor_replaced(root, authority, issued, name):
    path = root / "web/tls" / name
    path.rename(root / "elsewhere")
    path.symlink_to(root / "elsewhere")
    found = store.status(root, WEB, authority, WINDOW, NOW)
    assert found.state is CertificateState.UNREADABLE
    assert "symbolic link" in found.message
    before = (root / "elsewhere").read_bytes()
    with pytest.raises(OSError, match="symbolic link"):
        store.write(root, {WEB: issued})
    assert path.is_symlink()
    assert (root / "elsewhere").read_bytes() == before


@pytest.mark.parametrize("link", ["web", "web/tls"])
def test_a_linked_folder_is_not_followed(tmp_path, authority, issued, link):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / link).parent.mkdir(exist_ok=True)
    (tmp_path / link).symlink_to(tmp_path / "elsewhere")
    assert state(tmp_path, authority) is CertificateState.UNREADABLE
    with pytest.raises(OSError, match=r"Not a directory|symbolic link"):
        store.write(tmp_path, {WEB: issued})
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_pipe_in_place_of_a_file_does_not_hang(root, authority):
    (root / "web/tls/cert.pem").unlink()
    os.mkfifo(root / "web/tls/cert.pem")
    assert state(root, authority) is CertificateState.UNREADABLE


def test_no_error_quotes_a_key(root, authority):
    key = (root / "web/tls/cert.pem.key").read_text()
    (root / "web/tls/cert.pem").write_text(key)
    message = store.status(root, WEB, authority, WINDOW, NOW).message
    assert not any(line in message for line in key.splitlines()[1:-1])


def test_at_no_instant_do_a_certificate_and_another_key_stand_together(root, authority, monkeypatch):
    """Looks at the folder before and after each step of a replacement, and when it fails there."""
    seen = []

    def look():
        seen.append(state(root, authority))

    def watched(call):
        def wrapper(*arguments, **options):
            look()
            call(*arguments, **options)
            look()

        return wrapper

    monkeypatch.setattr(os, "rename", watched(os.rename))
    monkeypatch.setattr(os, "unlink", watched(os.unlink))
    store.write(root, {WEB: issue(authority, WEB.identity, MONTH, NOW)})
    assert len(seen) == 8
    assert set(seen) == {CertificateState.VALID, CertificateState.MISSING}


@pytest.mark.parametrize("fails_at", [1, 2, 3])
def test_a_crash_while_replacing_leaves_nothing_behind_and_nothing_wrong(
    root, authority, monkeypatch, fails_at
):
    calls = []
    rename = os.rename

    def failing(*arguments, **options):
        calls.append(arguments)
        if len(calls) == fails_at:
            raise OSError("no space left on device")
        rename(*arguments, **options)

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(OSError, match="no space"):
        store.write(root, {WEB: issue(authority, WEB.identity, MONTH, NOW)})
    assert state(root, authority) is CertificateState.MISSING
    assert not [path for path in (root / "web/tls").iterdir() if path.suffix == ".tmp"]


def test_nothing_is_replaced_when_a_bundle_of_the_batch_is_missing(root, authority, issued):
    before = (root / "web/tls/cert.pem").read_bytes()
    gone = replace(WEB, service="gone")
    with pytest.raises(FileNotFoundError):
        store.write(root, {WEB: issue(authority, WEB.identity, MONTH, NOW), gone: issued})
    assert (root / "web/tls/cert.pem").read_bytes() == before
    assert not (root / "gone").exists()
    assert not [path for path in (root / "web/tls").iterdir() if path.suffix == ".tmp"]
