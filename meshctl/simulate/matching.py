"""Whether one request satisfies a condition on its path, its headers or its query."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, assert_never

from meshctl.ir import HeaderMatch, PathMatch, PathMatchKind, QueryMatch, ValueMatchKind

Headers = Sequence[tuple[str, str]]
"""Lines in the order in which they came, names in any case."""


def takes_path(match: PathMatch, path: str) -> bool:
    """Whether a path without its query is one that ``match`` means."""
    match match.kind:
        case PathMatchKind.EXACT:
            return path == match.value
        case PathMatchKind.PREFIX:
            return match.takes_everything or path == match.value or path.startswith(f"{match.value}/")
        case PathMatchKind.REGEX:
            return _fits(match.value, path)
    assert_never(match.kind)


def takes_headers(match: HeaderMatch, headers: Headers) -> bool:
    """Whether any line of the header satisfies ``match``."""
    return any(_takes_value(match, value) for name, value in headers if name.lower() == match.name)


def takes_query(match: QueryMatch, query: str) -> bool:
    """Whether the first occurrence of the parameter satisfies ``match``; ``query`` is without the ``?``."""
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name == match.name:
            return _takes_value(match, value)
    return False


def path_unmet(match: PathMatch, path: str) -> str:
    """Why ``match`` does not mean this path, in words; empty where it does."""
    if takes_path(match, path):
        return ""
    match match.kind:
        case PathMatchKind.EXACT:
            return f"the path is not `{match.value}`"
        case PathMatchKind.PREFIX:
            return f"the path is not `{match.value}` and not below it"
        case PathMatchKind.REGEX:
            return f"the path does not fit `{match.value}`"
    assert_never(match.kind)


def headers_unmet(match: HeaderMatch, headers: Headers) -> str:
    """Why no line of the header satisfies ``match``, in words; empty where one does."""
    if takes_headers(match, headers):
        return ""
    values = [value for name, value in headers if name.lower() == match.name]
    return _value_unmet(match, f"header `{match.name}`", values)


def query_unmet(match: QueryMatch, query: str) -> str:
    """Why the parameter does not satisfy ``match``, in words; empty where it does."""
    if takes_query(match, query):
        return ""
    pairs = [part.partition("=") for part in query.split("&")]
    values = [value for name, _, value in pairs if name == match.name][:1]
    return _value_unmet(match, f"query parameter `{match.name}`", values)


def _value_unmet(match: HeaderMatch | QueryMatch, what: str, values: Sequence[str]) -> str:
    if not values:
        return f"there is no {what}"
    wanted = "does not fit" if match.kind is ValueMatchKind.REGEX else "is not"
    return f"{what} {wanted} `{match.value}`"


def path_words(match: PathMatch) -> str:
    """Which paths ``match`` means."""
    if match.takes_everything:
        return "any path"
    match match.kind:
        case PathMatchKind.EXACT:
            return f"path `{match.value}`"
        case PathMatchKind.PREFIX:
            return f"path `{match.value}` and below"
        case PathMatchKind.REGEX:
            return f"paths that fit `{match.value}`"
    assert_never(match.kind)


def value_words(match: HeaderMatch | QueryMatch) -> str:
    """What ``match`` asks of a value."""
    match match.kind:
        case ValueMatchKind.EXACT:
            return f"`{match.name}: {match.value}`"
        case ValueMatchKind.REGEX:
            return f"`{match.name}` that fits `{match.value}`"
        case ValueMatchKind.PRESENT:
            return f"any `{match.name}`"
    assert_never(match.kind)


def _takes_value(match: HeaderMatch | QueryMatch, value: str) -> bool:
    match match.kind:
        case ValueMatchKind.EXACT:
            return value == match.value
        case ValueMatchKind.REGEX:
            return _fits(match.value, value)
        case ValueMatchKind.PRESENT:
            return True
    assert_never(match.kind)


def _fits(pattern: str, value: str) -> bool:
    return _compiled(pattern).fullmatch(value.encode("latin-1", "replace")) is not None


@cache
def _compiled(pattern: str) -> Any:  # noqa: ANN401 - re2 has no types
    # Imported here, for most specs have no regular expression, and it takes milliseconds.
    import re2

    options = re2.Options()
    options.log_errors = False
    options.dot_nl = True
    options.encoding = re2.Options.Encoding.LATIN1
    return re2.compile(pattern.encode(), options)
