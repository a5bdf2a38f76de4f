"""Promises that nothing could ever find broken: whom nobody calls by its own name has no series of callers."""

from __future__ import annotations

import pytest

from meshctl.resolve import resolve
from tests.unit.resolve.specs import read

SPEC = """
services:
  ui: {{calls: {{api: {{}}}}}}
  api: {{port: 80, endpoints: [{{address: 10.0.0.1}}], routes: [{route}]}}
  old: {{port: 80, endpoints: [{{address: 10.0.0.2}}], slo: {{availability: 99%}}}}
{more}
"""
TO_OLD = "{name: all, backends: [{service: old}]}"
BY_NAME = "  other: {calls: {old: {}}}"
THROUGH = "gateways: {edge: {port: 8080, endpoints: [{address: 10.0.0.9}], calls: {old: {}}}}"

ROWS = [
    ("{name: all}", "", "no service calls `old`, and requests are counted by callers"),
    (TO_OLD, "", "no service calls `old` by its name, and what routes of `api` lead to it counts for `api`"),
    (
        "{name: all, mirror: [{service: old, percent: 10%}]}",
        "",
        "no service calls `old` by its name, and what routes of `api` lead to it counts for `api`",
    ),
    (
        "{name: all}",
        THROUGH,
        "no service calls `old`, and what comes through the gateway `edge` counts for `edge`",
    ),
    (TO_OLD, BY_NAME, None),
    ("{name: all}", BY_NAME, None),
    ("{name: all}", f"{BY_NAME}\n{THROUGH}", None),
]


@pytest.mark.parametrize(("route", "more", "expected"), ROWS)
def test_a_promise_needs_a_caller(tmp_path, route, more, expected):
    findings = resolve(
        read(tmp_path, SPEC.format(route=route, more=more), ", metrics: {format: prometheus}")
    ).findings
    told = [each.message for each in findings if each.slug == "slo-not-measurable"]
    assert told == ([expected] if expected else [])
