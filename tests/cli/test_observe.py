"""`meshctl observe`: which files it writes, when it writes none, and what it says of services that nobody can reach."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from meshctl.cli.app import run

SPEC = str(Path(__file__).resolve().parents[2] / "docs" / "observability.yaml")
WRITTEN = [
    "out/alerts.rules.yaml",
    "out/dashboards/mesh.json",
    "out/dashboards/service.json",
    "out/observability.json",
    "out/prometheus.yml",
    "out/recording.rules.yaml",
    "out/rules.test.yaml",
    "out/targets.json",
]
HEAD = "apiVersion: meshctl.dev/v1\nmesh: {name: m, domain: m.mesh, trustDomain: m.example"


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def files():
    return sorted(str(each) for each in Path().rglob("*") if each.is_file())


def state():
    return {each: (Path(each).read_bytes(), Path(each).stat().st_mtime_ns) for each in files()}


def test_the_files_and_again_the_same(capsys):
    assert run(["observe", SPEC, "-o", "out"]) == 0
    assert capsys.readouterr().out.endswith("7 created, 0 updated, 0 removed, 0 unchanged\n")
    assert files() == WRITTEN
    before = state()
    assert run(["observe", SPEC, "-o", "out"]) == 0
    assert capsys.readouterr().out == "0 created, 0 updated, 0 removed, 7 unchanged\n"
    assert state() == before


def test_a_build_and_what_watches_it_share_a_folder(capsys):
    assert run(["build", SPEC, "-o", "out", "--verify", "none"]) == 0
    built = files()
    assert run(["observe", SPEC, "-o", "out"]) == 0
    assert run(["build", SPEC, "-o", "out", "--verify", "none"]) == 0
    assert files() == sorted([*built, *WRITTEN])
    capsys.readouterr()
    assert run(["drift", SPEC, "--bundle", "out"]) in (0, 1)
    assert "extra-file" not in capsys.readouterr().out


def test_a_mesh_that_counts_nothing(capsys):
    Path("mesh.yaml").write_text(HEAD + "}\nservices: {a: {port: 80, endpoints: [{address: 10.0.0.1}]}}\n")
    assert run(["observe"]) == 2
    assert (
        "the mesh counts nothing; write `metrics: {format: prometheus}` under `mesh`"
        in capsys.readouterr().err
    )
    assert files() == ["mesh.yaml"]


def test_services_that_nobody_elsewhere_can_reach_are_told(capsys):
    text = (
        HEAD
        + ", metrics: {format: prometheus}}\nservices: {a: {port: 80, endpoints: [{address: 10.0.0.1}]}}\n"
    )
    Path("mesh.yaml").write_text(text)
    assert run(["observe", "-o", "out"]) == 0
    assert "no Prometheus elsewhere can reach the sidecars of a:" in capsys.readouterr().err
    assert json.loads(Path("out/targets.json").read_text("utf-8")) == []


@pytest.mark.parametrize(("text", "code"), [("mesh: [", 2), (HEAD + "}\nservices: {a: {prot: 1}}\n", 1)])
def test_nothing_is_written_of_a_spec_with_errors(text, code, capsys):
    Path("mesh.yaml").write_text(text)
    assert run(["observe", "-o", "out"]) == code
    assert "nothing was made" in capsys.readouterr().err
    assert files() == ["mesh.yaml"]


def test_another_mesh_is_not_overwritten(capsys):
    assert run(["observe", SPEC, "-o", "out"]) == 0
    before = state()
    Path("mesh.yaml").write_text(HEAD + ", metrics: {format: prometheus}}\nservices: {a: {port: 80}}\n")
    assert run(["observe", "-o", "out"]) == 2
    assert "choose another folder" in capsys.readouterr().err
    assert {each: before[each] for each in before} == {each: state()[each] for each in before}
