"""Conditions of one match: in routes, and in rules of authorization."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from meshctl import ir
from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Position
from meshctl.ir.canonical import refusal
from meshctl.spec import Source
from meshctl.spec.matching import HeaderMatchSpec, PathMatchSpec, QueryMatchSpec

_OF_THE_MESH = ("x-mesh-", "x-forwarded-client-cert")
"""How names begin that tell identities and statuses between sidecars."""

_OF_THE_HOP = frozenset(("connection", "http2-settings", "keep-alive", "proxy-connection", "te", "upgrade"))
"""What HAProxy takes away before it asks any rule, for it is meant for one hop; NGINX and the others after it."""

EVERYTHING = ir.PathMatch(ir.PathMatchKind.PREFIX, "/")


def path(written: PathMatchSpec | None, at: Source) -> ir.PathMatch:
    """The condition on the path; every path where nothing is written. ``at`` is the place of ``written``."""
    if written is None:
        return EVERYTHING
    if written.exact is not None:
        return ir.PathMatch(ir.PathMatchKind.EXACT, written.exact, at=at.here)
    if written.regex is not None:
        return ir.PathMatch(ir.PathMatchKind.REGEX, written.regex, at=at.here)
    return ir.PathMatch(ir.PathMatchKind.PREFIX, (written.prefix or "").rstrip("/") or "/", at=at.here)


def headers(written: Mapping[str, HeaderMatchSpec] | None, at: Source) -> tuple[ir.HeaderMatch, ...]:
    """The conditions on headers by name; ``at`` is the place of the mapping."""
    return tuple(
        ir.HeaderMatch(name, *_value(each), at=header_place(at, name))
        for name, each in sorted((written or {}).items())
    )


def queries(written: Mapping[str, QueryMatchSpec] | None, at: Source) -> tuple[ir.QueryMatch, ...]:
    """The conditions on query parameters by name; ``at`` is the place of the mapping."""
    return tuple(
        ir.QueryMatch(name, *_value(each), at=at.at(name)) for name, each in sorted((written or {}).items())
    )


def _value(each: HeaderMatchSpec | QueryMatchSpec) -> tuple[str, ir.ValueMatchKind]:
    if each.regex is not None:
        return each.regex, ir.ValueMatchKind.REGEX
    if each.present is not None:
        return "", ir.ValueMatchKind.PRESENT
    return each.exact or "", ir.ValueMatchKind.EXACT


def header_place(at: Source, name: str) -> Position | None:
    """Where a header is named in the mapping at ``at``; there its name may be in any case."""
    node = at.node
    if not isinstance(node, dict):
        return at.here
    return at.at(next((key for key in node if key.lower() == name), name))


def check_path(written: PathMatchSpec, at: Source) -> Iterator[Finding]:
    """Faults of one condition on the path."""
    kinds = {"exact": written.exact, "prefix": written.prefix, "regex": written.regex}
    if sum(each is not None for each in kinds.values()) != 1:
        yield finding("ambiguous-match", at.here, "a path is one of `exact`, `prefix` and `regex`")
    for kind, path in (("exact", written.exact), ("prefix", written.prefix)):
        if path is not None:
            yield from check_canonical(path, at.value_at(kind))


def check_canonical(path: str, at: Position | None) -> Iterator[Finding]:
    """A path that no sidecar lets through."""
    why = refusal(path)
    if why is not None:
        yield finding("path-not-canonical", at, f"`{path}` is not canonical: {why.replace('-', ' ')}")


def check_values(
    written: Mapping[str, HeaderMatchSpec] | Mapping[str, QueryMatchSpec] | None, what: str, at: Source
) -> Iterator[Finding]:
    """Faults of the conditions on headers or on query parameters."""
    for name, each in (written or {}).items():
        if sum(value is not None for value in (each.exact, each.regex, each.present)) != 1:
            place = header_place(at, name)
            message = f"the {what} `{name}` is compared with one of `exact`, `regex` and `present`"
            yield finding("ambiguous-match", place, message)
        if what == "header" and is_of_the_mesh(name):
            yield of_the_mesh(name, header_place(at, name))
        if what == "header" and name.lower() in _OF_THE_HOP:
            message = f"nothing can be decided by `{name}`, which is meant for one connection"
            yield finding("header-of-the-hop", header_place(at, name), message)


def is_of_the_mesh(name: str) -> bool:
    """Whether only sidecars may say what a header has, in any spelling that maps to it."""
    return name.lower().replace("_", "-").replace(".", "-").startswith(_OF_THE_MESH)


def of_the_mesh(name: str, at: Position | None) -> Finding:
    """That something is decided by such a header."""
    return finding("header-of-the-mesh", at, f"nothing can be decided by `{name}`, which is the mesh's own")


def check_cases(what: str, at: Source) -> Iterator[Finding]:
    """Header names of the mapping at ``at`` that differ in nothing but case, which means nothing."""
    node = at.node
    seen: set[str] = set()
    for name in node if isinstance(node, dict) else ():
        if name.lower() in seen:
            yield finding("duplicate-definition", at.at(name), f"a second {what} `{name.lower()}`")
        seen.add(name.lower())


def check_repeats(what: str, written: Sequence[str] | None, at: Source) -> Iterator[Finding]:
    """What stands twice in a list."""
    for index in _repeats(written or ()):
        message = f"`{(written or ())[index]}` is here twice: {what}"
        yield finding("repeated-item", at.at(index), message, remove=at.part(index))


def _repeats(written: Iterable[str]) -> Iterator[int]:
    seen: set[str] = set()
    for index, each in enumerate(written):
        if each in seen:
            yield index
        seen.add(each)
