"""What is said to the user about a spec: positions, severities and findings.

The bottom room of the house: everything may import it, it imports nothing of ours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace


class Position(NamedTuple):
    """A place in a file of the user's. Lines and columns count from 1, columns in characters."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class Severity(StrEnum):
    """How bad a finding is. The order of the members is the order of gravity, worst first."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    def at_least(self, threshold: Severity) -> bool:
        """Whether this severity is as grave as ``threshold``, or graver."""
        order = list(Severity)
        return order.index(self) <= order.index(threshold)


class Related(Struct, frozen=True):
    """A second place that a finding speaks of, such as the first of two definitions."""

    at: Position
    message: str


class Part(NamedTuple):
    """A key with its value, or an item of a list, whose ``key`` is empty: the place alone does not tell an item from its first key."""

    at: Position
    key: str = ""


class Remove(Struct, frozen=True):
    """A part goes. What it leaves empty goes, too."""

    part: Part


class Rename(Struct, frozen=True):
    """A key gets another name."""

    part: Part
    to: str


Edit = Remove | Rename


class Mend(Struct, frozen=True):
    """What `meshctl lint --fix` can do about a finding."""

    edit: Edit
    safe: bool = True
    """Whether no sidecar does anything else for it. What is not safe is done only for those who ask for it."""


class Finding(Struct, frozen=True):
    """One thing wrong, or doubtful, at one place. Made by :func:`meshctl.catalogue.finding`."""

    code: str
    slug: str
    severity: Severity
    message: str
    at: Position | None = None
    why: str = ""
    fix: str = ""
    related: tuple[Related, ...] = ()
    alike: str = ""
    """Findings with the same words here say one thing of several places, see :func:`merge_alike`."""
    caller: str = ""
    """Whom it is about beside the place, where a waiver may be for one caller alone."""
    waived: str = ""
    """The reason of the waiver in force, empty where there is none."""
    mend: Mend | None = None
    in_baseline: bool = False
    """Whether a baseline holds it back."""
    words: str = ""
    """The message without the indices of lists that meshctl has put into it; empty where it has put in none."""

    @property
    def is_error(self) -> bool:
        """Whether this finding alone makes the spec unusable."""
        return self.severity is Severity.ERROR

    @property
    def is_accepted(self) -> bool:
        """Whether somebody has accepted it, so that it fails no run."""
        return bool(self.waived) or self.in_baseline


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings sorted by position, then by code; those without a position come first."""
    nowhere = Position("", 0, 0)
    return tuple(sorted(findings, key=lambda f: (f.at or nowhere, f.code, f.message)))


Identity = tuple[str, str, str, str]
"""Code, slug, resource and words of a finding; whatever moves with the lines of a file is left out of the words."""


def identity(found: Finding, resource: str) -> Identity:
    """What makes ``found`` the same finding after lines and files have moved; ``resource`` is what it is about."""
    # Lone surrogates cannot stand in a file of UTF-8.
    words = (found.words or found.message).encode("utf-8", "backslashreplace").decode()
    return found.code, found.slug, resource, words


def fingerprints(identities: Iterable[Identity]) -> list[str]:
    """One for each, all different: those that are alike are numbered in the order in which they stand."""
    import hashlib

    seen: Counter[str] = Counter()
    made = []
    for code, _, resource, words in identities:
        key = hashlib.sha256(f"{code}\0{resource}\0{words}".encode()).hexdigest()[:32]
        seen[key] += 1
        made.append(f"{key}:{seen[key]}")
    return made


_RELATED_SHOWN = 3


def merge_alike(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """For people: findings that are alike told once, at the first place, naming the next few.

    Errors stand each for itself: every one has to be mended.
    """
    first: dict[tuple[str, str, str], int] = {}
    merged: list[Finding] = []
    places: dict[int, list[Position]] = {}
    for each in findings:
        key = (each.code, each.alike, each.waived)
        if each.alike and each.at is not None and not each.is_error and key in first:
            places.setdefault(first[key], []).append(each.at)
            continue
        first.setdefault(key, len(merged))
        merged.append(each)
    for index, others in places.items():
        more = len(others) - _RELATED_SHOWN
        rest = f", and at {more} more places" if more > 0 else ""
        related = [Related(at, "here too") for at in others[:_RELATED_SHOWN]]
        related[-1] = Related(related[-1].at, f"here too{rest}")
        merged[index] = replace(merged[index], related=(*merged[index].related, *related))
    return tuple(merged)


class MeshctlError(Exception):
    """Base of every error that ends a command in an orderly way."""


class FindingsError(MeshctlError):
    """Work stopped because of findings; exit code 1, or 2 where the input could not be read."""

    exit_code = 1

    def __init__(self, findings: Iterable[Finding], texts: Mapping[str, str] | None = None) -> None:
        self.findings = in_order(findings)
        self.texts = texts or {}
        """The files that the findings are about, where they are at hand."""
        super().__init__(f"{len(self.findings)} finding(s)")


class UsageError(MeshctlError):
    """The command line, the environment of the command or its input is unusable; exit code 2."""


class NotThereError(UsageError):
    """There is nothing at the place that a spec is said to be at; in a git revision, which itself is there."""


class ToolError(MeshctlError):
    """A program that meshctl runs (a proxy, git) failed or is missing; exit code 2."""
