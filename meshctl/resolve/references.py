"""Names that lead somewhere: calls, callers, backends, mirrors, subsets and zones. All of them share one namespace."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Position
from meshctl.resolve import discovery
from meshctl.spec import Source, Spec
from meshctl.spec.authorization import ANYONE, UNAUTHENTICATED
from meshctl.spec.externals import ExternalSpec
from meshctl.spec.failover import LocalitySpec
from meshctl.spec.gateways import GatewaySpec
from meshctl.spec.mirroring import MirrorSpec
from meshctl.spec.policy import CallSpec
from meshctl.spec.routing import RouteSpec
from meshctl.spec.service import ServiceSpec
from meshctl.spec.splitting import BackendSpec
from meshctl.suggestions import did_you_mean

_FEW = 3


class _Names(Struct, frozen=True):
    """All that is defined."""

    services: Mapping[str, ServiceSpec]
    externals: Mapping[str, ExternalSpec]
    gateways: Mapping[str, GatewaySpec]
    zones: frozenset[str]

    @property
    def callees(self) -> tuple[str, ...]:
        return (*self.services, *self.externals)

    @property
    def callers(self) -> tuple[str, ...]:
        return (*self.services, *self.gateways)

    def kind(self, name: str) -> str:
        """What has this name, in words; empty where nothing has."""
        kinds = (("a service", self.services), ("an external", self.externals), ("a gateway", self.gateways))
        return next((kind for kind, defined in kinds if name in defined), "")


def check(spec: Spec) -> Iterator[Finding]:
    """Every name that is used and nowhere defined, and callees that nothing can answer for."""
    written = spec.written
    names = _Names(written.services or {}, written.externals or {}, written.gateways or {}, zones(spec))
    yield from _check_reserved(names, spec.source)
    yield from _check_policy(written.defaults, names, spec.source["defaults"])
    for name, service in names.services.items():
        here = spec.source["services"][name]
        yield from _check_policy(service, names, here)
        yield from _check_calls(name, service.calls, here, names)
        yield from _check_routes(name, service.routes, here, names)
        for key, rules in (("allow", service.allow), ("deny", service.deny)):
            for index, rule in enumerate(rules or ()):
                where = here[key][index]["from"]
                yield from _check_callers(rule.callers, where, names, (ANYONE, UNAUTHENTICATED))
    for name, gateway in names.gateways.items():
        here = spec.source["gateways"][name]
        yield from _check_calls(name, gateway.calls, here, names, outside=False)
        yield from _check_routes("", gateway.routes, here, names)
    for name, external in names.externals.items():
        yield from _check_policy(external, names, spec.source["externals"][name])


def zones(spec: Spec) -> frozenset[str]:
    """All that an endpoint, a service or a gateway is in."""
    owners: list[ServiceSpec | GatewaySpec] = [*(spec.written.services or {}).values()]
    owners += (spec.written.gateways or {}).values()
    named = ((each.zone, *(one.zone for one in each.endpoints or ())) for each in owners)
    return frozenset(zone for each in named for zone in each if zone)


def _check_reserved(names: _Names, source: Source) -> Iterator[Finding]:
    for section, defined in (
        ("services", names.services),
        ("externals", names.externals),
        ("gateways", names.gateways),
    ):
        if UNAUTHENTICATED in defined:
            at = source[section].at(UNAUTHENTICATED)
            yield finding(
                "reserved-name", at, f"`{UNAUTHENTICATED}` stands for callers without a certificate"
            )


def _check_policy(policy: object, names: _Names, here: Source) -> Iterator[Finding]:
    locality: LocalitySpec | None = getattr(policy, "locality", None)
    if locality is None:
        return
    for index, zone in enumerate(locality.failover or ()):
        if zone not in names.zones:
            yield undefined("zone", zone, here["locality"]["failover"].at(index), names.zones)


def _check_calls(
    name: str, calls: Mapping[str, CallSpec] | None, here: Source, names: _Names, *, outside: bool = True
) -> Iterator[Finding]:
    """``outside``: whether externals may be called; a gateway leads into the mesh."""
    for callee, call in (calls or {}).items():
        if call.locality is not None:
            yield from _check_policy(call, names, here["calls"][callee])
        if outside and callee in names.externals:
            continue
        service = names.services.get(callee)
        if service is None:
            kind = "service or external" if outside else "service"
            at, known = here["calls"].at(callee), names.callees if outside else names.services
            yield undefined(kind, callee, at, known, names)
        elif not discovery.taking(service) and service.discovery is None:
            yield finding(
                "route-to-empty-pool",
                here["calls"].at(callee),
                f"`{name}` calls `{callee}`, which has no endpoints that take requests",
            )


def _check_routes(
    own: str, routes: Iterable[RouteSpec] | None, here: Source, names: _Names
) -> Iterator[Finding]:
    """``own`` is the service whose subsets may be named; empty at a gateway, which has none."""
    for index, route in enumerate(routes or ()):
        source = here["routes"][index]
        for number, backend in enumerate(route.backends or ()):
            where = source["backends"][number]
            yield from _check_pool(own, backend, where, names, idle=backend.weight == 0)
        for number, mirror in enumerate(route.mirror or ()):
            where = source["mirror"][number]
            yield from _check_pool(own, mirror, where, names, idle=mirror.percent == 0)
        for number, match in enumerate(route.matches or ()):
            if match.callers:
                where = source["matches"][number]["from"]
                yield from _check_callers(match.callers, where, names)
                yield from _check_never_calling(own, match.callers, where, names)


def _check_never_calling(
    own: str, callers: Iterable[str] | None, where: Source, names: _Names
) -> Iterator[Finding]:
    """Callers in a route of ``own`` whose sidecars have none of its routes."""
    for index, caller in enumerate(callers or ()):
        if own and caller in names.gateways:
            message = f"requests from the gateway `{caller}` go by the gateway's own routes, not by those of `{own}`"
            yield finding("ineffective-setting", where.at(index), message, remove=where.part(index))
        elif own and caller in names.services and own not in (names.services[caller].calls or {}):
            message = f"`{caller}` does not list `{own}` under its `calls`, so none of its requests come here"
            fix = f"List `{own}` under the `calls` of `{caller}`, or take `{caller}` out."
            yield finding("ineffective-setting", where.at(index), message, fix=fix)


def _check_callers(
    callers: Iterable[str] | None, where: Source, names: _Names, others: Collection[str] = ()
) -> Iterator[Finding]:
    """``others``: what else may stand there."""
    for index, caller in enumerate(callers or ()):
        if caller not in names.services and caller not in names.gateways and caller not in others:
            yield undefined("service or gateway", caller, where.at(index), names.callers, names)


def _check_pool(
    own: str, named: BackendSpec | MirrorSpec, where: Source, names: _Names, *, idle: bool
) -> Iterator[Finding]:
    """``idle``: it gets no requests anyhow."""
    faults = list(_check_target(own, named, where, names))
    yield from faults
    target = names.services.get(named.service or own)
    if faults or target is None or idle or target.discovery is not None:
        return
    if (named.service or named.subset) and not discovery.taking(target, named.subset):
        service = f"`{named.service or own}`"
        pool = f"the subset `{named.subset}` of {service}" if named.subset else service
        yield finding("route-to-empty-pool", where.here, f"{pool} has no endpoints that take requests")


def _check_target(
    own: str, target: BackendSpec | MirrorSpec, where: Source, names: _Names
) -> Iterator[Finding]:
    """A service, one of its subsets, or a subset of the service whose route this is."""
    name = target.service or own
    if not name:
        if target.subset is not None:
            yield finding(
                "missing-key",
                where.at("subset"),
                "a gateway has no subsets of its own",
                fix="Name the `service` whose subset this is.",
            )
        return
    if name not in names.services:
        yield undefined("service", name, where.value_at("service"), names.services, names)
        return
    known = discovery.subsets(names.services[name])
    if target.subset is not None and target.subset not in known:
        yield undefined(f"subset of `{name}`", target.subset, where.value_at("subset"), known)


def undefined(
    kind: str, name: str, at: Position | None, known: Iterable[str], names: _Names | None = None
) -> Finding:
    """The finding for a name that is not there, with the nearest one that is."""
    known = sorted(known)
    other = names.kind(name) if names is not None else ""
    return finding(
        "undefined-reference",
        at,
        f"there is no {kind} named `{name}`" + (f": it is {other}" if other else ""),
        fix=_all_of(known) if other else did_you_mean(name, known, _all_of(known)),
    )


def _all_of(known: Sequence[str]) -> str:
    """What there is, where that is little enough to be read."""
    return f"There is {' and '.join(f'`{each}`' for each in known)}." if 0 < len(known) <= _FEW else ""
