"""A baseline on disk, and what it holds back of what lint found."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, structs

from meshctl.diagnostics import Finding, Position, UsageError

if TYPE_CHECKING:
    from meshctl.lint.baseline import Absent, Baseline


class BaselineFile(Struct, frozen=True):
    """The file that a run of lint was given, as it was when the run began."""

    path: Path
    name: str
    """As it is shown."""
    update: bool
    """Whether it is to be written, where lint can look at everything."""
    content: bytes = b""
    baseline: Baseline | None = None
    """None where there is no file yet."""

    @property
    def texts(self) -> Mapping[str, str]:
        """The file by the name that findings use."""
        return {self.name: self.content.decode()}


class Compared(Struct, frozen=True):
    """What a baseline makes of the findings of a run."""

    absent: tuple[Absent, ...] = ()
    """What it holds and nobody finds; none after an update."""
    updated: bool = False
    """Whether the file now holds the findings of this run."""


class Scope(Struct, frozen=True):
    """What of a run a baseline is about."""

    mesh: str
    environment: str | None
    resource_of: Callable[[Position | None], str]
    holdable: Collection[str]
    """Slugs of the rules that were asked and may be held back."""
    off: Collection[str]
    """Slugs of rules that this run did not ask."""


def open_baseline(path: Path, *, update: bool) -> BaselineFile:
    """Read the file. Raises UsageError where it is not there and will not be written, or is no baseline."""
    from meshctl.lint import baseline
    from meshctl.load import limits
    from meshctl.load.files import shown
    from meshctl.load.worktree import read_regular

    name = shown(str(path))
    try:
        file = read_regular(str(path), os.path.realpath(path), limits.BASELINE_BYTES)
    except FileNotFoundError:
        if update:
            return BaselineFile(path, name, update)
        raise UsageError(f"there is no baseline {name}; --update-baseline writes it") from None
    if isinstance(file, Finding):
        raise UsageError(f"{name}: {file.message}")
    return BaselineFile(path, name, update, file.content, baseline.read(file.content, name))


def compare(
    findings: Sequence[Finding], file: BaselineFile, scope: Scope
) -> tuple[tuple[Finding, ...], Compared]:
    """The findings with those held back marked, and those that say which entries are idle; writes the file if it is to be.

    Raises UsageError for the baseline of another mesh or environment.
    """
    from meshctl.lint import baseline

    require_same(file, scope.mesh, scope.environment)
    known = file.baseline or baseline.Baseline(scope.mesh, scope.environment, {})
    if file.update:
        known = _write(findings, file, known, scope)
    held, left = baseline.hold_back(findings, known.counts, scope.resource_of, scope.holdable)
    absent = tuple(
        baseline.Absent(key, count, known.places[key])
        for key, count in left.items()
        if key[1] not in scope.off
    )
    return (*held, *baseline.idle(absent)), Compared(absent, file.update)


def require_same(file: BaselineFile, mesh: str, environment: str | None) -> None:
    """Raise UsageError for the baseline of another mesh or environment."""
    name, known = file.name, file.baseline
    if known is None:
        return
    if known.mesh != mesh:
        raise UsageError(f"{name} is the baseline of the mesh `{known.mesh}`, and this is `{mesh}`")
    if known.environment != environment:
        was, now = (f"`--env {each}`" if each else "no --env" for each in (known.environment, environment))
        raise UsageError(f"{name} was written with {was}, and this is {now}; keep a baseline for each")


def _write(findings: Sequence[Finding], file: BaselineFile, known: Baseline, scope: Scope) -> Baseline:
    """Entries of rules that were not asked stay."""
    from meshctl.artifacts import write_file
    from meshctl.lint import baseline
    from meshctl.load import limits

    counts = dict(baseline.count(findings, scope.resource_of, scope.holdable))
    kept = {key: count for key, count in known.counts.items() if key[1] in scope.off}
    wanted = structs.replace(known, counts=kept | counts)
    content = baseline.write(wanted)
    if len(content) > limits.BASELINE_BYTES:
        raise UsageError(
            f"{file.name}: these are too many findings for a baseline; ask fewer rules first (--profile minimal)"
        )
    if content != file.content:
        write_file(file.path, content)
    return wanted
