"""The steps of a rotation of the root, and the renewal of the issuing CA below it.

Every step is one rename in the CA's folder, see ``rotation``; what else a step does can be done again. Whether a step may be taken, because
the one before is everywhere, is not asked here but in ``deployed``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from cryptography.x509.oid import NameOID
from msgspec import structs

from meshctl.diagnostics import UsageError
from meshctl.pki import authority as authorities
from meshctl.pki import files, rotation, staging
from meshctl.pki.authority import Authority, AuthorityError
from meshctl.pki.files import (
    ISSUING_CERTIFICATE,
    ISSUING_KEY,
    REGISTER,
    REVOCATION_LISTS,
    ROOT_CERTIFICATE,
    ROOT_KEY,
)
from meshctl.pki.revocation import root_key
from meshctl.pki.rotation import NEXT, Rotation, Step

_PROMOTED = {
    ROOT_CERTIFICATE: 0o644,
    ISSUING_CERTIFICATE: 0o644,
    REVOCATION_LISTS: 0o644,
    REGISTER: 0o644,
    ROOT_KEY: 0o600,
    ISSUING_KEY: 0o600,
}


def begin(folder: Path, now: datetime) -> Rotation:
    """Make the new CA beside the old one; from now on bundles trust both. Once begun this changes nothing.

    Raises AuthorityError and UsageError, as all steps do.
    """
    with _locked(folder) as (inside, under_way):
        if under_way is not None:
            return under_way
        old = authorities.load_authority(folder)
        _remove_leftovers(inside, folder)
        try:
            (organization,) = old.root.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
            new = authorities.create_authority(str(organization.value), now)
        except ValueError:
            message = f"CA in {folder}: its root's organization (O) is not one trust domain, which the next root's has to be"
            raise AuthorityError("ca-unusable", message) from None
        authorities.write_authority(inside, folder / NEXT, new)
        names = [each.subject.rfc4514_string() for each in (old.root, new.authority.root)]
        begun = Rotation(Step.BEGIN, now, old=names[0], new=names[1])
        rotation.write(inside, begun)
        return begun


def switch(folder: Path, step: Step) -> Rotation:
    """Let the new CA issue (``Step.ISSUE``), or the old one again (``Step.BEGIN``); both stay trusted."""
    with _locked(folder) as (inside, under_way):
        after = structs.replace(require(under_way, step), step=step, issued=True)
        rotation.write(inside, after)
        return after


def drop(folder: Path, step: Step) -> Authority:
    """Trust one CA alone: the new one, which takes the old one's place (``Step.FINISH``), or the old one (``Step.ABORT``).

    Returns what bundles should hold. The rotation is over with :func:`close`, when they do.
    """
    with _locked(folder) as (inside, under_way):
        rotation.write(inside, structs.replace(require(under_way, step), step=step))
        old = files.read(inside, ROOT_CERTIFICATE)
        with files.folder(folder, NEXT) as beside:
            new = files.read(beside, ROOT_CERTIFICATE)
        # After a crash in `close` the new root may be in both places.
        if old != new:
            _retire(inside, old if step is Step.FINISH else new)
        return authorities.load_authority(folder)


def close(folder: Path) -> None:
    """End a rotation after :func:`drop`: the new CA takes the old one's place, or goes."""
    with _locked(folder) as (inside, under_way):
        if under_way is not None and under_way.step is Step.FINISH:
            with files.folder(folder, NEXT) as new, files.lock(new):
                _promote(inside, new)
        rotation.end(inside)
        _remove_leftovers(inside, folder)


def sweep(folder: Path) -> bool:
    """Remove what a crash left of a rotation that had ended; whether there was anything."""
    with _locked(folder) as (inside, under_way):
        return under_way is None and _remove_leftovers(inside, folder)


def renew_issuing(folder: Path, now: datetime) -> Authority:
    """The CA with a new certificate of its issuing CA, of the same key and name: nothing else needs to change.

    The root's key has to be there.
    """
    with _locked(folder) as (inside, under_way):
        if under_way is not None:
            raise UsageError("the root is being rotated, and the new one has an issuing CA of its own")
        found = authorities.load_authority(folder)
        key = root_key(inside, f"it has no {ROOT_KEY}, which signs the issuing CA: put that back for once")
        if key.public_key() != found.root.public_key():
            raise AuthorityError("ca-unusable", f"CA in {folder}: {ROOT_KEY} is not {ROOT_CERTIFICATE}'s key")
        if found.issuing.not_valid_after_utc >= found.root.not_valid_after_utc:
            message = f"CA in {folder}: its issuing CA ends with the root already"
            raise AuthorityError("ca-unusable", message)
        renewed = authorities.renewed_issuing(found, key, now)
        if renewed.crl_pem:
            # First: a list of the root may live longer than the CA that it is about, not shorter.
            files.replace(inside, REVOCATION_LISTS, renewed.crl_pem, 0o644)
        files.replace(inside, ISSUING_CERTIFICATE, renewed.issuing_pem, 0o644)
        return renewed


def require(under_way: Rotation | None, step: Step) -> Rotation:
    """The rotation that is under way, if this step may be taken in it. Raises UsageError."""
    if under_way is None:
        raise UsageError("no rotation of the root is under way; `--step begin` begins one")
    if under_way.step not in rotation.MAY_FOLLOW[step]:
        raise UsageError(f"the rotation is at `{under_way.step}`: `{step}` is not what may follow")
    return under_way


def _retire(inside: int, root_pem: bytes) -> None:
    before = rotation.retired(inside)
    if root_pem not in before:
        files.replace(inside, rotation.RETIRED, before + root_pem, 0o644)


def _promote(inside: int, new: int) -> None:
    for name, mode in _PROMOTED.items():
        try:
            content = files.read(new, name, limit=files.LARGE)
        except FileNotFoundError:
            # The root's key is kept elsewhere, or nothing was issued: the old CA's must not stay beside the new CA.
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=inside)
        else:
            files.replace(inside, name, content, mode)


def _remove_leftovers(inside: int, folder: Path) -> bool:
    """Remove a new CA that is in use nowhere, or has become the CA. Raises AuthorityError for one that may be in use."""
    staging.sweep(inside, NEXT, (files.IGNORE, *_PROMOTED))
    try:
        with files.folder(folder, NEXT) as new:
            root_pem = files.read(new, ROOT_CERTIFICATE)
            used = files.exists(new, REGISTER)
    except FileNotFoundError as error:
        if not files.exists(inside, NEXT):
            return False
        # Somebody was removing it.
        root_pem, used = b"", error.filename != ROOT_CERTIFICATE
    gone = root_pem and root_pem in rotation.retired(inside) + files.read(inside, ROOT_CERTIFICATE)
    if used and not gone:
        message = f"CA in {folder}: certificates were issued by the CA in its folder {NEXT}, but there is no {rotation.STATE}; restore it from a backup"
        raise AuthorityError("ca-unusable", message)
    shutil.rmtree(folder / NEXT)
    return True


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[tuple[int, Rotation | None]]:
    try:
        with files.folder(folder) as inside, files.lock(inside):
            files.sweep(inside)
            yield inside, rotation.read(inside)
    except FileNotFoundError as error:
        raise AuthorityError("ca-missing", f"no CA in {folder}: there is no {error.filename}") from None
    except ValueError:
        message = f"CA in {folder}: its {rotation.STATE} is not one that this meshctl wrote"
        raise AuthorityError("ca-unusable", message) from None
    except OSError as error:
        raise UsageError(f"cannot change the CA in {folder}: {error.strerror or error}") from error
