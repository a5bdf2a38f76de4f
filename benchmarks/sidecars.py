"""Meshes of two sidecars on loopback, one before the other: built by meshctl, or written by hand."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2

from benchmarks import load
from benchmarks.children import ROOT
from meshctl import ir, pipeline
from meshctl.live.processes import Process, ProcessGroup, Program
from meshctl.live.programs import find
from meshctl.live.sidecars import Bundle, await_open, await_ready
from meshctl.pki.authority import create_authority, save_authority
from meshctl.targets import target

MINIMAL = ROOT / "benchmarks" / "minimal"
"""What a careful engineer writes who wants routes and mutual TLS, and nothing else."""

PORT = 8080
CALLER, CALLEE, COPIES = range(2, 5)

_READY = 20.0
_CONFIGURATIONS: Mapping[ir.Proxy, tuple[str, tuple[str, ...]]] = {
    ir.Proxy.ENVOY: (
        "json",
        ("--disable-hot-restart", "--concurrency", "2", "--log-level", "warning", "--config-path"),
    ),
    ir.Proxy.HAPROXY: ("cfg", ("-W", "-db", "-f")),
    ir.Proxy.NGINX: ("conf", ("-p", ".", "-e", "stderr", "-c")),
}


@dataclass(frozen=True, slots=True)
class Work:
    """Some requests: seconds by the clock for each and for all, and seconds of the sidecars' processors for each."""

    taken: list[float]
    elapsed: float
    processor: float


@dataclass(frozen=True, slots=True)
class Asking:
    """What is asked of a mesh in one round."""

    requests: int
    connections: int = 1
    path: str = "/items?page=1"


@dataclass(frozen=True, slots=True)
class Alive:
    """Something that answers at ``address`` (host:port), and the programs whose work counts."""

    folder: Path
    address: str
    programs: Sequence[Process] = ()

    def ask(self, asking: Asking) -> Work:
        """Raises RequestsFailedError."""
        before = sum(map(_processor, self.programs))
        asked = load.ask(
            self.folder,
            self.address,
            f"http://callee{asking.path}",
            asking.requests,
            asking.connections,
            {"x-user": "callee", "accept": "callee"},
        )
        spent = sum(map(_processor, self.programs)) - before
        return Work(asked.taken, asked.elapsed, spent / asking.requests)


def installed() -> list[ir.Proxy]:
    """The proxies that are on this machine."""
    return [proxy for proxy in ir.Proxy if find(target(proxy).COMMANDS.binary)]


def spec(proxy: ir.Proxy, network: str, callee: Mapping[str, Any], mesh: Mapping[str, Any]) -> dict[str, Any]:
    """A caller, a callee, and whoever gets copies; ``network`` are the first three numbers of their addresses."""

    def service(number: int, **others: Any) -> dict[str, Any]:  # noqa: ANN401 - any field of a service
        return {"port": PORT, "endpoints": [{"address": f"{network}.{number}"}], **others}

    return {
        "apiVersion": "meshctl.dev/v1",
        "mesh": {
            "name": "bench",
            "domain": "bench.mesh",
            "trustDomain": "bench.example",
            "bind": "endpoint",
            "proxy": str(proxy),
            **mesh,
        },
        "services": {
            "caller": service(CALLER, calls={"callee": {}, "copies": {}}),
            "callee": service(CALLEE, **callee),
            "copies": service(COPIES),
        },
    }


def applications(folder: Path, networks: Sequence[str], group: ProcessGroup, *, multiplexed: bool) -> Alive:
    """Behind the callees of all networks. It is NGINX, whose answers take microseconds."""
    addresses = [f"{network}.{number}" for network in networks for number in (CALLEE, COPIES)]
    values = {"applications": addresses, "multiplexed": multiplexed}
    program = _written(folder, "applications", ir.Proxy.NGINX, MINIMAL / "application.conf", values, group)
    await_open(ir.SocketAddress(addresses[0], PORT), program)
    return Alive(folder, f"{addresses[0]}:{PORT}")


def built(folder: Path, network: str, document: Mapping[str, Any], group: ProcessGroup) -> Alive | None:
    """The sidecars that meshctl makes of a spec, in ``folder``; None where the proxy cannot do it."""
    folder.mkdir(parents=True)
    source = folder / "mesh.yaml"
    source.write_text(json.dumps(document), encoding="utf-8")
    validated = pipeline.validate(str(source))
    if validated.mesh is None:
        return None
    now = datetime.now(UTC)
    save_authority(folder / "ca", create_authority(validated.mesh.trust_domain, now))
    pipeline.build(validated, folder / "build", now=now, authority=folder / "ca", verify="none")
    bundles = [
        Bundle(each, folder / "build" / each.service / each.instance) for each in validated.mesh.sidecars
    ]
    programs = []
    for bundle in bundles:
        place = bundle.folder / bundle.sidecar.proxy
        programs.append(_with_reader(bundle.name, ("./run",), place, group))
    for bundle, program in zip(bundles, programs, strict=True):
        await_ready(bundle, program, time.monotonic() + _READY)
    counted = [each for each in programs if each.program.name.partition("/")[0] in ("caller", "callee")]
    return Alive(folder, f"{network}.{CALLER}:15001", counted)


def written(
    folder: Path, proxy: ir.Proxy, network: str, bundles: Path, group: ProcessGroup, values: Mapping[str, Any]
) -> Alive:
    """The hand-written sidecars, with the certificates of ``bundles`` (a folder that ``built`` has filled)."""
    certificates = folder / "certificates"
    for service in ("caller", "callee"):
        (found,) = (bundles / "build" / service).glob("*/tls")
        shutil.copytree(found, certificates / service)
    known = {
        "caller": f"{network}.{CALLER}",
        "callee": f"{network}.{CALLEE}",
        "certificates": certificates,
        **values,
    }
    suffix = _CONFIGURATIONS[proxy][0]
    programs = [
        _written(folder, service, proxy, MINIMAL / f"{proxy}.{service}.{suffix}", known, group)
        for service in ("callee", "caller")
    ]
    for program, number, port in zip(programs, (CALLEE, CALLER), (15006, 15001), strict=True):
        await_open(ir.SocketAddress(f"{network}.{number}", port), program)
    return Alive(folder, f"{network}.{CALLER}:15001", programs)


def _written(
    folder: Path,
    name: str,
    proxy: ir.Proxy,
    template: Path,
    values: Mapping[str, Any],
    group: ProcessGroup,
) -> Process:
    place = folder / name
    place.mkdir(parents=True)
    text = jinja2.Template(
        template.read_text(encoding="utf-8"), trim_blocks=True, keep_trailing_newline=True
    ).render(values)
    (place / template.name).write_text(text, encoding="utf-8")
    if values.get("routes"):
        lines = (f"{route}/ {route[1:]}\n" for route in values["routes"])
        (place / "routes.map").write_text("".join(lines), encoding="utf-8")
    binary = find(target(proxy).COMMANDS.binary) or str(proxy)
    return _with_reader(name, (binary, *_CONFIGURATIONS[proxy][1], template.name), place, group)


def _with_reader(name: str, command: Sequence[str], folder: Path, group: ProcessGroup) -> Process:
    """Start it with somebody behind a pipe who reads its access log, as in real life, and whose work does not count."""
    pipe = ("sh", "-c", "rm -f lines; mkfifo lines; exec cat lines >/dev/null")
    group.start(Program(f"log of {name}", pipe, folder))
    into = ("sh", "-c", 'until [ -p lines ]; do sleep 0.01; done; exec "$@" >lines', "sh", *command)
    return group.start(Program(name, into, folder))


def _processor(process: Process) -> float:
    """Seconds of processor that all threads of its process group have had, by the scheduler's count."""
    nanoseconds = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            group = int(stat.read_text().rpartition(")")[2].split()[2])
            if group == process.group:
                threads = stat.parent.glob("task/*/schedstat")
                nanoseconds += sum(int(each.read_text().split()[0]) for each in threads)
        except OSError:
            continue
    return nanoseconds / 1e9


def networks() -> Iterator[str]:
    """The first three numbers of loopback addresses, other ones for each process that measures."""
    yield from (f"127.74.{(os.getpid() + step) % 250 + 1}" for step in range(250))
