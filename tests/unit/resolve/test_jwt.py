"""Which key sets can be used, and why others cannot; what a rule asks of a token."""

from __future__ import annotations

import json
from typing import Any

import pytest

from meshctl import ir, pipeline
from tests.behaviour.world import KEY_SETS

SPEC = """
apiVersion: meshctl.dev/v1
mesh:
  {name: shop, domain: shop.mesh, trustDomain: shop.example, jwt: {issuers: {idp: {issuer: "https://idp", jwks: idp.json}}}}
services:
  web: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {api: {}}}
  api: {port: 80, endpoints: [{address: 10.0.0.2}], allow: %s}
"""
PUBLIC = {each.get("kid"): each for each in json.loads((KEY_SETS / "idp.json").read_text())["keys"]}
EC, RS = PUBLIC["ec"], PUBLIC["rs512"] | {"alg": "RS256"}


def validated(folder: Any, keys: str | bytes, allow: str = "[{jwt: idp}]") -> pipeline.Validated:
    (folder / "idp.json").write_bytes(keys if isinstance(keys, bytes) else keys.encode())
    (folder / "mesh.yaml").write_text(SPEC % allow)
    return pipeline.validate(str(folder / "mesh.yaml"), proxy="envoy")


def listed(*keys: Any) -> str:
    return json.dumps({"keys": keys})


def authorization(found: pipeline.Validated) -> ir.Authorization:
    inbound = next(each for each in found.require().sidecars if each.service == "api").inbound
    assert inbound is not None
    return inbound.authorization


def without(key: dict[str, Any], *members: str) -> dict[str, Any]:
    return {name: value for name, value in key.items() if name not in members}


UNUSABLE = {
    "empty": ("", "no JSON"),
    "not UTF-8": (b'{"keys": ["\xff"]}', "no JSON"),
    "cut off": ('{"keys": [', "no JSON"),
    "deep": ('{"keys": ' + "[" * 50_000 + "]" * 50_000 + "}", "no JSON"),
    "a long number": ('{"keys": ' + "9" * 50_000 + "}", "no JSON"),
    "a list": ("[]", "an object with a list"),
    "no keys": ("{}", "an object with a list"),
    "keys in an object": ('{"keys": {}}', "an object with a list"),
    "too many keys": (listed(*[EC] * 65), "at most 64 keys"),
    "none": (listed(), "no key in it"),
    "none that signs": (listed(EC | {"use": "enc"}), "no key in it"),
    "none that verifies": (listed(EC | {"key_ops": ["encrypt"]}), "no key in it"),
    "a key that is a text": (listed(EC, "x"), "key 2 is no object"),
    "a member twice": ('{"keys": [], "keys": []}', "written twice"),
    "Ed25519": (listed({"kty": "OKP", "crv": "Ed25519", "x": "AA"}), "key 1 is neither of"),
    "another curve": (listed(EC | {"crv": "secp256k1"}), "key 1 is neither of"),
    "a point of another curve": (listed(without(EC, "alg") | {"crv": "P-384"}), "is no point of P-384"),
    "a list for a curve": (listed(EC | {"crv": ["P-256"]}), "key 1 is neither of"),
    "lists for texts": (listed(RS | {"alg": ["RS256"], "use": "sig"}), "has an `alg` other than"),
    "an object for a kty": (listed(RS | {"kty": {}}), "key 1 is neither of"),
    "PS256": (listed(EC, RS | {"alg": "PS256"}), "key 2 has an `alg` other than RS256"),
    "HS256 by a public key": (listed(RS | {"alg": "HS256"}), "has an `alg` other than"),
    "another algorithm than the curve's": (listed(EC | {"alg": "ES384"}), "other than ES256"),
    "a number for a kid": (listed(EC | {"kid": 1}), "a `kid` that is not a text"),
    "a control character in a kid": (listed(EC | {"kid": "a\nb"}), "a `kid` that is not a text"),
    "off the curve": (listed(EC | {"y": EC["x"]}), "is no point of P-256"),
    "no y": (listed(without(EC, "y")), "no `y` in base64url"),
    "no base64url": (listed(EC | {"x": "+/=="}), "no `x` in base64url"),
    "a letter too few": (listed(RS | {"n": RS["n"][:341]}), "no `n` in base64url"),
    "a short modulus": (listed(RS | {"n": RS["n"][:160]}), "no modulus of 2048 to 8192 bits"),
    "an even exponent": (listed(RS | {"e": "AQAA"}), "no usable exponent"),
    "an exponent of one": (listed(RS | {"e": "AQ"}), "no usable exponent"),
}


@pytest.mark.parametrize(("keys", "why"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_key_set_that_cannot_be_used_is_told_where_it_is_named(tmp_path, keys, why):
    found = validated(tmp_path, keys).findings
    (told,) = [each for each in found if each.is_error]
    assert (told.slug, told.at.line if told.at else 0) == ("unusable-key-set", 4)
    assert told.message.startswith("idp.json: ")
    assert why in told.message


@pytest.mark.parametrize(
    "key",
    [EC | {"d": "c2VjcmV0"}, RS | {"p": "c2VjcmV0"}, {"kty": "oct", "k": "c2VjcmV0"}, {"kty": "oct"}, {"use": "enc", "d": "c2VjcmV0"}],
)  # fmt: skip
def test_a_secret_is_an_error_and_not_told_again(tmp_path, key):
    found = validated(tmp_path, listed(EC, key)).findings
    (told,) = [each for each in found if each.is_error]
    assert (told.slug, told.message) == (
        "secret-in-key-set",
        "idp.json: key 2 is a private or a symmetric key",
    )
    assert "c2VjcmV0" not in repr(found)


PRIVATE = EC | {"d": "c2VjcmV0"}
SECRETS = {
    "a private key alone": json.dumps(PRIVATE),
    "a symmetric key alone": json.dumps({"kty": "oct", "k": "c2VjcmV0"}),
    "a list of private keys": json.dumps([PRIVATE]),
    "not in `keys`": json.dumps({"keys": [EC], "signing": {"key": PRIVATE}}),
    "behind one that cannot be used": listed({"kty": "OKP"}, PRIVATE),
    "behind too many": listed(*[EC] * 65, PRIVATE),
    "PKCS 8": "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n",
    "PKCS 1": "-----BEGIN RSA PRIVATE KEY-----\nc2VjcmV0\n-----END RSA PRIVATE KEY-----\n",
    "encrypted": "-----BEGIN ENCRYPTED PRIVATE KEY-----\nc2VjcmV0\n",
}


@pytest.mark.parametrize("content", SECRETS.values(), ids=SECRETS)
def test_a_secret_is_found_in_what_is_no_key_set(tmp_path, content):
    found = validated(tmp_path, content).findings
    assert [each.slug for each in found] == ["secret-in-key-set"]
    assert "c2VjcmV0" not in repr(found)


def test_one_public_key_is_told_from_a_set(tmp_path):
    (found,) = validated(tmp_path, json.dumps(EC)).findings
    assert "one key, not a set" in found.message


CLAIMS = {
    "5": ("a number", True),
    "-1.5e3": ("a number", True),
    "true": ("a boolean", True),
    "False": ("a boolean", True),
    '"5"': ("", False),
    "'true'": ("", False),
    "5a": ("", False),
    "yes": ("", False),
}


@pytest.mark.parametrize(("value", "expected"), CLAIMS.items(), ids=CLAIMS)
def test_a_claim_is_a_text(tmp_path, value, expected):
    kind, refused = expected
    found = validated(tmp_path, listed(EC), f"[{{jwt: idp, claims: {{sub: {value}}}}}]").findings
    assert [each.slug for each in found] == ["invalid-value"] * refused
    assert all(kind in each.message and f'"{value}"' in each.fix and each.at for each in found)


NEAR = {"ipd": "Did you mean `idp`?", "another": "There is `idp`."}


@pytest.mark.parametrize(("name", "fix"), NEAR.items(), ids=NEAR)
def test_an_issuer_that_there_is_not_has_one_near(tmp_path, name, fix):
    (found,) = validated(tmp_path, listed(EC), f"[{{jwt: {name}}}]").findings
    assert (found.slug, found.fix) == ("undefined-reference", fix)


FILES = {
    '""': "",
    "/etc/passwd": "Copy it below the spec's folder, and write its path from there.",
    "./keys/idp.json": "Did you mean `keys/idp.json`?",
    "https://idp/x": "Save it below the spec: `curl -o keys/idp.json https://idp/x`, and write `keys/idp.json`.",
    '"https://idp/x?a=`id`"': "Save it below the spec: `curl -o keys/idp.json URL`, and write `keys/idp.json`.",
}


@pytest.mark.parametrize(("path", "fix"), FILES.items(), ids=FILES)
def test_what_is_no_file_of_the_spec_has_a_way_out(tmp_path, path, fix):
    (tmp_path / "mesh.yaml").write_text((SPEC % "[]").replace("idp.json", path))
    (found,) = (
        each for each in pipeline.validate(str(tmp_path / "mesh.yaml")).findings if "jwks" in each.message
    )
    assert found.fix == fix or (not fix and "mean" not in found.fix)


def test_keys_are_read_with_their_algorithms(tmp_path):
    plain = without(RS, "alg", "kid")
    found = authorization(validated(tmp_path, listed(*PUBLIC.values(), plain, plain, RS | {"use": "enc"})))
    (issuer,) = found.issuers
    told = [f"{each.kid}:{each.algorithm}" for each in issuer.keys]
    assert told == [
        "rsa:RS256",
        "rs384:RS384",
        "rs512:RS512",
        "ec:ES256",
        "es384:ES384",
        "es512:ES512",
        ":RS256",
    ]


def test_what_no_rule_asks_for_is_left_out(tmp_path):
    assert authorization(validated(tmp_path, listed(EC), "[{from: [web]}]")).issuers == ()


def test_a_key_set_that_no_rule_asks_for_is_looked_at(tmp_path):
    assert [each.slug for each in validated(tmp_path, "", "[{from: [web]}]").findings] == ["unusable-key-set"]


def test_rules_of_one_token_and_other_claims_stay_apart(tmp_path):
    rules = "[{jwt: idp, claims: {b: c, a: x}}, {jwt: idp}, {jwt: idp, from: [web]}, {from: [web]}]"
    found = authorization(validated(tmp_path, listed(EC), rules)).rules
    told = [rule.jwt and [f"{each.name}={each.value}" for each in rule.jwt.claims] for rule in found]
    assert told == [["a=x", "b=c"], [], None]


def test_a_token_is_asked_of_requests_only(tmp_path):
    keys = validated(tmp_path, listed(EC), "[{jwt: idp}], protocol: tcp")
    assert "needs-http" in {each.slug for each in keys.findings}
