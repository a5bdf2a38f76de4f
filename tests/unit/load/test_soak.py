"""`make soak`: arbitrary specs for as long as asked. The seed is printed with a failure by hypothesis."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshctl import pipeline
from meshctl.diagnostics import UsageError
from tests.seconds import soak_seconds

KEYS = st.sampled_from(
    [
        "apiVersion",
        "mesh",
        "name",
        "domain",
        "trustDomain",
        "services",
        "endpoints",
        "address",
        "port",
        "calls",
        "routes",
        "matches",
        "path",
        "prefix",
        "exact",
        "methods",
        "headers",
        "backends",
        "subset",
        "weight",
        "timeout",
        "retries",
        "attempts",
        "retryOn",
        "bind",
        "waive",
        "lint",
        "rules",
    ]
)
SCALARS = st.sampled_from(
    [
        "meshctl.dev/v1",
        "shop",
        "shop.mesh",
        "web",
        "catalog",
        "10.0.0.1",
        "80",
        "8080",
        "/a",
        "/a/../b",
        "GET",
        "gateway-error",
        "5s",
        "0s",
        "{}",
        "[]",
        "~",
        "1e9",
        "\x7f",
        "é",
    ]
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]"),
        st.lists(st.tuples(KEYS, inner), max_size=4).map(
            lambda items: "{" + ", ".join(f"{key}: {value}" for key, value in items) + "}"
        ),
    ),
    max_leaves=30,
)


@pytest.mark.soak
def test_no_spec_ends_in_a_traceback(tmp_path):
    end = time.monotonic() + soak_seconds(0.1)
    where = tmp_path / "mesh.yaml"

    @settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.one_of(st.binary(max_size=400), DOCUMENTS.map(str.encode)))
    def never_a_traceback(content):
        judge(where, content)

    while time.monotonic() < end:
        never_a_traceback()


def judge(where: Path, content: bytes) -> None:
    where.write_bytes(content)
    try:
        found = pipeline.validate(str(where))
    except UsageError:
        return
    assert found.mesh is not None or any(each.is_error for each in found.findings)
    assert all(
        each.at is not None for each in found.findings if each.slug not in ("empty-spec", "missing-key")
    )
