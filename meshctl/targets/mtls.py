"""What a caller's certificate names, for proxies that have its bytes and no word for a URI in it."""

from __future__ import annotations

import re

from meshctl.ir import WorkloadIdentity

_LENGTH = "(?:[0-7].|81..|82....)"
_END = f"30{_LENGTH}06"
"""What comes behind the names, the next extension or the signature's algorithm: a SEQUENCE that begins with an OID."""

_NO_URI = f"(?:8[12]{_LENGTH}(?:(?!{_END})[2-7].)++|8704.{{8}}|8710.{{32}})*+"
"""DNS names, mail addresses and IP addresses. All but the last are printable, so none of them hides the tag of another name."""

_NAMES = "0603551D11"
"""The object identifier of the extension subjectAltName (RFC 5280, 4.2.1.6), as DER has it."""


def names_one(identity: WorkloadIdentity) -> str:
    """A regular expression for ``<common name>:<certificate in DER>``, both in hexadecimal and upper case.

    It holds of certificates with one URI, which is the SPIFFE id of that common name in the trust domain of
    ``identity``. Whatever is unexpected between the names, or a second list of them, makes it fail, and so does a regex
    engine that gives up. For PCRE; no ``$`` in it, no group without a name.
    """
    prefix = identity.spiffe_id.removesuffix(identity.service)
    if not re.fullmatch(r"[!-~]+", prefix):
        raise ValueError(prefix)
    uri = f"86{_LENGTH}{prefix.encode().hex().upper()}\\k<name>"
    return (
        f"^(?<name>[0-9A-F]+):(?!.*{_NAMES}.*{_NAMES}).*{_NAMES}(?:0101FF)?04{_LENGTH}30{_LENGTH}"
        f"{_NO_URI}{uri}{_NO_URI}{_END}"
    )
