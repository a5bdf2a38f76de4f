"""`meshctl lint`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from meshctl.cli import findings, options, progress, sides
from meshctl.cli.findings import FailOn, Format
from meshctl.diagnostics import Finding, UsageError

if TYPE_CHECKING:
    from meshctl.load.edits import Change
    from meshctl.pipeline import Linted, Question
    from meshctl.pipeline.linting import Verdict


_WITH_FIXES = (Format.JSON, Format.SARIF)
Policies = Annotated[
    Path | None,
    typer.Option("--policies", help="A folder with policies of your own.", show_default=False),
]
Profile = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        help="Which rules, and how grave: default, strict, fallacies, minimal, or one of your own.",
        show_default=False,
    ),
]
Baseline = Annotated[
    Path | None,
    typer.Option(
        "--baseline", metavar="FILE", help="Hold back the findings that this file holds.", show_default=False
    ),
]
UpdateBaseline = Annotated[
    bool, typer.Option("--update-baseline", help="Write today's findings into that file first.")
]
Fix = Annotated[bool, typer.Option("--fix", help="Mend what can be mended, in the files themselves.")]
Diff = Annotated[
    bool, typer.Option("--diff", help="Print what --fix would change as a patch, and change nothing.")
]
Unsafe = Annotated[
    bool,
    typer.Option(
        "--unsafe-fixes", help="Also what may change what sidecars do: see `git diff` before you commit."
    ),
]
Against = Annotated[
    str | None,
    typer.Option(
        "--against",
        metavar="REF",
        help="Also what changes from there: a git revision, or the spec before in a file or a folder.",
        show_default=False,
    ),
]


def register(app: typer.Typer, text: str) -> None:
    """Add the command."""
    app.command("lint", help=f"Lint: {text}")(lint)


def lint(
    *,
    spec: options.Spec = None,
    env: options.Environment = None,
    policies: Policies = None,
    profile: Profile = None,
    baseline: Baseline = None,
    update_baseline: UpdateBaseline = False,
    fix: Fix = False,
    diff: Diff = False,
    unsafe: Unsafe = False,
    against: Against = None,
    form: options.FormatOption = Format.TEXT,
    fail_on: options.FailOnOption = FailOn.ERROR,
) -> int:
    """What `validate` finds, and what the policies do."""
    from meshctl import pipeline
    from meshctl.cli import fix as fixing

    if update_baseline and baseline is None:
        raise UsageError("--update-baseline needs --baseline FILE, the file that it writes")
    if diff:
        _refuse_with_diff(form, fail_on, baseline, fix=fix)
    where = options.location(spec)
    before = sides.before(against, where, env) if against is not None else None
    if before is not None and not sides.usable(before):
        return 2
    question = pipeline.Question(where, datetime.now(UTC).date(), env, policies, profile)
    if diff:
        return fixing.show_diff(pipeline.fix(question, unsafe=unsafe))
    if fix:
        fixing.fix(question, unsafe=unsafe, baseline=baseline, update=update_baseline)
    linted = progress.shown("linting")(pipeline.lint)(
        where,
        today=question.today,
        environment=env,
        policies=policies,
        profile=profile,
        baseline=baseline,
        update_baseline=update_baseline,
        against=before,
    )
    fixes = pipeline.offers(question, linted, unsafe=unsafe) if form in _WITH_FIXES and not fix else {}
    _report(linted, question, form, fail_on, partial(fixing.fixable, unsafe=unsafe, done=fix), fixes)
    if linted.unreadable:
        return 2
    if update_baseline and not (linted.baseline is not None and linted.baseline.updated):
        sys.stderr.write("the baseline was not written: not every rule could be asked\n")
        return 1
    return findings.exit_code(linted.findings, fail_on)


def _refuse_with_diff(form: Format, fail_on: FailOn, baseline: Path | None, *, fix: bool) -> None:
    """A patch has no formats, and says by itself whether there is something to mend."""
    idle = {
        "--fix": fix,
        "--format": form is not Format.TEXT,
        "--fail-on": fail_on is not FailOn.ERROR,
        "--baseline": baseline is not None,
    }
    for option, given in idle.items():
        if given:
            raise UsageError(
                f"--diff prints a patch and nothing else, so {option} would do nothing beside it"
            )


def _report(
    linted: Linted,
    question: Question,
    form: Format,
    fail_on: FailOn,
    fixable: Callable[[Finding], bool],
    fixes: Mapping[Finding, Sequence[Change]],
) -> None:
    findings.report(
        linted,
        form,
        "lint",
        question.location,
        fail_on=fail_on,
        policies=question.policies,
        verdicts=linted.verdicts,
        absent=linted.baseline.absent if linted.baseline is not None else None,
        fixable=fixable,
        fixes=fixes,
    )
    sys.stderr.writelines(_told(each) for each in linted.verdicts)
    sys.stderr.write(f"{findings.outcome(linted)}\n")
    if form is Format.TEXT and any(map(fixable, linted.findings)):
        sys.stderr.write("[*] `meshctl lint --fix` may mend it, `--diff` shows how\n")


def _told(verdict: Verdict) -> str:
    count = f"{verdict.findings} finding{'s' if verdict.findings > 1 else ''} against it"
    return f"{findings.printable(verdict.title)}: {count if verdict.findings else 'nothing against it'}\n"
