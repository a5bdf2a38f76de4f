"""A policy file: one rule with its reason, its way out, and its own passing and failing cases."""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

from meshctl.diagnostics import Position, Severity
from meshctl.lint.cel import Expression
from meshctl.lint.facts import Value, World
from meshctl.lint.literals import shown
from meshctl.spec.source import Node

PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z][A-Za-z0-9.]*)\s*\}\}")
"""`{{ service.name }}`: the path of a fact, a parameter or what a built-in check found, and nothing else."""


class Specs(Struct, frozen=True):
    """A change: the specs before and after it, as far as the case is about them."""

    before: Node
    after: Node


class Case(Struct, frozen=True):
    """One entry of `tests`: a small world, and whether the rule finds fault with it."""

    name: str
    given: World | Specs
    passes: bool
    at: Position | None


class Assertion(Struct, frozen=True):
    """`assert`: must hold for everything that `select` selects."""

    kind: str
    where: Expression | None
    holds: Expression
    place: tuple[str, ...]
    """The keys below the subject that the finding points at."""
    asks: tuple[str, ...]
    """The facts that the two expressions name."""


class BuiltIn(Struct, frozen=True):
    """`check`: an analysis of the whole call graph, by its name in ``meshctl.lint.checks``."""

    name: str


class Policy(Struct, frozen=True):
    """One rule."""

    code: str
    slug: str
    title: str
    why: str
    origin: str
    """What it goes back to (`source` in the file); empty where that is common sense."""
    fix: str
    severity: Severity
    mandatory: bool
    """Whether neither a waiver, nor the spec, nor a profile can silence it."""
    message: str
    params: Mapping[str, Value]
    body: Assertion | BuiltIn
    tests: tuple[Case, ...]
    """None where the file was read as a proven one."""
    at: Position | None


def message_of(policy: Policy, values: Mapping[str, Value]) -> str:
    """The message with its placeholders filled in; parameters are `params.<name>`."""
    known = dict(values) | {f"params.{name}": value for name, value in policy.params.items()}
    return PLACEHOLDER.sub(lambda found: shown(known[found[1]]), policy.message)
