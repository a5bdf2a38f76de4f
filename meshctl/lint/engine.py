"""Policies against facts: what each rule finds, said in its own words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Position, Related, Severity
from meshctl.lint.cel import Lookup, UndecidedError
from meshctl.lint.checks import CHECKS
from meshctl.lint.facts import Facts, RouteFacts, ServiceFacts, Value, World, fields_of, place
from meshctl.lint.policy import PLACEHOLDER, Assertion, BuiltIn, Case, Policy, Specs, message_of
from meshctl.lint.reading import PolicySet


class FailedCase(Struct, frozen=True):
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


Compare = Callable[[Specs], World | str]
"""The facts about a change between two specs, or what is wrong with them."""


def run_tests(policies: PolicySet, compare: Compare) -> Iterator[FailedCase]:
    """The cases of all policies; yields those that fail."""
    for policy in policies.policies:
        for case in policy.tests:
            message = _run_test(policy, case, policies.lookup, compare)
            if message:
                yield FailedCase(policy.slug, case.name, case.at, message)


def about_change(policy: Policy) -> bool:
    """Whether a rule asks about a change, so that it finds nothing where there is none."""
    match policy.body:
        case BuiltIn(name):
            return CHECKS[name].about_change
        case Assertion(kind):
            return kind == "change"


def _run_test(policy: Policy, case: Case, lookup: Lookup, compare: Compare) -> str:
    given = compare(case.given) if isinstance(case.given, Specs) else case.given
    if isinstance(given, str):
        return given
    lookup.world = given
    found = list(_evaluate(policy, given))
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
                found = _finding(
                    policy, violation.at, violation.values, violation.related, violation.severity
                )
                yield replace(found, caller=violation.caller)
        case Assertion() as body:
            yield from _assert(policy, body, world)


def _assert(policy: Policy, body: Assertion, world: World) -> Iterator[Finding]:
    params = {f"params.{name}": value for name, value in policy.params.items()}
    # Most subjects are alike in what a rule asks about, and the answer for all of them is one evaluation.
    answers: dict[tuple[object, ...], bool] = {}
    for subject in _subjects(body.kind, world):
        about = {"mesh": world.mesh, body.kind: subject}
        if isinstance(subject, RouteFacts):
            about["service"] = world.services.get(subject.service) or ServiceFacts(subject.service)
        facts = params | {name: _value(about, name) for name in body.asks}
        key = tuple(map(_frozen, facts.values()))
        try:
            if key not in answers:
                answers[key] = _holds(body, facts)
            if not answers[key]:
                yield _finding(policy, place(subject, *body.place), _told(policy, about))
        except UndecidedError as error:
            message = f"`{policy.slug}` could not be decided for this {body.kind}: {error}"
            yield finding("policy-error", place(subject, *body.place), message)


def _holds(body: Assertion, facts: Mapping[str, Value]) -> bool:
    return (body.where is not None and not body.where.holds(facts)) or body.holds.holds(facts)


def _value(about: Mapping[str, Facts], name: str) -> Value:
    kind, _, fact = name.partition(".")
    value: Value = getattr(about[kind], fields_of(type(about[kind]))[fact][0])
    return value


def _frozen(value: Value) -> object:
    return tuple(sorted(value.items())) if isinstance(value, Mapping) else value


def _told(policy: Policy, about: Mapping[str, Facts]) -> dict[str, Value]:
    """The facts that the message names."""
    names = PLACEHOLDER.findall(policy.message)
    return {name: _value(about, name) for name in names if not name.startswith("params.")}


def _subjects(kind: str, world: World) -> tuple[Facts, ...]:
    every: Mapping[str, tuple[Facts, ...]] = {
        "mesh": (world.mesh,),
        "service": tuple(world.services.values()),
        "route": world.routes,
        "match": world.matches,
        "call": world.calls,
        "external": world.externals,
        "change": (world.change,) if world.change is not None else (),
        "rule": world.rules,
    }
    return every[kind]


def _finding(
    policy: Policy,
    at: Position | None,
    values: Mapping[str, Value],
    related: tuple[Related, ...] = (),
    severity: Severity | None = None,
) -> Finding:
    return Finding(
        code=policy.code,
        slug=policy.slug,
        severity=severity or policy.severity,
        message=message_of(policy, values),
        at=at,
        why=policy.why,
        fix=policy.fix,
        related=related,
    )
