"""Conditions on a request, as named ones that a rule can join."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from meshctl import ir
from meshctl.targets.haproxy import quoting
from meshctl.targets.haproxy.model import Criterion
from meshctl.targets.haproxy.quoting import Token

_PATH = Token("path")


def criteria(prefix: str, match: ir.RouteMatch) -> tuple[Criterion, ...]:
    """All of a route's conditions; lines of one name are alternatives, names must all hold."""
    return (
        *paths(f"{prefix}.path", () if match.path.takes_everything else (match.path,)),
        *methods(f"{prefix}.method", match.methods),
        *headers(prefix, match.headers),
        *_queries(prefix, match.queries),
    )


def paths(name: str, matches: tuple[ir.PathMatch, ...], *, strictly: bool = False) -> Iterator[Criterion]:
    """Any of them. ``strictly``: a regular expression that gives up counts as a match."""
    for match in matches:
        yield from _path(quoting.name(name), match, strictly=strictly)


def methods(name: str, allowed: tuple[str, ...]) -> Iterator[Criterion]:
    """Any of them."""
    if allowed:
        yield Criterion(quoting.name(name), Token("method -m str"), quoting.word_lists(allowed))


def headers(
    prefix: str, matches: tuple[ir.HeaderMatch, ...], *, strictly: bool = False
) -> Iterator[Criterion]:
    """All of them, a name each. ``strictly`` as for paths."""
    for number, match in enumerate(matches, start=1):
        yield from _header(quoting.name(f"{prefix}.header{number}"), match, strictly=strictly)


def _path(name: Token, path: ir.PathMatch, *, strictly: bool) -> Iterator[Criterion]:
    match path.kind:
        case ir.PathMatchKind.EXACT:
            yield Criterion(name, Token("path -m str"), (quoting.word(path.value),))
        case ir.PathMatchKind.PREFIX:
            whole = path.value.rstrip("/")
            if whole:
                yield Criterion(name, Token("path -m str"), (quoting.word(whole),))
            yield Criterion(name, Token("path -m beg"), (quoting.word(f"{whole}/"),))
        case ir.PathMatchKind.REGEX:
            yield _regex(name, _PATH, path.value, strictly=strictly)
        case _:
            assert_never(path.kind)


def _header(name: Token, header: ir.HeaderMatch, *, strictly: bool) -> Iterator[Criterion]:
    sample = quoting.header_lines(header.name)
    match header.kind:
        case ir.ValueMatchKind.EXACT:
            yield _equal(name, sample, header.value)
        case ir.ValueMatchKind.PRESENT:
            yield _found(name, sample)
        case ir.ValueMatchKind.REGEX:
            yield Criterion(name, Token(f"{sample} -m reg"), (quoting.whole_regex(header.value),))
            if strictly:
                yield _regex(name, sample, header.value, strictly=True)
        case _:
            assert_never(header.kind)


def _queries(prefix: str, matches: tuple[ir.QueryMatch, ...]) -> Iterator[Criterion]:
    for number, query in enumerate(matches, start=1):
        prefixed = f"{prefix}.query{number}"
        first = quoting.first_parameter(query.name)
        # HAProxy's own fetch takes `;` for a separator too.
        yield Criterion(quoting.name(prefixed), Token("query -m reg"), (first.present,))
        name = quoting.name(f"{prefixed}.value")
        match query.kind:
            case ir.ValueMatchKind.EXACT:
                yield _equal(name, first.value, query.value)
            case ir.ValueMatchKind.PRESENT:
                pass
            case ir.ValueMatchKind.REGEX:
                yield _regex(name, first.value, query.value, strictly=False)
            case _:
                assert_never(query.kind)


def _equal(name: Token, sample: Token, value: str) -> Criterion:
    # An empty pattern never matches anything; an empty value is one of length nought.
    if not value:
        return Criterion(name, Token(f"{sample} -m len"), (Token("0"),))
    return Criterion(name, Token(f"{sample} -m str"), (quoting.word(value),))


def _found(name: Token, sample: Token) -> Criterion:
    return Criterion(name, Token(f"{sample} -m len"), (Token("ge 0"),))


def _regex(name: Token, sample: Token, expression: str, *, strictly: bool) -> Criterion:
    if not strictly:
        return Criterion(name, Token(f"{sample} -m reg"), (quoting.whole_regex(expression),))
    # An expression that gives up does not match, and a refusal would let pass what it is meant for. So the
    # text is emptied where it surely does not match, and what is left of it counts.
    return Criterion(name, Token(f"{quoting.unless_regex(sample, expression)} -m len"), (Token("gt 0"),))
