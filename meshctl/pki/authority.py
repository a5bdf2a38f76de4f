"""The embedded CA: an offline root, and an issuing CA below it that signs the leaves.

For development, tests and small teams; whoever runs a PKI already gives its certificates to the bundles
instead (see the identity manifest in ``identities``).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from meshctl.catalogue import finding
from meshctl.diagnostics import FindingsError, UsageError
from meshctl.pki import crl, files, parsing, profile, rotation, staging
from meshctl.pki.files import (
    ISSUING_CERTIFICATE,
    ISSUING_KEY,
    REGISTER,
    REVOCATION_LISTS,
    ROOT_CERTIFICATE,
    ROOT_KEY,
)

ROOT_LIFETIME = timedelta(days=3650)
ISSUING_LIFETIME = timedelta(days=365)
FIRST_LIST_LIFETIME = timedelta(days=30)


class AuthorityError(FindingsError):
    """There is no CA in a folder, it cannot be used, or it would be overwritten; exit code 2."""

    exit_code = 2

    def __init__(self, slug: str, message: str) -> None:
        super().__init__([finding(slug, None, message)])


@dataclass(frozen=True, slots=True)
class Authority:
    """What issuing needs: never the root's key."""

    root: x509.Certificate
    issuing: x509.Certificate
    issuing_key: ec.EllipticCurvePrivateKey = field(repr=False)
    root_pem: bytes
    issuing_pem: bytes
    crl_pem: bytes
    """The issuing CA's list of revoked certificates, then the root's; empty for a CA that has none yet."""
    folder: Path | None = None
    """Where it was loaded from."""
    beside: Authority | None = None
    """The other CA of a rotation that is under way: trusted as well, but it does not issue."""
    retired_pem: bytes = b""
    """The roots of rotations before, which nobody may trust any more."""

    @property
    def trusted(self) -> tuple[Authority, ...]:
        """Every CA that bundles trust, always in the same order."""
        both = (self, self.beside) if self.beside else (self,)
        return tuple(sorted(both, key=lambda each: (each.root.not_valid_before_utc, each.root_pem)))

    @property
    def trust_pem(self) -> bytes:
        """What a bundle trusts: the roots."""
        return b"".join(each.root_pem for each in self.trusted)

    @property
    def lists_pem(self) -> bytes:
        """What a bundle looks peers up in: the lists of every CA that it trusts."""
        return b"".join(each.crl_pem for each in self.trusted)

    @property
    def parts(self) -> tuple[bytes, ...]:
        """All that says what bundles should hold, as :func:`meshctl.pki.facts.settled` reads it."""
        other = (self.beside.root_pem, self.beside.crl_pem) if self.beside else (b"", b"")
        return (self.root_pem, self.issuing_pem, self.crl_pem, *other, self.retired_pem)

    @property
    def not_after(self) -> datetime:
        """When the first of the two ends, UTC; no leaf may outlive it."""
        return min(self.root.not_valid_after_utc, self.issuing.not_valid_after_utc)

    @property
    def key_identifier(self) -> bytes:
        """What the leaves of this CA name as their authority's key."""
        return profile.key_identifier(self.issuing_key.public_key()).digest


@dataclass(frozen=True, slots=True)
class NewAuthority:
    """A CA just made, with the root's key, which belongs off line."""

    authority: Authority
    root_key: ec.EllipticCurvePrivateKey = field(repr=False)


def create_authority(
    trust_domain: str,
    now: datetime,
    *,
    root_lifetime: timedelta = ROOT_LIFETIME,
    issuing_lifetime: timedelta = ISSUING_LIFETIME,
) -> NewAuthority:
    """A new root (path length 1) and the issuing CA below it (path length 0), both P-256.

    Their common names end in a part of their key identifiers: two CAs of one trust domain, as during
    a rotation, never share a name, for some verifiers try only the first of that name.
    """
    root_key, issuing_key = profile.new_key(), profile.new_key()
    root_name = _name(trust_domain, "root CA", root_key)
    root = _sign(root_name, root_key, root_name, root_key, now, root_lifetime, path_length=1)
    issuing_name = _name(trust_domain, "issuing CA", issuing_key)
    issuing = _sign(issuing_name, issuing_key, root_name, root_key, now, issuing_lifetime, path_length=0)
    lists = crl.sign(issuing, issuing_key, now, min(now + FIRST_LIST_LIFETIME, issuing.not_valid_after_utc))
    return NewAuthority(
        _authority(root, issuing, issuing_key, lists + roots_list(root, root_key, issuing, now)), root_key
    )


def renewed_issuing(authority: Authority, root_key: ec.EllipticCurvePrivateKey, now: datetime) -> Authority:
    """The same issuing CA, key and name, for another year, or until its root ends; and the root's list for as long.

    Leaves, lists and chains of before stay as good as they were.
    """
    root, key = authority.root, authority.issuing_key
    lifetime = min(ISSUING_LIFETIME, root.not_valid_after_utc - now.replace(microsecond=0))
    issuing = _sign(authority.issuing.subject, key, root.subject, root_key, now, lifetime, path_length=0)
    lists = b""
    if authority.crl_pem:
        own, of_root = crl.parse(authority.crl_pem)
        lists = crl.pem(own) + roots_list(root, root_key, issuing, now, of_root)
    return replace(_authority(root, issuing, key, lists), folder=authority.folder)


def roots_list(
    root: x509.Certificate,
    root_key: ec.EllipticCurvePrivateKey,
    issuing: x509.Certificate,
    now: datetime,
    before: x509.CertificateRevocationList | None = None,
) -> bytes:
    """The root's list of revoked CAs, as PEM: empty, and as good as the issuing CA, when the root's key is needed anyway."""
    return crl.sign(root, root_key, now, issuing.not_valid_after_utc, before)


def save_authority(folder: Path, new: NewAuthority) -> None:
    """Write the CA as one step: the whole folder appears (mode 0700, keys 0600), or nothing does.

    Never overwrites: a folder with anything in it is refused with AuthorityError. The ``.gitignore``
    inside keeps keys out of git; whether git tracks the folder already is the caller's to check. Raises
    UsageError where nothing can be written.
    """
    target = folder.absolute()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with files.folder(target.parent) as parent, files.lock(parent):
            write_authority(parent, target, new)
    except OSError as error:
        raise UsageError(f"cannot write a CA to {folder}: {error.strerror or error}") from error


def write_authority(inside: int, target: Path, new: NewAuthority) -> None:
    """As :func:`save_authority`, when the caller holds the lock of the folder around it. Raises OSError."""
    authority = new.authority
    contents = {
        # First of all, so that git takes no key of a run that is killed here.
        files.IGNORE: staging.Content(files.IGNORE_ALL, 0o644),
        ROOT_CERTIFICATE: staging.Content(authority.root_pem, 0o644),
        ROOT_KEY: staging.Content(profile.key_pem(new.root_key), 0o600),
        ISSUING_CERTIFICATE: staging.Content(authority.issuing_pem, 0o644),
        ISSUING_KEY: staging.Content(profile.key_pem(authority.issuing_key), 0o600),
        REVOCATION_LISTS: staging.Content(authority.crl_pem, 0o644),
    }
    try:
        staging.make(inside, target.name, contents)
    except staging.OccupiedError as error:
        raise AuthorityError("ca-exists", f"{target} exists and is not an empty folder") from error


def load_authority(folder: Path) -> Authority:
    """The CA that :func:`save_authority` wrote, in a rotation the one that issues; the root's key is not read.

    Raises AuthorityError, when a file is missing, open to others, or does not fit the rest.
    """
    try:
        with files.folder(folder) as inside:
            under_way, retired_pem = rotation.read(inside), rotation.retired(inside)
    except FileNotFoundError:
        raise AuthorityError("ca-missing", f"no CA in {folder}: there is no such folder") from None
    except OSError as error:
        raise AuthorityError("ca-unusable", f"CA in {folder}: {error.strerror or error}") from None
    except ValueError:
        message = f"CA in {folder}: its {rotation.STATE} is not one that this meshctl wrote"
        raise AuthorityError("ca-unusable", message) from None
    if under_way is None:
        return replace(_load(folder), retired_pem=retired_pem)
    beside = None if under_way.beside is None else _load(folder, under_way.beside)
    return replace(_load(folder, under_way.issuer), beside=beside, retired_pem=retired_pem)


def _load(top: Path, below: str = "") -> Authority:
    folder = top / below
    try:
        with files.folder(top, *([below] if below else [])) as inside:
            root_pem = files.read(inside, ROOT_CERTIFICATE)
            issuing_pem = files.read(inside, ISSUING_CERTIFICATE)
            key_pem = files.read(inside, ISSUING_KEY, private=True)
            crl_pem = _lists(inside, folder)
    except FileNotFoundError as error:
        raise AuthorityError(
            "ca-missing", f"no CA in {folder}: there is no {_named(error, folder)}"
        ) from None
    except OSError as error:
        raise AuthorityError("ca-unusable", f"CA in {folder}: {error.strerror or error}") from None
    try:
        root = parsing.certificate(root_pem)
        issuing = parsing.certificate(issuing_pem)
        key = parsing.private_key(key_pem)
        issuing.verify_directly_issued_by(root)
        _check_lists(crl_pem, root, issuing)
    except parsing.REFUSALS:
        # The parser's words may quote the input, and the input may be a key.
        raise AuthorityError("ca-unusable", f"CA in {folder}: its files do not parse or do not fit") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not parsing.has_key(issuing, key.public_key()):
        raise AuthorityError(
            "ca-unusable", f"CA in {folder}: {ISSUING_KEY} is not {ISSUING_CERTIFICATE}'s key"
        )
    return replace(_authority(root, issuing, key, crl_pem), folder=folder)


def _authority(
    root: x509.Certificate, issuing: x509.Certificate, key: ec.EllipticCurvePrivateKey, crl_pem: bytes
) -> Authority:
    return Authority(root, issuing, key, profile.pem(root), profile.pem(issuing), crl_pem)


def _lists(inside: int, folder: Path) -> bytes:
    try:
        return files.read(inside, REVOCATION_LISTS, limit=files.LARGE)
    except FileNotFoundError:
        if not files.exists(inside, REGISTER):
            # A CA that an earlier release made.
            return b""
    message = (
        f"CA in {folder}: there is no {REVOCATION_LISTS} beside {REGISTER}, and an empty one would let in "
        f"everybody who was revoked; put it back, from a backup or the newest tls/{REVOCATION_LISTS} of a bundle"
    )
    raise AuthorityError("ca-unusable", message)


def _check_lists(crl_pem: bytes, root: x509.Certificate, issuing: x509.Certificate) -> None:
    """Raises ValueError unless they are the two CAs'."""
    for each, signer in zip(crl.parse(crl_pem) if crl_pem else (), (issuing, root), strict=bool(crl_pem)):
        key = signer.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or not each.is_signature_valid(key):
            raise ValueError("a list that its CA did not sign")


def _name(trust_domain: str, role: str, key: ec.EllipticCurvePrivateKey) -> x509.Name:
    mark = profile.key_identifier(key.public_key()).digest.hex()[:8]
    return profile.name(trust_domain, f"{role} {mark}")


def _sign(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    now: datetime,
    lifetime: timedelta,
    *,
    path_length: int,
) -> x509.Certificate:
    builder = (
        profile.certificate(subject, key.public_key(), issuer, issuer_key, now, lifetime)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(profile.CA_USAGE, critical=True)
    )
    return profile.sign(builder, issuer_key)


def _named(error: FileNotFoundError, folder: Path) -> str:
    return "such folder" if str(error.filename) == str(folder) else str(error.filename)
