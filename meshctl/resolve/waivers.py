"""Waivers: a warning that the team accepts, next to the thing it is about, until a date.

Errors are never waived here. Dates are not looked at: an old commit must always build to the same bytes;
`meshctl lint` and `validate` say when a waiver has expired.
"""

from __future__ import annotations

import dataclasses
from bisect import bisect_right
from collections.abc import Iterable, Iterator

from meshctl.diagnostics import Finding, Position, Severity
from meshctl.spec import Spec
from meshctl.spec.waivers import WaiverSpec

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


def waive(findings: Iterable[Finding], spec: Spec) -> tuple[Finding, ...]:
    """The findings, with the reason on those that a waiver covers."""
    by_place = {(owner, waiver.finding): waiver for owner, waiver, _ in waivers(spec)}
    if not by_place:
        return tuple(findings)
    owners = Owners(spec)
    return tuple(_waived(each, by_place, owners) for each in findings)


def _waived(finding: Finding, by_place: dict[tuple[str, str], WaiverSpec], owners: Owners) -> Finding:
    if finding.severity is Severity.ERROR:
        return finding
    for owner in (owners.of(finding.at), ""):
        waiver = by_place.get((owner, finding.slug))
        if waiver is not None:
            return dataclasses.replace(
                finding, waived=f"{waiver.reason} ({waiver.owner}, until {waiver.until})"
            )
    return finding


class Owners:
    """Which service a place in the files belongs to."""

    def __init__(self, spec: Spec) -> None:
        self._starts: dict[str, list[tuple[int, int, str]]] = {}
        for section, name in _blocks(spec):
            at = (spec.source[section] if name else spec.source).at(name or section)
            if at is not None:
                self._starts.setdefault(at.file, []).append((at.line, at.column, name))
        for starts in self._starts.values():
            starts.sort()

    def of(self, at: Position | None) -> str:
        """The service whose block holds ``at``; empty where it is none's."""
        if at is None:
            return ""
        starts = self._starts.get(at.file, [])
        index = bisect_right(starts, (at.line, at.column, "\uffff"))
        return starts[index - 1][2] if index else ""


def _blocks(spec: Spec) -> Iterator[tuple[str, str]]:
    for section in ("mesh", "defaults", "lint", "services"):
        yield section, ""
    for name in spec.written.services or {}:
        yield "services", name
