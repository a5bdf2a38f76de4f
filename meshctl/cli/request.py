"""`meshctl explain request`: the way of one request, as a person would draw it, and as JSON."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from itertools import groupby
from typing import TYPE_CHECKING

from meshctl.cli.formats.context import json_text, one_line
from meshctl.diagnostics import Position, UsageError

if TYPE_CHECKING:
    from meshctl.simulate import Explanation, Hop, Outcome, Request, Step

SCHEMA_VERSION = 1
WIDTH = 100
_TOPIC = 12
_PASSED_OVER_SHOWN = 8
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*")


class RequestFormat(StrEnum):
    """What `--format` takes here."""

    TEXT = "text"
    JSON = "json"
    MERMAID = "mermaid"


@dataclass(frozen=True, slots=True)
class Asked:
    """The request as the command line has it."""

    url: str | None
    caller: str | None
    method: str
    headers: tuple[str, ...]
    """``name: value`` each."""


def show(asked: Asked, location: str, environment: str | None, form: RequestFormat) -> int:
    """Print what the request would do in the spec at ``location``. Raises UsageError for what is none."""
    from meshctl import pipeline

    if asked.url is None:
        raise UsageError("name a URL: `meshctl explain request http://catalog/ --from web`")
    if asked.caller is None:
        raise UsageError("say who asks: `--from SERVICE`, or `--from GATEWAY` for its clients")
    lines = tuple(map(_header, asked.headers))
    found = pipeline.explain_request(location, asked.caller, asked.method, asked.url, lines, environment)
    match form:
        case RequestFormat.TEXT:
            sys.stdout.writelines(f"{each}\n" for each in _drawn(found))
        case RequestFormat.JSON:
            sys.stdout.write(json_text(_document(found)))
        case RequestFormat.MERMAID:
            from meshctl.cli.sequence import sequence

            sys.stdout.writelines(f"{each}\n" for each in sequence(found))
    return 0


def _header(text: str) -> tuple[str, str]:
    found = _HEADER.fullmatch(text)
    if found is None:
        raise UsageError(f"`{text}` is not a header of the form `name: value`")
    return found[1], found[2]


def names(found: Explanation) -> tuple[str, str]:
    """Who asks, and its sidecar, as people call them."""
    service = found.sidecar.service
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
    if outcome.status is not None:
        return f"{outcome.status}: {outcome.reason}"
    backends = outcome.backends
    own = {each.callee.service if each.callee else each.cluster for each in backends if not each.status}
    others = [f"{each.status} of `{each.cluster}` ({each.reason})" for each in backends if each.status]
    if outcome.abort is not None:
        others.append(f"{outcome.abort.status} by the fault")
    return ", or ".join([f"what {' or '.join(f'`{each}`' for each in sorted(own))} answers", *others])


def _drawn(found: Explanation) -> Iterator[str]:
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


def _document(found: Explanation) -> dict[str, object]:
    return {
        "schemaVersion": SCHEMA_VERSION,
        "caller": found.sidecar.service,
        "gateway": found.sidecar.is_gateway,
        "instance": found.sidecar.instance,
        "proxy": found.sidecar.proxy.value,
        "listener": str(found.listener.bind),
        "url": found.url,
        "request": _request(found.request),
        "outcome": _outcome(found),
        "steps": [_step(each) for each in found.steps],
        "hops": [_hop(each) for each in found.hops],
        "back": [_step(each) for each in found.back],
    }


def _outcome(found: Explanation) -> dict[str, object]:
    outcome, worst = found.outcome, found.worst_case
    return {
        "status": outcome.status,
        "reason": outcome.reason,
        "headers": [list(each) for each in outcome.headers],
        "body": outcome.body,
        "virtualHost": outcome.virtual_host,
        "route": outcome.route,
        "tries": outcome.attempts + 1 if found.hops else 0,
        "timeoutMs": _milliseconds(outcome.timeout),
        "perTryTimeoutMs": _milliseconds(outcome.per_try_timeout),
        "worstCase": {"limitMs": _milliseconds(worst.limit), "arithmetic": worst.arithmetic}
        if worst
        else None,
    }


def _milliseconds(duration: timedelta | None) -> int | None:
    return None if duration is None else duration // timedelta(milliseconds=1)


def _request(request: Request) -> dict[str, object]:
    return {
        "method": request.method,
        "target": request.target,
        "headers": [list(each) for each in request.headers],
    }


def _hop(hop: Hop) -> dict[str, object]:
    backend = hop.backend
    return {
        "cluster": backend.cluster,
        "callee": hop.callee,
        "identity": backend.callee.spiffe_id if backend.callee else None,
        "copy": hop.copy,
        "share": float(backend.share),
        "status": backend.status,
        "reason": backend.reason,
        "audited": backend.audited,
        "steps": [_step(each) for each in hop.steps],
        "arrival": [_step(each) for each in hop.arrival],
        "received": _request(backend.received) if backend.received else None,
    }


def _step(step: Step) -> dict[str, object]:
    return {
        "topic": step.topic.value,
        "text": step.text,
        "passedOver": step.passed_over,
        "default": step.from_spec and step.at is None,
        "origin": _place(step.at),
    }


def _place(at: Position | None) -> dict[str, object] | None:
    return None if at is None else {"file": at.file, "line": at.line, "column": at.column}
