"""What a bundle trusts, and shows of its CA. It trusts both roots while a rotation is under way, and none of one before."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from meshctl.artifacts import TRUST_BUNDLE
from meshctl.pki import files, parsing
from meshctl.pki.authority import Authority
from meshctl.pki.identities import Holder
from meshctl.pki.pem import blocks

_FOLDER, _NAME = PurePosixPath(TRUST_BUNDLE).parts


def holds(roots: bytes, authority: Authority) -> bool:
    """Whether every root that should be trusted is among them, and none that a rotation ended with."""
    retired = (text.rstrip() for kind, text in blocks(authority.retired_pem) if kind == b"CERTIFICATE")
    wanted = (each.root_pem in roots for each in authority.trusted)
    return all(wanted) and not any(each in roots for each in retired)


def is_shown(authority: Authority, chain: bytes) -> bool:
    """Whether the issuing CA is in a chain, as it is now or as it was before it was renewed, which keeps its key.

    Raises ValueError for what is no chain.
    """
    if authority.issuing_pem in chain:
        return True
    own = authority.issuing
    others = parsing.certificates(chain)[1:]
    return any(each.subject == own.subject and parsing.has_key(each, own.public_key()) for each in others)


def without(root: Path, holders: Iterable[Holder], authority: Authority) -> tuple[Holder, ...]:
    """Whose trust bundles below ``root`` lack the root of a CA: it is another mesh's. Raises OSError."""
    found = []
    for holder in holders:
        with contextlib.suppress(FileNotFoundError), files.folder(root, *holder.folder, _FOLDER) as tls:
            if authority.root_pem not in files.read(tls, _NAME):
                found.append(holder)
    return tuple(found)


def write(root: Path, holders: Iterable[Holder], authority: Authority) -> tuple[Holder, ...]:
    """Put the roots into bundles below ``root`` that hold others; returns those. Raises OSError.

    A bundle that has no trust bundle yet gets it with its certificate.
    """
    replaced = []
    for holder in holders:
        with contextlib.suppress(FileNotFoundError), files.folder(root, *holder.folder, _FOLDER) as tls:
            if not holds(files.read(tls, _NAME), authority):
                files.replace(tls, _NAME, authority.trust_pem, 0o644)
                replaced.append(holder)
    return tuple(replaced)
