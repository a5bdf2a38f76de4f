"""What `lint --fix` does: edits of the spec's files, all proven before anything is written.

Proven is what is written, and not each rule trusted: the files read as the old ones with exactly these edits; what is
fixed is found no more, and nothing else is instead, without an environment and in each of them; and for a safe fix every
sidecar's files stay as they are, byte by byte. What cannot be proven is withheld. (Decision 0127.)
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field

from meshctl.diagnostics import Finding, Identity, Mend, Severity, UsageError, identity
from meshctl.pipeline.linting import Linted, lint, read_policies
from meshctl.pipeline.sameness import same_files

if TYPE_CHECKING:
    from meshctl.load.edits import Change

ROUNDS = 10
"""What one fix leaves may be for another one; nearly always the second round finds nothing."""

_WAIVER = "unused-waiver"

MOST_PROOFS = 100
"""Each of them looks at the whole spec in all its environments."""

Key = tuple[Identity, Severity, bool]
View = tuple[str | None, str | None]
"""An environment and a profile; None: the spec without one, and the profile that the spec names."""


class Question(Struct, frozen=True):
    """What is linted."""

    location: str
    today: date
    environment: str | None = None
    policies: Path | None = None
    profile: str | None = None

    @property
    def view(self) -> View:
        return self.environment, self.profile

    def ask(self, view: View, contents: Mapping[str, bytes]) -> Linted:
        """What is found so with these contents of files."""
        environment, profile = view
        return lint(
            self.location,
            today=self.today,
            environment=environment,
            policies=self.policies,
            profile=profile,
            contents=contents,
        )


class Withheld(Struct, frozen=True):
    """A fix that is not made, and why."""

    finding: Finding
    why: str


class Fixed(Struct, frozen=True):
    """What can be fixed. Nothing is written yet."""

    linted: Linted
    """What is found then."""
    fixed: tuple[Finding, ...]
    withheld: tuple[Withheld, ...]
    unsafe: int
    """How many fixes were not looked at because they are not safe."""
    before: Mapping[str, bytes]
    after: Mapping[str, bytes]
    """The files that change, by name."""


def fix(question: Question, *, unsafe: bool = False) -> Fixed:
    """All that can be fixed in the spec; with ``unsafe`` also what may change what sidecars do.

    Raises UsageError for a spec from a git revision, for links, and where a file changes meanwhile.
    """
    if not os.path.lexists(question.location):
        raise UsageError(f"{question.location}: only files of the work tree can be fixed")
    fixing = _Fixing(question, question.ask(question.view, {}))
    withheld, done = fixing.rounds(safe=True), -1
    while unsafe and done < len(fixing.fixed) <= MOST_PROOFS * ROUNDS:
        # What is not safe can make a spec readable, and there may be more to fix then.
        done = len(fixing.fixed)
        withheld = fixing.rounds(safe=False)
        withheld = [*withheld, *fixing.rounds(safe=True)]
    return Fixed(
        linted=fixing.linted,
        fixed=tuple(fixing.fixed),
        withheld=tuple(withheld),
        unsafe=0 if unsafe else len(_candidates(fixing.linted, safe=False)),
        before={name: fixing.before[name] for name in fixing.contents},
        after=fixing.contents,
    )


def write_fixes(fixed: Fixed) -> None:
    """Write what is fixed. Raises UsageError, with nothing written, where a file is not what it was."""
    from meshctl.load.saving import save

    save(fixed.before, fixed.after)


def offers(question: Question, linted: Linted, *, unsafe: bool = False) -> dict[Finding, tuple[Change, ...]]:
    """For findings of ``linted`` that can be fixed at once what would change in the file that they are in.

    All the safe ones are proven together, and so are the others.
    """
    from meshctl.load.edits import changes_of_each

    found: dict[Finding, tuple[Change, ...]] = {}
    if not os.path.lexists(question.location):
        return found
    for safe in (True, False) if unsafe else (True,):
        by_file = _by_file(_Fixing(question, linted).first_round(safe=safe))
        for name, its in by_file.items():
            edits = [mend.edit for _, mend in its]
            made = changes_of_each(linted.texts[name], edits)
            found |= {each: changed for (each, _), changed in zip(its, made, strict=True) if changed}
    return found


def _by_file(findings: Sequence[Finding]) -> dict[str, list[tuple[Finding, Mend]]]:
    found: dict[str, list[tuple[Finding, Mend]]] = {}
    for each in findings:
        if each.mend is not None:
            found.setdefault(each.mend.edit.part.at.file, []).append((each, each.mend))
    return found


class _Fixing:
    """The search for as many fixes as can be proven together."""

    def __init__(self, question: Question, linted: Linted) -> None:
        self.linted = linted
        self.contents: dict[str, bytes] = {}
        self.before: dict[str, bytes] = {}
        self.fixed: list[Finding] = []
        self._question = question
        self._others: dict[View, Linted] = {}
        self._withheld: list[Withheld] = []
        self._proofs = 0
        self._proven: _Proven | None = None

    def rounds(self, *, safe: bool) -> Sequence[Withheld]:
        """Fix until nothing more can be; returns what was withheld at last."""
        for _ in range(ROUNDS):
            accepted = self.first_round(safe=safe)
            if not accepted or self._proven is None:
                break
            self.fixed += accepted
            self.linted, self._others = self._proven.linted, self._proven.others
            self.contents |= self._proven.contents
        return self._withheld

    def first_round(self, *, safe: bool) -> list[Finding]:
        """The findings that can be fixed at once."""
        self._withheld = []
        self._proven = None
        candidates = _candidates(self.linted, safe=safe)
        return self._most([], candidates, safe=safe) if candidates else []

    def _most(self, accepted: list[Finding], tried: list[Finding], *, safe: bool) -> list[Finding]:
        """``accepted`` and as many more as go with them, by halves: nearly always all do."""
        why = self._prove([*accepted, *tried], safe=safe)
        if not why:
            return [*accepted, *tried]
        if len(tried) == 1 or self._proofs >= MOST_PROOFS:
            self._withheld += (Withheld(each, why) for each in tried)
            return accepted
        middle = len(tried) // 2
        accepted = self._most(accepted, tried[:middle], safe=safe)
        return self._most(accepted, tried[middle:], safe=safe)

    def _prove(self, findings: Sequence[Finding], *, safe: bool) -> str:
        """Why these cannot be fixed together; empty where they can, and then what comes of it is kept."""
        from meshctl.load.edits import EditRefusedError

        try:
            contents = self.contents | self._edited(findings)
        except EditRefusedError as error:
            return str(error)
        if self._proofs >= MOST_PROOFS:
            return f"not looked at: {MOST_PROOFS} proofs are the most for one run"
        self._proofs += 1
        linted = self._question.ask(self._question.view, contents)
        why = _fault(self.linted, linted, findings, safe=safe)
        others = {}
        for view in self._beside(findings):
            if why:
                return why
            if view not in self._others:
                self._others[view] = self._question.ask(view, self.contents)
            before = self._others[view]
            others[view] = self._question.ask(view, contents)
            why = _fault(before, others[view], (), safe=safe)
            if not why and safe and view[0] is not None and before.mesh is None:
                why = "it has errors, so that nobody knows what it needs"
            why = why and f"{_seen(view, self._question.view)}: {why}"
        if not why:
            self._proven = _Proven(contents, linted, others)
        return why

    @cached_property
    def _views(self) -> tuple[tuple[str | None, ...], tuple[str, ...]]:
        """The environments of the spec, and the profiles that there are."""
        from meshctl.load import read_spec

        environments = read_spec(self._question.location).environments()
        rules, _ = read_policies(self._question.policies)
        return (None, *environments), tuple(each.name for each in rules.profiles)

    def _beside(self, findings: Sequence[Finding]) -> Iterator[View]:
        """Without, and in all other environments than the one that is asked about; of waivers by all profiles too.

        What a waiver is for may be found with the parameters of another profile alone.
        """
        asked = self._question.view
        environments, profiles = self._views
        for environment, profile in product(environments, (asked[1], *profiles)):
            of_waivers = profile != asked[1] and any(each.slug == _WAIVER for each in findings)
            if of_waivers or (environment != asked[0] and profile == asked[1]):
                yield environment, profile

    def _edited(self, findings: Sequence[Finding]) -> dict[str, bytes]:
        """The files that change. Raises EditRefusedError."""
        from meshctl.load import edits, saving

        made = {}
        for name, its in _by_file(findings).items():
            text = self.linted.texts[name]
            if name not in self.before:
                self.before[name] = saving.read_own(name, text)
            changed = edits.changes(text, [mend.edit for _, mend in its])
            made[name] = saving.encode(edits.apply(text, changed), self.before[name])
        return made


class _Proven(Struct, frozen=True):
    """The last proof that held."""

    contents: dict[str, bytes]
    linted: Linted
    others: dict[View, Linted] = field(default_factory=dict)


def _seen(view: View, asked: View) -> str:
    (environment, profile), by = view, ""
    if profile != asked[1]:
        by = f" by the profile `{profile}`"
    return (
        f"in {f'the environment `{environment}`' if environment else 'the spec without an environment'}{by}"
    )


def _candidates(linted: Linted, *, safe: bool) -> list[Finding]:
    return [
        each
        for each in linted.findings
        if each.mend is not None and each.mend.safe is safe and not each.waived
    ]


def _fault(before: Linted, after: Linted, fixed: Sequence[Finding], *, safe: bool) -> str:
    """What speaks against these fixes; empty where nothing does."""
    old, new = Counter(map(_key, before.findings)), Counter(map(_key, after.findings))
    if any(new[key] > old[key] - count for key, count in Counter(map(_key, fixed)).items()):
        return "it would be found all the same"
    # What only comes to light because the whole can be read now was there before.
    comparable = (before.spec is None) == (after.spec is None) and (before.mesh is None) == (
        after.mesh is None
    )
    lost = (before.spec and after.spec is None) or (before.mesh and after.mesh is None)
    more = next((each for each in after.findings if new[_key(each)] > old[_key(each)]), None)
    if more is not None and (comparable or lost):
        return f"then there would be: {more.slug}: {more.message}"
    if (
        safe
        and before.mesh is not None
        and not (after.mesh is not None and same_files(before.mesh, after.mesh))
    ):
        return "a sidecar would not do the same"
    if safe and fixed and before.mesh is None:
        return "the spec has errors: mend those first"
    return ""


def _key(finding: Finding) -> Key:
    """What makes it the same one in changed files; and one that is waived no more is another one."""
    return (identity(finding, ""), finding.severity, bool(finding.waived))
