"""Route tests as written to route tests of a resolved mesh."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Position
from meshctl.ir import Mesh, Sidecar
from meshctl.ir.route_tests import Expectation, RouteTest
from meshctl.spec import Source
from meshctl.spec.route_tests import ExpectationSpec, RouteTestSpec, RouteTestsSpec, TestedRequestSpec


class _Places(Mapping[str, Position | None]):
    """The place of each key; looked up when it is asked for, for most tests pass."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def __getitem__(self, key: str) -> Position | None:
        return self._source.at(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._source.node)

    def __len__(self) -> int:
        return len(self._source.node)


def route_tests(
    written: RouteTestsSpec, source: Source, mesh: Mesh
) -> tuple[tuple[RouteTest, ...], tuple[Finding, ...]]:
    """The tests of one file, and what the mesh has not that they begin with."""
    callers = {each.service: each for each in mesh.sidecars}
    below = source["tests"]
    findings = tuple(
        fault for index, each in enumerate(written.tests) for fault in _check(each, below[index], callers)
    )
    return tuple(_test(each, below[index]) for index, each in enumerate(written.tests)), findings


def _check(written: RouteTestSpec, source: Source, callers: dict[str, Sidecar]) -> Iterator[Finding]:
    request, here = written.request, source["request"]
    caller = callers.get(request.caller)
    if caller is None:
        close = get_close_matches(request.caller, callers, n=1)
        fix = f"Did you mean `{close[0]}`?" if close else f"There are {', '.join(sorted(callers))}."
        message = f"there is no service or gateway `{request.caller}`"
        yield finding("undefined-reference", here.value_at("from"), message, fix=fix)
        return
    scheme = request.url.partition(":")[0]
    wanted = "https" if caller.outbound.tls else "http"
    if scheme != wanted:
        message = f"requests from `{request.caller}` begin with {wanted}://, not {scheme}://"
        yield finding("invalid-value", here.value_at("url"), message)


def _test(written: RouteTestSpec, source: Source) -> RouteTest:
    request = written.request
    host, target = _parted(request)
    return RouteTest(
        name=written.name,
        caller=request.caller,
        method=request.method,
        target=target,
        headers=(("Host", host), *(request.headers or {}).items()),
        expectation=_expectation(written.expect, source["expect"]),
        body=request.body or "",
        at=source.here,
    )


def _parted(request: TestedRequestSpec) -> tuple[str, str]:
    """The host and the target, nothing decoded or tidied."""
    rest = request.url.partition("://")[2]
    end = min((index for index in map(rest.find, "/?") if index >= 0), default=len(rest))
    return rest[:end], rest[end:] if rest[end:].startswith("/") else f"/{rest[end:]}"


def _expectation(written: ExpectationSpec, source: Source) -> Expectation:
    return Expectation(
        status=written.status,
        route=written.route,
        callee=written.callee,
        backends=written.backends,
        mirrors=written.mirrors,
        timeout=written.timeout,
        tries=written.tries,
        path=written.path,
        host=written.host,
        headers={name: tuple(lines) for name, lines in (written.headers or {}).items()},
        location=written.location,
        at=_Places(source),
    )
