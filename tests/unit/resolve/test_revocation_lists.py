"""Who looks certificates up, and that the others do not ask for lists to do it with."""

from __future__ import annotations

import pytest

from meshctl import ir, pipeline
from meshctl.diff import compare
from meshctl.targets.bundle import bundle

SPEC = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example, authorization: {mode: open}, mtls: {MESH, crl: true}}
services:
  web: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {api: {}}, WEB}
  api: {port: 80, endpoints: [{address: 10.0.0.2}], API}
gateways:
  edge: {port: 8080, endpoints: [{address: 10.0.0.3}], hostnames: [www.shop.example], calls: {web: {}}}
"""
DISABLED, STRICT = "mtls: {mode: disabled}", "mtls: {mode: strict}"


@pytest.fixture
def validated(tmp_path):
    def of(mesh, web, api, proxy=None):
        text = SPEC.replace("MESH", mesh)
        for name, own in (("WEB", web), ("API", api)):
            text = text.replace(f", {name}}}", f", {own}}}" if own else "}")
        (tmp_path / "mesh.yaml").write_text(text, "utf-8")
        return pipeline.validate(str(tmp_path / "mesh.yaml"), proxy=proxy)

    return of


@pytest.mark.parametrize(
    ("mesh", "web", "api", "looking", "told"),
    [
        ("mode: strict", "", "", ["api", "edge", "web"], False),
        ("mode: disabled", "", "", [], True),
        ("mode: strict", DISABLED, DISABLED, [], True),
        ("mode: strict", "", DISABLED, ["edge", "web"], False),
        ("mode: strict", DISABLED, "", ["api", "web"], False),
        ("mode: disabled", "", STRICT, ["api", "web"], False),
        ("mode: permissive, until: 2099-01-01", "", DISABLED, ["edge", "web"], False),
    ],
)
def test_lists_are_asked_for_where_certificates_are_shown(mesh, web, api, looking, told, validated):
    found = validated(mesh, web, api)
    assert sorted(each.service for each in found.require().sidecars if each.tls.crl) == looking
    places = [(each.at.line, each.at.column) for each in found.findings if each.slug == "ineffective-setting"]
    crl = SPEC.replace("MESH", mesh).splitlines()[1].index("crl") + 1
    assert places == ([(2, crl)] if told else [])


@pytest.mark.parametrize("proxy", ir.Proxy)
def test_no_file_names_a_list_where_nobody_shows_a_certificate(proxy, validated):
    for sidecar in validated("mode: disabled", "", "", proxy).require().sidecars:
        assert [each.path for each in bundle(sidecar) if b"crl.pem" in each.content] == []


def test_diff_tells_whether_anybody_looks(validated):
    before, after = (
        validated("mode: strict", "", DISABLED).require(),
        validated("mode: disabled", "", "").require(),
    )
    told = [str(each) for each in compare(before, after).changes]
    assert any("revocation lists" in each for each in told), told
    between = validated("mode: strict", DISABLED, "").require()
    assert not any("revocation lists" in str(each) for each in compare(before, between).changes)
