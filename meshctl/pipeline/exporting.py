"""Identities for other issuers, and secrets for those who must carry them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from meshctl.diagnostics import UsageError
from meshctl.pipeline.certificates import identities_alone, identities_in
from meshctl.pipeline.enrolling import only_one, read, read_roots

if TYPE_CHECKING:
    from meshctl.pki.cert_manager import IssuerReference
    from meshctl.pki.identities import Identities

# RFC 1123, as Kubernetes has it.
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9]{0,62}")


def cert_manager(
    out: Path, services: Sequence[str], issuer: IssuerReference, namespace: str | None
) -> tuple[str, int]:
    """``Certificate`` resources for the bundles of a build, as YAML, and how many. Raises UsageError."""
    from meshctl.load.written import render_documents
    from meshctl.pki import cert_manager

    for name in (issuer.name, issuer.group, *([namespace] if namespace is not None else [])):
        if not _NAME.fullmatch(name):
            raise UsageError(f"{name!r} is no name for Kubernetes (RFC 1123)")
    if not _KIND.fullmatch(issuer.kind):
        raise UsageError(f"{issuer.kind!a} is no kind of Kubernetes, such as Issuer or ClusterIssuer")
    documents = cert_manager.certificates(_some(out, services), issuer, namespace)
    return render_documents(documents), len(documents)


def encrypt_bundles(
    out: Path, services: Sequence[str], recipients: Sequence[str], to: Path
) -> tuple[Path, ...]:
    """The secrets of a build's bundles as age files below ``to``, all or none. Raises UsageError, and ToolError without age."""
    from meshctl.pki import age, carrying, files

    whom = age.recipients(recipients)
    identities = _some(out, services)
    secrets = {each: carrying.collect(out, each, crl=identities.crl) for each in identities.holders}
    paths = {each: to.joinpath(*each.folder[:-1], f"{each.folder[-1]}.age") for each in secrets}
    for path in paths.values():
        if path.is_symlink():
            raise UsageError(f"{path} is a symbolic link")
    for holder, path in paths.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.folder(to, *holder.folder[:-1]) as inside:
            files.replace(inside, path.name, age.encrypt(secrets[holder], whom), 0o644)
    return tuple(paths.values())


def decrypt_bundle(bundle: Path, file: Path, identity: Path, trust: Path | None, now: datetime) -> Identities:
    """Put what an age file holds in force in a bundle. Raises UsageError and FindingsError, and ToolError without age."""
    from meshctl.pki import age, carrying

    identities = identities_alone(bundle)
    keys = age.identities(read(identity))
    secrets = age.decrypt(read(file, limit=age.LARGEST), keys, str(file))
    roots = read_roots(trust) if trust else None
    with only_one(bundle):
        carrying.restore(bundle, identities, secrets, roots, now)
    return identities


def _some(out: Path, services: Sequence[str]) -> Identities:
    found = identities_in(out, services)
    unknown = set(services) - {each.service for each in found.holders}
    if unknown:
        raise UsageError(f"the build in {out} has no service {', '.join(sorted(unknown))}")
    return found
