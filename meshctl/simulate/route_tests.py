"""Route tests against the resolved mesh: what differs, and which line of the spec decided otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from functools import cache, partial

from msgspec import Struct
from msgspec.structs import replace

from meshctl.diagnostics import Position
from meshctl.ir import Mesh, Route, duration_text
from meshctl.ir.authorization import UNAUTHENTICATED
from meshctl.ir.mesh import IDENTITY_HEADER
from meshctl.ir.route_tests import Expectation, RouteTest
from meshctl.simulate import entrance, plaintext
from meshctl.simulate.decisions import Decision, Places
from meshctl.simulate.message import Request
from meshctl.simulate.outcome import Backend, Outcome
from meshctl.simulate.request import answer

APPLICATION_STATUS = 200
"""What applications are taken to answer."""

_HALF_A_DIGIT = Fraction(1, 20_000)
"""Shares are written with two decimals of a percent."""


class Difference(Struct, frozen=True):
    """One expectation that is not met; ``at`` is its place in the test."""

    key: str
    expected: str
    got: str
    at: Position | None = None
    why: str = ""
    """What decided otherwise, in words."""
    decided: Position | None = None
    """Its line in the spec; None where nobody wrote it."""
    path: tuple[str, ...] = ()
    """The part of the spec that decided, by keys and names, where the model does not know its place."""


class Verdict(Struct, frozen=True):
    """A test, what became of its request, and what differs: nothing where it passes."""

    test: RouteTest
    outcome: Outcome
    decision: Decision
    differences: tuple[Difference, ...] = ()


def run(mesh: Mesh, tests: Iterable[RouteTest]) -> tuple[Verdict, ...]:
    """The verdicts in the order of the tests, whose callers are all in ``mesh``."""
    places = Places.of(mesh)
    around = cache(places.around)
    # Somebody without a certificate is nobody's neighbour.
    return tuple(
        _verdict(mesh if each.caller == UNAUTHENTICATED else around(each.caller), places, each)
        for each in tests
    )


def called(cluster: str, service: str) -> str:
    """A cluster as tests call it: a subset of the asked ``service`` by its own name alone."""
    callee, _, subset = cluster.partition(".")
    return subset if subset and callee == service else cluster


def _verdict(mesh: Mesh, places: Places, test: RouteTest) -> Verdict:
    request = Request(test.method, test.target, test.headers)
    if test.caller == UNAUTHENTICATED:
        outcome = plaintext.answer(mesh, request)
        decision = places.of_plaintext(request, outcome)
    else:
        outcome = answer(mesh, test.caller, request)
        decision = places.decision(test.caller, request, outcome)
    faults = []
    for key, expected, got in _differing(test.expectation, outcome):
        fault = Difference(key, expected, got, test.expectation.at.get(key, test.at))
        why, decided = _decider(fault, outcome, decision)
        path = () if decided else _path_to(fault, outcome, decision, mesh, test.caller)
        faults.append(replace(fault, why=why, decided=decided, path=path))
    return Verdict(test, outcome, decision, tuple(faults))


def _differing(expected: Expectation, outcome: Outcome) -> Iterator[tuple[str, str, str]]:
    """Key, what is expected and what is so."""
    for key, compare in _COMPARISONS.items():
        if getattr(expected, key) is not None:
            yield from ((key, *each) for each in compare(expected, outcome))


Differing = Iterator[tuple[str, str]]


def _status(expected: Expectation, outcome: Outcome) -> Differing:
    statuses = sorted({outcome.status or each.status or APPLICATION_STATUS for each in outcome.backends})
    statuses = statuses or [outcome.status or APPLICATION_STATUS]
    if statuses != [expected.status]:
        yield str(expected.status), " or ".join(map(str, statuses))


def _route(expected: Expectation, outcome: Outcome) -> Differing:
    if expected.route != outcome.route:
        yield str(expected.route), outcome.route or "no route"


def _callee(expected: Expectation, outcome: Outcome) -> Differing:
    names = sorted(
        {each.callee.service if each.callee else each.cluster.partition(".")[0] for each in outcome.backends}
    )
    if names != [expected.callee]:
        yield str(expected.callee), " or ".join(names) or "nobody"


def _backends(expected: Expectation, outcome: Outcome) -> Differing:
    yield from _shares(expected.backends or {}, outcome.backends, outcome.virtual_host)


def _mirrors(expected: Expectation, outcome: Outcome) -> Differing:
    yield from _shares(expected.mirrors or {}, outcome.mirrors, outcome.virtual_host)


def _shares(expected: Mapping[str, Fraction], found: Iterable[Backend], service: str) -> Differing:
    wanted = {called(name, service): share for name, share in expected.items() if share}
    got: dict[str, Fraction] = {}
    for each in found:
        name = called(each.cluster, service)
        got[name] = got.get(name, Fraction(0)) + each.share
    got = {name: share for name, share in got.items() if share}
    alike = wanted.keys() == got.keys() and all(
        abs(share - got[name]) <= _HALF_A_DIGIT for name, share in wanted.items()
    )
    if not alike:
        yield _shares_text(wanted), _shares_text(got)


def _shares_text(shares: Mapping[str, Fraction]) -> str:
    told = (f"{name} {float(round(share * 100, 2)):g}%" for name, share in sorted(shares.items()))
    return ", ".join(told) or "nobody"


def _timeout(expected: Expectation, outcome: Outcome) -> Differing:
    wanted = duration_text(expected.timeout) if expected.timeout else "none"
    got = "nothing is sent on" if not outcome.backends else "none"
    if outcome.timeout is not None:
        got = duration_text(outcome.timeout)
    if wanted != got:
        yield wanted, got


def _tries(expected: Expectation, outcome: Outcome) -> Differing:
    got = outcome.attempts + 1 if outcome.backends else 0
    if expected.tries != got:
        yield str(expected.tries), str(got)


def _path(expected: Expectation, outcome: Outcome) -> Differing:
    wanted = expected.path or ""
    yield from _seen(wanted, outcome, lambda request: request.target if "?" in wanted else request.path)


def _host(expected: Expectation, outcome: Outcome) -> Differing:
    yield from _seen(expected.host or "", outcome, lambda request: ", ".join(request.values("host")))


def _headers(expected: Expectation, outcome: Outcome) -> Differing:
    for name, lines in expected.headers.items():
        yield from _seen(_line_text(name, lines), outcome, partial(_header, name))


def _header(name: str, request: Request) -> str:
    return _line_text(name, request.values(name))


def _line_text(name: str, lines: Iterable[str]) -> str:
    return f"{name}: {lines_text(lines)}"


def lines_text(lines: Iterable[str]) -> str:
    """Values of a header's lines in words."""
    return " and ".join(f"`{each}`" for each in lines) or "absent"


def _seen(wanted: str, outcome: Outcome, part: Callable[[Request], str]) -> Differing:
    """Of what applications see; of several that may be drawn, the first that differs is told."""
    received = [each.received for each in outcome.backends if each.received is not None]
    if not received:
        yield wanted, "nothing: no application sees it"
        return
    got = next((seen for seen in map(part, received) if seen != wanted), wanted)
    if got != wanted:
        yield wanted, got


def _location(expected: Expectation, outcome: Outcome) -> Differing:
    lines = [value for name, value in outcome.headers if name.lower() == "location"]
    if lines != [expected.location]:
        yield str(expected.location), lines_text(lines) if lines else "no redirect"


_COMPARISONS: Mapping[str, Callable[[Expectation, Outcome], Differing]] = {
    "status": _status,
    "route": _route,
    "callee": _callee,
    "backends": _backends,
    "mirrors": _mirrors,
    "timeout": _timeout,
    "tries": _tries,
    "path": _path,
    "host": _host,
    "headers": _headers,
    "location": _location,
}


def _decider(fault: Difference, outcome: Outcome, decision: Decision) -> tuple[str, Position | None]:
    """What decided otherwise, and where that is written."""
    key, route = fault.key, decision.route
    refused = [each for each in outcome.backends if each.status is not None]
    if refused and key in ("status", "path", "host", "headers"):
        return refused[0].reason, _refusal(decision) or (route.at if route is not None else None)
    if route is None:
        return outcome.reason, None
    if outcome.reason and not refused:
        return outcome.reason, route.match.at or route.at
    if _is_identity(fault):
        return "the callee's sidecar says who calls, whatever the request claims", None
    return _words(key, outcome, route), _of_route(key, route)


def _words(key: str, outcome: Outcome, route: Route) -> str:
    decided = _of_route(key, route)
    match key:
        case "timeout":
            return f"the timeout that holds for route `{route.name}`{'' if decided else ' is the default'}"
        case "tries":
            return f"the retries that hold for route `{route.name}`{'' if decided else ' are the default'}"
        case _ if decided is None and outcome.virtual_host:
            return f"`{outcome.virtual_host}` has no routes of its own"
        case "status":
            return f"route `{route.name}`; its application is taken to answer {APPLICATION_STATUS}"
        case _:
            return f"route `{route.name}`"


def _is_identity(fault: Difference) -> bool:
    return fault.key == "headers" and fault.expected.lower().startswith(f"{IDENTITY_HEADER}:")


def _path_to(
    fault: Difference, outcome: Outcome, decision: Decision, mesh: Mesh, caller: str
) -> tuple[str, ...]:
    """Where the spec has what decided without a line of its own: who may be called, a service without routes."""
    if caller == UNAUTHENTICATED:
        return ("services", *(each.callee.service for each in outcome.backends if each.callee is not None))
    if decision.route is None:
        unknown = outcome.status in (403, 404) and not outcome.virtual_host
        return (*entrance.section(mesh, caller), "calls") if unknown else ()
    inherited = fault.key in ("timeout", "tries") or _is_identity(fault) or not outcome.virtual_host
    return () if inherited else entrance.section(mesh, outcome.virtual_host)


def _refusal(decision: Decision) -> Position | None:
    """The rule that refuses; else the first of those that let others in, or what says that there must be one."""
    for inbound, rule in decision.rules:
        its = inbound.authorization
        if rule is None:
            return next((each.at for each in its.rules if each.at), its.at)
        if rule in its.deny:
            return rule.at
    return None


def _of_route(key: str, route: Route) -> Position | None:
    """The part of a route that decides on ``key``."""
    own: Position | None = None
    match key:
        case "timeout":
            return route.timeout.at
        case "tries":
            return route.retries.at
        case "path" | "host":
            own = route.rewrite.at if route.rewrite is not None else None
        case "headers":
            own = next((each.at for each in route.request_headers.asks), None)
        case "mirrors":
            own = next((each.at for each in route.mirrors), None)
        case _:
            pass
    return own or route.match.at or route.at
