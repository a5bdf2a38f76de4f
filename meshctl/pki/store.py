"""A bundle's ``tls`` folder on the disk: certificate, key and trust bundle, read and written.

Key and certificate are two files, so no single rename can replace both. The order here is: all new files staged and on
the disk; the old certificate removed; trust bundle and key renamed into place; the certificate last. So at every instant a
certificate that is there fits the key that is there. A proxy that starts in between finds no certificate; one that read the
old certificate just before finds a key that does not fit, refuses to start (all three compare the two), and starts when
tried again. A crash in between leaves "missing", which the next issuing mends. Decision 0006.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path, PurePosixPath

from cryptography import x509
from msgspec import Struct

from meshctl.artifacts import CERTIFICATE, PRIVATE_KEY, REVOCATION_LISTS, TRUST_BUNDLE
from meshctl.ir import WorkloadIdentity
from meshctl.pki import crl, files, leaves, parsing, trust
from meshctl.pki.authority import Authority
from meshctl.pki.identities import Holder
from meshctl.pki.issue import Issued
from meshctl.pki.register import Entry

TLS = PurePosixPath(CERTIFICATE).parent.name
_CERTIFICATE = PurePosixPath(CERTIFICATE).name
_PRIVATE_KEY = PurePosixPath(PRIVATE_KEY).name
_TRUST_BUNDLE = PurePosixPath(TRUST_BUNDLE).name
_LISTS = PurePosixPath(REVOCATION_LISTS).name
_MOMENT = "%Y-%m-%dT%H:%M:%SZ"

_SYNC_EACH = 100
"""From this many files on, one sync of the whole machine is cheaper than a sync of each."""


class CertificateState(StrEnum):
    """What is to be said of a bundle's certificate; the first that applies, worst first."""

    MISSING = "missing"
    UNREADABLE = "unreadable"
    MISMATCHED_KEY = "mismatched-key"
    WRONG_IDENTITY = "wrong-identity"
    FOREIGN_CA = "foreign-ca"
    OTHER_ROOT = "other-root"
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    REVOKED = "revoked"
    DUE = "due"
    TRUST_OUTDATED = "trust-outdated"
    CRL_MISSING = "crl-missing"
    CRL_UNREADABLE = "crl-unreadable"
    CRL_EXPIRED = "crl-expired"
    CRL_OUTDATED = "crl-outdated"
    CRL_DUE = "crl-due"
    VALID = "valid"

    @property
    def what(self) -> str:
        """What mends it, in words."""
        if self.needs_certificate:
            return "certificate"
        return "trust bundle" if self is CertificateState.TRUST_OUTDATED else "revocation lists"

    @property
    def needs_certificate(self) -> bool:
        """Whether a new certificate mends it; a newer list, or other roots, do where only those are amiss."""
        enough = (CertificateState.VALID, CertificateState.TRUST_OUTDATED)
        return self not in enough and not self.value.startswith("crl-")


_MILDER = (CertificateState.DUE, CertificateState.TRUST_OUTDATED)
"""What a revocation is worse than."""


class CertificateStatus(Struct, frozen=True):
    """One bundle's certificate, and its revocation lists where it has them, at one moment.

    ``not_after`` and ``next_update`` (of the list that ends first) are UTC, None where nothing could be read.
    """

    holder: Holder
    state: CertificateState
    not_after: datetime | None
    message: str
    next_update: datetime | None = None
    checked: bool = True
    """Whether the sidecars of the build look into revocation lists."""


def write(root: Path, issued: Mapping[Holder, Issued], lists_pem: bytes = b"") -> None:
    """Put certificates into their bundles below ``root``, and revocation lists where there are some to put; the bundles' folders must exist.

    Raises OSError, before anything is replaced, when a bundle is missing, cannot be written or reached
    without following a symbolic link.
    """
    mark = secrets.token_hex(8)
    try:
        for holder, each in issued.items():
            with files.folder(root, *holder.folder, TLS, create=True) as tls:
                _stage(tls, each, lists_pem, mark, durable=len(issued) < _SYNC_EACH)
        if len(issued) >= _SYNC_EACH:
            os.sync()
        for holder in issued:
            with files.folder(root, *holder.folder, TLS) as tls:
                _publish(tls, mark, with_lists=bool(lists_pem))
    except BaseException:
        for holder in issued:
            with contextlib.suppress(OSError), files.folder(root, *holder.folder, TLS) as tls:
                _discard(tls, mark)
        raise


def write_lists(root: Path, holders: Iterable[Holder], crl_pem: bytes) -> tuple[Holder, ...]:
    """Put revocation lists into bundles below ``root``; returns the bundles that had others. Raises OSError."""
    replaced = []
    for holder in holders:
        with files.folder(root, *holder.folder, TLS, create=True) as tls:
            files.refuse_link(tls, _LISTS, f"{TLS}/{_LISTS}")
            files.ignore_all(tls)
            with contextlib.suppress(FileNotFoundError):
                if files.read(tls, _LISTS, limit=files.LARGE) == crl_pem:
                    continue
            files.replace(tls, _LISTS, crl_pem, 0o644)
            replaced.append(holder)
    return tuple(replaced)


def sweep(root: Path, holders: Iterable[Holder]) -> None:
    """Remove what killed runs left in the ``tls`` folders of bundles below ``root``; the caller holds their lock."""
    for holder in holders:
        # Where nothing can be removed a certificate may still be read, and writing says why it cannot.
        with contextlib.suppress(OSError), files.folder(root, *holder.folder, TLS) as tls:
            files.sweep(tls)


def lists(root: Path, holder: Holder) -> bytes:
    """The file of revocation lists in a bundle below ``root``, empty where there is none that can be read."""
    try:
        with files.folder(root, *holder.folder, TLS) as tls:
            return _read_lists(tls)
    except OSError:
        return b""


def held(root: Path, holder: Holder) -> Entry | None:
    """The certificate in a bundle below ``root``, None where there is none that can be read."""
    try:
        with files.folder(root, *holder.folder, TLS) as tls:
            leaf = parsing.certificate(files.read(tls, _CERTIFICATE))
    except (OSError, ValueError):
        return None
    return Entry(leaf.serial_number, holder.service, str(holder), leaf.not_valid_after_utc)


def status(
    root: Path,
    holder: Holder,
    authority: Authority | None,
    renew_before: timedelta,
    now: datetime,
    *,
    with_lists: bool = False,
) -> CertificateStatus:
    """What a bundle below ``root`` holds at ``now`` (UTC); ``with_lists``: its sidecar looks into revocation lists.

    Without an ``authority`` nothing is said about who signed. Signatures are not verified: whoever can
    put a forged certificate here can take it away as well, and no peer would accept it.
    """
    try:
        with files.folder(root, *holder.folder, TLS) as tls:
            held = _Held(*(files.read(tls, name) for name in (_CERTIFICATE, _PRIVATE_KEY, _TRUST_BUNDLE)))
            lists = _read_lists(tls) if with_lists else None
    except FileNotFoundError as error:
        return CertificateStatus(holder, CertificateState.MISSING, None, f"there is no {error.filename}")
    except OSError as error:
        return CertificateStatus(holder, CertificateState.UNREADABLE, None, _reason(error))
    try:
        leaf = parsing.certificate(held.chain)
        state, message = _judge(held, leaf, holder.identity, authority)
    except (*parsing.REFUSALS, x509.ExtensionNotFound):
        # The parser's words may quote what it read, and that may be a key.
        message = f"a file in {TLS} is not what its name says"
        return CertificateStatus(holder, CertificateState.UNREADABLE, None, message)
    if state is CertificateState.VALID:
        state, message = _judge_time(leaf, renew_before, now)
    if state is CertificateState.VALID and authority and not trust.holds(held.trust, authority):
        state, message = (
            CertificateState.TRUST_OUTDATED,
            f"{TLS}/{_TRUST_BUNDLE} does not hold the CA's roots of now",
        )
    next_update = None
    if lists is None and state in (CertificateState.VALID, *_MILDER):
        state, message = _judge_unchecked(state, message, leaf, authority)
    if lists is not None:
        listed = _judge_lists(lists, leaf, authority, renew_before, now)
        next_update = listed.next_update
        if state is CertificateState.VALID or (state in _MILDER and listed.state is CertificateState.REVOKED):
            state, message = listed.state, listed.message or message
    return CertificateStatus(holder, state, leaf.not_valid_after_utc, message, next_update, with_lists)


def _judge_unchecked(
    state: CertificateState, message: str, leaf: x509.Certificate, authority: Authority | None
) -> tuple[CertificateState, str]:
    known = crl.parse(authority.lists_pem) if authority and authority.lists_pem else ()
    if leaf.serial_number not in crl.serials(each for each in known if each.issuer == leaf.issuer):
        return state, message
    return CertificateState.REVOKED, "it has been revoked, and nobody checks: this build has no `crl: true`"


class _Listed(Struct, frozen=True):
    state: CertificateState
    message: str
    next_update: datetime | None = None


def _read_lists(tls: int) -> bytes:
    try:
        return files.read(tls, _LISTS, limit=files.LARGE)
    except FileNotFoundError:
        return b""


def _judge_lists(
    content: bytes,
    leaf: x509.Certificate,
    authority: Authority | None,
    renew_before: timedelta,
    now: datetime,
) -> _Listed:
    """What the bundle's lists, and the CA's own, say of the certificate, and how old they are."""
    known = crl.parse(authority.lists_pem) if authority and authority.lists_pem else ()
    lists: tuple[x509.CertificateRevocationList, ...] = ()
    unreadable = False
    try:
        lists = crl.parse(content) if content else ()
    except ValueError:
        unreadable = True
    end = crl.end(lists) if lists else None
    if leaf.serial_number in crl.serials(each for each in (*lists, *known) if each.issuer == leaf.issuer):
        return _Listed(CertificateState.REVOKED, "it has been revoked", end)
    if unreadable:
        return _Listed(CertificateState.CRL_UNREADABLE, f"{TLS}/{_LISTS} is not a file of revocation lists")
    if end is None:
        return _Listed(CertificateState.CRL_MISSING, f"there is no {TLS}/{_LISTS}")
    if now >= end:
        return _Listed(CertificateState.CRL_EXPIRED, f"its revocation list ended {end:{_MOMENT}}", end)
    if authority and any(each.crl_pem not in content for each in authority.trusted):
        return _Listed(CertificateState.CRL_OUTDATED, "the CA has newer revocation lists", end)
    if now >= end - renew_before:
        message = f"its revocation list ends {end:{_MOMENT}}, inside the renewal window"
        return _Listed(CertificateState.CRL_DUE, message, end)
    return _Listed(CertificateState.VALID, "", end)


class _Held(Struct, frozen=True):
    chain: bytes
    key: bytes
    trust: bytes


def _judge(
    held: _Held, leaf: x509.Certificate, identity: WorkloadIdentity, authority: Authority | None
) -> tuple[CertificateState, str]:
    """All but time. Raises ExtensionNotFound and what the library refuses with for what is not a pair of ours."""
    if parsing.private_key(held.key).public_key() != leaf.public_key():
        return CertificateState.MISMATCHED_KEY, "the private key is not the certificate's"
    if not leaves.proves(leaf, identity):
        return CertificateState.WRONG_IDENTITY, f"it is not the certificate of {identity.spiffe_id}"
    if lacking := sorted(set(identity.dns_names) - leaves.dns_names(leaf)):
        return CertificateState.WRONG_IDENTITY, f"it lacks the DNS name {lacking[0]}"
    if authority and not _is_from(authority, leaf, held):
        if authority.beside and leaves.signer(leaf) == authority.beside.key_identifier:
            return CertificateState.OTHER_ROOT, "it is of the CA that a rotation takes out of use"
        return CertificateState.FOREIGN_CA, "it was issued by another CA than this one"
    return CertificateState.VALID, ""


def _judge_time(
    leaf: x509.Certificate, renew_before: timedelta, now: datetime
) -> tuple[CertificateState, str]:
    start, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if now >= end:
        return CertificateState.EXPIRED, f"it ended {end:{_MOMENT}}"
    if now < start:
        return CertificateState.NOT_YET_VALID, f"it starts {start:{_MOMENT}}: one of two clocks is wrong"
    if now >= end - renew_before:
        return CertificateState.DUE, f"it ends {end:{_MOMENT}}, inside its renewal window"
    return CertificateState.VALID, f"it ends {end:{_MOMENT}}"


def _is_from(authority: Authority, leaf: x509.Certificate, held: _Held) -> bool:
    return (
        leaves.signer(leaf) == authority.key_identifier
        and trust.is_shown(authority, held.chain)
        # During a rotation the bundle trusts a second root; that is no reason to issue again.
        and authority.root_pem in held.trust
    )


def _reason(error: OSError) -> str:
    why = error.strerror or str(error)
    return f"{error.filename} {why}" if error.filename else why


def _stage(tls: int, issued: Issued, lists_pem: bytes, mark: str, *, durable: bool) -> None:
    contents = {
        _CERTIFICATE: (issued.chain_pem, 0o644),
        _PRIVATE_KEY: (issued.key_pem, 0o600),
        _TRUST_BUNDLE: (issued.trust_pem, 0o644),
    }
    if lists_pem:
        contents[_LISTS] = (lists_pem, 0o644)
    for name in contents:
        files.refuse_irreplaceable(tls, name, f"{TLS}/{name}")
    files.ignore_all(tls)
    for name, (content, mode) in contents.items():
        files.write(tls, files.staging_name(name, mark), content, mode, durable=durable)


def _publish(tls: int, mark: str, *, with_lists: bool) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_CERTIFICATE, dir_fd=tls)
    for name in (*([_LISTS] if with_lists else []), _TRUST_BUNDLE, _PRIVATE_KEY, _CERTIFICATE):
        os.rename(files.staging_name(name, mark), name, src_dir_fd=tls, dst_dir_fd=tls)


def _discard(tls: int, mark: str) -> None:
    for name in (_LISTS, _CERTIFICATE, _PRIVATE_KEY, _TRUST_BUNDLE):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(files.staging_name(name, mark), dir_fd=tls)
