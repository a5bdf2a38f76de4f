"""Every request table with real sidecars and real mTLS, in nine pairs of caller and callee.

Where only one of the two does anything, three of them come with every run, and the others with the long ones.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from meshctl import pipeline
from meshctl.diagnostics import Severity
from meshctl.ir import Feature, Proxy
from meshctl.resolve import resolve
from meshctl.targets import target
from meshctl.targets.base import Pending, Unsupported
from tests.behaviour import simulated
from tests.behaviour.log_lines import line_faults
from tests.behaviour.steps import play
from tests.behaviour.tables import TABLES, located
from tests.behaviour.world import discovering, instances, running, specification, write_spec

PAIRS = [(caller, callee) for caller in Proxy for callee in Proxy]
DIFFERENT = list(zip(Proxy, (*list(Proxy)[1:], *list(Proxy)[:1]), strict=True))

CLIENTS = 6
"""Rows under way at a time; most of them wait."""


def marks(table, pair):
    """A long run only, for the pairs that tell no more than the three."""
    return [pytest.mark.soak] if table.three_pairs and pair not in DIFFERENT else []


def tried(table, caller, callee):
    """Whether the pair's targets have got as far as the table's features."""
    return not any(
        isinstance(target(proxy).CAPABILITIES[Feature(each)], Pending)
        for proxy in (caller, callee)
        for each in table.features
    )


def refused(table, caller, callee):
    """The features of the table that are compile errors on this pair; the table must then be one on it."""
    return {
        each
        for proxy in (caller, callee)
        for each in table.features
        if isinstance(target(proxy).CAPABILITIES[Feature(each)], Unsupported)
    }


def is_refused(table, caller, callee, folder):
    """Whether the spec does not compile for this pair, and for these reasons alone."""
    written = write_spec(discovering(table, specification(table, caller, callee)), folder / "refused")
    errors = [each for each in pipeline.validate(written).findings if each.severity is Severity.ERROR]
    assert {each.slug for each in errors} <= {"unsupported-on-target"}
    # A feature of the caller's side alone is no matter of a callee's proxy, but here it is on both sides.
    assert errors or caller != callee
    return bool(errors)


@pytest.mark.parametrize(
    ("table", "caller", "callee"),
    [
        pytest.param(table, *pair, id=f"{table.name}[{pair[0]}->{pair[1]}]", marks=marks(table, pair))
        for table in TABLES
        for pair in PAIRS
        if tried(table, *pair)
    ],
)
def test_behaviour(table, caller, callee, tmp_path):
    def run(written):
        row = located(written, world.places)
        return [f"{row.name}: {fault}" for fault in play(world, row, caller, callee)]

    if refused(table, caller, callee) and is_refused(table, caller, callee, tmp_path):
        return
    with running(table, caller, callee, tmp_path) as world, ThreadPoolExecutor(CLIENTS) as pool:
        found = [fault for listed in pool.map(run, table.requests) for fault in listed]
    found += line_faults(world.lines)
    assert not found, "\n".join([f"{len(found)} of {len(table.requests)} rows differ:", *found])


@pytest.mark.parametrize("table", TABLES, ids=lambda table: f"{table.name}[simulator]")
def test_simulator(table, tmp_path):
    spec = specification(table, Proxy.ENVOY, Proxy.ENVOY)
    loaded = pipeline.load(write_spec(spec, tmp_path)).spec
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
