"""`meshctl certs rotate-ca`: what it says, and its exit codes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import jsonschema
import pytest

from meshctl.cli.app import run

SPEC = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example, proxy: envoy, bind: endpoint}
services:
  web: {port: 8080, endpoints: [{address: 127.82.0.1}], calls: {catalog: {}}}
  catalog: {port: 8080, endpoints: [{address: 127.82.0.2}]}
gateways:
  edge: {port: 8081, endpoints: [{address: 127.82.0.3}], hostnames: [shop.example], calls: {web: {}}}
"""
ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "schemas/certificates.schema.json").read_text("utf-8"))
ROTATE = ["certs", "rotate-ca"]


@pytest.fixture(autouse=True)
def built(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("mesh.yaml").write_text(SPEC)
    assert run(["certs", "init"]) == 0
    assert run(["build", "--verify", "none"]) == 0
    capsys.readouterr()


def standing(capsys):
    capsys.readouterr()
    code = run(["certs", "status", "--format", "json"])
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, SCHEMA, format_checker=jsonschema.FormatChecker())
    return code, document["ca"]["rotation"]


def test_it_says_where_it_stands_and_status_does_too(capsys):
    assert run(ROTATE) == 0
    assert "No rotation is under way" in capsys.readouterr().out
    assert standing(capsys) == (0, None)
    for step, then in (("begin", "issue"), ("issue", "finish")):
        assert run([*ROTATE, "--step", step, "--deployed", "build"]) == 0
        said = capsys.readouterr().out
        assert f"then `certs rotate-ca --step {then}` with" in said
        for command in (ROTATE, ["certs", "status"]):
            assert run(command) == 0
            assert said.splitlines()[-1] in capsys.readouterr().out
        code, under_way = standing(capsys)
        assert (code, under_way["step"]) == (0, step)
    assert run([*ROTATE, "--step", "finish", "--deployed", "build"]) == 0
    assert standing(capsys) == (0, None)


def test_bundles_without_certificates_are_not_said_to_hold_roots(capsys):
    shutil.rmtree("build/web/127.82.0.1/tls")
    assert run([*ROTATE, "--step", "begin"]) == 0
    said = "both roots are in 2 of 3 bundles: 2 bundles written; 1 of 3 holds no certificates yet\n"
    assert capsys.readouterr().out.startswith(said)


def test_without_a_step_evidence_is_looked_at_and_nothing_changes(capsys):
    assert run([*ROTATE, "--deployed", "build"]) == 2
    assert run([*ROTATE, "--step", "begin"]) == 0
    assert run([*ROTATE, "--deployed", "build"]) == 0
    assert "is everywhere" in capsys.readouterr().out
    Path("empty").mkdir()
    assert run([*ROTATE, "--deployed", "empty"]) == 1
    assert capsys.readouterr().err.count("MSH6022 rotation-behind") == 3
    assert standing(capsys)[1]["step"] == "begin"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--step", "issue"], "--step begin"),
        (["--step", "jump"], "jump"),
        (["--step", "begin", "--ca", "none"], "no CA in none"),
        (["--step", "begin", "-o", "none"], "meshctl build"),
        (["--issuing", "--step", "begin"], "--issuing"),
        (["--step", "begin", "--deployed", "none"], "no folder none"),
        (["none.yaml", "--live"], "none.yaml"),
    ],
)
def test_usage_errors(arguments, said, capsys):
    assert run([*ROTATE, *arguments]) == 2
    assert said in capsys.readouterr().err
    assert standing(capsys) == (0, None)


def test_sidecars_that_do_not_run_or_show_nothing_are_behind(capsys):
    assert run([*ROTATE, "--step", "begin"]) == 0
    assert run([*ROTATE, "--step", "issue", "--live"]) == 1
    said = capsys.readouterr().err
    assert "`catalog/127.82.0.2`: 127.82.0.2:15006: Connection refused" in said
    assert "`web/127.82.0.1`: 127.82.0.1:15006: Connection refused" in said
    assert (
        "`edge/127.82.0.3`: no listener of its shows a certificate; name its folder with --deployed" in said
    )
    assert standing(capsys)[1]["step"] == "begin"


def test_a_ca_that_git_tracks_is_refused(capsys):
    subprocess.run(["git", "init", "-q", "."], check=True)
    subprocess.run(["git", "add", "-f", ".meshctl/ca"], check=True)
    for arguments in (["--step", "begin"], ["--issuing"]):
        assert run([*ROTATE, *arguments]) == 2
        assert "MSH6014" in capsys.readouterr().err
    assert not Path(".meshctl/ca/next").exists()


def test_the_issuing_ca_by_its_command(capsys):
    assert run([*ROTATE, "--issuing"]) == 0
    assert "No certificate has to change" in capsys.readouterr().out
    Path(".meshctl/ca/root.key").unlink()
    assert run([*ROTATE, "--issuing"]) == 2
    assert "root.key" in capsys.readouterr().err


def test_the_ca_of_another_mesh_takes_no_root_from_a_bundle(capsys):
    assert run(["certs", "init", "--ca", "other"]) == 0
    before = {each: each.read_bytes() for each in Path("build").rglob("ca.pem")}
    capsys.readouterr()
    assert run([*ROTATE, "--ca", "other", "--step", "begin"]) == 2
    assert "does not trust the CA in other: is it the CA of build?" in capsys.readouterr().err
    assert len(before) == 3
    assert {each: each.read_bytes() for each in before} == before
    assert not Path("other/next").exists()


def test_a_host_with_a_key_of_its_own_is_told_the_commands_that_bring_it_on(capsys):
    shutil.copytree("build", "deployed")
    for step, before in (("begin", None), ("issue", "build")):
        assert run([*ROTATE, "--step", step, *(["--deployed", before] if before else [])]) == 0
        capsys.readouterr()
        assert run([*ROTATE, "--deployed", "deployed"]) == 1
        told = " ".join(capsys.readouterr().err.split())
        subprocess.run(["sh", "-c", re.findall(r"`(cat [^`]*)`", told)[-1]], check=True)
        for bundle in ("web/127.82.0.1", "catalog/127.82.0.2", "edge/127.82.0.3"):
            renewal = f"certs renew --force --trust roots.pem {bundle}"
            assert f"`meshctl {renewal}`" in told
            asked = renewal.replace(bundle, f"deployed/{bundle}").split()
            assert run([*asked, "--ca", ".meshctl/ca"]) == 0
        assert run([*ROTATE, "--deployed", "deployed"]) == 0
