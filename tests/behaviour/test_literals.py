"""Whatever text is accepted reaches the wire as exactly that text, on each proxy.

See literals.py for the places, and literal_hosts.py for those of host names.
"""

from __future__ import annotations

import contextlib
import random
import time

import pytest

from meshctl.ir import Proxy
from tests.behaviour import literal_hosts, literals
from tests.behaviour.literals import Mesh
from tests.behaviour.tables import Table
from tests.behaviour.world import running
from tests.seconds import soak_seconds

PLACES = (*literals.PLACES, *literal_hosts.PLACES)
TEXTS = 12
"""Of each place, besides the snippets."""


def table(mesh: Mesh) -> Table:
    """The mesh that the cases are asked of."""
    client = {
        "port": 8080,
        "endpoints": [{"address": "127.50.0.10"}],
        "calls": {name: {} for name in ("server", "guard", "ward", *mesh.services)},
    }
    server = {"port": 8080, "endpoints": [{"address": "127.50.0.20"}], "routes": mesh.routes}
    guard = {
        "port": 8080,
        "endpoints": [{"address": "127.50.0.30"}],
        "allow": mesh.rules or [{"from": ["client"]}],
    }
    ward = {
        "port": 8080,
        "endpoints": [{"address": "127.50.0.31"}],
        "deny": mesh.rules or [{"from": ["edge"]}],
    }
    edge = {
        "port": 8088,
        "endpoints": [{"address": "127.50.0.40"}],
        "calls": {"server": {}},
        "hostnames": mesh.hostnames or ["edge.example"],
        "routes": [*mesh.gateway_routes, {"name": "rest", "respond": {"status": 200, "body": "rest"}}],
    }
    services = {"client": client, "server": server, "guard": guard, "ward": ward, **mesh.services}
    absent = [f"{name}/1" for name in mesh.services]
    return Table("literals", [], {"services": services, "gateways": {"edge": edge}}, [], absent=absent)


def faults(mesh: Mesh, proxy: str, folder) -> list[str]:
    """What each case that is wrong got instead."""
    found = []
    with running(table(mesh), proxy, proxy, folder) as world, contextlib.ExitStack() as stack:
        ways = {each.row.via: each.row for each in mesh.cases}
        connections = {via: stack.enter_context(world.connection(row)) for via, row in ways.items()}
        for case in mesh.cases:
            answer = connections[case.row.via].ask(case.row)
            if not case.right(answer, world.arrivals(answer.identifier)):
                row = case.row
                found.append(
                    f"{case.text!r}: {row.method} {row.host} {row.target} {row.headers} got {answer.status} {answer.failure} "
                    f"{answer.headers} {answer.body[:200]!r}"
                )
    return found


@pytest.mark.parametrize("proxy", Proxy)
def test_a_text_is_itself_on_the_wire(proxy, tmp_path):
    draw, mesh = random.Random(1), Mesh()
    for place in PLACES:
        place(mesh, draw, TEXTS)
    found = faults(mesh, proxy, tmp_path)
    assert not found, "\n".join([f"{len(found)} of {len(mesh.cases)} differ:", *found])


@pytest.mark.soak
@pytest.mark.parametrize("proxy", Proxy)
def test_any_text_is_itself_on_the_wire(proxy, tmp_path):
    end = time.monotonic() + soak_seconds(0.1 / len(Proxy))
    while time.monotonic() < end:
        seed = random.SystemRandom().randrange(1 << 32)
        print(f"seed {seed}")
        draw, mesh = random.Random(seed), Mesh()
        for place in PLACES:
            place(mesh, draw, 4 * TEXTS)
        found = faults(mesh, proxy, tmp_path / str(seed))
        assert not found, "\n".join([f"seed {seed}: {len(found)} of {len(mesh.cases)} differ:", *found])
