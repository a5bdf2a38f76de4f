"""Whether deployed ``tls`` folders, or the certificates that sidecars show, are as far as a rotation's next step needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path, PurePosixPath

from cryptography import x509
from msgspec import Struct

from meshctl.artifacts import CERTIFICATE, REVOCATION_LISTS, TRUST_BUNDLE
from meshctl.pki import crl, files, parsing
from meshctl.pki.authority import Authority
from meshctl.pki.identities import Holder

_FOLDER = PurePosixPath(TRUST_BUNDLE).parent.name
_CERTIFICATE, _ROOTS, _LISTS = (
    PurePosixPath(each).name for each in (CERTIFICATE, TRUST_BUNDLE, REVOCATION_LISTS)
)


class Wanted(Struct, frozen=True):
    """What every sidecar must have before a step: the roots, their lists where it looks at them, and a leaf of one CA."""

    trusted: tuple[Authority, ...]
    lists: bool
    leaf_of: Authority | None = None
    """None: of either."""


def behind(trees: Sequence[Path], holder: Holder, wanted: Wanted, now: datetime) -> tuple[str, ...] | None:
    """What the deployed folders of one bundle lack, each folder in words; None where no tree has the bundle.

    Trees are laid out as the build's folder is.
    """
    found: list[str] = []
    seen = False
    for tree in trees:
        try:
            with files.folder(tree, *holder.folder, _FOLDER) as tls:
                seen = True
                found += (f"{tree}/{holder}/{_FOLDER}/{each}" for each in _lacks(tls, wanted, now))
        except FileNotFoundError:
            continue
        except OSError as error:
            return (f"{tree}/{holder}/{_FOLDER}: {error.strerror or error}",)
    return tuple(found) if seen else None


def _lacks(tls: int, wanted: Wanted, now: datetime) -> Iterable[str]:
    roots = _certificates(tls, _ROOTS)
    for each in wanted.trusted:
        if each.root not in roots:
            yield f"{_ROOTS} lacks {each.root.subject.rfc4514_string()}"
    if wanted.lists:
        lists = _read_lists(tls, now)
        for each in wanted.trusted:
            if not {each.root.subject, each.issuing.subject} <= lists:
                yield f"{_LISTS} lacks a list, not ended, of each CA below {each.root.subject.rfc4514_string()}"
    leaf = next(iter(_certificates(tls, _CERTIFICATE)), None)
    if leaf is None:
        yield f"{_CERTIFICATE} is missing, or not a certificate"
    elif wanted.leaf_of and not is_of(wanted.leaf_of, leaf):
        yield f"{_CERTIFICATE} is not of {wanted.leaf_of.issuing.subject.rfc4514_string()}"


def shows(wanted: Wanted, shown: bytes) -> bool:
    """Whether the leaf (DER) that a sidecar shows is one that is wanted. Raises ValueError where it is no certificate."""
    return wanted.leaf_of is None or is_of(wanted.leaf_of, parsing.shown_certificate(shown))


def is_of(authority: Authority, leaf: x509.Certificate) -> bool:
    """Whether the CA signed it."""
    return parsing.is_signed(leaf, authority.issuing)


def _certificates(tls: int, name: str) -> tuple[x509.Certificate, ...]:
    try:
        return parsing.certificates(files.read(tls, name))
    except (FileNotFoundError, ValueError):
        return ()


def _read_lists(tls: int, now: datetime) -> set[x509.Name]:
    try:
        found = crl.parse(files.read(tls, _LISTS, limit=files.LARGE))
    except (FileNotFoundError, ValueError):
        return set()
    return {each.issuer for each in found if crl.end([each]) > now}
