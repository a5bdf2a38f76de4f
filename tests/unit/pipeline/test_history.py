"""What history leaves unresolved would not have been told, whatever changed: held against resolving everything."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from meshctl import diff
from meshctl.load.files import SpecFiles, source_file
from meshctl.load.reading import parse_spec
from meshctl.pipeline.checking import check, understand
from meshctl.pipeline.history import about
from meshctl.resolve.parts import changed_parts, concerning

NAMES = tuple(f"s{number}" for number in range(8))
ZONES = ("a", "b")
Spec = dict[str, Any]


def service(number: int, rng: random.Random) -> Spec:
    callees = rng.sample([each for each in NAMES if each != f"s{number}"], rng.choice((0, 1, 1, 2)))
    return {
        "port": 80,
        "endpoints": [{"address": f"10.0.{number}.{each}", "zone": ZONES[each % 2]} for each in (1, 2)],
        "calls": {name: {} for name in callees},
    }


def mesh(rng: random.Random) -> Spec:
    return {
        "apiVersion": "meshctl.dev/v1",
        "mesh": {"name": "m", "domain": "m.mesh", "trustDomain": "m.example"},
        "services": {name: service(number, rng) for number, name in enumerate(NAMES)},
        "gateways": {
            "edge": {"port": 8443, "calls": {"s0": {}}, "endpoints": [{"address": "10.1.0.1"}]},
        },
    }


EDITS: tuple[Callable[[Spec, str, int], Spec], ...] = (
    lambda one, other, number: one | {"timeout": f"{number}s"},
    lambda one, other, number: one | {"calls": one["calls"] | {other: {"timeout": f"{number}s"}}},
    lambda one, other, number: one | {"calls": {}},
    lambda one, other, number: one | {"routes": [{"name": "on", "backends": [{"service": other}]}]},
    lambda one, other, number: (
        one | {"endpoints": [*one["endpoints"], {"address": f"10.0.99.{number}", "zone": "c"}]}
    ),
    lambda one, other, number: one | {"locality": {"preferSameZone": True}},
    lambda one, other, number: one | {"mtls": {"mode": "disabled"}},
    lambda one, other, number: one | {"allow": [{"from": [other]}]},
    lambda one, other, number: one | {"protocol": "http2" if number % 2 else "tcp"},
    lambda one, other, number: one | {"proxy": "haproxy" if number % 2 else "nginx"},
)


def edited(before: Spec, rng: random.Random) -> Spec:
    after = copy.deepcopy(before)
    services = after["services"]
    name = rng.choice(list(services))
    other = rng.choice([each for each in services if each != name])
    kind = rng.randrange(len(EDITS) + 2)
    if kind < len(EDITS):
        services[name] = EDITS[kind](services[name], other, rng.randrange(1, 9))
    elif kind == len(EDITS):
        services["new"] = {"port": 80, "endpoints": [{"address": "10.0.77.1"}], "calls": {name: {}}}
    else:
        after["gateways"]["edge"]["calls"][name] = {}
    return after


def read(spec: Spec) -> Any:
    files = SpecFiles((source_file("mesh.yaml", json.dumps(spec).encode()),), ())
    return understand(parse_spec(files, "mesh.yaml"))


@pytest.mark.parametrize("number", [60, pytest.param(600, marks=pytest.mark.soak)])
def test_what_does_not_concern_a_service_changes_nothing_of_it(number):
    rng = random.Random(84)
    left_out = told = 0
    for _ in range(number):
        first = mesh(rng)
        for _ in range(rng.randrange(3)):
            first = edited(first, rng)
        sides = read(first), read(edited(first, rng))
        old, new = (check(each, builds=False).mesh for each in sides)
        if old is None or new is None:
            continue
        changes = diff.compare(old, new).changes
        sources = sides[0].source, sides[1].source
        parts = changed_parts(*sources)
        for name in (*NAMES, "edge"):
            of_it = tuple(about(changes, name))
            if concerning(parts, sources, name):
                told += bool(of_it)
            else:
                assert of_it == (), (name, parts)
                left_out += 1
    assert (left_out > number, told > number / 3) == (True, True), (left_out, told)
