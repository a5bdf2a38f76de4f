"""What the source text itself must keep to: size, and no look at the world below the pipeline."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "meshctl"

MODULE_LINES = 350
FUNCTION_LINES = 50

# `cli` and `pipeline` hand down what they read; `live` exists to start processes and open sockets.
MAY_LOOK_AT_THE_WORLD = {"cli", "pipeline", "live", "__main__"}
FORBIDDEN_MODULES = {"socket", "requests", "urllib.request", "http.client", "httpx"}
FORBIDDEN_NAMES = {
    "os.environ",
    "os.getenv",
    "time.time",
    "time.time_ns",
    "datetime.now",
    "datetime.utcnow",
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.today",
    "date.today",
    "datetime.date.today",
}

SOURCES = sorted(PACKAGE.rglob("*.py"))


def room(path):
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def looks(tree):
    """(line, name) of every use of the environment, the clock or the network."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names if alias.name in FORBIDDEN_MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
            yield from ((node.lineno, name) for name in names & (FORBIDDEN_MODULES | FORBIDDEN_NAMES))
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in FORBIDDEN_NAMES:
            yield node.lineno, ast.unparse(node)


def functions(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def name_of(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_modules_and_functions_stay_short(path):
    text = path.read_text(encoding="utf-8")
    lines = text.count("\n")
    assert lines <= MODULE_LINES, f"{name_of(path)} has {lines} lines; split it by what it decides"
    long = [
        f"{name_of(path)}:{function.lineno} {function.name} has {length} lines"
        for function in functions(ast.parse(text))
        if (length := (function.end_lineno or 0) - function.lineno + 1) > FUNCTION_LINES
    ]
    assert not long, "\n".join(long)


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if room(path) not in MAY_LOOK_AT_THE_WORLD], ids=name_of
)
def test_below_the_pipeline_nothing_looks_at_the_world(path):
    found = [f"{name_of(path)}:{line} {name}" for line, name in looks(ast.parse(path.read_text("utf-8")))]
    assert not found, "hand it down as an argument instead:\n" + "\n".join(found)


@pytest.mark.parametrize(
    "text",
    [
        "import socket",
        "from socket import create_connection",
        "import urllib.request",
        "from urllib import request",
        "import os\nos.environ['HOME']",
        "from os import environ",
        "import time\ntime.time()",
        "from datetime import datetime\ndatetime.now()",
        "import datetime\ndatetime.datetime.now()",
    ],
)
def test_such_a_look_is_found(text):
    assert list(looks(ast.parse(text)))
