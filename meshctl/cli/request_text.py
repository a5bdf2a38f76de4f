"""The way of one request, and of a path of them, as a person would draw it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING

from msgspec.structs import replace

from meshctl.cli.formats.context import one_line

if TYPE_CHECKING:
    from meshctl.simulate import CallPath, Explanation, Hop, Outcome, Step

WIDTH = 100
_TOPIC = 12
_PASSED_OVER_SHOWN = 8


def names(found: Explanation) -> tuple[str, str]:
    """Who asks, and its sidecar, as people call them."""
    service = found.sidecar.service
    if found.plaintext:
        return "a caller without a certificate", f"sidecar of {service}"
    return (
        (f"a client of {service}", f"gateway {service}")
        if found.sidecar.is_gateway
        else (service, f"sidecar of {service}")
    )


def ways(hops: Sequence[Hop]) -> Iterator[tuple[Hop, ...]]:
    """The hops by where they lead: those that differ only in their endpoints are one way."""
    for _, alike in groupby(hops, lambda each: (each.copy, each.callee, each.arrival, each.received)):
        yield tuple(alike)


def answered(outcome: Outcome) -> str:
    """Who answers the request, in words."""
    if outcome.closed:
        return f"none: {outcome.reason}"
    if outcome.status is not None:
        return f"{outcome.status}: {outcome.reason}"
    backends = outcome.backends
    own = {each.callee.service if each.callee else each.cluster for each in backends if not each.status}
    others = [f"{each.status} of `{each.cluster}` ({each.reason})" for each in backends if each.status]
    if outcome.abort is not None:
        others.append(f"{outcome.abort.status} by the fault")
    return ", or ".join([f"what {' or '.join(f'`{each}`' for each in sorted(own))} answers", *others])


def drawn(found: Explanation) -> Iterator[str]:
    """The lines of one request."""
    client, sidecar = names(found)
    yield f"{one_line(found.request.method)} {one_line(found.url)}"
    yield from ("", client, f"  | to {found.listener.bind}", "  v")
    first = f"; {found.sidecar.instance}, the first of {found.bundles}" if found.bundles > 1 else ""
    yield f"{sidecar} ({found.sidecar.proxy}{one_line(first)})"
    yield from _told(found.steps)
    for number, way in enumerate(ways(found.hops)):
        if number:
            yield from ("", f"{sidecar}, {'the copy' if way[0].copy else 'with another draw'}")
        yield from _way(way)
    if found.back:
        yield from ("", f"{sidecar}, on the way back")
        yield from _told(found.back)
    limit = found.worst_case.limit if found.worst_case is not None else None
    within = (
        f", after at most {_duration(limit)}" if limit is not None and found.outcome.status is None else ""
    )
    yield ""
    yield from textwrap.wrap(f"answer: {one_line(answered(found.outcome))}{within}", WIDTH)


def path_drawn(path: CallPath) -> Iterator[str]:
    """The lines of each call, and then what they come to together."""
    for number, each in enumerate(path.calls, 1):
        yield f"--- call {number} of {len(path.calls)} ---"
        yield from drawn(each)
        yield ""
    yield "--- the whole path ---"
    yield from _told(path.steps)


def _way(hops: Sequence[Hop]) -> Iterator[str]:
    """The hops to one callee, and its side of them."""
    shared = [each for each in hops[0].steps if all(each in hop.steps for hop in hops)]
    for hop in hops:
        kind = "a copy of " if hop.copy else ""
        yield f"  | {kind}{float(hop.backend.share * 100):.4g}% to {hop.backend.cluster}"
        own = [each for each in hop.steps if each not in shared]
        yield from _told(own, "  |   ")
    yield from _told(shared, "  |   ")
    if not hops[0].arrival and not hops[0].received:
        return
    yield "  v"
    callee = hops[0].callee
    if hops[0].arrival:
        yield f"sidecar of {callee}"
        yield from _told(hops[0].arrival)
        if hops[0].received:
            yield from ("  |", "  v")
    if hops[0].received:
        yield callee
        yield from _told(hops[0].received)


def _told(steps: Sequence[Step], indent: str = "  ") -> Iterator[str]:
    before = ""
    for step in _fewer(steps):
        topic = "" if step.topic == before else step.topic
        before = step.topic
        text = f"{one_line(step.text)}{_origin(step)}"
        first, *more = textwrap.wrap(
            text, WIDTH - len(indent) - _TOPIC, break_on_hyphens=False, break_long_words=False
        )
        yield f"{indent}{topic:{_TOPIC}}{first}"
        yield from (f"{indent}{'':{_TOPIC}}{each}" for each in more)


def _fewer(steps: Sequence[Step]) -> Iterator[Step]:
    """Without most of many routes that did not match: a person wants the last ones, and the one that did."""
    passed = [each for each in steps if each.passed_over]
    left_out = len(passed) - _PASSED_OVER_SHOWN
    for each in steps:
        if left_out > 0 and each.passed_over and each is passed[0]:
            text = f"{left_out} that do not match, and:"
            yield replace(each, text=text, at=None, from_spec=False)
        if (
            left_out <= 0
            or not each.passed_over
            or any(each is last for last in passed[-_PASSED_OVER_SHOWN:])
        ):
            yield each


def _origin(step: Step) -> str:
    if step.at is not None:
        return f" [{one_line(step.at.file)}:{step.at.line}]"
    return " [default]" if step.from_spec else ""


def _duration(duration: timedelta) -> str:
    from meshctl.ir import duration_text

    return duration_text(duration)
