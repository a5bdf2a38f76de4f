"""Differences that are declared: by a feature that a proxy emulates, or in the wire contract's table of edges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from meshctl import ir
from meshctl.ir import Feature, Proxy
from meshctl.targets.envoy.conflicts import METHODS
from tests.differential import oracle
from tests.differential.exchanges import Exchange


@dataclass(frozen=True)
class Declared:
    """Where ``proxy`` is the caller's or a callee's and ``shows`` holds, the simulator and it may disagree."""

    proxy: Proxy
    where: Feature | str
    """A feature that the proxy emulates, or the first cell of a row of the wire contract's last table."""
    shows: Callable[[Exchange], bool]
    roles: tuple[str, ...] = ("caller", "callee")


DECLARED: tuple[Declared, ...] = (
    Declared(
        Proxy.ENVOY,
        "a method that Envoy does not know",
        lambda each: each.answer.status == 400 and each.row.method not in METHODS,
    ),
)


def declared(mesh: ir.Mesh, exchange: Exchange) -> str | None:
    """Why a difference is no fault, if it is none."""
    proxies = {each.service: each.proxy for each in mesh.sidecars}
    clusters = (each.cluster.partition(".")[0] for each in oracle.expectations(mesh, exchange))
    involved = {("caller", exchange.caller)} | {("callee", proxies[each]) for each in clusters if each}
    for each in DECLARED:
        if any((role, each.proxy) in involved for role in each.roles) and each.shows(exchange):
            return f"{each.proxy}: {each.where}"
    return None
