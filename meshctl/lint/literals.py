"""Texts of a policy file or of the spec's `lint` section, read as the type that they must have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from pydantic import TypeAdapter, ValidationError

from meshctl.ir import duration_text
from meshctl.lint.facts import KINDS, Value
from meshctl.spec.source import Node
from meshctl.spec.types import Duration

_WHOLE = re.compile(r"0|[1-9][0-9]{0,9}")
_DURATION: TypeAdapter[timedelta] = TypeAdapter(Duration)
LONGEST_LIST = 20
_LONGEST_TEXT = 100


class LiteralError(Exception):
    """A text that is not of the type that is asked for; the message completes "must be …"."""


def duration(text: str) -> timedelta:
    """A duration in the words of the language, such as 1m30s."""
    try:
        return _DURATION.validate_python(text)
    except ValidationError:
        raise LiteralError(KINDS[timedelta]) from None


def read(node: Node, type_: object) -> Value:
    """``node`` as a value of ``type_``; raises LiteralError."""
    if isinstance(node, str):
        if type_ is str:
            return node
        if type_ is int and _WHOLE.fullmatch(node):
            return int(node)
        if type_ is bool and node in ("true", "false"):
            return node == "true"
        if type_ is timedelta:
            return duration(node)
    elif isinstance(node, list) and type_ == tuple[str, ...] and all(isinstance(each, str) for each in node):
        return tuple(node)
    elif (
        isinstance(node, dict)
        and type_ == Mapping[str, str]
        and all(isinstance(each, str) for each in node.values())
    ):
        return dict(node)
    raise LiteralError(KINDS[type_])


def guess(node: Node) -> Value:
    """``node`` as whatever it looks like: a parameter's default also says its type."""
    for type_ in (int, bool, timedelta, str, tuple[str, ...]):
        try:
            return read(node, type_)
        except LiteralError:
            continue
    raise LiteralError("a whole number, true or false, a duration, text or a list of texts")


def type_of(value: Value) -> object:
    """The type that another value of the same parameter must have."""
    match value:
        case bool():
            return bool
        case int():
            return int
        case timedelta():
            return timedelta
        case str():
            return str
        case tuple():
            return tuple[str, ...]
        case _:
            return Mapping[str, str]


def digest(left_out: Iterable[str]) -> str:
    """Stands in a message for what it leaves out, so that other things left out make it another message."""
    import hashlib

    # Lone surrogates cannot be encoded.
    return hashlib.sha256("\0".join(left_out).encode("utf-8", "backslashreplace")).hexdigest()[:8]


def listed(texts: Sequence[str], most: int = LONGEST_LIST) -> str:
    """The first of ``texts``, and the digest of the others."""
    rest = texts[most:]
    more = f" and {len(rest)} more ({digest(rest)})" if rest else ""
    return ", ".join(texts[:most]) + more


def requests_text(methods: Sequence[str], paths: Sequence[str], conditions: Sequence[str] = ()) -> str:
    """Which requests something takes: any one of methods and paths, where all of ``conditions`` hold; bounded."""
    where = f" where {listed(list(map(_short, conditions)), 5)}" if conditions else ""
    return f"{listed(methods, 10) or 'every method'} of {listed(list(map(_short, paths)), 5) or 'every path'}{where}"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}… ({digest([text])})"


def shown(value: Value) -> str:
    """``value`` in a message."""
    match value:
        case bool():
            return "true" if value else "false"
        case timedelta():
            return duration_text(value)
        case tuple():
            return listed(value)
        case str() | int():
            return str(value)
        case _:
            return ", ".join(f"{key}: {each}" for key, each in sorted(value.items()))
