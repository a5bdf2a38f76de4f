"""A graph in the language of Graphviz."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meshctl.graph.grouping import Grouping, pairs
from meshctl.graph.model import Access, Edge, Graph, Kind, Node, Security
from meshctl.graph.views import label

_SHAPES: Mapping[Kind, str] = {Kind.SERVICE: "box", Kind.GATEWAY: "hexagon", Kind.EXTERNAL: "ellipse"}


def dot(graph: Graph, grouping: Grouping | None) -> str:
    """Nodes, in clusters where they are grouped, and an arrow for each call."""
    return "".join(f"{each}\n" for each in _lines(graph, grouping))


def _lines(graph: Graph, grouping: Grouping | None) -> Iterator[str]:
    yield f"digraph {_text(graph.mesh)} {{"
    yield "  rankdir=LR"
    yield '  node [fontname="sans-serif", style="rounded,filled", fillcolor=white]'
    yield '  edge [fontname="sans-serif", fontsize=10]'
    if grouping is None:
        yield from (f"  {_node(each)}" for each in graph.nodes)
    for nth, (name, members) in enumerate(grouping.groups if grouping is not None else ()):
        yield f"  subgraph cluster_{nth} {{"
        yield f"    label={_text(name)}"
        yield from (f"    {_node(graph.nodes[each])}" for each in members)
        yield "  }"
    for nth, (edge, (start, end)) in enumerate(zip(graph.edges, pairs(graph), strict=True)):
        ends = f"{_text(graph.nodes[start].name)} -> {_text(graph.nodes[end].name)}"
        yield f"  {ends}{_listed(_edge(edge, label(graph, nth)))}"
    yield "}"


def _node(node: Node) -> str:
    under = " · ".join(each for each in (node.proxy, node.protocol) if each)
    said = {"label": f"{node.name}\n{under}", "shape": _SHAPES[node.kind]}
    if node.findings:
        said["color"] = "#d97706"
        said["tooltip"] = "\n".join(f"{each.slug}: {each.message}" for each in node.findings)
    return f"{_text(node.name)}{_listed(said)}"


def _edge(edge: Edge, shares: str) -> dict[str, str]:
    words = (
        shares,
        edge.security.value if edge.security is not Security.MTLS else "",
        edge.access.value if edge.access is not Access.PERMITTED else "",
    )
    said = {"label": " · ".join(each for each in words if each)}
    if edge.access is Access.REFUSED:
        said |= {"color": "#dc2626", "style": "dotted", "arrowhead": "tee"}
    elif edge.idle:
        said |= {"color": "#9ca3af", "style": "dashed"}
    elif edge.security is Security.PLAINTEXT:
        said |= {"color": "#dc2626", "style": "dashed"}
    elif edge.copy:
        said |= {"style": "dashed"}
    return {key: value for key, value in said.items() if value}


def _listed(said: Mapping[str, str]) -> str:
    return f" [{', '.join(f'{key}={_text(value)}' for key, value in said.items())}]" if said else ""


def _text(text: str) -> str:
    """A quoted string: a backslash would begin one of Graphviz's escapes, and control characters print nothing."""
    escaped = text.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"' + "".join(each if each.isprintable() else "�" for each in escaped) + '"'
