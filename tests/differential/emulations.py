"""Differences that are declared: by a feature that a proxy emulates, or in the wire contract's table of edges."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from meshctl import ir
from meshctl.ir import Feature, Proxy
from meshctl.targets.envoy.conflicts import METHODS
from meshctl.targets.envoy.joined_headers import is_joined, is_joined_in_answers
from meshctl.targets.nginx.filters import REQUEST_LINES, RESPONSE_LINES
from tests.differential import oracle
from tests.differential.exchanges import Exchange

Faults = list[str]
CALLER, CALLEE = "caller", "callee"


@dataclass(frozen=True)
class Declared:
    """Where ``proxy`` is the caller's or a callee's and ``shows`` holds, the simulator and it may disagree."""

    proxy: Proxy
    where: Feature | str
    """A feature that the proxy emulates, or the first cell of a row of the wire contract's last table."""
    shows: Callable[[Exchange, Faults], bool]
    roles: tuple[str, ...] = (CALLER, CALLEE)


def _unknown_method(exchange: Exchange, faults: Faults) -> bool:
    return exchange.answer.status == 400 and exchange.row.method not in METHODS


def _repeats_joined(exchange: Exchange, faults: Faults) -> bool:
    """Matching goes by the joined line too, so that anything may follow."""
    lines = Counter(name.lower() for name, _ in exchange.row.headers)
    return any(count > 1 and is_joined(name) for name, count in lines.items())


_LINES = re.compile(
    r"(?:try \d+: the application saw|the answer has) (\S+): \[(.*)\], the simulator says \[(.*)\]"
)


def _as_one_line(listed: str) -> tuple[str, str]:
    """With and without what is empty."""
    lines = listed[1:-1].split("', '")
    return f"'{','.join(lines)}'", f"'{','.join(filter(None, lines))}'"


def _joins(named: Callable[[str], bool]) -> Callable[[Exchange, Faults], bool]:
    """Nothing but lines of one of these headers that have become one."""

    def shows(exchange: Exchange, faults: Faults) -> bool:
        found = [_LINES.fullmatch(each) for each in faults]
        return all(each is not None and named(each[1]) and each[2] in _as_one_line(each[3]) for each in found)

    return shows


def _passes_te(exchange: Exchange, faults: Faults) -> bool:
    return all(" saw te: ['trailers'], the simulator says []" in each for each in faults)


def _begins_with_dot(exchange: Exchange, faults: Faults) -> bool:
    return (exchange.row.host or "").startswith(".")


DECLARED: tuple[Declared, ...] = (
    Declared(Proxy.ENVOY, "a method that Envoy does not know", _unknown_method),
    Declared(Proxy.NGINX, "a Host that begins with a dot", _begins_with_dot, (CALLER,)),
    Declared(Proxy.ENVOY, "`TE: trailers`", _passes_te),
    Declared(Proxy.ENVOY, "repeated lines of a header that Envoy joins", _repeats_joined),
    Declared(Proxy.ENVOY, Feature.REQUEST_HEADERS, _joins(is_joined)),
    Declared(Proxy.ENVOY, Feature.RESPONSE_HEADERS, _joins(is_joined_in_answers), (CALLER,)),
    Declared(Proxy.NGINX, Feature.REQUEST_HEADERS, _joins(REQUEST_LINES.__contains__), (CALLER,)),
    Declared(Proxy.NGINX, Feature.RESPONSE_HEADERS, _joins(RESPONSE_LINES.__contains__), (CALLER,)),
)


def declared(mesh: ir.Mesh, exchange: Exchange, faults: Faults) -> str | None:
    """Why a difference is no fault, if it is none."""
    proxies = {each.service: each.proxy for each in mesh.sidecars}
    clusters = (each.cluster.partition(".")[0] for each in oracle.expectations(mesh, exchange))
    involved = {("caller", exchange.caller)} | {("callee", proxies[each]) for each in clusters if each}
    for each in DECLARED:
        if any((role, each.proxy) in involved for role in each.roles) and each.shows(exchange, faults):
            return f"{each.proxy}: {each.where}"
    return None
