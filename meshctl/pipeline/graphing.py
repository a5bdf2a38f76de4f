"""From a spec to a picture of its mesh."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, assert_never

from meshctl.diagnostics import Finding, UsageError
from meshctl.pipeline.linting import Linted, lint
from meshctl.pipeline.rules import service_of
from meshctl.suggestions import meant

if TYPE_CHECKING:
    from meshctl.graph.model import About, Graph
    from meshctl.spec import Spec
    from meshctl.spec.discovery import EndpointSpec


class Picture(StrEnum):
    """What a graph is drawn as."""

    MERMAID = "mermaid"
    DOT = "dot"
    SVG = "svg"
    HTML = "html"


def graph(location: str, *, today: date, environment: str | None = None, service: str | None = None) -> Graph:
    """The mesh as nodes and edges with what lint finds there; of ``service``, only what its calls come to or from.

    Raises FindingsError for a spec with errors, UsageError for a ``service`` that it does not have.
    """
    from meshctl import simulate
    from meshctl.graph import nodes

    linted = lint(location, today=today, environment=environment)
    mesh, spec = linted.require(), linted.spec
    about = dict(_about(spec)) if spec is not None else {}
    if service is not None and service not in about:
        raise UsageError(
            f"there is no service, gateway or external `{service}` in the mesh{meant(service, sorted(about))}"
        )
    found = nodes.graph(mesh, simulate.reachability(mesh), about, _told(linted), simulate.conditions)
    return found if service is None else found.around(service)


def _told(linted: Linted) -> Iterator[tuple[str, Finding]]:
    """What nobody has accepted, with what it is about."""
    owner = service_of(linted)
    for each in linted.findings:
        if not each.is_accepted:
            yield owner(each.at), each


def _about(spec: Spec) -> Iterator[tuple[str, About]]:
    from meshctl.graph.model import About

    written = spec.written
    for name, service in (written.services or {}).items():
        zones = _zones(service.endpoints or (), service.zone)
        yield name, About(service.owner or "", dict(service.labels or {}), zones)
    for name, gateway in (written.gateways or {}).items():
        zones = _zones(gateway.endpoints or (), gateway.zone)
        yield name, About(gateway.owner or "", dict(gateway.labels or {}), zones)
    for name, external in (written.externals or {}).items():
        hosts = tuple(external.hosts or ())
        yield name, About(external.owner or "", dict(external.labels or {}), hosts=hosts)


def _zones(endpoints: Iterable[EndpointSpec], usual: str | None) -> Mapping[str, int]:
    return dict(sorted(Counter(each.zone or usual or "" for each in endpoints).items()))


def draw(found: Graph, form: Picture, group_by: str | None = None) -> str:
    """A picture of it. Without ``group_by`` only a large mesh is put into groups, and only where pictures have places.

    Raises UsageError for a ``group_by`` that there is not.
    """
    from meshctl.graph import dot, html, mermaid, svg, views
    from meshctl.graph.grouping import chosen

    match form:
        case Picture.MERMAID:
            return mermaid.mermaid(found, chosen(found, group_by) if group_by is not None else None)
        case Picture.DOT:
            return dot.dot(found, chosen(found, group_by) if group_by is not None else None)
        case Picture.SVG:
            grouping = chosen(found, group_by)
            view = views.services(found) if grouping is None else views.grouped(found, grouping)
            return svg.svg(found, view)
        case Picture.HTML:
            return html.html(found, chosen(found, group_by))
    assert_never(form)
