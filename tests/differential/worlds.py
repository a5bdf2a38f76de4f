"""A random mesh alive: a caller of each proxy, and callees each of its own proxy, with everything between them."""

from __future__ import annotations

import contextlib
import copy
import json
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from meshctl import ir, pipeline
from meshctl.ir import Proxy
from meshctl.live.echo import Application
from meshctl.live.processes import ProcessGroup, Program
from meshctl.live.sidecars import Bundle, await_open
from meshctl.pki.authority import NewAuthority, create_authority
from tests.behaviour.fleet import Fleet
from tests.behaviour.world import (
    APPLICATION_PORT,
    CONTROL,
    DOMAIN,
    TRUST_DOMAIN,
    World,
    build,
    in_turn,
    instances,
    network,
)

Document = dict[str, Any]

NETWORKS = [f"127.{second}.{third}." for second in (41, 42) for third in range(1, 250)]
_candidates = in_turn(NETWORKS)


def caller_name(proxy: Proxy) -> str:
    """The service whose sidecar is of that proxy and calls all callees."""
    return f"from-{proxy}"


def specification(document: Document, callers: Sequence[Proxy], net: str) -> Document:
    """The whole spec: what ``document`` says of the callees, with callers and addresses."""
    services: Document = {
        caller_name(proxy): {"proxy": str(proxy), "calls": {name: {} for name in document["services"]}}
        for proxy in callers
    }
    services |= copy.deepcopy(document["services"])
    number = 0
    for service in services.values():
        service["port"] = APPLICATION_PORT
        service["endpoints"] = copy.deepcopy(service.get("endpoints", [{}]))
        for endpoint in service["endpoints"]:
            number += 1
            endpoint["address"] = f"{net}{number}"
    mesh = {"name": "test", "domain": DOMAIN, "trustDomain": TRUST_DOMAIN, "bind": "endpoint"}
    return {"apiVersion": "meshctl.dev/v1", "mesh": mesh | document.get("mesh", {}), "services": services}


def resolved(document: Document, callers: Sequence[Proxy], folder: Path) -> ir.Mesh | None:
    """What the simulator knows of it; None where it does not compile."""
    folder.mkdir(parents=True, exist_ok=True)
    where = folder / "mesh.yaml"
    where.write_text(json.dumps(specification(document, callers, NETWORKS[0])))
    return pipeline.validate(str(where)).mesh


@cache
def _authority() -> NewAuthority:
    """One for all worlds of this process: nothing here is about certificates."""
    return create_authority(TRUST_DOMAIN, datetime.now(UTC))


@contextlib.contextmanager
def running(document: Document, callers: Sequence[Proxy], folder: Path) -> Iterator[World]:
    """The mesh of ``document`` with echo applications; stopped on the way out."""
    with contextlib.ExitStack() as stack:
        net = stack.enter_context(network(_candidates))
        spec = specification(document, callers, net)
        mesh, out = build(spec, folder, _authority())
        control = ir.SocketAddress(f"{net}{CONTROL}", APPLICATION_PORT)
        lines: list[tuple[str, str]] = []
        group = ProcessGroup(lambda name, line: lines.append((name, line)))
        fleet = Fleet(group)
        world = World(mesh, out, instances(spec), control, lines, fleet=fleet)
        stack.enter_context(group)
        await_open(control, group.start(_echo(world, spec, folder)))
        fleet.start(*(Bundle(each, world.folder(each)) for each in mesh.sidecars))
        yield world
        ended = group.ended()
        assert ended is None, f"{ended.program.name} ended by itself:\n{ended.last_words()}"


def _echo(world: World, spec: Document, folder: Path) -> Program:
    applications = []
    for name, address in world.addresses.items():
        service, _, instance = name.partition("/")
        protocol = ir.Protocol(spec["services"][service].get("protocol", "http"))
        where = ir.SocketAddress(address, APPLICATION_PORT)
        applications.append(str(Application(where, service, instance, protocol)))
    argv = (sys.executable, "-m", "meshctl.live.echo", *applications, "--control", str(world.control))
    return Program("echo", argv, folder)
