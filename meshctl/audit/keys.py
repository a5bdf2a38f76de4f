"""No private key in any output, whatever the proxy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from meshctl.audit.violations import Invariant, Violation

# Base64 hides a text in three ways, by where it begins within three bytes; these are of `PRIVATE KEY`.
_PRIVATE = re.compile(
    rb"PRIVATE KEY|UFJJVkFURSBLRV|BSSVZBVEUgS0VZ|QUklWQVRFIEtFW|AGE-SECRET-KEY|-----BEGIN (?!PUBLIC KEY-----)"
)


def audit(files: Mapping[str, bytes]) -> Iterator[Violation]:
    """Looks for keys and for PEM of any kind but public keys, which verify tokens."""
    for path, content in files.items():
        if _PRIVATE.search(content):
            yield Violation(Invariant.KEY_MATERIAL, path, "it holds something like a private key")
