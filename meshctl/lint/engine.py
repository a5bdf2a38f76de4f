"""Policies against facts: what each rule finds, said in its own words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Position, Related
from meshctl.lint.cel import Lookup, UndecidedError
from meshctl.lint.checks import CHECKS
from meshctl.lint.facts import Facts, RouteFacts, ServiceFacts, Value, World, place, values_of
from meshctl.lint.policy import Assertion, BuiltIn, Case, Policy, message_of
from meshctl.lint.reading import PolicySet


@dataclass(frozen=True, slots=True)
class FailedCase:
    """A test of a policy that did not come out as it says."""

    policy: str
    name: str
    at: Position | None
    message: str


def evaluate(policies: PolicySet, world: World) -> Iterator[Finding]:
    """Everything that the policies find in ``world``."""
    policies.lookup.world = world
    for policy in policies.policies:
        yield from _evaluate(policy, world)


def run_tests(policies: PolicySet) -> Iterator[FailedCase]:
    """The cases of all policies; yields those that fail."""
    for policy in policies.policies:
        for case in policy.tests:
            message = _run_test(policy, case, policies.lookup)
            if message:
                yield FailedCase(policy.slug, case.name, case.at, message)


def _run_test(policy: Policy, case: Case, lookup: Lookup) -> str:
    lookup.world = case.given
    found = list(_evaluate(policy, case.given))
    undecided = [each for each in found if each.slug != policy.slug]
    if undecided:
        return undecided[0].message
    if case.passes and found:
        return f"should pass, but finds: {found[0].message}"
    if not case.passes and not found:
        return "should fail, but finds nothing"
    return ""


def _evaluate(policy: Policy, world: World) -> Iterator[Finding]:
    match policy.body:
        case BuiltIn(name):
            for violation in CHECKS[name].run(world, policy.params):
                yield _finding(policy, violation.at, violation.values, violation.related)
        case Assertion() as body:
            yield from _assert(policy, body, world)


def _assert(policy: Policy, body: Assertion, world: World) -> Iterator[Finding]:
    fixed = _named("mesh", world.mesh) | {f"params.{name}": value for name, value in policy.params.items()}
    for subject in _subjects(body.kind, world):
        facts = fixed | _named(body.kind, subject)
        if isinstance(subject, RouteFacts):
            service = world.services.get(subject.service, ServiceFacts(subject.service))
            facts |= _named("service", service)
        at = place(subject, *body.place)
        try:
            if (body.where is None or body.where.holds(facts)) and not body.holds.holds(facts):
                yield _finding(policy, at, facts)
        except UndecidedError as error:
            message = f"`{policy.slug}` could not be decided for this {body.kind}: {error}"
            yield finding("policy-error", at, message)


def _subjects(kind: str, world: World) -> tuple[Facts, ...]:
    every: Mapping[str, tuple[Facts, ...]] = {
        "mesh": (world.mesh,),
        "service": tuple(world.services.values()),
        "route": world.routes,
        "call": world.calls,
    }
    return every[kind]


def _named(kind: str, facts: Facts) -> dict[str, Value]:
    return {f"{kind}.{name}": value for name, value in values_of(facts).items()}


def _finding(
    policy: Policy,
    at: Position | None,
    values: Mapping[str, Value],
    related: tuple[Related, ...] = (),
) -> Finding:
    return Finding(
        code=policy.code,
        slug=policy.slug,
        severity=policy.severity,
        message=message_of(policy, values),
        at=at,
        why=policy.why,
        fix=policy.fix,
        related=related,
    )
