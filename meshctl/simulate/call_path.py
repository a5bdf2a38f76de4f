"""A call path: one request, and what the applications on its way ask because of it.

A sidecar does not know which of the requests that its application sends belongs to which that it got, so whoever
explains a path says what each application asks. What follows for the whole path is counted here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from msgspec import Struct, field
from msgspec.structs import replace

from meshctl.diagnostics import Position, UsageError
from meshctl.ir import InboundListener, Mesh, duration_text
from meshctl.ir.authorization import UNAUTHENTICATED
from meshctl.ir.retries import BEFORE_THE_APPLICATION
from meshctl.simulate import plaintext
from meshctl.simulate.explanation import Explanation, explain
from meshctl.simulate.outcome import Outcome
from meshctl.simulate.steps import Step, Topic

MOST_CALLS = 32
"""Longer paths are refused: nobody reads them, and numbers of tries have no end."""
CORRELATION = ("traceparent", "tracestate", "x-request-id")
"""What tells which requests belong together: W3C Trace Context, and the name that most proxies use."""
_NOBODY_TRIES = Step(Topic.TRIES, "", from_spec=False)
"""Of a caller without a sidecar."""


class Asked(Struct, frozen=True):
    """One request of a path, as it is asked for."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    by: str = ""
    """The service that asks, where several may have got the request before; empty: the only one."""

    def __str__(self) -> str:
        return f"{self.method} {self.url}"


class Reach(Struct, frozen=True):
    """The most that one request at the beginning of a path can become at one of its calls.

    It comes to that when every application answers a failure below it with a failure of its own.
    """

    asked: int
    """Requests that the caller's application sends."""
    tries: int
    """Tries of its sidecar for all of them; 0 where nothing is sent on."""
    received: int
    """Requests that the callee's application sees: a try that failed before it is none."""


class Inversion(Struct, frozen=True):
    """A caller that waits for its callee longer than somebody above waits for it."""

    outer: int
    """The call, from 0, whose caller gives up first."""
    inner: int
    patience: timedelta
    """How long the outer caller waits for one answer."""
    limit: timedelta | None
    """How long the inner caller may wait; None: nothing in the spec says."""


class CallPath(Struct, frozen=True):
    """The calls as far as they are made, and what they come to together."""

    calls: tuple[Explanation, ...]
    never_asked: tuple[Asked, ...]
    """What nobody asks, for no application gets the request before."""
    reaches: tuple[Reach, ...]
    """One for each call."""
    inversions: tuple[Inversion, ...]
    goes_on: timedelta | None
    """Until when something may be under way at one of the calls, from the first request on; None: no limit."""
    steps: tuple[Step, ...] = field(default=())
    """The same in words."""


def explain_path(mesh: Mesh, caller: str, first: Asked, then: Sequence[Asked]) -> CallPath:
    """What becomes of ``first`` from ``caller`` (:data:`UNAUTHENTICATED`: somebody without a certificate, past all
    sidecars but the callee's), and of each further request by who got the one before.

    Raises UsageError as :func:`explain` does, for a path that is too long, and where it is not clear who asks on.
    """
    if len(then) >= MOST_CALLS:
        raise UsageError(f"a path has at most {MOST_CALLS} calls, not {len(then) + 1}")
    if caller == UNAUTHENTICATED:
        calls = [plaintext.explain(mesh, first.method, first.url, first.headers)]
    else:
        calls = [explain(mesh, caller, first.method, first.url, first.headers)]
    for number, asked in enumerate(then):
        asks = _who_asks(calls[-1], asked)
        if asks is None:
            return _whole(tuple(calls), tuple(then[number:]))
        calls.append(explain(mesh, asks, asked.method, asked.url, asked.headers))
    return _whole(tuple(calls), ())


def client(call: Explanation) -> str:
    """Who asks, in words."""
    if call.plaintext:
        return "a caller without a certificate"
    name = f"`{call.sidecar.service}`"
    return f"a client of {name}" if call.sidecar.is_gateway else name


def callees(call: Explanation) -> str:
    """Who may get the request, in words; an application outside of the mesh is one too."""
    names = dict.fromkeys(
        each.callee for each in call.hops if not each.copy and each.backend.received is not None
    )
    return " or ".join(f"`{each}`" for each in names)


def _who_asks(before: Explanation, asked: Asked) -> str | None:
    """The service whose application got the request before; None where a sidecar answers it."""
    drawn = [each for each in before.hops if not each.copy and each.backend.status is None]
    got = list(dict.fromkeys(each.callee for each in drawn if each.backend.callee is not None))
    asking = f"{before.request.method} {before.url}"
    if asked.by and asked.by not in got and drawn:
        raise UsageError(f"`{asked.by}` does not get `{asking}`: {callees(before)} does")
    if drawn and not got:
        raise UsageError(f"{callees(before)} is outside of the mesh: what it asks passes no sidecar")
    if len(got) > 1 and not asked.by:
        raise UsageError(
            f"`{asking}` may come to {callees(before)}: say who asks on, such as `{got[0]}: {asked}`"
        )
    return (asked.by or got[0]) if got else None


def _whole(calls: tuple[Explanation, ...], never: tuple[Asked, ...]) -> CallPath:
    found = CallPath(calls, never, tuple(_reaches(calls)), tuple(_inversions(calls)), _until(calls))
    told = (*_requests(found), *_time(found), *_budgets(found), *_end(found), *_headers(found))
    return replace(found, steps=told)


def tries_seen(outcome: Outcome) -> int:
    """How many requests an application may see of one: retries on what never reached it are not among them."""
    repeats = (
        any(each not in BEFORE_THE_APPLICATION for each in outcome.retry_on)
        or outcome.retry_statuses
        or outcome.retry_grpc_statuses
    )
    return outcome.attempts + 1 if repeats else 1


def _reaches(calls: Sequence[Explanation]) -> Iterator[Reach]:
    asked = 1
    for each in calls:
        if not callees(each):
            tries = (each.outcome.attempts + 1) * asked if each.hops else 0
            yield Reach(asked, tries, 0)
            return
        received = asked * tries_seen(each.outcome)
        yield Reach(asked, asked * (each.outcome.attempts + 1), received)
        asked = received


def _patience(call: Explanation) -> timedelta | None:
    """How long the caller waits for one answer of its callee's application."""
    limits = (call.outcome.timeout, call.outcome.per_try_timeout)
    return min((each for each in limits if each is not None), default=None)


def _ends_a_try(call: Explanation) -> bool:
    """Whether the limit of one try is shorter than that of all."""
    return _patience(call) != call.outcome.timeout


def _limit(call: Explanation) -> timedelta | None:
    return call.worst_case.limit if call.worst_case is not None else timedelta(0)


def _inversions(calls: Sequence[Explanation]) -> Iterator[Inversion]:
    """For each call the least patient above it, where that gives up before the call must end."""
    least: tuple[timedelta, int] | None = None
    for number, each in enumerate(calls):
        limit, patience = _limit(each), _patience(each)
        if least is not None and (limit is None or limit > least[0]):
            yield Inversion(least[1], number, least[0], limit)
        if patience is not None and each.hops and (least is None or patience <= least[0]):
            least = patience, number


def _until(calls: Sequence[Explanation]) -> timedelta | None:
    """An application may ask on as long as its caller waits, so the limits add up."""
    limits = [_limit(each) for each in calls]
    bounded = [each for each in limits if each is not None]
    return sum(bounded, timedelta()) if len(bounded) == len(limits) else None


def _requests(path: CallPath) -> Iterator[Step]:
    for number, (call, reach) in enumerate(zip(path.calls, path.reaches, strict=True)):
        if not callees(call):
            return
        tries = tries_seen(call.outcome)
        first = f" for 1 of {client(call)}" if number == 0 else ""
        product = f"{reach.asked} x {tries}" if number else "1 try" if tries == 1 else f"{tries} tries"
        why = " (what is tried again there never reached it)" if reach.tries > reach.received else ""
        text = f"{callees(call)} gets at most {reach.received}{first}: {product}{why}"
        decided = next((each for each in call.steps if each.topic is Topic.TRIES), _NOBODY_TRIES)
        yield replace(decided, topic=Topic.REQUESTS, text=text)


def _time(path: CallPath) -> Iterator[Step]:
    first = path.calls[0].worst_case
    if first is None:
        return
    most = f"after at most {duration_text(first.limit)}" if first.limit is not None else "without a limit"
    yield Step(Topic.TIME, f"{client(path.calls[0])} has its answer {most}: {first.arithmetic}", first.at)
    below = [each.worst_case for each in path.calls if each.worst_case is not None]
    if len(below) < 2:
        return
    endless = next((each for each in below if each.limit is None), None)
    if endless is not None:
        yield Step(Topic.TIME, "nothing says until when what is below may go on", endless.at)
        return
    added = " + ".join(duration_text(each.limit) for each in below if each.limit is not None)
    text = (
        f"below, something may go on until {duration_text(path.goes_on or timedelta())}: {added}, where each application asks "
        "on just before its caller gives up"
    )
    yield Step(Topic.TIME, text, from_spec=False)


def _budgets(path: CallPath) -> Iterator[Step]:
    for each in path.inversions:
        outer, inner = path.calls[each.outer], path.calls[each.inner]
        worst = inner.worst_case
        what = "ends a try at" if _ends_a_try(outer) else "gives up on"
        text = f"{client(outer)} {what} {callees(outer)} after {duration_text(each.patience)},"
        yield Step(Topic.BUDGET, text, _place_of_patience(path, each.outer))
        most = f"up to {duration_text(each.limit)}" if each.limit is not None else "longer"
        arithmetic = f": {worst.arithmetic}" if worst is not None else ""
        text = f"but {client(inner)} may wait for {callees(inner) or 'its answer'} {most}{arithmetic}"
        yield Step(Topic.BUDGET, text, worst.at if worst is not None else None)
    if len(path.calls) > 1 and not path.inversions and all(each.worst_case for each in path.calls):
        yield Step(Topic.BUDGET, "nobody waits longer than those above wait for him", from_spec=False)


def _place_of_patience(path: CallPath, number: int) -> Position | None:
    route = path.calls[number].route
    if route is None:
        return None
    per_try, whole = route.retries.per_try_timeout, route.timeout
    return per_try.at if _ends_a_try(path.calls[number]) else whole.at


def _end(path: CallPath) -> Iterator[Step]:
    """Which call decides where one of them comes to no application."""
    last, number = path.calls[-1], len(path.calls)
    if callees(last):
        return
    decided = next((each.arrival[-1] for each in last.hops if each.arrival), None)
    decided = decided or next((each for each in last.steps if each.topic is Topic.ANSWER), last.steps[-1])
    answered = "closed" if last.outcome.closed else f"answered by a sidecar, {last.outcome.status}"
    text = f"call {number} is {answered}: {last.outcome.reason}"
    yield replace(decided, topic=Topic.END, text=text, passed_over=False)
    if number > 1:
        text = f"what {client(path.calls[0])} gets is what {client(last)} makes of that"
        yield Step(Topic.END, text, from_spec=False)
    for each in path.never_asked:
        yield Step(Topic.END, f"never asked: {each}", from_spec=False)


def _headers(path: CallPath) -> Iterator[Step]:
    """What only the applications can carry on from the request that they got to the one that they send."""
    if len(path.calls) < 2:
        return
    text = f"{', '.join(CORRELATION)}: on the next call only where the application passes them on"
    yield Step(Topic.HEADERS, text, from_spec=False)
    for before, call in zip(path.calls, path.calls[1:], strict=False):
        had = {name.lower() for name, _ in before.request.headers}
        has = {name.lower() for name, _ in call.request.headers}
        for name in sorted(_looked_at(call) & had - has):
            text = f"{name}: routes of `{call.outcome.virtual_host}` look at it, and {client(call)} does not send it"
            yield Step(Topic.HEADERS, text, from_spec=False)


def _looked_at(call: Explanation) -> set[str]:
    hosts = () if isinstance(call.listener, InboundListener) else call.listener.virtual_hosts
    host = next((each for each in hosts if each.service == call.outcome.virtual_host), None)
    routes = host.routes if host is not None else ()
    return {header.name.lower() for route in routes for header in route.match.headers} - {"host"}
