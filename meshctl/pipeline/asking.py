"""Route tests through real proxies: what one request shows of the expectations. Composes simulate and live."""

from __future__ import annotations

import http.client
import itertools
import json
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from msgspec import Struct, field

from meshctl import ir
from meshctl.ir.authorization import UNAUTHENTICATED
from meshctl.ir.route_tests import RouteTest
from meshctl.live.asking import Answer, ask
from meshctl.pipeline.rehearsal import EXTERNAL, Rehearsal
from meshctl.simulate import plaintext
from meshctl.simulate.route_tests import Difference, Verdict, called, lines_text

_LOG_PATIENCE = timedelta(seconds=2)
_GLANCE = 0.01
_MOST_DRAWS = 10
"""Requests in vain before a fault that only a share of them has is taken for the rule."""


class _Seen(Struct, frozen=True):
    """What one request showed. ``arrived`` is what the application says of it, empty where it saw nothing."""

    answer: Answer
    arrived: dict[str, Any]
    route: str | None
    """As the caller's access log has it; None where there is no line."""


class LiveMesh(Struct):
    """A mesh that runs, and ``lines``, to which the output of its programs is added as it comes."""

    rehearsal: Rehearsal
    lines: list[tuple[str, str]]
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def differences(self, verdict: Verdict) -> tuple[Difference, ...]:
        """Which expectations of a test one request does not meet. Of shares only who is drawn is looked at.

        Raises ToolError when a program has ended by itself.
        """
        self.rehearsal.require_running()
        test = verdict.test
        for _ in range(_MOST_DRAWS if verdict.outcome.abort else 1):
            try:
                seen = self._ask(test)
            except (OSError, http.client.HTTPException) as error:
                told = f"no answer: {str(error) or type(error).__name__}"
                return (Difference("live", "an answer", told, test.at),)
            if verdict.outcome.abort is None or seen.answer.status != verdict.outcome.abort.status:
                break
        return tuple(
            Difference(f"live {key}", wanted, got, test.expectation.at.get(key, test.at))
            for key, wanted, got in _differing(verdict, seen)
        )

    def _ask(self, test: RouteTest) -> _Seen:
        sidecar, where = self._asked(test)
        before = len(self.lines)
        number = next(self._numbers)
        answer = ask(
            where,
            test.method,
            test.target,
            (*test.headers, ("x-echo-id", f"route-test-{number}")),
            test.body.encode(),
            tls=where == sidecar.outbound.bind and sidecar.outbound.tls is not None,
        )
        logged = sidecar.access_log.enabled and where == sidecar.outbound.bind
        route = self._route(sidecar, test, answer.status, before) if logged else None
        return _Seen(answer, _arrived(answer), route)

    def _asked(self, test: RouteTest) -> tuple[ir.Sidecar, ir.SocketAddress]:
        """Whose sidecar, at which of its listeners: of a caller without a certificate the callee's for others."""
        if test.caller == UNAUTHENTICATED:
            sidecar, inbound = plaintext.callee(self.rehearsal.mesh, test.headers[0][1])
            return sidecar, inbound.bind
        sidecar = next(each for each in self.rehearsal.mesh.sidecars if each.service == test.caller)
        return sidecar, sidecar.outbound.bind

    def _route(self, sidecar: ir.Sidecar, test: RouteTest, status: int, before: int) -> str | None:
        """The route in the next line of the caller's access log that can be about this request."""
        names = (sidecar.service, f"{sidecar.service}/{sidecar.instance}")
        wanted = {"direction": "outbound", "method": test.method, "status": status}
        ends = time.monotonic() + _LOG_PATIENCE.total_seconds()
        while time.monotonic() < ends:
            for name, line in self.lines[before:]:
                entry = _entry(line) if name in names else {}
                if entry.items() >= wanted.items():
                    return str(entry.get("route", ""))
            time.sleep(_GLANCE)
        return None


def _entry(line: str) -> dict[str, Any]:
    if not line.startswith("{"):
        return {}
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


def _arrived(answer: Answer) -> dict[str, Any]:
    """What an echo application says that it saw."""
    entry = _entry(answer.body.decode("latin-1"))
    return entry if {"service", "instance", "target", "headers"} <= entry.keys() else {}


def _differing(verdict: Verdict, seen: _Seen) -> Iterator[tuple[str, str, str]]:
    expected = verdict.test.expectation
    if expected.status is not None and seen.answer.status != expected.status:
        yield "status", str(expected.status), str(seen.answer.status)
    if expected.route is not None and seen.route is not None and seen.route != expected.route:
        yield "route", expected.route, seen.route or "no route"
    if expected.location is not None:
        got = [value for name, value in seen.answer.headers if name.lower() == "location"]
        if got != [expected.location]:
            yield "location", expected.location, lines_text(got)
    if seen.arrived:
        yield from _arrival(verdict, seen.arrived)
    # The answer to HEAD has no body, and so says nothing of what the application saw.
    elif verdict.outcome.status is None and verdict.test.method != "HEAD" and _looks_inside(verdict):
        yield "path", "an application sees it", f"none did: {seen.answer.status}"


def _looks_inside(verdict: Verdict) -> bool:
    expected = verdict.test.expectation
    return bool(expected.path or expected.host or expected.headers or expected.callee or expected.backends)


def _arrival(verdict: Verdict, arrived: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    expected = verdict.test.expectation
    service, instance, target = arrived["service"], arrived["instance"], arrived["target"]
    if expected.callee is not None and service != expected.callee:
        yield "callee", expected.callee, service
    if expected.backends is not None:
        host = verdict.outcome.virtual_host
        allowed = sorted(called(name, host) for name, share in expected.backends.items() if share)
        got = [service, f"{service}.{instance}", called(f"{service}.{instance}", host)]
        if not set(got) & set(allowed):
            shown = service if instance == EXTERNAL else f"{service}/{instance}"
            yield "backends", f"one of {', '.join(allowed)}", shown
    if expected.path is not None:
        got_path = target if "?" in expected.path else target.partition("?")[0]
        if got_path != expected.path:
            yield "path", expected.path, got_path
    headers = arrived["headers"]
    if expected.host is not None and _lines(headers, "host") != [expected.host]:
        yield "host", expected.host, lines_text(_lines(headers, "host"))
    for name, wanted in expected.headers.items():
        lines = _lines(headers, name)
        # A proxy may join the lines of one header, which means the same.
        if _joined(lines) != _joined(wanted):
            yield "headers", f"{name}: {lines_text(wanted)}", f"{name}: {lines_text(lines)}"


def _lines(headers: Sequence[Sequence[str]], wanted: str) -> list[str]:
    return [value for name, value in headers if name.lower() == wanted]


def _joined(lines: Sequence[str]) -> list[str]:
    return [part.strip() for line in lines for part in line.split(",")]
