"""The composite action: its metadata by the schema, and its steps as a runner of GitHub's runs them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft7Validator
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
ACTION = YAML(typ="safe").load((ROOT / "action.yml").read_text("utf-8"))
SCHEMA = json.loads((ROOT / "tests" / "schemas" / "github-action.schema.json").read_text("utf-8"))
INSTALL, RUN = ACTION["runs"]["steps"]
MESH = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}
services:
  web: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {db: {}}}
  db: {port: 81, endpoints: [{address: 10.0.0.2}]}
"""


@pytest.fixture
def runner(tmp_path):
    """A runner's folders, with the spec in the workspace; its environment is there already."""
    workspace, temp = tmp_path / "workspace", tmp_path / "temp"
    for folder in (workspace, temp / "meshctl" / "bin"):
        folder.mkdir(parents=True)
    python = temp / "meshctl" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    (workspace / "mesh.yaml").write_text(MESH)
    # What somebody has put into the repository is not run.
    for name in ("json", "meshctl", "yaml", "venv", "pip"):
        (workspace / f"{name}.py").write_text("raise SystemExit('code of the repository was run')")
    return workspace, temp


def run(step, runner, **inputs):
    """Run ``step`` with these inputs, the rest being the defaults; the way of the runner's own `bash`."""
    workspace, temp = runner
    known = {name: each.get("default", "") for name, each in ACTION["inputs"].items()}
    assert inputs.keys() <= known.keys()
    values = {f"inputs.{name}": text for name, text in (known | inputs).items()}
    values["github.action_path"] = str(ROOT)
    environment = {
        name: re.sub(r"\$\{\{ (.+?) \}\}", lambda found: values[found[1]], text)
        for name, text in step["env"].items()
    }
    script = temp / "step.sh"
    script.write_text(step["run"])
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)],
        cwd=workspace,
        env={
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "RUNNER_TEMP": str(temp),
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_metadata_is_as_the_schema_says():
    Draft7Validator.check_schema(SCHEMA)
    assert list(Draft7Validator(SCHEMA).iter_errors(ACTION)) == []
    assert list(Draft7Validator(SCHEMA).iter_errors(ACTION | {"input": {}}))


def test_no_input_is_a_part_of_a_script():
    """`${{ }}` is put into a script as text, before bash reads it."""
    for step in ACTION["runs"]["steps"]:
        assert step["shell"] == "bash"
        assert "${{" not in step["run"]
        assert not re.search(r"\beval\b|\b(ba)?sh -c\b|`", step["run"])
    used = set(re.findall(r"inputs\.([a-z-]+)", str([step["env"] for step in (INSTALL, RUN)])))
    assert used == ACTION["inputs"].keys()
    downloads = re.findall(r"pip install.*", INSTALL["run"])
    assert len(downloads) == 1
    assert "--require-hashes" in downloads[0]


def test_findings_are_annotated_and_written_as_sarif(runner):
    workspace, _ = runner
    done = run(RUN, runner, sarif="out.sarif", **{"fail-on": "warning"})
    assert (done.returncode, done.stderr) == (1, "")
    assert re.match(r"::warning title=MSH3101 missing-timeout,file=mesh\.yaml,line=5,", done.stdout)
    *_, last = done.stdout.splitlines()
    assert re.fullmatch(r"\| 1 warning.*", last)
    sarif = json.loads((workspace / "out.sarif").read_text())
    assert "MSH3101" in {each["ruleId"] for each in sarif["runs"][0]["results"]}


def test_every_input_counts(runner):
    workspace, _ = runner
    name = '; touch hacked $(touch hacked) `touch hacked` ".yaml'
    (workspace / "environments").mkdir()
    (workspace / "environments" / "prod.yaml").write_text("mesh: {trustDomain: prod.example}\n")
    (workspace / name).write_text(MESH)
    entry = {"code": "MSH0001", "slug": "a", "resource": "", "message": "::error::x\n::error::y"}
    held = {"schemaVersion": 1, "mesh": "shop", "environment": "prod", "findings": [entry]}
    (workspace / "base.json").write_text(json.dumps(held))
    (workspace / "own").mkdir()
    inputs = {"profile": "minimal", "policies": "own", "baseline": "base.json", "environment": "prod"}
    done = run(RUN, runner, spec=name, **inputs, **{"fail-on": "info"})
    assert "MSH8005 unused-baseline,file=base.json" in done.stdout
    assert done.returncode == 1
    assert len(re.findall("^::", done.stdout, re.MULTILINE)) == 1, done.stdout
    assert not list(workspace.rglob("hacked"))


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        (
            {"command": "lint; touch hacked", "sarif": "out.sarif"},
            "::error::the input command is lint or validate",
        ),
        ({"command": "validate", "profile": "strict"}, "| .*No such option"),
        ({"command": "validate", "spec": "--help", "sarif": "out.sarif"}, "| meshctl: --help"),
        ({"command": "validate", "spec": "::error::nothing"}, "| meshctl: "),
    ],
)
def test_what_cannot_be_run_fails(runner, inputs, told):
    workspace, _ = runner
    (workspace / "out.sarif").write_text("of another run")
    done = run(RUN, runner, **inputs)
    assert done.returncode == 2
    assert re.search(told.replace("|", r"\|"), done.stdout), done.stdout
    assert not (workspace / "hacked").exists()
    assert (workspace / "out.sarif").exists() is ("sarif" not in inputs)


def test_an_old_python_is_told(runner):
    _, temp = runner
    old = temp / "old python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = run(INSTALL, runner, python=str(old))
    assert done.returncode == 2
    assert done.stdout.startswith("::error::meshctl needs Python 3.11")


def test_the_documentation_names_inputs_that_there_are():
    blocks = (ROOT / "docs" / "ci.md").read_text("utf-8").split("```yaml\n")[1:]
    told = YAML(typ="safe").load(blocks[1].partition("```")[0])
    (step,) = (each for each in told["jobs"]["mesh"]["steps"] if "/meshctl@" in each["uses"])
    assert step["with"].keys() <= ACTION["inputs"].keys()


@pytest.mark.soak
def test_the_whole_action_runs(runner):
    """With an environment of its own, from the locked packages."""
    _, temp = runner
    (temp / "meshctl" / "bin" / "python").unlink()
    done = run(INSTALL, runner, python=sys.executable)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    done = run(RUN, runner, **{"fail-on": "warning"})
    assert done.returncode == 1
    assert "::warning title=MSH3101" in done.stdout
