"""A certificate into a bundle by itself: with its key, whole, or not at all."""

from __future__ import annotations

import dataclasses
import os
import stat
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from msgspec.structs import replace

from meshctl.diagnostics import FindingsError, UsageError
from meshctl.pki import crl, installing, requests
from meshctl.pki.authority import Authority, create_authority
from meshctl.pki.identities import Identities
from meshctl.pki.issuers import Embedded
from meshctl.pki.store import CertificateState
from tests.unit.pki.conftest import NOW, POLICY, holder

ALONE = replace(holder("web"), alone=True)
IDENTITIES = Identities("shop", POLICY, (ALONE,))
CHECKED = replace(IDENTITIES, crl=True)
DAY = timedelta(days=1)


@dataclass
class Outside:
    """An issuer that is not at hand: it cannot say whom to trust."""

    authority: Authority
    asked: int = 0
    answer: bytes | None = None
    trust_pem: bytes | None = None

    def issue(self, holder, request, lifetime):
        self.asked += 1
        own = Embedded(self.authority, NOW, crl=False).issue(holder, request, lifetime)
        return own if self.answer is None else self.answer


def contents(bundle):
    return (
        {each.name: each.read_bytes() for each in (bundle / "tls").iterdir() if each.is_file()}
        if (bundle / "tls").exists()
        else {}
    )


def pair(bundle):
    leaf = x509.load_pem_x509_certificate((bundle / "tls/cert.pem").read_bytes())
    key = serialization.load_pem_private_key((bundle / "tls/cert.pem.key").read_bytes(), None)
    return leaf, key


def requested(bundle, authority, *, lists=False):
    path = requests.create(bundle, ALONE.identity)
    return Embedded(authority, NOW, crl=lists).issue(ALONE, path.read_bytes(), POLICY.lifetime)


def test_the_waiting_key_and_its_certificate_come_into_force_together(tmp_path, authority):
    answer = requested(tmp_path, authority)
    key = (tmp_path / "tls/request.key").read_bytes()
    installing.install(tmp_path, IDENTITIES, answer, authority.root_pem, NOW)
    assert sorted(contents(tmp_path)) == [".gitignore", "ca.pem", "cert.pem", "cert.pem.key"]
    assert contents(tmp_path)["cert.pem.key"] == key
    assert stat.S_IMODE((tmp_path / "tls/cert.pem.key").stat().st_mode) == 0o600
    assert installing.status(tmp_path, IDENTITIES, NOW).state is CertificateState.VALID


def test_what_is_in_force_stays_until_then(tmp_path, authority):
    installing.renew(tmp_path, IDENTITIES, Outside(authority), authority.root_pem, lambda: NOW)
    before = contents(tmp_path)
    answer = requested(tmp_path, authority)
    assert {name: contents(tmp_path)[name] for name in before} == before
    installing.install(tmp_path, IDENTITIES, answer, None, NOW)
    after = contents(tmp_path)
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} == {"cert.pem", "cert.pem.key"}


@pytest.mark.parametrize("step", range(6))
def test_cut_short_at_any_step_it_can_be_done_again(tmp_path, authority, monkeypatch, step):
    """A pair that does not fit is never there, and the same answer mends it."""
    installing.renew(tmp_path, IDENTITIES, Outside(authority), authority.root_pem, lambda: NOW)
    answer = requested(tmp_path, authority)
    real: dict[str, Any] = {"rename": os.rename, "unlink": os.unlink}
    done: list[str] = []

    def die(name):
        def step_or_die(*arguments, **named):
            if len(done) == step:
                raise KeyboardInterrupt
            done.append(name)
            return real[name](*arguments, **named)

        return step_or_die

    with monkeypatch.context() as patched:
        for name in real:
            patched.setattr(os, name, die(name))
        with pytest.raises(KeyboardInterrupt):
            installing.install(tmp_path, IDENTITIES, answer, None, NOW)
    if (tmp_path / "tls/cert.pem").exists():
        leaf, key = pair(tmp_path)
        assert leaf.public_key() == key.public_key()
    installing.install(tmp_path, IDENTITIES, answer, None, NOW)
    leaf, key = pair(tmp_path)
    assert leaf == x509.load_pem_x509_certificate(answer)
    assert leaf.public_key() == key.public_key()


def test_a_key_that_is_in_force_is_not_asked_for_again(tmp_path, authority):
    """As after an installing that was cut short before it could tidy up."""
    answer = requested(tmp_path, authority)
    left = (tmp_path / "tls/request.key").read_bytes()
    installing.install(tmp_path, IDENTITIES, answer, authority.root_pem, NOW)
    (tmp_path / "tls/request.key").write_bytes(left)
    (tmp_path / "tls/request.key").chmod(0o600)
    requests.create(tmp_path, ALONE.identity)
    assert (tmp_path / "tls/request.key").read_bytes() != left


def test_an_answer_to_another_request_changes_nothing(tmp_path, authority):
    answer = requested(tmp_path, authority)
    (tmp_path / "tls/request.key").unlink()
    requests.create(tmp_path, ALONE.identity)
    before = contents(tmp_path)
    with pytest.raises(FindingsError) as caught:
        installing.install(tmp_path, IDENTITIES, answer, authority.root_pem, NOW)
    assert "the key that it is for is not in this bundle" in caught.value.findings[0].message
    assert contents(tmp_path) == before


def test_nobody_is_trusted_at_first_sight(tmp_path, authority):
    answer = requested(tmp_path, authority)
    before = contents(tmp_path)
    with pytest.raises(UsageError, match="--trust FILE"):
        installing.install(tmp_path, IDENTITIES, answer + authority.root_pem, None, NOW)
    assert contents(tmp_path) == before
    outside = Outside(authority)
    with pytest.raises(UsageError, match="--trust FILE"):
        installing.renew(tmp_path, IDENTITIES, outside, None, lambda: NOW)
    assert outside.asked == 0


def test_the_meshs_own_ca_says_whom_to_trust(tmp_path, authority):
    done = installing.renew(tmp_path, IDENTITIES, Embedded(authority, NOW, crl=False), None, lambda: NOW)
    assert done.renewed
    assert contents(tmp_path)["ca.pem"] == authority.root_pem


@pytest.mark.parametrize(
    ("later", "always", "renewed"),
    [
        (timedelta(), False, False),
        (timedelta(), True, True),
        (19 * DAY, False, False),
        (21 * DAY, False, True),
    ],
)
def test_only_what_is_due_is_renewed(tmp_path, later, always, renewed):
    authority = create_authority("shop.example", NOW - 30 * DAY).authority
    installing.renew(tmp_path, IDENTITIES, Embedded(authority, NOW, crl=False), None, lambda: NOW)
    before = contents(tmp_path)
    now = NOW + later
    done = installing.renew(
        tmp_path, IDENTITIES, Embedded(authority, now, crl=False), None, lambda: now, always=always
    )
    assert done.renewed is renewed
    assert (contents(tmp_path) == before) is not renewed
    if renewed:
        assert contents(tmp_path)["cert.pem.key"] != before["cert.pem.key"]


def test_a_renewal_that_fails_writes_nothing(tmp_path, authority):
    other = create_authority("shop.example", NOW).authority
    for issuer in (Outside(other), Outside(authority, answer=b"")):
        with pytest.raises(FindingsError):
            installing.renew(tmp_path, IDENTITIES, issuer, authority.root_pem, lambda: NOW)
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    ("held", "given", "installed"),
    [
        # Days that are left of the certificate in force, and those of the new one.
        (30, 1, False),
        (5, 1, False),
        (30, 11, True),
        (5, 6, True),
        (0, 1, True),
    ],
)
def test_what_is_due_at_once_replaces_nothing_that_lasts_longer(tmp_path, held, given, installed):
    authority = create_authority("shop.example", NOW - 30 * DAY).authority
    then, lasting = NOW - (30 - held) * DAY, replace(POLICY, lifetime=given * DAY)
    installing.renew(tmp_path, IDENTITIES, Embedded(authority, then, crl=False), None, lambda: then)
    before = contents(tmp_path)

    @dataclass
    class Mean(Outside):
        def issue(self, holder, request, lifetime):
            return Embedded(self.authority, NOW, crl=False).issue(holder, request, lasting.lifetime)

    if installed:
        installing.renew(tmp_path, IDENTITIES, Mean(authority), None, lambda: NOW, always=True)
        assert contents(tmp_path)["cert.pem"] != before["cert.pem"]
        return
    with pytest.raises(FindingsError, match="1 finding") as caught:
        installing.renew(tmp_path, IDENTITIES, Mean(authority), None, lambda: NOW, always=True)
    (found,) = caught.value.findings
    assert "the issuer gave less than the 30 days asked for" in found.message
    assert "longest lifetime" in found.fix
    assert contents(tmp_path) == before


def test_lists_come_along_and_never_go_back(tmp_path, new_authority):
    authority = new_authority.authority
    installing.renew(tmp_path, CHECKED, Embedded(authority, NOW, crl=True), None, lambda: NOW)
    assert contents(tmp_path)["crl.pem"] == authority.crl_pem
    own, roots = crl.parse(authority.crl_pem)
    newer = crl.sign(authority.issuing, authority.issuing_key, NOW, NOW + 30 * DAY, own, [4711])
    newer += roots.public_bytes(serialization.Encoding.PEM)
    (tmp_path / "tls/crl.pem").write_bytes(newer)
    before = contents(tmp_path)
    with pytest.raises(FindingsError) as caught:
        installing.renew(
            tmp_path, CHECKED, Embedded(authority, NOW, crl=True), None, lambda: NOW, always=True
        )
    assert "is older than the bundle's" in caught.value.findings[0].message
    assert contents(tmp_path) == before
    done = installing.renew(
        tmp_path,
        CHECKED,
        Embedded(dataclasses.replace(authority, crl_pem=newer), NOW, crl=True),
        None,
        lambda: NOW,
        always=True,
    )
    assert done.after.state is CertificateState.VALID
    assert contents(tmp_path)["crl.pem"] == newer


@pytest.mark.parametrize("name", ["cert.pem", "crl.pem"])
def test_lists_and_certificate_come_together_or_not_at_all(tmp_path, new_authority, name):
    authority = new_authority.authority
    installing.renew(tmp_path, CHECKED, Embedded(authority, NOW, crl=True), None, lambda: NOW)
    own, roots = crl.parse(authority.crl_pem)
    newer = crl.sign(authority.issuing, authority.issuing_key, NOW, NOW + 30 * DAY, own, [4711])
    newer += roots.public_bytes(serialization.Encoding.PEM)
    (tmp_path / "tls" / name).unlink()
    (tmp_path / "tls" / name).mkdir()
    before = contents(tmp_path)
    issuer = Embedded(dataclasses.replace(authority, crl_pem=newer), NOW, crl=True)
    with pytest.raises(IsADirectoryError, match=name):
        installing.renew(tmp_path, CHECKED, issuer, None, lambda: NOW, always=True)
    assert contents(tmp_path) == before


def test_lists_that_nobody_looks_at_are_left_out(tmp_path, authority):
    installing.renew(tmp_path, IDENTITIES, Embedded(authority, NOW, crl=True), None, lambda: NOW)
    assert "crl.pem" not in contents(tmp_path)


def test_a_linked_folder_is_not_followed(tmp_path, authority):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "tls").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=r"directory|link"):
        installing.renew(tmp_path, IDENTITIES, Embedded(authority, NOW, crl=False), None, lambda: NOW)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_an_answer_where_nobody_asked_is_refused(tmp_path, authority):
    for each in ("a", "b"):
        (tmp_path / each).mkdir()
    answer = requested(tmp_path / "a", authority)
    with pytest.raises(FindingsError) as caught:
        installing.install(tmp_path / "b", IDENTITIES, answer, authority.root_pem, NOW)
    assert "the key that it is for is not in this bundle" in caught.value.findings[0].message
    assert not list((tmp_path / "b").iterdir())
