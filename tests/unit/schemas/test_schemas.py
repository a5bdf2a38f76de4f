"""The schemas agree with what meshctl reads and prints; judged by a library that meshctl does not use."""

import json
import shutil
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from meshctl import pipeline
from meshctl.__main__ import main
from meshctl.cli.app import run as cli
from meshctl.ir.access_logs import ACCESS_LOG_FIELDS
from meshctl.pki.store import CertificateState

ROOT = Path(__file__).resolve().parents[3]
TWELVE = ROOT / "tests" / "cli" / "twelve"
SCHEMAS = sorted((ROOT / "schemas").glob("*.schema.json"))
# A spec of several files is valid as a whole only, which an editor's schema cannot see.
SPECS = [
    ROOT / "tests" / "unit" / "resolve" / "every_field.yaml",
    *sorted(
        path
        for folder in ("examples", "tests/golden")
        for path in (ROOT / folder).rglob("mesh.yaml")
        if "services:" in path.read_text("utf-8")
    ),
]

GOOD = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}
services:
  web:
    port: 80
    timeout: 1m30s
    endpoints: [{address: 10.0.0.1, weight: 2}]
    calls: {}
    retries: {attempts: 2, retryOn: [gateway-error]}
    routes: [{name: a, matches: [{path: {prefix: /a}}], backends: [{subset: v1, weight: 1}]}]
    waive: [{finding: x, reason: r, owner: o, until: 2027-01-01}]
lint: {rules: {retry-amplification: {limit: 9}}}
"""


def validator(name):
    return Draft202012Validator(json.loads((ROOT / "schemas" / f"{name}.schema.json").read_text("utf-8")))


def as_json(text):
    """The YAML as an editor sees it."""
    # The parser in C takes the colon in `[127.0.0.53:53]` for a mapping's.
    return json.loads(json.dumps(YAML(typ="safe", pure=True).load(text), default=date.isoformat))


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["segment", "docs/segmentation.yaml", "--format", "systemd"], "segmentation"),
        (["bundle", "docs/segmentation.yaml", "--platform", "systemd"], "platforms"),
        (["observe", "docs/observability.yaml"], "observability"),
    ],
)
def test_the_manifests_beside_a_build_are_as_their_schemas_say(arguments, name, monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("sys.argv", ["meshctl", *arguments, "-o", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    manifest = json.loads((tmp_path / f"{name}.json").read_text("utf-8"))
    assert list(validator(name).iter_errors(manifest)) == []


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_a_schema_is_a_schema(path):
    Draft202012Validator.check_schema(json.loads(path.read_text("utf-8")))


@pytest.mark.parametrize("path", SPECS, ids=lambda path: str(path.relative_to(ROOT)))
def test_specs_that_are_valid_are_so_for_the_schema(path):
    assert list(validator("mesh").iter_errors(as_json(path.read_text("utf-8")))) == []


@pytest.mark.parametrize("folder", ["examples/shop"])
def test_a_spec_of_several_files_is_valid_as_a_whole(folder):
    whole: dict[str, Any] = {}
    for path in sorted(set((ROOT / folder).glob("*.yaml")) - set((ROOT / folder).glob("*.test.yaml"))):
        for key, value in as_json(path.read_text("utf-8")).items():
            whole[key] = {**whole[key], **value} if key in whole and key != "apiVersion" else value
    assert len(whole["services"]) > 2
    assert list(validator("mesh").iter_errors(whole)) == []


def test_there_are_specs_to_look_at():
    assert len(SPECS) > 5
    assert list(validator("mesh").iter_errors(as_json(GOOD))) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("meshctl.dev/v1", "meshctl.dev/v2"),
        ("name: shop, ", ""),
        ("port: 80", "prot: 80"),
        ("port: 80", "port: 0"),
        ("port: 80", "port: 65536"),
        ("port: 80", "port: '80'"),
        ("port: 80", "port:"),
        ("timeout: 1m30s", "timeout: 90"),
        ("timeout: 1m30s", "timeout: 1.5s"),
        ("timeout: 1m30s", "timeout:"),
        ("weight: 2", "weight: -1"),
        ("{address: 10.0.0.1, weight: 2}", "{weight: 2}"),
        ("[{address: 10.0.0.1, weight: 2}]", "[]"),
        ("calls: {}", "calls:"),
        ("calls: {}", "calls: [a]"),
        ("attempts: 2", "attempts: 11"),
        ("retryOn: [gateway-error]", "retryOn: []"),
        ("retryOn: [gateway-error]", "retryOn: [5xx-ish]"),
        ("{attempts: 2, retryOn: [gateway-error]}", "{}"),
        ("prefix: /a", "prefix: a"),
        ("  web:", "  Web:"),
        ("reason: r, ", ""),
        ("lint: {rules:", "lint: {rule:"),
    ],
)
def test_what_meshctl_refuses_the_schema_refuses(tmp_path, old, new):
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    assert list(validator("mesh").iter_errors(as_json(text)))
    if (
        new != "port: '80'"
    ):  # to meshctl every scalar is text, to an editor a quote says that it is none but text
        (tmp_path / "mesh.yaml").write_text(text, "utf-8")
        assert pipeline.load(str(tmp_path / "mesh.yaml")).findings


SHOP = str(ROOT / "examples" / "shop")
MIXED = str(ROOT / "examples" / "mixed")


@pytest.fixture
def run(monkeypatch, capsys):
    def run(*arguments):
        capsys.readouterr()
        monkeypatch.setattr("sys.argv", ["meshctl", *arguments])
        with pytest.raises(SystemExit):
            main()
        return json.loads(capsys.readouterr().out)

    return run


@pytest.mark.parametrize(
    ("schema", "arguments"),
    [
        ("findings", ["validate", SHOP, "--format", "json"]),
        ("findings", ["lint", SHOP, "--format", "json"]),
        ("findings", ["lint", "BROKEN", "--format", "json"]),
        ("findings", ["validate", "BROKEN", "--format", "json"]),
        ("capabilities", ["capabilities", "--format", "json"]),
        ("reach", ["who-can-reach", "payments", SHOP, "--format", "json"]),
        ("capabilities", ["capabilities", MIXED, "--format", "json"]),
    ],
)
def test_printed_documents_are_as_their_schema_says(run, tmp_path, schema, arguments):
    (tmp_path / "mesh.yaml").write_text(GOOD.replace("calls: {}", "calls: {nobody: {}}"), "utf-8")
    document = run(*(str(tmp_path / "mesh.yaml") if each == "BROKEN" else each for each in arguments))
    assert list(validator(schema).iter_errors(document)) == []
    if "BROKEN" in arguments:
        assert document["summary"]["error"]


def test_what_diff_prints_is_as_its_schema_says(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    old = GOOD.replace("subset: v1", "service: web")
    Path("mesh.yaml").write_text(old, "utf-8")
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    for arguments in (("init", "-q", "."), ("add", "."), ("commit", "-qm", "first")):
        subprocess.run([*git, *arguments], check=True)
    new = old.replace("calls: {}", "calls: {web: {}, other: {}}").replace(
        "lint:", "  other: {port: 80, endpoints: [{address: 10.0.0.2}]}\nlint:"
    )
    Path("mesh.yaml").write_text(new, "utf-8")
    document = run("diff", "--rendered", "--max-sidecars", "0", "--format", "json")
    assert list(validator("diff").iter_errors(document)) == []
    keys = (
        "differs",
        "changes",
        "consequences",
        "sidecars",
        "callers",
        "reach",
        "order",
        "exceeded",
        "files",
    )
    assert all(document[key] for key in keys)
    Path("mesh.yaml").unlink()
    document = run("diff", "--spec", "mesh.yaml", "--format", "json")
    assert list(validator("diff").iter_errors(document)) == []
    assert document["missing"] == "after"


def test_all_that_diff_says_of_twelve_changes_is_as_its_schema_says():
    documents = [json.loads(each.read_text("utf-8")) for each in sorted(TWELVE.glob("*/diff.json"))]
    assert [error.message for each in documents for error in validator("diff").iter_errors(each)] == []
    assert any(each["renamed"] for each in documents)
    assert any(each["reach"]["ways"] for each in documents)


def test_the_states_of_certificates_are_as_their_schema_says(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    states = validator("certificates").schema["$defs"]["state"]["enum"]
    assert states == [each.value for each in CertificateState]
    for arguments in (
        ["certs", "init", MIXED, "--ca", "ca"],
        ["build", MIXED, "--ca", "ca", "--verify", "none"],
    ):
        assert cli(arguments) == 0
    shutil.rmtree("build/search")
    document = run("certs", "status", MIXED, "--ca", "ca", "--format", "json")
    assert list(validator("certificates").iter_errors(document)) == []
    assert document["summary"] == {"missing": 2, "valid": 3}


def test_the_manifest_is_as_its_schema_says(monkeypatch, tmp_path):
    monkeypatch.setattr(
        "sys.argv", ["meshctl", "build", MIXED, "-o", str(tmp_path / "out"), "--verify", "none"]
    )
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8"))
    assert list(validator("manifest").iter_errors(manifest)) == []


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_an_empty_document_is_none_of_these(path):
    assert list(Draft202012Validator(json.loads(path.read_text("utf-8"))).iter_errors({}))


def test_the_line_of_an_access_log_has_the_keys_of_the_model_in_order():
    schema = json.loads((ROOT / "schemas" / "access-log.schema.json").read_text("utf-8"))
    assert tuple(schema["required"]) == ACCESS_LOG_FIELDS
    assert tuple(schema["properties"]) == (*ACCESS_LOG_FIELDS, "query", "request_headers")
