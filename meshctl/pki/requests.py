"""Certificate signing requests (PKCS #10): made where the key is, judged where the CA is.

A request proves that somebody holds a key. What it would like to be called proves nothing, so names come from
the identity manifest alone (decision 0110).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Struct

from meshctl.artifacts import CERTIFICATE, PRIVATE_KEY
from meshctl.catalogue import finding
from meshctl.diagnostics import FindingsError, UsageError
from meshctl.ir import WorkloadIdentity
from meshctl.pki import files, parsing, profile

TLS = PurePosixPath(CERTIFICATE).parent.name
REQUEST = "request.csr"
"""In a bundle's ``tls`` folder."""
REQUEST_KEY = "request.key"
"""Beside it, mode 0600: the key until its certificate comes, and takes it to where the proxy reads."""

_CERTIFICATE = PurePosixPath(CERTIFICATE).name
_PRIVATE_KEY = PurePosixPath(PRIVATE_KEY).name
_ASKED = (x509.BasicConstraints(ca=False, path_length=None), profile.LEAF_USAGE, profile.BOTH_ENDS)


_KIND = "Make the key with `meshctl certs csr` where the sidecar runs, or another program's with the curve P-256 (prime256v1); RSA and other curves do not work between all proxies."
_PROOF = "Have it made again by the program that holds the key, with `meshctl certs csr`: it was changed on the way, or somebody else made it."


class RequestError(FindingsError):
    """A signing request that must not be signed; exit code 1."""

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__([finding("request-refused", None, message, fix=fix)])


class Request(Struct, frozen=True):
    """What counts of a signing request, and what does not."""

    key: ec.EllipticCurvePublicKey
    ignored: tuple[str, ...]
    """What it asked for and the identity does not have, in words of its own: not safe to print as they are."""


def render(key: ec.EllipticCurvePrivateKey, identity: WorkloadIdentity) -> bytes:
    """The request of an identity as PEM, with all that its certificate holds: some issuers take names from here."""
    builder = x509.CertificateSigningRequestBuilder(
        profile.name(identity.trust_domain, identity.service)
    ).add_extension(profile.alternative_names(identity), critical=False)
    for each in _ASKED:
        builder = builder.add_extension(each, critical=not isinstance(each, x509.ExtendedKeyUsage))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def parse(content: bytes, name: str, identity: WorkloadIdentity) -> Request:
    """The request called ``name``, for an identity.

    Raises UsageError for what is none, and RequestError where whoever made it did not show that the key is theirs,
    or the key is not of the kind that works between all proxies.
    """
    try:
        found = x509.load_pem_x509_csr(content)
        found.subject  # noqa: B018 - parsed when asked for
    except parsing.REFUSALS:
        # The parser's words may quote what it read, and that may be a key.
        raise UsageError(f"{name} is not a certificate signing request in PEM") from None
    try:
        key: object = found.public_key()
    except parsing.REFUSALS:
        key = None
    if not profile.is_usable(key):
        raise RequestError(f"the key of {name} is not P-256", _KIND)
    try:
        proven = found.is_signature_valid
    except parsing.REFUSALS:
        proven = False
    if not proven:
        raise RequestError(f"{name} is not signed by its own key", _PROOF)
    return Request(key, tuple(_ignored(found, identity)))


def _ignored(found: x509.CertificateSigningRequest, identity: WorkloadIdentity) -> Iterator[str]:
    try:
        subject = found.subject.rfc4514_string()
        extensions = tuple(found.extensions)
    except parsing.REFUSALS:
        yield "extensions that cannot be read"
        return
    if subject not in ("", identity.distinguished_name):
        yield f"subject {subject}"
    own = profile.alternative_names(identity)
    for each in extensions:
        if isinstance(each.value, x509.SubjectAlternativeName):
            yield from (f"name {getattr(name, 'value', name)}" for name in each.value if name not in own)
        elif each.value not in _ASKED:
            yield f"extension {each.oid.dotted_string} {_known(each.value)}".rstrip()


def _known(value: x509.ExtensionType) -> str:
    return "" if isinstance(value, x509.UnrecognizedExtension) else f"({type(value).__name__})"


def create(bundle: Path, identity: WorkloadIdentity) -> Path:
    """Make a key in a bundle's ``tls`` folder and write the request for it; returns the request's path.

    The key that the proxy uses is not touched. A key that waits for its certificate already is asked for again, so
    that no answer under way is lost. Raises OSError, and UsageError where the waiting key cannot be used.
    """
    with files.folder(bundle, TLS, create=True) as tls:
        files.refuse_link(tls, REQUEST, f"{TLS}/{REQUEST}")
        files.ignore_all(tls)
        key = waiting_key(tls)
        if key is None or _public(tls, _CERTIFICATE) == key.public_key():
            # The second: an installing that was cut short after it had put the certificate there.
            key = profile.new_key()
            files.replace(tls, REQUEST_KEY, profile.key_pem(key), 0o600)
        files.replace(tls, REQUEST, render(key, identity), 0o644)
    return bundle / TLS / REQUEST


def waiting_key(tls: int) -> ec.EllipticCurvePrivateKey | None:
    """The key whose certificate has not come yet. Raises OSError, and UsageError for a file that is no such key."""
    return _key(tls, REQUEST_KEY)


def keys(tls: int) -> Iterator[ec.EllipticCurvePrivateKey]:
    """The waiting key, and the one in use, for whom a new certificate may be, too."""
    waiting = waiting_key(tls)
    if waiting is not None:
        yield waiting
    with contextlib.suppress(UsageError):
        # One that is no use is replaced with its certificate.
        used = _key(tls, _PRIVATE_KEY)
        if used is not None:
            yield used


def forget(tls: int, *names: str) -> None:
    """Remove a request that has been answered."""
    for name in (REQUEST_KEY, REQUEST, *names):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=tls)


def _key(tls: int, name: str) -> ec.EllipticCurvePrivateKey | None:
    try:
        key = parsing.private_key(files.read(tls, name, private=True))
    except FileNotFoundError:
        return None
    except ValueError:
        raise UsageError(f"{TLS}/{name} is not a private key in PEM; remove it") from None
    if not profile.is_key(key):
        raise UsageError(f"the key in {TLS}/{name} is not P-256; remove it")
    return key


def _public(tls: int, name: str) -> object:
    try:
        return parsing.certificate(files.read(tls, name)).public_key()
    except (OSError, *parsing.REFUSALS):
        return None
