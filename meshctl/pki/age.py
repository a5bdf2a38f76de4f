"""Bundles' secrets in files that only the holders of some keys can read (https://age-encryption.org/v1).

What is encrypted is a tar of the ``tls`` folder, so ``age --decrypt … | tar x`` does without meshctl. Needs the
extra ``meshctl[age]``.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from types import ModuleType
from typing import Any

from meshctl.artifacts import CERTIFICATE, PRIVATE_KEY, REVOCATION_LISTS, TRUST_BUNDLE
from meshctl.diagnostics import ToolError, UsageError
from meshctl.pki import files

INSTALL = "pip install 'meshctl[age]'"
LARGEST = 2 * files.LARGE
"""Bytes of an encrypted file."""

_CERTIFICATE, _KEY, _TRUST, _LISTS = (
    PurePosixPath(each).name for each in (CERTIFICATE, PRIVATE_KEY, TRUST_BUNDLE, REVOCATION_LISTS)
)


@dataclass(frozen=True, slots=True)
class Secrets:
    """What a bundle's ``tls`` folder holds."""

    chain_pem: bytes
    key_pem: bytes = field(repr=False)
    trust_pem: bytes
    lists_pem: bytes
    """Empty where there are none."""


def recipients(names: Sequence[str]) -> list[Any]:
    """Whom to encrypt for: ``age1…``, or an SSH public key. Raises UsageError, and ToolError without the extra."""
    pyrage = _pyrage()
    found = []
    for each in names:
        kind = pyrage.ssh if each.startswith("ssh-") else pyrage.x25519
        try:
            found.append(kind.Recipient.from_str(each))
        except pyrage.RecipientError as error:
            # Who mixes the two up must not find the secret one in a log.
            what = "a secret key" if each.upper().startswith("AGE-SECRET-KEY-") else f"{each!r}"
            raise UsageError(f"{what} is no recipient: neither age1… nor an SSH public key") from error
    return found


def encrypt(secrets: Secrets, whom: Sequence[Any]) -> bytes:
    """An age file for these recipients, ASCII-armoured. Other bytes each time."""
    encrypted: bytes = _pyrage().encrypt(_archive(secrets), list(whom), armored=True)
    return encrypted


def identities(content: bytes) -> list[Any]:
    """The keys in an identity file, as ``age-keygen`` or ``ssh-keygen`` writes it. Raises UsageError, never quoting it."""
    pyrage = _pyrage()
    try:
        if content.startswith(b"-----BEGIN"):
            return [pyrage.ssh.Identity.from_buffer(content)]
        lines = [line.strip() for line in content.decode("ascii").splitlines()]
        keys = [line for line in lines if line and not line.startswith("#")]
        found = [pyrage.x25519.Identity.from_str(each) for each in keys]
    except (ValueError, pyrage.IdentityError):
        found = []
    if not found:
        raise UsageError(
            "the identity file holds no age or SSH key that can be read; one with a passphrase cannot"
        )
    return found


def decrypt(content: bytes, keys: Sequence[Any], name: str) -> Secrets:
    """What an age file called ``name`` holds. Raises UsageError where these keys do not open it, or it holds something else."""
    pyrage = _pyrage()
    try:
        archive = pyrage.decrypt(content, list(keys))
    except (ValueError, pyrage.DecryptError) as error:
        raise UsageError(f"{name} is not an age file, or not for this identity") from error
    found = _members(archive)
    if not {_CERTIFICATE, _KEY, _TRUST} <= found.keys():
        raise UsageError(f"{name} does not hold the secrets of a bundle")
    return Secrets(found[_CERTIFICATE], found[_KEY], found[_TRUST], found.get(_LISTS, b""))


def _archive(secrets: Secrets) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content, mode in (
            # The certificate last, as a reader that runs meanwhile wants it.
            (_TRUST, secrets.trust_pem, 0o644),
            (_LISTS, secrets.lists_pem, 0o644),
            (_KEY, secrets.key_pem, 0o600),
            (_CERTIFICATE, secrets.chain_pem, 0o644),
        ):
            if content:
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(content), mode
                archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def _members(archive: bytes) -> Mapping[str, bytes]:
    """The four files that it may hold; nothing is unpacked, so no name in it leads anywhere."""
    found = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as opened:
            for member in opened:
                # One with holes can say that it has more bytes than there is memory.
                plain = member.isreg() and not member.issparse()
                content = opened.extractfile(member) if plain else None
                if content is not None and member.name in (_CERTIFICATE, _KEY, _TRUST, _LISTS):
                    found[member.name] = content.read()
    except (tarfile.TarError, ValueError, LookupError, ArithmeticError, RecursionError):
        # Its reader takes numbers and encodings as they stand there, and follows headers of headers.
        return {}
    return found


def _pyrage() -> ModuleType:
    try:
        import pyrage
    except ImportError:
        raise ToolError(f"age encryption needs an extra: {INSTALL}") from None
    module: ModuleType = pyrage
    return module
