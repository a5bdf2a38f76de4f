"""Who is let in: callers by their whole subject."""

from __future__ import annotations

from meshctl import ir
from meshctl.targets.haproxy import quoting
from meshctl.targets.haproxy.quoting import Token


def callers(authorization: ir.Authorization) -> tuple[Token, ...]:
    """Lines of subjects that may call. None: nobody may."""
    return quoting.word_lists(
        tuple(each.distinguished_name for rule in authorization.rules for each in rule.principals)
    )


def identity_prefix(identity: ir.WorkloadIdentity) -> Token:
    """What stands before a caller's name in the identity header."""
    return quoting.literal_format(f"spiffe://{identity.trust_domain}/")
