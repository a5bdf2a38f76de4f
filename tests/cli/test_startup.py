"""What a run pays before it begins, and on its way out: each command imports what it needs, and nothing else."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

from meshctl import __version__, pipeline
from meshctl.cli.help import HELP

SPEC = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}
services:
  web: {port: 8080, endpoints: [{address: 10.0.0.1}], calls: {catalog: {}}}
  catalog: {port: 8080, endpoints: [{address: 10.0.0.2}], timeout: 3s}
"""
ROOMS = frozenset({"cli", "pipeline", "load", "spec", "resolve", "ir", "targets"})
HEAVY = frozenset(
    [
        "asyncio",
        "cel_expr_python",
        "concurrent",
        "cryptography",
        "git",
        "google",
        "grpc",
        "h2",
        "http",
        "jinja2",
        "jsonschema_rs",
        "multiprocessing",
        "pyrage",
        "re2",
        "rich",
        "ruamel",
        "sqlite3",
        "ssl",
        "unittest",
        "xml",
        "yaml",
        "pydantic",
    ]
)
"""What takes some milliseconds to import."""


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mesh.yaml").write_text(SPEC, "utf-8")


def imported(*arguments):
    """The modules that a run imports, as the interpreter tells them."""
    command = [sys.executable, "-X", "importtime", "-m", "meshctl", *arguments]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    return run, {line.rpartition("|")[2].strip() for line in run.stderr.splitlines() if "|" in line}


@pytest.mark.parametrize(
    ("arguments", "rooms", "heavy"),
    [
        ("validate", ROOMS, {"pydantic", "yaml"}),
        ("lint", ROOMS | {"lint"}, {"pydantic", "yaml", "cel_expr_python", "google"}),
        ("build --verify none", ROOMS | {"audit", "pki"}, {"pydantic", "yaml"}),
        ("build --verify none --proxy haproxy", ROOMS | {"audit", "pki"}, {"pydantic", "yaml", "jinja2"}),
        ("explain services.catalog.timeout", ROOMS, {"pydantic", "yaml"}),
        ("capabilities --format json", {"cli", "pipeline", "ir", "targets"}, {"pydantic"}),
        ("who-can-reach catalog", ROOMS | {"simulate"}, {"pydantic", "yaml"}),
    ],
)
def test_no_command_imports_what_only_others_need(arguments, rooms, heavy):
    answer, modules = imported(*arguments.split())
    assert answer.returncode == 0
    folders = {
        each.name for each in pkgutil.iter_modules(importlib.import_module("meshctl").__path__) if each.ispkg
    }
    used = {name.split(".")[1] for name in modules if name.startswith("meshctl.")} & folders
    assert used <= {*rooms, "catalogue", "cache"}
    assert {name.partition(".")[0] for name in modules} & HEAVY <= heavy


def test_nothing_is_looked_through_once_more_on_the_way_out():
    program = """
import atexit, gc, sys
atexit.register(lambda: print("kept out of the last collection:", gc.get_freeze_count() > 10_000))
from meshctl.__main__ import main
main()
"""
    command = [sys.executable, "-c", program, "validate"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout == "kept out of the last collection: True\n"


def test_the_table_of_contents_imports_what_its_types_say():
    tree = ast.parse(Path(pipeline.__file__).read_text("utf-8"))
    typed = {
        alias.name: node.module
        for branch in tree.body
        if isinstance(branch, ast.If)
        for node in branch.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == {name: f"meshctl.pipeline.{module}" for name, module in pipeline._MODULES.items()}
    assert all(hasattr(pipeline, name) for name in pipeline.__all__)
    assert set(typed) <= set(pipeline.__all__)
    # An import of such a module would put it in the function's place.
    assert not {each.name for each in pkgutil.iter_modules(pipeline.__path__)} & set(typed)


@pytest.mark.parametrize(
    ("option", "words"), [("--version", f"meshctl {__version__}"), ("--help", HELP.rstrip())]
)
def test_the_quick_answers_import_next_to_nothing(option, words):
    answer, modules = imported(option)
    assert answer.returncode == 0
    assert answer.stdout.rstrip() == words
    ours = {name for name in modules if name.startswith("meshctl")}
    assert ours <= {"meshctl", "meshctl.cli", "meshctl.cli.help"}
    heavy = {"typer", "click", "rich", "pydantic", "jinja2", "orjson", "dataclasses", "pathlib", "argparse"}
    assert not {name.partition(".")[0] for name in modules} & heavy


def test_no_argument_at_all_shows_help_and_ends_with_2():
    answer, _ = imported()
    assert answer.returncode == 2
    assert HELP.splitlines()[0] in answer.stderr
