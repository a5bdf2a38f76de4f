"""Redirects that lead back to themselves, told by a request that is sent round.

A request that gets to the redirect is followed as a client would, over the virtual hosts that the same caller (or
whoever comes to a gateway) sees, until somebody else answers or it comes by where it was. What is told is so; a loop
that only other requests of a route meet is not found. Rewrites cannot go round: a request is routed once. Redirects
that the effort does not suffice for are counted in a remark.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product

from msgspec import Struct
from msgspec.structs import replace

from meshctl.diagnostics import Related, Severity
from meshctl.ir.canonical import refusal
from meshctl.lint.checks.base import Check, Violation
from meshctl.lint.checks.rules import run
from meshctl.lint.checks.tables import Table, tables, written
from meshctl.lint.facts import MatchFacts, Value, World, place
from meshctl.lint.requests import Conditions, Effort, Request, Search, UndecidedError, conditions

MOST = 1_000_000
"""The effort for one mesh; of the redirects that are left then a remark says how many they are."""
_HOPS = 20
"""So often do browsers follow (Fetch, section 4.4)."""
_SHOWN = 4
_GOES_ON_WITH_GET = ("301", "302", "303")
_DEFAULT_PORTS = {"http": "80", "https": "443"}


class _Host(Struct, frozen=True):
    """One virtual host as one group of callers sees it."""

    table: Table
    asked: tuple[Conditions, ...]

    @property
    def hostnames(self) -> tuple[str, ...]:
        return self.table[0].hostnames

    @property
    def callers(self) -> tuple[str, ...]:
        return self.table[0].callers

    @property
    def entrance(self) -> str:
        return self.table[0].entrance

    def route(self, request: Request) -> MatchFacts | None:
        """The first match that takes a request."""
        for match, asked in zip(self.table, self.asked, strict=True):
            if all(map(request.fulfils, asked)):
                return match
        return None


class _Loop(Struct, frozen=True):
    """The targets that a client is sent to, each by its redirect; from ``begins`` on it goes round."""

    first: str
    went: tuple[tuple[str, MatchFacts], ...]
    begins: int


def check(world: World, params: Mapping[str, Value]) -> Iterator[Violation]:
    """The first loop that each redirect leads into."""
    redirects = any(each.redirect for each in world.matches)
    hosts = [_Host(table, tuple(map(conditions, table))) for table in tables(world)] if redirects else []
    told: set[tuple[object, ...]] = set()
    unknown: dict[tuple[object, ...], MatchFacts] = {}
    left = Effort(MOST)
    for host in hosts:
        for number, match in enumerate(host.table):
            if match.redirect and written(match) not in told:
                try:
                    loop = _loop(hosts, host, number, left)
                except UndecidedError:
                    unknown.setdefault(written(match), match)
                    continue
                if loop is not None:
                    round_trip = {written(each) for _, each in loop.went[loop.begins :]}
                    if not told & round_trip:
                        yield _violation(loop)
                    told |= round_trip
    if unknown:
        yield _not_followed(list(unknown.values()))


def _loop(hosts: Sequence[_Host], host: _Host, number: int, left: Effort) -> _Loop | None:
    search = Search([host.asked[number]], host.asked[:number])
    request = run(search, left)
    match = host.table[number]
    kind, _, path = match.path.partition(" ")
    if request is None:
        return None
    tried = [request]
    if kind == "prefix":
        tried += [replace(request, path=each) for each in (path, f"{path.rstrip('/')}/x")]
    for name, each in product(_names(hosts, host), tried):
        loop = _followed(hosts, host, name, each, left)
        if loop is not None:
            return loop
    return None


def _names(hosts: Sequence[_Host], host: _Host) -> list[str]:
    """Names to ask by: the host's own, or one of its wildcard and those below it that others have elsewhere."""
    name = host.hostnames[0]
    if not name.startswith("*"):
        return [name]
    beside = _beside(hosts, host)
    taken = {each for other in beside for each in other.hostnames}
    exact = (each for other in hosts for each in other.hostnames if "*" not in each and each not in taken)
    own = (each for each in exact if each.endswith(name[1:]) and _by_name(beside, each) is host)
    return ["any.example" if name == "*" else f"any{name[1:]}", *islice(own, _SHOWN)]


def _beside(hosts: Sequence[_Host], host: _Host) -> list[_Host]:
    """Where the same client comes by other names: at the same entrance, or through the same sidecar."""
    if host.entrance:
        return [each for each in hosts if each.entrance == host.entrance]
    caller = host.callers[0]
    return [each for each in hosts if not each.entrance and caller in each.callers]


def _followed(hosts: Sequence[_Host], host: _Host, name: str, request: Request, left: Effort) -> _Loop | None:
    """Where a client is sent, if that does not end."""
    first = f"{request.method} {name}{request.target}"
    went: list[tuple[str, MatchFacts]] = []
    port = ""
    seen = {(host.entrance, name, request): 0}
    while len(went) <= _HOPS:
        left.spend(len(host.table) + len(hosts))
        match = host.route(request) if refusal(request.path) is None else None
        if match is None or not match.redirect:
            return None
        redirect = match.redirect
        name = redirect.get("hostname", name)
        onward = _next_host(hosts, host, name, redirect)
        if onward is None:
            return None
        method = request.method if redirect["status"] not in _GOES_ON_WITH_GET else "GET"
        request = replace(request, method=method, path=_path(match, request.path))
        host = onward
        port = redirect.get("port", "" if "scheme" in redirect else port)
        went.append((f"{_shown(host, name, port)}{request.target}", match))
        begins = seen.setdefault((host.entrance, name, request), len(went))
        if begins < len(went):
            return _Loop(first, tuple(went), begins)
    return _Loop(first, tuple(went), _HOPS // 2)


def _shown(host: _Host, name: str, port: str) -> str:
    """A target as the client is told it, a port only where that is not its scheme's own."""
    if not host.entrance:
        return name
    scheme = host.entrance.partition(" ")[0]
    return f"{scheme}://{name}{f':{port}' if port not in ('', _DEFAULT_PORTS[scheme]) else ''}"


def _next_host(hosts: Sequence[_Host], host: _Host, name: str, redirect: Mapping[str, str]) -> _Host | None:
    """Who is asked next; None where that is nobody of ours."""
    if not host.entrance:
        # A sidecar's own port is no default of any scheme, so a written one leads away from it.
        return None if {"scheme", "port"} & redirect.keys() else _by_name(_beside(hosts, host), name)
    scheme, _, port = host.entrance.partition(" ")
    if "port" in redirect or redirect.get("scheme", scheme) != scheme:
        scheme = redirect.get("scheme", scheme)
        port = redirect.get("port", _DEFAULT_PORTS[scheme])
    # The same scheme without a port: where 443 comes in at 8443, the client is here again.
    return _by_name([each for each in hosts if each.entrance == f"{scheme} {port}"], name)


def _path(match: MatchFacts, path: str) -> str:
    redirect = match.redirect
    if "path" in redirect:
        return redirect["path"]
    if "prefix" not in redirect:
        return path
    rest = path[len(match.path.partition(" ")[2].rstrip("/")) :]
    return redirect["prefix"].rstrip("/") + rest or "/"


def _by_name(hosts: Sequence[_Host], name: str) -> _Host | None:
    """An exact name beats a wildcard, a longer wildcard a shorter one."""
    named = {each: host for host in hosts for each in host.hostnames}
    fitting = (each for each in named if each.startswith("*") and name.endswith(each[1:]))
    return named.get(name) or named.get(max(fitting, key=len, default=""))


def _violation(loop: _Loop) -> Violation:
    (_, match), *others = {id(each): (target, each) for target, each in loop.went[loop.begins :]}.values()
    targets = " → ".join(target for target, _ in loop.went[:_SHOWN])
    more = " → …" if len(loop.went) > _SHOWN else ""
    return Violation(
        place(match),
        {
            "route": match.route,
            "service": match.service,
            "how": f"redirects for ever: `{loop.first}` is sent to {targets}{more}",
        },
        related=tuple(
            Related(at, f"`{each.route}` of `{each.service}` sends it on")
            for _, each in others[:_SHOWN]
            if (at := place(each)) is not None
        ),
    )


def _not_followed(matches: Sequence[MatchFacts]) -> Violation:
    first = matches[0]
    more = f", nor of {len(matches) - 1} more redirects" if matches[1:] else ""
    how = f"may redirect for ever, which was not found out of it{more}"
    return Violation(
        place(first), {"route": first.route, "service": first.service, "how": how}, severity=Severity.INFO
    )


CHECK = Check(check, {}, ("route", "service", "how"))
