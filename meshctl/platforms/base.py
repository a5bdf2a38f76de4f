"""What every platform is told, and the few things that are the same on all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from ipaddress import ip_address
from typing import Protocol

from msgspec import Struct, field

from meshctl.artifacts import Artifact, Document
from meshctl.diagnostics import Finding, UsageError
from meshctl.ir import Sidecar, SocketAddress
from meshctl.ir.deployment import Deployment
from meshctl.ir.egress import SYSTEM_AUTHORITIES

PLACEHOLDER = "{service}"
FIRST_ORDINARY_PORT = 1024
"""Those below are not for everybody to listen on."""

MADE = "Made by meshctl; changes are lost when it is made again."

STOP_SLACK = timedelta(seconds=10)
"""What a proxy may take to end beyond its drain time before it is killed."""

OPEN_FILES = 65536
"""HAProxy's 8,192 connections on each listener need two descriptors each; the other two are bounded likewise."""


class Image(Struct, frozen=True):
    """What a container's image begins with, and the Debian packages that it needs besides."""

    base: str
    packages: tuple[str, ...]


class Workload(Struct, frozen=True):
    """A sidecar as a platform starts it.

    ``files`` are those of ``<bundle>/<proxy>``, paths relative to that. ``stop`` is the signal that lets what is under way end
    first, within ``drain``. ``version`` is the proxy's.
    """

    deployment: Deployment
    files: tuple[Artifact, ...]
    stop: str
    drain: timedelta
    version: str
    image: Image

    @property
    def sidecar(self) -> Sidecar:
        """What it does."""
        return self.deployment.sidecar

    @property
    def kind(self) -> str:
        """What people call it."""
        return "gateway" if self.sidecar.is_gateway else "sidecar"


class Options(Struct, frozen=True):
    """What no spec of a mesh knows.

    In patterns ``{service}`` stands for the service's name; in ``image`` ``{proxy}`` and ``{version}`` for the proxy's.
    ``application`` is a unit (systemd) or a service (compose), ``bundles`` the folder of a build where it runs, ``namespace`` is written where
    the spec says none, and none at all where it is empty, ``label`` the key of the label that holds a pod's service, ``workloads`` the kind of what runs a service's pods, where that is no Deployment.
    """

    application: str = PLACEHOLDER
    user: str = f"{PLACEHOLDER}-sidecar"
    bundles: str = "/srv/mesh"
    image: str = "meshctl-{proxy}:{version}"
    namespace: str = ""
    label: str = "app.kubernetes.io/name"
    workloads: Mapping[str, str] = field(default_factory=dict)


class Emitter(Protocol):
    """Pure: the same workloads, the same bytes. Raises UsageError for names that its platform cannot have."""

    def __call__(self, workloads: Iterable[Workload], options: Options) -> Iterator[Artifact | Document]:
        """The files; every path begins with the platform's name."""
        ...


class Check(Protocol):
    """What a platform cannot do of what the spec says."""

    def __call__(self, workloads: Iterable[Workload]) -> Iterator[Finding]:
        """Errors where nothing would work."""
        ...


def binds(sidecar: Sidecar) -> Iterator[SocketAddress]:
    """Everything that it listens on."""
    listeners = (sidecar.outbound, *sidecar.locals, *sidecar.tcp, sidecar.inbound, sidecar.health)
    yield sidecar.admin.bind
    for listener in listeners:
        yield from listener.binds if listener else ()


def facing(sidecar: Sidecar) -> tuple[SocketAddress, ...]:
    """Where other hosts reach it on behalf of its service: a gateway's clients, or callers' sidecars."""
    if sidecar.is_gateway:
        return sidecar.outbound.binds
    return sidecar.inbound.binds if sidecar.inbound else ()


def needs_low_ports(sidecar: Sidecar) -> bool:
    """Whether it listens where not everybody may."""
    return any(each.port < FIRST_ORDINARY_PORT for each in binds(sidecar))


def is_everywhere(address: str) -> bool:
    """Whether it stands for all addresses of a host."""
    return ip_address(address).is_unspecified


def is_loopback(address: str) -> bool:
    """Whether only its own host, or container, or pod reaches it."""
    return ip_address(address).is_loopback


def client_files(sidecar: Sidecar) -> tuple[str, ...]:
    """Files of the host that a gateway shows its clients: certificate, key (or both in one); none of others."""
    tls = sidecar.outbound.tls
    return tuple(dict.fromkeys((tls.certificate, tls.key))) if tls else ()


def authority_files(sidecar: Sidecar) -> tuple[str, ...]:
    """Files of the host with the CAs of externals, sorted; the system's own are not among them."""
    origins = [each.origin.tls for each in sidecar.clusters if each.origin is not None]
    return tuple(sorted({each.authorities for each in origins if each} - {SYSTEM_AUTHORITIES}))


def require_own(made: Iterable[str], applications: Iterable[str]) -> None:
    """Raises UsageError where what is made for two sidecars, or for one and an application, has the same name."""
    names = Counter((*made, *set(applications)))
    for name, times in sorted(names.items()):
        if times > 1:
            raise UsageError(
                f"{name} would be two things; choose other names with --application, or in the spec"
            )


def stop_seconds(workload: Workload) -> int:
    """How long a stop may take."""
    return int((workload.drain + STOP_SLACK).total_seconds())
