"""The mesh's CA, and the certificates in the bundles."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from meshctl import ir
from meshctl.diagnostics import UsageError
from meshctl.pipeline.checking import Validated

if TYPE_CHECKING:
    from meshctl.pki.authority import Authority
    from meshctl.pki.identities import Identities
    from meshctl.pki.register import Entry
    from meshctl.pki.store import CertificateStatus

IDENTITIES = "identities.json"
"""Who needs a certificate, beside the bundles."""

IDENTITY = "identity.json"
"""In each bundle: the same of that bundle alone."""


def create_authority(validated: Validated, folder: Path, now: datetime) -> None:
    """Make the mesh's CA in ``folder``; never over another, nor where git would keep its keys."""
    from meshctl.pki import authority

    mesh = validated.require()
    refuse_tracked(folder)
    authority.save_authority(folder, authority.create_authority(mesh.trust_domain, now))


def require_authority(folder: Path, out: Path, mesh: ir.Mesh, now: datetime) -> None:
    """Raises FindingsError unless the CA in ``folder`` can issue what ``mesh`` needs at ``now`` into ``out``."""
    from meshctl.pki.authority import load_authority
    from meshctl.pki.issue import issue

    refuse_tracked(folder)
    issuer = load_authority(folder)
    with contextlib.suppress(UsageError):
        # One that nobody can read is replaced.
        require_latest(out, issuer)
    for sidecar in mesh.sidecars[:1]:
        issue(issuer, sidecar.identity, mesh.certificates.lifetime, now)


def issue_certificates(
    out: Path, authority: Path, now: datetime, services: Sequence[str] = ()
) -> tuple[CertificateStatus, ...]:
    """Issue what is missing or due into the bundles below ``out``; returns the former states."""
    from meshctl.pki import facts

    refuse_tracked(authority)
    identities = identities_in(out, services)
    if facts.settled(out, identities, authority, now):
        return ()
    from meshctl.pki import renewal, revocation
    from meshctl.pki.authority import load_authority

    issuer = load_authority(authority)
    require_latest(out, issuer)
    if identities.crl:
        issuer = revocation.renewed(authority, identities.policy, now)
    return renewal.issue_due(out, identities, issuer, now)


def certificate_status(
    out: Path, authority: Path | None, now: datetime, services: Sequence[str] = ()
) -> tuple[CertificateStatus, ...]:
    """What every bundle below ``out`` holds at ``now``, or the one that ``out`` is."""
    from meshctl.pki import installing, renewal
    from meshctl.pki.authority import load_authority

    if (out / IDENTITY).exists():
        return (installing.status(out, identities_alone(out), now),)
    issuer = load_authority(authority) if authority else None
    if issuer:
        require_latest(out, issuer)
    return renewal.check(out, identities_in(out, services), issuer, now)


class Revocation(Struct, frozen=True):
    """What a revocation did."""

    certificates: tuple[Entry, ...]
    """Those that it was about."""
    new: frozenset[int]
    """Serial numbers that were not revoked before."""
    next_update: datetime
    """When the new list ends, UTC."""
    bundles: int
    """That have the new list now."""
    checked: bool | None
    """Whether the sidecars of the build look into it; None where there is no build."""


def revoke_certificates(out: Path, authority: Path, who: str, now: datetime) -> Revocation:
    """Revoke the certificates of a service, or one by its serial number, and put the new list into the bundles below ``out``."""
    from meshctl.pki import crl, renewal, revocation
    from meshctl.pki.authority import load_authority

    refuse_tracked(authority)
    issuer = load_authority(authority)
    identities = identities_in(out, ()) if (out / IDENTITIES).exists() else None
    if identities:
        require_latest(out, issuer)
    try:
        found = revocation.certificates_of(who, authority, out if identities else None, identities, now)
        lifetime = identities.policy.lifetime if identities else revocation.LIFETIME
        issuer, new = revocation.revoke(authority, {each.serial for each in found}, lifetime, now)
        delivered = renewal.deliver(out, identities, issuer) if identities else ()
    except FileNotFoundError as error:
        raise UsageError(f"there is no {error.filename}") from error
    except OSError as error:
        raise UsageError(f"cannot write revocation lists: {error.filename}: {error.strerror}") from error
    end = crl.end(crl.parse(issuer.lists_pem))
    return Revocation(found, new, end, len(delivered), identities.crl if identities else None)


def require_latest(out: Path, authority: Authority) -> None:
    """Raises AuthorityError when bundles know of revocations that the CA has lost; UsageError without a build."""
    from meshctl.pki import revocation

    identities = identities_in(out, ())
    if identities.crl:
        revocation.require_latest(authority, out, identities.holders)


def refuse_tracked(authority: Path) -> None:
    """Raises AuthorityError when git tracks files of a CA."""
    from meshctl.load.tracking import tracked

    paths = tracked(authority)
    if paths:
        from meshctl.pki.authority import AuthorityError

        raise AuthorityError("ca-tracked", f"git tracks files of the CA in {authority}: {', '.join(paths)}")


def identities_alone(bundle: Path) -> Identities:
    """The identity of a bundle by itself. Raises UsageError."""
    from meshctl.pki import files
    from meshctl.pki.identities import parse_identity

    try:
        return parse_identity(files.read_public(bundle / IDENTITY))
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(
            f"there is no {IDENTITY} in {bundle}: name the folder of one sidecar, as `meshctl build` wrote it"
        ) from None
    except OSError as error:
        raise UsageError(f"cannot read {bundle / IDENTITY}: {error.strerror or error}") from error


def identities_in(out: Path, services: Sequence[str]) -> Identities:
    """The identities of a build, or those of some services. Raises UsageError."""
    from meshctl.pki import files
    from meshctl.pki.identities import parse_identities

    try:
        identities = parse_identities(files.read_public(out / IDENTITIES))
    except FileNotFoundError:
        raise UsageError(f"there is no {IDENTITIES} in {out}; run `meshctl build` first") from None
    except OSError as error:
        raise UsageError(f"cannot read {out / IDENTITIES}: {error.strerror or error}") from error
    if not services:
        return identities
    chosen = tuple(each for each in identities.holders if each.service in services)
    return structs.replace(identities, holders=chosen)
