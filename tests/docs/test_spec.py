"""The first example of docs/spec.md is a spec; what it marks with a dagger is what no target has yet, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from meshctl import pipeline

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "spec.md").read_text("utf-8")


def test_the_example_is_a_spec(tmp_path):
    found = re.search(r"```yaml\n(apiVersion.*?)```", PAGE, re.DOTALL)
    assert found is not None
    (tmp_path / "mesh.yaml").write_text(found[1], "utf-8")
    findings = pipeline.validate(str(tmp_path / "mesh.yaml")).findings
    wrong = [each for each in findings if each.is_error and each.slug != "unsupported-on-target"]
    assert wrong == []
    pending = {each.at.line for each in findings if each.slug == "not-yet-supported"}
    assert pending == {number for number, line in enumerate(found[1].splitlines(), 1) if line.endswith("# †")}
