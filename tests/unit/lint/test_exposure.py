"""Who gets to what is protected: by what the callees let in, where the calls alone would say too much or too little."""

from __future__ import annotations

from datetime import date

import pytest

from meshctl import pipeline

MESH = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}
services:
  web: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {vault: {}}WEB}
  vault:
    port: 80
    labels: {protected: "true"}
    endpoints: [{address: 10.0.0.2}]
VAULT
gateways:
  edge: {port: 8080, endpoints: [{address: 10.0.9.1}], calls: {web: {}}, routes: [{name: all, backends: [{service: web}]}]}
"""
OVER = "`vault` is protected, and clients outside the mesh get to it over edge → web → vault; it is called by web, and through them edge"


@pytest.mark.parametrize(
    ("web", "vault", "expected"),
    [
        ("", "", [OVER]),
        ("", "    deny: [{from: [web], methods: [DELETE]}]", [OVER]),
        # The call is declared, and nothing of it gets in.
        ("", "    deny: [{from: [web]}]", []),
        (", deny: [{from: [edge]}]", "", []),
        ("", "    healthPath: /up\n    deny: [{from: [web]}]", []),
        (
            ", deny: [{from: [edge]}], mtls: {mode: permissive, until: 2026-02-01}, allow: [{from: [unauthenticated], paths: [{prefix: /a}]}]",
            "",
            [
                "`vault` is protected, and clients outside the mesh get to it over (in plaintext) → web → vault; it is called by web"
            ],
        ),
    ],
)
def test_who_gets_there(tmp_path, web, vault, expected):
    (tmp_path / "mesh.yaml").write_text(
        MESH.replace("WEB", web).replace("VAULT\n", f"{vault}\n" if vault else "")
    )
    findings = pipeline.lint(str(tmp_path / "mesh.yaml"), today=date(2026, 1, 1)).findings
    assert [each.message for each in findings if each.slug == "exposed-to-gateway"] == expected
    assert not [each.message for each in findings if each.is_error]
