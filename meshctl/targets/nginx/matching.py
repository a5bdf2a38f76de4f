"""Conditions on a request, as pieces of the keys and expressions of a map.

A key is made of words with blanks between them: the method, the numbers of the header and query conditions that
hold (``,3,17,``; Lua finds them, for any line of a header will do), and at the end the target or its path.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import assert_never

from meshctl import ir
from meshctl.targets.nginx import quoting
from meshctl.targets.nginx.model_outbound import Conditions, ExactValue, NamedConditions, RegexValue
from meshctl.targets.nginx.quoting import Token

Condition = ir.HeaderMatch | ir.QueryMatch


def method(methods: tuple[str, ...]) -> str:
    """A word that is one of ``methods``; none means any."""
    if not methods:
        return "[^ ]+"
    return f"(?:{'|'.join(quoting.literal_regex(each) for each in methods)})"


def holding(wanted: Iterable[Condition], numbers: dict[Condition, int]) -> str:
    """A word that lists all of ``wanted``, by number."""
    return "".join(f"(?=[^ ]*,{numbers[each]},)" for each in wanted) + "[^ ]+"


def target(match: ir.PathMatch) -> str:
    """The beginning of a request target, with a query or without. Not for regular expressions."""
    if match.takes_everything:
        return "/"
    end = r"(?:\?|\z)" if match.kind is ir.PathMatchKind.EXACT else r"(?:[/?]|\z)"
    return quoting.literal_regex(match.value) + end


def path(match: ir.PathMatch) -> str:
    """A path at the end of a key, where nothing follows that a user's expression could take for a part of it."""
    match match.kind:
        case ir.PathMatchKind.EXACT:
            return rf"{quoting.literal_regex(match.value)}\z"
        case ir.PathMatchKind.PREFIX if match.takes_everything:
            return "/"
        case ir.PathMatchKind.PREFIX:
            return rf"{quoting.literal_regex(match.value)}(?:/|\z)"
        case ir.PathMatchKind.REGEX:
            return rf"(?:{match.value})\z"
        case _:
            assert_never(match.kind)


def numbered(conditions: Iterable[Condition]) -> dict[Condition, int]:
    """The different ones, from 1."""
    return {each: number for number, each in enumerate(dict.fromkeys(conditions), start=1)}


def conditions(number: int, numbers: dict[Condition, int]) -> Conditions | None:
    """What Lua looks at; the variable holds the list."""
    if not numbers:
        return None
    return Conditions(
        variable=quoting.variable("conditions", number),
        key=quoting.lua_string(str(number)),
        headers=_by_name([each for each in numbers if isinstance(each, ir.HeaderMatch)], numbers),
        queries=_by_name([each for each in numbers if isinstance(each, ir.QueryMatch)], numbers),
    )


def _by_name(wanted: Sequence[Condition], numbers: dict[Condition, int]) -> tuple[NamedConditions, ...]:
    named: dict[str, list[Condition]] = {}
    for each in wanted:
        named.setdefault(each.name, []).append(each)
    return tuple(_named(name, conditions, numbers) for name, conditions in named.items())


def _named(name: str, wanted: Sequence[Condition], numbers: dict[Condition, int]) -> NamedConditions:
    exact, regexes, present = [], [], 0
    for each in wanted:
        match each.kind:
            case ir.ValueMatchKind.EXACT:
                exact.append(ExactValue(quoting.lua_string(each.value), numbers[each]))
            case ir.ValueMatchKind.REGEX:
                regexes.append(RegexValue(_whole(each.value), numbers[each]))
            case ir.ValueMatchKind.PRESENT:
                present = numbers[each]
            case _:
                assert_never(each.kind)
    return NamedConditions(quoting.lua_string(name), tuple(exact), tuple(regexes), present)


def _whole(pattern: str) -> Token:
    return quoting.lua_string(rf"^(?:{pattern})\z")
