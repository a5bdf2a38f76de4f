"""Issuers of tokens: the keys of each, from the file that the spec names, and which of them rules ask for."""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from meshctl import ir
from meshctl.catalogue import finding
from meshctl.diagnostics import Finding
from meshctl.spec import Source, Spec
from meshctl.spec.authorization import AuthorizationRuleSpec, JwtIssuerSpec

MOST_KEYS = 64

_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_PEM = re.compile(rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----")
_RSA_BITS = (2048, 8192)
_RSA_EXPONENTS = range(3, 1 << 32)
_TEXT = re.compile(r"[ -~]{1,255}")
_CURVES = {
    "P-256": (
        ir.JwtAlgorithm.ES256,
        32,
        2**256 - 2**224 + 2**192 + 2**96 - 1,
        0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
    ),
    "P-384": (
        ir.JwtAlgorithm.ES384,
        48,
        2**384 - 2**128 - 2**96 + 2**32 - 1,
        0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF,
    ),
    "P-521": (
        ir.JwtAlgorithm.ES512,
        66,
        2**521 - 1,
        0x0051953EB9618E1C9A1F929A21A0B68540EEA2DA725B99B315F3B8B489918EF109E156193951EC7E937B1652C0BD3BB1BF073573DF883D2C34F1EF451FD46B503F00,
    ),
}
"""By their names in RFC 7518: the algorithm, the bytes of a coordinate, and p and b of y² = x³ - 3x + b."""
_RSA_ALGORITHMS = (ir.JwtAlgorithm.RS256, ir.JwtAlgorithm.RS384, ir.JwtAlgorithm.RS512)


class _UnusableError(Exception):
    """Why keys cannot be used; ``secret``: because they are no public ones. Never quotes a value of the file."""

    def __init__(self, why: str, *, secret: bool = False) -> None:
        super().__init__(why)
        self.secret = secret


def check(spec: Spec) -> Iterator[Finding]:
    """Key sets that cannot be used, and issuers whose tokens could not be told apart."""
    written = spec.written.mesh.jwt
    source = spec.source["mesh"]["jwt"]["issuers"]
    for name, issuer in (written.issuers if written is not None else {}).items():
        try:
            _keys(spec, issuer)
        except _UnusableError as error:
            slug = "secret-in-key-set" if error.secret else "unusable-key-set"
            yield finding(slug, source[name].value_at("jwks"), f"{issuer.jwks}: {error}")
        if issuer.audiences == []:
            message = "an empty list would be nobody; without `audiences` tokens for anybody are good"
            yield finding("empty-value", source[name].at("audiences"), message)


def condition(written: AuthorizationRuleSpec, source: Source) -> ir.JwtCondition | None:
    """What a rule asks of a token."""
    if written.jwt is None:
        return None
    claims = sorted((written.claims or {}).items())
    return ir.JwtCondition(
        written.jwt,
        tuple(ir.ClaimMatch(name, value) for name, value in claims),
        at=source.at("jwt"),
    )


def issuers(spec: Spec, rules: Iterable[ir.AuthorizationRule]) -> tuple[ir.JwtIssuer, ...]:
    """Those that ``rules`` name, in the order of their names."""
    written = spec.written.mesh.jwt
    known = written.issuers if written is not None else {}
    asked = sorted({rule.jwt.issuer for rule in rules if rule.jwt is not None})
    return tuple(
        ir.JwtIssuer(
            name,
            known[name].issuer,
            tuple(dict.fromkeys(known[name].audiences or ())),
            _keys(spec, known[name]),
        )
        for name in asked
    )


def _keys(spec: Spec, issuer: JwtIssuerSpec) -> tuple[ir.JwtKey, ...]:
    content = spec.files.get(issuer.jwks)
    if content is None:
        raise _UnusableError("the file was not read")
    return _parse(content)


@lru_cache(maxsize=16)
def _parse(content: bytes) -> tuple[ir.JwtKey, ...]:
    """The keys of one file; every service whose rules ask for them has the same."""
    if _PEM.search(content):
        raise _UnusableError("this is a private key in PEM", secret=True)
    try:
        document = json.loads(content.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise _UnusableError("this is no JSON, or not in UTF-8") from None
    listed = document.get("keys") if isinstance(document, dict) else None
    _refuse_secrets(listed if isinstance(listed, list) else [])
    if any(map(_is_secret, _objects(document))):
        raise _UnusableError("there is a private or a symmetric key in it", secret=True)
    if not isinstance(listed, list) and isinstance(document, dict) and "kty" in document:
        raise _UnusableError('this is one key, not a set: write it into {"keys": [ ]}')
    if not isinstance(listed, list) or len(listed) > MOST_KEYS:
        raise _UnusableError(
            f"a JWK Set (RFC 7517) is an object with a list `keys` of at most {MOST_KEYS} keys"
        )
    keys = tuple(dict.fromkeys(_read(listed)))
    if not keys:
        raise _UnusableError("there is no key in it that signs tokens")
    return keys


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise _UnusableError("a member is written twice")
    return dict(pairs)


def _refuse_secrets(listed: list[Any]) -> None:
    for number, each in enumerate(listed, start=1):
        if isinstance(each, dict) and (_PRIVATE & each.keys() or _is_secret(each)):
            raise _UnusableError(f"key {number} is a private or a symmetric key", secret=True)


def _is_secret(jwk: Mapping[str, Any]) -> bool:
    return "kty" in jwk and (jwk["kty"] == "oct" or not _PRIVATE.isdisjoint(jwk))


def _objects(document: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - whatever JSON has
    """All of them, however deep."""
    left = [document]
    while left:
        each = left.pop()
        if isinstance(each, dict):
            yield each
            left += each.values()
        elif isinstance(each, list):
            left += each


def _read(listed: list[Any]) -> Iterator[ir.JwtKey]:
    for number, each in enumerate(listed, start=1):
        if not isinstance(each, dict):
            raise _UnusableError(f"key {number} is no object")
        operations = each.get("key_ops", ["verify"])
        # What encrypts never signs a token, and issuers keep such keys in the same set.
        if each.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations:
            try:
                yield _key(each)
            except _UnusableError as error:
                raise _UnusableError(f"key {number} {error}") from None


def _key(jwk: Mapping[str, Any]) -> ir.JwtKey:
    kid = jwk.get("kid", "")
    if kid != "" and not (isinstance(kid, str) and _TEXT.fullmatch(kid)):
        raise _UnusableError("has a `kid` that is not a text of 1 to 255 printable ASCII characters")
    match jwk.get("kty"):
        case "RSA":
            algorithm = jwk.get("alg", "RS256")
            if algorithm not in _RSA_ALGORITHMS:
                raise _UnusableError(f"has an `alg` other than {', '.join(_RSA_ALGORITHMS)}")
            return ir.JwtKey(kid, ir.JwtAlgorithm(algorithm), _rsa(jwk))
        case "EC" if isinstance(curve := jwk.get("crv"), str) and curve in _CURVES:
            algorithm = _CURVES[curve][0]
            if jwk.get("alg", algorithm) != algorithm:
                raise _UnusableError(f"has an `alg` other than {algorithm}, which is that of its curve")
            return ir.JwtKey(kid, algorithm, _point(curve, jwk))
        case _:
            curves = ", ".join(_CURVES)
            raise _UnusableError(f"is neither of `kty` RSA nor of EC with a `crv` of {curves}")


def _rsa(jwk: Mapping[str, Any]) -> ir.RsaKey:
    modulus, exponent = (int.from_bytes(_bytes(jwk, member)) for member in ("n", "e"))
    least, most = _RSA_BITS
    if not least <= modulus.bit_length() <= most or modulus % 2 == 0:
        raise _UnusableError(f"has no modulus of {least} to {most} bits")
    if exponent not in _RSA_EXPONENTS or exponent % 2 == 0:
        raise _UnusableError("has no usable exponent")
    return ir.RsaKey(_text(modulus, modulus.bit_length()), _text(exponent, exponent.bit_length()))


def _point(curve: str, jwk: Mapping[str, Any]) -> ir.EcKey:
    _, length, prime, b = _CURVES[curve]
    x, y = (int.from_bytes(_bytes(jwk, member)) for member in ("x", "y"))
    if not (x < prime and y < prime and (y * y - x * x * x + 3 * x - b) % prime == 0):
        raise _UnusableError(f"is no point of {curve}")
    return ir.EcKey(curve, _text(x, 8 * length), _text(y, 8 * length))


def _bytes(jwk: Mapping[str, Any], member: str) -> bytes:
    value = jwk.get(member)
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,2000}", value):
        raise _UnusableError(f"has no `{member}` in base64url")
    try:
        return urlsafe_b64decode(value + "=" * (-len(value) % 4))
    except binascii.Error:
        raise _UnusableError(f"has no `{member}` in base64url") from None


def _text(number: int, bits: int) -> str:
    """In as many bytes as ``bits`` need."""
    return b64encode(number.to_bytes(-(-bits // 8)), b"-_").rstrip(b"=").decode()
