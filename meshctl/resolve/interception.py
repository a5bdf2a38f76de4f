"""Which connections of an application its sidecar can take without being asked.

A sidecar is not told where an intercepted connection was going. HTTP names its host, and so does TLS that is passed
through; of all other streams the destination alone says whom they are for.
"""

from __future__ import annotations

from msgspec import Struct, field

from meshctl import ir
from meshctl.ir.segmentation import Interception, networks
from meshctl.resolve import applications
from meshctl.spec import Spec

HTTP_PORT = 80


class _Caught(Struct):
    """What has been found so far; ``ports`` are those that lead to one listener wherever they go."""

    found: list[Interception] = field(default_factory=list)
    ports: dict[int, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def interceptions(spec: Spec, sidecar: ir.Sidecar) -> tuple[tuple[Interception, ...], tuple[str, ...]]:
    """What is taken, the most particular first, and what cannot be, as sentences. Nothing of a gateway's."""
    if sidecar.is_gateway:
        return (), ()
    caught = _Caught()
    requests = _requests(spec, sidecar, caught.notes)
    for port in requests:
        caught.ports[port] = "requests"
    for listener in sidecar.tcp:
        _streams(spec, sidecar, listener, caught)
    if requests:
        caught.found.append(Interception("requests", (), requests, sidecar.outbound.binds))
    # Those that name networks come before those that take a port wherever it is.
    found = sorted(caught.found, key=lambda each: not each.networks)
    return tuple(found), tuple(caught.notes)


def _requests(spec: Spec, sidecar: ir.Sidecar, notes: list[str]) -> tuple[int, ...]:
    """The ports at which HTTP callees are known to those who know no mesh."""
    others = spec.written.externals or {}
    ports: set[int] = set()
    for host in sidecar.outbound.virtual_hosts:
        ports.add(HTTP_PORT)
        external = others.get(host.service)
        if external is None:
            port = applications.port((spec.written.services or {})[host.service])
            ports |= {port} if port else set()
        elif external.tls is None:
            ports.add(external.port)
        else:
            where = ", ".join(f"http://{each}/" for each in sorted(external.hosts or ()))
            told = (
                f"TLS that the application speaks with {host.service} itself is refused; "
                f"in plain HTTP ({where}) the sidecar speaks TLS"
            )
            if told not in notes:
                notes.append(told)
    if sidecar.outbound.egress is not None:
        ports.add(HTTP_PORT)
    return tuple(sorted(ports))


def _streams(spec: Spec, sidecar: ir.Sidecar, listener: ir.TcpListener, caught: _Caught) -> None:
    clusters = {each.name: each for each in sidecar.clusters}
    for service in listener.services:
        port = _known_port(spec, service)
        cluster = clusters.get(listener.cluster)
        places = (
            ()
            if listener.sni or cluster is None or cluster.dns
            else networks(each.socket.address for each in cluster.endpoints)
        )
        if places:
            caught.found.append(Interception(service, places, (port,), listener.binds))
            continue
        taken = caught.ports.get(port)
        at = str(listener.binds[0])
        if taken not in (None, at):
            caught.notes.append(
                f"{service} is known by port {port} alone, which other callees have too: "
                f"it is not intercepted, its local port is {listener.binds[0].port}"
            )
        elif taken is None:
            caught.ports[port] = at
            caught.found.append(Interception(service, (), (port,), listener.binds))


def _known_port(spec: Spec, name: str) -> int:
    """Where somebody who knows no mesh would look for a callee."""
    service = (spec.written.services or {}).get(name)
    if service is None:
        return (spec.written.externals or {})[name].port
    return applications.port(service) or 0
