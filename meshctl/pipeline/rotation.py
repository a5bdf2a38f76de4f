"""The rotation of the mesh's root, step by step, none before the one before is everywhere."""

from __future__ import annotations

import shlex
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from meshctl.artifacts import TRUST_BUNDLE
from meshctl.diagnostics import Finding, FindingsError, UsageError
from meshctl.pipeline.certificates import IDENTITIES, identities_in, refuse_tracked
from meshctl.pipeline.checking import Validated

if TYPE_CHECKING:
    from meshctl.pki.authority import Authority
    from meshctl.pki.deployed import Wanted
    from meshctl.pki.identities import Holder, Identities
    from meshctl.pki.rotation import Rotation, Step


class Standing(Struct, frozen=True):
    """How old a CA is, and how far a rotation of it. Ends are UTC."""

    root: str
    root_end: datetime
    issuing_end: datetime
    rotation: Rotation | None


class Evidence(Struct, frozen=True):
    """What proves that a step is everywhere: trees of deployed bundles, and the mesh whose sidecars are asked."""

    deployed: tuple[Path, ...] = ()
    live: Validated | None = None

    def __bool__(self) -> bool:
        return bool(self.deployed) or self.live is not None


class Rotated(Struct, frozen=True):
    """What a step did. ``rotation`` is what is under way afterwards, if anything is."""

    rotation: Rotation | None
    certificates: int = 0
    """Issued into bundles."""
    bundles: int = 0
    """That got other roots, lists or certificates."""
    of: int = 0
    """Bundles of the build."""
    bare: int = 0
    """Those of them that trust nobody yet, for they have no certificates."""


def ca_standing(authority: Path) -> Standing:
    """How the CA in a folder stands, in a rotation the one that issues. Changes nothing."""
    from meshctl.pki import files, rotation
    from meshctl.pki.authority import load_authority

    found = load_authority(authority)
    with files.folder(authority) as inside:
        under_way = rotation.read(inside)
    name = found.root.subject.rfc4514_string()
    return Standing(name, found.root.not_valid_after_utc, found.issuing.not_valid_after_utc, under_way)


def ca_due(out: Path, authority: Path, now: datetime) -> tuple[Finding, ...]:
    """An error when the CA has to be renewed, or its root rotated: soon it can issue no certificate of the usual lifetime."""
    from meshctl.catalogue import finding

    if not (out / IDENTITIES).exists():
        # A bundle by itself, where it is deployed.
        return ()
    policy, standing = identities_in(out, ()).policy, ca_standing(authority)
    whose, end = "issuing CA", standing.issuing_end
    if standing.root_end <= end:
        whose, end = "root", standing.root_end
    # In a rotation the CA that issues now has to last no longer than the rotation.
    if standing.rotation or now < end - policy.lifetime - policy.renew_before:
        return ()
    message = f"the {whose} ends {end:%Y-%m-%dT%H:%M:%SZ}, and certificates live {policy.lifetime.days} days"
    return (finding("ca-due", None, message),)


def renew_issuing(authority: Path, now: datetime) -> Standing:
    """A new certificate of the issuing CA, signed with the root's key."""
    from meshctl.pki import rotate

    refuse_tracked(authority)
    rotate.renew_issuing(authority, now)
    return ca_standing(authority)


def check_rotation(out: Path, authority: Path, evidence: Evidence, now: datetime) -> None:
    """Raises FindingsError, one finding for each bundle that keeps the next step from being taken."""
    from meshctl.pki.rotation import Step

    match _under_way(authority):
        case None:
            raise UsageError("no rotation of the root is under way, so there is nothing to prove")
        case each if each.step is Step.BEGIN:
            _require_both(out, authority, evidence, now)
        case each if each.step is Step.ISSUE:
            _require_leaves(out, authority, evidence, now)
        case _:
            # What follows is not about sidecars.
            return


def rotate_ca(out: Path, authority: Path, step: Step, evidence: Evidence, now: datetime) -> Rotated:
    """Take a step, or go on with one that broke off. Raises FindingsError where the one before is not everywhere.

    UsageError where the step is not the next one, or needs evidence and has none.
    """
    from meshctl.pki import rotation

    refuse_tracked(authority)
    steps = {
        rotation.Step.BEGIN: _begin,
        rotation.Step.ISSUE: _issue,
        rotation.Step.FINISH: _finish,
        rotation.Step.ABORT: _abort,
    }
    return steps[step](out, authority, evidence, now)


def _begin(out: Path, authority: Path, _: Evidence, now: datetime) -> Rotated:
    from meshctl.pki import revocation, rotate, trust
    from meshctl.pki.authority import load_authority
    from meshctl.pki.rotation import Step

    identities = identities_in(out, ())
    if others := trust.without(out, identities.holders, load_authority(authority)):
        raise UsageError(
            f"bundle `{others[0]}` does not trust the CA in {authority}: is it the CA of {out}? Name that with --ca"
        )
    begun = rotate.begin(authority, now)
    if begun.step is not Step.BEGIN:
        raise UsageError(f"the rotation is past that, at `{begun.step}`; `--step abort` goes back")
    found = load_authority(authority)
    if identities.crl:
        found = revocation.renewed(authority, identities.policy, now)
    return _delivered(out, identities, found, _under_way(authority))


def _issue(out: Path, authority: Path, evidence: Evidence, now: datetime) -> Rotated:
    from meshctl.pki import rotate
    from meshctl.pki.authority import load_authority
    from meshctl.pki.issue import issue
    from meshctl.pki.rotation import Step

    found = rotate.require(_under_way(authority), Step.ISSUE)
    identities = identities_in(out, ())
    if found.step is Step.BEGIN:
        _require_both(out, authority, evidence, now)
        new = load_authority(authority).beside
        if new and identities.holders:
            # A CA that cannot issue must not become the one that does.
            issue(new, identities.holders[0].identity, identities.policy.lifetime, now)
        rotate.switch(authority, Step.ISSUE)
    return _issued(out, authority, now)


def _finish(out: Path, authority: Path, evidence: Evidence, now: datetime) -> Rotated:
    from meshctl.pki import rotate
    from meshctl.pki.rotation import Step

    under_way = _under_way(authority)
    if under_way is None and rotate.sweep(authority):
        return Rotated(None)
    if rotate.require(under_way, Step.FINISH).step is Step.ISSUE:
        _require_leaves(out, authority, evidence, now)
    return _dropped(out, authority, Step.FINISH)


def _abort(out: Path, authority: Path, evidence: Evidence, now: datetime) -> Rotated:
    from meshctl.pki import rotate
    from meshctl.pki.rotation import Step

    under_way = _under_way(authority)
    if under_way is None and rotate.sweep(authority):
        return Rotated(None)
    if under_way is not None and under_way.step is Step.ISSUE:
        identities_in(out, ())
        rotate.switch(authority, Step.BEGIN)
        return _issued(out, authority, now)
    found = rotate.require(under_way, Step.ABORT)
    if found.step is Step.BEGIN and found.issued:
        _require_leaves(out, authority, evidence, now)
    return _dropped(out, authority, Step.ABORT)


def _delivered(out: Path, identities: Identities, found: Authority, rotation: Rotation | None) -> Rotated:
    from meshctl.pki import renewal

    holders = identities.holders
    try:
        written = len(renewal.deliver(out, identities, found))
        bare = sum(not (out / str(each) / TRUST_BUNDLE).exists() for each in holders)
        return Rotated(rotation, bundles=written, of=len(holders), bare=bare)
    except OSError as error:
        raise UsageError(f"cannot write to {out}: {error.filename}: {error.strerror}") from error


def _issued(out: Path, authority: Path, now: datetime) -> Rotated:
    from meshctl.pipeline.certificates import issue_certificates
    from meshctl.pki import store

    if not any(store.held(out, each) for each in identities_in(out, ()).holders):
        # Keys are made where they are used, and ask for certificates from there.
        return Rotated(_under_way(authority))
    issued = issue_certificates(out, authority, now)
    certificates = sum(each.state.needs_certificate for each in issued)
    return Rotated(_under_way(authority), certificates, len(issued))


def _dropped(out: Path, authority: Path, step: Step) -> Rotated:
    from meshctl.pki import rotate

    identities = identities_in(out, ())
    done = _delivered(out, identities, rotate.drop(authority, step), None)
    rotate.close(authority)
    return done


def _require_both(out: Path, authority: Path, evidence: Evidence, now: datetime) -> None:
    """Both roots are trusted everywhere, and both CAs' lists are there."""
    from meshctl.pki.authority import load_authority
    from meshctl.pki.deployed import Wanted

    identities = identities_in(out, ())
    found = load_authority(authority)
    _require(identities, found, Wanted(found.trusted, identities.crl), evidence, now)


def _require_leaves(out: Path, authority: Path, evidence: Evidence, now: datetime) -> None:
    """No leaf of another CA than the one that issues is in use."""
    from meshctl.pki.authority import load_authority
    from meshctl.pki.deployed import Wanted

    identities = identities_in(out, ())
    found = load_authority(authority)
    _require(identities, found, Wanted((found,), identities.crl, leaf_of=found), evidence, now)


def _require(
    identities: Identities, authority: Authority, wanted: Wanted, evidence: Evidence, now: datetime
) -> None:
    from meshctl.catalogue import finding
    from meshctl.pki.deployed import behind

    if not evidence:
        raise UsageError("what is deployed has to be proved: name it with --deployed DIR, or ask with --live")
    told: dict[str, list[str] | None] = {}
    if evidence.live is not None:
        from meshctl.pipeline.asking_sidecars import ask_sidecars

        told = ask_sidecars(evidence.live, authority, wanted, now)
    faults: list[tuple[str, str]] = []
    for holder in identities.holders:
        shown = told.get(str(holder))
        lacks = behind(evidence.deployed, holder, wanted, now)
        faults += (
            (f"`{holder}`: {each}", _way_out(holder, authority)) for each in (*(shown or ()), *(lacks or ()))
        )
        if shown is None and lacks is None:
            faults.append((f"`{holder}`: {_nothing(evidence)}", ""))
    if faults:
        raise FindingsError(finding("rotation-behind", None, each, fix=fix) for each, fix in faults)


def _way_out(holder: Holder, authority: Authority) -> str:
    """Also for a bundle that the build has no certificate of, for its key was made where it is."""
    from meshctl.pki.files import ROOT_CERTIFICATE

    roots = shlex.join(["cat", *(f"{each.folder}/{ROOT_CERTIFICATE}" for each in authority.trusted)])
    return (
        "Deploy the bundle's `tls` folder, reload the sidecar, and take the step again. Where the host made the key itself: "
        f"`{roots} > roots.pem`, bring that there, run `meshctl certs renew --force --trust roots.pem {holder}` with the "
        "`--ca` or `--issuer-command` of always, and reload."
    )


def _nothing(evidence: Evidence) -> str:
    trees = " or ".join(map(str, evidence.deployed))
    no_folder = f"there is no tls folder of it below {trees}" if trees else "name its folder with --deployed"
    return f"no listener of its shows a certificate; {no_folder}" if evidence.live else no_folder


def _under_way(authority: Path) -> Rotation | None:
    return ca_standing(authority).rotation
