"""Who is let in, and what the application is told about them."""

from __future__ import annotations

from meshctl import ir
from meshctl.ir.mesh import IDENTITY_HEADER, UNTRUSTED_HEADERS
from meshctl.targets.nginx import quoting
from meshctl.targets.nginx.model import Caller
from meshctl.targets.nginx.quoting import Token


def callers(authorization: ir.Authorization) -> tuple[Caller, ...]:
    """Who may call. None: nobody may. The trust domain is checked before, see :mod:`mtls`."""
    return tuple(
        Caller(quoting.map_key(each.service), quoting.value(each.spiffe_id))
        for rule in authorization.rules
        for each in rule.principals
    )


def identity_header() -> Token:
    """The header that names the caller."""
    return quoting.value(IDENTITY_HEADER)


def untrusted_headers() -> tuple[Token, ...]:
    """What is taken from a caller's request, in all spellings; as keys of a table in Lua."""
    return tuple(quoting.lua_string(header) for header in UNTRUSTED_HEADERS)
