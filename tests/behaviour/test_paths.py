"""The vectors of the path gate, against each proxy as the caller's sidecar and as the callee's."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
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


OFF_THE_WIRE = ("byte-outside-printable-ascii", "fragment")
"""What is no path in HTTP/2 at all (RFC 9113, 8.1.1 and 8.3.1): there a proxy may also reset the stream."""


def fault(world, connection: Connection, way: Row, vector) -> str:
    """What is wrong with one vector, empty when nothing is."""
    answer = connection.ask(replace(way, target=vector["target"]))
    told = world.arrivals(answer.identifier)
    seen = [each["target"] for each in told["seen"]]
    if vector["verdict"] == "accepted":
        right = answer.status == 200 and seen == [vector["target"]]
    else:
        reset = answer.status is None and way.http == 2 and vector["reason"] in OFF_THE_WIRE
        right = (answer.status == 400 or reset) and seen == []
    found = answer.status or answer.failure
    return "" if right else f"{way.via} HTTP/{way.http} {vector}: {found}, application saw {seen}"


WAYS = [
    Row("vectors", Expect()),
    Row("vectors", Expect(), via="inbound"),
    Row("vectors", Expect(), via="inbound", http=2),
    Row("vectors", Expect(), via="gateway", http=2, to="edge/1", host="www.example"),
]


@pytest.mark.parametrize("proxy", Proxy)
def test_the_gate_takes_and_refuses_what_the_vectors_say(proxy, tmp_path):
    found = []
    with running(MESH, proxy, proxy, tmp_path) as world:
        for way in WAYS:
            with world.connection(way) as connection:
                found += [each for vector in VECTORS if (each := fault(world, connection, way, vector))]
    assert not found, "\n".join([f"{len(found)} of {len(WAYS) * len(VECTORS)} differ:", *found])
