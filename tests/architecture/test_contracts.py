"""The import contracts hold, and they do catch what they forbid."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "meshctl"

# (module to write, what it imports, the contract that must break)
VIOLATIONS = [
    ("diagnostics_plus/__init__.py", "", "rooms are layers"),
    ("ir/planted.py", "import meshctl.pipeline", "rooms are layers"),
    ("ir/planted.py", "import meshctl.spec", "rooms are layers"),
    ("lint/planted.py", "import meshctl.simulate", "rooms are layers"),
    ("artifacts.py", "import meshctl.ir", "rooms are layers"),
    ("targets/planted.py", "import meshctl.spec", "only load, resolve and lint see the spec"),
    ("pki/planted.py", "import meshctl.spec", "only load, resolve and lint see the spec"),
    ("diff/planted.py", "import meshctl.spec", "only load, resolve and lint see the spec"),
    ("simulate/planted.py", "import meshctl.spec", "only load, resolve and lint see the spec"),
    ("live/planted.py", "import meshctl.spec", "only load, resolve and lint see the spec"),
    ("load/planted.py", "import meshctl.ir", "load does not know the resolved model"),
    ("resolve/planted.py", "import meshctl.live", "only pipeline and cli start real proxies"),
    ("targets/nginx/planted.py", "import meshctl.targets.envoy", "targets do not know each other"),
    ("targets/base.py", "import meshctl.targets.envoy", "targets do not know each other"),
    ("audit/planted.py", "import meshctl.targets", "rooms are layers"),
    ("audit/nginx.py", "import meshctl.audit.haproxy", "the audits do not know each other"),
    ("lint/planted.py", "import jinja2", "jinja2 only in targets"),
    ("pipeline/planted.py", "import rich.console", "typer and rich only in cli"),
    ("diff/planted.py", "import typer", "typer and rich only in cli"),
    ("spec/planted.py", "import ruamel.yaml", "YAML and git libraries only in load"),
    ("diff/planted.py", "import git", "YAML and git libraries only in load"),
    ("live/planted.py", "from cryptography import x509", "cryptography only in pki"),
]


def lint_imports(folder):
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def copy_of_the_imports(folder):
    """The package as import-linter sees it, small enough to copy for every case."""
    for source in PACKAGE.rglob("*.py"):
        target = folder / source.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    (folder / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())


def test_contracts_hold():
    run = lint_imports(ROOT)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "0 broken" in run.stdout


@pytest.mark.parametrize(("module", "line", "contract"), VIOLATIONS)
def test_a_planted_violation_is_caught(tmp_path, module, line, contract):
    copy_of_the_imports(tmp_path)
    planted = tmp_path / "meshctl" / module
    planted.parent.mkdir(exist_ok=True)
    with planted.open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")

    run = lint_imports(tmp_path)

    assert run.returncode == 1, run.stdout + run.stderr
    assert f"{contract} BROKEN" in run.stdout


def test_every_room_is_declared():
    layers = declared_contract("rooms are layers")["layers"]
    declared = {name.strip("() ") for layer in layers for name in layer.split("|")}
    present = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    present |= {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert present <= declared, f"declare in pyproject.toml: {sorted(present - declared)}"


def test_every_target_is_kept_apart():
    (layer, _base) = declared_contract("targets do not know each other")["layers"]
    declared = {name.strip("() ") for name in layer.split("|")}
    present = {path.parent.name for path in PACKAGE.glob("targets/*/__init__.py")}
    assert present <= declared, f"declare in pyproject.toml: {sorted(present - declared)}"


def declared_contract(name):
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return next(one for one in pyproject["tool"]["importlinter"]["contracts"] if one["name"] == name)
