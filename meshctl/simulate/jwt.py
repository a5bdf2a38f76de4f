"""What a request's token is worth, but for two things: no signature is verified here, and no clock is read.

The answer of the simulator is the same tomorrow; so a token that has its `exp` is taken as signed and in time.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from binascii import Error as BinasciiError
from collections.abc import Mapping
from typing import Any

from meshctl.ir import AuthorizationRule, ClaimMatch, InboundListener, JwtIssuer
from meshctl.ir.jwt import SPACE_DELIMITED
from meshctl.simulate.message import Request

_BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+")

Json = Mapping[str, Any]


def unmet(inbound: InboundListener, rule: AuthorizationRule, request: Request) -> str:
    """Why the token does not do for a rule, in words; empty where it does, or none is asked for."""
    if rule.jwt is None:
        return ""
    found = _read(request)
    if isinstance(found, str):
        return found
    issuer = next(each for each in inbound.authorization.issuers if each.name == rule.jwt.issuer)
    lacking = (f"the token's `{each.name}` is not `{each.value}`" for each in rule.jwt.claims)
    failing = (
        text for text, each in zip(lacking, rule.jwt.claims, strict=True) if not _holds(each, found[1])
    )
    return _bad(issuer, *found) or next(failing, "")


def is_good(inbound: InboundListener, rule: AuthorizationRule, request: Request) -> bool:
    """Whether there is a good token of the rule's issuer, whatever it claims."""
    found = _read(request)
    return not isinstance(found, str) and not any(
        _bad(each, *found)
        for each in inbound.authorization.issuers
        if rule.jwt is not None and each.name == rule.jwt.issuer
    )


def _read(request: Request) -> tuple[Json, Json] | str:
    """The head and the claims of the only token, or why there is none."""
    lines = request.values("authorization")
    if not lines:
        return "there is no token"
    bearer = _BEARER.fullmatch(lines[0].strip(" \t")) if len(lines) == 1 else None
    head, claims = (_json(each) for each in bearer.groups()) if bearer else (None, None)
    if head is None or claims is None:
        return "Authorization is not one line with `Bearer` and a token"
    if "crit" in head:
        return "the token has a `crit`, and nothing that stands there is understood"
    return head, claims


def _json(text: str) -> Json | None:
    try:
        decoded = urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("utf-8")
        read = json.loads(decoded, object_pairs_hook=_once)
    except (ValueError, BinasciiError, RecursionError):
        return None
    return read if isinstance(read, dict) else None


def _once(pairs: list[tuple[str, Any]]) -> Json:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a name is there twice")
    return dict(pairs)


def _bad(issuer: JwtIssuer, head: Json, claims: Json) -> str:
    """Why a token is not good for ``issuer``, as far as that can be told; empty where it is."""
    kid = head.get("kid", "")
    keys = (key for key in issuer.keys if key.algorithm == head.get("alg"))
    if not any(not kid or not key.kid or kid == key.kid for key in keys):
        return f"no key of `{issuer.name}` is for the token's `alg` and `kid`"
    if claims.get("iss") != issuer.issuer:
        return f"the token's `iss` is not `{issuer.issuer}`"
    if issuer.audiences and not set(_texts(claims.get("aud"))) & set(issuer.audiences):
        return f"the token's `aud` is none of: {', '.join(issuer.audiences)}"
    if not _is_time(claims.get("exp")):
        return "the token has no `exp`"
    for name, is_right in _REGISTERED.items():
        if name in claims and not is_right(claims[name]):
            return f"the token's `{name}` is not what RFC 7519 says it is"
    return ""


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _is_text(value: object) -> bool:
    return isinstance(value, str)


_REGISTERED = {"nbf": _is_time, "iat": _is_time, "sub": _is_text, "jti": _is_text}


def _holds(claim: ClaimMatch, claims: Json) -> bool:
    value = claims.get(claim.name)
    if claim.name in SPACE_DELIMITED and isinstance(value, str):
        return claim.value in value.split(" ")
    return claim.value in _texts(value)


def _texts(value: object) -> list[str]:
    """A text, or those in a list."""
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]
