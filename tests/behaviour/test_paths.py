"""The vectors of the path gate, against each proxy as the caller's sidecar and as the callee's."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from meshctl.ir import Proxy
from tests.behaviour.client import Connection
from tests.behaviour.tables import TABLES, Expect, Row
from tests.behaviour.world import running

FILE = Path(__file__).parents[1] / "vectors" / "paths.yaml"
# A space at the end of a target is, on the wire, more white space before the version.
VECTORS = [
    vector
    for vector in YAML(typ="safe", pure=True).load(FILE.read_text("utf-8"))["vectors"]
    if not vector["target"].endswith(" ")
]
MESH = next(table for table in TABLES if table.name == "path_gate")


def fault(world, connection: Connection, via: str, vector) -> str:
    """What is wrong with one vector, empty when nothing is."""
    row = Row("vector", Expect(), via=via, target=vector["target"])
    answer = connection.ask(row)
    told = world.arrivals(answer.identifier)
    seen = [each["target"] for each in told["seen"]]
    if vector["verdict"] == "accepted":
        right = answer.status == 200 and seen == [vector["target"]]
    else:
        right = answer.status == 400 and seen == []
    return "" if right else f"{via} {vector}: {answer.status or answer.failure}, application saw {seen}"


@pytest.mark.parametrize("proxy", Proxy)
def test_the_gate_takes_and_refuses_what_the_vectors_say(proxy, tmp_path):
    found = []
    with running(MESH, proxy, proxy, tmp_path) as world:
        for via in ("outbound", "inbound"):
            with world.connection(Row("vectors", Expect(), via=via)) as connection:
                found += [each for vector in VECTORS if (each := fault(world, connection, via, vector))]
    assert not found, "\n".join([f"{len(found)} of {2 * len(VECTORS)} differ:", *found])
