"""Waivers: a warning that the team accepts, next to the thing it is about, until a date.

Whether the spec can be built never depends on a date: an old commit must always build to the same bytes.
`meshctl lint` and `validate` say when a waiver has expired.
"""

from __future__ import annotations

import dataclasses
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator
from datetime import date, timedelta
from difflib import get_close_matches

from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Position, Severity
from meshctl.spec import Source, Spec
from meshctl.spec.waivers import WaiverSpec

LONGEST = timedelta(days=180)
"""How far ahead a waiver may reach."""

Waiver = tuple[str, WaiverSpec, Position | None]
"""The service that it stands at (empty: the mesh), the waiver and its place."""


def waivers(spec: Spec) -> Iterator[Waiver]:
    """Every waiver of the spec."""
    mesh = spec.source["mesh"]
    for index, waiver in enumerate(spec.written.mesh.waive or ()):
        yield "", waiver, mesh["waive"].at(index)
    for name, service in (spec.written.services or {}).items():
        for index, waiver in enumerate(service.waive or ()):
            yield name, waiver, spec.source["services"][name]["waive"].at(index)


def waive(findings: Iterable[Finding], spec: Spec, errors: Collection[str] = ()) -> tuple[Finding, ...]:
    """The findings, with the reason on those that a waiver covers; of errors only those with a slug in ``errors``."""
    by_place = {(owner, waiver.finding): waiver for owner, waiver, _ in waivers(spec)}
    if not by_place:
        return tuple(findings)
    owners = Owners(spec.source)
    return tuple(
        each
        if each.severity is Severity.ERROR and each.slug not in errors
        else _waived(each, by_place, owners)
        for each in findings
    )


def _waived(found: Finding, by_place: dict[tuple[str, str], WaiverSpec], owners: Owners) -> Finding:
    for owner in (owners.of(found.at), ""):
        waiver = by_place.get((owner, found.slug))
        if waiver is not None:
            reason = f"{waiver.reason} ({waiver.owner}, until {waiver.until})"
            return dataclasses.replace(found, waived=reason)
    return found


def expired(spec: Spec, today: date) -> Iterator[Finding]:
    """Waivers that have outlived their date; the last day still counts."""
    for _, waiver, at in waivers(spec):
        if waiver.until < today:
            message = f"the waiver of `{waiver.finding}` ended on {waiver.until} ({waiver.owner})"
            yield finding("expired-waiver", at, message)


def idle(spec: Spec, today: date, findings: Collection[Finding], known: Collection[str]) -> Iterator[Finding]:
    """Waivers that waive nothing, or for too long. ``known`` are all slugs that a finding can have."""
    owners = Owners(spec.source)
    own = {(owner, waiver.finding) for owner, waiver, _ in waivers(spec) if owner}
    waived = {(owners.of(each.at), each.slug) for each in findings if each.waived}
    used = {each if each in own else ("", each[1]) for each in waived}
    for owner, waiver, at in waivers(spec):
        slug = waiver.finding
        if slug not in known:
            close = get_close_matches(slug, sorted(known), n=1)
            fix = f"Did you mean `{close[0]}`?" if close else ""
            yield finding("undefined-reference", at, f"there is no finding named `{slug}`", fix=fix)
        elif (owner, slug) not in used:
            where = f"`{owner}`" if owner else "the mesh"
            yield finding("unused-waiver", at, f"this waives nothing: {where} has no such finding `{slug}`")
        if waiver.until > today + LONGEST:
            message = f"this waiver reaches until {waiver.until}, more than {LONGEST.days} days ahead"
            yield finding("distant-waiver", at, message)


class Owners:
    """Which service, external or gateway a place in the files belongs to; they share one namespace."""

    def __init__(self, source: Source) -> None:
        self._starts: dict[str, list[tuple[int, int, str]]] = {}
        for section, name in _blocks(source):
            for at in (source[section] if name else source).places(name or section):
                self._starts.setdefault(at.file, []).append((at.line, at.column, name))
        for starts in self._starts.values():
            starts.sort()

    def of(self, at: Position | None) -> str:
        """The name of the block that holds ``at``; empty where none does."""
        if at is None:
            return ""
        starts = self._starts.get(at.file, [])
        index = bisect_right(starts, (at.line, at.column, "\uffff"))
        return starts[index - 1][2] if index else ""


def _blocks(source: Source) -> Iterator[tuple[str, str]]:
    for section in source.node if isinstance(source.node, dict) else ():
        yield section, ""
        names = source[section].node
        if section in ("services", "externals", "gateways") and isinstance(names, dict):
            yield from ((section, name) for name in names)
