"""The regular expressions of the language: what RE2 and PCRE read alike, and match in bounded time.

RE2 (Envoy) and PCRE2 (HAProxy, NGINX) differ in what they know and in what a pattern costs. So there is no
look-around, no back-reference, no flag and no name of a group; and no group may be repeated, nor may two
repetitions compete for the same text, for there PCRE gives up on long paths (see :mod:`meshctl.spec.regex_cost`).
"""

from __future__ import annotations

import re

from meshctl.spec.regex_cost import cost_fault

_ESCAPES = frozenset("dDwW")
"""Letters that may stand behind a backslash; every other letter or digit means different things to the two."""

_REPEATS = re.compile(r"[*+?]|\{[0-9]+(?:,[0-9]*)?\}")
_MOST_REPEATED = 1000
_CLASS = re.compile(r"\[\^?\]?(?:\\.|\[:\^?[a-z]+:\]|[^\]\\])*\]")


def fault(pattern: str) -> str:
    """Why ``pattern`` is outside the subset, or an empty text."""
    return _structure(pattern) or _compiles(pattern) or cost_fault(pattern)


def _structure(pattern: str) -> str:
    index = 0
    while index < len(pattern):
        character = pattern[index]
        step = 1
        if character == "\\":
            why = _escape(pattern[index + 1 : index + 2])
            step = 2
        elif character == "[":
            found = _CLASS.match(pattern, index)
            if found is None:
                return "a class `[` is not closed"
            why = _class(found.group())
            step = len(found.group())
        elif pattern.startswith("(?", index) and not pattern.startswith("(?:", index):
            return "flags, look-around and names of groups are left out: write `(` or `(?:`"
        elif character == ")":
            why = _after_group(pattern, index + 1)
        elif character in "^$":
            return "a pattern is always compared with the whole text, `^` and `$` say nothing"
        elif character == "{" and not _REPEATS.match(pattern, index):
            return "a brace that does not repeat is written `\\{`"
        else:
            why = _repeat(pattern, index)
        if why:
            return why
        index += step
    return ""


def _escape(letter: str) -> str:
    if not letter:
        return "a backslash at the end escapes nothing"
    if letter.isalnum() and letter not in _ESCAPES:
        return f"`\\{letter}` is left out"
    return ""


def _class(text: str) -> str:
    inner = text[1:-1]
    if any(letter.isalnum() and letter not in _ESCAPES for letter in re.findall(r"\\(.)", inner)):
        return "of escapes only \\d \\D \\w \\W and those of punctuation stand in a class"
    if "[" in re.sub(r"\\.", "", inner):
        return "a `[` inside a class is written `\\[`"
    if inner.lstrip("^").startswith("]"):
        return "a `]` inside a class is written `\\]`"
    return "a class is empty" if not inner.lstrip("^") else ""


def _after_group(pattern: str, index: int) -> str:
    found = _REPEATS.match(pattern, index)
    if found and found.group() != "?":
        return "a group is repeated"
    return ""


def _repeat(pattern: str, index: int) -> str:
    """Doubled repetitions, which PCRE takes for possessive ones, and bounds that RE2 refuses."""
    found = _REPEATS.match(pattern, index)
    if found is None:
        return ""
    rest = pattern[index + len(found.group()) :]
    if _REPEATS.match(rest):
        return "a repetition is repeated"
    numbers = [int(each) for each in re.findall(r"[0-9]+", found.group())]
    if any(each > _MOST_REPEATED for each in numbers):
        return f"at most {_MOST_REPEATED} repetitions"
    return ""


def _compiles(pattern: str) -> str:
    # Imported here, for most specs have no regular expression, and it takes milliseconds.
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except re2.error as error:
        text = error.args[0] if error.args else ""
        return text.decode(errors="replace") if isinstance(text, bytes) else str(text)
    return ""
