"""What the source text itself must keep to: size, and no look at the world below the pipeline."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "meshctl"

MODULE_LINES = 350
FUNCTION_LINES = 50

# `cli` and `pipeline` hand down what they read; `live` exists to start processes and open sockets.
MAY_LOOK_AT_THE_WORLD = {"cli", "pipeline", "live", "cache", "__main__"}
FORBIDDEN = {
    *("socket", "requests", "httpx", "urllib.request", "http.client"),
    *("os.environ", "os.getenv", "sys.argv", "sys.stdin", "sys.stdout", "sys.stderr"),
    *("time.time", "time.time_ns", "time.localtime", "time.gmtime"),
    *("datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today"),
}

SOURCES = sorted(PACKAGE.rglob("*.py"))


def room(path):
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports(tree):
    """(line, local name, full name) of everything that the module imports, wherever it does so."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.asname or alias.name, alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node.lineno, alias.asname or alias.name, f"{node.module}.{alias.name}"


def looks(tree):
    """(line, full name) of every use of the environment, the clock, the network or the terminal."""
    # `import os.path` makes the name `os`.
    full_names = {
        local.partition(".")[0]: full.partition(".")[0] if local == full else full
        for _, local, full in imports(tree)
    }
    for line, _, full in imports(tree):
        if full in FORBIDDEN or full.rpartition(".")[0] in FORBIDDEN:
            yield line, full
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            first, _, rest = ast.unparse(node).partition(".")
            full = f"{full_names.get(first)}.{rest}"
            if full in FORBIDDEN:
                yield node.lineno, full


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
        "import os.path\nos.environ['HOME']",
        "from os import environ",
        "import time\ntime.time()",
        "from datetime import datetime\ndatetime.now()",
        "import datetime\ndatetime.datetime.now()",
        "import datetime as dt\ndt.datetime.now()",
        "from datetime import datetime as clock\nclock.now()",
        "def f():\n    from sys import stdout",
    ],
)
def test_such_a_look_is_found(text):
    assert list(looks(ast.parse(text)))


def test_an_argument_of_the_same_name_is_not_such_a_look():
    assert not list(looks(ast.parse("def f(datetime, time): return datetime.now, time.time")))
