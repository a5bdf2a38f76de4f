"""Compose: a service for each sidecar, in the network of its application's container.

https://github.com/compose-spec/compose-spec/blob/main/spec.md
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from meshctl.artifacts import Artifact, Document
from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, UsageError
from meshctl.platforms import images, readiness
from meshctl.platforms.base import (
    MADE,
    OPEN_FILES,
    PLACEHOLDER,
    Options,
    Workload,
    authority_files,
    client_files,
    facing,
    is_loopback,
    require_own,
    stop_seconds,
)
from meshctl.platforms.images import MOUNT

_SERVICE = re.compile(r"[a-zA-Z0-9._-]{1,128}")
_WHO = "${MESHCTL_USER:-1000:1000}"
"""Whoever owns the keys, which nobody else may read."""


def check(workloads: Iterable[Workload]) -> Iterator[Finding]:
    """Containers reach each other by addresses of their network, never by loopback."""
    seen: set[str] = set()
    for each in workloads:
        local = [bind for bind in facing(each.sidecar) if is_loopback(bind.address)]
        if local and each.sidecar.service not in seen:
            seen.add(each.sidecar.service)
            yield finding(
                "not-on-platform",
                each.deployment.at,
                f"the {each.kind} of {each.deployment.name} would listen on {local[0]}, which no other container reaches",
                fix="Give it the address of its container, without `bind: endpoint`, or a name that compose's DNS knows "
                "(`discovery: {dns: {name: …}}`).",
            )


def emit(workloads: Iterable[Workload], options: Options) -> Iterator[Artifact | Document]:
    """Raises UsageError for what is no service or no image."""
    listed = list(workloads)
    services: dict[str, object] = {}
    notes: list[str] = []
    by_service = groupby(listed, key=lambda each: each.sidecar.service)
    placed = [place for _, its in by_service for place in _placed(list(its), options)]
    require_own((name for _, _, name, _ in placed), (each for _, each, _, _ in placed if each))
    for workload, application, name, host in placed:
        services[name] = _service(workload, application, options)
        if host:
            notes.append(
                f"{application or name} is called at {host}: its container needs this address (ipv4_address or ipv6_address)."
            )
    comments = (
        f"The sidecars of the mesh {listed[0].sidecar.mesh}, beside a file with its applications. {MADE}",
        "MESHCTL_USER is who owns the keys in the bundles.",
        *notes,
    )
    yield Document("compose/compose.yaml", comments, {"services": services})
    yield from images.containerfiles(listed, "compose")


def _placed(
    workloads: Sequence[Workload], options: Options
) -> Iterator[tuple[Workload, str | None, str, str]]:
    """Each container of a service's sidecars: its application (none for a gateway), its own name, and the address
    that callers know. Where there are several, they are numbered in the order of bundles and addresses.
    """
    places = [(each, host) for each in workloads for host in each.deployment.hosts or ("",)]
    for number, (workload, host) in enumerate(places, 1):
        suffix = f"-{number}" if len(places) > 1 else ""
        service = workload.sidecar.service
        if workload.sidecar.is_gateway:
            yield workload, None, f"{service}{suffix}", ""
            continue
        application = options.application.replace(PLACEHOLDER, service) + suffix
        if not _SERVICE.fullmatch(application):
            raise UsageError(f"{application!r} is not the name of a service of compose")
        yield workload, application, f"{service}-sidecar{suffix}", host


def _service(workload: Workload, application: str | None, options: Options) -> dict[str, object]:
    sidecar = workload.sidecar
    path = f"{options.bundles}/{workload.deployment.name}"
    # Compose puts in a variable wherever a dollar stands.
    probe = [each.replace("$", "$$") for each in readiness.command(sidecar.admin)]
    return {
        "image": images.name(options.image, workload),
        "entrypoint": [f"{MOUNT}/{sidecar.proxy}/run"],
        **_network(workload, application),
        "user": _WHO,
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "volumes": [
            {"type": "tmpfs", "target": MOUNT, "tmpfs": {"mode": 0o1777}},
            _read(f"{path}/{sidecar.proxy}", f"{MOUNT}/{sidecar.proxy}"),
            _read(f"{path}/tls", f"{MOUNT}/tls"),
            *(_read(each, each) for each in (*client_files(sidecar), *authority_files(sidecar))),
        ],
        "healthcheck": {
            "test": ["CMD", *probe],
            "interval": "10s",
            "timeout": "5s",
            "retries": 3,
            "start_period": "30s",
        },
        "restart": "unless-stopped",
        "stop_signal": workload.stop,
        "stop_grace_period": f"{stop_seconds(workload)}s",
        "ulimits": {"nofile": OPEN_FILES},
    }


def _network(workload: Workload, application: str | None) -> dict[str, object]:
    if application is None:
        ports = dict.fromkeys(f"{each.port}:{each.port}" for each in facing(workload.sidecar))
        return {"ports": list(ports)}
    # A container that is made anew has another network, which a sidecar of before is not in.
    return {
        "network_mode": f"service:{application}",
        "depends_on": {application: {"condition": "service_started", "restart": True}},
    }


def _read(source: str, target: str) -> dict[str, object]:
    return {
        "type": "bind",
        "source": source,
        "target": target,
        "read_only": True,
        "bind": {"create_host_path": False},
    }
