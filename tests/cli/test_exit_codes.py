"""What `lint` ends with is the same in every format: whatever is waived, mandatory, a remark or unreadable."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pytest

from meshctl.cli.app import run
from meshctl.cli.formats import Format
from tests.cli.test_formats import DOCUMENTS, judged

TOP = "apiVersion: meshctl.dev/v1\nmesh: {name: shop, domain: shop.mesh, trustDomain: shop.example}\n"
CLEAN = f"{TOP}services:\n  web: {{port: 80, owner: a, endpoints: [{{address: 10.0.0.1}}]}}\n"
SOON = date.today() + timedelta(days=60)  # noqa: DTZ011 - meshctl's own day has no time zone either
WAIVE = f"waive: [{{finding: SLUG, reason: r, owner: o, until: {SOON}}}]"
REMARK = CLEAN.replace("owner: a", "owner: a, routes: [{name: a, matches: [{path: {prefix: /a}}]}]") + (
    "  shop: {port: 80, owner: a, endpoints: [{address: 10.0.0.2}], calls: {web: {timeout: 1s}}}\n"
)
DEAD = REMARK.replace(
    "{name: a, matches: [{path: {prefix: /a}}]}",
    ", ".join(
        f"{{name: {name}, matches: [{{path: {{regex: '{regex}'}}}}]}}"
        for name, regex in (("a", "/[a-m]"), ("b", "/[n-z]"), ("c", "/[d-w]"))
    )
    + ", {name: d}",
)
PERMISSIVE = CLEAN.replace("owner: a", "owner: a, mtls: {mode: permissive, until: 2999-01-01}")


def waived(spec: str, slug: str) -> str:
    """The same with a waiver for all of the mesh."""
    return spec.replace("mesh: {", f"mesh: {{{WAIVE.replace('SLUG', slug)}, ", 1)


CASES: dict[str, tuple[str, tuple[str, ...], int, dict[str, int]]] = {
    "clean": (CLEAN, (), 0, {}),
    "a remark": (REMARK, (), 0, {"info": 1}),
    "an error": (DEAD, (), 1, {"error": 1}),
    "an error that is waived": (waived(DEAD, "dead-route"), (), 0, {"error": 0, "waived": 1}),
    "a warning, and they count": (PERMISSIVE, ("--fail-on", "warning"), 1, {"warning": 1}),
    "a mandatory rule": (
        waived(PERMISSIVE, "plaintext-or-permissive"),
        ("--fail-on", "warning"),
        1,
        {"error": 1, "warning": 1},
    ),
    "no YAML": (f"{CLEAN}x: [", (), 2, {}),
    "no file": ("", (), 2, {}),
    "no such profile": (CLEAN, ("--profile", "nobody"), 2, {}),
}
"""A spec, options, the exit code, and what the summary counts (as far as it matters)."""


@pytest.mark.parametrize("case", CASES)
def test_the_exit_code_is_the_same_in_every_format(case, tmp_path, monkeypatch, capsys):
    spec, options, expected, counted = CASES[case]
    monkeypatch.chdir(tmp_path)
    if spec:
        Path("mesh.yaml").write_text(spec, "utf-8")
    for form in Format:
        code = run(["lint", "mesh.yaml", "--format", form, *options])
        printed = capsys.readouterr()
        assert code == expected, (form, printed.out)
        if form in DOCUMENTS and printed.out:
            judged(form, printed.out)
        if form is Format.JSON and counted:
            summary = json.loads(printed.out)["summary"]
            assert {key: summary[key] for key in counted} == counted
