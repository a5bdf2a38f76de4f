"""Tokens: Lua reads and verifies them, see ``tokens.lua``, by keys in a file beside it.

HAProxy's own ``jwt_verify`` leaves the errors of a bad signature behind in the thread, where TLS takes them for
its own and closes connections of others: docs/decisions/0104-tokens-are-read-by-rules.md.
"""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64decode
from collections.abc import Iterator
from typing import assert_never

from meshctl import ir
from meshctl.ir.jwt import CLOCK_SKEW
from meshctl.targets.haproxy import quoting
from meshctl.targets.haproxy.model import Criterion, Issuer
from meshctl.targets.haproxy.quoting import Token
from meshctl.targets.haproxy.render import script

SCRIPT = "tokens.lua"
KEYS = "token-keys.pem"

_TRUE = (Token("1"),)


def issuers(authorization: ir.Authorization) -> tuple[Issuer, ...]:
    """What must hold for a good token of each; then the variable of its number is set."""
    first, found = 1, []
    for number, each in enumerate(authorization.issuers, start=1):
        criteria = tuple(_criteria(number, each, first))
        found.append(Issuer(number, criteria, tuple(dict.fromkeys(one.name for one in criteria))))
        first += len(each.keys)
    return tuple(found)


def files(authorization: ir.Authorization) -> dict[str, bytes]:
    """All keys in one file; rules know them by their numbers in it."""
    keys = [key for issuer in authorization.issuers for key in issuer.keys]
    return {KEYS: b"".join(map(_pem, keys)), SCRIPT: script(SCRIPT)} if keys else {}


def challenge(realm: str) -> Token:
    """The header that asks for a token, as a format."""
    return quoting.literal_format(f'Bearer realm="{realm}"')


def is_good(condition: ir.JwtCondition, issuers: tuple[ir.JwtIssuer, ...]) -> Criterion:
    """That there is a good token of the issuer."""
    number = next(at for at, each in enumerate(issuers, start=1) if each.name == condition.issuer)
    return Criterion(quoting.name(f"token{number}"), Token(f"var(txn.token{number}) -m int"), _TRUE)


def claims(prefix: str, condition: ir.JwtCondition) -> Iterator[Criterion]:
    """All that a token must claim, a name each."""
    for number, each in enumerate(condition.claims, start=1):
        yield _says(f"{prefix}.claim{number}", "has", each.name, each.value)


def _criteria(number: int, issuer: ir.JwtIssuer, first: int) -> Iterator[Criterion]:
    skew = str(int(CLOCK_SKEW.total_seconds()))
    yield _says(f"token{number}.from", "from", issuer.issuer, skew)
    for each in issuer.audiences:
        yield _says(f"token{number}.audience", "has", "aud", each)
    for nth, key in enumerate(issuer.keys, start=first):
        kid = [key.kid] if key.kid else []
        yield _says(f"token{number}.signature", "by", str(nth), key.algorithm, *kid)


def _says(name: str, what: str, *arguments: str) -> Criterion:
    sample = quoting.call(f"lua.token_{what}", *arguments)
    return Criterion(quoting.name(name), Token(f"{sample} -m int"), _TRUE)


def _pem(key: ir.JwtKey) -> bytes:
    """A SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7; RFC 3279, section 2.3; RFC 5480, section 2)."""
    text = b64encode(_public(key.public)).decode()
    lines = (text[at : at + 64] for at in range(0, len(text), 64))
    return "\n".join(("-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", "")).encode()


_SEQUENCE, _INTEGER, _BITS = 0x30, 0x02, 0x03
_RSA = bytes.fromhex("06092a864886f70d0101010500")
_EC = bytes.fromhex("06072a8648ce3d0201")
_CURVES = {
    "P-256": bytes.fromhex("06082a8648ce3d030107"),
    "P-384": bytes.fromhex("06052b81040022"),
    "P-521": bytes.fromhex("06052b81040023"),
}


def _public(key: ir.RsaKey | ir.EcKey) -> bytes:
    match key:
        case ir.RsaKey(n, e):
            numbers = b"".join(_der(_INTEGER, _positive(each)) for each in (n, e))
            algorithm, bits = _RSA, _der(_SEQUENCE, numbers)
        case ir.EcKey(curve, x, y):
            algorithm, bits = _EC + _CURVES[curve], b"\x04" + _bytes(x) + _bytes(y)
        case _:
            assert_never(key)
    return _der(_SEQUENCE, _der(_SEQUENCE, algorithm) + _der(_BITS, b"\0" + bits))


def _der(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    written = length.to_bytes(-(-length.bit_length() // 8))
    return bytes((tag, 0x80 | len(written))) + written + content


def _positive(text: str) -> bytes:
    number = _bytes(text)
    return b"\0" + number if number[0] & 0x80 else number


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
