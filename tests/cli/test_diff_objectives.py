"""`meshctl diff` of what services promise, which no sidecar knows of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from meshctl import pipeline
from meshctl.cli import diff_json, diff_lines, diff_markdown

SPEC = """\
apiVersion: meshctl.dev/v1
mesh: {{name: shop, domain: shop.mesh, trustDomain: shop.example, metrics: {{format: prometheus}}}}
services:
  web: {{port: 80, endpoints: [{{address: 10.0.0.1}}], calls: {{{name}: {{}}}}}}
  {name}: {{port: 80, endpoints: [{{address: 10.0.0.2}}]{slo}}}
"""
GOOD = ", slo: {availability: 99.9%}"


def compared(tmp_path: Path, before: str, after: str, name: str = "stock") -> pipeline.Compared:
    sides = []
    for number, (service, slo) in enumerate((("stock", before), (name, after))):
        path = tmp_path / f"{number}.yaml"
        path.write_text(SPEC.format(name=service, slo=slo), "utf-8")
        sides.append(pipeline.validate(str(path)))
    return pipeline.compare(*sides)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (
            GOOD,
            ", slo: {availability: 99%}",
            "availability 99.9% over 30d -> availability 99% over 30d",
        ),
        ("", GOOD, "none -> availability 99.9% over 30d"),
        (GOOD, "", "availability 99.9% over 30d -> none"),
        (
            ", slo: {availability: 99.999%, window: 28d}",
            ", slo: {availability: 99.9999%, latency: {p99.99: 1s, p50: 5ms}, window: 28d}",
            "availability 99.999% over 28d -> availability 99.9999%, p50 5ms, p99.99 1s over 28d",
        ),
    ],
)
def test_another_promise_is_a_change_that_touches_no_sidecar(
    before: str, after: str, told: str, tmp_path: Path
) -> None:
    found = compared(tmp_path, before, after)
    assert found.diff.differs
    assert found.diff.sidecars == ()
    (section,) = diff_lines.sections(found)
    assert [each.text for each in section.lines] == ["service stock", f"service level objectives: {told}"]
    assert (
        diff_lines.summary(found).partition(";")[0].startswith("services: 0 to add, 1 to change, 0 to remove")
    )
    assert told in diff_markdown.render(found, (), ())
    assert "service level objectives" in json.dumps(diff_json.document(found, (), (), None))


def test_the_same_promise_in_other_words_is_none(tmp_path: Path) -> None:
    assert not compared(tmp_path, GOOD, ", slo: {availability: 99.90%, window: 30d}").diff.differs


def test_a_service_keeps_its_promise_under_another_name(tmp_path: Path) -> None:
    found = compared(tmp_path, GOOD, GOOD, "store")
    assert found.diff.renamed == (("stock", "store"),)
    assert "objectives" not in repr(found.diff.changes)
