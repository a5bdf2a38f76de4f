"""Conditions on one request: its path, its headers, its query."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from meshctl.diagnostics import Position
from meshctl.ir.features import Feature, Needs
from meshctl.ir.written import Written


class PathMatchKind(StrEnum):
    """How a path is compared, always with case and without the query.

    EXACT: the whole path. PREFIX: whole segments; ``/abc`` takes /abc, /abc/ and /abc/x, not /abcd.
    REGEX: the whole path, in the subset of RE2 that :mod:`meshctl.spec.regex` lets through.
    """

    EXACT = "exact"
    PREFIX = "prefix"
    REGEX = "regex"


_PATH_FEATURES = {
    PathMatchKind.EXACT: (Feature.PATH_EXACT,),
    PathMatchKind.PREFIX: (Feature.PATH_PREFIX,),
    PathMatchKind.REGEX: (Feature.PATH_REGEX,),
}


class PathMatch(Written, frozen=True):
    """A prefix has no slash at its end, but ``/`` takes all."""

    kind: Annotated[PathMatchKind, Needs(_PATH_FEATURES.__getitem__)]
    value: str
    at: Position | None = None

    @property
    def takes_everything(self) -> bool:
        """Whether no path escapes this match."""
        return self.kind is PathMatchKind.PREFIX and self.value == "/"


class ValueMatchKind(StrEnum):
    """How a header's or a query parameter's value is compared, whole and with case.

    PRESENT: any value will do, also an empty one.
    """

    EXACT = "exact"
    REGEX = "regex"
    PRESENT = "present"


_HEADER_FEATURES = {
    ValueMatchKind.EXACT: (Feature.HEADER_MATCH,),
    ValueMatchKind.REGEX: (Feature.HEADER_REGEX,),
    ValueMatchKind.PRESENT: (Feature.HEADER_PRESENT,),
}
_QUERY_FEATURES = {
    ValueMatchKind.EXACT: (Feature.QUERY_MATCH,),
    ValueMatchKind.REGEX: (Feature.QUERY_REGEX,),
    ValueMatchKind.PRESENT: (Feature.QUERY_PRESENT,),
}


class HeaderMatch(Written, frozen=True):
    """True if any line of the header satisfies it. ``name`` is lower case; PRESENT has an empty ``value``."""

    name: str
    value: str
    kind: Annotated[ValueMatchKind, Needs(_HEADER_FEATURES.__getitem__)] = ValueMatchKind.EXACT
    at: Position | None = None


class QueryMatch(Written, frozen=True):
    """True if the first occurrence of ``name`` satisfies it.

    The query is split at ``&``, each part at its first ``=``; a part without one has an empty value. Name and
    value are compared as they stand on the wire, with case, nothing decoded.
    """

    name: str
    value: str
    kind: Annotated[ValueMatchKind, Needs(_QUERY_FEATURES.__getitem__)] = ValueMatchKind.EXACT
    at: Position | None = None
