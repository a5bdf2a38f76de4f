"""Private keys: never 0644, never in git, never printed; whatever is built, said, and pasted where."""

from __future__ import annotations

import copy
import io
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from meshctl import pipeline
from meshctl.cli import findings
from meshctl.cli.app import run

KEY_LINES = ("MHcCAQEEIHRoaXMgaXMgbm8ga2V5IGF0IGFsbCBidXQgbG9va3MgbGlrZSBvbmU", "oUQDQgAEbm9yIGlzIHRoaXM")
PEM = "\n".join(("-----BEGIN EC PRIVATE KEY-----", *KEY_LINES, "-----END EC PRIVATE KEY-----", ""))
REFERENCE = Path(__file__).parents[1] / "golden" / "reference" / "mesh.yaml"
AS_FOUND_IN_FILES = re.compile(r"PRIVATE KEY|AGE-SECRET-KEY")

SPEC = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example, mtls: {crl: true}}
services:
  web: {port: 8080, proxy: envoy, endpoints: [{address: 10.0.0.1}], calls: {catalog: {}, ledger: {}}}
  catalog: {port: 8080, proxy: haproxy, endpoints: [{address: 10.0.0.2}]}
  ledger: {port: 8080, proxy: nginx, endpoints: [{address: 10.0.0.3}]}
"""


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mesh.yaml").write_text(SPEC)


def places(node, path=()):
    """Every value and every key of a document."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield (*path, key), True
            yield from places(value, (*path, key))
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from places(value, (*path, number))
    else:
        yield path, False


def with_key_at(document, path, is_key):
    changed = copy.deepcopy(document)
    node = changed
    for step in path[:-1]:
        node = node[step]
    if is_key:
        node[PEM] = node.pop(path[-1])
    else:
        node[path[-1]] = PEM
    return changed


def everything_said(where, forms=tuple(findings.Format)):
    """A spec's findings in these formats, and the model where there is one."""
    out = io.StringIO()
    validated = pipeline.validate(where)
    for form in forms:
        findings.report(validated, form, "validate", where, to=out)
    model = pipeline.resolved_json(validated.mesh) if validated.mesh else ""
    return validated, out.getvalue() + model


def tells(text):
    return [line for line in KEY_LINES if line[:16] in text]


def test_a_key_pasted_anywhere_into_a_spec_is_not_told_again():
    document = yaml.safe_load(REFERENCE.read_text())
    # One of each field: what services and routes are called makes no difference.
    asked = {
        (*(each for each in path[2:] if isinstance(each, str)), is_key): path
        for path, is_key in places(document)
    }
    assert len(asked) > 100
    for number, ((*_, is_key), path) in enumerate(asked.items()):
        Path("mesh.yaml").write_text(json.dumps(with_key_at(document, path, is_key), default=str))
        forms = findings.Format if number % 20 == 0 else ("text", "json")
        validated, said = everything_said("mesh.yaml", tuple(map(findings.Format, forms)))
        assert [each.slug for each in validated.findings] == ["secret-in-spec"], path
        assert not tells(said), path


@pytest.mark.parametrize(
    "written",
    [
        f'"{PEM}"'.replace("\n", "\\n").replace("PRIVATE KEY", r"PRIVATE\x20KEY"),
        f'"{PEM}"'.replace("\n", "\\n").replace("PRIVATE KEY", r"\u0050RIVATE KEY"),
        "|\n" + "".join(f"      {line}\n" for line in PEM.splitlines()),
    ],
)
@pytest.mark.parametrize("field", ["owner", "port", "nonsense", "proxy"])
def test_nor_is_one_that_is_spelt_otherwise(field, written):
    Path("mesh.yaml").write_text(SPEC + f"  last:\n    {field}: {written}\n")
    _, said = everything_said("mesh.yaml")
    assert "mesh.yaml" in said
    assert not tells(said)


def test_a_key_beside_what_cannot_be_read_is_not_told():
    Path("mesh.yaml").write_bytes(b"a: \x1b" + PEM.replace("\n", "\\n").encode() + b"\xff")
    validated, said = everything_said("mesh.yaml")
    assert [each.slug for each in validated.findings] == ["secret-in-spec"]
    assert not tells(said)


COMMANDS = [
    (["build", "--verify", "none"], 0),
    (["certs", "init"], 0),
    (["certs", "init"], 2),
    (["build", "--verify", "none"], 0),
    (["certs", "issue"], 0),
    (["certs", "status"], 0),
    (["certs", "status", "--format", "json"], 0),
    (["certs", "revoke", "web"], 0),
    (["certs", "issue"], 0),
    (["--debug", "build", "--verify", "none", "--ca", "mesh.yaml"], None),
    (["build", "--verify", "none", "--ca", ".meshctl/ca/ca.key"], None),
    (["validate", ".meshctl/ca/issuing.key"], None),
    (["diff", "mesh.yaml", "mesh.yaml"], None),
]


def test_no_command_tells_a_key_and_no_key_is_for_others(capsys):
    said = ""
    before = os.umask(0)
    try:
        subprocess.run(["git", "init", "-q", "."], check=True)
        for command, code in COMMANDS:
            ended = run(command)
            assert code in (None, ended), command
            said += "".join(capsys.readouterr())
    finally:
        os.umask(before)
    keys = [path for path in Path().rglob("*") if path.is_file() and AS_FOUND_IN_FILES.search(text_of(path))]
    assert {path.stat().st_mode & 0o777 for path in keys} == {0o600}
    assert {path.suffix for path in keys} == {".key"}
    assert {path.parts[0] for path in keys} == {".meshctl", "build"}
    assert len(keys) == 5
    lines = {line for path in keys for line in text_of(path).splitlines()[1:-1]}
    assert lines
    assert not [line for line in lines if line in said]
    others = [path for path in Path().rglob("*") if path.is_file() and path not in keys]
    assert not [path for path in others for line in lines if line in text_of(path)]

    subprocess.run(["git", "add", "-A"], check=True)
    listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout.split()
    assert "mesh.yaml" in listed
    assert not {str(path) for path in keys} & {*listed}


def text_of(path):
    return path.read_bytes().decode("latin-1")
