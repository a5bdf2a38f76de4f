"""What a route changes on the way, or answers by itself."""

from __future__ import annotations

from collections.abc import Iterator

from meshctl import ir
from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Related
from meshctl.resolve.matching import (
    check_canonical,
    check_cases,
    check_repeats,
    header_place,
    is_of_the_mesh,
)
from meshctl.resolve.precedence import EVERY, specificity, takes
from meshctl.spec import Source
from meshctl.spec.filters import HeaderChangesSpec, PathChangeSpec, RedirectSpec
from meshctl.spec.routing import RouteMatchSpec, RouteSpec

DEFAULT_REDIRECT_STATUS = 302

_UNCHANGED = ir.HeaderChanges()

_KEEPS_METHOD = (307, 308)
"""All others let a client go on with GET (RFC 9110, section 15.4)."""

_OF_THE_CONNECTION = frozenset(
    (
        "connection",
        "content-length",
        "expect",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
_SENT_ON = ("backends", "mirror", "rewrite", "requestHeaders", "fault")
_BOUNDED = ("timeout", "bodyTimeout", "streaming", "retries")


def answer(route: RouteSpec, source: Source) -> ir.Redirect | ir.DirectResponse | None:
    """The answer that a route gives by itself, if it gives one."""
    if route.redirect is not None:
        written = route.redirect
        prefix, full = _path(written.path)
        return ir.Redirect(
            status=written.status or DEFAULT_REDIRECT_STATUS,
            scheme=written.scheme or "",
            hostname=written.hostname or "",
            port=written.port or 0,
            prefix=prefix,
            path=full,
            at=source.at("redirect"),
        )
    if route.respond is not None:
        return ir.DirectResponse(route.respond.status, route.respond.body or "", source.at("respond"))
    return None


def rewrite(route: RouteSpec, source: Source) -> ir.Rewrite | None:
    """What the callee sees instead of what the client sent."""
    if route.rewrite is None:
        return None
    prefix, full = _path(route.rewrite.path)
    return ir.Rewrite(prefix, full, route.rewrite.hostname or "", source.at("rewrite"))


def _path(written: PathChangeSpec | None) -> tuple[str, str]:
    """The new prefix without a slash at its end (but ``/`` alone), and the new whole path."""
    if written is None:
        return "", ""
    prefix = written.prefix and (written.prefix.rstrip("/") or "/")
    return prefix or "", written.full or ""


def header_changes(
    written: HeaderChangesSpec | None, feature: ir.Feature, source: Source, key: str
) -> ir.HeaderChanges:
    """The changes to the headers of one direction; ``source`` is the place of the route, ``key`` that of ``written``."""
    if written is None:
        return _UNCHANGED
    at = source.at(key)
    return ir.HeaderChanges(
        set=tuple(sorted((written.set or {}).items())),
        add=tuple(sorted((written.add or {}).items())),
        remove=tuple(sorted(set(written.remove or ()))),
        asks=(ir.FeatureUse(feature, at),) if at is not None else (),
    )


def check(route: RouteSpec, source: Source) -> Iterator[Finding]:
    """Faults of one route's filters; ``source`` is the route's place."""
    yield from _check_answer(source)
    for key, changed in (("rewrite", route.rewrite), ("redirect", route.redirect)):
        if changed is not None and changed.path is not None:
            yield from _check_path(changed.path, route, source[key]["path"])
    for key, changes in (
        ("requestHeaders", route.request_headers),
        ("responseHeaders", route.response_headers),
    ):
        if changes is not None:
            yield from _check_headers(changes, source[key])


def _check_answer(source: Source) -> Iterator[Finding]:
    """A route that answers by itself asks nothing of any callee."""
    answers = [key for key in ("redirect", "respond") if key in source]
    if not answers:
        return
    (key, *others) = (*answers, *(key for key in _SENT_ON if key in source))
    for other in others:
        message = f"a route with `{key}` cannot have `{other}` too"
        first = source.at(key)
        related = (Related(first, f"the `{key}`"),) if first else ()
        yield finding("conflicting-filters", source.at(other), message, related=related)
    for idle in _BOUNDED:
        if idle in source:
            message = f"`{idle}` bounds nothing here, for the sidecar answers by itself with `{key}`"
            yield finding("ineffective-setting", source.at(idle), message, remove=source.part(idle))


def _check_path(change: PathChangeSpec, route: RouteSpec, source: Source) -> Iterator[Finding]:
    if (change.prefix is None) == (change.full is None):
        yield finding("not-exactly-one", source.here, "a new path is either `prefix` or `full`")
    for kind, path in (("prefix", change.prefix), ("full", change.full)):
        if path is not None:
            yield from check_canonical(path, source.value_at(kind))
    if change.prefix is None:
        return
    for match in route.matches or ():
        if match.path is not None and match.path.prefix is None:
            kind = "exact" if match.path.exact is not None else "regex"
            message = f"route `{route.name}` replaces a prefix, but matches a path by `{kind}`"
            yield finding("prefix-change-without-prefix", source.at("prefix"), message)
            return


def _check_headers(changes: HeaderChangesSpec, source: Source) -> Iterator[Finding]:
    where: dict[str, str] = {}
    yield from check_repeats("a header is removed with all its lines", changes.remove, source["remove"])
    for kind, names in (("set", changes.set), ("add", changes.add), ("remove", changes.remove)):
        yield from check_cases("header", source[kind])
        for index, name in enumerate(names or ()):
            at = source["remove"].at(index) if kind == "remove" else header_place(source[kind], name)
            before = where.setdefault(name, kind)
            if before != kind:
                message = f"`{name}` is in `{before}` and in `{kind}`"
                yield finding("header-changed-twice", at, message)
            why = _untouchable(name)
            if why:
                yield finding("header-not-changeable", at, f"`{name}` cannot be changed: {why}")


def _untouchable(name: str) -> str:
    if name == "host":
        return "a request goes by it"
    if name in _OF_THE_CONNECTION:
        return "it belongs to one connection, and each sidecar writes its own"
    if is_of_the_mesh(name):
        return "it is the mesh's own"
    return ""


def check_loops(routes: list[RouteSpec], source: Source, *, listed: bool) -> Iterator[Finding]:
    """Redirects that surely lead to themselves; ``source`` is the place of ``routes``."""
    if all(each.redirect is None for each in routes):
        return
    every = [match for route in routes for match in route.matches or (EVERY,)]
    for index, route in enumerate(routes):
        redirect = route.redirect
        if redirect is None or redirect.scheme or redirect.hostname or redirect.port:
            continue
        for match in route.matches or (EVERY,):
            target = _target(redirect, match)
            if target is None or not _takes_again(target, redirect, match):
                continue
            mine = specificity(match)
            before = (each for each in every if each is not match and (listed or specificity(each) < mine))
            if not any(takes(each.path, target) is not False for each in before):
                message = f"route `{route.name}` redirects to `{target}`, which it takes again"
                yield finding("redirect-loop", source[index].at("redirect"), message)
                break


def _target(redirect: RedirectSpec, match: RouteMatchSpec) -> str | None:
    """A path that a client is sent to from what ``match`` takes; None where only a regex tells."""
    if redirect.path is not None and redirect.path.full is not None:
        return redirect.path.full
    if redirect.path is not None and redirect.path.prefix is not None:
        return redirect.path.prefix.rstrip("/") or "/"
    if match.path is None:
        return "/"
    return match.path.exact or match.path.prefix


def _takes_again(target: str, redirect: RedirectSpec, match: RouteMatchSpec) -> bool:
    keeps_method = redirect.status in _KEEPS_METHOD or not match.methods or "GET" in match.methods
    return keeps_method and takes(match.path, target) is True
