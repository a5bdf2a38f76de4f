"""Rules of authorization that cannot hold, that grant nothing, and calls that no rule lets in."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import structs

from meshctl import ir
from meshctl.catalogue import finding
from meshctl.diagnostics import Finding
from meshctl.ir.jwt import SPACE_DELIMITED
from meshctl.resolve import authorization, health_checks, matching, mtls
from meshctl.resolve.calls import declared_calls, place
from meshctl.resolve.layers import call_layer, callee_layers
from meshctl.resolve.references import undefined
from meshctl.spec import Source, Spec
from meshctl.spec.authorization import ANYONE, UNAUTHENTICATED, AuthorizationRuleSpec
from meshctl.spec.service import ServiceSpec

_NUMBER = re.compile(r"[-+]?[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?")


def check(spec: Spec) -> Iterator[Finding]:
    """Faults of every rule, and calls without a grant."""
    callers: dict[str, set[str]] = {}
    for caller, callee, _ in declared_calls(spec):
        callers.setdefault(callee, set()).add(caller)
    for name, service in (spec.written.services or {}).items():
        source = spec.source["services"][name]
        for key, rules in (("allow", service.allow), ("deny", service.deny)):
            for index, rule in enumerate(rules or ()):
                yield from _check_rule(spec, service, rule, source[key][index])
                yield from _check_callers(mtls.mode(spec, name), rule, source[key][index]["from"])
        if authorization.mode(spec) is ir.AuthorizationMode.DECLARED:
            yield from _check_without_call(spec, name, service, callers.get(name, set()))
    yield from _check_without_grant(spec, callers)
    yield from _check_health(spec)


def _check_rule(
    spec: Spec, service: ServiceSpec, rule: AuthorizationRuleSpec, source: Source
) -> Iterator[Finding]:
    if not rule.model_fields_set:
        yield finding("empty-value", source.here, "a rule that says nothing", fix="Write at least a `from`.")
    if rule.paths and service.path_policy is not None:
        message = "a rule by path, where `pathPolicy` lets paths through that are not canonical"
        yield finding("path-rule-with-path-policy", source.at("paths"), message)
    for index, path in enumerate(rule.paths or ()):
        yield from matching.check_path(path, source["paths"][index])
    yield from matching.check_values(rule.headers, "header", source["headers"])
    yield from _check_token(spec, rule, source)


def _check_callers(mode: ir.MtlsMode, rule: AuthorizationRuleSpec, source: Source) -> Iterator[Finding]:
    for index, caller in enumerate(rule.callers or ()):
        if caller == UNAUTHENTICATED and mode is ir.MtlsMode.STRICT:
            yield finding("unauthenticated-caller", source.at(index), "nobody without a certificate gets in")
        elif caller not in (UNAUTHENTICATED, ANYONE) and mode is ir.MtlsMode.DISABLED:
            message = f"nobody shows a certificate here, so `{caller}` is not known from others"
            yield finding("unknowable-caller", source.at(index), message)


def _check_token(spec: Spec, rule: AuthorizationRuleSpec, source: Source) -> Iterator[Finding]:
    written = spec.written.mesh.jwt
    issuers = written.issuers if written is not None else {}
    if rule.jwt is not None and rule.jwt not in issuers:
        message = f"there is no issuer named `{rule.jwt}` under `mesh.jwt`"
        yield structs.replace(undefined("issuer", rule.jwt, source.at("jwt"), issuers), message=message)
    if rule.claims is not None and rule.jwt is None:
        message = "`claims` are those of a token, and this rule asks for none"
        yield finding("missing-key", source.at("claims"), message, fix="Write `jwt`, the name of an issuer.")
    for name, value in (rule.claims or {}).items():
        if name in SPACE_DELIMITED and " " in value:
            message = f"`{name}` of a token is a list of words, and a rule asks for one of them"
            yield finding("invalid-value", source["claims"].value_at(name), message, fix="Write one word.")
        kind = _never_text(source["claims"], name, value)
        if kind:
            message = f"a claim is {kind} here, and only texts of a token match"
            fix = (
                f'Write "{value}" in quotes, if the token has it as a text; {kind} in a token never matches.'
            )
            yield finding("invalid-value", source["claims"].value_at(name), message, fix=fix)


def _never_text(claims: Source, name: str, value: str) -> str:
    """What YAML and JSON take a value without quotes for, where that is no text."""
    kind = (
        "a boolean" if value.lower() in ("true", "false") else "a number" if _NUMBER.fullmatch(value) else ""
    )
    return kind if kind and claims.positions.is_plain(claims.value_at(name), value) else ""


def _check_without_call(spec: Spec, name: str, service: ServiceSpec, callers: set[str]) -> Iterator[Finding]:
    services, gateways = spec.written.services or {}, spec.written.gateways or {}
    for index, rule in enumerate(service.allow or ()):
        source = spec.source["services"][name]["allow"][index]["from"]
        for number, caller in enumerate(rule.callers or ()):
            if caller not in callers and (caller in services or caller in gateways):
                message = f"`{caller}` does not declare a call to `{name}`, so this lets nobody in"
                yield finding("rule-without-call", source.at(number), message)


def _check_without_grant(spec: Spec, callers: dict[str, set[str]]) -> Iterator[Finding]:
    services = spec.written.services or {}
    explicit = authorization.mode(spec) is ir.AuthorizationMode.EXPLICIT
    for caller, callee, listed in declared_calls(spec):
        rules = services[callee].allow
        if rules is None and not explicit:
            continue
        granted = {ANYONE, caller}
        if mtls.mode(spec, callee) is ir.MtlsMode.DISABLED:
            granted.add(UNAUTHENTICATED)
        if not any(each.callers is None or granted & set(each.callers) for each in rules or ()):
            message = f"`{caller}` calls `{callee}`, and no `allow` of `{callee}` lets it in"
            yield finding("call-without-grant", place(spec, caller, listed), message)


def _check_health(spec: Spec) -> Iterator[Finding]:
    """Health checks that the callee may refuse."""
    refusing = {name for name in spec.written.services or {} if authorization.refusing(spec, name)}
    for caller, callee, _ in declared_calls(spec):
        if callee not in refusing:
            continue
        service = (spec.written.services or {})[callee]
        layers = (*callee_layers(spec, callee), *call_layer(spec, caller, callee))
        kind, path, at = health_checks.wanted(layers)
        if kind is ir.HealthCheckKind.HTTP and path != service.health_path:
            fix = f"Write `healthPath: {path}` at `{callee}`" + (
                ", or check that one." if service.health_path else "."
            )
            message = f"`{path}` is not the `healthPath` of `{callee}`, which has rules or a rate limit"
            yield finding("health-check-not-exempt", at, message, fix=fix)
        elif kind is ir.HealthCheckKind.GRPC and not authorization.asked_by_grpc(spec, callee):
            message = f"`{callee}` has rules or a rate limit, and does not know of this check"
            yield finding("health-check-not-exempt", at, message, fix=f"Write it at `{callee}`.")
