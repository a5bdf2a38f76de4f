"""A build of some services: the manifest says of every bundle what is in the folder, not what would be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from meshctl import manifest
from meshctl.cli.app import run
from meshctl.ir import Proxy
from meshctl.targets import target

WEB, STOCK = "web/127.83.1.1", "stock/127.83.1.2"
SPEC = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example, bind: endpoint, proxy: envoy}
services:
  web: {port: 80, endpoints: [{address: 127.83.1.1}], calls: {stock: {}}}
  stock: {port: 80, endpoints: [{address: 127.83.1.2}], proxy: haproxy}
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def built(spec: str, *services: str) -> manifest.Manifest:
    Path("mesh.yaml").write_text(spec, "utf-8")
    chosen = [word for each in services for word in ("--service", each)]
    assert run(["build", "--verify", "none", *chosen]) == 0
    return manifest.read(Path("build"))


def test_bundles_that_were_not_built_keep_their_build():
    first = built(SPEC)
    assert list(first.bundles) == [STOCK, WEB]
    changed = SPEC.replace("calls: {stock: {}}", "calls: {stock: {}}, routes: [{name: x, timeout: 3s}]")
    second = built(changed.replace("127.83.1.2", "127.83.1.3"), "web")
    assert second.bundles[STOCK] == first.bundles[STOCK]
    assert second.files_of(STOCK) == first.files_of(STOCK)
    assert second.bundles[WEB].build != first.bundles[WEB].build
    whole = built(changed.replace("127.83.1.2", "127.83.1.3"))
    assert whole.bundles[WEB] == second.bundles[WEB]
    assert whole.bundles["stock/127.83.1.3"].admin == "127.83.1.3:15000"


def test_bundles_that_were_never_built_are_not_listed():
    found = built(SPEC, "web")
    assert list(found.bundles) == [WEB]
    assert found.proxies == {"envoy": target(Proxy.ENVOY).VERSION}
    assert {path for path, file in found.files.items() if file.executable} == {
        f"{WEB}/envoy/run",
        f"{WEB}/envoy/reload",
    }


def test_a_bundle_that_a_chosen_service_has_no_more_is_not_listed():
    built(SPEC)
    second = built(SPEC.replace("127.83.1.1", "127.83.1.4"), "web")
    assert list(second.bundles) == [STOCK, "web/127.83.1.4"]


def test_a_manifest_without_builds_is_refused_before_anything_is_written(capsys):
    built(SPEC)
    found = json.loads(Path("build/manifest.json").read_text("utf-8"))
    Path("build/manifest.json").write_text(json.dumps(found | {"builds": []}), "utf-8")
    Path("mesh.yaml").write_text(SPEC.replace("port: 80", "port: 81"), "utf-8")
    before = Path("build/web/127.83.1.1/README").read_bytes()
    assert run(["build", "--verify", "none", "--service", "web"]) == 2
    assert "/builds is missing, or of another kind" in capsys.readouterr().err
    assert Path("build/web/127.83.1.1/README").read_bytes() == before
