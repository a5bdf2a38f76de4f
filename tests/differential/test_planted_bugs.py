"""Whether the differential test would find bugs: they are planted one at a time.

The meshes and requests are those of every run of the differential test, where all agree.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from meshctl.ir import Proxy
from tests.behaviour.tables import Expect, Row
from tests.differential.bugs import BUGS, WEIGHTS
from tests.differential.comparing import CALLERS, compare, judge
from tests.differential.exchanges import exchange
from tests.differential.soaking import documents, rows_for
from tests.differential.test_differential import ROWS, SEED, WORLDS
from tests.differential.worlds import running

LIMIT = 60.0
"""Seconds in which a bug has to be found."""

SPLIT = {
    "services": {
        "callee-0": {
            "proxy": "envoy",
            "endpoints": [{"subset": "v1"}, {"subset": "v2"}],
            "routes": [{"name": "half", "backends": [{"subset": "v1", "weight": 1}, {"subset": "v2", "weight": 1}]}],
        }
    }
}
DRAWS = 600


def marked(bugs):
    return [
        pytest.param(bug, id=f"{bug.title}[{bug.proxy}]", marks=[] if bug.short else [pytest.mark.soak]) for bug in bugs
    ]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Meshes and their requests, drawn before anything is planted; the richest first."""
    drawn = itertools.islice(documents(SEED, tmp_path_factory.mktemp("drawn")), WORLDS)
    every = [(document, rows_for(document, SEED + number, ROWS)) for number, document in enumerate(drawn)]
    return sorted(every, key=lambda scene: len(str(scene[0])), reverse=True)


@contextmanager
def planted(bug) -> Iterator[None]:
    """What targets remember of the code as it was, or with the bug in it, is forgotten."""
    right = getattr(bug.where, bug.name)
    _forget()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bug.where, bug.name, bug.wrong(right))
        yield
    _forget()


def _forget() -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith("meshctl.targets."):
            for value in vars(module).values():
                if hasattr(value, "cache_clear"):
                    value.cache_clear()


@pytest.mark.parametrize("bug", marked(BUGS))
def test_a_bug_is_found(bug, scenes, tmp_path):
    began = time.monotonic()
    with planted(bug):
        found = any(disagreements(bug, *scene, tmp_path / str(number)) for number, scene in enumerate(scenes))
    assert found
    assert time.monotonic() - began < LIMIT


def disagreements(bug, document, rows, folder):
    """All callers are there, for routes name them, and one asks."""
    with running(document, CALLERS, folder) as world:
        return judge(document, world, exchange(world, rows, [bug.proxy])).disagreements


def split_rows():
    return [Row("", Expect(), host="callee-0")] * DRAWS


@pytest.mark.parametrize("bug", marked(WEIGHTS))
def test_a_wrong_weight_is_found(bug, tmp_path):
    began = time.monotonic()
    with planted(bug):
        found = compare(SPLIT, split_rows(), [bug.proxy], folder=tmp_path).disagreements
    assert [str(each) for each in found if "share" in str(each)]
    assert time.monotonic() - began < LIMIT


def test_a_right_weight_is_none(tmp_path):
    assert not compare(SPLIT, split_rows(), CALLERS, folder=tmp_path).disagreements


def test_every_proxy_has_bugs():
    for proxy in Proxy:
        assert sum(bug.proxy is proxy for bug in (*BUGS, *WEIGHTS)) >= 3
