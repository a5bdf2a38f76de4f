"""Paths of rules and routes that are not what a reader takes them for, because a request's path is canonical or refused.

A regular expression, or one of its alternatives, that takes no canonical path (`//`, `%2f`, `..`) never holds. And an
exact path that is denied says nothing of the same path with a slash behind it, which is another one to the mesh
and often the same to an application. What costs more than the effort for one mesh is counted in a remark.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import replace

from meshctl.diagnostics import Severity
from meshctl.lint.automata import alternatives
from meshctl.lint.checks.base import Check, Violation
from meshctl.lint.checks.rules import MOST, Rule, about, by_service, denied, read, run
from meshctl.lint.conditions import Condition, UnusualError, values_at
from meshctl.lint.facts import MatchFacts, RuleFacts, Value, World, place
from meshctl.lint.requests import Effort, Request, Search, UndecidedError
from meshctl.spec.authorization import ANYONE

_Unknown = tuple[RuleFacts | MatchFacts, str]
"""Where a path stands that was too much to look at."""


def check(world: World, params: Mapping[str, Value]) -> Iterator[Violation]:
    """Each path once at each place."""
    left = Effort(MOST)
    unknown: list[_Unknown] = []
    yield from _never(world, left, unknown)
    for allow, deny in by_service(world):
        for rule in deny:
            yield from _beside(rule, allow, deny, left, unknown)
    if unknown:
        first, text = unknown[0]
        more = f", nor of {len(unknown) - 1} more" if unknown[1:] else ""
        how = f"whether `{text}` is what it seems to be was not found out{more}"
        yield Violation(place(first), {"service": first.service, "how": how}, severity=Severity.INFO)


def _never(world: World, left: Effort, unknown: list[_Unknown]) -> Iterator[Violation]:
    told: set[tuple[object, ...]] = set()
    known: dict[str, tuple[tuple[str, ...], bool]] = {}
    subjects: list[tuple[RuleFacts | MatchFacts, tuple[str, ...]]] = [(one, one.paths) for one in world.rules]
    subjects += [(one, (one.path,)) for one in world.matches]
    for each, paths in subjects:
        for path in paths:
            kind, _, pattern = path.partition(" ")
            key = (each.service, pattern, place(each))
            if kind != "regex" or key in told:
                continue
            told.add(key)
            if pattern not in known:
                known[pattern] = _unfit(pattern, left)
            unfit, sure = known[pattern]
            if not sure:
                unknown.append((each, pattern))
            for part in unfit:
                what = f"`{part}` of `{pattern}`" if part != pattern else f"`{pattern}`"
                how = f"no path fits {what}, for paths that are not canonical are refused before"
                yield Violation(place(each), {"service": each.service, "how": how})


def _unfit(pattern: str, left: Effort) -> tuple[tuple[str, ...], bool]:
    """The pattern if no canonical path fits it, else those of its alternatives that none fits; whether all is known."""
    parts = alternatives(pattern)
    fits = [_fits(each, left) for each in parts]
    unfit = tuple(part for part, known in zip(parts, fits, strict=True) if known is False)
    return (pattern,) if len(unfit) == len(parts) else unfit, None not in fits


def _fits(pattern: str, left: Effort) -> bool | None:
    """None: it was not found out."""
    try:
        effort = Effort(whole=left)
        return values_at("path", (Condition("path", "regex", pattern),), (), effort) is not None
    except UnusualError:
        return True
    except UndecidedError:
        return None


def _beside(
    rule: Rule, allow: Sequence[Rule], deny: Sequence[Rule], left: Effort, unknown: list[_Unknown]
) -> Iterator[Violation]:
    for path in rule.facts.paths:
        kind, _, text = path.partition(" ")
        if kind != "exact" or text.endswith("/"):
            continue
        beside = read(replace(rule.facts, paths=(f"exact {text}/",)))
        try:
            request = _let_in(beside, allow, deny, left)
        except UndecidedError:
            unknown.append((rule.facts, text))
            continue
        if request is not None:
            how = f"`{text}` is denied and {request} is let in, which many applications take for the same"
            its = rule.facts
            yield Violation(place(its), {"service": its.service, "how": how}, severity=Severity.INFO)


def _let_in(beside: Rule, allow: Sequence[Rule], deny: Sequence[Rule], left: Effort) -> Request | None:
    """A request that a rule beside one that denies would take, and that a caller of it may make.

    Raises UndecidedError where none was found, and not all was looked at.
    """
    undecided = None
    for rule in allow:
        try:
            for callers, rules in denied(rule, deny, left):
                if not any(each == ANYONE or about(beside, each) for each in callers):
                    continue
                avoided = [one for each in rules for one in each.asked]
                for also in rule.asked:
                    request = run(Search([*beside.asked, also], avoided), left)
                    if request is not None:
                        return request
        except UndecidedError as error:
            undecided = error
    if undecided is not None:
        raise undecided
    return None


CHECK = Check(check, {}, ("service", "how"))
