"""Everything that a finding can be: the codes of the catalogue, and the lint policies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from meshctl.diagnostics import Position, Severity
from meshctl.pipeline.checking import Validated


class Rule(Struct, frozen=True):
    """One kind of finding, as `meshctl explain` tells it."""

    code: str
    slug: str
    title: str
    why: str
    fix: str
    severity: Severity
    """How grave it is unless the spec says otherwise."""
    source: str = ""
    """What a policy goes back to; empty where that is common sense."""
    fixable: str = ""
    """`safe` or `unsafe` where `lint --fix` mends such findings, or some of them."""


def rules(policies: Path | None = None) -> tuple[Rule, ...]:
    """Every rule in order of codes, with the team's own below ``policies``; faulty policy files are left out.

    Raises UsageError when there is no such folder.
    """
    from meshctl.catalogue import CODES
    from meshctl.pipeline.linting import read_policies

    own, _ = read_policies(policies)
    known = [
        Rule(
            each.code,
            each.slug,
            _title(each.slug),
            each.why,
            each.fix,
            each.severity,
            fixable=each.fixable,
        )
        for each in CODES.values()
    ]
    known += [
        Rule(each.code, each.slug, each.title, each.why, each.fix, each.severity, each.origin)
        for each in own.policies
    ]
    return tuple(sorted(known, key=lambda each: each.code))


def service_of(validated: Validated) -> Callable[[Position | None], str]:
    """Tells which service's part of the spec holds a place; empty where it is none's."""
    from meshctl import resolve

    return resolve.Owners(validated.source).of


def _title(slug: str) -> str:
    return slug.replace("-", " ").capitalize()
