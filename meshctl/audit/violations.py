"""What the audit holds a bundle to."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Invariant(StrEnum):
    """What holds of every bundle."""

    READABLE = "the output can be read back"
    LISTENERS = "nothing listens but what is declared"
    CLIENT_CERTIFICATE = "inbound demands a certificate of the mesh"
    UPSTREAM = "TLS to others verifies CA and name"
    IDENTITY_HEADERS = "what callers say of identities is removed"
    GATE = "paths are canonical or refused, first of all"
    DEFAULT_DENY = "who is not let in by a rule is refused, last of all"
    LONG_LOCATION = "no location is longer than NGINX can tell"
    REPEATED_GROUP = "no expression that backtracks repeats a group"
    WORDS = "nothing is written but what meshctl writes"
    KEY_MATERIAL = "no private key is in an output"


class Violation(Struct, frozen=True):
    """``where``: a file, or a section of it. Never quotes what might be a secret."""

    invariant: Invariant
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.invariant} ({self.where}): {self.what}"


class Unreadable(Exception):  # noqa: N818 - caught by the audit, which makes a violation of it
    """An output that is not what its proxy could read."""


class AuditError(Exception):
    """A bundle is not sound. No MeshctlError: it is a bug of meshctl's, and ends as one (exit code 3)."""
