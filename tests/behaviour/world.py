"""A table's mesh, alive: built for one pair of proxies, started on loopback addresses of its own."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import socket
import ssl
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from meshctl import artifacts, ir, pipeline
from meshctl.live.processes import ProcessGroup, Program
from meshctl.live.sidecars import Bundle, await_open, start
from meshctl.pki.authority import NewAuthority, create_authority, save_authority
from tests.behaviour.client import Connection, fetch
from tests.behaviour.silence import swallowing

WRITTEN_NETWORK = "127.50.0."
NETWORKS = [f"127.{second}.{third}." for second in range(51, 60) for third in range(1, 250)]
CONTROL, CLAIM = 250, 251
"""Last numbers of two addresses in each network that no table uses."""

TRUST_DOMAIN = "test.example"
DOMAIN = "test.mesh"

# Each process begins elsewhere, and none comes back soon to addresses that have sockets lingering.
_candidates = itertools.cycle(random.Random(os.getpid()).sample(NETWORKS, len(NETWORKS)))


@contextlib.contextmanager
def network() -> Iterator[str]:
    """A /24 of loopback that no other mesh has, of this test run or another on the machine."""
    for candidate in _candidates:
        with contextlib.ExitStack() as stack:
            claim = stack.enter_context(socket.socket())
            try:
                claim.bind((f"{candidate}{CLAIM}", 8080))
                claim.listen()
            except OSError:
                continue
            yield candidate
            return


def specification(table, caller: str, callee: str, net: str = WRITTEN_NETWORK) -> dict:
    """The whole spec of a table for one pair of proxies, in the network ``net``."""
    text = json.dumps(table.spec).replace(WRITTEN_NETWORK, net)
    spec = json.loads(text)
    for name, service in spec["services"].items():
        service["proxy"] = caller if name in table.callers else callee
    mesh = {"name": "test", "domain": DOMAIN, "trustDomain": TRUST_DOMAIN, "bind": "endpoint"}
    return {"apiVersion": "meshctl.dev/v1", "mesh": mesh, **spec}


def instances(spec: dict) -> dict[str, str]:
    """``service/instance`` of every endpoint to its address: the subset, or the number in the list."""
    named = {}
    for service, written in spec["services"].items():
        endpoints = written["endpoints"]
        subsets = [each.get("subset") for each in endpoints]
        for number, endpoint in enumerate(endpoints, start=1):
            subset = endpoint.get("subset")
            name = str(number) if subset is None else subset
            if subset is not None and subsets.count(subset) > 1:
                name = f"{subset}-{number}"
            named[f"{service}/{name}"] = endpoint["address"]
    return named


@dataclass(frozen=True)
class World:
    """A running mesh. ``lines`` grows: (program, line of its output)."""

    mesh: ir.Mesh
    out: Path
    addresses: dict[str, str]
    control: ir.SocketAddress
    lines: list[tuple[str, str]]

    def sidecar(self, instance: str) -> ir.Sidecar:
        """The sidecar at the address of ``service/instance``."""
        return next(
            each for each in self.mesh.sidecars if each.admin.bind.address == self.addresses[instance]
        )

    def folder(self, sidecar: ir.Sidecar) -> Path:
        """Where its bundle was built."""
        return self.out / sidecar.service / sidecar.instance

    def connection(self, row) -> Connection:
        """What a row's requests go through."""
        if row.via == "admin":
            return Connection(self.sidecar(row.to).admin.bind)
        caller = next(name for name in self.addresses if name.startswith(f"{row.caller}/"))
        if row.via == "outbound":
            return Connection(self.sidecar(caller).outbound.bind)
        callee = self.sidecar(row.to)
        assert callee.inbound is not None
        context = client_context(self.folder(self.sidecar(caller)))
        return Connection(callee.inbound.bind, context, callee.identity.dns_name)

    def arrivals(self, identifier: str):
        """What reached applications with this id."""
        return fetch(self.control, f"/__echo/hits?id={identifier}")


def client_context(bundle: Path) -> ssl.SSLContext:
    """TLS as the sidecar of ``bundle`` speaks it to others."""
    context = ssl.create_default_context(cafile=str(bundle / artifacts.TRUST_BUNDLE))
    context.load_cert_chain(bundle / artifacts.CERTIFICATE, bundle / artifacts.PRIVATE_KEY)
    return context


def build(spec: dict, folder: Path, authority: NewAuthority | None = None) -> tuple[ir.Mesh, Path]:
    """Compile ``spec`` with certificates of a CA of its own, or of the one that is given."""
    now = datetime.now(UTC)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mesh.yaml").write_text(json.dumps(spec, indent=1))
    save_authority(folder / "ca", authority or create_authority(TRUST_DOMAIN, now))
    validated = pipeline.validate(str(folder / "mesh.yaml"))
    out = folder / "build"
    pipeline.build(validated, out, now=now, authority=folder / "ca", verify="none")
    return validated.require(), out


@contextlib.contextmanager
def running(table, caller: str, callee: str, folder: Path) -> Iterator[World]:
    """The table's mesh for one pair of proxies, with echo applications; stopped on the way out."""
    with contextlib.ExitStack() as stack:
        net = stack.enter_context(network())
        spec = specification(table, caller, callee, net)
        mesh, out = build(spec, folder)
        addresses = instances(spec)
        missing = {addresses[each] for each in (*table.absent, *table.silent)}
        control = ir.SocketAddress(f"{net}{CONTROL}", 8080)
        lines: list[tuple[str, str]] = []
        world = World(mesh, out, addresses, control, lines)
        chosen = [each for each in mesh.sidecars if each.admin.bind.address not in missing]
        for name in table.silent:
            stack.enter_context(swallowing(addresses[name], 15006))
        group = stack.enter_context(ProcessGroup(lambda name, line: lines.append((name, line))))
        await_open(control, group.start(_echo(world, table, missing, folder)))
        start([Bundle(each, world.folder(each)) for each in chosen], group)
        yield world
        ended = group.ended()
        assert ended is None, f"{ended.program.name} ended by itself:\n{ended.last_words()}"


def _echo(world: World, table, missing: set[str], folder: Path) -> Program:
    dead = missing | {world.addresses[each] for each in table.dead}
    applications = [
        f"{address}:8080={name}" for name, address in world.addresses.items() if address not in dead
    ]
    argv = (sys.executable, "-m", "meshctl.live.echo", *applications, "--control", str(world.control))
    return Program("echo", argv, folder)
