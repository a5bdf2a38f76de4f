"""What Envoy 1.40 can do alone but not together."""

from __future__ import annotations

from collections.abc import Iterator

from meshctl.ir import AuthorizationRule, Feature, RouteMatch, Sidecar
from meshctl.targets.base import Conflict
from meshctl.targets.envoy.joined_headers import is_joined
from meshctl.targets.envoy.routes import routes

METHODS = frozenset(
    [
        "ACL",
        "BIND",
        "CHECKOUT",
        "CONNECT",
        "COPY",
        "DELETE",
        "GET",
        "HEAD",
        "LINK",
        "LOCK",
        "MERGE",
        "MKACTIVITY",
        "MKCALENDAR",
        "MKCOL",
        "MOVE",
        "NOTIFY",
        "OPTIONS",
        "PATCH",
        "POST",
        "PROPFIND",
        "PROPPATCH",
        "PURGE",
        "PUT",
        "REBIND",
        "REPORT",
        "SEARCH",
        "SOURCE",
        "SUBSCRIBE",
        "TRACE",
        "UNBIND",
        "UNLINK",
        "UNLOCK",
        "UNSUBSCRIBE",
    ]
)
"""Those that Envoy reads. It has a switch for all others, but one that it calls work in progress."""


def _matches_of_unknown_methods(sidecar: Sidecar) -> Iterator[RouteMatch]:
    for route in routes(sidecar):
        if not METHODS.issuperset(route.match.methods):
            yield route.match


def _rules_of_unknown_methods(sidecar: Sidecar) -> Iterator[AuthorizationRule]:
    if sidecar.inbound:
        its = sidecar.inbound.authorization
        for rule in (*its.deny, *its.rules):
            if not METHODS.issuperset(rule.methods):
                yield rule


def _denials_by_joined_header(sidecar: Sidecar) -> Iterator[AuthorizationRule]:
    if sidecar.inbound:
        for rule in sidecar.inbound.authorization.deny:
            if any(is_joined(header.name) for header in rule.headers):
                yield rule


_UNKNOWN_METHOD = "Envoy answers 400 to methods that it does not know, such as QUERY or M-SEARCH"

CONFLICTS: tuple[Conflict, ...] = (
    Conflict(
        features=(Feature.METHOD_MATCH,),
        offenders=_matches_of_unknown_methods,
        why=_UNKNOWN_METHOD,
        instead="match on a method that Envoy knows, or let the caller use another proxy",
    ),
    Conflict(
        features=(Feature.AUTHORIZATION_RULES,),
        offenders=_rules_of_unknown_methods,
        why=_UNKNOWN_METHOD,
        instead="name methods that Envoy knows, or let the service use another proxy",
    ),
    Conflict(
        features=(Feature.AUTHORIZATION_RULES,),
        offenders=_denials_by_joined_header,
        why="Envoy joins repeated lines of this header as it reads them, so a second line would get a caller "
        "past the `deny`",
        instead="deny by another header, allow by this one instead, or let the service use another proxy",
    ),
)
