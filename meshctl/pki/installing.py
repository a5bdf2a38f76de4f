"""Certificates into bundles on the host that runs them, where their keys are made and stay."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path, PurePosixPath

from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Struct

from meshctl.artifacts import CERTIFICATE, TRUST_BUNDLE
from meshctl.diagnostics import UsageError
from meshctl.pki import acceptance, crl, files, parsing, profile, requests, store
from meshctl.pki.acceptance import AnswerError
from meshctl.pki.identities import Holder, Identities
from meshctl.pki.issue import Issued
from meshctl.pki.issuers import Issuer
from meshctl.pki.store import CertificateState, CertificateStatus

TLS = PurePosixPath(CERTIFICATE).parent.name
ANSWER = "request.pem"
"""Where an answer to a request is looked for, beside it."""


class Renewal(Struct, frozen=True):
    """What became of a bundle's certificate."""

    before: CertificateStatus
    after: CertificateStatus
    renewed: bool


def install(bundle: Path, identities: Identities, answer: bytes, trust: bytes | None, now: datetime) -> None:
    """Check an answer to the request in a bundle and put it in force, with the key that waited for it.

    ``trust`` takes the place of the bundle's roots; without it they stay. Raises AnswerError and UsageError, before
    anything is changed, and OSError.
    """
    (holder,) = identities.holders
    leaf = acceptance.leaf_of(answer, holder)
    key = None
    # Without the folder nobody has asked for anything here.
    with contextlib.suppress(FileNotFoundError), files.folder(bundle, TLS) as tls:
        fitting = (each for each in requests.keys(tls) if parsing.has_key(leaf, each.public_key()))
        key = next(fitting, None)
    if key is None:
        raise AnswerError(holder, [acceptance.other_key(f"{TLS}/{requests.REQUEST_KEY}")])
    put(bundle, identities, key, answer, trusted(bundle, trust), now)
    with files.folder(bundle, TLS) as tls:
        requests.forget(tls, ANSWER)


def renew(
    bundle: Path,
    identities: Identities,
    issuer: Issuer,
    trust: bytes | None,
    clock: Callable[[], datetime],
    *,
    always: bool = False,
) -> Renewal:
    """Get a certificate for a new key where the bundle's is missing, no use, or due (UTC); or ``always``.

    The clock is read again when the issuer has answered: few backdate what they issue. The key is in memory until its certificate has been checked, so nothing is written where none is to be had.
    What is due at once does not take the place of what lasts longer. Raises as the issuer and :func:`install` do.
    """
    (holder,) = identities.holders
    before = status(bundle, identities, clock())
    if not (before.state.needs_certificate or always):
        return Renewal(before, before, renewed=False)
    roots = trusted(bundle, trust, issuer.trust_pem)
    key = profile.new_key()
    request = requests.render(key, holder.identity)
    answer = issuer.issue(holder, request, identities.policy.lifetime)
    now = clock()
    usable = before.state is CertificateState.DUE or not before.state.needs_certificate
    put(bundle, identities, key, answer, roots, now, in_force=before.not_after if usable else None)
    return Renewal(before, status(bundle, identities, now), renewed=True)


def status(bundle: Path, identities: Identities, now: datetime) -> CertificateStatus:
    """What a bundle that is alone holds at ``now`` (UTC)."""
    (holder,) = identities.holders
    return store.status(bundle, holder, None, identities.policy.renew_before, now, with_lists=identities.crl)


def put(
    bundle: Path,
    identities: Identities,
    key: ec.EllipticCurvePrivateKey,
    answer: bytes,
    trust_pem: bytes,
    now: datetime,
    *,
    in_force: datetime | None = None,
    carried: bool = False,
) -> None:
    """Check a certificate for a key (``carried``: as :func:`acceptance.check` has it) and put both in force, and the lists that came with it.

    ``in_force`` is when a good one ends that it would replace, UTC. Raises AnswerError and UsageError, before anything is changed, and OSError.
    """
    (holder,) = identities.holders
    found = acceptance.check(answer, key.public_key(), holder, trust_pem, now, carried=carried)
    policy = identities.policy
    acceptance.require_longer(found.leaf, holder, in_force, policy.lifetime, policy.renew_before, now)
    lists_pem = found.lists_pem if identities.crl else b""
    if lists_pem:
        _require_newer(bundle, holder, lists_pem)
    leaf = found.leaf
    issued = Issued(
        chain_pem=found.chain_pem,
        key_pem=profile.key_pem(key),
        trust_pem=trust_pem,
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        serial=leaf.serial_number,
    )
    store.write(bundle, {holder: issued}, lists_pem)


def trusted(bundle: Path, trust: bytes | None, otherwise: bytes | None = None) -> bytes:
    """The roots that count: those named, which have been read as roots, else the bundle's, else these. Raises UsageError where there are none."""
    if trust is None:
        try:
            with files.folder(bundle, TLS) as tls:
                trust = files.read(tls, PurePosixPath(TRUST_BUNDLE).name)
        except FileNotFoundError:
            if otherwise is not None:
                return otherwise
            raise UsageError(
                f"there is no {bundle}/{TRUST_BUNDLE}: name the file with the CA's root, "
                "from somebody whom you trust, with `--trust FILE`"
            ) from None
        acceptance.roots_of(trust, f"{bundle}/{TRUST_BUNDLE}")
    return trust


def _require_newer(bundle: Path, holder: Holder, lists: bytes) -> None:
    """Raises AnswerError where the bundle knows of revocations that these lists do not have."""
    present = store.lists(bundle, holder)
    try:
        known = {each.issuer: each for each in crl.parse(present)} if present else {}
    except ValueError:
        return
    new = {each.issuer: each for each in crl.parse(lists)}
    if any(issuer in new and crl.knows_more(each, new[issuer]) for issuer, each in known.items()):
        raise AnswerError(holder, [acceptance.older_lists()])
