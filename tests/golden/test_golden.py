"""What comes of a spec is what came of it before, byte for byte, and the proxies take it.

`make golden` rewrites the expected files. Read the difference before you commit it.
"""

from __future__ import annotations

import contextlib
import shutil
from datetime import UTC, datetime

import pytest

from meshctl import ir, pipeline
from meshctl.diff import compare_artifacts
from meshctl.ir import Feature, features_of
from meshctl.pipeline import verification
from meshctl.pipeline.building import require_sound
from meshctl.targets.base import NOT_YET
from tests.golden.cases import CASES, expected, made, rewrite

LONGEST_SHOWN = 60

# What every sidecar has and nobody can ask for, so that any case exercises it.
ALWAYS = {
    Feature.STATIC_DISCOVERY,
    Feature.WEBSOCKET,
    Feature.ENDPOINT_WEIGHTS,
    Feature.HOST_ROUTING,
    Feature.PATH_GATE,
    Feature.ROUND_ROBIN,
    Feature.MAX_CONNECTIONS,
    Feature.MAX_REQUESTS,
    Feature.IDENTITY_HEADER,
    Feature.DEAD_APPLICATION,
    Feature.ADMIN,
}


def by_name(case):
    return case.name


@pytest.mark.parametrize("case", CASES, ids=by_name)
def test_what_comes_of_it_is_what_came_of_it(case, update_golden):
    artifacts = made(case)
    if update_golden:
        rewrite(case, artifacts)
    changes = list(compare_artifacts(expected(case).values(), artifacts.values()))
    shown = [
        "\n".join(line[:300] for line in (f"{each.sign}: {each.path}", *each.lines[:LONGEST_SHOWN]))
        for each in changes
    ]
    if shown:
        pytest.fail(
            f"{case.name}: {len(changes)} files are not as expected. If that is what you meant: make golden\n\n"
            + "\n\n".join(shown[:5]),
            pytrace=False,
        )


@pytest.mark.parametrize("proxy", ir.Proxy)
@pytest.mark.parametrize("case", CASES, ids=by_name)
def test_the_proxies_take_it(case, proxy):
    with contextlib.chdir(case):
        mesh = pipeline.validate("mesh.yaml", proxy=proxy).mesh
    if mesh is None:
        assert "diagnostics.txt" in expected(case)
        return
    artifacts = pipeline.emit(mesh)
    require_sound(mesh, artifacts, [each.path for each in artifacts])
    # An error or a warning of the proxy is raised; what is not installed is an error too.
    told = verification.verify(mesh, artifacts, None, datetime.now(UTC), require=True)
    assert len(told.verified) == len(mesh.sidecars)


def test_every_feature_has_a_case():
    asked = set()
    for case in CASES:
        mesh = pipeline.validate(str(case / "mesh.yaml")).mesh
        for sidecar in mesh.sidecars if mesh else ():
            asked |= {use.feature for use in features_of(sidecar)}
    assert not set(Feature) - asked - ALWAYS - set(NOT_YET)


def test_a_rewrite_leaves_nothing_stale_behind(tmp_path):
    case = tmp_path / "case"
    shutil.copytree(CASES[0], case)
    artifacts = made(case)
    (case / "expected" / "old").mkdir()
    (case / "expected" / "old" / "file").touch()
    (case / "expected" / next(iter(artifacts))).write_bytes(b"edited")
    rewrite(case, artifacts)
    assert expected(case) == artifacts
    assert not (case / "expected" / "old").exists()
