"""In which order the sidecars of a mesh are started on one machine."""

from __future__ import annotations

import pytest

from meshctl.pipeline.rehearsal import waves
from tests.unit.resolve.specs import resolved

CHECK = "healthCheck: {http: {path: /h}}, "


@pytest.mark.parametrize(
    ("a", "b", "c", "expected"),
    [
        ("", "", "", [{"a", "b", "c"}]),
        # a calls b, b calls c, c calls a.
        ("", CHECK, "", [{"b", "c"}, {"a"}]),
        ("", CHECK, CHECK, [{"c"}, {"b"}, {"a"}]),
        (CHECK, CHECK, CHECK, [{"a", "b", "c"}]),
    ],
)
def test_who_is_checked_comes_first(tmp_path, a, b, c, expected):
    text = f"""
    services:
      a: {{port: 80, {a}endpoints: [{{address: 10.0.0.1}}], calls: {{b: {{}}}}}}
      b: {{port: 80, {b}endpoints: [{{address: 10.0.0.2}}], calls: {{c: {{}}}}}}
      c: {{port: 80, {c}endpoints: [{{address: 10.0.0.3}}], calls: {{a: {{}}}}}}
    """
    found = list(waves(resolved(tmp_path, text)))
    assert [{each.service for each in wave} for wave in found] == expected
