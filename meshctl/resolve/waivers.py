"""Waivers: a warning that the team accepts, next to the thing it is about, until a date.

Whether the spec can be built never depends on a date: an old commit must always build to the same bytes.
`meshctl lint` and `validate` say when a waiver has expired.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator
from datetime import date, timedelta

from msgspec import structs

from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Part, Position, Severity
from meshctl.spec import Source, Spec
from meshctl.spec.gateways import GatewaySpec
from meshctl.spec.service import ServiceSpec
from meshctl.spec.waivers import WaiverSpec
from meshctl.suggestions import did_you_mean

LONGEST = timedelta(days=180)
"""How far ahead a waiver may reach."""

_Key = tuple[str, str, str]
"""What it stands at, the finding, and the caller that it is for; empty: whoever calls."""

Waiver = tuple[str, WaiverSpec, Part | None]
"""What it stands at (`catalog`, or `catalog/beta` for a route; empty: the mesh), the waiver and where it is."""


def waivers(spec: Spec) -> Iterator[Waiver]:
    """Every waiver of the spec."""
    written = spec.written
    yield from _of("", written.mesh.waive, spec.source["mesh"])
    for name, service in (written.services or {}).items():
        yield from _of_routed(name, service, spec.source["services"][name])
    for name, gateway in (written.gateways or {}).items():
        yield from _of_routed(name, gateway, spec.source["gateways"][name])
    for name, external in (written.externals or {}).items():
        yield from _of(name, external.waive, spec.source["externals"][name])


def _of(owner: str, written: list[WaiverSpec] | None, source: Source) -> Iterator[Waiver]:
    for index, waiver in enumerate(written or ()):
        yield owner, waiver, source["waive"].part(index)


def _of_routed(name: str, written: ServiceSpec | GatewaySpec, source: Source) -> Iterator[Waiver]:
    yield from _of(name, written.waive, source)
    for index, route in enumerate(written.routes or ()):
        yield from _of(f"{name}/{route.name}", route.waive, source["routes"][index])


def waive(
    findings: Iterable[Finding],
    spec: Spec,
    errors: Collection[str] = (),
    never: Collection[str] = (),
) -> tuple[Finding, ...]:
    """The findings, with the reason on those that a waiver covers.

    Of errors only those with a slug in ``errors``, and none with a slug in ``never``.
    """
    by_place = {(owner, waiver.finding, waiver.caller or ""): waiver for owner, waiver, _ in waivers(spec)}
    if not by_place:
        return tuple(findings)
    owners = Owners(spec.source)
    return tuple(
        each
        if (each.severity is Severity.ERROR and each.slug not in errors) or each.slug in never
        else _waived(each, by_place, owners)
        for each in findings
    )


def _waived(found: Finding, by_place: dict[_Key, WaiverSpec], owners: Owners) -> Finding:
    for key in _keys(found, owners):
        waiver = by_place.get(key)
        if waiver is not None:
            reason = f"{waiver.reason} ({waiver.owner}, until {waiver.until})"
            return structs.replace(found, waived=reason)
    return found


def _keys(found: Finding, owners: Owners) -> Iterator[_Key]:
    """Of the waivers that would do for a finding, the most particular one first."""
    for owner in owners.around(found.at):
        for caller in dict.fromkeys((found.caller, "")):
            yield owner, found.slug, caller


def expired(spec: Spec, today: date) -> Iterator[Finding]:
    """Waivers that have outlived their date; the last day still counts."""
    for _, waiver, part in waivers(spec):
        if waiver.until < today:
            message = f"the waiver of `{waiver.finding}` ended on {waiver.until} ({waiver.owner})"
            yield finding("expired-waiver", part.at if part else None, message)


def idle(
    spec: Spec,
    today: date,
    findings: Collection[Finding],
    known: Collection[str],
    *,
    mandatory: Collection[str] = (),
    off: Collection[str] = (),
) -> Iterator[Finding]:
    """Waivers that waive nothing, or must not, or for too long.

    ``known`` are all slugs that a finding can have; those that are ``off`` are not looked for this time.
    """
    owners = Owners(spec.source)
    own = {(owner, waiver.finding, waiver.caller or "") for owner, waiver, _ in waivers(spec)}
    used = {
        next((key for key in _keys(each, owners) if key in own), None) for each in findings if each.waived
    }
    for owner, waiver, part in waivers(spec):
        slug, at = waiver.finding, part.at if part is not None else None
        if slug not in known:
            fix = did_you_mean(slug, known)
            yield finding("undefined-reference", at, f"there is no finding named `{slug}`", fix=fix)
        elif slug in mandatory:
            yield finding("mandatory-rule", at, f"the rule `{slug}` is mandatory: nobody can waive it")
        elif (owner, slug, waiver.caller or "") not in used and slug not in off:
            where = f"`{owner}`" if owner else "the mesh"
            message = f"this waives nothing: {where} has no such finding `{slug}`"
            yield finding("unused-waiver", at, message, remove=part)
        if waiver.until > today + LONGEST:
            message = f"this waiver reaches until {waiver.until}, more than {LONGEST.days} days ahead"
            yield finding("distant-waiver", at, message)


class Owners:
    """What a place in the files belongs to: a service, external or gateway, and a route of it."""

    def __init__(self, source: Source) -> None:
        self._starts: dict[str, list[tuple[int, int, str]]] = {}
        for container, key, owner in _blocks(source):
            for at in container.places(key):
                self._starts.setdefault(at.file, []).append((at.line, at.column, owner))
        for starts in self._starts.values():
            starts.sort()

    def of(self, at: Position | None) -> str:
        """The service, external or gateway whose block holds ``at``; empty where none does."""
        return self.around(at)[-2:][0]

    def around(self, at: Position | None) -> tuple[str, ...]:
        """The blocks that hold ``at``, the innermost first; the last one is the mesh, without a name."""
        starts = self._starts.get(at.file, []) if at is not None else []
        index = bisect_right(starts, (at.line, at.column, "\uffff")) if at is not None else 0
        owner = starts[index - 1][2] if index else ""
        name = owner.partition("/")[0]
        return tuple(dict.fromkeys((owner, name, "")))


def _blocks(source: Source) -> Iterator[tuple[Source, str | int, str]]:
    """Where each part of the spec begins that has another owner than what stands before it."""
    for section in source.node if isinstance(source.node, dict) else ():
        yield source, section, ""
        names = source[section].node
        if section in ("services", "externals", "gateways") and isinstance(names, dict):
            for name in names:
                yield source[section], name, name
                yield from _routes(source[section][name], name)


def _routes(source: Source, owner: str) -> Iterator[tuple[Source, str | int, str]]:
    routes = source["routes"].node
    if not isinstance(routes, list):
        return
    for key in source.node:
        yield source, key, owner
    for index, route in enumerate(routes):
        if isinstance(route, dict):
            yield source["routes"], index, f"{owner}/{route.get('name')}"
