"""The same tables before the simulator: what it says of a row must be what the row expects of the proxies."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

import pytest

from meshctl import simulate
from meshctl.ir import RetryCondition
from meshctl.ir.retries import GATEWAY_ERROR_STATUSES
from tests.behaviour.client import compose
from tests.behaviour.expectations import within

SLACK = 0.001
"""Tables write a third as 0.333."""


def outcome_of(mesh, row):
    """What the simulator says of a row, through the caller's sidecar or straight to the callee's."""
    head = compose(row)[1].decode("latin-1")
    lines = head.split("\r\n")[1:-2]
    headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
    request = simulate.Request(row.method, row.target, headers)
    if row.via == "inbound":
        return simulate.receive(mesh, row.caller, row.to.partition("/")[0], request)
    return simulate.answer(mesh, row.caller, request)


def faults(mesh, addresses, table, row):
    """Where the simulator and the row disagree."""
    outcome, expect = outcome_of(mesh, row), row.expect
    ailing = table.dead or table.absent or table.silent
    if outcome.status is not None:
        if expect.status is None or not within(expect.status, outcome.status):
            yield f"the simulator answers {outcome.status} ({outcome.reason}), not {expect.status}"
        return
    if expect.tries == 0 and not ailing:
        yield f"the simulator lets it through to {outcome.virtual_host}, the row says {expect.status}"
    if row.via == "outbound":
        yield from _route(outcome, expect)
        yield from _time(outcome, expect)
        yield from _tries(outcome, row)
        if not ailing and not row.orders:
            yield from _instances(mesh, addresses, row, outcome)


def _route(outcome, expect):
    route = expect.logs.get("outbound", {}).get("route")
    if route is not None and route != outcome.route:
        yield f"route {outcome.route}, not {route}"


def _time(outcome, expect):
    if expect.status == 504 and expect.duration and outcome.timeout != timedelta(seconds=expect.duration[0]):
        yield f"a timeout of {outcome.timeout}, not {expect.duration[0]} s"


def _tries(outcome, row):
    """Plays the ordered statuses against the policy."""
    if not isinstance(row.expect.tries, int) or set(row.orders) - {"status", "body"} or not row.orders:
        return
    statuses = [int(each) for each in str(row.orders.get("status", 200)).split(",")]
    tries = 1
    while (
        statuses[min(tries, len(statuses)) - 1] in GATEWAY_ERROR_STATUSES
        and RetryCondition.GATEWAY_ERROR in outcome.retry_on
        and tries <= outcome.attempts
    ):
        tries += 1
    last = statuses[min(tries, len(statuses)) - 1]
    if (tries, last) != (row.expect.tries, row.expect.status):
        yield f"{tries} tries and {last}, not {row.expect.tries} and {row.expect.status}"


def _instances(mesh, addresses, row, outcome):
    """Shares of instances: the simulator's of the clusters, times the endpoint's of its cluster."""
    names = {address: name for name, address in addresses.items()}
    clusters = {each.name: each for sidecar in mesh.sidecars for each in sidecar.clusters}
    shares: dict[str, Fraction] = {}
    for backend in outcome.backends:
        endpoints = clusters[backend.cluster].endpoints
        total = sum(each.weight for each in endpoints)
        for each in endpoints:
            name = names[each.socket.address]
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
    if "instance" in seen and not any(name.endswith(f"/{seen['instance']}") for name in shares):
        yield f"goes to {sorted(shares)}, not to {seen['instance']}"
    if "service" in seen and not any(name.startswith(f"{seen['service']}/") for name in shares):
        yield f"goes to {sorted(shares)}, not to {seen['service']}"
