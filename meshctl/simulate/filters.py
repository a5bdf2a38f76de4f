"""What a route changes on the way, or answers by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from meshctl.ir import DirectResponse, HeaderChanges, Redirect, Rewrite, Route
from meshctl.simulate.message import Request
from meshctl.simulate.steps import Step, Topic

_PORT = re.compile(r":([0-9]*)\Z")
_PORT_DIGITS = 5
_DEFAULT_PORTS = {"http": 80, "https": 443}

Lines = tuple[tuple[str, str], ...]


def hostname(host: str) -> str:
    """A Host header's value without port and root dot, in lower case."""
    return _PORT.sub("", host).removesuffix(".").lower()


def change(changes: HeaderChanges, headers: Lines) -> Lines:
    """Removed, set, added."""
    gone = {*changes.remove, *(name for name, _ in changes.set)}
    kept = tuple(each for each in headers if each[0].lower() not in gone)
    return (*kept, *changes.set, *changes.add)


def changed(route: Route, request: Request) -> Request:
    """The request as it leaves for the callee."""
    rewrite = route.rewrite or Rewrite()
    path = _path(route, request.path, rewrite.prefix, rewrite.path)
    if rewrite.hostname:
        request = request.with_header("Host", rewrite.hostname)
    return replace(
        request,
        target=path + request.target[len(request.path) :],
        headers=change(route.request_headers, request.headers),
    )


class Entrance(Struct, frozen=True):
    """How the client came in. ``port``: the one to assume where its Host names none; 0 where there is none."""

    scheme: str
    port: int


def answer(
    route: Route, given: Redirect | DirectResponse, request: Request, entrance: Entrance
) -> tuple[int, Lines, str]:
    """Status, headers and body of a route's own answer."""
    match given:
        case Redirect():
            own: Lines = (("location", _location(route, given, request, entrance)),)
            body = ""
        case DirectResponse():
            own = (("content-type", "text/plain"),) if given.body else ()
            body = "" if request.method == "HEAD" else given.body
        case _:
            assert_never(given)
    return given.status, change(route.response_headers, own), body


def _location(route: Route, redirect: Redirect, request: Request, entrance: Entrance) -> str:
    host = request.values("host")[0]
    scheme = redirect.scheme or entrance.scheme
    found = _PORT.search(host)
    came_by = int(found[1]) if found and 0 < len(found[1]) <= _PORT_DIGITS else entrance.port
    port = redirect.port or (_DEFAULT_PORTS[scheme] if redirect.scheme else came_by)
    shown = f":{port}" if port and port != _DEFAULT_PORTS[scheme] else ""
    path = _path(route, request.path, redirect.prefix, redirect.path)
    query = request.target[len(request.path) :]
    return f"{scheme}://{redirect.hostname or hostname(host)}{shown}{path}{query}"


def _path(route: Route, path: str, prefix: str, full: str) -> str:
    if full:
        return full
    if not prefix:
        return path
    rest = path[len(route.match.path.value.rstrip("/")) :]
    return prefix.rstrip("/") + rest or "/"


def told(route: Route, request: Request, sent: Request) -> Iterator[Step]:
    """What path, host and headers become; ``sent`` is the request as it leaves."""
    at = route.rewrite.at if route.rewrite is not None else None
    if sent.target != request.target:
        yield Step(Topic.FILTER, f"the target `{request.target}` becomes `{sent.target}`", at)
    if route.rewrite is not None and route.rewrite.hostname:
        yield Step(Topic.FILTER, f"the host becomes `{route.rewrite.hostname}`", at)
    yield from _changes_told(Topic.FILTER, route, route.request_headers, "")


def answer_told(route: Route) -> Iterator[Step]:
    """What becomes of the headers of the answer, on the way back."""
    yield from _changes_told(Topic.RESPONSE, route, route.response_headers, "of the answer ")


def _changes_told(topic: Topic, route: Route, changes: HeaderChanges, whose: str) -> Iterator[Step]:
    at = next((each.at for each in changes.asks), route.at)
    for name in changes.remove:
        yield Step(topic, f"header `{name}` {whose}is removed", at)
    for name, value in changes.set:
        yield Step(topic, f"header `{name}` {whose}becomes `{value}`", at)
    for name, value in changes.add:
        yield Step(topic, f"header {whose}is added: `{name}: {value}`", at)
