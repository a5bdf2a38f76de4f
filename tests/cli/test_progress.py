"""A bar for a person at a terminal, for nobody else, and gone when the work is done."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SPEC = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}
services:
  web: {port: 8080, endpoints: [{address: 10.0.0.1}], calls: {catalog: {}}}
  catalog: {port: 8080, endpoints: [{address: 10.0.0.2}], timeout: 3s}
"""
IMPATIENT = """\
from meshctl.__main__ import main
from meshctl.cli import progress

progress.PATIENCE = {patience}
main()
"""
COLOUR = "\x1b[38;5;"
HIDDEN, SHOWN = "\x1b[?25l", "\x1b[?25h"
"""The cursor."""


def said(*arguments, patience=0.0, **environment):
    """What a command says on a terminal, which is its standard error alone."""
    ours, its = os.openpty()
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "NO_COLOR", "TERM")}
    command = [sys.executable, "-c", IMPATIENT.format(patience=patience), *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=its, env=kept | {"TERM": "xterm-256color"} | environment
    ) as process:
        os.close(its)
        text = b""
        while True:
            try:
                text += os.read(ours, 4096)
            except OSError:  # nobody has the terminal open any more
                break
    os.close(ours)
    assert process.returncode == 0
    return text.decode()


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mesh.yaml").write_text(SPEC, "utf-8")


def test_it_says_what_goes_on_and_leaves_nothing_behind():
    text = said("build", "--verify", "none")
    doing = ["validating", "building"]
    for each in doing:
        assert each in text
    assert COLOUR in text
    assert text.count(HIDDEN) == text.count(SHOWN) == len(doing)
    *_, last = text.rpartition("\x1b[2K")
    assert not any(each in last for each in doing)


def test_without_colour():
    text = said("lint", NO_COLOR="1")
    assert "linting" in text
    assert COLOUR not in text


@pytest.mark.parametrize(("patience", "environment"), [(0, {"CI": "true"}), (0, {"TERM": "dumb"}), (60, {})])
def test_there_is_none(patience, environment):
    text = said("validate", patience=patience, **environment)
    assert text.startswith("2 sidecars")
    assert "\x1b" not in text
