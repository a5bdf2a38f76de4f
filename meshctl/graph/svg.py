"""A picture as SVG that stands for itself: light or dark as whoever looks at it has it, no script."""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape

from meshctl import resources
from meshctl.diagnostics import Severity
from meshctl.graph.layout import curve, nearly_at_the_end
from meshctl.graph.model import Access, Edge, Graph, Node, Security
from meshctl.graph.views import Box, View, label

_MARGIN = 28.0
_WITHOUT_HEADS = 0.3
"""Lines as faint as that have no heads, which would be all that is seen of them."""
_HEADS = ("mtls", "tls", "plaintext", "refused", "idle")


def svg(graph: Graph, view: View) -> str:
    """One view of the graph."""
    width, height = view.width + 2 * _MARGIN, view.height + 2 * _MARGIN
    style = (resources.folder("templates") / "graph" / "picture.css").read_text("utf-8")
    return "".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{-_MARGIN:g} {-_MARGIN:g} {width:g} {height:g}"',
            f' width="{width:g}" height="{height:g}" role="img">\n',
            f"<title>{_text(graph.mesh)}: who calls whom</title>\n<style>\n{style}</style>\n<defs>\n",
            *(f"{head(kind)}\n" for kind in _HEADS),
            f'</defs>\n<rect class="ground" x="{-_MARGIN:g}" y="{-_MARGIN:g}" width="{width:g}" height="{height:g}"/>\n',
            *(f"{each}\n" for each in _parts(graph, view)),
            "</svg>\n",
        )
    )


def head(kind: str) -> str:
    """The head of an arrow."""
    return (
        f'<marker id="to-{kind}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path class="head {kind}" d="M0 .5L8 4 0 7.5z"/></marker>'
    )


def kind_of(edge: Edge) -> str:
    """The class of a call: whether it is let in, or never made, else what it is wrapped in."""
    if edge.access is Access.REFUSED:
        return "refused"
    if edge.idle:
        return "idle"
    return "mtls" if edge.security is Security.MTLS else edge.security.value.lower()


def kind_of_many(graph: Graph, edges: tuple[int, ...]) -> str:
    """That of the worst of some calls."""
    kinds = {kind_of(graph.edges[each]) for each in edges}
    return next(each for each in ("refused", "plaintext", "tls", "mtls", "idle") if each in kinds)


def _parts(graph: Graph, view: View) -> Iterator[str]:
    groups = view.grouping.groups if view.grouping is not None else ()
    faint = faintness(len(view.lines), len(view.groups) or len(view.nodes))
    # Lines lie behind the boxes, which they pass.
    for line in view.lines:
        kind = kind_of_many(graph, line.edges)
        copy = " copy" if all(graph.edges[each].copy for each in line.edges) else ""
        look = f"opacity:{faint:g}" + (f";stroke-width:{thickness(len(line.edges)):g}" if groups else "")
        arrow = f' marker-end="url(#to-{kind})"' if faint > _WITHOUT_HEADS else ""
        yield f'<path class="edge {kind}{copy}" d="{curve(line.points)}" style="{look}"{arrow}/>'
    for box in view.groups:
        yield from _group(graph, box, *groups[box.number])
    for box in view.nodes:
        yield from (_chip if groups else _node)(graph.nodes[box.number], box)
    for line in () if groups else view.lines:
        said = label(graph, line.edges[0])
        if said:
            x, y = nearly_at_the_end(line.points)
            wide = 12 + 6.2 * len(said)
            yield f'<rect class="pill" x="{x - wide / 2:g}" y="{y - 9:g}" width="{wide:g}" height="18" rx="9"/>'
            yield f'<text class="said" x="{x:g}" y="{y + 4:g}">{_text(said)}</text>'


def faintness(lines: int, boxes: int) -> float:
    """How much of a line is seen: where there are many for each box, they step back."""
    return round(max(0.13, min(0.8, 1.9 * boxes / max(1, lines))), 2)


def thickness(calls: int) -> float:
    """Of a line that stands for so many calls, in pixels."""
    return round(min(7.0, 1.2 + 0.5 * (calls - 1)), 1)


def _group(graph: Graph, box: Box, name: str, members: tuple[int, ...]) -> Iterator[str]:
    found = sum(bool(graph.nodes[each].findings) for each in members)
    told = f"{len(members)}" + (f", {found} with findings" if found and box.width > 300 else "")
    yield f'<g class="group" transform="translate({box.x:g} {box.y:g})">'
    yield f'<rect class="box" width="{box.width:g}" height="{box.height:g}" rx="12"/>'
    yield f'<text class="title" x="12" y="23">{_text(fitted(name, box.width - 80, 8.6))}</text>'
    yield f'<text class="under" x="{box.width - 12:g}" y="23">{told}</text></g>'


def _chip(node: Node, box: Box) -> Iterator[str]:
    yield f'<g class="{_classes(node)} chip" transform="translate({box.x:g} {box.y:g})">'
    yield f'<rect class="card" width="{box.width:g}" height="{box.height:g}" rx="6"/>'
    yield f'<rect class="stripe" x="5" y="6" width="4" height="{box.height - 12:g}" rx="2"/>'
    yield f'<text class="name" x="15" y="{box.height / 2 + 4:g}">{_text(fitted(node.name, box.width - 30, 6.4))}</text>'
    if node.findings:
        yield f'<circle class="mark {worst(node)}" cx="{box.width - 9:g}" cy="{box.height / 2:g}" r="3.5"/>'
    yield "</g>"


def _node(node: Node, box: Box) -> Iterator[str]:
    tip = "\n".join(f"{each.slug}: {each.message}" for each in node.findings)
    yield f'<g class="{_classes(node)}" transform="translate({box.x:g} {box.y:g})">'
    if tip:
        yield f"<title>{_text(tip)}</title>"
    yield f'<rect class="card" width="{box.width:g}" height="{box.height:g}" rx="10"/>'
    yield f'<rect class="stripe" x="6" y="9" width="4" height="{box.height - 18:g}" rx="2"/>'
    yield f'<text class="name" x="18" y="20">{_text(fitted(node.name, box.width - 56, 7.6))}</text>'
    yield f'<text class="under" x="18" y="36">{_text(under(node))}</text>'
    if node.mtls:
        yield f'<path class="lock {node.mtls}" d="{lock(box.width, node.mtls)}"/>'
    if node.findings:
        x = box.width - 15
        yield f'<circle class="mark {worst(node)}" cx="{x:g}" cy="14" r="8"/>'
        yield f'<text class="count" x="{x:g}" y="17.6">{len(node.findings)}</text>'
    yield "</g>"


def lock(width: float, mtls: str) -> str:
    """A padlock at the lower right of a box, open where plaintext is taken."""
    shackle = "v-3a3 3 0 0 1 6 0v3" if mtls == "strict" else "v-3a3 3 0 0 1 6 0"
    return f"M{width - 20:g} 33h10v7h-10zM{width - 18:g} 33{shackle}"


def under(node: Node) -> str:
    """The second line of a box."""
    instances = sum(node.about.zones.values())
    hosts = node.about.hosts
    outside = fitted(hosts[0] + (" …" if len(hosts) > 1 else ""), 150, 6.2) if hosts else "outside the mesh"
    parts = (
        (node.proxy, node.protocol, f"\N{MULTIPLICATION SIGN}{instances}" if instances else "")
        if node.proxy
        else (outside,)
    )
    return " · ".join(each for each in parts if each)


def worst(node: Node) -> str:
    """The gravest severity among its findings."""
    order = list(Severity)
    return min((each.severity for each in node.findings), key=order.index).value


def fitted(text: str, width: float, letter: float) -> str:
    """As much of ``text`` as has room."""
    most = max(1, int(width / letter))
    return text if len(text) <= most else text[: most - 1] + "…"


def _classes(node: Node) -> str:
    return " ".join(each for each in (node.kind.value, node.proxy) if each)


def _text(text: str) -> str:
    """As XML takes it, without characters that it has no way to write."""
    return escape("".join(each if each.isprintable() or each == "\n" else "�" for each in text))
