"""Every request table, in all nine pairs of caller and callee, with real sidecars and real mTLS."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from meshctl import pipeline
from meshctl.ir import Proxy
from meshctl.resolve import resolve
from tests.behaviour import simulated
from tests.behaviour.expectations import check_answer, check_log_lines, check_logs, check_shares
from tests.behaviour.tables import TABLES, located
from tests.behaviour.world import instances, running, specification

PAIRS = [(caller, callee) for caller in Proxy for callee in Proxy]

CLIENTS = 6
"""Rows under way at a time; most of them wait."""


def expectation(row, caller, callee):
    """What the row expects of this pair: its own, or that of a declared emulation."""
    proxies = {"caller": caller, "callee": callee}
    for each in row.differs:
        if proxies[each.role] == each.proxy:
            return each.expect
    return row.expect


def ask(world, row, times=1):
    """Several times on one connection."""
    with world.connection(row) as connection:
        return [connection.ask(row) for _ in range(times)]


def faults(world, row, expect):
    """What is wrong with a row, if anything."""
    if row.together:
        with ThreadPoolExecutor(row.times) as pool:
            answers = list(pool.map(lambda _: ask(world, row)[0], range(row.times)))
    else:
        answers = ask(world, row, row.times)
    if row.times == 1:
        yield from check_answer(expect, answers[0], world)
    else:
        yield from check_shares(expect, answers, world)
    yield from check_logs(expect, row, world)


@pytest.mark.parametrize(
    ("table", "caller", "callee"),
    [
        pytest.param(table, *pair, id=f"{table.name}[{pair[0]}->{pair[1]}]")
        for table in TABLES
        for pair in PAIRS
    ],
)
def test_behaviour(table, caller, callee, tmp_path):
    def run(written):
        row = located(written, world.places)
        return [f"{row.name}: {fault}" for fault in faults(world, row, expectation(row, caller, callee))]

    with running(table, caller, callee, tmp_path) as world, ThreadPoolExecutor(CLIENTS) as pool:
        found = [fault for listed in pool.map(run, table.requests) for fault in listed]
    found += check_log_lines(world.lines)
    assert not found, "\n".join([f"{len(found)} of {len(table.requests)} rows differ:", *found])


@pytest.mark.parametrize("table", TABLES, ids=lambda table: f"{table.name}[simulator]")
def test_simulator(table, tmp_path):
    spec = specification(table, Proxy.ENVOY, Proxy.ENVOY)
    (tmp_path / "mesh.yaml").write_text(json.dumps(spec))
    loaded = pipeline.load(str(tmp_path / "mesh.yaml")).spec
    assert loaded is not None
    mesh = resolve(loaded).mesh
    assert mesh is not None, resolve(loaded).findings
    found = [
        f"{row.name}: {fault}"
        for row in table.requests
        if row.simulated
        for fault in simulated.faults(mesh, instances(spec), table, row)
    ]
    assert not found, "\n".join([f"{len(found)} of {len(table.requests)} rows differ:", *found])
