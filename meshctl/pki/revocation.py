"""A CA's lists of revoked certificates: kept in its folder, and delivered to the bundles."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from meshctl import artifacts
from meshctl.diagnostics import UsageError
from meshctl.ir import CertificatePolicy
from meshctl.pki import authority as authorities
from meshctl.pki import crl, files, parsing, register, rotation, store
from meshctl.pki.authority import Authority, AuthorityError
from meshctl.pki.files import REVOCATION_LISTS, ROOT_KEY
from meshctl.pki.identities import Holder, Identities
from meshctl.pki.register import Entry
from meshctl.suggestions import meant

LIFETIME = authorities.FIRST_LIST_LIFETIME
_FEW = 12
_SERIAL = re.compile("[0-9A-Fa-f]{16,40}")
"""Ours have 159 random bits, others at least 64."""
_END = 2**159
"""RFC 5280, 4.1.2.2: 20 bytes at most, and the first bit is the sign."""


def revoke(
    folder: Path, serials: Collection[int], lifetime: timedelta, now: datetime
) -> tuple[Authority, frozenset[int]]:
    """The CA in ``folder`` with a new list, good for ``lifetime``, in which these serial numbers stand too; which are new.

    In a rotation they stand in the lists of both CAs, whichever of them issued. Raises AuthorityError, and UsageError where the list cannot be written.
    """
    for serial in serials:
        if not 0 < serial < _END:
            raise UsageError(f"{serial:x} is no serial number: they are positive, and have 159 bits at most")
    with _locked(folder):
        found = authorities.load_authority(folder)
        before = crl.serials(crl.parse(found.lists_pem)) if found.lists_pem else frozenset()
        for each in found.trusted:
            _sign(folder, each, lifetime, now, serials)
        return authorities.load_authority(folder), frozenset(serials) - before


def certificates_of(
    who: str, folder: Path, root: Path | None, identities: Identities | None, now: datetime
) -> tuple[Entry, ...]:
    """What ``who``, a service or a serial number in hexadecimal, stands for: certificates that have not ended.

    Known are those in the register of the CA in ``folder``, and those in the bundles below ``root``. A serial
    number that nobody knows may be of an older release's certificate, and stands for itself. Raises UsageError when
    ``who`` is neither, or has none.
    """
    holders = identities.holders if identities else ()
    known = (each for place in rotation.folders(folder) for each in register.entries(place, now))
    found = {each.serial: each for each in known}
    if root is not None:
        current = (store.held(root, holder) for holder in holders)
        found |= {each.serial: each for each in current if each is not None and each.not_after > now}
    services = {each.service for each in found.values()} | {each.service for each in holders}
    if who in services:
        return tuple(each for each in found.values() if each.service == who)
    digits = who.replace(":", "")
    if not _SERIAL.fullmatch(digits):
        few = f"; there are {', '.join(sorted(services))}" if 0 < len(services) <= _FEW else ""
        hint = meant(who, services, few)
        raise UsageError(
            f"{who!r} is neither a service with certificates of this CA nor a serial number{hint}"
        )
    serial = int(digits, 16)
    return (found.get(serial) or Entry(serial, "", "", datetime.max.replace(tzinfo=UTC)),)


def renewed(folder: Path, policy: CertificatePolicy, now: datetime) -> Authority:
    """The CA in ``folder``, with a list that is not due at ``now`` (UTC): lists are due when leaves are.

    Raises as :func:`revoke` does.
    """
    found = authorities.load_authority(folder)
    if not any(_due(each, policy, now) for each in found.trusted):
        return found
    with _locked(folder):
        for each in authorities.load_authority(folder).trusted:
            if _due(each, policy, now):
                _sign(folder, each, policy.lifetime, now)
        return authorities.load_authority(folder)


def require_latest(authority: Authority, root: Path, holders: Iterable[Holder]) -> None:
    """Raises AuthorityError where a bundle below ``root`` has a list of a CA that knows more than the CA's own."""
    seen = {authority.lists_pem, b""}
    for holder in holders:
        content = store.lists(root, holder)
        if content in seen:
            continue
        seen.add(content)
        for each in authority.trusted:
            _require_latest(each, content, f"{root}/{holder}/{artifacts.REVOCATION_LISTS}")


def _require_latest(authority: Authority, content: bytes, path: str) -> None:
    own = crl.parse(authority.crl_pem)[0] if authority.crl_pem else None
    if any(crl.knows_more(each, own) for each in _signed_by(authority, content)):
        message = (
            f"CA in {authority.folder}: its list of the revoked is older than that in {path}, or lacks who stands "
            f"there, so nothing was written; restore the CA's folder, or copy that file to its {REVOCATION_LISTS}"
        )
        raise AuthorityError("ca-unusable", message)


def _signed_by(authority: Authority, content: bytes) -> tuple[x509.CertificateRevocationList, ...]:
    try:
        found = crl.parse(content)
    except ValueError:
        return ()
    return tuple(each for each in found if parsing.is_signed(each, authority.issuing))


def _due(authority: Authority, policy: CertificatePolicy, now: datetime) -> bool:
    if not authority.crl_pem:
        return True
    own = crl.parse(authority.crl_pem)[:1]
    # A list that ends with its CA cannot be renewed.
    return now >= crl.end(own) - policy.renew_before and crl.end(own) < authority.issuing.not_valid_after_utc


def _sign(
    locked: Path, authority: Authority, lifetime: timedelta, now: datetime, serials: Iterable[int] = ()
) -> None:
    if authority.folder is None:
        raise ValueError("a CA that was not loaded has no folder for its lists")
    with files.folder(authority.folder) as inside, contextlib.ExitStack() as stack:
        if authority.folder != locked:
            # The other CA of a rotation has a lock of its own, under which its register is written.
            stack.enter_context(files.lock(inside))
            files.sweep(inside)
        before, roots = None, b""
        if authority.crl_pem:
            before, of_root = crl.parse(authority.crl_pem)
            roots = crl.pem(of_root)
        else:
            message = f"it has no {REVOCATION_LISTS}, and the root's part of it needs {ROOT_KEY}: put that back for once"
            roots = authorities.roots_list(authority.root, root_key(inside, message), authority.issuing, now)
        end = min(now + lifetime, authority.issuing.not_valid_after_utc)
        own = crl.sign(authority.issuing, authority.issuing_key, now, end, before, serials)
        files.replace(inside, REVOCATION_LISTS, own + roots, 0o644)


def root_key(inside: int, message: str) -> ec.EllipticCurvePrivateKey:
    """The root's key in an open CA's folder. Raises AuthorityError with the message, and OSError."""
    try:
        key = parsing.private_key(files.read(inside, ROOT_KEY, private=True))
    except (FileNotFoundError, ValueError):
        raise AuthorityError("ca-unusable", message) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise AuthorityError("ca-unusable", message)
    return key


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[int]:
    try:
        with files.folder(folder) as inside, files.lock(inside):
            files.sweep(inside)
            yield inside
    except FileNotFoundError:
        raise AuthorityError("ca-missing", f"no CA in {folder}") from None
    except OSError as error:
        raise UsageError(f"cannot write {REVOCATION_LISTS} in {folder}: {error.strerror or error}") from error
