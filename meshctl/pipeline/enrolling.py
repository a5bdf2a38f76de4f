"""Keys that never leave their host: requests from there, signed here, and the certificates put in force there."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from meshctl.catalogue import finding
from meshctl.diagnostics import FindingsError, UsageError
from meshctl.pipeline.certificates import identities_alone, identities_in, refuse_tracked, require_latest

if TYPE_CHECKING:
    from meshctl.pki.identities import Holder, Identities
    from meshctl.pki.installing import Renewal
    from meshctl.pki.issuers import Issuer

_WHOSE = "Name the bundle with `--for SERVICE[/INSTANCE]`, as it stands in the build's `identities.json`; build again where the service is new."


class Signed(Struct, frozen=True):
    """One request, answered."""

    holder: Holder
    answer: bytes
    """PEM: the leaf, the issuing CA, and revocation lists where sidecars look into them."""
    path: Path | None
    """Where it was written; None for a request that was no file."""
    not_after: datetime
    """When the certificate ends, UTC."""
    ignored: tuple[str, ...]
    """What the request asked for beyond its identity, in its own words."""


def request_certificate(bundle: Path) -> tuple[Path, Identities]:
    """Make a key and a signing request in a bundle; the path of the request, and the identity that it is for."""
    from meshctl.pki import requests

    identities = identities_alone(bundle)
    with only_one(bundle):
        return requests.create(bundle, identities.holders[0].identity), identities


def sign_requests(
    paths: Sequence[Path], who: str | None, out: Path, authority: Path, now: datetime
) -> tuple[Signed, ...]:
    """Sign requests by the CA in ``authority``, for the identities of the build in ``out``.

    Each is for the bundle ``who``, or for the one that its file is named after; its own words are never asked.
    The answers are written beside them, all or none.
    """
    identities = identities_in(out, ())
    found = []
    for path in paths:
        if _beside(path).is_symlink():
            raise UsageError(f"{_beside(path)} is a symbolic link")
        holder = _holder(who, path, identities)
        found.append((path, holder, read(path)))
    signed = _sign(
        [(str(path), holder, text) for path, holder, text in found], identities, out, authority, now
    )
    return tuple(_answered(each, path) for each, (path, _, _) in zip(signed, found, strict=True))


def sign_request(request: bytes, who: str, out: Path, authority: Path, now: datetime) -> Signed:
    """Sign one request that is no file, for the bundle ``who``, as :func:`sign_requests` does."""
    identities = identities_in(out, ())
    holder = _holder(who, None, identities)
    return _sign([("the request", holder, request)], identities, out, authority, now)[0]


def install_certificate(bundle: Path, answer: Path | None, trust: Path | None, now: datetime) -> Identities:
    """Put the answer to a bundle's request in force; by default the one beside the request."""
    from meshctl.pki import installing

    identities = identities_alone(bundle)
    text = read(answer or bundle / installing.TLS / installing.ANSWER)
    roots = read_roots(trust) if trust else None
    with only_one(bundle):
        installing.install(bundle, identities, text, roots, now)
    return identities


def renew_certificate(
    bundle: Path,
    issuer: Issuer,
    trust: Path | None,
    clock: Callable[[], datetime],
    *,
    always: bool = False,
) -> Renewal:
    """A new key and certificate for a bundle whose own is missing or due, or ``always``."""
    from meshctl.pki import installing

    identities = identities_alone(bundle)
    roots = read_roots(trust) if trust else None
    with only_one(bundle):
        return installing.renew(bundle, identities, issuer, roots, clock, always=always)


def issuer_command(text: str, timeout: timedelta, environment: Mapping[str, str]) -> Issuer:
    """The issuer that a command line stands for; no shell looks at it. Raises UsageError."""
    from meshctl.pki.issuers import Command

    try:
        argv = tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError(f"the issuer command cannot be read: {error}") from error
    if not argv:
        raise UsageError("the issuer command is empty")
    return Command(argv, timeout, environment)


def issuer_in(authority: Path, bundle: Path, now: datetime) -> Issuer:
    """The CA in a folder as the issuer for a bundle."""
    from meshctl.pki import revocation
    from meshctl.pki.authority import load_authority
    from meshctl.pki.issuers import Embedded

    refuse_tracked(authority)
    identities = identities_alone(bundle)
    found = load_authority(authority)
    if identities.crl:
        revocation.require_latest(found, bundle, identities.holders)
        found = revocation.renewed(authority, identities.policy, now)
    return Embedded(found, now, identities.crl)


def _sign(
    found: Sequence[tuple[str, Holder, bytes]],
    identities: Identities,
    out: Path,
    authority: Path,
    now: datetime,
) -> tuple[Signed, ...]:
    from meshctl.pki import acceptance, requests, revocation
    from meshctl.pki.authority import load_authority
    from meshctl.pki.issuers import Embedded

    refuse_tracked(authority)
    asked = [requests.parse(text, name, holder.identity) for name, holder, text in found]
    certifier = load_authority(authority)
    require_latest(out, certifier)
    if identities.crl:
        certifier = revocation.renewed(authority, identities.policy, now)
    issuer = Embedded(certifier, now, identities.crl)
    lifetime = identities.policy.lifetime
    signed = []
    for (_, holder, text), request in zip(found, asked, strict=True):
        answer = issuer.issue(holder, text, lifetime)
        end = acceptance.leaf_of(answer, holder).not_valid_after_utc
        signed.append(Signed(holder, answer, None, end, request.ignored))
    return tuple(signed)


def _answered(signed: Signed, request: Path) -> Signed:
    from meshctl.pki import files

    path = _beside(request)
    try:
        with files.folder(path.parent) as inside:
            files.replace(inside, path.name, signed.answer, 0o644)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from error
    return structs.replace(signed, path=path)


def _beside(request: Path) -> Path:
    return request.with_name(f"{request.name.removesuffix('.csr')}.pem")


def _holder(who: str | None, path: Path | None, identities: Identities) -> Holder:
    """The bundle that a request is for. Raises RequestError where the build has none of that name."""
    from difflib import get_close_matches

    from meshctl.pki.requests import RequestError

    known = {str(each): each for each in identities.holders}
    wanted = [who] if who is not None else list(_names(path) if path else ())
    for each in wanted:
        if each in known:
            return known[each]
    close = sorted(get_close_matches(wanted[0], sorted(known), n=3, cutoff=0.5))
    hint = f"; did you mean {' or '.join(f'`{each}`' for each in close)}?" if close else ""
    if who is not None:
        raise RequestError(f"the build has no bundle `{who}`{hint}", _WHOSE)
    raise RequestError(f"the build has no bundle that {path} is named after{hint}", _WHOSE)


def _names(path: Path) -> Iterator[str]:
    """What a file may be named after: ``service/instance.csr``, ``service.csr``, or where a bundle keeps its own."""
    from meshctl.pki import requests

    whole = path.absolute()
    if (whole.parent.name, whole.name) == (requests.TLS, requests.REQUEST):
        parts = whole.parent.parent.parts
    else:
        parts = (*whole.parent.parts, whole.name.removesuffix(".csr"))
    yield "/".join(parts[-2:])
    yield parts[-1]


def read(path: Path, limit: int | None = None) -> bytes:
    """The content of a file that a command names. Raises UsageError."""
    from meshctl.pki import files

    try:
        with files.folder(path.parent) as inside:
            return files.read(inside, path.name, limit=limit or files.LIMIT)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error


def read_roots(path: Path) -> bytes:
    """The content of a file that is to be trusted. Raises UsageError, also where it holds no root."""
    from meshctl.pki import acceptance

    found = read(path)
    acceptance.roots_of(found, str(path))
    return found


@contextlib.contextmanager
def only_one(bundle: Path) -> Iterator[None]:
    """One at a time for a bundle, and none whose keys would be in git. Raises FindingsError and UsageError."""
    from meshctl.load.tracking import tracked
    from meshctl.pki import files, installing

    listed = tracked(bundle / installing.TLS)
    if listed:
        message = f"git tracks files where the keys of {bundle} are: {', '.join(listed)}"
        raise FindingsError([finding("key-tracked", None, message)])
    try:
        with files.folder(bundle) as inside, files.lock(inside):
            with contextlib.suppress(FileNotFoundError), files.folder(bundle, installing.TLS) as tls:
                files.sweep(tls)
            yield
    except OSError as error:
        place = f" {error.filename}" if error.filename else ""
        raise UsageError(f"cannot work in {bundle}:{place} {error.strerror or error}") from error
