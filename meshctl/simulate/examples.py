"""Requests that a route sends to a callee and a rule there lets in: found, or shown that there is none.

Conditions only ever ask that something is there, never that it is not, so less in a request is never worse: one line for
each header that is asked for, and nothing else. Of paths those are enough that somebody wrote, and one below each
prefix, with a last segment that nobody wrote. So without regular expressions the search is complete; where they
decide, it asks again as if those that must hold always held, and the others never.
"""

from __future__ import annotations

import itertools
import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from meshctl.ir import (
    Authorization,
    AuthorizationRule,
    HeaderMatch,
    InboundListener,
    JwtIssuer,
    PathMatch,
    PathMatchKind,
    Protocol,
    QueryMatch,
    Route,
    RouteMatch,
    ValueMatchKind,
    VirtualHost,
)
from meshctl.ir.reachability import Example
from meshctl.simulate import authorization, filters, inbound, routing
from meshctl.simulate.authorization import Verdict
from meshctl.simulate.matching import takes_headers
from meshctl.simulate.message import Request

MOST_TRIED = 4000
"""Requests tried for one rule behind one route; where that is not enough, it may be so."""

EVERYTHING = PathMatch(PathMatchKind.PREFIX, "/")
_ANY = "example"
_METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "X-EXAMPLE")
_YEAR_2100 = 4_102_444_800


class Lead(Struct, frozen=True):
    """A route, by its place behind a virtual host, that sends requests or, as a mirror, copies to the callee."""

    host: VirtualHost
    index: int
    copy: bool = False

    @property
    def route(self) -> Route:
        """The route itself."""
        return self.host.routes[self.index]


class Found(Struct, frozen=True):
    """A way through. No ``request``: neither was one found nor shown that there is none."""

    lead: Lead
    request: Request | None


def example(way: Found, scheme: str) -> Example | None:
    """The request of ``way`` for people."""
    if way.request is None:
        return None
    (_, host), *lines = way.request.headers
    return Example(way.request.method, f"{scheme}://{host}{way.request.target}", tuple(lines))


def search(leads: Sequence[Lead], listener: InboundListener, rule: AuthorizationRule | None) -> Found | None:
    """The first way that ``rule`` lets through, past every deny rule of ``listener``; None: there is certainly none.

    All rules must be written for everybody, with and without certificate. Without a rule nothing is asked at the
    listener but its gate.
    """
    unsure: Lead | None = None
    for lead in leads:
        request, complete = _through(lead, _alone(listener, rule), rule)
        if request is not None:
            return Found(lead, request)
        if unsure is None and (not complete or _perhaps(lead, listener, rule)):
            unsure = lead
    return Found(unsure, None) if unsure is not None else None


def _alone(listener: InboundListener, rule: AuthorizationRule | None) -> InboundListener:
    its = replace(listener.authorization, rules=(rule,) if rule is not None else (), exempt=())
    return replace(listener, authorization=its)


def _through(
    lead: Lead, listener: InboundListener, rule: AuthorizationRule | None
) -> tuple[Request | None, bool]:
    """A request that comes through, and whether all that are worth trying were tried."""
    tried = 0
    for asked in _candidates(lead, listener, rule):
        tried += 1
        if tried > MOST_TRIED:
            return None, False
        if routing.route(lead.host, asked) is not lead.route or inbound.gate(asked):
            continue
        sent = _sent(lead, listener, asked)
        if inbound.gate(sent):
            continue
        if rule is None or authorization.decide(listener, None, sent).verdict is Verdict.ALLOWED:
            return asked, True
    return None, True


def _sent(lead: Lead, listener: InboundListener, asked: Request) -> Request:
    sent = filters.changed(lead.route, asked.next_hop(upgrade=True))
    return sent if listener.protocol is Protocol.HTTP else sent.next_hop()


def _candidates(lead: Lead, listener: InboundListener, rule: AuthorizationRule | None) -> Iterator[Request]:
    match = lead.route.match
    query = "&".join(f"{each.name}={_value(each)}" for each in match.queries)
    lines = tuple((each.name, _value(each)) for each in match.headers if each.name != "host")
    for path, method, host, token in itertools.product(
        tuple(_paths(lead, listener, rule)),
        _methods(match, rule),
        tuple(dict.fromkeys(map(_host, lead.host.hostnames))),
        tuple(_tokens(listener, rule)),
    ):
        headers = (("host", host), *lines, *((("authorization", f"Bearer {token}"),) if token else ()))
        asked = Request(method, f"{path}?{query}" if query else path, headers)
        sent = _sent(lead, listener, asked)
        more = tuple(
            (each.name, _value(each))
            for each in (rule.headers if rule is not None else ())
            if not takes_headers(each, sent.headers)
        )
        yield replace(asked, headers=(*headers, *more))


def _value(condition: HeaderMatch | QueryMatch) -> str:
    return condition.value if condition.kind is ValueMatchKind.EXACT else _ANY


def _host(pattern: str) -> str:
    return f"{_ANY}.com" if pattern == "*" else pattern.replace("*", _ANY)


def _methods(match: RouteMatch, rule: AuthorizationRule | None) -> tuple[str, ...]:
    asked = rule.methods if rule is not None else ()
    if match.methods and asked:
        return tuple(each for each in match.methods if each in asked)
    return match.methods or asked or _METHODS


def _paths(lead: Lead, listener: InboundListener, rule: AuthorizationRule | None) -> Iterator[str]:
    """Of each prefix the path itself and one below it that no condition can mean by itself."""
    fresh = _fresh(lead.host, listener.authorization)
    asked = [_back(lead.route, each) for each in (rule.paths if rule is not None else ())]
    seen = set()
    for each in (*asked, lead.route.match.path):
        if each.kind is PathMatchKind.REGEX:
            continue
        below = (f"{each.value.rstrip('/')}/{fresh}",) if each.kind is PathMatchKind.PREFIX else ()
        for path in (each.value, *below):
            if path not in seen:
                seen.add(path)
                yield path


def _back(route: Route, match: PathMatch) -> PathMatch:
    """What the application asks for, that the callee gets as ``match`` means it."""
    if route.rewrite is None or not route.rewrite.prefix or match.kind is PathMatchKind.REGEX:
        return match
    own, new = route.match.path.value.rstrip("/"), route.rewrite.prefix.rstrip("/")
    if match.value == new or match.value.startswith(f"{new}/"):
        return replace(match, value=own + match.value[len(new) :] or "/")
    return route.match.path


def _fresh(host: VirtualHost, its: Authorization) -> str:
    written = [each.match.path.value for each in host.routes]
    written += [path.value for rule in (*its.rules, *its.deny) for path in rule.paths]
    found = _ANY
    while any(found in each for each in written):
        found += "-x"
    return found


def _tokens(listener: InboundListener, rule: AuthorizationRule | None) -> Iterator[str]:
    """A token that says what the rule wants, by each key and for each audience."""
    if rule is None or rule.jwt is None:
        yield ""
        return
    name = rule.jwt.issuer
    issuer = next(each for each in listener.authorization.issuers if each.name == name)
    for key, audience in itertools.product(issuer.keys, issuer.audiences or ("",)):
        head = {"alg": key.algorithm.value, "kid": key.kid or _ANY}
        yield f"{_encoded(head)}.{_encoded(_claims(rule, issuer, audience))}.AA"


def _claims(rule: AuthorizationRule, issuer: JwtIssuer, audience: str) -> dict[str, object]:
    wanted = {each.name: each.value for each in rule.jwt.claims} if rule.jwt is not None else {}
    audiences = [each for each in (audience, wanted.pop("aud", "")) if each]
    own = {"iss": issuer.issuer, "exp": _YEAR_2100, **({"aud": audiences} if audiences else {})}
    return {**wanted, **own}


def _encoded(part: Mapping[str, object]) -> str:
    return urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def _perhaps(lead: Lead, listener: InboundListener, rule: AuthorizationRule | None) -> bool:
    """Whether there could be a way, for all that regular expressions say."""
    easier = _easier_rule(rule) if rule is not None else None
    its = listener.authorization
    relaxed = replace(listener, authorization=replace(its, deny=tuple(_without_regexes(its.deny))))
    found, complete = _through(_easier(lead), _alone(relaxed, easier), easier)
    return found is not None or not complete


def _easier(lead: Lead) -> Lead:
    match = lead.route.match
    own = replace(
        match,
        path=EVERYTHING if match.path.kind is PathMatchKind.REGEX else match.path,
        headers=tuple(map(_easier_header, match.headers)),
        queries=tuple(
            replace(each, kind=ValueMatchKind.PRESENT) if each.kind is ValueMatchKind.REGEX else each
            for each in match.queries
        ),
    )
    before = tuple(each for each in lead.host.routes[: lead.index] if not _decides_by_regex(each.match))
    routes = (*before, replace(lead.route, match=own))
    return Lead(replace(lead.host, routes=routes), len(before), lead.copy)


def _decides_by_regex(match: RouteMatch) -> bool:
    return (
        match.path.kind is PathMatchKind.REGEX
        or any(each.kind is ValueMatchKind.REGEX for each in match.headers)
        or any(each.kind is ValueMatchKind.REGEX for each in match.queries)
        or any(each.name == "host" for each in match.headers)
    )


def _easier_rule(rule: AuthorizationRule) -> AuthorizationRule:
    by_regex = any(each.kind is PathMatchKind.REGEX for each in rule.paths)
    # A Host, or a token in its line, is there once; so what else is asked of it is taken for granted.
    kept = (each for each in rule.headers if each.name not in ("host", "authorization"))
    return replace(rule, paths=() if by_regex else rule.paths, headers=tuple(map(_easier_header, kept)))


def _easier_header(match: HeaderMatch) -> HeaderMatch:
    return replace(match, kind=ValueMatchKind.PRESENT) if match.kind is ValueMatchKind.REGEX else match


def _without_regexes(rules: Sequence[AuthorizationRule]) -> Iterator[AuthorizationRule]:
    for each in rules:
        paths = tuple(path for path in each.paths if path.kind is not PathMatchKind.REGEX)
        sure = all(line.kind is not ValueMatchKind.REGEX and line.name != "host" for line in each.headers)
        if sure and bool(paths) == bool(each.paths):
            yield replace(each, paths=paths)
