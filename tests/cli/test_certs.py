"""`meshctl certs` from init to renewal, with its exit codes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest
from cryptography import x509

from meshctl import pipeline
from meshctl.cli.app import run

SPEC = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example, proxy: envoy}
services:
  web: {port: 8080, endpoints: [{address: 10.0.0.1}], calls: {catalog: {}}}
  catalog: {port: 8080, endpoints: [{address: 10.0.0.2}]}
"""
ROOT = Path(__file__).parents[2]
CA = Path(".meshctl/ca")


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mesh.yaml").write_text(SPEC)


@pytest.fixture
def built():
    assert run(["build", "--verify", "none"]) == 0


def states(capsys):
    capsys.readouterr()
    code = run(["certs", "status", "--format", "json"])
    document = json.loads(capsys.readouterr().out)
    return code, {each["bundle"]: each["state"] for each in document["certificates"]}


def test_from_nothing_to_valid(built, capsys):
    assert states(capsys) == (1, {"catalog": "missing", "web": "missing"})
    assert run(["certs", "init"]) == 0
    assert run(["certs", "issue"]) == 0
    assert states(capsys) == (0, {"catalog": "valid", "web": "valid"})


def test_a_build_issues_when_a_ca_is_at_hand(capsys):
    assert run(["certs", "init"]) == 0
    assert run(["build", "--verify", "none"]) == 0
    assert states(capsys) == (0, {"catalog": "valid", "web": "valid"})


@pytest.mark.parametrize("fault", ["no such folder", "a CA that ends first"])
def test_a_build_with_an_unusable_ca_writes_nothing(fault, capsys):
    if fault == "a CA that ends first":
        pipeline.create_authority(
            pipeline.validate("mesh.yaml"), Path("ca"), datetime.now(UTC) - timedelta(days=350)
        )
    assert run(["build", "--verify", "none", "--ca", "ca"]) != 0
    assert "MSH6" in capsys.readouterr().err
    assert not Path("build").exists()


@pytest.mark.parametrize("command", [["build"], ["certs", "issue"]])
def test_an_empty_output_folder_is_a_usage_error(command, capsys):
    assert run([*command, "-o", ""]) == 2
    assert "empty" in capsys.readouterr().err
    assert sorted(path.name for path in Path().iterdir()) == ["mesh.yaml"]


@pytest.mark.parametrize(("days_ago", "state"), [(19, "valid"), (21, "due"), (31, "expired")])
def test_status_fails_inside_the_renewal_window_and_issue_ends_it(built, capsys, days_ago, state):
    then = datetime.now(UTC) - timedelta(days=days_ago)
    pipeline.create_authority(pipeline.validate("mesh.yaml"), CA, then)
    pipeline.issue_certificates(Path("build"), CA, then)
    code = int(state != "valid")
    assert states(capsys) == (code, {"catalog": state, "web": state})
    assert run(["certs", "issue"]) == 0
    assert states(capsys) == (0, {"catalog": "valid", "web": "valid"})


def test_only_one_service(built, capsys):
    run(["certs", "init"])
    assert run(["certs", "issue", "--service", "web"]) == 0
    assert states(capsys) == (1, {"catalog": "missing", "web": "valid"})


def test_text_says_why_and_what_to_do(built, capsys):
    assert run(["certs", "status"]) == 1
    out, err = capsys.readouterr()
    assert [line.split()[:2] for line in out.splitlines()] == [["catalog", "missing"], ["web", "missing"]]
    assert "MSH6002 certificate-missing: certificate of `web`" in err
    assert "fix: Issue it with `meshctl certs issue`" in err


def test_a_ca_is_never_overwritten(capsys):
    assert run(["certs", "init"]) == 0
    before = (CA / "root.pem").read_bytes()
    assert run(["certs", "init"]) == 2
    assert "MSH6013" in capsys.readouterr().err
    assert (CA / "root.pem").read_bytes() == before


def test_a_ca_that_git_tracks_is_refused(built, capsys):
    assert run(["certs", "init"]) == 0
    subprocess.run(["git", "init", "-q", "."], check=True)
    assert run(["certs", "issue"]) == 0
    subprocess.run(["git", "add", "-f", str(CA)], check=True)
    for command in (["certs", "issue"], ["build", "--verify", "none"]):
        assert run(command) == 2
        assert "MSH6014" in capsys.readouterr().err


def test_git_sees_no_key(built):
    run(["certs", "init"])
    run(["certs", "issue"])
    subprocess.run(["git", "init", "-q", "."], check=True)
    subprocess.run(["git", "add", "--all", "."], check=True)
    listed = subprocess.run(["git", "ls-files"], check=True, capture_output=True, text=True).stdout.split()
    assert "build/identities.json" in listed
    assert not [name for name in listed if "tls/" in name or ".meshctl" in name]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["certs", "status"], "run `meshctl build` first"),
        (["certs", "issue"], "no identities.json in build"),
        (["certs", "init", "nowhere.yaml"], "nowhere.yaml"),
        (["certs", "status", "--format", "xml"], "xml"),
    ],
)
def test_usage_errors(command, said, capsys):
    assert run(["certs", "init"]) == 0
    assert run(command) == 2
    assert said in capsys.readouterr().err


def test_issuing_without_a_ca_names_the_way_out(built, capsys):
    assert run(["certs", "issue"]) == 2
    assert "meshctl certs init" in capsys.readouterr().err


def test_a_lifetime_over_the_issuers_end_is_a_finding(built, capsys):
    Path("mesh.yaml").write_text(
        SPEC.replace("proxy: envoy", "proxy: envoy, certificates: {lifetime: 366d, renewBefore: 10d}")
    )
    run(["certs", "init"])
    assert run(["build", "--verify", "none"]) == 1
    assert "MSH6010" in capsys.readouterr().err


def test_no_ca_for_a_spec_with_errors(capsys):
    Path("mesh.yaml").write_text(SPEC.replace("catalog: {}", "nobody: {}"))
    assert run(["certs", "init"]) == 1
    assert "nobody" in capsys.readouterr().err
    assert not CA.exists()


CHECKED = SPEC.replace("proxy: envoy", "proxy: envoy, mtls: {crl: true}")


@pytest.fixture
def checked():
    Path("mesh.yaml").write_text(CHECKED)
    assert run(["certs", "init"]) == 0
    assert run(["build", "--verify", "none"]) == 0


def test_from_a_stolen_key_to_a_new_one(checked, capsys):
    capsys.readouterr()
    assert run(["certs", "revoke", "catalog"]) == 0
    out, err = capsys.readouterr()
    assert re.fullmatch(
        r"\* certificate [0-9a-f]+ of catalog, until \S+Z\n"
        r"1 certificate revoked; new list in 2 bundles, good until \S+Z\n",
        out,
    )
    assert "Deploy the bundles' tls folders" in err
    assert states(capsys) == (1, {"catalog": "revoked", "web": "valid"})
    assert run(["certs", "issue"]) == 0
    assert "* certificate of catalog (revoked)\n1 certificate issued\n" in capsys.readouterr().out
    assert states(capsys) == (0, {"catalog": "valid", "web": "valid"})


def test_a_serial_number_of_before_is_revoked_once(checked, capsys):
    pem = Path("build/web/tls/cert.pem").read_bytes()
    serial = f"{x509.load_pem_x509_certificate(pem).serial_number:x}"
    assert run(["certs", "revoke", serial]) == 0
    capsys.readouterr()
    assert run(["certs", "revoke", serial]) == 0
    assert f"* certificate {serial} of web, until" in (out := capsys.readouterr().out)
    assert "(before)\n0 certificates revoked" in out


def test_status_says_when_lists_end(checked, capsys):
    capsys.readouterr()
    assert run(["certs", "status"]) == 0
    assert re.search(r"^web +valid +\S+Z \(29 d\), CRL \S+Z \(29 d\)$", capsys.readouterr().out, re.MULTILINE)
    run(["certs", "status", "--format", "json"])
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, json.loads((ROOT / "schemas/certificates.schema.json").read_text()))
    assert {each["nextUpdate"][-1] for each in document["certificates"]} == {"Z"}
    for path in Path("build").rglob("crl.pem"):
        path.unlink()
    assert states(capsys) == (1, {"catalog": "crl-missing", "web": "crl-missing"})
    assert run(["certs", "issue"]) == 0
    assert "0 certificates issued, newer revocation lists in 2 bundles\n" in capsys.readouterr().out


def test_a_revocation_that_nobody_looks_at_is_a_finding(built, capsys):
    run(["certs", "init"])
    run(["certs", "issue"])
    capsys.readouterr()
    assert run(["certs", "revoke", "catalog"]) == 1
    out, err = capsys.readouterr()
    assert "1 certificate revoked\n" in out
    assert "MSH6021 revocation-unchecked" in err
    # The first build that looks has the list.
    Path("mesh.yaml").write_text(CHECKED)
    assert run(["build", "--verify", "none"]) == 0
    assert "* certificate of catalog (revoked)" in capsys.readouterr().out
    assert states(capsys) == (0, {"catalog": "valid", "web": "valid"})


def listed(path):
    found = x509.load_pem_x509_crl(path.read_bytes())
    number = found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    return number, {each.serial_number for each in found}


def _lose(folder):
    (folder / "crl.pem").unlink()


def _lose_both(folder):
    _lose(folder)
    (folder / "issued.json").unlink()


def _restore(folder):
    shutil.rmtree(folder)
    shutil.copytree("backup", folder)


def _restore_and_go_on(folder):
    _restore(folder)
    for who in ("cd" * 16, "ce" * 16):
        assert run(["certs", "revoke", who, "-o", "elsewhere"]) == 2


@pytest.mark.parametrize(
    ("command", "address"),
    [
        ("certs status", "10.0.0.2"),
        ("certs status --service web", "10.0.0.2"),
        ("certs issue", "10.0.0.2"),
        ("certs issue --service web", "10.0.0.2"),
        ("certs revoke web", "10.0.0.2"),
        ("build --verify none", "10.0.0.2"),
        ("build --verify none", "10.0.0.3"),
    ],
)
@pytest.mark.parametrize(
    ("lose", "said"),
    [
        (_lose, "there is no crl.pem beside issued.json"),
        (_lose_both, "older than that in build/catalog/tls/crl.pem"),
        (_restore, "older than that in build/catalog/tls/crl.pem"),
        (_restore_and_go_on, "older than that in build/catalog/tls/crl.pem, or lacks"),
    ],
)
def test_a_ca_that_lost_its_list_lets_nobody_in_again(lose, said, command, address, checked, capsys):
    shutil.copytree(CA, "backup")
    assert run(["certs", "revoke", "web"]) == 0
    assert run(["certs", "issue"]) == 0
    lose(CA)
    Path("mesh.yaml").write_text(CHECKED.replace("10.0.0.2", address))
    folders = [Path("build"), CA]
    before = {path: path.read_bytes() for each in folders for path in each.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert run(command.split()) == 2
    err = capsys.readouterr().err
    assert "MSH6012 ca-unusable" in err
    assert said in re.sub(r"\s+", " ", err)
    after = {path: path.read_bytes() for each in folders for path in each.rglob("*") if path.is_file()}
    assert after == before


def test_a_lost_list_comes_back_from_a_bundle(checked, capsys):
    shutil.copytree(CA, "backup")
    assert run(["certs", "revoke", "web"]) == 0
    assert run(["certs", "issue"]) == 0
    before = listed(Path("build/web/tls/crl.pem"))
    _restore(CA)
    shutil.copy("build/web/tls/crl.pem", CA / "crl.pem")
    assert states(capsys) == (0, {"catalog": "valid", "web": "valid"})
    assert run(["certs", "revoke", "catalog"]) == 0
    number, serials = listed(Path("build/web/tls/crl.pem"))
    assert (number, len(serials)) == (before[0] + 1, 2)
    assert before[1] < serials


def test_a_ca_without_lists_goes_on_without(built, capsys):
    run(["certs", "init"])
    (CA / "crl.pem").unlink()
    for _ in range(2):
        assert run(["certs", "issue"]) == 0
        assert states(capsys) == (0, {"catalog": "valid", "web": "valid"})


def test_a_revocation_without_a_build_says_that_no_bundle_has_it(checked, capsys):
    capsys.readouterr()
    assert run(["certs", "revoke", "catalog", "-o", "nobuild"]) == 2
    out, err = capsys.readouterr()
    assert "1 certificate revoked\n" in out
    assert "there is no identities.json in nobuild; run `meshctl build` first" in err
    assert "The CA's list is written, and no bundle has it" in err
    assert "MSH6021" not in err
    number, serials = listed(CA / "crl.pem")
    assert (number, len(serials)) == (2, 1)


def test_who_is_revoked_is_renewed_where_nobody_checks(built, capsys):
    run(["certs", "init"])
    run(["certs", "issue"])
    assert run(["certs", "revoke", "catalog"]) == 1
    capsys.readouterr()
    assert run(["certs", "status"]) == 1
    out, err = capsys.readouterr()
    assert re.search(r"^catalog +revoked \(nobody checks\) ", out, re.MULTILINE)
    assert "it has been revoked, and nobody checks" in re.sub(r"\s+", " ", err)
    assert run(["certs", "issue"]) == 0
    assert "* certificate of catalog (revoked)\n1 certificate issued\n" in capsys.readouterr().out
    assert states(capsys) == (0, {"catalog": "valid", "web": "valid"})


def test_whoever_is_unknown_cannot_be_revoked(checked, capsys):
    before = (CA / "crl.pem").read_bytes()
    for who in ("nobody", "catlog", "\x1b[31m"):
        assert run(["certs", "revoke", who]) == 2
        assert "neither a service" in (err := capsys.readouterr().err)
        assert "\x1b" not in err
        assert ("did you mean `catalog`?" if who == "catlog" else "there are catalog, web") in err
    assert (CA / "crl.pem").read_bytes() == before


def test_without_a_ca_nobody_can_be_revoked(built, capsys):
    assert run(["certs", "revoke", "web"]) == 2
    assert "MSH6011" in capsys.readouterr().err


def test_no_key_is_ever_told(checked, capsys):
    run(["certs", "revoke", "web"])
    run(["certs", "issue"])
    run(["certs", "status", "--format", "json"])
    said = "".join(capsys.readouterr())
    keys = [path.read_text() for path in (*Path("build").rglob("*.key"), *CA.glob("*.key"))]
    assert len(keys) == 4
    assert not [line for key in keys for line in key.splitlines()[1:-1] if line in said]
    assert {path.stat().st_mode & 0o777 for path in Path("build").rglob("*.key")} == {0o600}
