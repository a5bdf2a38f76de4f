"""A build that meshctl itself got wrong ends as its bug, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from meshctl.cli.app import run
from meshctl.targets import bundle as bundles

SPEC = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example, proxy: haproxy}
services:
  web: {port: 8080, endpoints: [{address: 10.0.0.1}], calls: {catalog: {}}}
  catalog: {port: 8080, bind: endpoint, endpoints: [{address: 10.0.0.2}, {address: 10.0.0.3}]}
"""


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mesh.yaml").write_text(SPEC)


@pytest.fixture
def careless(monkeypatch):
    """An emitter that forgets to ask callers for certificates, at one address of one service."""
    sound = bundles.bundle

    def bundle(sidecar):
        for each in sound(sidecar):
            wrong = each.path == "catalog/10.0.0.3/haproxy/haproxy.cfg"
            content = each.content.replace(b"verify required alpn h2", b"alpn h2") if wrong else each.content
            yield structs.replace(each, content=content)

    monkeypatch.setattr(bundles, "bundle", bundle)


@pytest.mark.parametrize("service", [[], ["--service", "catalog"]])
def test_it_is_a_bug_and_nothing_is_written(careless, capsys, service):
    assert run(["build", "--verify", "none", *service]) == 3
    said = capsys.readouterr().err
    assert "a bug in meshctl, not in your spec" in said
    assert "catalog/10.0.0.3: inbound demands a certificate of the mesh (frontend inbound)" in said
    assert "catalog/10.0.0.2" not in said
    assert not Path("build").exists()


def test_what_is_not_built_is_not_read(careless):
    assert run(["build", "--verify", "none", "--service", "web"]) == 0


def test_a_former_build_stays_as_it_is(capsys, monkeypatch, request):
    assert run(["build", "--verify", "none"]) == 0
    before = {path: path.read_bytes() for path in Path("build").rglob("*") if path.is_file()}
    request.getfixturevalue("careless")
    assert run(["build", "--verify", "none"]) == 3
    assert {path: path.read_bytes() for path in Path("build").rglob("*") if path.is_file()} == before
