"""What a route changes on the way, or answers by itself."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import assert_never

from meshctl.ir import DirectResponse, HeaderChanges, OutboundListener, Redirect, Rewrite, Route
from meshctl.simulate.message import Request

_PORT = re.compile(r":([0-9]*)\Z")
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


def answer(
    route: Route, given: Redirect | DirectResponse, request: Request, listener: OutboundListener
) -> tuple[int, Lines, str]:
    """Status, headers and body of a route's own answer."""
    match given:
        case Redirect():
            own: Lines = (("location", _location(route, given, request, listener)),)
            body = ""
        case DirectResponse():
            own = (("content-type", "text/plain"),) if given.body else ()
            body = "" if request.method == "HEAD" else given.body
        case _:
            assert_never(given)
    return given.status, change(route.response_headers, own), body


def _location(route: Route, redirect: Redirect, request: Request, listener: OutboundListener) -> str:
    host = request.values("host")[0]
    scheme = redirect.scheme or ("https" if listener.tls else "http")
    port = redirect.port or (_DEFAULT_PORTS[scheme] if redirect.scheme else _port(host, listener))
    shown = f":{port}" if port and port != _DEFAULT_PORTS[scheme] else ""
    path = _path(route, request.path, redirect.prefix, redirect.path)
    query = request.target[len(request.path) :]
    return f"{scheme}://{redirect.hostname or hostname(host)}{shown}{path}{query}"


def _port(host: str, listener: OutboundListener) -> int:
    """The port that the client used: 0 where it is not known and the scheme's own will do."""
    found = _PORT.search(host)
    if found and found[1]:
        return int(found[1])
    faces_the_world = not listener.domain
    return listener.bind.port if faces_the_world else 0


def _path(route: Route, path: str, prefix: str, full: str) -> str:
    if full:
        return full
    if not prefix:
        return path
    rest = path[len(route.match.path.value.rstrip("/")) :]
    return prefix.rstrip("/") + rest or "/"
