"""Random meshes and random requests: the simulator and the three real proxies agree, or the difference is declared."""

from __future__ import annotations

import copy
import json
import random
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from meshctl.ir import Feature, Proxy
from meshctl.targets import target
from meshctl.targets.base import Emulated
from tests.behaviour.tables import Expect, Row
from tests.differential import logs, reducing
from tests.differential.cases import load, save
from tests.differential.comparing import Comparison, Disagreement, compare, judge
from tests.differential.emulations import DECLARED
from tests.differential.exchanges import exchange
from tests.differential.reducing import reduced
from tests.differential.soaking import worlds
from tests.differential.worlds import Document, resolved, running
from tests.seconds import soak_seconds

SEED, WORLDS, ROWS = 1, 5, 20
"""What every `make test` asks: of each callee's edges so many requests, each of all callees and by all callers."""

REDUCING = 90.0
"""Seconds in which a disagreement is made smaller."""

MOST = 5
"""Disagreements of a long run that are made smaller and saved; the others mostly have the same cause."""


def test_the_proxies_agree_with_the_simulator(tmp_path):
    for number, document, found in worlds(SEED, ROWS, tmp_path):
        if found.disagreements:
            pytest.fail(report(SEED, number, document, found, tmp_path))
        if number == WORLDS:
            break


@pytest.mark.parametrize(("document", "rows"), load(), ids=lambda each: f"{len(each)} parts")
def test_what_was_mended_stays_so(document, rows, tmp_path):
    found = compare(document, rows, folder=tmp_path)
    assert not found.disagreements, "\n".join(f"{each.row.name} {each}" for each in found.disagreements)


@pytest.mark.soak
@pytest.mark.lasting
def test_any_mesh_for_long(tmp_path, record_property):
    end = time.monotonic() + soak_seconds(1)
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"differential: seed {seed}")
    whole, count = Comparison(), 0
    reports: list[str] = []
    for number, document, found in worlds(seed, 2 * ROWS, tmp_path):
        count = number
        whole.pairs += found.pairs
        whole.emulated += found.emulated
        whole.disagreements += found.disagreements
        if found.disagreements and len(reports) < MOST:
            reports.append(report(seed, number, document, found, tmp_path))
        if time.monotonic() > end:
            break
    pairs = ", ".join(f"{name} {pairs}" for name, pairs in sorted(whole.pairs.items()))
    told = (
        f"differential: seed {seed}, {count} worlds; pairs: {pairs}; {whole.emulated.total()} declared "
        f"differences, {len(whole.disagreements)} disagreements"
    )
    record_property("told", told)
    assert not whole.disagreements, "\n".join([told, *reports])


def report(seed: int, number: int, document: Document, found: Comparison, folder: Path) -> str:
    """The disagreements of a world, and what is left of the first one, which stays as a case."""
    listed = "\n".join(map(str, found.disagreements[:10]))
    smaller, left = reduced(document, found.disagreements[0], folder / f"reduced-{number}", REDUCING)
    where = save(smaller, left)
    return (
        f"seed {seed}, world {number}: {len(found.disagreements)} disagreements\n{listed}\n"
        f"The first one, with all left out that it does not need ({where}):\n{json.dumps(smaller)}\n{left}"
    )


def test_every_declared_difference_stands_where_users_read_it():
    edges = (Path(__file__).parents[2] / "docs" / "wire-contract.md").read_text("utf-8")
    for each in DECLARED:
        if isinstance(each.where, Feature):
            assert isinstance(target(each.proxy).CAPABILITIES[each.where], Emulated)
        else:
            assert f"| {each.where}" in edges


PLAIN: Document = {
    "mesh": {"authorization": {"audit": True}},
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
                {"name": "rest", "backends": [{"service": "callee-0"}, {"service": "callee-1"}]},
            ],
            "deny": [{"paths": [{"prefix": "/b"}]}],
        },
        "callee-1": {"proxy": "nginx"},
    },
}
"""A route that changes whatever can be changed, and one that draws."""

CHANGES: dict[str, tuple[tuple[str | int, ...], object]] = {
    "tries reached": (("routes", 0, "fault"), {"abort": {"status": 503}}),
    "simulator says 503": (("routes", 0, "fault"), {"abort": {"status": 503}}),
    "saw target": (("routes", 0, "rewrite"), {"path": {"prefix": "/b/b"}}),
    "saw host": (("routes", 0, "rewrite"), {"path": {"prefix": "/b"}, "hostname": "other.example"}),
    "saw x-a": (("routes", 0, "requestHeaders"), {"set": {"x-a": "2"}}),
    "answer has x-b": (("routes", 0, "responseHeaders"), {"add": {"x-b": "3"}}),
    "outbound lines": (("routes", 0, "name"), "b"),
    "inbound lines": (("deny", 0, "paths"), [{"prefix": "/z"}]),
    "was drawn for": (("routes", 1, "backends", 0, "weight"), 9),
}
"""What is told where the simulator thinks of this instead of what the sidecars do."""


def test_a_difference_is_seen(tmp_path, monkeypatch):
    changed = Row("", Expect(), host="callee-0", target="/a/x", headers=[("x-a", "0")])
    drawn = Row("", Expect(), host="callee-0", target="/c")
    with running(PLAIN, [Proxy.HAPROXY], tmp_path) as world:
        exchanges = exchange(world, [changed, *[drawn] * 100], [Proxy.HAPROXY])
        assert not judge(PLAIN, world, exchanges).disagreements
        monkeypatch.setattr(logs, "LIMIT", 0)
        for told, ((*path, last), value) in CHANGES.items():
            document = copy.deepcopy(PLAIN)
            part = document["services"]["callee-0"]
            for key in path:
                part = part[key]
            part[last] = value
            mesh = resolved(document, [Proxy.HAPROXY], tmp_path / "other")
            assert mesh is not None
            found = judge(PLAIN, replace(world, mesh=mesh), exchanges).disagreements
            assert told in "".join(map(str, found)), told


def test_what_a_disagreement_does_not_need_is_left_out(tmp_path, monkeypatch):
    def compared(document, rows, callers, *, folder):
        """As if one route were wrong, for some requests."""
        routes = document["services"].get("callee-0", {}).get("routes", [])
        wrong = any(each.get("rewrite") == {"path": {"prefix": "/b"}} for each in routes)
        asked = [row for row in rows if row.target.startswith("/a") and ("x-a", "0") in row.headers]
        return Comparison([Disagreement(callers[0], row, ["wrong"]) for row in asked if wrong])

    monkeypatch.setattr(reducing, "compare", compared)
    row = Row(
        "", Expect(), host="callee-0", target="/a?b", headers=[("x-b", "1"), ("x-a", "0")], method="PUT"
    )
    document, left = reduced(PLAIN, Disagreement(Proxy.NGINX, row, ["wrong"]), tmp_path, REDUCING)
    route = {"name": "a", "rewrite": {"path": {"prefix": "/b"}}}
    assert document == {"mesh": {}, "services": {"callee-0": {"proxy": "envoy", "routes": [route]}}}
    assert left.row == Row("", Expect(), host="callee-0", target="/a", headers=[("x-a", "0")])
