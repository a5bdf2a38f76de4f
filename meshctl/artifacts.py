"""Files that a build makes, where they stand, and how they reach the disk."""

from __future__ import annotations

from dataclasses import dataclass

CERTIFICATE = "tls/cert.pem"
"""Leaf and issuing CA, leaf first. Paths are relative to a bundle."""

PRIVATE_KEY = "tls/cert.pem.key"
"""Mode 0600. The name is the one under which HAProxy finds it beside the certificate."""

TRUST_BUNDLE = "tls/ca.pem"
"""The roots (and issuing CAs) that a peer's certificate must lead to."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """One file of a bundle. ``path`` is relative to the bundle, with ``/``; bytes are deterministic."""

    path: str
    content: bytes
    executable: bool = False
