"""What a route changes on the way, or answers by itself. Done in ``filters.lua``, from what is listed here."""

from __future__ import annotations

from meshctl import ir
from meshctl.targets.nginx import model_outbound as model
from meshctl.targets.nginx import quoting

ANSWER = quoting.word("@answer")
"""Gives the route's own answer."""

REQUEST_LINES = frozenset(
    [
        "accept-encoding",
        "authorization",
        "content-type",
        "date",
        "depth",
        "destination",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "overwrite",
        "range",
        "referer",
        "user-agent",
        "via",
        "x-real-ip",
    ]
)
"""NGINX keeps these in fields of their own, and Lua can only replace what is there."""
RESPONSE_LINES = frozenset(
    [
        "accept-ranges",
        "content-encoding",
        "content-type",
        "date",
        "etag",
        "expires",
        "last-modified",
        "location",
        "refresh",
        "server",
    ]
)
"""The same of answers."""


def adds_to_one_line(changes: ir.HeaderChanges) -> bool:
    """Whether a line is added to a header of a request that NGINX keeps in one."""
    return any(name in REQUEST_LINES for name, _ in changes.add)


def adds_to_answers_line(changes: ir.HeaderChanges) -> bool:
    """The same of an answer."""
    return any(name in RESPONSE_LINES for name, _ in changes.add)


def changes_requests(route: ir.Route) -> bool:
    """Whether something is done to the request on its way to the callee."""
    return route.rewrite is not None or bool(route.request_headers)


def changes_path(route: ir.Route) -> bool:
    """Whether the callee sees another path."""
    return route.rewrite is not None and bool(route.rewrite.prefix or route.rewrite.path)


def needed(route: ir.Route) -> bool:
    """Whether Lua has to know the route."""
    return changes_requests(route) or bool(route.response_headers) or route.answer is not None


def key(route: ir.Route) -> object:
    """Matches of one route with the same key can share a number."""
    if not needed(route):
        return None
    matched = _matched(route.match) if _keeps_the_rest(route) else 0
    return (route.rewrite, route.request_headers, route.response_headers, route.answer, matched)


def written(number: int, route: ir.Route) -> model.Filter:
    """The entry of route ``number``."""
    rewrite, answer = route.rewrite, route.answer
    redirect = answer if isinstance(answer, ir.Redirect) else None
    response = answer if isinstance(answer, ir.DirectResponse) else None
    return model.Filter(
        number=number,
        rewrite=_path(route, rewrite.prefix, rewrite.path) if rewrite and changes_path(route) else None,
        hostname=quoting.lua_string(rewrite.hostname) if rewrite and rewrite.hostname else None,
        request_headers=_headers(route.request_headers, REQUEST_LINES),
        response_headers=_headers(route.response_headers, RESPONSE_LINES),
        redirect=None if redirect is None else _redirect(route, redirect),
        response=None
        if response is None
        else model.DirectResponse(response.status, quoting.lua_text(response.body)),
    )


def _redirect(route: ir.Route, redirect: ir.Redirect) -> model.Redirect:
    return model.Redirect(
        status=redirect.status,
        scheme=quoting.lua_string(redirect.scheme),
        hostname=quoting.lua_string(redirect.hostname),
        port=redirect.port,
        path=_path(route, redirect.prefix, redirect.path),
    )


def _path(route: ir.Route, prefix: str, path: str) -> model.PathChange:
    return model.PathChange(
        matched=_matched(route.match),
        # Without a slash at its end: what follows the matched prefix brings one, if there is one.
        prefix=quoting.lua_string(prefix.rstrip("/")) if prefix else None,
        path=quoting.lua_string(path) if path else None,
    )


def _matched(match: ir.RouteMatch) -> int:
    """Characters of the path that a new prefix takes the place of."""
    if match.path.kind is not ir.PathMatchKind.PREFIX or match.path.takes_everything:
        return 0
    return len(match.path.value)


def _keeps_the_rest(route: ir.Route) -> bool:
    redirects = isinstance(route.answer, ir.Redirect) and bool(route.answer.prefix)
    return redirects or (route.rewrite is not None and bool(route.rewrite.prefix))


def _headers(changes: ir.HeaderChanges, one_line: frozenset[str]) -> model.HeaderChanges | None:
    if not changes:
        return None
    return model.HeaderChanges(
        removed=tuple(quoting.lua_string(name) for name in changes.remove),
        replaced=_lines(changes.set, frozenset()),
        appended=_lines(changes.add, one_line),
    )


def _lines(lines: tuple[tuple[str, str], ...], one_line: frozenset[str]) -> tuple[model.HeaderLine, ...]:
    return tuple(
        model.HeaderLine(quoting.lua_string(name), quoting.lua_string(value), joined=name in one_line)
        for name, value in lines
    )
