"""The facts about services."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date
from ipaddress import ip_address

from msgspec.structs import replace

from meshctl import ir
from meshctl.lint.collect_routes import callees, is_decided
from meshctl.lint.facts import CallFacts, ServiceFacts
from meshctl.lint.literals import requests_text
from meshctl.spec import Spec
from meshctl.spec.authorization import ANYONE, AuthorizationRuleSpec
from meshctl.spec.matching import HeaderMatchSpec, PathMatchSpec
from meshctl.spec.service import ServiceSpec

_Hosts = Mapping[str, tuple[ir.VirtualHost, ...]]


def services(
    sidecars: Mapping[str, ir.Sidecar], hosts: _Hosts, calls: Iterable[CallFacts], spec: Spec, today: date
) -> dict[str, ServiceFacts]:
    """Every service by its name."""
    made: dict[str, list[str]] = {}
    taken: dict[str, list[str]] = {}
    for each in calls:
        taken.setdefault(each.callee, []).append(each.caller)
        made.setdefault(each.caller, []).append(each.callee)
    subsets: dict[str, set[str]] = {}
    for cluster in {each.name for sidecar in sidecars.values() for each in sidecar.clusters}:
        service, _, subset = cluster.partition(".")
        subsets.setdefault(service, set()).add(subset)
    relying = _callers_on_default_timeout(hosts)
    unbroken = _callers_on_default_breaker(sidecars)
    return {
        name: replace(
            _service(
                sidecars[name],
                service,
                spec,
                today,
                calls=tuple(sorted(made.get(name, ()))),
                callers=tuple(sorted(taken.get(name, ()))),
                on_timeout=tuple(sorted(relying.get(name, ()))),
                on_breaker=tuple(sorted(unbroken.get(name, ()))),
            ),
            unused_subsets=_unused_subsets(service, subsets.get(name, set())),
        )
        for name, service in sorted((spec.written.services or {}).items())
    }


def _service(
    sidecar: ir.Sidecar,
    written: ServiceSpec,
    spec: Spec,
    today: date,
    *,
    calls: tuple[str, ...],
    callers: tuple[str, ...],
    on_timeout: tuple[str, ...],
    on_breaker: tuple[str, ...],
) -> ServiceFacts:
    capacity = _capacity(written)
    facts = ServiceFacts(
        name=sidecar.service,
        owner=written.owner or "",
        labels=dict(written.labels or {}),
        proxy=sidecar.proxy.value,
        instances=sum(each.weight != 0 for each in written.endpoints or ()),
        zones=tuple(sorted(each for each in capacity if each)),
        calls=calls,
        callers=callers,
        callers_on_default_timeout=on_timeout,
        callers_on_default_breaker=on_breaker,
        capacity=_shares(capacity),
        carried_endpoints=sum(len(each.endpoints) for each in sidecar.clusters),
        carried_routes=sum(len(each.routes) for each in sidecar.outbound.virtual_hosts),
        routes_for_nobody=_routes_for_nobody(written, callers),
        admin_exposed=_admin_exposed(sidecar.admin.bind.address),
        source=spec.source["services"][sidecar.service],
    )
    if sidecar.inbound is None:
        # A service without a port takes nothing from anybody.
        return facts
    return _taking(facts, sidecar.inbound, written, _permissive_until(written, spec), today)


def _taking(
    facts: ServiceFacts,
    inbound: ir.InboundListener,
    written: ServiceSpec,
    until: date | None,
    today: date,
) -> ServiceFacts:
    authorization = inbound.authorization
    limit = inbound.rate_limit
    if limit is not None:
        facts = replace(
            facts, limit_requests=limit.requests, limit_per=limit.per, limit_by_caller=limit.by_caller
        )
    return replace(
        facts,
        protocol=inbound.protocol.value,
        mtls=inbound.mtls.value,
        permissive_until=until.isoformat() if until is not None else "",
        permissive_days=(until - today).days if until is not None else 0,
        authorization=authorization.mode.value,
        authorization_audit=authorization.audit,
        open_to_anyone=any(map(_is_open, authorization.rules)),
        wildcard_rules=tuple(
            _rule_text(each) for each in written.allow or () if ANYONE in (each.callers or (ANYONE,))
        ),
    )


def _admin_exposed(address: str) -> str:
    return "" if ip_address(address).is_loopback else address


def _rule_text(rule: AuthorizationRuleSpec) -> str:
    paths = [_match_text(each) for each in rule.paths or ()]
    conditions = [f"{name} is {_match_text(each)}" for name, each in sorted((rule.headers or {}).items())]
    if rule.jwt is not None:
        conditions.append(f"a token is of {rule.jwt}")
    conditions += [f"claim {name} is {value}" for name, value in sorted((rule.claims or {}).items())]
    return requests_text(sorted(set(rule.methods or ())), paths, conditions)


def _match_text(match: PathMatchSpec | HeaderMatchSpec) -> str:
    return "".join(
        "present" if kind == "present" else f"{kind} {value}"
        for kind, value in match.model_dump(exclude_none=True).items()
    )


def _unused_subsets(service: ServiceSpec, used: Collection[str]) -> tuple[str, ...]:
    """None where nobody calls the service: then nothing of it is used."""
    named = {each.subset for each in service.endpoints or () if each.subset}
    return tuple(sorted(named - set(used))) if used else ()


def _routes_for_nobody(service: ServiceSpec, callers: Collection[str]) -> tuple[str, ...]:
    return tuple(
        route.name
        for route in service.routes or ()
        if any(each.callers and not set(each.callers) & set(callers) for each in route.matches or ())
    )


def _capacity(service: ServiceSpec) -> dict[str, int]:
    """The weights of the endpoints that take requests, by zone; empty for one without."""
    capacity: dict[str, int] = {}
    for each in service.endpoints or ():
        weight = 1 if each.weight is None else each.weight
        if weight:
            zone = each.zone or service.zone or ""
            capacity[zone] = capacity.get(zone, 0) + weight
    return capacity


def _shares(capacity: Mapping[str, int]) -> dict[str, str]:
    whole = sum(capacity.values())
    return {zone: str(100 * weight // whole) for zone, weight in sorted(capacity.items()) if zone}


def _permissive_until(service: ServiceSpec, spec: Spec) -> date | None:
    own, mesh = service.mtls, spec.written.mesh.mtls
    chosen = own if own is not None and own.mode is not None else mesh
    return chosen.until if chosen is not None else None


def _is_open(rule: ir.AuthorizationRule) -> bool:
    narrowed = rule.methods or rule.paths or rule.headers or rule.jwt is not None
    return rule.anyone and not narrowed


def _callers_on_default_timeout(hosts: _Hosts) -> dict[str, set[str]]:
    relying: dict[str, set[str]] = {}
    for caller, seen in hosts.items():
        for host in seen:
            for route in host.routes:
                if not is_decided(route):
                    # A gateway's routes are its own, and what it relies on is where they lead.
                    for callee in callees(route) if host.service == caller else {host.service}:
                        relying.setdefault(callee, set()).add(caller)
    return relying


def _callers_on_default_breaker(sidecars: Mapping[str, ir.Sidecar]) -> dict[str, set[str]]:
    relying: dict[str, set[str]] = {}
    for caller, sidecar in sidecars.items():
        for cluster in sidecar.clusters:
            if cluster.identity is not None and not cluster.circuit_breaker.asks:
                relying.setdefault(cluster.identity.service, set()).add(caller)
    return relying
