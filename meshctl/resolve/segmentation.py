"""What each sidecar, and the application behind it, has to reach, and who has to reach them; all else may be shut."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address

from msgspec import Struct, field

from meshctl import ir
from meshctl.diagnostics import UsageError
from meshctl.ir.segmentation import (
    ANYWHERE,
    NAME_SERVER,
    Destination,
    Perimeter,
    Transport,
    Workload,
    networks,
)
from meshctl.resolve.interception import interceptions
from meshctl.resolve.placements import hosts, is_loopback
from meshctl.spec import Spec

DEFAULT_NAMESPACE = "default"
"""Of a service that is looked up in Kubernetes without one, as its DNS name says."""


class Surroundings(Struct, frozen=True):
    """What the spec does not say about the places that sidecars run in.

    ``besides`` is what applications may reach without their sidecar. ``within`` bounds, by the name of a callee that is
    looked up (``egress`` for hosts outside the mesh), where its addresses can be, in CIDR. ``namespace`` is where services are that the
    spec does not place.
    """

    besides: tuple[Destination, ...] = ()
    within: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    namespace: str = ""


def perimeters(spec: Spec, mesh: ir.Mesh, around: Surroundings) -> tuple[Perimeter, ...]:
    """One for each sidecar, in the order of the mesh. Raises UsageError for ``within`` of what is not looked up."""
    written = _Written(spec, around)
    unknown = sorted(around.within.keys() - _looked_up(mesh))
    if unknown:
        raise UsageError(
            f"no sidecar looks up {', '.join(unknown)}; the names that are: {', '.join(sorted(_looked_up(mesh)))}"
        )
    return tuple(_perimeter(spec, mesh, each, written, around) for each in mesh.sidecars)


class _Written:
    """Of every service and gateway, where it is."""

    def __init__(self, spec: Spec, around: Surroundings) -> None:
        self._around = around
        services, gateways = spec.written.services or {}, spec.written.gateways or {}
        endpoints = {
            **{name: service.endpoints for name, service in services.items()},
            **{name: gateway.endpoints for name, gateway in gateways.items()},
        }
        self._hosts = {name: tuple(it.address for it in its or ()) for name, its in endpoints.items()}
        self._namespaces = {
            name: service.discovery.kubernetes.namespace or DEFAULT_NAMESPACE
            for name, service in services.items()
            if service.discovery is not None and service.discovery.kubernetes is not None
        }

    def namespace(self, name: str) -> str:
        """Empty where nobody says."""
        return self._namespaces.get(name, self._around.namespace)

    def workload(self, name: str, seen_from: str) -> Workload:
        """A service or gateway, named in a policy of another."""
        own, other = self.namespace(name), self.namespace(seen_from)
        namespace = own if own != other else ""
        return Workload(name, namespace, networks(self._hosts[name]), pods=name in self._namespaces)


def _looked_up(mesh: ir.Mesh) -> set[str]:
    return {each.name.partition(".")[0] for its in mesh.sidecars for each in its.clusters if each.dns}


def _perimeter(
    spec: Spec, mesh: ir.Mesh, sidecar: ir.Sidecar, written: _Written, around: Surroundings
) -> Perimeter:
    gateway, inbound, health = sidecar.is_gateway, sidecar.inbound, sidecar.health
    entrances = () if gateway else tuple(_entrances(sidecar))
    facing = (*(sidecar.outbound.binds if gateway else ()), *(health.binds if health else ()))
    destinations = (*_callees(sidecar, written, around), *_servers(sidecar))
    application = inbound.application if inbound else None
    local = (*entrances, sidecar.admin.bind, *((application,) if application else ()))
    caught, left_out = interceptions(spec, sidecar)
    return Perimeter(
        mesh=mesh.name,
        service=sidecar.service,
        instance=sidecar.instance,
        namespace=written.namespace(sidecar.service),
        hosts=hosts(spec, sidecar),
        application=application,
        entrances=entrances,
        admin=sidecar.admin.bind,
        inbound=inbound.binds if inbound else (),
        facing=facing,
        callers=_callers(mesh, sidecar, written),
        destinations=destinations,
        besides=around.besides,
        interceptions=caught,
        closed=tuple(sorted({each.port for each in local if is_loopback(each.address)})),
        notes=tuple(_notes(sidecar, entrances)),
        interception_notes=left_out,
    )


def _entrances(sidecar: ir.Sidecar) -> Iterator[ir.SocketAddress]:
    yield from sidecar.outbound.binds
    for listener in sidecar.locals:
        yield from listener.binds
    for stream in sidecar.tcp:
        yield from stream.binds


def _callers(mesh: ir.Mesh, sidecar: ir.Sidecar, written: _Written) -> tuple[Workload, ...] | None:
    """Those who declare the call; whom plaintext lets in is nobody that could be named."""
    if sidecar.inbound is None or sidecar.inbound.mtls is not ir.MtlsMode.STRICT:
        return None
    callers = [caller for caller, callee in mesh.calls if callee == sidecar.service]
    return tuple(written.workload(each, sidecar.service) for each in callers)


def _callees(sidecar: ir.Sidecar, written: _Written, around: Surroundings) -> Iterator[Destination]:
    """Every port of every callee once, whatever subsets and hosts it is made of."""
    places: dict[tuple[str, int, bool], set[str]] = {}
    inside: set[str] = set()
    for cluster in sidecar.clusters:
        name = cluster.name.partition(".")[0]
        if cluster.identity is not None:
            inside.add(name)
        for endpoint in cluster.endpoints:
            key = (name, endpoint.socket.port, False)
            places.setdefault(key, set()).add(endpoint.socket.address)
        if cluster.dns is not None:
            places.setdefault((name, cluster.dns.port, True), set()).update(around.within.get(name, ANYWHERE))
    for (name, port, looked_up), addresses in sorted(places.items()):
        workload = written.workload(name, sidecar.service) if name in inside else None
        yield Destination(name, networks(addresses), port, workload=workload, looked_up=looked_up)


def _servers(sidecar: ir.Sidecar) -> Iterator[Destination]:
    """Name servers, which are asked over TCP what does not fit into a datagram, and the collector of spans."""
    for each in sidecar.resolvers:
        for transport in (Transport.UDP, Transport.TCP):
            yield Destination(NAME_SERVER, networks([each.address]), each.port, transport)
    if sidecar.tracing is not None:
        collector = sidecar.tracing.collector
        yield Destination("span collector", networks([collector.address]), collector.port)


def _notes(sidecar: ir.Sidecar, entrances: Iterable[ir.SocketAddress]) -> Iterator[str]:
    inbound = sidecar.inbound
    if inbound is not None and inbound.mtls is not ir.MtlsMode.STRICT:
        yield f"mtls is {inbound.mtls}: callers without a certificate can be anywhere"
    if inbound is not None and not is_loopback(inbound.application.address):
        yield (
            f"the application listens on {inbound.application}, off loopback: "
            "that nobody else reaches it there is for its own host to see to"
        )
    for entrance in entrances:
        if not ip_address(entrance.address).is_loopback:
            yield (
                f"the sidecar speaks for whoever reaches {entrance}, and nothing here says which hosts may"
            )
