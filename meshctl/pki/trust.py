"""The roots in a bundle's trust bundle: both while a rotation is under way, and none of a rotation before."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from meshctl.artifacts import TRUST_BUNDLE
from meshctl.pki import files
from meshctl.pki.authority import Authority
from meshctl.pki.identities import Holder

_FOLDER, _NAME = PurePosixPath(TRUST_BUNDLE).parts
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def holds(roots: bytes, authority: Authority) -> bool:
    """Whether every root that should be trusted is among them, and none that a rotation ended with."""
    retired = _PEM.findall(authority.retired_pem)
    wanted = (each.root_pem in roots for each in authority.trusted)
    return all(wanted) and not any(each in roots for each in retired)


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
