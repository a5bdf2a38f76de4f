"""Makes `tokens.json` and `key_sets/` anew: `python -m tests.behaviour.make_tokens`.

The private keys are gone when it ends, so nothing here is a secret and no token can be added by itself.
"""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

FOLDER = Path(__file__).parent
TOKENS, KEY_SETS = FOLDER / "tokens.json", FOLDER / "key_sets"

PAST, FAR = 1_000_000_000, 4_102_444_800
"""2001 and 2100."""
ISSUER = "https://idp.example"

HASHES: dict[str, hashes.HashAlgorithm] = {
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}
CURVES: dict[str, tuple[str, ec.EllipticCurve]] = {
    "256": ("P-256", ec.SECP256R1()),
    "384": ("P-384", ec.SECP384R1()),
    "512": ("P-521", ec.SECP521R1()),
}

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
Claims = dict[str, Any]

CLAIMS: Claims = {
    "iss": ISSUER,
    "aud": "shop",
    "sub": "alice",
    "exp": FAR,
    "nbf": PAST,
    "iat": PAST,
    "scope": "read write",
    "groups": ["admin", "dev ops"],
    f"{ISSUER}/role": "boss",
    "name": 'Zoë "Z" \\ 漢 😀/',
    "level": 3,
    "flag": True,
    "nothing": None,
    "nested": {"a": "b", "sub": "mallory"},
    "deep": [["admin"], {"groups": "admin"}, -1.5e3, []],
}


def text(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def number(value: int, length: int = 0) -> str:
    return text(value.to_bytes(length or -(-value.bit_length() // 8)))


def new_key(algorithm: str) -> Key:
    if algorithm.startswith("RS"):
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(CURVES[algorithm[2:]][1])


def public(key: Key, algorithm: str, **members: str) -> dict[str, str]:
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.public_key().public_numbers()
        return {"kty": "RSA", **members, "n": number(numbers.n), "e": number(numbers.e)}
    point, length = key.public_key().public_numbers(), -(-key.key_size // 8)
    name = CURVES[algorithm[2:]][0]
    return {"kty": "EC", **members, "crv": name, "x": number(point.x, length), "y": number(point.y, length)}


def signed(key: Key, algorithm: str, message: bytes) -> bytes:
    digest = HASHES[algorithm[2:]]
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(message, padding.PKCS1v15(), digest)
    length = -(-key.key_size // 8)
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(digest)))
    return r.to_bytes(length) + s.to_bytes(length)


def unsigned(head: Claims, claims: Claims | str) -> str:
    body = claims if isinstance(claims, str) else json.dumps(claims)
    return f"{text(json.dumps(head).encode())}.{text(body.encode())}"


def token(
    key: Key, algorithm: str, claims: Claims | str = CLAIMS, kid: str | None = "rsa", **head: str | list[str]
) -> str:
    message = unsigned(
        {"alg": algorithm, "typ": "JWT"} | ({} if kid is None else {"kid": kid}) | head, claims
    )
    return f"{message}.{text(signed(key, algorithm, message.encode()))}"


def twice_in_the_head(key: Key) -> str:
    head = json.dumps({"alg": "RS256", "kid": "rsa"})[:-1] + ', "kid": "rsa"}'
    message = f"{text(head.encode())}.{text(json.dumps(CLAIMS).encode())}"
    return f"{message}.{text(signed(key, 'RS256', message.encode()))}"


def without(*names: str) -> Claims:
    return {name: value for name, value in CLAIMS.items() if name not in names}


def about_claims(key: Key) -> dict[str, str]:
    """All signed as they should be."""
    changed: dict[str, Claims] = {
        "expired": {"exp": PAST},
        "just-a-text-for-exp": {"exp": str(FAR)},
        "not-yet": {"nbf": FAR - 1},
        "text-for-nbf": {"nbf": str(PAST)},
        "other-issuer": {"iss": "https://evil.example"},
        "issuer-and-more": {"iss": f"{ISSUER}/"},
        "issuer-in-a-list": {"iss": [ISSUER]},
        "other-audience": {"aud": "bank"},
        "audience-in-a-list": {"aud": ["bank", "market"]},
        "audience-with-a-scheme": {"aud": "https://shop"},
        "audience-and-more": {"aud": "shop market"},
        "partners": {"aud": "partners"},
        "both-audiences": {"aud": ["partners", "shop"]},
        "mallory": {"sub": "mallory"},
        "mallory-in-a-list": {"sub": ["mallory"]},
        "banned": {"groups": ["admin", "banned"]},
        "text-for-iat": {"iat": "now"},
        "one-group": {"groups": "admin"},
        "more-than-the-group": {"groups": ["administrators"]},
        "a-word-of-a-group": {"groups": "admin dev"},
        "other-scope": {"scope": "readers write"},
        "scopes-in-a-list": {"scope": ["read", "write"]},
        "only-scope": {"scope": "read"},
        "text-for-level": {"level": "3"},
        "fraction": {"exp": FAR + 0.5},
    }
    found = {name: token(key, "RS256", CLAIMS | each) for name, each in changed.items()}
    return found | {
        "valid": token(key, "RS256"),
        "without-kid": token(key, "RS256", kid=None),
        "empty-kid": token(key, "RS256", kid=""),
        "escaped": token(
            key, "RS256", json.dumps(CLAIMS).replace("alice", "\\u0061lice").replace("sub", "s\\u0075b")
        ),
        "a-name-twice": token(key, "RS256", json.dumps(CLAIMS)[:-1] + ', "sub": "mallory"}'),
        "a-name-twice-inside": token(key, "RS256", json.dumps(CLAIMS)[:-1] + ', "own": {"a": 1, "a": 2}}'),
        "a-name-twice-in-the-head": twice_in_the_head(key),
        "critical": token(key, "RS256", crit=["exp"]),
        "critical-and-empty": token(key, "RS256", crit=[]),
        "without-exp": token(key, "RS256", without("exp")),
        "without-nbf": token(key, "RS256", without("nbf", "iat")),
        "without-audience": token(key, "RS256", without("aud")),
        "without-issuer": token(key, "RS256", without("iss")),
        "unknown-kid": token(key, "RS256", kid="unknown"),
        "other-kid": token(key, "RS256", kid="ec"),
        "not-an-object": token(key, "RS256", '["iss"]'),
        "not-json": token(key, "RS256", '{"iss": '),
        "two-objects": token(key, "RS256", f"{json.dumps(CLAIMS)} {{}}"),
    }


def forged(key: Key) -> dict[str, str]:
    """By somebody who has no private key of the issuer's."""
    stranger = new_key("RS256")
    pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    head = {"alg": "HS256", "typ": "JWT", "kid": "rsa"}
    message = unsigned(head, CLAIMS)
    mac = text(hmac.digest(pem, message.encode(), "sha256"))
    none = {"alg": "none", "typ": "JWT"}
    good = token(key, "RS256").split(".")
    other = text(json.dumps(CLAIMS | {"sub": "root"}).encode())
    deep = "[" * 9000 + "]" * 9000
    return {
        "of-a-stranger": token(stranger, "RS256"),
        "of-a-stranger-without-kid": token(stranger, "RS256", kid=None),
        "other-claims": ".".join((good[0], other, good[2])),
        "secret-is-the-public-key": f"{message}.{mac}",
        "none": f"{unsigned(none, CLAIMS)}.",
        "none-with-a-signature": f"{unsigned(none, CLAIMS)}.{good[2]}",
        "none-in-capitals": f"{unsigned(none | {'alg': 'NONE'}, CLAIMS)}.{good[2]}",
        "no-alg": f"{unsigned({'typ': 'JWT', 'kid': 'rsa'}, CLAIMS)}.{good[2]}",
        "rsa-says-es256": token(key, "RS256", alg="ES256"),
        "rs256-says-rs512": token(key, "RS256", alg="RS512"),
        "rs512-by-the-key-of-rs256": token(key, "RS512"),
        "own-key": token(stranger, "RS256", jku="https://evil.example/keys"),
        "deep": f"{good[0]}.{text(deep.encode())}.{good[2]}",
        "no-base64": f"{good[0]}.%7B%7D.{good[2]}",
        "padded": f"{good[0]}=.{good[1]}=.{good[2]}==",
        "one-letter": f"{good[0]}.A.{good[2]}",
        "two-parts": ".".join(good[:2]),
        "four-parts": ".".join((*good, good[2])),
        "empty-parts": "..",
        "not-utf-8": f"{good[0]}.{text(b'{' + bytes(range(128, 256)))}.{good[2]}",
    }


def main() -> None:
    keys = {
        "rsa": "RS256",
        "rs384": "RS384",
        "rs512": "RS512",
        "ec": "ES256",
        "es384": "ES384",
        "es512": "ES512",
    }
    made = {kid: new_key(algorithm) for kid, algorithm in keys.items()}
    plain = new_key("RS256")
    listed = [public(key, keys[kid], kid=kid, alg=keys[kid]) for kid, key in made.items()]
    encrypts = public(new_key("RS256"), "RS256", kid="rsa", use="enc", alg="RSA-OAEP")
    sets = {"idp": [encrypts, *listed], "plain": [public(plain, "RS256")]}
    for name, each in sets.items():
        (KEY_SETS / f"{name}.json").write_text(json.dumps({"keys": each}, indent=1) + "\n")
    others = CLAIMS | {"iss": "https://other.example"}
    tokens = {
        **about_claims(made["rsa"]),
        **forged(made["rsa"]),
        **{kid: token(key, keys[kid], kid=kid) for kid, key in made.items()},
        "es256-is-not-es384": token(made["es384"], "ES384", kid="ec"),
        "plain": token(plain, "RS256", others, kid="anything"),
        "plain-of-the-first": token(made["rsa"], "RS256", others),
        "first-of-the-plain": token(plain, "RS256", kid="rsa"),
    }
    TOKENS.write_text(json.dumps(tokens, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
