"""Whether a mesh is wise: the built-in policies and the team's own."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from meshctl.diagnostics import Finding, UsageError, in_order
from meshctl.pipeline.checking import UNREADABLE, Validated, validate

if TYPE_CHECKING:
    from meshctl.lint import FailedCase, PolicySet


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many findings, waived ones aside, speak against one group of a profile's rules."""

    title: str
    findings: int


@dataclass(frozen=True, slots=True)
class Linted(Validated):
    """A spec with what the policies say of it."""

    verdicts: tuple[Verdict, ...] = ()
    """One for each group of the profile; none where the rules could not be asked."""


def lint(
    location: str,
    *,
    today: date,
    environment: str | None = None,
    policies: Path | None = None,
    profile: str | None = None,
) -> Linted:
    """What :func:`validate` finds, and what the built-in policies and those below ``policies`` do.

    Raises UsageError for a ``profile`` that there is not.
    """
    validated = validate(location, environment=environment, today=today)
    rules, texts = read_policies(policies)
    if profile is not None and profile not in {each.name for each in rules.profiles}:
        known = ", ".join(sorted(each.name for each in rules.profiles))
        raise UsageError(f"there is no profile `{profile}`; there are {known}")
    found, verdicts = _found(validated, rules, today, profile)
    linted = {each.name: getattr(validated, each.name) for each in dataclasses.fields(validated)}
    linted |= {
        "findings": in_order((*validated.findings, *found)),
        "texts": {**texts, **validated.texts},
        "unreadable": validated.unreadable or any(each.slug in UNREADABLE for each in rules.findings),
    }
    return Linted(**linted, verdicts=tuple(verdicts))


def _found(
    validated: Validated, rules: PolicySet, today: date, profile: str | None
) -> tuple[tuple[Finding, ...], Iterator[Verdict]]:
    from meshctl import lint, resolve
    from meshctl.catalogue import CODES

    spec, mesh = validated.spec, validated.mesh
    if spec is None or mesh is None:
        return rules.findings, iter(())
    chosen = lint.configured(rules, spec, profile)
    every, active = ({each.slug for each in some.policies} for some in (rules, chosen))
    mandatory = {each.slug for each in chosen.policies if each.mandatory}
    found = resolve.waive(lint.lint(mesh, spec, chosen, today), spec, errors=active, never=mandatory)
    told = (*validated.findings, *found)
    found += tuple(
        resolve.idle(spec, today, told, CODES.keys() | every, mandatory=mandatory, off=every - active)
    )
    return found, _verdicts(chosen, (*validated.findings, *found))


def _verdicts(chosen: PolicySet, found: tuple[Finding, ...]) -> Iterator[Verdict]:
    for group in chosen.profile.groups if chosen.profile is not None else ():
        yield Verdict(group.title, sum(each.slug in group.rules and not each.waived for each in found))


@dataclass(frozen=True, slots=True)
class TestedPolicies:
    """What came of the cases of policies, and the faults of their files."""

    policies: int
    cases: int
    failed: tuple[FailedCase, ...]
    findings: tuple[Finding, ...]
    texts: Mapping[str, str]
    unreadable: bool


def run_policy_tests(own: Path | None = None) -> TestedPolicies:
    """Run the cases of the policies below ``own``, or of the built-in ones."""
    from meshctl import lint

    builtin, texts = read_policies(None)
    rules = builtin
    if own is not None:
        every, texts = read_policies(own)
        known = {each.slug for each in builtin.policies}
        mine = tuple(each for each in every.policies if each.slug not in known)
        rules = dataclasses.replace(every, policies=mine)
    return TestedPolicies(
        policies=len(rules.policies),
        cases=sum(len(each.tests) for each in rules.policies),
        failed=tuple(lint.run_tests(rules)),
        findings=rules.findings,
        texts=texts,
        unreadable=any(each.slug in UNREADABLE for each in rules.findings),
    )


def read_policies(own: Path | None) -> tuple[PolicySet, dict[str, str]]:
    """The built-in policies and the team's own, and the texts of their files."""
    from meshctl import lint, resources
    from meshctl.load import read_files, read_yaml

    listed = [read_files(str(each)) for each in (resources.folder("policies"), own) if each is not None]
    faults = tuple(fault for each in listed for fault in each.findings)
    documents = {file.name: read_yaml(file.content, file.name) for each in listed for file in each.files}
    rules = lint.read_policies(documents)
    texts = {name: each.text for name, each in documents.items()}
    return dataclasses.replace(rules, findings=(*faults, *rules.findings)), texts
