"""Whether anything needs issuing, told without opening a certificate.

Reading 1,000 certificates takes three times as long as a whole build with nothing to do may take. So an
issuing leaves behind what it knows of each bundle, with the inode, size and change time of its files, as
git's index does (decision 0007). Facts only ever say "nothing to do"; whatever they do not know is read
and judged. Imports nothing of ``cryptography``, which alone takes longer than this.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from meshctl.artifacts import CERTIFICATE, PRIVATE_KEY, REVOCATION_LISTS, TRUST_BUNDLE
from meshctl.pki import files, rotation
from meshctl.pki.files import ISSUING_CERTIFICATE, ROOT_CERTIFICATE
from meshctl.pki.files import REVOCATION_LISTS as AUTHORITYS_LISTS
from meshctl.pki.identities import Holder, Identities

_FOLDER = ".meshctl"
_FILE = "certificates.json"
_VERSION = 1

Marks = list[list[int]]
"""Inode, size and time of the last change (ns) of certificate, key and trust bundle, and of the revocation lists."""


def settled(root: Path, identities: Identities, authority: Path, now: datetime) -> bool:
    """Whether every certificate below ``root`` is known to be the CA's, valid, and not due at ``now`` (UTC).

    ``authority`` is the CA's folder. False says only that it is not known.
    """
    try:
        known = _load(root, digest(*_parts(authority)))
        until = (now + identities.policy.renew_before).timestamp()
        return all(
            _holds(known[str(each)], marks(root, each, crl=identities.crl), each, now, until)
            for each in identities.holders
        )
    except (OSError, KeyError, TypeError, ValueError):
        return False


def _parts(authority: Path) -> tuple[bytes, ...]:
    """What :attr:`meshctl.pki.authority.Authority.parts` says, of the CA that issues from this folder."""
    with files.folder(authority) as inside:
        under_way, retired = rotation.read(inside), rotation.retired(inside)
    issuer, beside = (under_way.issuer, under_way.beside) if under_way else ("", None)
    other = (b"", b"")
    if beside is not None:
        with files.folder(authority, *filter(None, [beside])) as inside:
            other = (files.read(inside, ROOT_CERTIFICATE), _lists(inside))
    with files.folder(authority, *filter(None, [issuer])) as inside:
        root, issuing = files.read(inside, ROOT_CERTIFICATE), files.read(inside, ISSUING_CERTIFICATE)
        return (root, issuing, _lists(inside), *other, retired)


def _lists(inside: int) -> bytes:
    try:
        return files.read(inside, AUTHORITYS_LISTS, limit=files.LARGE)
    except FileNotFoundError:
        return b""


def _holds(
    fact: Mapping[str, Any], marked: Marks | None, holder: Holder, now: datetime, until: float
) -> bool:
    return bool(
        fact["identity"] == _names(holder)
        and fact["since"] <= now.timestamp()
        and fact["notAfter"] > until
        and fact["files"] == marked
    )


def digest(*parts: bytes) -> str:
    """What facts know a CA by, whom it has revoked, and what is trusted besides."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def marks(root: Path, holder: Holder, *, crl: bool = False) -> Marks | None:
    """The marks of a bundle's files as they are now, None where one is missing; ``crl``: of its lists too."""
    names = (CERTIFICATE, PRIVATE_KEY, TRUST_BUNDLE, *((REVOCATION_LISTS,) if crl else ()))
    try:
        found = [
            os.stat(f"{root}/{holder}/{name}", follow_symlinks=False)  # noqa: PTH116 - pathlib doubles the time
            for name in names
        ]
    except OSError:
        return None
    return [[each.st_ino, each.st_size, each.st_ctime_ns] for each in found]


def record(
    root: Path,
    authority: str,
    now: datetime,
    certificates: Iterable[tuple[Holder, Marks | None, datetime]],
) -> None:
    """Remember certificates that were valid at ``now``: whose, the marks, when they end. Raises OSError."""
    known = dict(_load(root, authority))
    for holder, marked, not_after in certificates:
        known[str(holder)] = {
            "identity": _names(holder),
            "since": now.timestamp(),
            "notAfter": not_after.astimezone(UTC).timestamp(),
            "files": marked,
        }
    content = orjson.dumps({"schemaVersion": _VERSION, "authority": authority, "bundles": known})
    name = files.staging_name(_FILE, secrets.token_hex(8))
    with files.folder(root, _FOLDER, create=True) as inside:
        files.sweep(inside)
        files.write(inside, name, content, 0o644, durable=False)
        os.rename(name, _FILE, src_dir_fd=inside, dst_dir_fd=inside)
        files.ignore_all(inside)


def _load(root: Path, authority: str) -> Mapping[str, dict[str, Any]]:
    try:
        document = orjson.loads(files.read_public(root / _FOLDER / _FILE))
        if (document["schemaVersion"], document["authority"]) == (_VERSION, authority):
            bundles: dict[str, dict[str, Any]] = document["bundles"]
            return bundles
    except (OSError, ValueError, TypeError, KeyError):
        pass
    return {}


def _names(holder: Holder) -> list[str]:
    identity = holder.identity
    return [identity.spiffe_id, *identity.dns_names, identity.distinguished_name]
