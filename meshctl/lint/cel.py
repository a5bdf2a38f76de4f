"""A thin adapter around the Common Expression Language: compiled once at most, typed, failing closed.

Every fact is declared as a variable of its own (`service.timeout`), so that a misspelt one is found when
the policy is read. The library's extensions are not loaded: their `bindings` let an expression take all
memory. Without them work is bounded by the library's own budget of iterations.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast

from cel_expr_python import cel
from msgspec import Struct, field

from meshctl.lint.facts import (
    SUBJECTS,
    MeshFacts,
    ServiceFacts,
    Value,
    World,
    fields_of,
    values_of,
)
from meshctl.lint.literals import LiteralError, duration, shown

_TYPES: Mapping[object, cel.Type] = {
    str: cel.Type.STRING,
    int: cel.Type.INT,
    bool: cel.Type.BOOL,
    timedelta: cel.Type.DURATION,
    tuple[str, ...]: cel.Type.List(cel.Type.STRING),
    Mapping[str, str]: cel.Type.Map(cel.Type.STRING, cel.Type.STRING),
}
_FAULT = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_STATUS = re.compile(r"^[A-Z_]+: | \[[A-Z_]+\]$")
MILLISECOND = timedelta(milliseconds=1)


class CelError(Exception):
    """An expression that does not compile. ``line`` and ``column`` count from 1 within it."""

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


class UndecidedError(Exception):
    """An expression that gave no answer for the facts at hand."""


class Lookup(Struct):
    """The mesh that `svc(name)` and `callers(name)` look into; set before rules are evaluated."""

    world: World = field(default_factory=lambda: World(MeshFacts(), {}))

    def service(self, name: str) -> dict[str, Any]:
        """The facts about a service; durations are text. An unknown name is an error and fails the rule."""
        facts = values_of(self._service(name))
        # The library takes no duration inside a map.
        return _plain(
            {key: shown(each) if isinstance(each, timedelta) else each for key, each in facts.items()}
        )

    def callers(self, name: str) -> list[str]:
        """Who sends requests to a service."""
        return list(self._service(name).callers)

    def _service(self, name: str) -> ServiceFacts:
        try:
            return self.world.services[name]
        except KeyError:
            raise ValueError(f"there is no service named {name}") from None


class Expression(Struct):
    """An expression that answers yes or no, compiled when it is first asked, or before by :meth:`compile`."""

    text: str
    _variables: Mapping[str, object]
    """Names and types of facts."""
    _lookup: Lookup
    _compiled: cel.Expression | None = None

    def compile(self) -> cel.Expression:
        """Raises CelError where the expression has a fault."""
        if self._compiled is None:
            try:
                compiled = _environment(self._variables, self._lookup).compile(self.text)
            except RuntimeError as error:
                raise _compile_error(str(error)) from None
            if compiled.return_type() != cel.Type.BOOL:
                raise CelError(f"must answer true or false, but gives {compiled.return_type().name()}")
            self._compiled = compiled
        return self._compiled

    def holds(self, facts: Mapping[str, Value]) -> bool:
        """The answer; raises UndecidedError where there is none.

        A failed evaluation comes back as a value that is true in Python, so its type is looked at.
        """
        compiled = self.compile()
        try:
            answer = compiled.eval(data=_plain(facts))
        except RuntimeError as error:
            raise UndecidedError(_STATUS.sub("", str(error))) from error
        if answer.type() != cel.Type.BOOL:
            raise UndecidedError(_STATUS.sub("", str(answer.value())))
        return bool(answer.value())


def compile_expression(text: str, variables: Mapping[str, object], lookup: Lookup) -> Expression:
    """Compile ``text``; ``variables`` are names and types of facts. Raises CelError."""
    expression = Expression(text, variables, lookup)
    expression.compile()
    return expression


def variables_of(kind: str) -> dict[str, object]:
    """The variables that a rule about ``kind`` has, with their types; parameters come on top."""
    known = ["mesh", kind, *(["service"] if kind == "route" else [])]
    return {
        f"{each}.{name}": type_ for each in known for name, (_, type_) in fields_of(SUBJECTS[each]).items()
    }


def _environment(variables: Mapping[str, object], lookup: Lookup) -> cel.Env:
    string = cel.Type.STRING
    return cel.NewEnv(
        variables={name: _TYPES[type_] for name, type_ in variables.items()},
        functions=[
            _function("svc", cel.Type.Map(string, cel.Type.DYN), string, lookup.service),
            _function("callers", cel.Type.List(string), string, lookup.callers),
            cel.FunctionDecl(
                "ms",
                [
                    _overload("ms_string", cel.Type.INT, string, _milliseconds_of_text),
                    _overload("ms_duration", cel.Type.INT, cel.Type.DURATION, _milliseconds),
                ],
            ),
        ],
    )


def _function(name: str, gives: cel.Type, takes: cel.Type, implementation: Any) -> cel.FunctionDecl:  # noqa: ANN401
    return cel.FunctionDecl(name, [_overload(f"{name}_string", gives, takes, implementation)])


def _overload(name: str, gives: cel.Type, takes: cel.Type, implementation: Any) -> cel.Overload:  # noqa: ANN401
    return cel.Overload(name, return_type=gives, parameters=[takes], impl=implementation)


def _milliseconds_of_text(text: str) -> int:
    try:
        return duration(text) // MILLISECOND
    except LiteralError as error:
        raise ValueError(str(error)) from None


def _milliseconds(value: timedelta) -> int:
    return value // MILLISECOND


def _plain(facts: Mapping[str, Value]) -> dict[str, Any]:
    """What the library takes: lists for tuples, dicts for mappings."""
    return {
        name: list(value)
        if isinstance(value, tuple)
        else dict(value)
        if isinstance(value, Mapping)
        else value
        for name, value in facts.items()
    }


def _compile_error(text: str) -> CelError:
    found = _FAULT.search(text)
    if found is None:
        return CelError(_STATUS.sub("", text.partition("\n")[0]))
    line, column, message = found.groups()
    return CelError(cast(str, message).replace(" (in container '')", ""), int(line), int(column))
