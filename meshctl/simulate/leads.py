"""Where the listeners of sidecars lead: to which callees, by which routes or streams."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from msgspec import Struct, field

from meshctl.ir import (
    Authorization,
    AuthorizationMode,
    InboundListener,
    Mesh,
    RetryPolicy,
    Route,
    RouteMatch,
    Sidecar,
    SocketAddress,
    Timeout,
    VirtualHost,
)
from meshctl.simulate.examples import EVERYTHING, Lead

OUTSIDE = InboundListener(
    (), SocketAddress("", 0), Authorization(AuthorizationMode.OPEN), timedelta(0), timedelta(0)
)
"""Stands for what listens outside of the mesh, whose rules are not ours."""


class Leads(Struct):
    """The sidecars of a mesh, one for each service and gateway (all of one route alike), and where they lead."""

    by_service: Mapping[str, Sidecar]
    _of_hosts: dict[int, dict[str, tuple[Lead, ...]]] = field(default_factory=dict)
    """Callers that narrow nothing share a host. The hosts live as long as the mesh does, and so do their numbers."""

    @classmethod
    def of(cls, mesh: Mesh) -> Leads:
        """Those of ``mesh``."""
        return cls({each.service: each for each in reversed(mesh.sidecars)})

    def routes(self, caller: str) -> dict[str, tuple[Lead, ...]]:
        """The routes of a caller by callee: its own listener's, then those of local ports that lead elsewhere."""
        own = self.by_service[caller]
        found: dict[str, tuple[Lead, ...]] = {}
        for host in own.outbound.virtual_hosts:
            for callee, leads in self._behind(host).items():
                found[callee] = (*found.get(callee, ()), *leads)
        for listener in own.locals:
            for host in listener.virtual_hosts:
                for callee, leads in self._behind(host).items():
                    found.setdefault(callee, leads)
        return found

    def streams(self, caller: str) -> tuple[str, ...]:
        """The callees that a caller has a TCP local port for."""
        own = self.by_service[caller]
        return tuple(dict.fromkeys(callee for each in own.tcp for callee in each.services))

    def section(self, name: str) -> tuple[str, str]:
        """Where the spec has a service, a gateway or an external."""
        sidecar = self.by_service.get(name)
        if sidecar is None:
            return "externals", name
        return ("gateways" if sidecar.is_gateway else "services"), name

    def _behind(self, host: VirtualHost) -> dict[str, tuple[Lead, ...]]:
        if id(host) not in self._of_hosts:
            self._of_hosts[id(host)] = _leads(host)
        return self._of_hosts[id(host)]


def _leads(host: VirtualHost) -> dict[str, tuple[Lead, ...]]:
    found: dict[str, dict[int, Lead]] = {}
    for index, route in enumerate(host.routes):
        if route.answer is not None:
            continue
        drawn = ((each.cluster, False) for each in route.backends)
        copied = ((each.cluster, True) for each in route.mirrors if each.share)
        for cluster, copy in (*drawn, *copied):
            found.setdefault(cluster.partition(".")[0], {}).setdefault(index, Lead(host, index, copy))
    return {callee: tuple(leads.values()) for callee, leads in found.items()}


def straight(callee: Sidecar) -> Lead:
    """What somebody has who asks a callee's sidecar himself: no route of the mesh's is in his way."""
    everything = Route(
        "",
        RouteMatch(EVERYTHING, (), ()),
        (),
        Timeout(timedelta(0)),
        RetryPolicy(0, (), ()),
    )
    return Lead(VirtualHost(callee.service, (callee.identity.dns_name,), (everything,)), 0)
