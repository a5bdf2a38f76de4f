"""Whether the certificates that a sidecar has are those that its bundle asks for, and hold."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from meshctl.artifacts import CERTIFICATE, PRIVATE_KEY, REVOCATION_LISTS, TRUST_BUNDLE
from meshctl.diagnostics import UsageError
from meshctl.pki import acceptance, parsing, profile
from meshctl.pki.identities import Identities


def require(identities: Identities, secrets: Mapping[str, bytes], now: datetime) -> str:
    """Files of ``tls``, by their paths in the bundle, for the one identity, at ``now`` (UTC).

    A warning where the certificate is inside its renewal window, else nothing. Raises UsageError where a file is missing or no key,
    and AnswerError with everything else that is wrong.
    """
    (holder,) = identities.holders
    wanted = (CERTIFICATE, PRIVATE_KEY, TRUST_BUNDLE, *((REVOCATION_LISTS,) if identities.crl else ()))
    if missing := [each for each in wanted if each not in secrets]:
        raise UsageError(f"there is no {', '.join(missing)}")
    try:
        key = parsing.private_key(secrets[PRIVATE_KEY])
    except ValueError:
        raise UsageError(f"{PRIVATE_KEY} is not a private key in PEM") from None
    if not profile.is_key(key):
        raise UsageError(f"{PRIVATE_KEY} is not P-256")
    answer = secrets[CERTIFICATE] + (secrets[REVOCATION_LISTS] if identities.crl else b"")
    found = acceptance.check(answer, key.public_key(), holder, secrets[TRUST_BUNDLE], now, carried=True)
    end = found.leaf.not_valid_after_utc
    due = now >= end - identities.policy.renew_before
    return f"its certificate ends {end:%Y-%m-%dT%H:%M:%SZ}" if due else ""
