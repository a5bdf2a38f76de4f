"""Services and gateways that are there under another name, so that what they keep is not told as gone and new."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from meshctl import ir

Names = Mapping[str, str]
"""The new name by the old one."""


def renamed(before: ir.Mesh, after: ir.Mesh) -> dict[str, str]:
    """What went and came at the very same addresses, or the same name in DNS: two services never share those."""
    old, new = ({each.service: each for each in mesh.sidecars} for mesh in (before, after))
    gone, came = old.keys() - new.keys(), new.keys() - old.keys()
    if not (gone and came):
        return {}
    was, now = _places(before, gone), _places(after, came)
    found: dict[frozenset[str], list[str]] = {}
    for name in sorted(came):
        found.setdefault(now[name], []).append(name)
    pairs = ((name, found.get(was[name], [])) for name in sorted(gone) if was[name])
    return {
        name: others[0]
        for name, others in pairs
        if len(others) == 1 and old[name].is_gateway == new[others[0]].is_gateway
    }


def _places(mesh: ir.Mesh, names: set[str]) -> dict[str, frozenset[str]]:
    """Where each is: as its callers know it, and by its own listener, unless that is on any address."""
    found: dict[str, set[str]] = {name: set() for name in names}
    for sidecar in mesh.sidecars:
        if sidecar.service in names:
            own = sidecar.inbound.binds if sidecar.inbound is not None else sidecar.outbound.binds
            found[sidecar.service].update(
                str(each) for each in own if not ip_address(each.address).is_unspecified
            )
        for cluster in sidecar.clusters:
            if cluster.identity is not None and cluster.identity.service in names:
                its = found[cluster.identity.service]
                its.update(str(each.socket) for each in cluster.endpoints)
                if cluster.dns is not None:
                    its.add(f"{cluster.dns.name}:{cluster.dns.port}")
    return {name: frozenset(places) for name, places in found.items()}


def under(mesh: ir.Mesh, names: Names) -> ir.Mesh:
    """The mesh as if its services had been called so all the time; build ids stay."""
    if not names:
        return mesh
    return _Renaming(mesh.domain, names).mesh(mesh)


class _Renaming:
    def __init__(self, domain: str, names: Names) -> None:
        self._names = names
        self._hosts = {**names, **{f"{old}.{domain}": f"{new}.{domain}" for old, new in names.items()}}
        self._done: dict[int, Any] = {}

    def mesh(self, mesh: ir.Mesh) -> ir.Mesh:
        sidecars = (self._of(each) for each in mesh.sidecars)
        calls = ((self.name(caller), self.name(callee)) for caller, callee in mesh.calls)
        return replace(
            mesh,
            sidecars=tuple(sorted(sidecars, key=lambda each: (each.service, each.instance))),
            calls=tuple(sorted(calls)),
        )

    def _of(self, value: Any) -> Any:  # noqa: ANN401 - any part of the model
        """A part of the model; what is shared stays shared, which saves comparing it again."""
        if type(value) is tuple:
            return tuple(self._of(each) for each in value)
        if not isinstance(value, Struct):
            return value
        if id(value) not in self._done:
            changes = {
                name: self._field(value, name, getattr(value, name)) for name in value.__struct_fields__
            }
            self._done[id(value)] = replace(value, **changes)
        return self._done[id(value)]

    def _field(self, holder: object, name: str, value: Any) -> Any:  # noqa: ANN401
        renames = _HOLD_NAMES.get((type(holder), name))
        return renames(self, value) if renames is not None else self._of(value)

    def name(self, value: str) -> str:
        """The name of a service, or of a cluster, whose subset comes after a dot."""
        service, dot, subset = value.partition(".")
        return f"{self._names.get(service, service)}{dot}{subset}"

    def host(self, value: str) -> str:
        """A host by which a service is asked for, or any other."""
        return self._hosts.get(value, value)

    def hosts(self, value: tuple[str, ...]) -> tuple[str, ...]:
        """Several of them."""
        return tuple(map(self.host, value))


_HOLD_NAMES: Mapping[tuple[type, str], Callable[[_Renaming, Any], Any]] = {
    (ir.Sidecar, "service"): _Renaming.name,
    (ir.WorkloadIdentity, "service"): _Renaming.name,
    (ir.Cluster, "name"): _Renaming.name,
    (ir.WeightedCluster, "cluster"): _Renaming.name,
    (ir.Mirror, "cluster"): _Renaming.name,
    (ir.VirtualHost, "service"): _Renaming.name,
    (ir.VirtualHost, "hostnames"): _Renaming.hosts,
    (ir.TcpListener, "service"): _Renaming.name,
    (ir.TcpListener, "cluster"): _Renaming.name,
    (ir.SniRoute, "service"): _Renaming.name,
    (ir.SniRoute, "cluster"): _Renaming.name,
    (ir.HealthCheck, "host"): _Renaming.host,
}
