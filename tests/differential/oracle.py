"""What the simulator says of a request, against what came of it through two real sidecars."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from meshctl import ir, simulate
from tests.behaviour.client import body_of
from tests.behaviour.simulated import request_of
from tests.behaviour.tables import Row
from tests.differential.exchanges import Exchange
from tests.differential.worlds import caller_name

OWN_NAMES = ("x-mesh-", "x-envoy-")
"""Of headers that may be missing on the other side: a proxy keeps them for itself."""

Lines = dict[str, list[str]]
"""The values of each header in the order of its lines; names in lower case."""

FRAMING = {"connection", "content-length", "transfer-encoding", "keep-alive"}
"""Each connection has its own."""

BROKEN_OFF = (502, 503)
"""What a sidecar answers for an application that breaks off; which of the two is not in the contract."""


@dataclass(frozen=True)
class Expected:
    """One thing that may come of a request; several may, where there is a draw."""

    status: int
    route: str
    cluster: str = ""
    arrivals: int = 0
    tries: int | None = None
    """As the access log counts them: those that only reached a sidecar too. None: nobody says."""
    received: simulate.Request | None = None
    audited: bool = False
    answer: Lines | None = None
    """All its headers; None where a sidecar makes them up."""
    body: bytes | None = None
    unset: frozenset[str] = field(default_factory=frozenset)
    """Headers that must not be there."""


def expectations(mesh: ir.Mesh, exchange: Exchange) -> list[Expected]:
    """What may come of the request, by the simulator alone."""
    caller, row = caller_name(exchange.caller), exchange.row
    outcome = simulate.answer(mesh, caller, request_of(row))
    if outcome.status is not None and not outcome.backends:
        return [_own_answer(mesh, caller, outcome, row)]
    breaks = BROKEN_OFF if "close" in row.orders else BROKEN_OFF[:1]
    return [_of_backend(outcome, each, row, broken) for each in outcome.backends for broken in breaks]


def _own_answer(mesh: ir.Mesh, caller: str, outcome: simulate.Outcome, row: Row) -> Expected:
    assert outcome.status is not None
    route = _route(mesh, caller, outcome)
    if route is None or route.answer is None:
        changes = route.response_headers if route else ir.HeaderChanges()
        unset = frozenset(name for name, _ in (*changes.set, *changes.add)) - {"server", "date"}
        return Expected(outcome.status, outcome.route, tries=0, unset=unset)
    body = b"" if row.method == "HEAD" else outcome.body.encode()
    return Expected(outcome.status, outcome.route, tries=0, answer=_grouped(outcome.headers), body=body)


def _route(mesh: ir.Mesh, caller: str, outcome: simulate.Outcome) -> ir.Route | None:
    own = next(each for each in mesh.sidecars if each.service == caller)
    hosts = (each for each in own.outbound.virtual_hosts if each.service == outcome.virtual_host)
    routes = (route for host in hosts for route in host.routes)
    return next((each for each in routes if each.name == outcome.route), None)


def _of_backend(outcome: simulate.Outcome, backend: simulate.Backend, row: Row, broken: int) -> Expected:
    if backend.received is None:
        assert backend.status is not None
        again = outcome.attempts if simulate.tries_again(outcome, backend.status) else 0
        tries = None if backend.status == 503 else 1 + again
        return Expected(backend.status, outcome.route, backend.cluster, tries=tries)
    status, tries, closed = played(outcome, row, broken)
    own = [] if closed else application_headers(row)
    changes = outcome.response_headers
    gone = {*changes.remove, *(name for name, _ in changes.set)}
    lines = [*(each for each in own if each[0].lower() not in gone), *changes.set, *changes.add]
    return Expected(
        status,
        outcome.route,
        backend.cluster,
        arrivals=tries,
        tries=tries,
        received=backend.received,
        audited=backend.audited,
        answer=None if closed else _grouped(lines),
    )


def application_headers(row: Row) -> list[tuple[str, str]]:
    """What the echo application answers, but for framing."""
    written = json.loads(row.orders.get("headers", "{}"))
    pairs = list(written.items() if isinstance(written, dict) else written)
    named = any(name.lower() == "content-type" for name, _ in pairs)
    return [*([] if named else [("content-type", "application/json")]), *pairs]


def played(outcome: simulate.Outcome, row: Row, broken: int) -> tuple[int, int, bool]:
    """The answer in the end, how many tries it took, and whether the application broke the last one off.

    What was ordered, against the policy; ``broken`` is what the callee's sidecar says where the application breaks off.
    """
    statuses = [int(each) for each in str(row.orders.get("status", 200)).split(",")]
    closes = str(row.orders.get("close", "no")).split(",")
    tries = 1
    while True:
        closed = closes[min(tries, len(closes)) - 1] != "no"
        status = broken if closed else statuses[min(tries, len(statuses)) - 1]
        if tries > outcome.attempts or not simulate.tries_again(outcome, status):
            return status, tries, closed
        tries += 1


def _grouped(lines) -> Lines:
    found: Lines = {}
    for name, value in lines:
        found.setdefault(name.lower(), []).append(value)
    return found


def faults(mesh: ir.Mesh, exchange: Exchange) -> list[str]:
    """Where the proxies and the simulator disagree about one request; empty where one of its draws fits."""
    return min((list(_differences(each, exchange)) for each in expectations(mesh, exchange)), key=len)


def fitting(mesh: ir.Mesh, exchange: Exchange) -> Expected | None:
    """The draw that fits, if any does."""
    found = expectations(mesh, exchange)
    return next((each for each in found if not any(_differences(each, exchange))), None)


def _differences(expected: Expected, exchange: Exchange) -> Iterator[str]:
    answer, arrivals = exchange.answer, exchange.arrivals
    if answer.status != expected.status:
        why = answer.failure or repr(answer.body[:80])
        yield f"status {answer.status} ({why}), the simulator says {expected.status}"
    if answer.cut:
        yield "the answer was cut"
    if len(arrivals) != expected.arrivals:
        yield f"{len(arrivals)} tries reached an application, the simulator says {expected.arrivals}"
    for number, arrival in enumerate(arrivals, start=1):
        yield from (f"try {number}: {each}" for each in _seen(expected, arrival, exchange.row))
    yield from _answered(expected, exchange)


def _seen(expected: Expected, arrival, row: Row) -> Iterator[str]:
    received = expected.received
    if received is None:
        return
    service, _, subset = expected.cluster.partition(".")
    instance = arrival["instance"]
    if arrival["service"] != service or (subset and instance.partition("-")[0] != subset):
        yield f"{arrival['service']}/{instance} saw it, the simulator says {expected.cluster}"
    for key, value in (("method", received.method), ("target", received.target)):
        if arrival[key] != value:
            yield f"the application saw {key} {arrival[key]!r}, the simulator says {value!r}"
    got, wanted = _grouped(arrival["headers"]), _grouped(received.headers)
    kept = {name: values for name, values in wanted.items() if name in got or not name.startswith(OWN_NAMES)}
    yield from _compared("the application saw", got, kept)
    length = len(body_of(row))
    if arrival.get("body", {}).get("length") != length:
        yield f"the application saw a body {arrival.get('body')}, sent were {length} bytes"


def _answered(expected: Expected, exchange: Exchange) -> Iterator[str]:
    answer = exchange.answer
    got = _grouped(answer.headers)
    if expected.answer is not None:
        wanted = expected.answer
        made = FRAMING | ({"date"} - set(wanted))
        yield from _compared("the answer has", {k: v for k, v in got.items() if k not in made}, wanted)
    there = expected.unset & set(got)
    if there:
        yield f"the answer has {sorted(there)}, which no sidecar sets on its own answers"
    if expected.body is not None and answer.body != expected.body:
        yield f"the body is {answer.body[:80]!r}, the simulator says {expected.body[:80]!r}"


IDENTIFIER = "x-echo-id"
"""Each request has its own."""


def _compared(what: str, got: Lines, wanted: Lines) -> Iterator[str]:
    for name in sorted({*got, *wanted} - FRAMING - {IDENTIFIER}):
        if got.get(name, []) != wanted.get(name, []):
            yield f"{what} {name}: {got.get(name, [])}, the simulator says {wanted.get(name, [])}"
