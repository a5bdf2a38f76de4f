"""Addresses that are written for listeners, but do not hold: `bind: endpoint` puts these elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Part, Position, Related
from meshctl.resolve.placements import LISTENERS, is_loopback
from meshctl.spec import Source, Spec
from meshctl.spec.discovery import EndpointSpec
from meshctl.spec.gateways import GatewaySpec
from meshctl.spec.mesh import MeshSection
from meshctl.spec.service import ListenerSpec, ServiceSpec

_APPLICATION = "application"


class _Owner(Struct, frozen=True):
    """A service or gateway, and which of its listeners are where their endpoint is, whatever is written."""

    written: ServiceSpec | GatewaySpec
    source: Source
    moved: frozenset[str]
    bind: Position | None


def check(spec: Spec) -> Iterator[Finding]:
    """Addresses that hold for no sidecar, where they are written: at their owner, or for all under `mesh`."""
    owners = tuple(_owners(spec))
    for owner in owners:
        for key in LISTENERS:
            if key in owner.moved and _address(owner.written, key):
                yield _ineffective(f"the {key} listener", owner.source[key].part("address"), owner.bind)
        if (
            _APPLICATION in owner.moved
            and isinstance(owner.written, ServiceSpec)
            and owner.written.app_address
        ):
            yield _ineffective("the application", owner.source.part("appAddress"), owner.bind)
    for key in LISTENERS:
        heirs = [each for each in owners if not _address(each.written, key) and _has(each.written, key)]
        if _address(spec.written.mesh, key) and heirs and all(key in each.moved for each in heirs):
            idle = spec.source["mesh"][key].part("address")
            yield _ineffective(f"the {key} listener", idle, heirs[0].bind)


def _owners(spec: Spec) -> Iterator[_Owner]:
    mesh, at = spec.written.mesh, spec.source["mesh"].at("bind")
    for name, service in (spec.written.services or {}).items():
        source = spec.source["services"][name]
        moved = _moved(service.bind or mesh.bind, service.endpoints)
        yield _Owner(service, source, moved, source.at("bind") if service.bind else at)
    for name, gateway in (spec.written.gateways or {}).items():
        yield _Owner(gateway, spec.source["gateways"][name], _moved(mesh.bind, gateway.endpoints), at)


def _moved(bind: str | None, endpoints: list[EndpointSpec] | None) -> frozenset[str]:
    if bind != "endpoint" or not endpoints:
        return frozenset()
    if all(is_loopback(each.address) for each in endpoints):
        return frozenset((*LISTENERS, _APPLICATION))
    return frozenset(("inbound",))


def _has(written: ServiceSpec | GatewaySpec, key: str) -> bool:
    return key in type(written).model_fields


def _address(written: MeshSection | ServiceSpec | GatewaySpec, key: str) -> str | None:
    listener: ListenerSpec | None = getattr(written, key, None)
    return listener.address if listener else None


def _ineffective(what: str, idle: Part | None, bind: Position | None) -> Finding:
    return finding(
        "ineffective-setting",
        idle.at if idle is not None else None,
        f"with `bind: endpoint` {what} is at the address of each endpoint",
        fix="Remove it, or write `bind: shared`.",
        related=(Related(bind, "the `bind`"),) if bind else (),
        remove=idle,
    )
