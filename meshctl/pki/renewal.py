"""Which bundles of a mesh need a certificate now, and issuing those."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, UsageError
from meshctl.pki import crl, facts, files, register, store, trust
from meshctl.pki.authority import Authority
from meshctl.pki.identities import Holder, Identities
from meshctl.pki.issue import issue
from meshctl.pki.store import CertificateState, CertificateStatus


def check(
    root: Path, identities: Identities, authority: Authority | None, now: datetime
) -> tuple[CertificateStatus, ...]:
    """The state at ``now`` (UTC) of every certificate below the build folder ``root``."""
    before = identities.policy.renew_before
    return tuple(
        store.status(root, holder, authority, before, now, with_lists=identities.crl)
        for holder in identities.holders
    )


def issue_due(
    root: Path, identities: Identities, authority: Authority, now: datetime
) -> tuple[CertificateStatus, ...]:
    """Issue what is not valid, revoked or due into the bundles below ``root``, and deliver newer revocation lists.

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
    # Two at a time could leave the key of one beside the certificate of the other.
    with files.folder(root) as descriptor, files.lock(descriptor):
        store.sweep(root, identities.holders)
        # Before the files are read, so that a change afterwards is seen as one.
        marks = {each: facts.marks(root, each, crl=identities.crl) for each in identities.holders}
        found = check(root, identities, authority, now)
        ends = {each.holder: each.not_after for each in found}
        replaced = tuple(each for each in found if each.state is not CertificateState.VALID)
        lifetime = identities.policy.lifetime
        issued = {
            each.holder: issue(authority, each.holder.identity, lifetime, now)
            for each in replaced
            if each.state.needs_certificate
        }
        # Without lists a register would say that they were lost.
        if issued and authority.folder and authority.crl_pem:
            entries = [
                register.Entry(each.serial, holder.service, str(holder), each.not_after)
                for holder, each in issued.items()
            ]
            register.record(authority.folder, entries, now)
        relisted = _deliver(root, identities, authority)
        store.write(root, issued)
        for holder in (*relisted, *issued):
            marks[holder] = facts.marks(root, holder, crl=identities.crl)
        ends |= {holder: each.not_after for holder, each in issued.items()}
        _remember(root, identities, authority, now, {each: (marks[each], end) for each, end in ends.items()})
    return replaced


def deliver(root: Path, identities: Identities, authority: Authority) -> tuple[Holder, ...]:
    """Put the revocation lists into the bundles, where those look at them, and the roots; returns who had others. Raises OSError."""
    with files.folder(root) as descriptor, files.lock(descriptor):
        store.sweep(root, identities.holders)
        return _deliver(root, identities, authority)


def _deliver(root: Path, identities: Identities, authority: Authority) -> tuple[Holder, ...]:
    relisted = store.write_lists(root, identities.holders, authority.lists_pem) if identities.crl else ()
    # A root whose CA's list is not there yet would let nobody in.
    trusting = trust.write(root, identities.holders, authority)
    return tuple(each for each in identities.holders if each in relisted or each in trusting)


def _remember(
    root: Path,
    identities: Identities,
    authority: Authority,
    now: datetime,
    found: Mapping[Holder, tuple[facts.Marks | None, datetime | None]],
) -> None:
    lists = authority.lists_pem
    latest = crl.end(crl.parse(lists)) if lists and identities.crl else None
    known = [
        (each, marked, min(end, latest or end)) for each, (marked, end) in found.items() if end is not None
    ]
    with contextlib.suppress(OSError):
        # They save time only; the certificates are in place.
        facts.record(root, facts.digest(*authority.parts), now, known)


def findings(statuses: Iterable[CertificateStatus]) -> tuple[Finding, ...]:
    """One error for each certificate that is not valid, or due: expiry is never a mere warning."""
    return tuple(
        finding(_slug(each.state), None, f"certificate of `{each.holder}`: {each.message}")
        for each in statuses
        if each.state is not CertificateState.VALID
    )


def _slug(state: CertificateState) -> str:
    return f"certificate-{state}" if state.needs_certificate else state.value
