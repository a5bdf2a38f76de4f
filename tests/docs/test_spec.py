"""The first example of docs/spec.md is a spec; what it marks with a dagger is what no target has yet, and nothing else."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from meshctl import pipeline
from meshctl.spec.json_schema import json_schema
from tests.behaviour.world import KEY_SETS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "spec.md").read_text("utf-8")


HEAD = """\
apiVersion: meshctl.dev/v1
mesh: {name: shop, domain: shop.mesh, trustDomain: shop.example, resolvers: ["127.0.0.53:53"]}
"""


def test_the_example_is_a_spec(tmp_path):
    found = re.search(r"```yaml\n(apiVersion.*?)```", PAGE, re.DOTALL)
    assert found is not None
    (tmp_path / "mesh.yaml").write_text(found[1], "utf-8")
    findings = pipeline.validate(str(tmp_path / "mesh.yaml")).findings
    wrong = [each for each in findings if each.is_error and each.slug != "unsupported-on-target"]
    assert wrong == []
    pending = {each.at.line for each in findings if each.slug == "not-yet-supported"}
    assert pending == {number for number, line in enumerate(found[1].splitlines(), 1) if line.endswith("# †")}


def test_every_key_of_the_language_is_on_the_page():
    keys = {key for model in json_schema()["$defs"].values() for key in model.get("properties", ())}
    assert [key for key in sorted(keys) if not re.search(rf"\b{key}\b", PAGE)] == []


def test_what_is_not_compiled_yet_has_the_right_shape(tmp_path):
    """Fragments without a head; what they refer to is not there, so only the shape is asked for."""
    found = re.search(r"## Not compiled yet.*?```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    text = HEAD + found[1]
    (tmp_path / "mesh.yaml").write_text(text, "utf-8")
    validated = pipeline.validate(str(tmp_path / "mesh.yaml"))
    assert validated.spec is not None, validated.findings
    pending = next(iter(yaml.safe_load(text)["services"].values()))
    assert "pathPolicy" in pending


PARTS = re.findall(r"```yaml\n((?:services|externals):\n.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("part", PARTS)
def test_every_part_is_a_spec(tmp_path, part):
    (tmp_path / "mesh.yaml").write_text(HEAD + part, "utf-8")
    findings = pipeline.validate(str(tmp_path / "mesh.yaml")).findings
    assert [each for each in findings if each.is_error and not each.slug.startswith("unsupported")] == []


def test_the_parts_are_found():
    assert len(PARTS) == PAGE.count("```yaml\nservices:") + PAGE.count("```yaml\nexternals:") > 3


def test_the_example_of_tokens_is_a_spec(tmp_path):
    found = re.search(r"## Tokens.*?```yaml\nmesh:\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    shutil.copytree(KEY_SETS, tmp_path / "keys")
    own = (
        "apiVersion: meshctl.dev/v1\nmesh:\n  name: shop\n  domain: shop.mesh\n  trustDomain: shop.example\n"
    )
    web = "  web: {port: 80, endpoints: [{address: 10.0.0.1}], calls: {orders: {}}}\n"
    text = (
        found[1].replace("    port: 8080\n", "    port: 8080\n    endpoints: [{address: 10.0.0.2}]\n") + web
    )
    (tmp_path / "mesh.yaml").write_text(own + text, "utf-8")
    assert pipeline.validate(str(tmp_path / "mesh.yaml")).findings == ()
