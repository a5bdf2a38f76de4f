"""Facts may only ever say "nothing to do" where a look at the certificates would say so too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta

import pytest
from msgspec.structs import replace

from meshctl.ir import CertificatePolicy
from meshctl.pki import facts, renewal
from meshctl.pki.authority import create_authority, save_authority
from meshctl.pki.issue import issue

SECOND = timedelta(seconds=1)


@pytest.fixture
def build(tmp_path, identities, new_authority, now):
    for holder in identities.holders:
        tmp_path.joinpath("build", *holder.folder).mkdir(parents=True)
    save_authority(tmp_path / "ca", new_authority)
    renewal.issue_due(tmp_path / "build", identities, new_authority.authority, now)
    return tmp_path / "build"


@pytest.fixture
def settled(build, identities, now):
    def ask(identities=identities, now=now, ca=build.parent / "ca"):
        return facts.settled(build, identities, ca, now)

    return ask


def test_after_an_issuing_all_is_settled_until_the_first_is_due(settled, identities, now):
    due = now.replace(microsecond=0) + identities.policy.lifetime - identities.policy.renew_before
    assert settled()
    assert settled(now=due - SECOND)
    assert not settled(now=due)


def test_a_clock_that_was_set_back_settles_nothing(settled, now):
    assert not settled(now=now - SECOND)


def test_a_longer_renewal_window_counts_at_once(settled, identities):
    longer = CertificatePolicy(identities.policy.lifetime, identities.policy.lifetime)
    assert not settled(replace(identities, policy=longer))


def test_another_identity_or_bundle(settled, identities):
    first, *rest = identities.holders
    renamed = replace(first, identity=replace(first.identity, domain="other.mesh"))
    assert not settled(replace(identities, holders=(renamed, *rest)))
    assert not settled(replace(identities, holders=(*identities.holders, replace(first, instance="new"))))
    assert settled(replace(identities, holders=(first,)))


def test_another_ca_or_none(settled, tmp_path, now):
    save_authority(tmp_path / "other", create_authority("shop.example", now))
    assert not settled(ca=tmp_path / "other")
    assert not settled(ca=tmp_path / "none")


def _removed(path):
    path.unlink()


def _rewritten(path):
    content = path.read_bytes()
    path.write_bytes(b"X" + content[1:])


def _replaced_with_the_same_size_and_time(path):
    before = path.stat()
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.rename(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _opened_to_others(path):
    path.chmod(0o666)


@pytest.mark.parametrize("name", ["cert.pem", "cert.pem.key", "ca.pem"])
@pytest.mark.parametrize(
    "change", [_removed, _rewritten, _replaced_with_the_same_size_and_time, _opened_to_others]
)
def test_a_file_that_was_touched(build, settled, name, change):
    change(build / "catalog/b/tls" / name)
    assert not settled()


def test_a_change_that_turns_out_harmless_is_learnt(build, settled, identities, authority, now):
    _opened_to_others(build / "web/tls/ca.pem")
    assert renewal.issue_due(build, identities, authority, now) == ()
    assert settled()


def test_issuing_for_one_service_forgets_nothing_about_others(build, settled, identities, authority, now):
    (build / "web/tls/cert.pem").unlink()
    only = replace(identities, holders=identities.holders[:1])
    renewal.issue_due(build, only, authority, now)
    assert settled()


def test_a_certificate_that_came_in_while_others_were_issued_is_not_taken_for_one_that_was_read(
    build, settled, identities, authority, now, monkeypatch
):
    (build / "catalog/a/tls/cert.pem").unlink()

    def meanwhile(*arguments):
        _rewritten(build / "web/tls/cert.pem")
        return issue(*arguments)

    monkeypatch.setattr(renewal, "issue", meanwhile)
    renewal.issue_due(build, identities, authority, now)
    assert not settled()


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", "null", '{"schemaVersion": 1, "authority": 5, "bundles": 5}']
)
def test_facts_of_another_make_are_no_facts(build, settled, content):
    (build / ".meshctl/certificates.json").write_text(content)
    assert not settled()


def test_facts_with_holes_are_no_facts(build, settled):
    path = build / ".meshctl/certificates.json"
    document = json.loads(path.read_text())
    document["bundles"]["web"] = {}
    path.write_text(json.dumps(document))
    assert not settled()
    document["bundles"]["web"] = []
    path.write_text(json.dumps(document))
    assert not settled()


def test_facts_that_cannot_be_kept_do_not_fail_an_issuing(tmp_path, identities, authority, now):
    for holder in identities.holders:
        tmp_path.joinpath(*holder.folder).mkdir(parents=True)
    (tmp_path / ".meshctl").symlink_to(tmp_path / "elsewhere")
    assert len(renewal.issue_due(tmp_path, identities, authority, now)) == 3


def test_git_ignores_them(build):
    assert (build / ".meshctl/.gitignore").read_text() == "*\n"


def test_they_cost_no_import_of_cryptography():
    code = "import sys, meshctl.pki.facts; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
