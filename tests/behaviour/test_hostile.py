"""Thousands of generated requests decide the same on all three proxies, and as the contract says (see hostile.py).

What no two readers read alike (framings, bytes that have no place) may be refused or not, see the contract's table of edges; but
whatever an application sees has come in by the rules, with the caller's own name and no other. Whatever was sent, each line of an
access log is one by the schema.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from meshctl import ir, simulate
from meshctl.ir import Proxy
from meshctl.ir.mesh import IDENTITY_HEADER, UNTRUSTED_HEADERS
from meshctl.targets.envoy.conflicts import METHODS
from tests.behaviour import hostile
from tests.behaviour.client import fetch
from tests.behaviour.hostile import Sent, generated, with_host
from tests.behaviour.hostile_asking import Came, off_the_wire, over_http1, over_http2
from tests.behaviour.log_lines import line_faults
from tests.behaviour.tables import Table
from tests.behaviour.world import World, client_context, running
from tests.seconds import soak_seconds

SEED, COUNT = 1, 3000
"""About two in three are of kinds of which the contract says exactly what becomes of them."""
EXACT = ("path", "claim", "condition")

MESH = Table(
    name="hostile",
    features=[],
    requests=[],
    callers=["client", "other"],
    spec={
        "mesh": {"tracing": {"otlp": "127.50.0.249:4317", "sampling": "1%"}},
        "services": {
            "client": {"port": 8080, "endpoints": [{"address": "127.50.0.1"}], "calls": {"server": {}}},
            "other": {"port": 8080, "endpoints": [{"address": "127.50.0.2"}], "calls": {"server": {}}},
            "server": {"port": 8080, "endpoints": [{"address": "127.50.0.11"}], **hostile.RULES},
        },
    },
)
WAYS = ("outbound", "inbound", "inbound over HTTP/2")


def asked(world: World, way: str, sent: tuple[Sent, ...]) -> list[Came]:
    """All of them, from the client's application or straight from its certificate."""
    client, server = world.sidecar("client/1"), world.sidecar("server/1")
    assert server.inbound is not None
    if way == "outbound":
        return over_http1(client.outbound.bind, None, "", sent, way)
    ask = over_http1 if way == "inbound" else over_http2
    context = client_context(world.folder(client))
    return ask(
        server.inbound.bind, context, server.identity.dns_name, sent, way.replace(" ", "-").replace("/", "-")
    )


def expected(mesh: ir.Mesh, way: str, sent: Sent) -> tuple[int | None, simulate.Request | None]:
    """The status, and what the application sees where it sees anything."""
    lines = tuple((name, value.strip(" ")) for name, value in with_host(sent))
    request = simulate.Request(sent.method, sent.target, lines)
    if way == "outbound":
        outcome = simulate.answer(mesh, "client", request)
    else:
        outcome = simulate.receive(mesh, "client", "server", request)
    if outcome.status is not None:
        return outcome.status, None
    return 200, outcome.backends[0].received


def fault(mesh: ir.Mesh, proxy: Proxy, way: str, sent: Sent, came: Came, seen: list[dict]) -> str:
    """What is wrong with one of them, empty where nothing is."""
    strays = safety(mesh, sent, seen)
    if strays or sent.kind not in EXACT or _declared(proxy, way, sent, came, seen):
        return strays
    status, received = expected(mesh, way, sent)
    if came.status != status or bool(seen) is not bool(received):
        return f"{came.status} and {len(seen)} arrivals, the contract says {status}"
    if received is not None:
        (arrived,) = seen
        if (arrived["method"], arrived["target"]) != (received.method, received.target):
            return f"arrived as {arrived['method']} {arrived['target']}"
    return ""


def safety(mesh: ir.Mesh, sent: Sent, seen: list[dict]) -> str:
    """Holds for whatever an application sees, however it was written on the wire."""
    if len(seen) > 1:
        return "seen twice"
    for each in seen:
        names = [
            (name.lower().replace("_", "-").replace(".", "-"), name, value) for name, value in each["headers"]
        ]
        claims = [(name, value) for plain, name, value in names if plain in UNTRUSTED_HEADERS]
        if [(name.lower(), value) for name, value in claims] != [
            (IDENTITY_HEADER, "spiffe://test.example/client")
        ]:
            return f"the application is told {claims}"
        arrived = simulate.Request(
            each["method"], each["target"], tuple((name, value) for name, value in each["headers"])
        )
        verdict = simulate.receive(mesh, "client", "server", arrived)
        if verdict.status is not None and sent.kind in EXACT:
            return f"let in: {verdict.reason}"
    return ""


def _declared(proxy: Proxy, way: str, sent: Sent, came: Came, seen: list[dict]) -> bool:
    """Whether the contract's table of edges, or what it says of HTTP/2, covers it."""
    if proxy is Proxy.ENVOY and sent.method not in METHODS:
        return came.status == 400 and not seen
    return "HTTP/2" in way and off_the_wire(sent.target) and came.status is None and not seen


def faults(proxy: Proxy, sent: tuple[Sent, ...], ways: tuple[str, ...], folder: Path) -> list[str]:
    """Every fault of all of them by these ways."""
    found: list[str] = []
    with running(MESH, proxy, proxy, folder) as world:
        came = {way: asked(world, way, sent) for way in ways}
        journal = fetch(world.control, "/__echo/seen")
        found += line_faults(world.lines)
        ours = {each.identity for answers in came.values() for each in answers}
        found += [f"an application saw {each!r}, which nobody asked" for each in journal if each not in ours]
        for way, answers in came.items():
            for each, answer in zip(sent, answers, strict=True):
                why = fault(world.mesh, proxy, way, each, answer, journal.get(answer.identity, []))
                found += [f"{way}: {each}: {why}"] if why else []
    return found


@pytest.mark.parametrize("proxy", Proxy)
def test_generated_requests_decide_as_the_contract_says(proxy, tmp_path):
    found = faults(proxy, generated(SEED, SHARE), WAYS, tmp_path)
    assert not found, "\n".join([f"{len(found)} differ:", *found[:40]])


SHARE = 170
"""Of every run."""


@pytest.mark.soak
def test_any_requests_decide_as_the_contract_says(tmp_path):
    """The same ones on all three."""
    seed = random.SystemRandom().randrange(1 << 32)
    sent = generated(seed, max(COUNT, int(soak_seconds(1))))
    found = [
        f"{proxy}: {each}" for proxy in Proxy for each in faults(proxy, sent, WAYS, tmp_path / proxy.value)
    ]
    assert not found, "\n".join([f"seed {seed}: {len(found)} differ:", *found[:40]])
    assert sum(each.kind in EXACT for each in sent) >= 1800
