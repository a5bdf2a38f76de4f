"""The same tables before the simulator: what it says of a row must be what the row expects of the proxies."""

from __future__ import annotations

import json
from datetime import timedelta
from fractions import Fraction

import pytest
from msgspec.structs import replace

from meshctl import simulate
from tests.behaviour.client import compose
from tests.behaviour.expectations import within

SLACK = 0.001
"""Tables write a third as 0.333."""


GRPC_STATUSES = {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}
"""What a gRPC client is told instead of an HTTP status, see docs/wire-contract.md; all others are 2."""


def request_of(row):
    """The request that a row sends."""
    if row.grpc is not None:
        row = replace(row, method="POST", headers=[("content-type", "application/grpc"), *row.headers])
    if row.websocket:
        row = replace(row, headers=[("connection", "upgrade"), ("upgrade", "websocket"), *row.headers])
    head = compose(row)[1].decode("latin-1")
    lines = head.split("\r\n")[1:-2]
    headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
    return simulate.Request(row.method, row.target, headers)


def outcome_of(mesh, row):
    """What the simulator says of a row, through the caller's sidecar or straight to the callee's."""
    to = row.to.partition("/")[0]
    if row.via == "tcp":
        return simulate.connect(mesh, row.caller, to)
    request = request_of(row)
    match row.via:
        case "inbound":
            return simulate.receive(mesh, row.caller, to, request)
        case "plain":
            return simulate.receive(mesh, "", to, request)
        case "health":
            return simulate.probe(mesh, to, request)
        case "gateway":
            return simulate.answer(mesh, to, request)
        case "local":
            return simulate.answer(mesh, row.caller, request, to)
        case "outbound":
            return simulate.answer(mesh, row.caller, request)
        case _:
            raise ValueError(row.via)


def faults(mesh, addresses, table, row):
    """Where the simulator and the row disagree."""
    outcome, expect = outcome_of(mesh, row), row.expect
    ailing = table.dead or table.absent or table.silent or table.resetting
    if outcome.closed is not expect.closed and not ailing:
        yield f"the simulator {'closes' if outcome.closed else 'does not close'} the connection"
    if outcome.status is not None:
        yield from _own_answer(outcome, expect)
        return
    if expect.tries == 0 and not ailing and not row.upload:
        yield f"the simulator lets it through to {outcome.virtual_host}, the row says {expect.status}"
    yield from _received(outcome, expect)
    yield from _changes(outcome, row)
    if row.via in ("outbound", "local", "gateway"):
        yield from _route(outcome, expect)
        yield from _time(outcome, expect)
        if expect.longest is not None:
            yield from _worst_case(mesh, row)
        yield from _tries(outcome, row)
        one_each = len(set(addresses.values())) == len(addresses)
        if one_each and not ailing and not row.orders:
            yield from _instances(mesh, addresses, row, outcome)


def _own_answer(outcome, expect):
    if expect.grpc:
        told = GRPC_STATUSES.get(outcome.status, 2)
        if not within(expect.grpc.get("status", 0), told):
            yield f"the simulator answers {outcome.status} ({outcome.reason}), gRPC's {told}, not {expect.grpc}"
        return
    if expect.status is None or not within(expect.status, outcome.status):
        yield f"the simulator answers {outcome.status} ({outcome.reason}), not {expect.status}"
    yield from _differing("answers", expect.headers, outcome.headers)
    if isinstance(expect.body, str) and expect.body != outcome.body:
        yield f"the simulator answers {outcome.body!r}, not {expect.body!r}"


def _differing(what, expected, lines):
    for name, value in expected.items():
        wanted = [] if value is None else value if isinstance(value, list) else [str(value)]
        got = [each for key, each in lines if key.lower() == name.lower()]
        if got != wanted:
            yield f"the simulator {what} {name}: {got}, not {wanted}"


def _received(outcome, expect):
    """What the application sees, wherever the draw may lead."""
    for backend in outcome.backends:
        audited = expect.logs.get("inbound", {}).get("audit")
        if audited is not None and (audited == "denied") is not backend.audited:
            yield f"the simulator says audited: {backend.audited}, not {audited!r}"
        if backend.received is None:
            continue
        for key in ("method", "target"):
            got = getattr(backend.received, key)
            if key in expect.seen and expect.seen[key] != got:
                yield f"the simulator lets the application see {key} {got}, not {expect.seen[key]}"
        yield from _differing(
            "lets the application see", expect.seen.get("headers", {}), backend.received.headers
        )


def _changes(outcome, row):
    """The application's headers, as the route changes them."""
    changes = outcome.response_headers
    written = json.loads(row.orders.get("headers", "{}"))
    own = list(written.items() if isinstance(written, dict) else written)
    gone = {*changes.remove, *(name for name, _ in changes.set)}
    lines = [*(each for each in own if each[0].lower() not in gone), *changes.set, *changes.add]
    touched = gone | {name for name, _ in changes.add}
    expected = {name: value for name, value in row.expect.headers.items() if name.lower() in touched}
    yield from _differing("hands on", expected, lines)


def _route(outcome, expect):
    route = expect.logs.get("outbound", {}).get("route")
    if route is not None and route != outcome.route:
        yield f"route {outcome.route}, not {route}"


def _time(outcome, expect):
    if expect.status != 504 or not expect.duration:
        return
    limits = [each for each in (outcome.timeout, outcome.per_try_timeout) if each is not None]
    soonest = min(limits, default=None)
    longest = outcome.timeout or timedelta.max
    if soonest is None or not soonest <= timedelta(seconds=expect.duration[0]) <= longest:
        yield f"timeouts of {outcome.timeout} and {outcome.per_try_timeout}, not {expect.duration[0]} s"


def _worst_case(mesh, row):
    asked = simulate.explain(mesh, row.caller, row.method, f"http://{row.host}{row.target}", row.headers)
    told = asked.worst_case.limit if asked.worst_case is not None else None
    if told is None or told / timedelta(seconds=1) != row.expect.longest:
        yield f"the simulator's worst case is {told}, not {row.expect.longest} s"


def _tries(outcome, row):
    """Plays the ordered statuses against the policy."""
    orders = set(row.orders) - {"status", "body", "headers"}
    if not isinstance(row.expect.tries, int) or orders or "status" not in row.orders:
        return
    statuses = [int(each) for each in str(row.orders["status"]).split(",")]
    tries = 1
    while tries <= outcome.attempts and simulate.tries_again(
        outcome, statuses[min(tries, len(statuses)) - 1]
    ):
        tries += 1
    last = statuses[min(tries, len(statuses)) - 1]
    if (tries, last) != (row.expect.tries, row.expect.status):
        yield f"{tries} tries and {last}, not {row.expect.tries} and {row.expect.status}"


def _instances(mesh, addresses, row, outcome):
    """Shares of instances: the simulator's of the clusters, times the endpoint's of its cluster."""
    names = {address: name for name, address in addresses.items()}
    own = row.to.partition("/")[0] if row.via == "gateway" else row.caller
    caller = next(each for each in mesh.sidecars if each.service == own)
    clusters = {each.name: each for each in caller.clusters}
    shares: dict[str, Fraction] = {}
    for backend in outcome.backends:
        endpoints = [each for each in clusters[backend.cluster].endpoints if each.priority == 0]
        total = sum(each.weight for each in endpoints)
        for each in endpoints:
            name = names.get(each.socket.address, backend.cluster)
            shares[name] = shares.get(name, Fraction(0)) + backend.share * Fraction(each.weight, total)
    for key, share in row.expect.share.items():
        service, _, instance = key.rpartition("/")
        got = sum(
            each
            for name, each in shares.items()
            if service in ("", name.partition("/")[0])
            and (name.partition("/")[2] == instance or name.partition("/")[2].startswith(f"{instance}-"))
        )
        if float(got) != pytest.approx(share, abs=SLACK):
            yield f"{key} has a share of {float(got):.3f}, not {share}"
    seen = row.expect.seen
    outside = not all(each.callee for each in outcome.backends)
    if (
        not outside
        and "instance" in seen
        and not any(name.endswith(f"/{seen['instance']}") for name in shares)
    ):
        yield f"goes to {sorted(shares)}, not to {seen['instance']}"
    if (
        not outside
        and "service" in seen
        and not any(name.startswith(f"{seen['service']}/") for name in shares)
    ):
        yield f"goes to {sorted(shares)}, not to {seen['service']}"
