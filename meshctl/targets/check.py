"""The question that is asked before anything is emitted: can the proxies do what the user wrote?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Position
from meshctl.ir import Feature, Mesh, Proxy, Sidecar, features_of
from meshctl.targets import target
from meshctl.targets.base import Capability, Emulated, Native, Pending, Unsupported

_Wanting = Emulated | Unsupported | Pending
_Asked = dict[tuple[Position, Feature, Proxy], dict[str, None]]


def check(mesh: Mesh) -> Iterator[Finding]:
    """A finding at each field that a proxy involved cannot do, or only nearly; it names the sidecars."""
    asked: _Asked = {}
    uses_of: dict[int, tuple[tuple[Feature, Position], ...]] = {}
    wanting = {proxy: _wanting(proxy) for proxy in {each.proxy for each in mesh.sidecars}}
    for sidecar in mesh.sidecars:
        here = {
            feature: its
            for feature, its in wanting[sidecar.proxy].items()
            if not isinstance(its, Emulated) or its.applies(sidecar)
        }
        for part in _parts(sidecar):
            if id(part) not in uses_of:
                uses_of[id(part)] = tuple({(use.feature, use.at): None for use in features_of(part)})
            for feature, at in uses_of[id(part)]:
                if feature in here:
                    asked.setdefault((at, feature, sidecar.proxy), {})[sidecar.service] = None
    # What no proxy has is one finding, whichever proxies are asked for it.
    yield from dict.fromkeys(
        _finding(wanting[proxy][feature], feature, proxy, at, list(services))
        for (at, feature, proxy), services in asked.items()
    )
    yield from _conflicts(mesh)


def _wanting(proxy: Proxy) -> Mapping[Feature, _Wanting]:
    table = target(proxy).CAPABILITIES
    return {feature: its for feature, its in table.items() if not isinstance(its, Native)}


def _parts(sidecar: Sidecar) -> tuple[object, ...]:
    """What may hold features, in pieces that sidecars share, so that each is walked once."""
    listeners = (sidecar.outbound, *sidecar.locals)
    outbound = (*(host for each in listeners for host in each.virtual_hosts), *sidecar.clusters)
    rest = (
        sidecar.inbound,
        sidecar.outbound.tls,
        sidecar.outbound.egress,
        sidecar.tls,
        sidecar.access_log,
        sidecar.health,
        sidecar.tracing,
    )
    return (*outbound, *sidecar.tcp, *rest, *sidecar.asks)


def _finding(
    capability: _Wanting, feature: Feature, proxy: Proxy, at: Position, services: list[str]
) -> Finding:
    who = f"the {proxy} sidecar{'s' if len(services) > 1 else ''} of {_listed(services)}"
    alike = f"{feature} on {proxy}"
    match capability:
        case Emulated(how=how):
            return finding("approximated-on-target", at, f"{feature} on {who}: {how}", alike=alike)
        case Unsupported(why, instead):
            return finding("unsupported-on-target", at, f"{feature} on {who}: {why}", fix=instead)
        case Pending(meanwhile):
            message = f"no proxy has {feature} yet: {meanwhile}"
            return finding("not-yet-supported", at, message, alike=str(feature))


def _conflicts(mesh: Mesh) -> Iterator[Finding]:
    for sidecar in mesh.sidecars:
        its_target = target(sidecar.proxy)
        for conflict in its_target.CONFLICTS:
            for offender in conflict.offenders(sidecar):
                uses = (use.at for use in features_of(offender) if use.feature in conflict.features)
                yield finding(
                    "unsupported-on-target",
                    next(uses, None),
                    f"the {sidecar.proxy} sidecar of `{sidecar.service}`: {conflict.why}",
                    fix=conflict.instead,
                )


def _listed(names: list[str]) -> str:
    shown = [f"`{name}`" for name in names[:3]]
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(shown) + rest


def table(mesh: Mesh | None = None) -> list[dict[str, object]]:
    """One row for each feature, or for each that ``mesh`` uses; the columns are the proxies'."""
    used = (
        {use.feature for sidecar in mesh.sidecars for use in features_of(sidecar)} if mesh else set(Feature)
    )
    return [
        {"feature": feature.value}
        | {proxy.value: _cell(target(proxy).CAPABILITIES[feature]) for proxy in Proxy}
        for feature in Feature
        if feature in used
    ]


def _cell(capability: Capability) -> dict[str, str]:
    match capability:
        case Native():
            return {"kind": "native"}
        case Emulated(how=how):
            return {"kind": "emulated", "how": how}
        case Unsupported(why, instead):
            return {"kind": "unsupported", "why": why, "instead": instead}
        case Pending(meanwhile):
            return {"kind": "not yet", "meanwhile": meanwhile}
