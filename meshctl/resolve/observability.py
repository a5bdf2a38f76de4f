"""Where the metrics of each sidecar are, and what there is to say about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from meshctl import ir
from meshctl.ir.observability import Observed, ScrapeLookup, ScrapeTarget, Watched
from meshctl.resolve.placements import hosts
from meshctl.resolve.slo import service_level
from meshctl.spec import Spec
from meshctl.spec.gateways import GatewaySpec
from meshctl.spec.service import ServiceSpec


def observed(spec: Spec, mesh: ir.Mesh) -> Observed:
    """The mesh as those see it who watch it. Its sidecars must have their builds."""
    lookups = {
        each.identity.service: each.dns
        for sidecar in mesh.sidecars
        for each in sidecar.clusters
        if each.identity is not None and each.dns is not None
    }
    return Observed(
        mesh=mesh.name,
        watched=tuple(
            _watched(spec, name, list(its), lookups.get(name))
            for name, its in groupby(mesh.sidecars, key=lambda each: each.service)
        ),
        renew_before=mesh.certificates.renew_before,
    )


def _watched(spec: Spec, name: str, sidecars: Sequence[ir.Sidecar], dns: ir.DnsName | None) -> Watched:
    service = (spec.written.services or {}).get(name)
    written = service or (spec.written.gateways or {})[name]
    ports = [each.health.binds[0].port for each in sidecars if each.health is not None]
    return Watched(
        service=name,
        owner=written.owner or "",
        targets=tuple(dict.fromkeys(each for it in sidecars for each in _targets(spec, it, written))),
        lookup=ScrapeLookup(dns.name, ports[0], dns.srv) if dns is not None and ports else None,
        builds=tuple(sorted({each.build for each in sidecars})),
        slo=service_level(service) if service is not None else None,
        rate_limited=any(each.inbound is not None and each.inbound.rate_limit for each in sidecars),
    )


def _targets(spec: Spec, sidecar: ir.Sidecar, written: ServiceSpec | GatewaySpec) -> Iterator[ScrapeTarget]:
    if sidecar.health is None:
        return
    zones = {each.address: each.zone for each in written.endpoints or ()}
    everywhere = {"0.0.0.0", "::"}  # noqa: S104 - compared with
    binds = sidecar.health.binds
    for host in hosts(spec, sidecar):
        # One that has an address of its own is there; the usual one is on each host.
        own = [each for each in binds if each.address not in everywhere]
        address = own[0] if own else ir.SocketAddress(host, binds[0].port)
        yield ScrapeTarget(address, zones.get(host) or written.zone or "")
