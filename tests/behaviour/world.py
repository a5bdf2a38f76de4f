"""A table's mesh, alive: built for one pair of proxies, started on loopback addresses of its own."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import shutil
import socket
import ssl
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from msgspec import Struct, field
from msgspec.structs import replace

from meshctl import artifacts, ir, pipeline
from meshctl.live.echo import Application
from meshctl.live.processes import ProcessGroup, Program
from meshctl.live.sidecars import Bundle, await_open
from meshctl.pki.authority import NewAuthority, create_authority, save_authority
from tests.behaviour import rotation
from tests.behaviour.certificates import CA, write_site
from tests.behaviour.client import Connection, Stream, fetch
from tests.behaviour.dns import NameServer, name_server
from tests.behaviour.fleet import Fleet
from tests.behaviour.http2 import Http2Connection
from tests.behaviour.outside import tls_server
from tests.behaviour.silence import resetting, swallowing
from tests.behaviour.tables import located
from tests.behaviour.websocket import WebSocketConnection
from tests.turns import turn

Client = Connection | Http2Connection | WebSocketConnection | Stream

WRITTEN_NETWORK = "127.50.0."
NETWORKS = [f"127.{second}.{third}." for second in range(51, 60) for third in range(1, 250)]
WRITTEN_FILES = "/files/"
KEY_SETS = Path(__file__).parent / "key_sets"
"""They stand in `keys/` beside the spec."""
CONTROL, CLAIM, RESOLVER, BEHIND_TLS = 250, 251, 252, 253
"""Last numbers of addresses in each network that no table uses."""
RESOLVER_PORT = 5300
APPLICATION_PORT = 8080

TRUST_DOMAIN = "test.example"
DOMAIN = "test.mesh"


# Each process begins elsewhere, and none comes back soon to addresses that have sockets lingering.
def in_turn(networks: list[str]) -> Iterator[str]:
    """All of them again and again, in an order of this process's own."""
    return itertools.cycle(random.Random(os.getpid()).sample(networks, len(networks)))


_candidates = in_turn(NETWORKS)


@contextlib.contextmanager
def network(candidates: Iterator[str] = _candidates) -> Iterator[str]:
    """A /24 of loopback that no other mesh has, of this test run or another on the machine."""
    for candidate in candidates:
        with contextlib.ExitStack() as stack:
            claim = stack.enter_context(socket.socket())
            try:
                claim.bind((f"{candidate}{CLAIM}", 8080))
                claim.listen()
            except OSError:
                continue
            yield candidate
            return


def specification(table, caller: str, callee: str, places: dict[str, str] | None = None) -> dict[str, Any]:
    """The whole spec of a table for one pair of proxies, with what the table writes at its real ``places``."""
    spec: dict[str, Any] = located(table.spec, places or {})
    for name, service in spec["services"].items():
        service["proxy"] = table.proxies.get(name, caller if name in table.callers else callee)
    for gateway in spec.get("gateways", {}).values():
        gateway["proxy"] = caller
    mesh: dict[str, Any] = {"name": "test", "domain": DOMAIN, "trustDomain": TRUST_DOMAIN, "bind": "endpoint"}
    if table.names or table.services:
        written = {WRITTEN_NETWORK: (places or {}).get(WRITTEN_NETWORK, WRITTEN_NETWORK)}
        mesh["resolvers"] = [located(f"{WRITTEN_NETWORK}{RESOLVER}:{RESOLVER_PORT}", written)]
    return {"apiVersion": "meshctl.dev/v1"} | spec | {"mesh": mesh | spec.get("mesh", {})}


def instances(spec: dict) -> dict[str, str]:
    """``service/instance`` of every endpoint to its address: the subset, or the number in the list."""
    named = {}
    for service, written in {**spec["services"], **spec.get("gateways", {})}.items():
        endpoints = written["endpoints"]
        subsets = [each.get("subset") for each in endpoints]
        for number, endpoint in enumerate(endpoints, start=1):
            subset = endpoint.get("subset")
            name = str(number) if subset is None else subset
            if subset is not None and subsets.count(subset) > 1:
                name = f"{subset}-{number}"
            named[f"{service}/{name}"] = endpoint["address"]
    return named


class World(Struct, frozen=True):
    """A running mesh. ``lines`` grows: (program, line of its output)."""

    mesh: ir.Mesh
    out: Path
    addresses: dict[str, str]
    control: ir.SocketAddress
    lines: list[tuple[str, str]]
    files: Path = Path()
    places: dict[str, str] = field(default_factory=dict)
    """What the table writes for an address or a folder, and what that is in this run."""
    fleet: Fleet | None = None
    name_server: NameServer | None = None

    def sidecar(self, instance: str) -> ir.Sidecar:
        """The sidecar of ``service/instance``, by its address where the service has several."""
        service = instance.partition("/")[0]
        own = [each for each in self.mesh.sidecars if each.service == service]
        if len(own) == 1:
            return own[0]
        return next(each for each in own if each.admin.bind.address == self.addresses[instance])

    def is_stream(self, instance: str) -> bool:
        """Whether its application speaks no HTTP."""
        inbound = self.sidecar(instance).inbound
        return inbound is not None and inbound.protocol is ir.Protocol.TCP

    def folder(self, sidecar: ir.Sidecar) -> Path:
        """Where its bundle was built."""
        return self.out / sidecar.service / sidecar.instance

    def connection(self, row, source: str = "") -> Client:
        """What a row's requests go through; ``source`` is the address that they come from, if it matters."""
        if row.via == "plain":
            return self._plain(row)
        to = row.to.partition("/")[0]
        match row.via:
            case "admin":
                return Connection(self.sidecar(row.to).admin.bind)
            case "health":
                health = self.sidecar(row.to).health
                assert health is not None
                return Connection(health.binds[0])
            case "outbound":
                return _connect(row, self._caller(row).outbound.bind, None, "")
            case "local":
                listeners = self._caller(row).locals
                return _connect(row, next(each for each in listeners if _serves(each, to)).bind, None, "")
            case "tcp" | "tls":
                streams = self._caller(row).tcp
                context = (
                    ssl.create_default_context(cafile=str(self.files / CA)) if row.via == "tls" else None
                )
                where = next(each for each in streams if to in _services(each)).binds[0]
                if context is not None:
                    context.check_hostname = row.host is not None
                return Stream(where, to, context, row.host)
            case "gateway":
                listener = self.sidecar(row.to).outbound
                context = ssl.create_default_context(cafile=str(self.files / CA)) if listener.tls else None
                return _connect(row, listener.bind, context, (row.host or "").partition(":")[0], source)
            case "inbound":
                callee = self.sidecar(row.to)
                assert callee.inbound is not None
                context = client_context(self.folder(self._caller(row)))
                return _connect(row, callee.inbound.bind, context, callee.identity.server_name)
            case _:
                raise ValueError(row.via)

    def _plain(self, row) -> Client:
        inbound = self.sidecar(row.to).inbound
        assert inbound is not None
        if self.is_stream(row.to):
            return Stream(inbound.bind, row.to.partition("/")[0], speaks_first=True)
        return _connect(row, inbound.bind, None, "")

    def _caller(self, row) -> ir.Sidecar:
        return self.sidecar(next(name for name in self.addresses if name.startswith(f"{row.caller}/")))

    def arrivals(self, identifier: str):
        """What reached applications with this id."""
        return fetch(self.control, f"/__echo/hits?id={identifier}")

    def do(self, order: dict[str, Any]) -> None:
        """One order of a row or a table: to an application, or about its sidecar."""
        (verb, instance), *others = order.items()
        if verb in ("stop", "start"):
            assert self.fleet is not None
            sidecar = self.sidecar(instance)
            (self.fleet.stop if verb == "stop" else self.fleet.start)(Bundle(sidecar, self.folder(sidecar)))
            return
        if verb in ("revoke", "renew"):
            self._certify(verb, self.folder(self.sidecar(instance)))
            return
        if self.name_server is not None and self.name_server.obeys(located(order, self.places)):
            return
        asked = urlencode({"instance": instance} | {key: str(value) for key, value in others})
        told = fetch(self.control, f"/__echo/{verb}?{asked}")
        assert told == {"instance": instance}, order

    def _certify(self, verb: str, folder: Path) -> None:
        assert self.fleet is not None
        (rotation.revoke if verb == "revoke" else rotation.renew)(self.out, folder)
        for sidecar in self.mesh.sidecars:
            its = self.folder(sidecar)
            # A new list is everybody's, but for who would not start with it.
            if (its == folder) is (verb == "renew") and Bundle(sidecar, its).name in self.fleet.running:
                rotation.told(sidecar, its)


def _serves(listener: ir.OutboundListener, service: str) -> bool:
    return any(each.service == service for each in listener.virtual_hosts)


def _services(listener: ir.TcpListener) -> set[str]:
    return {listener.service, *(each.service for each in listener.sni)}


def _connect(row, address, context, name, source="") -> Client:
    if row.websocket:
        return WebSocketConnection(address)
    if row.http == 2 or row.grpc is not None:
        return Http2Connection(address, context, name)
    return Connection(address, context, name, source)


def client_context(bundle: Path) -> ssl.SSLContext:
    """TLS as the sidecar of ``bundle`` speaks it to others."""
    context = ssl.create_default_context(cafile=str(bundle / artifacts.TRUST_BUNDLE))
    context.load_cert_chain(bundle / artifacts.CERTIFICATE, bundle / artifacts.PRIVATE_KEY)
    return context


def write_spec(spec: dict, folder: Path) -> str:
    """Write ``spec`` and the key sets that it may name; where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mesh.yaml").write_text(json.dumps(spec, indent=1, ensure_ascii=False), "utf-8")
    if "jwt" in spec["mesh"]:
        shutil.copytree(KEY_SETS, folder / "keys", dirs_exist_ok=True)
    return str(folder / "mesh.yaml")


def build(spec: dict, folder: Path, authority: NewAuthority | None = None) -> tuple[ir.Mesh, Path]:
    """Compile ``spec`` with certificates of a CA of its own, or of the one that is given."""
    now = datetime.now(UTC)
    written = write_spec(spec, folder)
    save_authority(folder / "ca", authority or create_authority(TRUST_DOMAIN, now))
    validated = pipeline.validate(written)
    out = folder / "build"
    pipeline.build(validated, out, now=now, authority=folder / "ca", verify="none")
    return validated.require(), out


def _build_both(table, spec: dict, folder: Path, places: dict[str, str]) -> tuple[ir.Mesh, Path]:
    """The mesh; with bundles of the callers that know some services by `discovery` instead of their endpoints."""
    if not table.discovered:
        return build(spec, folder)
    authority = create_authority(TRUST_DOMAIN, datetime.now(UTC))
    mesh, out = build(spec, folder, authority)
    known = discovering(table, spec, places)
    other, others = build(known, folder / "callers", authority)
    callers = [
        each for each in other.sidecars if each.service in (*table.callers, *known.get("gateways", {}))
    ]
    for each in callers:
        shutil.rmtree(out / each.service)
        shutil.copytree(others / each.service, out / each.service, symlinks=True)
    rest = [each for each in mesh.sidecars if each.service not in {each.service for each in callers}]
    return replace(mesh, sidecars=(*rest, *callers)), out


def discovering(table, spec: dict, places: dict[str, str] | None = None) -> dict:
    """What the callers are told: services that they look up have no endpoints."""
    services = {
        name: {key: value for key, value in service.items() if key != "endpoints"}
        | {"discovery": located(table.discovered[name], places or {})}
        if name in table.discovered
        else service
        for name, service in spec["services"].items()
    }
    return spec | {"services": services}


@contextlib.contextmanager
def running(table, caller: str, callee: str, folder: Path) -> Iterator[World]:
    """The table's mesh for one pair of proxies, with echo applications; stopped on the way out."""
    with contextlib.ExitStack() as stack:
        net = stack.enter_context(network())
        files = folder / "files"
        places = {WRITTEN_NETWORK: net, WRITTEN_FILES: f"{files}/"}
        write_site(files, table.site)
        spec = specification(table, caller, callee, places)
        if any(":" in address for address in instances(spec).values()):
            stack.enter_context(turn("ipv6"))
        mesh, out = _build_both(table, spec, folder, places)
        addresses = instances(spec)
        missing = {*table.absent, *table.silent, *table.resetting}
        control = ir.SocketAddress(f"{net}{CONTROL}", APPLICATION_PORT)
        lines: list[tuple[str, str]] = []
        group = ProcessGroup(lambda name, line: lines.append((name, line)))
        fleet = Fleet(group)
        world = World(mesh, out, addresses, control, lines, files, places, fleet)
        gone = {addresses[each] for each in missing}
        chosen = [each for each in mesh.sidecars if each.admin.bind.address not in gone]
        for name in table.silent:
            stack.enter_context(swallowing(addresses[name], 15006))
        for name in table.resetting:
            torn = world.sidecar(name)
            assert torn.inbound is not None
            stack.enter_context(resetting(torn.inbound.bind, world.folder(torn)))
        _start_outside(world, table, stack)
        if table.names or table.services:
            world = replace(world, name_server=stack.enter_context(_names(world, table)))
        stack.enter_context(group)
        await_open(control, group.start(_echo(world, table, spec, folder)))
        for order in table.before:
            world.do(order)
        fleet.start(*(Bundle(each, world.folder(each)) for each in chosen))
        yield world
        assert not _keys_told(world), "a private key is in a log"
        ended = group.ended()
        assert ended is None, f"{ended.program.name} ended by itself:\n{ended.last_words()}"


def _keys_told(world: World) -> bool:
    keys = {line for path in world.out.rglob("*.key") for line in path.read_text().splitlines()[1:-1]}
    assert keys
    said = "\n".join(line for _, line in world.lines)
    return any(line in said for line in keys)


def _applications(world: World, table, spec) -> Iterator[Application]:
    """Those of the mesh that run, and those outside of it."""
    ailing = {*table.absent, *table.silent, *table.resetting, *table.dead}
    for name, address in world.addresses.items():
        service, _, instance = name.partition("/")
        written = spec["services"].get(service)
        if written and name not in ailing:
            where = ir.SocketAddress(address, written.get("port", APPLICATION_PORT))
            yield Application(where, service, instance, ir.Protocol(written.get("protocol", "http")))
    for number, each in enumerate(located(table.outside, world.places)):
        where = ir.SocketAddress(each["address"], each["port"])
        plain = _behind_tls(world, number) if each.get("tls") else where
        yield Application(plain, each["name"], "1", ir.Protocol(each.get("protocol", "http")))


def _behind_tls(world: World, number: int) -> ir.SocketAddress:
    return ir.SocketAddress(f"{world.places[WRITTEN_NETWORK]}{BEHIND_TLS}", APPLICATION_PORT + number)


def _start_outside(world: World, table, stack: contextlib.ExitStack) -> None:
    ca = world.folder(world.mesh.sidecars[0])
    for number, each in enumerate(located(table.outside, world.places)):
        if each.get("tls"):
            where, behind = ir.SocketAddress(each["address"], each["port"]), _behind_tls(world, number)
            stack.enter_context(tls_server(where, behind, each["tls"], world.files, ca))


def _names(world: World, table) -> contextlib.AbstractContextManager[NameServer]:
    where = ir.SocketAddress(f"{world.places[WRITTEN_NETWORK]}{RESOLVER}", RESOLVER_PORT)
    names, services = located((table.names, table.services), world.places)
    return name_server(where, world.files / "names", names, services)


def _echo(world: World, table, spec, folder: Path) -> Program:
    applications = map(str, _applications(world, table, spec))
    argv = (sys.executable, "-m", "meshctl.live.echo", *applications, "--control", str(world.control))
    return Program("echo", argv, folder)
