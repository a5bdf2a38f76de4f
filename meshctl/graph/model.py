"""What a picture of the mesh shows: services, gateways and externals, and who calls whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction

from meshctl.diagnostics import Finding


class Kind(StrEnum):
    """What a node is."""

    SERVICE = "service"
    GATEWAY = "gateway"
    EXTERNAL = "external"


class Security(StrEnum):
    """What a call is wrapped in, from sidecar to sidecar or from a sidecar to an external."""

    MTLS = "mutual TLS"
    TLS = "TLS"
    PLAINTEXT = "plaintext"


class Access(StrEnum):
    """Whether the callee lets a caller in. AUDITED: nothing does, but that is only noted. HEALTH: for health checks alone."""

    PERMITTED = "permitted"
    AUDITED = "audited"
    HEALTH = "health"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class About:
    """What people wrote about a node, which no sidecar needs to know; ``zones`` with the number of endpoints in each."""

    owner: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    zones: Mapping[str, int] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    """Of an external."""


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """One route as its caller has it, in words."""

    name: str
    matches: str
    leads: str
    details: str


@dataclass(frozen=True, slots=True)
class RouteTable:
    """The routes that some callers have for the same host, in the order in which they are tried."""

    callers: tuple[str, ...]
    routes: tuple[RouteFacts, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """A service, a gateway or an external. ``proxy`` and ``mtls`` are empty for externals, ``mtls`` for gateways too."""

    name: str
    kind: Kind
    proxy: str
    protocol: str
    mtls: str
    about: About
    policies: tuple[tuple[str, str], ...] = ()
    """Title and words of each."""
    tables: tuple[RouteTable, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Edge:
    """That ``caller`` calls ``callee``, and how.

    ``need`` is the share of the requests of a route that has no other place to go: 1 where all requests of some route
    of the caller's end when the callee is gone. ``split`` says the shares of the most general route that is split.
    """

    caller: str
    callee: str
    protocol: str
    security: Security
    access: Access
    need: Fraction
    split: tuple[tuple[str, Fraction], ...] = ()
    copy: bool = False
    """Whether only copies of requests (a mirror) go there."""
    idle: bool = False
    """Whether no request goes there: the caller's own sidecar answers, or the routes lead elsewhere."""
    grounds: tuple[str, ...] = ()
    """Why the caller is let in, in words."""


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes sorted by name, edges by caller and callee; every end of an edge is a node."""

    mesh: str
    domain: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    findings: tuple[Finding, ...] = ()
    """Those about no node."""

    def around(self, name: str) -> Graph:
        """Only that node, whoever comes to it through any number of calls, and whoever it comes to."""
        backward: dict[str, set[str]] = {}
        forward: dict[str, set[str]] = {}
        for each in self.edges:
            backward.setdefault(each.callee, set()).add(each.caller)
            forward.setdefault(each.caller, set()).add(each.callee)
        kept = reached(name, backward) | reached(name, forward)
        return Graph(
            self.mesh,
            self.domain,
            tuple(each for each in self.nodes if each.name in kept),
            tuple(each for each in self.edges if each.caller in kept and each.callee in kept),
        )


def reached(start: str, leads: Mapping[str, set[str]]) -> set[str]:
    """All that can be come to from ``start``, and itself."""
    found, left = {start}, [start]
    while left:
        new = leads.get(left.pop(), set()) - found
        found |= new
        left += new
    return found


@dataclass(frozen=True, slots=True)
class Dying:
    """What ends with a node. ``whole``: some of its requests have no other place. ``part``: a share of some is lost."""

    whole: tuple[str, ...]
    part: tuple[str, ...]


def dying(graph: Graph, name: str) -> Dying:
    """Whose call paths need ``name``, directly and through others. What an application does without an answer, nobody knows."""
    whole: dict[str, set[str]] = {}
    part: dict[str, set[str]] = {}
    for each in graph.edges:
        if each.need > 0:
            part.setdefault(each.callee, set()).add(each.caller)
        if each.need == 1:
            whole.setdefault(each.callee, set()).add(each.caller)
    wholly = reached(name, whole)
    return Dying(tuple(sorted(wholly - {name})), tuple(sorted(reached(name, part) - wholly)))
