"""Which program a sidecar is."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from meshctl import ir
from meshctl.catalogue import finding
from meshctl.diagnostics import Finding
from meshctl.spec import Spec
from meshctl.spec.gateways import GatewaySpec
from meshctl.spec.service import ServiceSpec

DEFAULT_PROXY = ir.Proxy.ENVOY
_COMPILED = tuple(each.value for each in ir.Proxy)


def proxy(spec: Spec, owner: ServiceSpec | GatewaySpec) -> ir.Proxy:
    """The proxy of a service or gateway, as :func:`check` has let it pass."""
    return ir.Proxy(owner.proxy or spec.written.mesh.proxy or DEFAULT_PROXY)


def check(spec: Spec) -> Iterator[Finding]:
    """Proxies that the language has, but no release compiles yet."""
    mesh = spec.source["mesh"]
    owners = [(spec.written.mesh.proxy, mesh)]
    for section, written in (("services", spec.written.services), ("gateways", spec.written.gateways)):
        owners += [(each.proxy, spec.source[section][name]) for name, each in (written or {}).items()]
    for chosen, source in owners:
        if chosen is not None and chosen not in _COMPILED:
            yield finding(
                "unsupported-on-target",
                source.at("proxy"),
                f"no release of meshctl compiles for `{chosen}` yet",
                fix=f"Write {', '.join(f'`{each}`' for each in _COMPILED[:-1])} or `{_COMPILED[-1]}`.",
            )


def with_proxy(spec: Spec, proxy: str) -> Spec:
    """The same spec with every sidecar being ``proxy``."""
    services = {
        name: service.model_copy(update={"proxy": None}) if service.proxy else service
        for name, service in (spec.written.services or {}).items()
    }
    gateways = {
        name: gateway.model_copy(update={"proxy": None}) if gateway.proxy else gateway
        for name, gateway in (spec.written.gateways or {}).items()
    }
    mesh = spec.written.mesh.model_copy(update={"proxy": proxy})
    sections = {"mesh": mesh, "services": services or None, "gateways": gateways or None}
    return replace(spec, written=spec.written.model_copy(update=sections))
