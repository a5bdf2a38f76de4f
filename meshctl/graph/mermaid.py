"""A flowchart in mermaid's words, for Markdown that renders it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from meshctl.graph.grouping import Grouping, pairs
from meshctl.graph.model import Access, Edge, Graph, Kind, Node, Security
from meshctl.graph.views import label

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _./-+=*%:·")


def mermaid(graph: Graph, grouping: Grouping | None) -> str:
    """Nodes, in subgraphs where they are grouped, and an arrow for each call."""
    return "".join(f"{each}\n" for each in _lines(graph, grouping))


def _lines(graph: Graph, grouping: Grouping | None) -> Iterator[str]:
    yield "flowchart LR"
    if grouping is None:
        yield from (f"  {_node(nth, each)}" for nth, each in enumerate(graph.nodes))
    for nth, (name, members) in enumerate(grouping.groups if grouping is not None else ()):
        yield f"  subgraph g{nth}[{_text(name)}]"
        yield from (f"    {_node(each, graph.nodes[each])}" for each in members)
        yield "  end"
    for nth, (edge, (start, end)) in enumerate(zip(graph.edges, pairs(graph), strict=True)):
        said = " · ".join(each for each in (label(graph, nth), *_words(edge)) if each)
        arrow = _arrow(edge)
        yield f"  n{start} {arrow}|{_text(said)}| n{end}" if said else f"  n{start} {arrow} n{end}"
    found = [nth for nth, each in enumerate(graph.nodes) if each.findings]
    if found:
        yield "  classDef findings stroke:#d97706,stroke-width:3px"
        yield f"  class {','.join(f'n{each}' for each in found)} findings"


def _node(number: int, node: Node) -> str:
    under = " · ".join(each for each in (node.proxy, node.protocol) if each)
    text = _text(f"{node.name}\n{under}")
    match node.kind:
        case Kind.SERVICE:
            return f"n{number}[{text}]"
        case Kind.GATEWAY:
            return f"n{number}{{{{{text}}}}}"
        case Kind.EXTERNAL:
            return f"n{number}([{text}])"
    assert_never(node.kind)


def _words(edge: Edge) -> Iterator[str]:
    """What is not as it is by default."""
    if edge.security is not Security.MTLS:
        yield edge.security.value
    if edge.access is not Access.PERMITTED:
        yield edge.access.value


def _arrow(edge: Edge) -> str:
    if edge.access is Access.REFUSED:
        return "--x"
    dashed = edge.copy or edge.security is Security.PLAINTEXT or edge.idle
    return "-.->" if dashed else "-->"


def _text(text: str) -> str:
    """In quotes, and by number whatever could mean something to mermaid or to a browser."""
    return '"' + "".join(_letter(each) for each in text) + '"'


def _letter(letter: str) -> str:
    if letter == "\n":
        return "<br/>"
    if letter in _PLAIN or (letter.isalpha() and letter.isprintable()):
        return letter
    return f"#{ord(letter)};"
