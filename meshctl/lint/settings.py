"""`lint.rules` of the spec: severities and parameters that a team has chosen for itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches

from meshctl.catalogue import CODES, finding
from meshctl.diagnostics import Finding, Severity
from meshctl.lint import literals
from meshctl.lint.facts import KINDS, Value
from meshctl.lint.literals import LiteralError
from meshctl.lint.policy import Policy
from meshctl.lint.reading import PolicySet
from meshctl.spec import Source, Spec

_SEVERITIES = [each.value for each in Severity]


def configured(policies: PolicySet, spec: Spec) -> PolicySet:
    """The policies as ``spec`` wants them; what it says of unknown rules and parameters is a finding."""
    written = spec.written.lint.rules if spec.written.lint is not None else None
    if not written:
        return policies
    here = spec.source["lint"]["rules"]
    by_slug = {each.slug: each for each in policies.policies}
    found = list(_unknown_rules(written, by_slug, here))
    for slug in written.keys() & by_slug.keys():
        by_slug[slug], faults = _configured(by_slug[slug], written[slug], here[slug])
        found += faults
    return PolicySet(tuple(by_slug.values()), (*policies.findings, *found), policies.lookup)


def _unknown_rules(
    written: Mapping[str, object], known: Mapping[str, Policy], here: Source
) -> Iterator[Finding]:
    for slug in written.keys() - known.keys():
        close = get_close_matches(slug, known, n=1)
        fix = f"Did you mean `{close[0]}`?" if close else ""
        if slug in CODES:
            fix = f"`{slug}` belongs to `validate` and cannot be configured."
        yield finding("undefined-reference", here.at(slug), f"there is no lint rule named `{slug}`", fix=fix)


def _configured(
    policy: Policy, written: Mapping[str, object], here: Source
) -> tuple[Policy, tuple[Finding, ...]]:
    found: list[Finding] = []
    params: dict[str, Value] = dict(policy.params)
    severity = policy.severity
    for key, node in written.items():
        if key == "severity":
            if node in _SEVERITIES:
                severity = Severity(str(node))
                continue
            expected = f"one of {', '.join(_SEVERITIES)}"
            found.append(finding("invalid-value", here.value_at(key), f"`severity` must be {expected}"))
        elif key not in params:
            known = ["severity", *params]
            close = get_close_matches(key, known, n=1)
            fix = f"Did you mean `{close[0]}`?" if close else f"Known here: {', '.join(known)}."
            message = f"`{key}` is not a parameter of the rule `{policy.slug}`"
            found.append(finding("unknown-key", here.at(key), message, fix=fix))
        else:
            type_ = literals.type_of(params[key])
            try:
                params[key] = literals.read(node, type_)
            except LiteralError:
                expected = KINDS[type_]
                found.append(finding("invalid-value", here.value_at(key), f"`{key}` must be {expected}"))
    return replace(policy, params=params, severity=severity), tuple(found)
