"""The conditions of a match, each on one place of a request, and the values that fulfil some and not others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

from msgspec import Struct

from meshctl.ir.canonical import refusal
from meshctl.lint import automata
from meshctl.lint.automata import Effort, Language, UndecidedError
from meshctl.lint.canonical_paths import canonical_paths
from meshctl.lint.facts import MatchFacts

_METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")


class UnusualError(UndecidedError):
    """There is a value, and nobody would want to read it."""


class Condition(Struct, frozen=True):
    """One condition of a match. ``kind``: exact, prefix, regex, present, or methods (with blanks between)."""

    place: str
    """`path`, `method`, `header x` or `query x`."""
    kind: str
    value: str

    def takes(self, text: str) -> bool:
        """Whether it holds for a value that is there."""
        match self.kind:
            case "exact":
                return text == self.value
            case "prefix":
                return self.value in ("/", text) or text.startswith(f"{self.value}/")
            case "regex":
                return _compiled(self.value)(text)
            case "methods":
                return text in self.value.split()
            case _:
                return True

    def language(self) -> Language:
        """The values that it takes."""
        match self.kind:
            case "exact":
                return automata.exact(self.value)
            case "prefix":
                return automata.prefix(self.value)
            case "regex":
                return automata.regex(self.value)
            case _:
                return automata.anything()


@cache
def _compiled(pattern: str) -> Callable[[str], bool]:
    # Imported here, for most specs have no regular expression, and it takes milliseconds.
    import re2

    options = re2.Options()
    options.log_errors = False
    options.dot_nl = True
    compiled = re2.compile(pattern, options)
    return lambda text: compiled.fullmatch(text) is not None


Conditions = tuple[Condition, ...]
"""All of them must hold."""


def conditions(match: MatchFacts) -> Conditions:
    """What a match asks for, the cheapest to deny first; nothing for what takes everything."""
    found = [Condition(f"header {name}", *_split(text)) for name, text in sorted(match.headers.items())]
    found += [Condition(f"query {name}", *_split(text)) for name, text in sorted(match.query.items())]
    if match.methods:
        found.append(Condition("method", "methods", " ".join(match.methods)))
    if match.path != "prefix /":
        found.append(Condition("path", *_split(match.path)))
    return tuple(found)


def _split(text: str) -> tuple[str, str]:
    kind, _, value = text.partition(" ")
    return kind, value


def values_at(place: str, wanted: Conditions, unwanted: Conditions, effort: Effort) -> list[str] | None:
    """Values with which all of ``wanted`` hold and none of ``unwanted``; several only of a header."""
    if place == "method":
        return _method(wanted, unwanted)
    if place == "path":
        return _one(wanted, unwanted, _paths(wanted), _PATHS, effort)
    # A parameter that is there at all is `present`; one that nobody wants is not there.
    if any(each.kind == "present" for each in unwanted):
        return None
    if place.startswith("query "):
        return _one(wanted, unwanted, _texts(wanted), _QUERY_VALUES, effort)
    # Each line of a header satisfies conditions by itself, and all of them avoid what is unwanted.
    lines: list[str] = []
    for each in wanted:
        if any(map(each.takes, lines)):
            continue
        found = _one((each,), unwanted, _texts((each,)), _HEADER_VALUES, effort)
        if found is None:
            return None
        lines += found
    return lines


def _method(wanted: Conditions, unwanted: Conditions) -> list[str] | None:
    listed = next((each.value.split() for each in wanted), None)
    # Any word in capitals is a method, so one that nobody has listed is always left.
    other = "X" * (1 + max((len(each.value) for each in unwanted), default=0))
    for method in listed or (*_METHODS, other):
        if all(each.takes(method) for each in wanted) and not any(each.takes(method) for each in unwanted):
            return [method]
    return None


def _paths(wanted: Conditions) -> Iterator[str]:
    literals = sorted((each.value for each in wanted if each.kind != "regex"), key=len, reverse=True)
    longest = literals[0] if literals else "/"
    base = longest.rstrip("/")
    yield from (longest, f"{base}/x", f"{base}/other")


def _texts(wanted: Conditions) -> Iterator[str]:
    yield from (each.value for each in wanted if each.kind == "exact")
    yield from ("x", "other")


def _one(
    wanted: Conditions,
    unwanted: Conditions,
    tried: Iterator[str],
    limits: tuple[Language, Language, _Fit],
    effort: Effort,
) -> list[str] | None:
    """One value: of those that are tried at once, else of the plain ones, and the proof that there is no other."""
    plain, possible, fits = limits
    for text in tried:
        if (
            fits(text)
            and all(each.takes(text) for each in wanted)
            and not any(each.takes(text) for each in unwanted)
        ):
            return [text]
    if any(each.kind == "exact" for each in wanted):
        return None
    having = [each.language() for each in wanted]
    lacking = [each.language() for each in unwanted]
    found = automata.shortest((plain, *having), lacking, effort)
    if found is not None:
        return [found]
    if automata.shortest((possible, *having), lacking, effort) is not None:
        raise UnusualError("only with unusual characters is there such a request")
    return None


def _segments(ordinary: str) -> Language:
    """Paths without empty segments and dot segments, of ``ordinary`` characters, slashes and dots."""
    letter = automata.characters(ordinary)
    dot, slash = automata.characters("."), automata.characters("/")
    # 1 a slash, 2 in a segment, 3 its first dot, 4 its second one.
    return automata.language(
        [0, slash, letter | dot, dot, dot, letter],
        [[1], [5, 3], [1, 2], [4, 5], [2], [1, 2]],
        [1, 2, 5],
    )


def _spelt(letters: str) -> Language:
    """Texts of some characters alone."""
    return automata.language([0, automata.characters(letters)], [[1], [1]], [0, 1])


def _is_canonical(path: str) -> bool:
    return refusal(path) is None


def _any_text(_: str) -> bool:
    return True


_Fit = Callable[[str], bool]
_WORD = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_VISIBLE = "".join(chr(code) for code in range(33, 127))
_PATHS: tuple[Language, Language, _Fit] = (
    _segments(f"{_WORD}-_~!$&'()*+,=:@"),
    canonical_paths(),
    _is_canonical,
)
_QUERY_VALUES: tuple[Language, Language, _Fit] = (
    _spelt(f"{_WORD}-._~:/,=@"),
    _spelt("".join(set(_VISIBLE) - set("&#"))),
    _any_text,
)
_HEADER_VALUES: tuple[Language, Language, _Fit] = (_spelt(_VISIBLE), automata.anything(), _any_text)
