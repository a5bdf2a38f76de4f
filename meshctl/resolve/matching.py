"""Conditions of one match: in routes, and in rules of authorization."""

from __future__ import annotations

from collections.abc import Mapping

from meshctl import ir
from meshctl.diagnostics import Position
from meshctl.spec import Source
from meshctl.spec.matching import HeaderMatchSpec, PathMatchSpec, QueryMatchSpec

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
