"""A built mesh alive on one machine: real proxies and echo applications.

Composes targets and live, as the pipeline does.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from meshctl import ir
from meshctl.diagnostics import ToolError
from meshctl.live.echo import Application
from meshctl.live.processes import ProcessGroup, Program, Sink
from meshctl.live.sidecars import Bundle, await_open, require_free, start
from meshctl.targets.bundle import folder

CONTROL = ir.SocketAddress("127.80.0.1", 8080)
"""Where the echo applications tell what reached them; no service of a mesh on loopback is there."""

EXTERNAL = "external"
"""The instance of an echo application that stands for an external."""


class Rehearsal(Struct, frozen=True):
    """A running mesh. ``applications`` is empty when the user brings their own."""

    mesh: ir.Mesh
    applications: tuple[Application, ...]
    group: ProcessGroup

    def require_running(self) -> None:
        """Raises ToolError when a program has ended by itself."""
        ended = self.group.ended()
        if ended is not None:
            raise ToolError(f"{ended.program.name} ended with status {ended.status}\n{ended.last_words()}")

    def variables(self) -> Mapping[str, str]:
        """Where the (first) sidecar of each service is, for a command that runs beside the mesh."""
        found: dict[str, str] = {}
        for sidecar in self.mesh.sidecars:
            name = sidecar.service.upper().replace("-", "_")
            scheme = "https" if sidecar.outbound.tls else "http"
            found.setdefault(f"MESHCTL_{name}_OUTBOUND", f"{scheme}://{sidecar.outbound.bind}")
            found.setdefault(f"MESHCTL_{name}_ADMIN", f"http://{sidecar.admin.bind}")
            for callee, bind in _local_ports(sidecar):
                found.setdefault(f"MESHCTL_{name}_LOCAL_{callee.upper().replace('-', '_')}", str(bind))
        if self.applications:
            found["MESHCTL_ECHO_CONTROL"] = f"http://{CONTROL}"
        return found


@contextlib.contextmanager
def rehearse(mesh: ir.Mesh, out: Path, sink: Sink, *, with_applications: bool) -> Iterator[Rehearsal]:
    """Run the bundles below ``out`` until the block is left, however it is left.

    Raises ToolError when an address is taken or a program does not start.
    """
    chosen = tuple(applications(mesh)) if with_applications else ()
    with ProcessGroup(sink) as group:
        if chosen:
            _start_applications(chosen, group, out)
        for wave in waves(mesh):
            start([Bundle(each, out / folder(each)) for each in wave], group)
        yield Rehearsal(mesh, chosen, group)


def waves(mesh: ir.Mesh) -> Iterator[list[ir.Sidecar]]:
    """The sidecars in the order of their start: whom somebody checks comes before those who check.

    A check that finds nobody at the start takes an endpoint out until several have passed. What goes round in
    circles starts together.
    """
    left = list(mesh.sidecars)
    while left:
        waiting = {each.service for each in left}
        ready = [each for each in left if not (_checked(each) - {each.service}) & waiting] or left
        yield ready
        started = {id(each) for each in ready}
        left = [each for each in left if id(each) not in started]


def _checked(sidecar: ir.Sidecar) -> set[str]:
    """The services whose health it asks for."""
    return {each.identity.service for each in sidecar.clusters if each.health_check and each.identity}


def _local_ports(sidecar: ir.Sidecar) -> Iterator[tuple[str, ir.SocketAddress]]:
    yield from ((each.virtual_hosts[0].service, each.bind) for each in sidecar.locals)
    yield from ((name, each.binds[0]) for each in sidecar.tcp for name in each.services)


def applications(mesh: ir.Mesh) -> Iterator[Application]:
    """An echo application for each instance, named by its subset, else by its address, and for each external."""
    for sidecar in mesh.sidecars:
        if sidecar.inbound is not None:
            name = _subset(mesh, sidecar) or sidecar.instance
            inbound = sidecar.inbound
            yield Application(inbound.application, sidecar.service, name, inbound.protocol)
    externals = {
        (endpoint.socket, cluster.name.partition(".")[0], cluster.protocol)
        for sidecar in mesh.sidecars
        for cluster in sidecar.clusters
        if cluster.origin is not None
        for endpoint in cluster.endpoints
    }
    for socket, name, protocol in sorted(externals, key=str):
        yield Application(socket, name, EXTERNAL, protocol)


def _subset(mesh: ir.Mesh, sidecar: ir.Sidecar) -> str:
    """The subset that a caller's cluster has this instance in; people know instances by it."""
    for cluster in (cluster for each in mesh.sidecars for cluster in each.clusters):
        service, _, subset = cluster.name.partition(".")
        here = sidecar.inbound is not None and any(
            each.socket == sidecar.inbound.bind for each in cluster.endpoints
        )
        if service == sidecar.service and subset and here:
            return subset
    return ""


def _start_applications(chosen: Sequence[Application], group: ProcessGroup, out: Path) -> None:
    for application in chosen:
        require_free(application.socket, f"{application.service}: application")
    require_free(CONTROL, "echo applications: control port")
    argv = (sys.executable, "-m", "meshctl.live.echo", "--control", str(CONTROL), *map(str, chosen))
    await_open(CONTROL, group.start(Program("applications", argv, out)))
