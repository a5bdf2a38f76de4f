"""Route tests as written to route tests of a resolved mesh."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from msgspec import Struct

from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Position, Related
from meshctl.ir import Mesh, MtlsMode, Protocol, Sidecar
from meshctl.ir.authorization import UNAUTHENTICATED
from meshctl.ir.route_tests import Expectation, RouteTest
from meshctl.resolve import discovery
from meshctl.spec import Source, Spec
from meshctl.spec.route_tests import ExpectationSpec, RouteTestSpec, RouteTestsSpec, TestedRequestSpec
from meshctl.suggestions import did_you_mean

_FEW = 16


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


class Known(Struct, frozen=True):
    """Names that expectations can have. ``backends``: of subsets alone, too."""

    routes: frozenset[str]
    callees: frozenset[str]
    backends: frozenset[str]


def route_tests(
    written: RouteTestsSpec, source: Source, mesh: Mesh, names: Known
) -> tuple[tuple[RouteTest, ...], tuple[Finding, ...]]:
    """The tests of one file, and what the mesh has not that they begin with."""
    callers = {each.service: each for each in mesh.sidecars}
    below = source["tests"]
    findings = [
        fault
        for index, each in enumerate(written.tests)
        for fault in (
            *_check(each, below[index], callers, mesh.domain),
            *_check_names(each.expect, below[index]["expect"], names),
        )
    ]
    findings += _check_twice(written, below)
    return tuple(_test(each, below[index]) for index, each in enumerate(written.tests)), tuple(findings)


def known(mesh: Mesh, spec: Spec | None) -> Known:
    """What expectations can name: all that the spec defines, and what only the resolved mesh has a name for."""
    services = spec.written.services or {} if spec is not None else {}
    externals = spec.written.externals or {} if spec is not None else {}
    subsets = {(name, each) for name, service in services.items() for each in discovery.subsets(service)}
    clusters = {each.name for sidecar in mesh.sidecars for each in sidecar.clusters}
    callees = {*services, *externals, *(each.partition(".")[0] for each in clusters)}
    parts = {f"{name}.{subset}" for name, subset in subsets} | {subset for _, subset in subsets}
    hosts = (
        host
        for sidecar in mesh.sidecars
        for listener in (sidecar.outbound, *sidecar.locals)
        for host in listener.virtual_hosts
    )
    routes = {route.name for host in hosts for route in host.routes}
    written = [each for each in services.values() if each.routes]
    routes |= {route.name for each in written for route in each.routes or ()}
    routes |= {each.outbound.egress.name for each in mesh.sidecars if each.outbound.egress is not None}
    return Known(frozenset(routes), frozenset(callees), frozenset(callees | parts | clusters))


def _check_names(expected: ExpectationSpec, source: Source, names: Known) -> Iterator[Finding]:
    if expected.route is not None and expected.route not in names.routes:
        yield _absent("route", expected.route, source.value_at("route"), names.routes)
    if expected.callee is not None and expected.callee not in names.callees:
        yield _absent("service or external", expected.callee, source.value_at("callee"), names.callees)
    for key, shares in (("backends", expected.backends), ("mirrors", expected.mirrors)):
        for name in shares or ():
            if name not in names.backends:
                yield _absent("service, external or subset", name, source[key].at(name), names.backends)


def _absent(kind: str, name: str, at: Position | None, names: Collection[str]) -> Finding:
    some = f"There are {', '.join(sorted(names))}." if 0 < len(names) <= _FEW else ""
    fix = did_you_mean(name, names, some)
    return finding("undefined-reference", at, f"there is no {kind} named `{name}`", fix=fix)


def _check_twice(written: RouteTestsSpec, source: Source) -> Iterator[Finding]:
    first: dict[str, int] = {}
    for index, each in enumerate(written.tests):
        before = first.setdefault(each.name, index)
        if before != index:
            at = source[before].value_at("name")
            related = (Related(at, "the first one"),) if at is not None else ()
            message = f"a second test is called `{each.name}`"
            yield finding(
                "duplicate-definition",
                source[index].value_at("name"),
                message,
                related=related,
                fix="Give it another name, by which a report tells them apart.",
            )


def _check(
    written: RouteTestSpec, source: Source, callers: dict[str, Sidecar], domain: str
) -> Iterator[Finding]:
    request, here = written.request, source["request"]
    if request.caller == UNAUTHENTICATED:
        yield from _check_plaintext(request, here, callers, domain)
        return
    caller = callers.get(request.caller)
    if caller is None:
        fix = did_you_mean(request.caller, callers, f"There are {', '.join(sorted(callers))}.")
        message = f"there is no service or gateway `{request.caller}`"
        yield finding("undefined-reference", here.value_at("from"), message, fix=fix)
        return
    scheme = request.url.partition(":")[0]
    wanted = "https" if caller.outbound.tls else "http"
    if scheme != wanted:
        message = f"requests from `{request.caller}` begin with {wanted}://, not {scheme}://"
        yield finding("invalid-value", here.value_at("url"), message)


def _check_plaintext(
    request: TestedRequestSpec, source: Source, sidecars: dict[str, Sidecar], domain: str
) -> Iterator[Finding]:
    """Without a certificate the sidecar of a service is asked, and must take that."""
    name = _parted(request)[0].partition(":")[0].removesuffix(".").lower().removesuffix(f".{domain}")
    inbound = sidecars[name].inbound if name in sidecars else None
    at = source.value_at("url")
    if not request.url.startswith("http://"):
        yield finding("invalid-value", at, "requests without a certificate begin with http://")
    elif inbound is None:
        taking = sorted(each.service for each in sidecars.values() if each.inbound is not None)
        message = f"there is no service `{name}` whose sidecar could be asked without a certificate"
        fix = did_you_mean(name, taking, f"There are {', '.join(taking)}.")
        yield finding("undefined-reference", at, message, fix=fix)
    elif inbound.protocol is Protocol.TCP:
        yield finding("invalid-value", at, f"`{name}` is a stream, without requests")
    elif inbound.mtls is MtlsMode.STRICT:
        message = f"`{name}` takes mutual TLS only: without a certificate there is no answer to expect"
        yield finding("invalid-value", source.value_at("from"), message)


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
