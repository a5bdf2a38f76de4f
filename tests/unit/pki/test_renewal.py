from __future__ import annotations

import fcntl
import os
import threading
from datetime import timedelta

import pytest

from meshctl.catalogue import CODES
from meshctl.diagnostics import Severity
from meshctl.pki import renewal
from meshctl.pki.authority import create_authority
from meshctl.pki.issue import IssuerEndsFirstError
from meshctl.pki.store import CertificateState, CertificateStatus


@pytest.fixture
def build(tmp_path, identities):
    for holder in identities.holders:
        tmp_path.joinpath(*holder.folder).mkdir(parents=True)
    return tmp_path


def certificates(build):
    return {path: path.read_bytes() for path in build.rglob("cert.pem")}


def test_what_is_missing_is_issued_once(build, identities, authority, now):
    issued = renewal.issue_due(build, identities, authority, now)
    assert [(str(each.holder), each.state) for each in issued] == [
        ("web", CertificateState.MISSING),
        ("catalog/a", CertificateState.MISSING),
        ("catalog/b", CertificateState.MISSING),
    ]
    assert len(set(certificates(build).values())) == 3
    before = certificates(build)
    assert renewal.issue_due(build, identities, authority, now) == ()
    assert certificates(build) == before
    assert renewal.findings(renewal.check(build, identities, authority, now)) == ()


def test_only_what_needs_it_is_issued_again(build, identities, authority, now):
    renewal.issue_due(build, identities, authority, now)
    before = certificates(build)
    (build / "catalog/a/tls/cert.pem.key").unlink()
    renewal.issue_due(build, identities, authority, now)
    after = certificates(build)
    assert {path.relative_to(build).parts[1] for path in after if after[path] != before[path]} == {"a"}


def test_all_are_issued_again_when_due_or_when_the_ca_changed(build, identities, authority, now):
    renewal.issue_due(build, identities, authority, now)
    due = now + identities.policy.lifetime - identities.policy.renew_before
    states = [each.state for each in renewal.check(build, identities, authority, due)]
    assert states == [CertificateState.DUE] * 3
    other = create_authority("shop.example", now).authority
    states = [each.state for each in renewal.issue_due(build, identities, other, now)]
    assert states == [CertificateState.FOREIGN_CA] * 3
    assert renewal.issue_due(build, identities, other, now) == ()


def test_nothing_is_touched_when_the_issuer_ends_first(build, identities, authority, now):
    late = now + timedelta(days=340)
    with pytest.raises(IssuerEndsFirstError):
        renewal.issue_due(build, identities, authority, late)
    assert list(build.rglob("tls")) == []


def test_two_at_a_time_wait_for_each_other(build, identities, authority, now):
    """Else the key of one could come to stand beside the certificate of the other."""
    thread = threading.Thread(target=renewal.issue_due, args=(build, identities, authority, now))
    descriptor = os.open(build, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
        assert list(build.rglob("tls")) == []
    finally:
        os.close(descriptor)
    thread.join(10)
    assert len(certificates(build)) == 3


@pytest.mark.parametrize(
    "state", [state for state in CertificateState if state is not CertificateState.VALID]
)
def test_every_state_but_valid_is_an_error_with_a_way_out(identities, state):
    status = CertificateStatus(identities.holders[1], state, None, "because")
    (finding,) = renewal.findings([status])
    assert finding.severity is Severity.ERROR
    assert finding.message == "certificate of `catalog/a`: because"
    assert "meshctl certs issue" in CODES[finding.slug].fix
