"""What `meshctl observe` writes for Prometheus, asked by Prometheus' own tools; expectations are in rules.test.yaml, by hand."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from meshctl import pipeline
from tests.golden.cases import CASES

HERE = Path(__file__).parent
SPEC = HERE.parents[1] / "docs" / "observability.yaml"


def observe(spec, out):
    validated = pipeline.validate(str(spec))
    artifacts, unreachable = pipeline.observe(validated)
    pipeline.write_observability(validated, artifacts, out)
    return validated, [each.service for each in unreachable]


def promtool(folder, *arguments):
    done = subprocess.run(
        ["promtool", *arguments], cwd=folder, check=False, capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stdout + done.stderr


def test_the_rules_do_what_was_counted_by_hand(tmp_path):
    validated, _ = observe(SPEC, tmp_path)
    (build,) = {each.build for each in validated.mesh.sidecars if each.service == "catalog"}
    text = (HERE / "rules.test.yaml").read_text("utf-8").replace("BUILD", build)
    (tmp_path / "by-hand.test.yaml").write_text(text, "utf-8")
    code, told = promtool(tmp_path, "test", "rules", "by-hand.test.yaml")
    assert code == 0, told


@pytest.mark.parametrize(("old", "new"), [("== 0", "== 2"), ("> 6 * 0.001", "> 1000 * 0.001")])
def test_the_tests_that_are_written_beside_them_find_broken_rules(tmp_path, old, new):
    observe(SPEC, tmp_path)
    path = tmp_path / "alerts.rules.yaml"
    broken = path.read_text("utf-8").replace("> 14.4 * 0.001", "> 1000 * 0.001").replace(old, new)
    path.write_text(broken, "utf-8")
    assert promtool(tmp_path, "test", "rules", "rules.test.yaml")[0] == 1


SHAPES = """
apiVersion: meshctl.dev/v1
mesh: {name: shapes, domain: shapes.mesh, trustDomain: shapes.example, proxy: haproxy, metrics: {format: prometheus}, health: {port: 15021}, resolvers: [127.0.0.53:53]}
services:
  web: {port: 80, endpoints: [{address: 10.0.0.1}, {address: "fd00::1"}], calls: {by-name: {}, by-record: {}, both: {}}}
  by-name: {port: 80, discovery: {dns: {name: by-name.internal}}}
  by-record: {port: 80, discovery: {dnsSrv: {name: _x._tcp.internal}}}
  both:
    port: 80
    owner: 'a "b" {{ c }} \\ d'
    endpoints: [{address: 10.0.0.2, zone: b}, {address: 10.0.0.3, zone: a, port: 15007}]
    slo: {availability: 50%, latency: {p50: 100ms, p99.9: 60s}, window: 30d}
    rateLimit: {requests: 5, per: 1s}
  alone: {port: 80, zone: a}
gateways:
  edge: {port: 8080, endpoints: [{address: 10.0.0.9, zone: a}], health: {port: 15099}, calls: {web: {}}}
"""


def test_places_of_every_kind(tmp_path):
    (tmp_path / "mesh.yaml").write_text(SHAPES, "utf-8")
    _, unreachable = observe(tmp_path / "mesh.yaml", tmp_path)
    assert unreachable == ["alone"]
    assert json.loads((tmp_path / "targets.json").read_text("utf-8")) == [
        {"targets": ["10.0.0.3:15021"], "labels": {"mesh": "shapes", "service": "both", "zone": "a"}},
        {"targets": ["10.0.0.2:15021"], "labels": {"mesh": "shapes", "service": "both", "zone": "b"}},
        {"targets": ["10.0.0.9:15099"], "labels": {"mesh": "shapes", "service": "edge", "zone": "a"}},
        {"targets": ["10.0.0.1:15021", "[fd00::1]:15021"], "labels": {"mesh": "shapes", "service": "web"}},
    ]
    jobs = {
        each["job_name"]: each
        for each in yaml.safe_load((tmp_path / "prometheus.yml").read_text("utf-8"))["scrape_configs"]
    }
    assert list(jobs) == ["meshctl", "meshctl/by-name", "meshctl/by-record"]
    assert jobs["meshctl/by-name"]["dns_sd_configs"] == [
        {"names": ["by-name.internal"], "type": "A", "port": 15021}
    ]
    assert jobs["meshctl/by-record"]["dns_sd_configs"] == [{"names": ["_x._tcp.internal"], "type": "SRV"}]
    assert jobs["meshctl/by-record"]["relabel_configs"][-1] == {
        "source_labels": ["__address__"],
        "regex": "(.+):[0-9]+",
        "replacement": "${1}:15021",
        "target_label": "__address__",
    }
    check_all(tmp_path)
    alerts = (tmp_path / "alerts.rules.yaml").read_text("utf-8")
    assert """owner: a "b" {{ "{{" }} c }} \\ d""" in alerts
    # Half may fail: no multiple of that is ever reached, but for once over three days.
    assert " 3 * 0.5" not in alerts
    assert alerts.count("> 1 * 0.5") == 4


def check_all(folder):
    for arguments in (("check", "config", "prometheus.yml"), ("test", "rules", "rules.test.yaml")):
        code, told = promtool(folder, *arguments)
        assert code == 0, told


def test_every_golden_mesh_that_is_counted_gives_files_that_prometheus_takes(tmp_path):
    asked = 0
    for case in CASES:
        validated = pipeline.validate(str(case / "mesh.yaml"))
        if validated.mesh is not None and any(each.metrics for each in validated.mesh.sidecars):
            observe(case / "mesh.yaml", tmp_path / case.name)
            check_all(tmp_path / case.name)
            asked += 1
    assert asked


@pytest.mark.parametrize("name", ["promtool", "prometheus"])
def test_the_tools_are_there(name):
    assert shutil.which(name), f"{name} is not installed: make proxies"
