"""A CA's lists of revoked certificates: kept in its folder, and delivered to the bundles."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from meshctl import artifacts
from meshctl.diagnostics import UsageError
from meshctl.ir import CertificatePolicy
from meshctl.pki import authority as authorities
from meshctl.pki import crl, files, register, store
from meshctl.pki.authority import Authority, AuthorityError
from meshctl.pki.files import REVOCATION_LISTS, ROOT_KEY
from meshctl.pki.identities import Holder, Identities
from meshctl.pki.register import Entry

LIFETIME = authorities.FIRST_LIST_LIFETIME
_FEW = 12
_SERIAL = re.compile("[0-9A-Fa-f]{16,40}")
"""Ours have 159 random bits, others at least 64."""


def revoke(
    folder: Path, serials: Collection[int], lifetime: timedelta, now: datetime
) -> tuple[Authority, frozenset[int]]:
    """The CA in ``folder`` with a new list, good for ``lifetime``, in which these serial numbers stand too; which are new.

    Raises AuthorityError, and UsageError where the list cannot be written.
    """
    with _locked(folder) as inside:
        found = authorities.load_authority(folder)
        before = crl.serials(crl.parse(found.crl_pem)) if found.crl_pem else frozenset()
        return _signed(inside, found, lifetime, now, serials), frozenset(serials) - before


def certificates_of(
    who: str, folder: Path, root: Path | None, identities: Identities | None, now: datetime
) -> tuple[Entry, ...]:
    """What ``who``, a service or a serial number in hexadecimal, stands for: certificates that have not ended.

    Known are those in the register of the CA in ``folder``, and those in the bundles below ``root``. A serial
    number that nobody knows may be of an older release's certificate, and stands for itself. Raises UsageError when
    ``who`` is neither, or has none.
    """
    holders = identities.holders if identities else ()
    found = {each.serial: each for each in register.entries(folder, now)}
    if root is not None:
        current = (store.held(root, holder) for holder in holders)
        found |= {each.serial: each for each in current if each is not None and each.not_after > now}
    services = {each.service for each in found.values()} | {each.service for each in holders}
    if who in services:
        return tuple(each for each in found.values() if each.service == who)
    digits = who.replace(":", "")
    if not _SERIAL.fullmatch(digits):
        close = get_close_matches(who, sorted(services), n=1)
        few = f"; there are {', '.join(sorted(services))}" if 0 < len(services) <= _FEW else ""
        hint = f"; did you mean `{close[0]}`?" if close else few
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
    if not _due(found, policy, now):
        return found
    with _locked(folder) as inside:
        found = authorities.load_authority(folder)
        return _signed(inside, found, policy.lifetime, now) if _due(found, policy, now) else found


def require_latest(authority: Authority, root: Path, holders: Iterable[Holder]) -> None:
    """Raises AuthorityError where a bundle below ``root`` has a list of this CA that knows more than the CA's own."""
    own = crl.parse(authority.crl_pem)[0] if authority.crl_pem else None
    seen = {authority.crl_pem, b""}
    for holder in holders:
        content = store.lists(root, holder)
        if content in seen:
            continue
        seen.add(content)
        if any(crl.knows_more(each, own) for each in _signed_by(authority, content)):
            path = f"{root}/{holder}/{artifacts.REVOCATION_LISTS}"
            message = (
                f"CA in {authority.folder}: its list of the revoked is older than that in {path}, or lacks who stands "
                f"there, so nothing was written; restore the CA's folder, or copy that file to its {REVOCATION_LISTS}"
            )
            raise AuthorityError("ca-unusable", message)


def _signed_by(authority: Authority, content: bytes) -> tuple[x509.CertificateRevocationList, ...]:
    key = authority.issuing_key.public_key()
    try:
        found = crl.parse(content)
        return tuple(
            each
            for each in found
            if each.issuer == authority.issuing.subject and each.is_signature_valid(key)
        )
    except (ValueError, TypeError):
        return ()


def _due(authority: Authority, policy: CertificatePolicy, now: datetime) -> bool:
    if not authority.crl_pem:
        return True
    own = crl.parse(authority.crl_pem)[:1]
    # A list that ends with its CA cannot be renewed.
    return now >= crl.end(own) - policy.renew_before and crl.end(own) < authority.issuing.not_valid_after_utc


def _signed(
    inside: int, authority: Authority, lifetime: timedelta, now: datetime, serials: Iterable[int] = ()
) -> Authority:
    before, roots = None, b""
    if authority.crl_pem:
        before, of_root = crl.parse(authority.crl_pem)
        roots = of_root.public_bytes(serialization.Encoding.PEM)
    else:
        roots = authorities.roots_list(authority.root, _root_key(inside), authority.issuing, now)
    end = min(now + lifetime, authority.issuing.not_valid_after_utc)
    own = crl.sign(authority.issuing, authority.issuing_key, now, end, before, serials)
    files.replace(inside, REVOCATION_LISTS, own + roots, 0o644)
    return dataclasses.replace(authority, crl_pem=own + roots)


def _root_key(inside: int) -> ec.EllipticCurvePrivateKey:
    message = (
        f"it has no {REVOCATION_LISTS}, and the root's part of it needs {ROOT_KEY}: put that back for once"
    )
    try:
        key = serialization.load_pem_private_key(files.read(inside, ROOT_KEY, private=True), password=None)
    except (FileNotFoundError, ValueError, TypeError):
        raise AuthorityError("ca-unusable", message) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise AuthorityError("ca-unusable", message)
    return key


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[int]:
    try:
        with files.folder(folder) as inside, files.lock(inside):
            yield inside
    except FileNotFoundError:
        raise AuthorityError("ca-missing", f"no CA in {folder}") from None
    except OSError as error:
        raise UsageError(f"cannot write {REVOCATION_LISTS} in {folder}: {error.strerror or error}") from error
