"""Which rules count: the profile's choice, then `lint.rules` of the spec."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from msgspec import Struct, field
from msgspec.structs import replace

from meshctl.catalogue import CODES, finding
from meshctl.diagnostics import Finding, Position, Severity
from meshctl.lint import literals
from meshctl.lint.facts import KINDS, Value
from meshctl.lint.literals import LiteralError
from meshctl.lint.policy import Policy
from meshctl.lint.profiles import DEFAULT, Profile
from meshctl.lint.reading import PolicySet
from meshctl.spec import Source, Spec
from meshctl.suggestions import did_you_mean

OFF = "off"
"""The severity of a rule that does not count."""

_SEVERITIES = (*(each.value for each in Severity), OFF)


class _Choice(Struct):
    """Rules by slug, those that are off among them, and what is wrong with what chose them."""

    rules: dict[str, Policy]
    off: set[str] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)


def configured(policies: PolicySet, spec: Spec, profile: str | None = None) -> PolicySet:
    """The policies that count for ``spec``, as it and the profile want them.

    ``profile`` beats the one that the spec names. What either says of unknown rules and parameters is a finding.
    """
    choice = _Choice({each.slug: each for each in policies.policies})
    chosen = _profile(policies, spec, profile, choice)
    if chosen is not None:
        choice.off |= {slug for slug in choice.rules if not chosen.has(slug)}
        _apply(choice, chosen.rules, chosen.source, mandatory=True)
        known = choice.rules.keys() | CODES.keys()
        for group in chosen.groups:
            for slug in group.rules:
                if slug not in known:
                    choice.findings.append(_unknown(slug, known, group.at))
    written = spec.written.lint.rules if spec.written.lint is not None else None
    if written:
        _apply(choice, written, spec.source["lint"]["rules"], mandatory=False)
    left = tuple(each for each in choice.rules.values() if each.mandatory or each.slug not in choice.off)
    return replace(policies, policies=left, findings=(*policies.findings, *choice.findings), profile=chosen)


def _profile(policies: PolicySet, spec: Spec, asked: str | None, choice: _Choice) -> Profile | None:
    written = spec.written.lint.profile if spec.written.lint is not None else None
    name = asked or written or DEFAULT
    found = next((each for each in policies.profiles if each.name == name), None)
    if found is None and name != DEFAULT:
        known = [each.name for each in policies.profiles]
        fix = did_you_mean(name, known, f"Known here: {', '.join(known)}.")
        at = spec.source["lint"].at("profile") if asked is None else None
        choice.findings.append(
            finding("undefined-reference", at, f"there is no profile named `{name}`", fix=fix)
        )
    return found


def _unknown(slug: str, known: Collection[str], at: Position | None) -> Finding:
    fix = did_you_mean(slug, known)
    if slug in CODES:
        fix = f"`{slug}` belongs to `validate` and cannot be configured."
    return finding("undefined-reference", at, f"there is no lint rule named `{slug}`", fix=fix)


def _apply(
    choice: _Choice, written: Mapping[str, Mapping[str, object]], here: Source, *, mandatory: bool
) -> None:
    """Set severities and parameters; those of mandatory rules only where ``mandatory`` says that it may be."""
    for slug, settings in written.items():
        policy = choice.rules.get(slug)
        if policy is None:
            choice.findings.append(_unknown(slug, choice.rules, here.at(slug)))
        elif policy.mandatory and not mandatory:
            message = f"the rule `{slug}` is mandatory: a spec cannot change it"
            choice.findings.append(finding("mandatory-rule", here.at(slug), message))
        else:
            choice.off.discard(slug)
            choice.rules[slug] = _set(choice, policy, settings, here[slug])


def _set(choice: _Choice, policy: Policy, written: Mapping[str, object], here: Source) -> Policy:
    params: dict[str, Value] = dict(policy.params)
    severity = policy.severity
    for key, node in written.items():
        if key == "severity" and node == OFF:
            choice.off.add(policy.slug)
        elif key == "severity" and node in _SEVERITIES:
            severity = Severity(str(node))
        elif key == "severity":
            expected = f"one of {', '.join(_SEVERITIES)}"
            choice.findings.append(
                finding("invalid-value", here.value_at(key), f"`severity` must be {expected}")
            )
        elif key not in params:
            choice.findings.append(_unknown_param(key, policy, here))
        else:
            type_ = literals.type_of(params[key])
            try:
                params[key] = literals.read(node, type_)
            except LiteralError:
                message = f"`{key}` must be {KINDS[type_]}"
                choice.findings.append(finding("invalid-value", here.value_at(key), message))
    return replace(policy, params=params, severity=severity)


def _unknown_param(key: str, policy: Policy, here: Source) -> Finding:
    known = ["severity", *policy.params]
    fix = did_you_mean(key, known, f"Known here: {', '.join(known)}.")
    message = f"`{key}` is not a parameter of the rule `{policy.slug}`"
    return finding("unknown-key", here.at(key), message, fix=fix)
