"""Which virtual host and which route take a request."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import assert_never

from meshctl.ir import HeaderMatch, OutboundListener, PathMatch, PathMatchKind, Route, RouteMatch, VirtualHost

_PORT = re.compile(r":[0-9]*\Z")

Headers = Sequence[tuple[str, str]]
"""Lines in the order in which they came, names in any case."""


def hostname(host: str) -> str:
    """A Host header's value without port and root dot, in lower case."""
    return _PORT.sub("", host).removesuffix(".").lower()


def virtual_host(outbound: OutboundListener, host: str) -> VirtualHost | int:
    """The virtual host of that name, or the status of the answer where there is none."""
    name = hostname(host)
    for each in outbound.virtual_hosts:
        if name in each.hostnames:
            return each
    of_the_mesh = "." not in name or name.endswith(f".{outbound.domain}")
    return 403 if of_the_mesh else 404


def route(host: VirtualHost, method: str, path: str, headers: Headers) -> Route | None:
    """The first route in order that matches. ``path`` is without the query."""
    return next((each for each in host.routes if _matches(each.match, method, path, headers)), None)


def _matches(match: RouteMatch, method: str, path: str, headers: Headers) -> bool:
    return (
        _takes_path(match.path, path)
        and (not match.methods or method in match.methods)
        and all(_takes_headers(each, headers) for each in match.headers)
    )


def _takes_path(match: PathMatch, path: str) -> bool:
    match match.kind:
        case PathMatchKind.EXACT:
            return path == match.value
        case PathMatchKind.PREFIX:
            return match.takes_everything or path == match.value or path.startswith(f"{match.value}/")
        case PathMatchKind.REGEX:
            raise NotImplementedError
    assert_never(match.kind)


def _takes_headers(match: HeaderMatch, headers: Headers) -> bool:
    return any(name.lower() == match.name and value == match.value for name, value in headers)
