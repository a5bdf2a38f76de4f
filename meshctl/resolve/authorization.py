"""Authorization: who may do what to a service, in rules that need no knowledge of the modes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from msgspec.structs import replace

from meshctl import ir
from meshctl.diagnostics import Position
from meshctl.resolve import applications, health_checks, jwt, matching, mtls, rate_limiting
from meshctl.resolve.layers import callee_layers
from meshctl.spec import Source, Spec
from meshctl.spec.authorization import ANYONE, UNAUTHENTICATED, AuthorizationRuleSpec

READING = ("GET", "HEAD")
"""What declared callers may always do to the health path."""
POSTING = ("POST",)
"""What they do to the health service of a gRPC server."""

_Check = tuple[tuple[str, ...], str, Position | None]
"""The methods and the path of a health check, and where it was written."""


def mode(spec: Spec) -> ir.AuthorizationMode:
    """Where permission comes from; `declared` where the spec is silent."""
    written = spec.written.mesh.authorization
    return ir.AuthorizationMode((written and written.mode) or ir.AuthorizationMode.DECLARED)


def authorization(spec: Spec, name: str, callers: Collection[str]) -> ir.Authorization:
    """Who may call the service ``name``; ``callers`` are those that declare the call."""
    mesh = spec.source["mesh"]
    written = spec.written.mesh.authorization
    service = (spec.written.services or {})[name]
    source = spec.source["services"][name]
    plaintext = mtls.mode(spec, name) is not ir.MtlsMode.STRICT
    rules = _merged(_allow(spec, name, callers))
    deny = _merged(
        _rule(spec, each, source["deny"][index], all_plaintext=plaintext)
        for index, each in enumerate(service.deny or ())
    )
    exempt = tuple(_exempt(spec, name, callers))
    audit = bool(written and written.audit)
    return ir.Authorization(
        mode(spec),
        rules,
        deny=deny,
        exempt=exempt,
        issuers=jwt.issuers(spec, (*rules, *deny)),
        audit=audit,
        asks=tuple(_asks(source, _checks(spec, name) if exempt else ())),
        at=mesh.at("authorization") if written is not None else None,
    )


def _asks(source: Source, checks: Iterable[_Check]) -> Iterator[ir.FeatureUse]:
    asked = (
        (ir.Feature.AUTHORIZATION_RULES, source.at("allow") if "allow" in source else None),
        (ir.Feature.AUTHORIZATION_RULES, source.at("deny") if "deny" in source else None),
        *((ir.Feature.HEALTH_PATH, at) for _, _, at in checks),
    )
    for feature, at in asked:
        if at is not None:
            yield ir.FeatureUse(feature, at)


def _allow(spec: Spec, name: str, callers: Collection[str]) -> Iterator[ir.AuthorizationRule]:
    written = (spec.written.services or {})[name].allow
    source = spec.source["services"][name]["allow"]
    everybody = ir.AuthorizationRule(_principals(spec, callers))
    unknown = mtls.mode(spec, name) is ir.MtlsMode.DISABLED
    match mode(spec):
        case ir.AuthorizationMode.DECLARED:
            if written is None:
                yield everybody
            for index, each in enumerate(written or ()):
                chosen = {ANYONE} if each.callers is None else set(each.callers)
                let_in = callers if ANYONE in chosen else chosen & set(callers)
                rule = _rule(spec, each, source[index], all_plaintext=unknown)
                yield replace(rule, anyone=False, principals=_principals(spec, let_in))
        case ir.AuthorizationMode.EXPLICIT:
            for index, each in enumerate(written or ()):
                yield _rule(spec, each, source[index], all_plaintext=unknown)
        case ir.AuthorizationMode.OPEN:
            if written is None:
                yield ir.AuthorizationRule(anyone=True, unauthenticated=unknown)
            for index, each in enumerate(written or ()):
                yield _rule(spec, each, source[index], all_plaintext=unknown)


def _rule(
    spec: Spec, written: AuthorizationRuleSpec, source: Source, *, all_plaintext: bool
) -> ir.AuthorizationRule:
    """A rule by itself: without `from` it is for everybody in the mesh, and maybe for ``all_plaintext`` callers."""
    chosen = {ANYONE} if written.callers is None else set(written.callers)
    anyone = ANYONE in chosen
    return ir.AuthorizationRule(
        principals=() if anyone else _principals(spec, chosen - {UNAUTHENTICATED}),
        anyone=anyone,
        unauthenticated=UNAUTHENTICATED in chosen or (anyone and all_plaintext),
        methods=tuple(sorted(set(written.methods or ()))),
        paths=tuple(
            dict.fromkeys(
                matching.path(each, source["paths"][number])
                for number, each in enumerate(written.paths or ())
            )
        ),
        headers=matching.headers(written.headers, source["headers"]),
        jwt=jwt.condition(written, source),
        at=source.here,
    )


def refusing(spec: Spec, name: str) -> bool:
    """Whether the sidecar of a service may refuse a request of a caller that declares the call."""
    service = (spec.written.services or {})[name]
    if applications.protocol(service) is ir.Protocol.TCP:
        return False
    limited = rate_limiting.rate_limit(callee_layers(spec, name)) is not None
    ruled = service.allow is not None or bool(service.deny)
    return ruled or limited or mode(spec) is ir.AuthorizationMode.EXPLICIT


def _exempt(spec: Spec, name: str, callers: Collection[str]) -> Iterator[ir.AuthorizationRule]:
    """Health checks, where a rule or the limit of the service could refuse them."""
    anyone = mode(spec) is ir.AuthorizationMode.OPEN
    if not refusing(spec, name) or not (callers or anyone):
        return
    for methods, path, _ in _checks(spec, name):
        yield ir.AuthorizationRule(
            principals=() if anyone else _principals(spec, callers),
            anyone=anyone,
            unauthenticated=mtls.mode(spec, name) is ir.MtlsMode.DISABLED,
            methods=methods,
            paths=(ir.PathMatch(ir.PathMatchKind.EXACT, path),),
        )


def _checks(spec: Spec, name: str) -> Iterator[_Check]:
    """How callers ask a service for its health, by what it says itself."""
    service, source = (spec.written.services or {})[name], spec.source["services"][name]
    if service.health_path is not None:
        yield READING, service.health_path, source.at("healthPath")
    if asked_by_grpc(spec, name):
        layers = callee_layers(spec, name)
        yield POSTING, health_checks.GRPC_METHOD, health_checks.wanted(layers)[2]


def asked_by_grpc(spec: Spec, name: str) -> bool:
    """Whether a service, or `defaults`, says that it is checked by gRPC, and it speaks that."""
    kind, *_ = health_checks.wanted(callee_layers(spec, name))
    speaks = applications.protocol((spec.written.services or {})[name])
    return kind is ir.HealthCheckKind.GRPC and speaks is ir.Protocol.GRPC


def _principals(spec: Spec, names: Iterable[str]) -> tuple[ir.WorkloadIdentity, ...]:
    return tuple(mtls.identity(spec, each) for each in sorted(set(names)))


def _merged(rules: Iterable[ir.AuthorizationRule]) -> tuple[ir.AuthorizationRule, ...]:
    """Rules that differ only in whom they are about become one; rules about nobody go."""
    merged: dict[object, ir.AuthorizationRule] = {}
    for each in rules:
        key = (each.methods, each.paths, each.headers, each.jwt)
        first = merged.setdefault(key, each)
        if first is not each:
            anyone = first.anyone or each.anyone
            unknown = first.unauthenticated or each.unauthenticated
            both = {one.service: one for one in (*first.principals, *each.principals)}
            principals = () if anyone else tuple(both[name] for name in sorted(both))
            merged[key] = replace(first, anyone=anyone, unauthenticated=unknown, principals=principals)
    return tuple(each for each in merged.values() if each.anyone or each.unauthenticated or each.principals)
