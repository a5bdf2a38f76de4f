"""Tokens (RFC 7519) that a rule of authorization may ask for: whose they are, and by which keys they are known."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from msgspec import Struct

from meshctl.diagnostics import Position
from meshctl.ir.features import Feature, needs
from meshctl.ir.written import Written

CLOCK_SKEW = timedelta(seconds=60)
"""By so much the clock of who made a token may be wrong: `exp` counts that much later, `nbf` that much earlier."""

SPACE_DELIMITED = frozenset({"scope"})
"""Claims whose text is a list with blanks between (RFC 8693, section 4.2)."""


class JwtAlgorithm(StrEnum):
    """How a token may be signed: those that every proxy verifies, and none with a shared secret (RFC 7518, section 3.1)."""

    RS256 = "RS256"
    RS384 = "RS384"
    RS512 = "RS512"
    ES256 = "ES256"
    ES384 = "ES384"
    ES512 = "ES512"


class RsaKey(Struct, frozen=True):
    """A public key of RSA: modulus and exponent, each base64url without padding as in a JWK."""

    n: str
    e: str


class EcKey(Struct, frozen=True):
    """A point on the curve that the algorithm names; coordinates in base64url of the curve's full length."""

    curve: str
    x: str
    y: str


class JwtKey(Struct, frozen=True):
    """One key, for one algorithm. An empty ``kid`` is a key for tokens of any, and a token without takes any key."""

    kid: str
    algorithm: JwtAlgorithm
    public: RsaKey | EcKey


class JwtIssuer(Struct, frozen=True):
    """Whose tokens are good, under the name that rules have for it.

    A token is good when one of ``keys`` verifies it, `iss` is ``issuer``, `exp` is there and not past, `nbf`
    is past or not there, and, unless ``audiences`` is empty, `aud` is or has one of them. All are compared whole.
    """

    name: str
    issuer: str
    audiences: tuple[str, ...]
    keys: tuple[JwtKey, ...]


class ClaimMatch(Struct, frozen=True):
    """Holds where the claim of exactly that name, at the top, is the text ``value`` or a list that has it.

    Of :data:`SPACE_DELIMITED` claims one of the words is enough. Numbers, booleans and objects never match.
    """

    name: str
    value: str


class JwtCondition(Written, frozen=True):
    """A good token of the issuer with that name, and all of the claims."""

    issuer: Annotated[str, needs(Feature.JWT)]
    claims: tuple[ClaimMatch, ...] = ()
    at: Position | None = None
