"""A thousand routes with overlapping conditions: every proxy picks the one that the simulator picks.

Each route answers with its own name, so that one sidecar is enough to ask.
"""

from __future__ import annotations

import random

import pytest

from meshctl import ir, simulate
from meshctl.live.processes import ProcessGroup
from meshctl.live.sidecars import Bundle, start
from tests.behaviour.client import Connection
from tests.behaviour.simulated import request_of
from tests.behaviour.tables import Expect, Row
from tests.behaviour.world import DOMAIN, TRUST_DOMAIN, build, network

SEGMENTS = ["a", "b", "ab", "a.b", "A", "a-b", "x%20y", "~"]
PATTERNS = ["/a/[a-b]+", "/(a|b)/.*", ".*b", "/[^/]*", "/[aA]/?", "/a.b/.+", "/ab?(/x)?", "/.{1,4}/[~-]"]
VALUES = ["1", "2", "1,2", "12", "a+b", "A"]
VALUE_PATTERNS = ["[0-9]+", "1.*", ".?", "(a|A)(\\+b)?"]
METHODS = ["GET", "PUT", "DELETE", "PATCH"]
ROUTES, REQUESTS, SEED = 500, 1500, 20261122


def some_path(dice):
    return "/" + "/".join(dice.choices(SEGMENTS, k=dice.randint(0, 3)))


def some_value(dice):
    kind = dice.choice(["exact", "regex", "present"])
    return {"exact": dice.choice(VALUES), "regex": dice.choice(VALUE_PATTERNS), "present": True}[kind], kind


def some_conditions(dice, names):
    chosen = {}
    for name in dice.sample(names, k=dice.choice([0, 0, 0, 1, 1, 2])):
        value, kind = some_value(dice)
        chosen[name] = {kind: value}
    return chosen


def some_match(dice):
    kind = dice.choice(["exact", "exact", "prefix", "prefix", "regex", ""])
    path = {"regex": dice.choice(PATTERNS)}.get(kind) or some_path(dice)
    match = {
        "path": {kind: path} if kind else None,
        "methods": dice.sample(METHODS, k=dice.choice([0, 0, 1, 2])),
        "headers": some_conditions(dice, ["x-a", "x-b", "user-agent"]),
        "query": some_conditions(dice, ["p", "q", "p.q"]),
    }
    return {key: value for key, value in match.items() if value} or {"methods": ["OPTIONS"]}


def some_routes(dice):
    return [
        {
            "name": f"r{number}",
            "matches": [some_match(dice) for _ in range(dice.choice([1, 1, 1, 2]))],
            "respond": {"status": 200, "body": f"r{number}"},
        }
        for number in range(ROUTES)
    ]


def specification(proxy, net):
    dice = random.Random(SEED)
    services = {
        name: {
            "port": 8080,
            "routeOrder": name,
            "endpoints": [{"address": f"{net}{last}"}],
            "routes": some_routes(dice),
        }
        for name, last in (("specificity", 11), ("listed", 12))
    }
    client = {
        "port": 8080,
        "proxy": str(proxy),
        "endpoints": [{"address": f"{net}1"}],
        "calls": {name: {} for name in services},
    }
    mesh = {"name": "many", "domain": DOMAIN, "trustDomain": TRUST_DOMAIN, "bind": "endpoint"}
    return {"apiVersion": "meshctl.dev/v1", "mesh": mesh, "services": {"client": client, **services}}


def some_row(dice):
    names = dice.choices(["x-a", "X-B", "user-agent", "x-ab"], k=dice.choice([0, 1, 2, 3]))
    parts = [
        f"{name}={dice.choice(['1', '2', '12', '1,2', '', 'A'])}" if dice.random() < 0.8 else name
        for name in dice.choices(["p", "q", "p.q", "pp", "P"], k=dice.choice([0, 0, 1, 2, 3]))
    ]
    return Row(
        "any",
        Expect(),
        host=dice.choice(["specificity", "listed"]),
        method=dice.choice(METHODS),
        target=some_path(dice) + ("?" + "&".join(parts) if parts else ""),
        # Envoy keeps one line of a user-agent.
        headers=[
            (name, dice.choice([*VALUES, ""]))
            for index, name in enumerate(names)
            if name != "user-agent" or name not in names[:index]
        ],
        body="" if dice.random() < 0.2 else None,
    )


@pytest.mark.parametrize("proxy", ir.Proxy)
def test_every_proxy_picks_the_route_of_the_simulator(proxy, tmp_path):
    dice = random.Random(SEED + 1)
    rows = [some_row(dice) for _ in range(REQUESTS)]
    with network() as net, ProcessGroup() as group:
        mesh, out = build(specification(proxy, net), tmp_path)
        client = next(each for each in mesh.sidecars if each.service == "client")
        start([Bundle(client, out / "client" / client.instance)], group)
        found = []
        with Connection(client.outbound.bind) as connection:
            for row in rows:
                outcome = simulate.answer(mesh, "client", request_of(row))
                answer = connection.ask(row)
                picked = (answer.status, answer.body.decode())
                if picked != (outcome.status, outcome.body) and outcome.status == 200:
                    found.append(f"{row}: {picked}, not {outcome.status, outcome.body}")
                elif answer.status != outcome.status:
                    found.append(f"{row}: {picked}, not {outcome.status}")
    assert not found, "\n".join([f"{len(found)} of {len(rows)} differ:", *found[:20]])
