"""What a built-in check is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from msgspec import Struct

from meshctl.diagnostics import Position, Related, Severity
from meshctl.lint.facts import Value, World
from meshctl.lint.literals import digest

_SHOWN = 12


class Violation(Struct, frozen=True):
    """One thing that a check finds; ``values`` fill the policy's message."""

    at: Position | None
    values: Mapping[str, Value]
    related: tuple[Related, ...] = ()
    severity: Severity | None = None
    """Where it is not the policy's."""
    caller: str = ""
    """Whom it is about, where a waiver may be for one caller alone."""


class Check(Struct, frozen=True):
    """``run`` with its parameters (name to an example of the type), and the names of its values."""

    run: Callable[[World, Mapping[str, Value]], Iterator[Violation]]
    params: Mapping[str, Value]
    values: tuple[str, ...]
    about_change: bool = False
    """Whether it asks about a change, and so finds nothing where only a mesh is looked at."""


def whole(params: Mapping[str, Value], name: str) -> int:
    """A parameter that is a whole number."""
    value = params[name]
    if not isinstance(value, int):
        raise TypeError(name)
    return value


def path_text(services: list[str]) -> str:
    """``a → b → c``; the middle of a long path is left out."""
    if len(services) <= _SHOWN:
        return " → ".join(services)
    half = _SHOWN // 2
    middle = services[half:-half]
    left_out = f"({len(middle)} more: {digest(middle)})"
    return " → ".join((*services[:half], left_out, *services[-half:]))
