"""What an emitter must never do is found in what it wrote, whatever it is."""

from __future__ import annotations

import contextlib
from functools import cache

import pytest

from meshctl import ir, pipeline
from meshctl.audit import Invariant, audit
from meshctl.targets.bundle import bundle, folder
from tests.golden.cases import ROOT
from tests.unit.audit.faults import FAULTS

ELSEWHERE = {
    # Its expressions are RE2's, which never go back, and it has no locations.
    ir.Proxy.ENVOY: {Invariant.LONG_LOCATION, Invariant.REPEATED_GROUP},
    ir.Proxy.HAPROXY: {Invariant.LONG_LOCATION},
    ir.Proxy.NGINX: set(),
}


@cache
def mesh_of(case, proxy):
    with contextlib.chdir(ROOT / case):
        return pipeline.validate("mesh.yaml", proxy=proxy).mesh


@cache
def sound(case, service, proxy):
    """A sidecar of a golden case, and the files of its bundle."""
    sidecar = next(each for each in mesh_of(case, proxy).sidecars if each.service == service)
    base = f"{folder(sidecar)}/"
    files = {each.path.removeprefix(base): each.content for each in bundle(sidecar)}
    assert not list(audit(sidecar, files))
    return sidecar, files


@pytest.mark.parametrize(
    ("proxy", "case", "service", "file", "old", "new", "invariant"),
    FAULTS,
    ids=[f"{each[0]}-{each[-1].name.lower()}-{number}" for number, each in enumerate(FAULTS)],
)
def test_a_planted_fault_is_named(proxy, case, service, file, old, new, invariant):
    sidecar, files = sound(case, service, proxy)
    content = files[file].decode()
    assert old in content
    told = list(audit(sidecar, files | {file: content.replace(old, new).encode()}))
    assert invariant in {each.invariant for each in told}, told
    assert "PRIVATE KEY" not in "".join(map(str, told))


@pytest.mark.parametrize("proxy", ir.Proxy)
def test_every_invariant_has_its_fault(proxy):
    planted = {each[-1] for each in FAULTS if each[0] is proxy}
    assert planted == set(Invariant) - ELSEWHERE[proxy]
