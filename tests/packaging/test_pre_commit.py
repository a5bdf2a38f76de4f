"""The hooks that this repository offers to others, run by pre-commit in a repository of a test's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pre_commit.clientlib import load_manifest
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
HOOKS = ROOT / ".pre-commit-hooks.yaml"
GOOD = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}
services:
  web: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {db: {}}}
"""
DB = "services:\n  db: {port: 81, timeout: 1s, endpoints: [{address: 10.0.0.2}]}\n"


def git(folder, *arguments):
    subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@t.example", *arguments], cwd=folder, check=True
    )


@pytest.fixture
def repository(tmp_path):
    """A mesh of two files in git, and something else."""
    folder = tmp_path / "repository"
    (folder / "mesh").mkdir(parents=True)
    git(folder, "init", "-q")
    (folder / "README.md").write_text("nothing")
    (folder / "mesh" / "web.yaml").write_text(GOOD)
    (folder / "mesh" / "db.yaml").write_text(DB)
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "mesh")
    return folder


def pre_commit(repository, *arguments):
    """Run it as a person would; the exit code and the lines printed."""
    done = subprocess.run(
        [sys.executable, "-m", "pre_commit", "run", "--color", "never", *arguments],
        cwd=repository,
        env=os.environ
        | {
            "PRE_COMMIT_HOME": str(repository.parent / "cache"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def configure(repository, document):
    YAML(typ="safe").dump({"repos": [document]}, repository / ".pre-commit-config.yaml")
    git(repository, "add", ".")


def test_the_hooks_are_what_pre_commit_reads():
    hooks = {each["id"]: each for each in load_manifest(HOOKS)}
    assert hooks.keys() == {"meshctl-validate", "meshctl-lint"}
    for each in hooks.values():
        assert (each["language"], each["pass_filenames"]) == ("python", False)


def test_they_look_at_the_mesh_as_a_whole(repository):
    """With the meshctl of this environment instead of one that pre-commit installs."""
    hooks = [each | {"language": "system"} for each in YAML(typ="safe").load(HOOKS.read_text())]
    hooks[1]["args"] = ["--fail-on", "warning"]
    configure(repository, {"repo": "local", "hooks": hooks})
    code, printed = pre_commit(repository)
    assert (code, printed.count("Skipped"), printed.count("Passed")) == (0, 2, 0), printed
    # A change of one file that is wrong only together with another one.
    (repository / "mesh" / "db.yaml").write_text(DB.replace("db:", "other:"))
    git(repository, "add", ".")
    code, printed = pre_commit(repository)
    assert (code, printed.count("Failed")) == (1, 2), printed
    assert "mesh/web.yaml:4:61: error MSH1002 undefined-reference" in printed


def test_each_hook_has_its_files(repository):
    from re import search

    hooks = {each["id"]: each["files"] for each in load_manifest(HOOKS)}
    both = ["mesh.yaml", "mesh.yml", "mesh/a.yaml", "mesh/deep/keys.json", "environments/prod.yaml"]
    lint = ["policies/own.yaml", "lint-baseline.json"]
    none = ["docs/mesh.yaml", "mesh.yaml.md", "README.md", ".github/workflows/ci.yaml"]
    for path in (*both, *lint, *none):
        assert bool(search(hooks["meshctl-validate"], path)) is (path in both), path
        assert bool(search(hooks["meshctl-lint"], path)) is (path in both or path in lint), path


@pytest.mark.soak
def test_pre_commit_installs_and_runs_them(repository, tmp_path):
    """As in other repositories: from git, in an environment that pre-commit makes."""
    source = tmp_path / "meshctl"
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file() and not name.startswith(("tests/", "examples/")):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    git(source, "init", "-q")
    git(source, "add", ".")
    git(source, "commit", "-qm", "release")
    git(source, "tag", "v0.1.0")
    hooks = [
        {"id": "meshctl-validate"},
        {"id": "meshctl-lint", "args": ["--profile", "strict", "--fail-on", "info"]},
    ]
    configure(repository, {"repo": str(source), "rev": "v0.1.0", "hooks": hooks})
    code, printed = pre_commit(repository, "--all-files")
    assert (code, printed.count("Passed"), printed.count("Failed")) == (1, 1, 1), printed


def test_the_documentation_names_hooks_that_there_are():
    blocks = (ROOT / "docs" / "ci.md").read_text("utf-8").split("```yaml\n")[1:]
    told = YAML(typ="safe").load(blocks[0].partition("```")[0])
    (hook,) = told["repos"][0]["hooks"]
    assert hook["id"] in {each["id"] for each in load_manifest(HOOKS)}
