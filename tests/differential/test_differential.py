"""Random meshes and random requests: the simulator and the three real proxies agree, or the difference is declared."""

from __future__ import annotations

import copy
import os
import random
import time
from dataclasses import replace
from pathlib import Path

import pytest

from meshctl.ir import Proxy
from meshctl.targets import target
from meshctl.targets.base import Emulated
from tests.behaviour.tables import Expect, Row
from tests.differential.comparing import Comparison, judge
from tests.differential.emulations import DECLARED
from tests.differential.exchanges import exchange
from tests.differential.soaking import worlds
from tests.differential.worlds import Document, resolved, running

SEED, WORLDS, ROWS = 1, 5, 20
"""What every `make test` asks: 5 worlds, and in each 540 requests at most, three times as many for each proxy's role."""


def test_the_proxies_agree_with_the_simulator(tmp_path):
    for number, document, found in worlds(SEED, ROWS, tmp_path):
        assert not found.disagreements, report(SEED, number, document, found)
        if number == WORLDS:
            break


@pytest.mark.soak
def test_any_mesh_for_long(tmp_path):
    end = time.monotonic() + float(os.environ.get("MESHCTL_SOAK_SECONDS", "60"))
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    whole, count = Comparison(), 0
    for number, document, found in worlds(seed, 4 * ROWS, tmp_path):
        count = number
        whole.pairs += found.pairs
        whole.disagreements += found.disagreements
        if found.disagreements:
            print(report(seed, number, document, found))
        if time.monotonic() > end:
            break
    told = f"seed {seed}: {count} worlds, {dict(whole.pairs)}, {len(whole.disagreements)} disagreements"
    print(told)
    assert not whole.disagreements, told


def report(seed: int, number: int, document: Document, found: Comparison) -> str:
    listed = "\n".join(map(str, found.disagreements[:10]))
    return f"seed {seed}, world {number}: {len(found.disagreements)} disagreements\n{listed}\n{document}"


def test_every_declared_difference_stands_where_users_read_it():
    edges = (Path(__file__).parents[2] / "docs" / "wire-contract.md").read_text("utf-8")
    for each in DECLARED:
        if isinstance(each.where, str):
            assert f"| {each.where}" in edges
        else:
            assert isinstance(target(each.proxy).CAPABILITIES[each.where], Emulated)


PLAIN: Document = {
    "services": {
        "callee-0": {
            "proxy": "envoy",
            "routes": [
                {
                    "name": "a",
                    "matches": [{"path": {"prefix": "/a"}}],
                    "rewrite": {"path": {"prefix": "/b"}},
                    "requestHeaders": {"set": {"x-a": "1"}},
                    "responseHeaders": {"add": {"x-b": "2"}},
                },
                {"name": "rest"},
            ],
        }
    }
}
"""One callee whose route changes whatever can be changed."""

CHANGES: dict[str, Document] = {
    "tries reached": {"fault": {"abort": {"status": 503}}},
    "simulator says 503": {"fault": {"abort": {"status": 503}}},
    "saw target": {"rewrite": {"path": {"prefix": "/c"}}},
    "saw host": {"rewrite": {"hostname": "other.example"}},
    "saw x-a": {"requestHeaders": {"set": {"x-a": "2"}}},
    "answer has x-b": {"responseHeaders": {"add": {"x-b": "3"}}},
    "outbound lines": {"name": "b"},
}
"""What is said of the answer where the sidecars do this instead of what the simulator thinks."""


def test_a_difference_is_seen(tmp_path):
    rows = [Row("", Expect(), host="callee-0", target="/a/x", headers=[("x-a", "0")])]
    with running(PLAIN, [Proxy.HAPROXY], tmp_path) as world:
        exchanges = exchange(world, rows, [Proxy.HAPROXY])
        assert not judge(PLAIN, world, exchanges).disagreements
        for told, change in CHANGES.items():
            document = copy.deepcopy(PLAIN)
            document["services"]["callee-0"]["routes"][0] |= change
            mesh = resolved(document, [Proxy.HAPROXY], tmp_path / "other")
            assert mesh is not None
            (found,) = judge(PLAIN, replace(world, mesh=mesh), exchanges).disagreements
            assert told in str(found)
