"""The request with which lint shows that a match is alive gets to its route through every real proxy.

Each route answers with its own name, so that one sidecar for each proxy is enough to ask.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from meshctl import ir, pipeline, simulate
from meshctl.lint.checks.tables import Table, tables
from meshctl.lint.collect import collect
from meshctl.lint.requests import Request, Search, UndecidedError, conditions
from meshctl.live.processes import ProcessGroup
from meshctl.live.sidecars import Bundle, start
from meshctl.load import read_yaml
from meshctl.targets.envoy.joined_headers import is_joined
from tests.behaviour.client import Answer, Connection
from tests.behaviour.simulated import request_of
from tests.behaviour.tables import Expect, Row
from tests.behaviour.test_many_routes import some_match
from tests.behaviour.world import build, in_turn, network
from tests.differential.drawing import drawn
from tests.differential.meshes import routes
from tests.differential.worlds import Document, caller_name, specification

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*"))
CALLERS = tuple(map(caller_name, ir.Proxy))
SEED = 20261122
_candidates = in_turn([f"127.107.{third}." for third in range(1, 250)])


@dataclass(frozen=True)
class Asked:
    """A request that lint has found, and the route that gets it; none where no route is to."""

    callers: tuple[str, ...]
    row: Row
    route: str = ""


def answering(written: Document, name: str) -> Document:
    """A route with the conditions of another, that answers with its name and asks nobody."""
    kept: Document = {key: written[key] for key in ("matches", "hostnames") if key in written}
    answer = {"respond": {"status": 200}, "responseHeaders": {"set": {"x-route": name}}}
    return {"name": name, **kept, **answer}


def overlapping(seed: int, count: int) -> Document:
    """One service whose routes share methods, headers, parameters and patterns."""
    dice = random.Random(seed)
    its = [answering({"matches": [some_match(dice)]}, f"r{number}") for number in range(count)]
    return {"routes": its, "routeOrder": dice.choice(["listed", "specificity"])}


def hostile(seed: int, count: int, name: str) -> Document:
    """One service by the words of the random meshes: bytes that proxies have own ideas about, hosts, callers."""
    its = drawn(
        routes(name, 0, (name,), CALLERS, ("v1",)).filter(lambda each: "matches" in each), seed, count
    )
    order = random.Random(seed).choice(["listed", "specificity"])
    return {"routes": [answering(each, f"r{nth}") for nth, each in enumerate(its)], "routeOrder": order}


def of_examples() -> dict[str, Document]:
    """Every service of the examples that has routes."""
    found: dict[str, Document] = {}
    for folder in EXAMPLES:
        for path in sorted(folder.glob("*.yaml")):
            document = read_yaml(path.read_bytes(), path.name).node
            its: dict[str, Any] = document.get("services") or {} if isinstance(document, dict) else {}
            for name, service in its.items():
                if service.get("routes"):
                    kept = [answering(each, each["name"]) for each in service["routes"]]
                    for match in (match for route in kept for match in route.get("matches", [])):
                        match.pop("from", None)
                    order = service.get("routeOrder", "specificity")
                    found[f"{folder.name}-{name}"] = {"routes": kept, "routeOrder": order}
    return found


def asked(folder: Path) -> Iterator[Asked]:
    """What lint finds for the mesh in a folder."""
    validated = pipeline.validate(str(folder / "mesh.yaml"))
    assert validated.spec is not None
    for table in tables(collect(validated.require(), validated.spec, date(2026, 1, 1))):
        every = [conditions(each) for each in table]
        for number, match in enumerate(table):
            witness = searched(Search([every[number]], every[:number]))
            if witness is not None:
                yield Asked(match.callers, row(table, witness), match.route)
        uncovered = searched(Search([], every))
        if uncovered is not None:
            yield Asked(table[0].callers, row(table, uncovered))


def searched(search: Search) -> Request | None:
    """What is found, if that is known."""
    try:
        return search.run()
    except UndecidedError:
        return None


def row(table: Table, request: Request) -> Row:
    """The request as it is sent."""
    host = table[0].hostnames[0].replace("*", "any")
    return Row(
        "", Expect(), method=request.method, host=host, target=request.target, headers=[*request.headers]
    )


def is_declared(proxy: ir.Proxy, each: Asked, answer: Answer) -> bool:
    """What docs/wire-contract.md says of Envoy: methods that it does not know, and lines that it joins."""
    if proxy is not ir.Proxy.ENVOY:
        return False
    names = [name for name, _ in each.row.headers]
    joined = any(is_joined(name) and names.count(name) > 1 for name in names)
    return joined or (each.row.method.startswith("XX") and answer.status == 400)


def faults(mesh: ir.Mesh, proxy: ir.Proxy, rows: list[Asked]) -> tuple[int, list[str]]:
    """How many requests got to their routes from one caller, and what became of the others."""
    caller = caller_name(proxy)
    sidecar = next(each for each in mesh.sidecars if each.service == caller)
    right, wrong = 0, []
    with Connection(sidecar.outbound.bind) as connection:
        for each in rows:
            if caller not in each.callers:
                continue
            answer = connection.ask(each.row)
            got = (answer.status, "".join(answer.values("x-route")))
            told = simulate.answer(mesh, caller, request_of(each.row))
            expected = (200, each.route) if each.route else (404, "")
            if got == expected == (told.status, told.route):
                right += 1
            elif not is_declared(proxy, each, answer):
                line = f"{each.row.method} {each.row.host}{each.row.target} {each.row.headers}"
                wrong.append(f"{caller}: {line}: {got}, simulated {told.status, told.route}, not {expected}")
    return right, wrong


def compare(services: dict[str, Document], folder: Path) -> dict[ir.Proxy, int]:
    """How many requests got to their routes from each proxy, which are all."""
    with network(_candidates) as net, ProcessGroup() as group:
        mesh, out = build(specification({"services": services}, list(ir.Proxy), net), folder)
        callers = [each for each in mesh.sidecars if each.service in CALLERS]
        start([Bundle(each, out / each.service / each.instance) for each in callers], group)
        rows = list(asked(folder))
        with ThreadPoolExecutor(len(ir.Proxy)) as pool:
            told = list(pool.map(lambda proxy: faults(mesh, proxy, rows), ir.Proxy))
    wrong = [line for _, lines in told for line in lines]
    assert not wrong, "\n".join([f"{len(wrong)} differ:", *wrong[:30]])
    return {proxy: right for proxy, (right, _) in zip(ir.Proxy, told, strict=True)}


def test_the_request_that_shows_a_match_alive_gets_to_its_route(tmp_path):
    services = of_examples() | {"many": overlapping(SEED, 60), "hostile": hostile(SEED, 60, "hostile")}
    counts = compare(services, tmp_path)
    assert min(counts.values()) > 80, counts


@pytest.mark.soak
def test_a_thousand_such_requests_do(tmp_path, record_property):
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"witnesses: seed {seed}")
    whole = dict.fromkeys(ir.Proxy, 0)
    for world in range(4):
        names = [f"svc-{number}" for number in range(4)]
        services = {name: hostile(seed + world * 10 + nth, 80, name) for nth, name in enumerate(names)}
        services |= {f"many-{nth}": overlapping(seed + world * 10 + nth, 150) for nth in range(2)}
        for proxy, right in compare(services, tmp_path / str(world)).items():
            whole[proxy] += right
    record_property("told", f"witnesses: seed {seed}, {', '.join(f'{k} {n}' for k, n in whole.items())}")
    assert min(whole.values()) >= 1000, whole
