"""The question that is asked before anything is emitted: can the proxies do what the user wrote?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Position
from meshctl.ir import Feature, Mesh, Proxy, Sidecar, features_of
from meshctl.ir.features import Known
from meshctl.targets import target
from meshctl.targets.base import Capability, Emulated, Native, Pending, Unsupported

_Wanting = Emulated | Unsupported | Pending
_Asked = dict[tuple[Position, Feature, Proxy], dict[str, None]]


def check(mesh: Mesh) -> Iterator[Finding]:
    """A finding at each field that a proxy involved cannot do, or only nearly; it names the sidecars."""
    wanting = {proxy: _wanting(proxy) for proxy in {each.proxy for each in mesh.sidecars}}
    asked = _asked(mesh, wanting)
    # Features of one place may differ in the same way, such as the conditions of a retry: that is told once.
    told: dict[tuple[Position, Proxy, _Wanting | str, tuple[str, ...]], list[Feature]] = {}
    for (at, feature, proxy), services in asked.items():
        its = wanting[proxy][feature]
        what = its.how if isinstance(its, Emulated) else its
        told.setdefault((at, proxy, what, tuple(services)), []).append(feature)
    # What no proxy has is one finding, whichever proxies are asked for it.
    yield from dict.fromkeys(
        _finding(wanting[proxy][features[0]], features, proxy, at, services)
        for (at, proxy, _, services), features in told.items()
    )
    yield from _conflicts(mesh)


def _asked(mesh: Mesh, wanting: Mapping[Proxy, Mapping[Feature, _Wanting]]) -> _Asked:
    """Who asks for what a proxy lacks, by the places that say so."""
    asked: _Asked = {}
    known: Known = {}
    uses_of: dict[tuple[int, Proxy], tuple[tuple[Feature, Position], ...]] = {}
    for sidecar in mesh.sidecars:
        proxy = sidecar.proxy
        lacking, shows = wanting[proxy], dict[Feature, bool]()
        for part in _parts(sidecar):
            uses = uses_of.get((id(part), proxy))
            if uses is None:
                here = (each for each in features_of(part, known) if each.feature in lacking)
                uses = uses_of[id(part), proxy] = tuple({(use.feature, use.at): None for use in here})
            for feature, at in uses:
                if feature not in shows:
                    shows[feature] = _shows(lacking[feature], sidecar)
                if shows[feature]:
                    asked.setdefault((at, feature, proxy), {})[sidecar.service] = None
    return asked


def _shows(capability: _Wanting, sidecar: Sidecar) -> bool:
    return not isinstance(capability, Emulated) or capability.applies(sidecar)


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
        sidecar.metrics,
    )
    return (*outbound, *sidecar.tcp, *rest, *sidecar.asks)


def _finding(
    capability: _Wanting, features: Sequence[Feature], proxy: Proxy, at: Position, services: Sequence[str]
) -> Finding:
    who = f"the {proxy} sidecar{'s' if len(services) > 1 else ''} of {_listed(services)}"
    feature = ", ".join(features)
    match capability:
        case Emulated(how=how):
            message = f"{feature} on {who}: {how}"
            return finding("approximated-on-target", at, message, alike=f"{proxy}: {how}")
        case Unsupported(why, instead):
            return finding("unsupported-on-target", at, f"{feature} on {who}: {why}", fix=instead)
        case Pending(meanwhile):
            message = f"no proxy has {feature} yet: {meanwhile}"
            return finding("not-yet-supported", at, message, alike=feature)


def _conflicts(mesh: Mesh) -> Iterator[Finding]:
    for sidecar in mesh.sidecars:
        its_target = target(sidecar.proxy)
        for conflict in its_target.CONFLICTS:
            for offender in conflict.offenders(sidecar):
                uses = sorted(features_of(offender), key=lambda use: use.feature not in conflict.features)
                yield finding(
                    "unsupported-on-target",
                    uses[0].at if uses else None,
                    f"the {sidecar.proxy} sidecar of `{sidecar.service}`: {conflict.why}",
                    fix=conflict.instead,
                )


def _listed(names: Sequence[str]) -> str:
    shown = [f"`{name}`" for name in names[:3]]
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(shown) + rest


def table(mesh: Mesh | None = None) -> list[dict[str, object]]:
    """One row for each feature, or for each that ``mesh`` uses; the columns are the proxies'.

    Of a mesh only those differences are told that can show in one of its sidecars, were it on that proxy.
    """
    users = _users(mesh) if mesh else dict.fromkeys(Feature, ())
    return [
        {"feature": feature.value}
        | {
            proxy.value: _cell(_in(mesh, users[feature], target(proxy).CAPABILITIES[feature]))
            for proxy in Proxy
        }
        for feature in Feature
        if feature in users
    ]


def _users(mesh: Mesh) -> dict[Feature, list[Sidecar]]:
    found: dict[Feature, list[Sidecar]] = {}
    for sidecar in mesh.sidecars:
        for feature in {use.feature for use in features_of(sidecar)}:
            found.setdefault(feature, []).append(sidecar)
    return found


def _in(mesh: Mesh | None, users: Sequence[Sidecar], capability: Capability) -> Capability:
    shows = mesh is None or not isinstance(capability, Emulated) or any(map(capability.applies, users))
    return capability if shows else Native()


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
