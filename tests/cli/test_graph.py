"""`meshctl graph`: formats by option and by name, what is written where, and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from meshctl.cli.app import run
from tests.graph.spec import SPEC

BEGINS = {"mermaid": "flowchart LR\n", "dot": "digraph ", "svg": "<svg ", "html": "<!doctype html>\n"}


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mesh.yaml").write_text(SPEC, "utf-8")


@pytest.mark.parametrize("form", BEGINS)
def test_formats(form, capsys):
    assert run(["graph", "--format", form]) == 0
    assert capsys.readouterr().out.startswith(BEGINS[form])


@pytest.mark.parametrize(
    ("name", "form"),
    [("a.mmd", "mermaid"), ("a.gv", "dot"), ("a.dot", "dot"), ("a.SVG", "svg"), ("deep/er/a.html", "html")],
)
def test_a_name_says_the_format(name, form, capsys):
    assert run(["graph", "mesh.yaml", "-o", name]) == 0
    assert Path(name).read_text("utf-8").startswith(BEGINS[form])
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == f"{name}: 9 nodes, 11 calls\n"


def test_without_anything_it_is_mermaid(capsys):
    assert run(["graph"]) == 0
    assert capsys.readouterr().out.startswith("flowchart LR\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-o", "picture"], "picture: which format is that?"),
        (["-o", ""], "the name of the output file is empty"),
        (
            ["--service", "shpo"],
            "there is no service, gateway or external `shpo` in the mesh; did you mean `shop`?",
        ),
        (["--group-by", "ownr"], "no service has a label `ownr` to group by; did you mean `owner`?"),
        (["--format", "png"], "png"),
        (["absent.yaml"], "absent.yaml"),
        (["-o", "mesh.yaml/x.svg"], "mesh.yaml"),
        (["-o", "/proc/nope.svg"], "/proc/nope.svg: "),
    ],
)
def test_what_cannot_be_is_said(words, said, capsys):
    assert run(["graph", *words]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("text", "code"), [(SPEC.replace("port: 80\n", "port: 0\n", 1), 1), ("a: [", 2)])
def test_a_spec_with_errors_is_not_drawn(text, code, capsys):
    Path("mesh.yaml").write_text(text, "utf-8")
    assert run(["graph", "-o", "a.html"]) == code
    assert "error MSH" in capsys.readouterr().err
    assert not Path("a.html").exists()


def test_one_service_and_those_around_it(capsys):
    assert run(["graph", "--service", "bank"]) == 0
    told = capsys.readouterr().out
    assert "books" not in told
    assert "edge" in told


def test_groups(capsys):
    assert run(["graph", "--group-by", "tier"]) == 0
    assert 'subgraph g0["edge"]' in capsys.readouterr().out


def test_an_environment_is_drawn_as_it_is(capsys):
    Path("environments").mkdir()
    Path("environments/prod.yaml").write_text(
        "mesh: {trustDomain: prod.example}\nservices: {web: {calls: {stock: null}}}\n", "utf-8"
    )
    assert run(["graph", "--env", "prod"]) == 0


def test_bytes_depend_on_nothing_else():
    def drawn(seed, zone):
        return subprocess.run(
            [sys.executable, "-m", "meshctl", "graph", "--format", "html"],
            env=os.environ | {"PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": "C"},
            check=True,
            capture_output=True,
        ).stdout

    assert drawn("1", "UTC") == drawn("2", "Pacific/Auckland")
