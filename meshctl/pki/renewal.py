"""Which bundles of a mesh need a certificate now, and issuing those."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, UsageError
from meshctl.pki import facts, files, store
from meshctl.pki.authority import Authority
from meshctl.pki.identities import Identities
from meshctl.pki.issue import issue
from meshctl.pki.store import CertificateState, CertificateStatus


def check(
    root: Path, identities: Identities, authority: Authority | None, now: datetime
) -> tuple[CertificateStatus, ...]:
    """The state at ``now`` (UTC) of every certificate below the build folder ``root``."""
    before = identities.policy.renew_before
    return tuple(store.status(root, holder, authority, before, now) for holder in identities.holders)


def issue_due(
    root: Path, identities: Identities, authority: Authority, now: datetime
) -> tuple[CertificateStatus, ...]:
    """Issue what is not valid, or due, into the bundles below ``root``.

    Nothing is replaced before everything could be issued and staged. Returns the former states of what was
    replaced. Raises IssuerEndsFirstError, and UsageError where a bundle is missing or not ours to write.
    """
    try:
        return _issue_due(root, identities, authority, now)
    except FileNotFoundError as error:
        raise UsageError(
            f"there is no bundle {error.filename} in {root}; run `meshctl build` first"
        ) from error
    except OSError as error:
        raise UsageError(
            f"cannot write certificates in {root}: {error.filename}: {error.strerror}"
        ) from error


def _issue_due(
    root: Path, identities: Identities, authority: Authority, now: datetime
) -> tuple[CertificateStatus, ...]:
    with files.folder(root) as descriptor:
        # Two at a time could leave the key of one beside the certificate of the other.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        # Before the files are read, so that a change afterwards is seen as one.
        marks = {each: facts.marks(root, each) for each in identities.holders}
        found = check(root, identities, authority, now)
        ends = {each.holder: each.not_after for each in found}
        replaced = tuple(each for each in found if each.state is not CertificateState.VALID)
        lifetime = identities.policy.lifetime
        issued = {each.holder: issue(authority, each.holder.identity, lifetime, now) for each in replaced}
        store.write(root, issued)
        for holder, each in issued.items():
            marks[holder], ends[holder] = facts.marks(root, holder), each.not_after
        known = [(each, marks[each], end) for each, end in ends.items() if end]
        with contextlib.suppress(OSError):
            # They save time only; the certificates are in place.
            facts.record(root, facts.digest(authority.root_pem, authority.issuing_pem), now, known)
    return replaced


def findings(statuses: Iterable[CertificateStatus]) -> tuple[Finding, ...]:
    """One error for each certificate that is not valid, or due: expiry is never a mere warning."""
    return tuple(
        finding(f"certificate-{each.state}", None, f"certificate of `{each.holder}`: {each.message}")
        for each in statuses
        if each.state is not CertificateState.VALID
    )
