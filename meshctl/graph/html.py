"""One page with the map and everything about it, that asks nobody for anything."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from hashlib import sha256
from html import escape

import orjson

from meshctl import resources
from meshctl.diagnostics import Finding
from meshctl.graph.grouping import Grouping, groupings
from meshctl.graph.layout import curve, nearly_at_the_end
from meshctl.graph.model import Edge, Graph, Node
from meshctl.graph.svg import head, kind_of, kind_of_many, thickness, under
from meshctl.graph.views import Box, View, grouped, label, services

_HEADS = ("mtls", "tls", "plaintext", "refused", "idle")


def html(graph: Graph, start: Grouping | None) -> str:
    """The page, which shows ``start`` first, or every service by itself."""
    folder = resources.folder("templates") / "graph"
    page, picture, style, script = (
        (folder / name).read_text("utf-8") for name in ("page.html", "picture.css", "page.css", "page.js")
    )
    parts = {
        "TITLE": escape(f"{graph.mesh}: the mesh"),
        "STYLE": picture + style,
        "SCRIPT": script,
        "HEADS": "".join(map(head, _HEADS)),
        "DATA": _data(graph, start),
    }
    # Only what stands here runs and only this style holds; there is nowhere to send anything.
    parts["POLICY"] = (
        f"default-src 'none'; script-src {_hash(parts['SCRIPT'])}; style-src {_hash(parts['STYLE'])}; "
        "base-uri 'none'; form-action 'none'"
    )
    # In one go: what is put in is not looked through for further places.
    pieces = page.split("@")
    return "".join(parts[each] if nth % 2 else each for nth, each in enumerate(pieces))


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _data(graph: Graph, start: Grouping | None) -> str:
    number = {each.name: nth for nth, each in enumerate(graph.nodes)}
    known = groupings(graph)
    if start is not None and start not in known:
        known = (*known, start)
    every = [_view(graph, services(graph), "services")]
    for each in known:
        every.append(_view(graph, grouped(graph, each), each.key))
        every.append(_view(graph, grouped(graph, each, closed=True), f"{each.key}, closed"))
    document = {
        "mesh": graph.mesh,
        "domain": graph.domain,
        "nodes": [_node(each, number) for each in graph.nodes],
        "edges": [_edge(graph, nth, each, number) for nth, each in enumerate(graph.edges)],
        "findings": [_finding(each) for each in graph.findings],
        "views": every,
        "start": 0 if start is None else 1 + 2 * known.index(start),
    }
    # Within a script nothing but its end is read, and no `<` can begin that here.
    return (
        orjson.dumps(document)
        .decode()
        .replace("<", "\\u003c")
        .replace(">", "\\u003e")
        .replace("&", "\\u0026")
    )


def _node(node: Node, number: dict[str, int]) -> dict[str, object]:
    return {
        "name": node.name,
        "kind": node.kind.value,
        "proxy": node.proxy,
        "protocol": node.protocol,
        "mtls": node.mtls,
        "under": under(node),
        "owner": node.about.owner,
        "labels": dict(node.about.labels),
        "zones": dict(node.about.zones),
        "hosts": node.about.hosts,
        "policies": node.policies,
        "tables": list(_tables(node, number)),
        "findings": [_finding(each) for each in node.findings],
    }


def _tables(node: Node, number: dict[str, int]) -> Iterator[list[object]]:
    """Of those callers that are in the picture."""
    for table in node.tables:
        callers = [number[name] for name in table.callers if name in number]
        if callers:
            yield [callers, [[each.name, each.matches, each.leads, each.details] for each in table.routes]]


def _finding(finding: Finding) -> list[str]:
    place = f"{finding.at.file}:{finding.at.line}" if finding.at is not None else ""
    # A name of a file may hold bytes that are no text, and JSON has no way to write them.
    message, place = (each.encode("utf-8", "backslashreplace").decode() for each in (finding.message, place))
    return [finding.severity.value, finding.slug, message, place]


def _edge(graph: Graph, nth: int, edge: Edge, number: dict[str, int]) -> dict[str, object]:
    return {
        "from": number[edge.caller],
        "to": number[edge.callee],
        "kind": kind_of(edge),
        "protocol": edge.protocol,
        "security": edge.security.value,
        "access": edge.access.value,
        "need": float(edge.need),
        "label": label(graph, nth),
        "copy": edge.copy,
        "grounds": edge.grounds,
    }


def _view(graph: Graph, view: View, title: str) -> dict[str, object]:
    names: Sequence[tuple[str, tuple[int, ...]]] = view.grouping.groups if view.grouping is not None else ()
    return {
        "title": title,
        "width": view.width,
        "height": view.height,
        "nodes": [_box(each) for each in view.nodes],
        "groups": [
            {"name": names[each.number][0], "members": names[each.number][1], "box": _box(each)}
            for each in view.groups
        ],
        "lines": list(_lines(graph, view)),
    }


def _box(box: Box) -> list[float]:
    return [box.number, box.x, box.y, box.width, box.height]


def _lines(graph: Graph, view: View) -> Iterator[list[object]]:
    """Of each the edges, the curve, the class, the thickness, and where a label stands."""
    for line in view.lines:
        wide = thickness(len(line.edges)) if view.grouping is not None else 0
        yield [
            line.edges,
            curve(line.points),
            kind_of_many(graph, line.edges),
            wide,
            *nearly_at_the_end(line.points),
        ]
