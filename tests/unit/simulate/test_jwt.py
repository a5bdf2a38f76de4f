"""What is told of a request's token, and of an issuer whose keys have changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from meshctl import ir, pipeline, simulate
from meshctl.diff import compare
from tests.behaviour.tables import TOKENS
from tests.behaviour.world import KEY_SETS

SPEC = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example, proxy: envoy, jwt: {issuers: {
  idp: {issuer: "https://idp.example", audiences: [shop], jwks: keys/idp.json}}}AUDIT}
services:
  web: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {api: {}}}
  api:
    port: 80
    endpoints: [{address: 10.0.0.2}]
    allow: [{jwt: idp, claims: {groups: admin}}]
    deny: [{jwt: idp, claims: {sub: mallory}}]
"""


def mesh(folder: Path, audit: str = "") -> ir.Mesh:
    shutil.copytree(KEY_SETS, folder / "keys", dirs_exist_ok=True)
    (folder / "mesh.yaml").write_text(SPEC.replace("AUDIT", audit))
    return pipeline.validate(str(folder / "mesh.yaml")).require()


@pytest.mark.parametrize(
    ("token", "status", "told"),
    [
        ("", 401, ["there is no token", "nothing lets `web` do this to `api`: 401"]),
        ("two-parts", 401, ["not one line with `Bearer` and a token", "401"]),
        ("other-issuer", 401, ["`iss` is not `https://idp.example`", "401"]),
        ("partners", 401, ["`aud` is none of: shop", "401"]),
        ("unknown-kid", 401, ["no key of `idp` is for the token's `alg` and `kid`", "401"]),
        ("more-than-the-group", 403, ["`groups` is not `admin`", "403"]),
        ("mallory", 403, ["a deny rule refuses (from everybody; token of `idp`; claim sub: mallory): 403"]),
        (
            "valid",
            None,
            ["token of `idp`; claim groups: admin", "neither its signature nor its times are verified"],
        ),
        ("expired", None, ["token of `idp`", "neither its signature nor its times are verified"]),
    ],
)
def test_each_step_says_why(tmp_path, token, status, told):
    headers = [("authorization", f"Bearer {TOKENS[token]}")] if token else []
    found = simulate.explain(mesh(tmp_path), "web", "GET", "http://api/", headers)
    assert found.outcome.status == status
    (hop,) = found.hops
    steps = [each.text for each in hop.arrival]
    assert len(steps) == len(told)
    assert all(words in text for words, text in zip(told, steps, strict=True)), steps


def test_with_audit_nobody_is_asked_for_a_token(tmp_path):
    found = simulate.request(mesh(tmp_path, ", authorization: {audit: true}"), "web", "GET", "http://api/")
    assert (found.status, [each.audited for each in found.backends]) == (None, [True])


def test_a_new_key_is_a_change(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    before, _ = mesh(tmp_path / "a"), mesh(tmp_path / "b")
    keys = json.loads((KEY_SETS / "idp.json").read_text())["keys"]
    (tmp_path / "b" / "keys" / "idp.json").write_text(json.dumps({"keys": keys[:2]}))
    after = pipeline.validate(str(tmp_path / "b" / "mesh.yaml")).require()
    told = repr(compare(before, after))
    assert "token issuer" in told
    assert "es512" in told
    assert "token issuer" not in repr(compare(before, before))
