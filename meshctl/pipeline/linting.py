"""Whether a mesh is wise: the built-in policies and the team's own."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from meshctl.diagnostics import Finding, FindingsError, UsageError, in_order
from meshctl.pipeline.baseline import BaselineFile, Compared, Scope, compare, open_baseline
from meshctl.pipeline.checking import UNREADABLE, Validated, validate
from meshctl.pipeline.comparing import change_between
from meshctl.pipeline.policy_cases import compare_case
from meshctl.pipeline.rules import service_of

if TYPE_CHECKING:
    from meshctl.lint import FailedCase, PolicySet


class Verdict(Struct, frozen=True):
    """How many findings that nobody has accepted speak against one group of a profile's rules."""

    title: str
    findings: int


class Linted(Validated, frozen=True):
    """A spec with what the policies say of it."""

    verdicts: tuple[Verdict, ...] = ()
    """One for each group of the profile; none where the rules could not be asked."""
    baseline: Compared | None = None
    """What came of the baseline; None where none was given."""


def lint(  # noqa: PLR0913 - one for each option of the command
    location: str,
    *,
    today: date,
    environment: str | None = None,
    policies: Path | None = None,
    profile: str | None = None,
    baseline: Path | None = None,
    update_baseline: bool = False,
    contents: Mapping[str, bytes] | None = None,
    against: Validated | None = None,
) -> Linted:
    """What :func:`validate` finds, and what the built-in policies and those below ``policies`` do; with a valid spec
    to compare ``against`` also what they find of the change from there.

    What the file ``baseline`` holds is held back; with ``update_baseline`` that file is written first, unless an error keeps
    rules from being asked. ``contents`` are read in place of the files of these names. Raises UsageError for a ``profile`` that there is not, and for what is no baseline of this mesh.
    """
    file = open_baseline(baseline, update=update_baseline) if baseline is not None else None
    validated = validate(location, environment=environment, today=today, contents=contents)
    rules, texts = read_policies(policies)
    if profile is not None and profile not in {each.name for each in rules.profiles}:
        known = ", ".join(sorted(each.name for each in rules.profiles))
        raise UsageError(f"there is no profile `{profile}`; there are {known}")
    asked = _ask(validated, rules, today, profile, file, against)
    linted = structs.asdict(validated)
    linted |= {
        "findings": in_order((*validated.findings, *asked.findings)),
        "texts": {**texts, **(file.texts if file is not None else {}), **validated.texts},
        "unreadable": validated.unreadable or any(each.slug in UNREADABLE for each in rules.findings),
    }
    return Linted(**linted, verdicts=asked.verdicts, baseline=asked.baseline)


class _Asked(Struct, frozen=True):
    """What the rules say."""

    findings: tuple[Finding, ...]
    verdicts: tuple[Verdict, ...] = ()
    baseline: Compared | None = None


def _ask(
    validated: Validated,
    rules: PolicySet,
    today: date,
    profile: str | None,
    file: BaselineFile | None,
    against: Validated | None,
) -> _Asked:
    from meshctl import lint, resolve
    from meshctl.catalogue import CODES

    spec, mesh = validated.spec, validated.mesh
    if spec is None or mesh is None:
        return _Asked(rules.findings, baseline=Compared() if file is not None else None)
    chosen = lint.configured(rules, spec, profile)
    every, active = ({each.slug for each in some.policies} for some in (rules, chosen))
    # What is waived of a change is found in that change alone, so that afterwards it is not idle.
    passing = {each.slug for each in rules.policies if lint.about_change(each)}
    mandatory = {each.slug for each in chosen.policies if each.mandatory}
    reach = None
    if lint.needs_reach(spec, chosen):
        from meshctl import simulate

        reach = simulate.reachability(mesh)
    change = change_between(against.require(), mesh) if against is not None else None
    asked = lint.lint(mesh, spec, chosen, today, reach=reach, change=change)
    found = resolve.waive(asked, spec, errors=active, never=mandatory)
    told = (*validated.findings, *found)
    found += tuple(
        resolve.idle(
            spec, today, told, CODES.keys() | every, mandatory=mandatory, off=(every - active) | passing
        )
    )
    compared = None
    if file is not None:
        whole = not rules.findings and not any(each.slug == "policy-error" for each in found)
        file = structs.replace(file, update=file.update and whole)
        off = (every - active) | passing
        held = active - mandatory - passing
        scope = Scope(mesh.name, validated.environment, service_of(validated), held, off)
        found, compared = compare(found, file, scope)
    return _Asked(found, tuple(_verdicts(chosen, (*validated.findings, *found))), compared)


def _verdicts(chosen: PolicySet, found: tuple[Finding, ...]) -> Iterator[Verdict]:
    for group in chosen.profile.groups if chosen.profile is not None else ():
        yield Verdict(group.title, sum(each.slug in group.rules and not each.is_accepted for each in found))


class TestedPolicies(Struct, frozen=True):
    """What came of the cases of policies, and the faults of their files."""

    policies: int
    cases: int
    failed: tuple[FailedCase, ...]
    findings: tuple[Finding, ...]
    texts: Mapping[str, str]
    unreadable: bool


def run_policy_tests(own: Path | None = None) -> TestedPolicies:
    """Run the cases of the policies below ``own``, or of the built-in ones. Raises UsageError where no file is below it."""
    from meshctl import lint, resources

    if own is None:
        rules, texts = _read(resources.folder("policies"))
    else:
        built_in, known_texts = read_policies(None)
        known = {each.slug for each in built_in.policies}
        every, texts = read_policies(own)
        if not every.findings and texts.keys() <= known_texts.keys():
            raise UsageError(f"there is no policy in {own}")
        mine = tuple(each for each in every.policies if each.slug not in known)
        rules = structs.replace(every, policies=mine)
    return TestedPolicies(
        policies=len(rules.policies),
        cases=sum(len(each.tests) for each in rules.policies),
        failed=tuple(lint.run_tests(rules, compare_case)),
        findings=rules.findings,
        texts=texts,
        unreadable=any(each.slug in UNREADABLE for each in rules.findings),
    )


def policy_faults(own: Path) -> FindingsError | None:
    """What is wrong with the policies below ``own``, which are left out; None where nothing is."""
    rules, texts = read_policies(own)
    if not rules.findings:
        return None
    error = FindingsError(rules.findings, texts)
    error.exit_code = 2 if any(each.slug in UNREADABLE for each in rules.findings) else 1
    return error


def read_policies(own: Path | None) -> tuple[PolicySet, Mapping[str, str]]:
    """The built-in policies, without their cases, and the team's own, and the texts of their files."""
    from meshctl import resources

    rules, texts = _built_in(resources.folder("policies"))
    if own is None:
        return rules, texts
    every, of_own = _read(own, beside=rules, known=texts.keys())
    return every, {**texts, **of_own}


@cache
def _built_in(folder: Path) -> tuple[PolicySet, Mapping[str, str]]:
    """The policies that come with meshctl, which its tests have proven; they do not change while it runs."""
    return _read(folder, proven=True)


def _read(
    folder: Path,
    *,
    beside: PolicySet | None = None,
    known: Collection[str] = (),
    proven: bool = False,
) -> tuple[PolicySet, Mapping[str, str]]:
    """The policies in ``folder`` and those ``beside`` it, whose files are ``known``, and the texts of its own."""
    from meshctl import lint
    from meshctl.load import read_files, read_yaml

    listed = read_files(str(folder))
    documents = {
        file.name: read_yaml(file.content, file.name) for file in listed.files if file.name not in known
    }
    rules = lint.read_policies(documents, beside=beside, proven=proven)
    texts = {name: each.text for name, each in documents.items()}
    return structs.replace(rules, findings=(*listed.findings, *rules.findings)), texts
