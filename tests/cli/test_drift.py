"""`meshctl drift`: what is compared with what, what it says of it, and how it ends. Real proxies: tests/behaviour/test_drift.py."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import jsonschema
import pytest

from meshctl.cli.app import run

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "drift.schema.json").read_text("utf-8"))
WEB, STOCK = "web/127.83.5.1", "stock/127.83.5.2"
SPEC = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example, bind: endpoint, proxy: nginx}
services:
  web: {port: 80, endpoints: [{address: 127.83.5.1}], calls: {stock: {}}}
  stock: {port: 80, endpoints: [{address: 127.83.5.2}], proxy: haproxy}
"""
LATER = SPEC.replace("calls: {stock: {}}", "calls: {stock: {timeout: 3s}}")
HOSTS = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example, proxy: nginx, admin: {port: 15083}}
services:
  web: {port: 80, endpoints: [{address: 192.0.2.1}], calls: {stock: {}}}
  stock: {port: 80, endpoints: [{address: 192.0.2.2}]}
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    says(SPEC)
    assert run(["build", "--verify", "none"]) == 0
    capsys.readouterr()


def says(text: str) -> None:
    """What git says now."""
    Path("mesh.yaml").write_text(text, "utf-8")


def drift(capsys, *words: str, status: int = 1) -> list[tuple[str, str]]:
    """Slug and bundle of each finding."""
    assert run(["drift", *words, "--format", "json"]) == status
    found = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator(SCHEMA).validate(found)
    assert found["drifted"] == (status == 1)
    return [(each["slug"], each["bundle"] or "") for each in found["findings"]]


def test_nothing_drifted(capsys):
    assert run(["drift", "--bundle", "build"]) == 0
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "2 bundles, all as mesh.yaml says\n")
    assert drift(capsys, "--bundle", "build", status=0) == []


def test_a_finding_is_one_line_and_each_way_out_is_said_once(capsys):
    for name in ("README", "nginx/reload"):
        Path("build", WEB, name).write_text("mine", "utf-8")
    Path("build", WEB, "nginx", "new\nline\x1b").touch()
    assert run(["drift", "--bundle", "build"]) == 1
    told = capsys.readouterr()
    assert told.out == (
        f"build/{WEB}/README: MSH9001 edited-file: is not what was built\n"
        f"build/{WEB}/nginx/new\\nline\\x1b: MSH9003 extra-file: is no file of this build\n"
        f"build/{WEB}/nginx/reload: MSH9001 edited-file: is not what was built\n"
    )
    assert told.err == (
        "edited-file: Deploy what git says again; where the change was meant, make it in the spec.\n"
        "extra-file: Remove it, or keep it outside of the deployed folder.\n"
        "2 bundles, 1 of them not, or not known to be, as mesh.yaml says\n"
    )


def test_the_summary_counts_the_bundles_of_a_folder_that_was_replaced(capsys):
    Path("build/web").rename("elsewhere")
    Path("build/web").symlink_to("../elsewhere")
    assert run(["drift", "--bundle", "build"]) == 1
    told = capsys.readouterr()
    assert told.out.startswith("build/web: ")
    assert told.err.endswith("2 bundles, 1 of them not, or not known to be, as mesh.yaml says\n")


def test_the_summary_says_where_only_something_beside_the_bundles_drifted(capsys):
    Path("build/mine").touch()
    assert run(["drift", "--bundle", "build"]) == 1
    told = capsys.readouterr()
    assert "build/mine: " in told.out
    assert told.err.endswith("2 bundles, all as mesh.yaml says; what is beside them is not\n")


def test_bundles_that_are_older_absent_or_of_nobody(capsys):
    says(LATER)
    assert drift(capsys, "--bundle", "build") == [("outdated-bundle", WEB)]
    says(SPEC.replace("{address: 127.83.5.1}", "{address: 127.83.5.1}, {address: 127.83.5.3}"))
    assert ("missing-bundle", "web/127.83.5.3") in drift(capsys, "--bundle", "build")
    assert drift(capsys, "--bundle", "build", "--only", "web/127.83.5.3") == [
        ("missing-bundle", "web/127.83.5.3")
    ]
    says(SPEC.replace("calls: {stock: {}}", "").partition("  stock")[0])
    assert ("unknown-bundle", STOCK) in drift(capsys, "--bundle", "build")


def test_a_manifest_that_was_edited_with_its_files_is_found(capsys):
    where = Path("build", WEB, "nginx", "nginx.conf")
    where.write_bytes(where.read_bytes() + b"# mine\n")
    found = json.loads(Path("build/manifest.json").read_text("utf-8"))
    digest = hashlib.sha256(where.read_bytes()).hexdigest()
    found["files"][f"{WEB}/nginx/nginx.conf"]["sha256"] = digest
    Path("build/manifest.json").write_text(json.dumps(found | {"meshctl": "0.0.9"}), "utf-8")
    assert drift(capsys, "--bundle", "build") == [("altered-bundle", WEB)]
    assert run(["drift", "--bundle", "build"]) == 1
    assert "(meshctl 0.0.9 wrote it, and this is " in capsys.readouterr().out
    assert drift(capsys, "--bundle", "build", "--no-spec", status=0) == []


@pytest.mark.parametrize(
    ("where", "value"),
    [(("builds", WEB, "admin"), "127.83.5.9:15000"), (("files", f"{WEB}/nginx/run", "executable"), False)],
)
def test_a_manifest_cannot_excuse_a_bundle_of_the_right_build(capsys, where, value):
    found = json.loads(Path("build/manifest.json").read_text("utf-8"))
    inside = found
    for key in where[:-1]:
        inside = inside[key]
    inside[where[-1]] = value
    Path("build/manifest.json").write_text(json.dumps(found), "utf-8")
    assert drift(capsys, "--bundle", "build") == [("altered-bundle", WEB)]
    # It is asked where git says.
    assert run(["drift", "--bundle", "build", "--live", "--only", "web"]) == 1
    assert "nobody listens at 127.83.5.1:15000" in capsys.readouterr().out


def test_a_host_that_has_some_of_it(capsys):
    shutil.rmtree("build/stock")
    assert drift(capsys, "--bundle", "build") == [("missing-bundle", STOCK)]
    assert drift(capsys, "--bundle", "build", "--only", "web", status=0) == []
    assert drift(capsys, "--bundle", f"build/{WEB}", status=0) == []
    Path("build", WEB, "notes").touch()
    assert drift(capsys, "--bundle", f"build/{WEB}") == [("extra-file", WEB)]


def test_what_apply_put_live_is_as_it_was_built(capsys):
    assert run(["certs", "init"]) == 0
    assert run(["build", "--verify", "none"]) == 0
    assert run(["apply", "--bundle", "build", "--to", "fresh", "--service", "web"]) == 0
    capsys.readouterr()
    assert drift(capsys, "--bundle", "fresh", "--only", "web", status=0) == []
    Path("fresh", WEB, "nginx", "nginx.conf").unlink()
    assert drift(capsys, "--bundle", "fresh", "--only", "web") == [("missing-file", WEB)]


def test_what_other_commands_write_into_the_folder_are_no_extra_files(capsys):
    assert run(["bundle", "--platform", "systemd", "-o", "build"]) == 0
    assert run(["segment", "-o", "build", "--format", "kubernetes"]) == 0
    capsys.readouterr()
    assert drift(capsys, "--bundle", "build", status=0) == []


def test_without_a_spec_the_folder_is_all_there_is(capsys):
    Path("mesh.yaml").unlink()
    assert drift(capsys, "--bundle", "build", "--no-spec", status=0) == []
    assert drift(capsys, "--bundle", "build", "--no-spec", "--live") == [
        ("not-running", STOCK),
        ("not-running", WEB),
    ]


def test_a_manifest_of_before_does_not_say_where_to_ask(capsys):
    found = json.loads(Path("build/manifest.json").read_text("utf-8"))
    for each in found["builds"].values():
        del each["admin"]
    Path("build/manifest.json").write_text(json.dumps(found), "utf-8")
    words = ("--bundle", "build", "--live", "--only", "web")
    assert drift(capsys, *words, "--no-spec", status=2) == [("not-known", WEB)]
    assert drift(capsys, *words) == [("not-running", WEB)]


def test_hosts_that_share_an_address_of_their_own_cannot_be_told_apart_by_silence(capsys):
    says(HOSTS)
    assert drift(capsys, "--live", status=2) == [("not-known", "")]
    assert run(["drift", "--live"]) == 2
    assert "nobody listens at 127.0.0.1:15083: the admin address of 2 sidecars (stock, web)" in (
        capsys.readouterr().out
    )
    assert drift(capsys, "--live", "--only", "web") == [("not-running", "web")]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name a deployed folder with --bundle, ask what runs with --live, or both"),
        (["--no-spec", "--live"], "--no-spec is for a folder (--bundle) alone"),
        (["mesh.yaml", "--no-spec", "--bundle", "build"], "without a spec"),
        (["--bundle", "nowhere"], "nowhere"),
        (["--bundle", "."], ". holds no manifest.json"),
        (["--bundle", "mesh.yaml"], "mesh.yaml"),
        (["--bundle", "build", "--only", "wep"], "there is no bundle of 'wep'; did you mean `web`?"),
        (["--bundle", "build", "--env", "prod"], "prod"),
        (["missing.yaml", "--live"], "missing.yaml"),
    ],
)
def test_what_cannot_be_asked(capsys, words, said):
    assert run(["drift", *words]) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert told.out == ""


def test_another_mesh_or_environment_is_not_compared(capsys):
    Path("environments").mkdir()
    Path("environments/prod.yaml").write_text("mesh: {trustDomain: prod.example}\n", "utf-8")
    assert run(["drift", "--bundle", "build", "--env", "prod"]) == 2
    assert "build was built with no --env; ask with the same" in capsys.readouterr().err
    assert run(["build", "--verify", "none", "--env", "prod", "-o", "prod"]) == 0
    assert run(["drift", "--bundle", "prod"]) == 2
    assert "prod was built with --env prod; ask with the same" in capsys.readouterr().err
    assert drift(capsys, "--bundle", "prod", "--env", "prod", status=0) == []
    says(SPEC.replace("name: shop", "name: other"))
    assert run(["drift", "--bundle", "build"]) == 2
    assert "build holds the mesh 'shop', and the spec is of 'other'" in capsys.readouterr().err


def test_a_spec_with_errors_is_no_measure(capsys):
    says(SPEC.replace("calls: {stock: {}}", "calls: {stick: {}}"))
    assert run(["drift", "--bundle", "build"]) == 2
    assert "stick" in capsys.readouterr().err


def test_a_manifest_that_leads_out_of_the_folder_is_refused(capsys):
    found = json.loads(Path("build/manifest.json").read_text("utf-8"))
    found["files"]["../mesh.yaml"] = {"sha256": "0" * 64}
    Path("build/manifest.json").write_text(json.dumps(found), "utf-8")
    assert run(["drift", "--bundle", "build"]) == 2
    assert "/files/../mesh.yaml leads outside the folder" in capsys.readouterr().err
