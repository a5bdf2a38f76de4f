"""The dashboards, read by Grafana's own classes of what a dashboard holds, and every question in them by Prometheus' parser."""

from __future__ import annotations

import enum
import json
import re
import subprocess
import types
import typing
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from meshctl import pipeline

SPEC = Path(__file__).parents[2] / "docs" / "observability.yaml"
# The package has no stubs where it is not installed, and mypy need not know it.
sdk: typing.Any = import_module("grafana_foundation_sdk.models.dashboard")
encoder: typing.Any = import_module("grafana_foundation_sdk.cog.encoder")
plugins: typing.Any = import_module("grafana_foundation_sdk.cog.plugins")
plugins.register_default_plugins()


@pytest.fixture(scope="module")
def dashboards():
    artifacts, _ = pipeline.observe(pipeline.validate(str(SPEC)))
    return {each.path: json.loads(each.content) for each in artifacts if each.path.startswith("dashboards/")}


def faults(dashboard):
    """What Grafana's classes lose, change or take for something else than they say."""
    read = sdk.Dashboard.from_json(dashboard)
    kept = json.loads(encoder.JSONEncoder().encode(read))
    return [*lost(dashboard, kept, ""), *misfits(read, "")]


def lost(written, kept, where):
    """Keys that nobody knows do not come back."""
    match written, kept:
        case dict(), dict():
            for key, value in written.items():
                if key in kept:
                    yield from lost(value, kept[key], f"{where}.{key}")
                else:
                    yield f"{where}.{key} is unknown"
        case list(), list() if len(written) == len(kept):
            for index, (one, other) in enumerate(zip(written, kept, strict=True)):
                yield from lost(one, other, f"{where}[{index}]")
        case _:
            if written != kept:
                yield f"{where}: {written!r} is read as {kept!r}"


def misfits(value, where):
    """Fields of an object of the package that hold something else than their annotation says."""
    for name, annotation in typing.get_type_hints(type(value)).items():
        its = getattr(value, name)
        if not fits(its, annotation):
            yield f"{where}.{name}: {its!r} is no {annotation}"
        for each in its if isinstance(its, list) else [its]:
            if type(each).__module__.startswith("grafana_foundation_sdk.models"):
                yield from misfits(each, f"{where}.{name}")


def fits(value, annotation):
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in (typing.Any, object):
        return True
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, each) for each in arguments)
    if origin is typing.Literal:
        return value in arguments
    if origin is list:
        return isinstance(value, list) and all(fits(each, arguments[0]) for each in value)
    if origin is dict:
        return isinstance(value, dict) and all(fits(each, arguments[1]) for each in value.values())
    if annotation is float:
        return isinstance(value, int | float)
    if issubclass(annotation, enum.Enum):
        return value in {each.value for each in annotation}
    return isinstance(value, annotation)


def test_grafana_reads_all_of_it(dashboards):
    assert list(dashboards) == ["dashboards/mesh.json", "dashboards/service.json"]
    for dashboard in dashboards.values():
        assert faults(dashboard) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda it: it.update(titel="x"), ".titel is unknown"),
        (lambda it: it["panels"][1].update(gridPos={"h": "1"}), "is no <class 'int'>"),
        (lambda it: it["templating"]["list"][0].update(type="odd"), "VariableType"),
        (lambda it: it["panels"][1]["fieldConfig"]["defaults"].update(unitt="s"), "unitt is unknown"),
        (lambda it: it["panels"][1]["targets"][0].update(expression="up"), "expression is unknown"),
    ],
)
def test_what_grafana_does_not_know_is_found(dashboards, change, told):
    dashboard = json.loads(json.dumps(dashboards["dashboards/mesh.json"]))
    change(dashboard)
    assert any(told in each for each in faults(dashboard)), faults(dashboard)


def test_nothing_overlaps_and_every_number_is_of_one_panel(dashboards):
    for dashboard in dashboards.values():
        identifiers = [each["id"] for each in dashboard["panels"]]
        assert len(set(identifiers)) == len(identifiers)
        taken: set[tuple[int, int]] = set()
        for each in dashboard["panels"]:
            at = each["gridPos"]
            cells = {
                (x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
            }
            assert at["x"] + at["w"] <= 24
            assert not cells & taken, each["title"]
            taken |= cells


def test_prometheus_reads_every_question(dashboards, tmp_path):
    values = {"$__rate_interval": "1m", "$mesh": "shop", "$service": "catalog"}
    questions = [
        re.sub(r"\$\w+", lambda found: values[found[0]], target["expr"])
        for dashboard in dashboards.values()
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
    ]
    assert len(questions) > 20
    rules = [{"record": f"question:{number}", "expr": each} for number, each in enumerate(questions)]
    path = tmp_path / "questions.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "questions", "rules": rules}]}), "utf-8")
    done = subprocess.run(
        ["promtool", "check", "rules", str(path)], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
