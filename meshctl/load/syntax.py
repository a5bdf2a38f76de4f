"""What libyaml says about broken syntax, in words that help: where to look, and what to write instead."""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct

from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Position, Related

_CONFLICT = re.compile(r"^(?:<{7}|={7}|>{7})(?= |$)", re.MULTILINE)
_DIRECTIVE = re.compile(r"^%\w*", re.MULTILINE)


class _Explanation(Struct, frozen=True):
    """``opened`` is said of the place where the broken construct began; empty when that helps nobody.

    ``at_opening`` when the place to mend is that beginning, and libyaml noticed only much later.
    """

    message: str
    fix: str = ""
    opened: str = ""
    at_opening: bool = False


_EXPLANATIONS = {
    "mapping values are not allowed": _Explanation(
        "a `:` that cannot be here: a second one on the line, or a line indented deeper than its neighbours",
        "Put quotes around a value that holds `: `, or mend the indentation.",
    ),
    "did not find expected key": _Explanation(
        "this does not fit into the mapping around it: it is indented differently, or not of the form `key: value`",
        "Give all keys of a mapping the same indentation; close quotes and brackets above.",
        "the mapping begins here",
    ),
    "did not find expected '-' indicator": _Explanation(
        "this does not fit into the list around it: every item begins with `- ` in the same column",
        "Mend the indentation, or begin the line with `- `.",
        "the list begins here",
    ),
    "did not find expected ',' or ']'": _Explanation(
        "this `[` is never closed, or a comma is missing after it",
        "Close the list with `]`, and put a comma between its items.",
        at_opening=True,
    ),
    "did not find expected ',' or '}'": _Explanation(
        "this `{` is never closed, or a comma is missing after it",
        "Close the mapping with `}`, and put a comma between its keys.",
        at_opening=True,
    ),
    "found unexpected end of stream": _Explanation(
        "the quote that opens here is never closed", "Close the quote.", at_opening=True
    ),
    "found unexpected document indicator": _Explanation(
        "the quote that opens here is never closed", "Close the quote.", at_opening=True
    ),
    "found unknown escape character": _Explanation(
        "there is no such escape inside double quotes",
        "Double the backslash, or use single quotes, in which a backslash is plain text.",
    ),
    "found invalid Unicode character escape code": _Explanation("this escape is not a Unicode character"),
    "did not find expected hexdecimal number": _Explanation(
        "an escape needs hexadecimal digits here", "Double the backslash, or use single quotes."
    ),
    "could not find expected ':'": _Explanation(
        "a key stands here without the `:` that must follow it on the same line",
        "Write `key: value`, with a space after the colon.",
        at_opening=True,
    ),
    "did not find expected node content": _Explanation(
        "a value is missing here", "Write the value, or remove the comma or bracket that is too many."
    ),
    "did not find expected <document start>": _Explanation(
        "this does not belong to what stands above it: it is indented less than the first key, or a bracket is too many",
        "Begin all top-level keys in the first column.",
    ),
    "did not find expected alphabetic or numeric character": _Explanation(
        "`*` and `&` at the start of a value are an alias and an anchor in YAML",
        'Put the value in quotes, for example "*".',
    ),
    "block sequence entries are not allowed": _Explanation(
        "an item `- ` cannot begin here", "Begin the list on the line below its key."
    ),
    "block mapping keys are not allowed": _Explanation("a mapping cannot begin here"),
    "tab character": _Explanation("a tab cannot indent YAML", "Indent with spaces."),
    "tag": _Explanation(
        "`!` at the start of a value is a tag in YAML, and tags are refused", "Put the value in quotes."
    ),
}

_MISPLACED = _Explanation(
    "this does not fit into the brackets around it: a comma is missing before it, or quotes around a value with `: `",
    "Put a comma between two items, and quotes around a value that holds `: ` or `, `.",
    "they open here",
)


def directive(text: str, file: str) -> Finding | None:
    """The finding for a ``%YAML`` or ``%TAG`` line.

    Looked for before parsing: libyaml compares each ``%TAG`` with all others.
    """
    if not text.startswith("%") and "\n%" not in text:
        return None
    found = _DIRECTIVE.search(text)
    if found is None:
        return None
    at = Position(file, text.count("\n", 0, found.start()) + 1, 1)
    return finding("yaml-feature-refused", at, f"the line begins with `{found[0][:20]}`, a YAML directive")


def syntax_fault(error: Any, text: str, file: str) -> Finding:  # noqa: ANN401 - the parser has no types
    """The finding for what libyaml raised while reading ``text``."""
    conflict = _CONFLICT.search(text)
    if conflict is not None:
        at = Position(file, text.count("\n", 0, conflict.start()) + 1, 1)
        message = f"`{conflict[0]}` is left over from a merge that git could not make by itself"
        return finding("yaml-syntax", at, message, fix="Decide for one side, and remove the markers.")
    problem = str(getattr(error, "problem", None) or "the parser cannot read this")
    place, opening = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    explained = _explanation(problem, text, place)
    if explained.at_opening and opening is not None and place is not None:
        if (
            "did not find expected ','" in problem
            and opening.line == place.line
            and place.index < len(text.rstrip())
        ):
            explained = _MISPLACED
        else:
            place, opening = opening, None
    at = _position(place, text, file)
    related = (
        (Related(_position(opening, text, file), explained.opened),) if opening and explained.opened else ()
    )
    return finding("yaml-syntax", at, explained.message, fix=explained.fix, related=related)


def _explanation(problem: str, text: str, place: Any) -> _Explanation:  # noqa: ANN401
    if problem == "found character that cannot start any token":
        character = text[place.index : place.index + 1]
        if character == "\t":
            return _EXPLANATIONS["tab character"]
        return _Explanation(f"a value cannot begin with `{character}`", "Put the value in quotes.")
    for words, explained in _EXPLANATIONS.items():
        if words in problem:
            return explained
    return _Explanation(problem)


def _position(mark: Any, text: str, file: str) -> Position:  # noqa: ANN401
    """The place of ``mark``; the end of the last line with something in it where the mark is behind it."""
    if mark is None:
        return Position(file, 1, 1)
    if mark.index < len(text.rstrip()):
        return Position(file, mark.line + 1, mark.column + 1)
    lines = text.rstrip().split("\n")
    return Position(file, len(lines), len(lines[-1]) + 1)
