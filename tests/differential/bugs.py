"""Bugs as emitters have them, to be planted one at a time: each replaces one function of one target."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from msgspec.structs import replace

from meshctl import ir
from meshctl.ir import PathMatchKind, Proxy
from meshctl.targets.envoy import authorization as envoy_authorization
from meshctl.targets.envoy import matching as envoy_matching
from meshctl.targets.envoy import retries as envoy_retries
from meshctl.targets.envoy import routing as envoy_routing
from meshctl.targets.envoy import splitting as envoy_splitting
from meshctl.targets.haproxy import authorization as haproxy_authorization
from meshctl.targets.haproxy import matching as haproxy_matching
from meshctl.targets.haproxy import quoting as haproxy_quoting
from meshctl.targets.haproxy import retries as haproxy_retries
from meshctl.targets.haproxy import routing as haproxy_routing
from meshctl.targets.haproxy import splitting as haproxy_splitting
from meshctl.targets.haproxy.model import Criterion
from meshctl.targets.haproxy.quoting import Token
from meshctl.targets.haproxy.sections import Outcome
from meshctl.targets.nginx import authorization as nginx_authorization
from meshctl.targets.nginx import matching as nginx_matching
from meshctl.targets.nginx import quoting as nginx_quoting
from meshctl.targets.nginx import retries as nginx_retries
from meshctl.targets.nginx import routing as nginx_routing
from meshctl.targets.nginx import splitting as nginx_splitting
from meshctl.targets.nginx.quoting import Token as NginxToken

Function = Callable[..., Any]


@dataclass(frozen=True)
class Bug:
    """``name`` of ``where`` is replaced by what ``wrong`` makes of it."""

    proxy: Proxy
    title: str
    where: object
    name: str
    wrong: Callable[[Function], Function]
    short: bool = False
    """Also in short runs."""


def _before(change: Callable[[Any], Any], index: int = 0) -> Callable[[Function], Function]:
    """The same function of another argument."""

    def wrong(right: Function) -> Function:
        def function(*given: Any, **named: Any) -> Any:
            return right(*given[:index], change(given[index]), *given[index + 1 :], **named)

        return function

    return wrong


def _behind(change: Callable[[Any], Any]) -> Callable[[Function], Function]:
    """Another result of the same function."""
    return lambda right: lambda *given, **named: change(right(*given, **named))


def _last_first(host: Any) -> Any:
    return replace(host, routes=host.routes[::-1])


def _nothing_denied(authorization: ir.Authorization) -> ir.Authorization:
    return replace(
        authorization, deny=tuple(replace(rule, principals=(), anyone=False) for rule in authorization.deny)
    )


def _methods_alike(policy: ir.RetryPolicy) -> ir.RetryPolicy:
    return replace(policy, non_idempotent=True)


def _bare_prefix(message: dict[str, Any]) -> dict[str, Any]:
    prefix = message.pop("path_separated_prefix", None)
    return {**message, "prefix": prefix} if prefix else message


def _first_weighs_more(weighted: tuple[ir.WeightedCluster, ...]) -> tuple[ir.WeightedCluster, ...]:
    return (replace(weighted[0], weight=weighted[0].weight + 1), *weighted[1:])


def _haproxy_path(right: Function) -> Function:
    def path(name: Token, path: ir.PathMatch, *, strictly: bool) -> Iterator[Any]:
        if path.kind is PathMatchKind.PREFIX:
            word = haproxy_quoting.word(path.value)
            yield Criterion(name, Token("path -m beg"), (word,))
        else:
            yield from right(name, path, strictly=strictly)

    return path


def _caseless(right: Function) -> Function:
    def path(name: Token, path: ir.PathMatch, *, strictly: bool) -> Iterator[Any]:
        for each in right(name, path, strictly=strictly):
            yield replace(each, test=Token(f"{each.test} -i"))

    return path


def _nginx_prefix(right: Function) -> Function:
    def piece(match: ir.PathMatch) -> str:
        if match.kind is PathMatchKind.PREFIX:
            return nginx_quoting.literal_regex(match.value)
        found: str = right(match)
        return found

    return piece


BUGS = (
    Bug(
        Proxy.ENVOY,
        "wrong precedence",
        envoy_routing.RouteTable,
        "_virtual_host",
        _before(_last_first, 1),
        short=True,
    ),
    Bug(Proxy.ENVOY, "prefix without segments", envoy_matching, "_path", _behind(_bare_prefix)),
    Bug(
        Proxy.ENVOY,
        "unanchored regex",
        envoy_matching,
        "_path",
        _before(
            lambda path: replace(path, value=f"{path.value}.*") if path.kind is PathMatchKind.REGEX else path
        ),
    ),
    Bug(
        Proxy.ENVOY,
        "case",
        envoy_matching,
        "_path",
        _behind(lambda message: message | {"case_sensitive": False}),
    ),
    Bug(Proxy.ENVOY, "missing deny", envoy_authorization, "http_filters", _before(_nothing_denied)),
    Bug(
        Proxy.ENVOY,
        "retry on POST",
        envoy_retries,
        "by_method",
        _before(lambda route: replace(route, retries=_methods_alike(route.retries))),
        short=True,
    ),
    Bug(
        Proxy.HAPROXY,
        "wrong precedence",
        haproxy_routing,
        "hosts",
        _behind(lambda found: tuple(map(_last_first, found))),
    ),
    Bug(Proxy.HAPROXY, "prefix without segments", haproxy_matching, "_path", _haproxy_path),
    Bug(
        Proxy.HAPROXY,
        "unanchored regex",
        haproxy_quoting,
        "whole_regex",
        lambda _: haproxy_quoting.regex,
        short=True,
    ),
    Bug(Proxy.HAPROXY, "case", haproxy_matching, "_path", _caseless),
    Bug(Proxy.HAPROXY, "missing deny", haproxy_authorization, "access", _before(_nothing_denied), short=True),
    Bug(
        Proxy.HAPROXY,
        "retry on POST",
        haproxy_retries,
        "_outcome",
        lambda _: lambda status, who: Outcome(Token(f"{{ status {status} }} {who}"), status),
    ),
    Bug(Proxy.NGINX, "wrong precedence", nginx_routing, "reachable", _before(lambda its: its[::-1])),
    Bug(Proxy.NGINX, "prefix without segments", nginx_matching, "path", _nginx_prefix),
    Bug(
        Proxy.NGINX,
        "unanchored regex",
        nginx_matching,
        "path",
        _behind(lambda pattern: pattern.removesuffix(r"\z")),
    ),
    Bug(Proxy.NGINX, "case", nginx_quoting, "map_pattern", _before(lambda expression: f"*{expression}")),
    Bug(
        Proxy.NGINX,
        "$uri",
        nginx_routing._Writer,
        "key",
        _behind(
            lambda key: NginxToken(key.replace("$request_uri", "$uri").replace("$canonical_path", "$uri"))
        ),
        short=True,
    ),
    Bug(Proxy.NGINX, "missing deny", nginx_authorization, "decisions", _before(_nothing_denied)),
    Bug(Proxy.NGINX, "retry on POST", nginx_retries, "retries", _before(_methods_alike)),
)

WEIGHTS = (
    Bug(Proxy.ENVOY, "weight off by one", envoy_splitting, "backends", _before(_first_weighs_more)),
    Bug(
        Proxy.HAPROXY,
        "weight off by one",
        haproxy_splitting,
        "accumulate",
        lambda _: lambda weights: (bound + 1 for bound in accumulate(weights)),
    ),
    Bug(
        Proxy.NGINX,
        "weight off by one",
        nginx_splitting,
        "splits",
        _before(lambda its: [(its[0][0], its[0][1] + 1), *its[1:]], 1),
        short=True,
    ),
)
"""Of these only many draws of one split can tell."""
