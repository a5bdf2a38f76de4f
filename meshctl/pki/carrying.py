"""Bundles' secrets out of their folders and back into them, for those who must carry keys."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path, PurePosixPath

from meshctl.artifacts import CERTIFICATE, PRIVATE_KEY, REVOCATION_LISTS, TRUST_BUNDLE
from meshctl.diagnostics import UsageError
from meshctl.pki import files, installing, parsing, profile
from meshctl.pki.age import Secrets
from meshctl.pki.identities import Holder, Identities

TLS = PurePosixPath(CERTIFICATE).parent.name


def collect(root: Path, holder: Holder, *, crl: bool) -> Secrets:
    """What a bundle below ``root`` holds. Raises UsageError where something is missing or cannot be read."""
    names = [PurePosixPath(each).name for each in (CERTIFICATE, PRIVATE_KEY, TRUST_BUNDLE)]
    try:
        with files.folder(root, *holder.folder, TLS) as tls:
            chain, key, trust = (files.read(tls, each, private=each.endswith(".key")) for each in names)
            lists = files.read(tls, PurePosixPath(REVOCATION_LISTS).name, limit=files.LARGE) if crl else b""
    except FileNotFoundError as error:
        raise UsageError(
            f"bundle `{holder}` has no {error.filename}: run `meshctl certs issue` first"
        ) from None
    except OSError as error:
        raise UsageError(f"bundle `{holder}`: {error.strerror or error}") from error
    return Secrets(chain, key, trust, lists)


def restore(
    bundle: Path, identities: Identities, secrets: Secrets, trust: bytes | None, now: datetime
) -> None:
    """Put a bundle's secrets in force, checked as an issuer's answer is: whoever can encrypt could have sent them.

    Roots are ``trust``, else those that the bundle has, else those that came along. Raises AnswerError and UsageError,
    before anything is changed, and OSError.
    """
    try:
        key = parsing.private_key(secrets.key_pem)
    except ValueError:
        raise UsageError("the key that came along is not a private key in PEM") from None
    if not profile.is_key(key):
        raise UsageError("the key that came along is not P-256")
    roots = installing.trusted(bundle, trust, secrets.trust_pem)
    installing.put(bundle, identities, key, secrets.chain_pem + secrets.lists_pem, roots, now, carried=True)
