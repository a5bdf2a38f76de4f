"""Endpoints that come first, and those that stand in for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from meshctl import ir
from meshctl.targets.haproxy import quoting
from meshctl.targets.haproxy.quoting import Token
from meshctl.targets.haproxy.sections import Level

_FLAT = 2
"""So many levels fit into one section: servers, and backups for when none of them is up."""


def levels(cluster: ir.Cluster) -> int:
    """How many there are."""
    return len({endpoint.priority for endpoint in cluster.endpoints})


def is_deep(cluster: ir.Cluster) -> bool:
    """Whether one section cannot hold them all."""
    return levels(cluster) > _FLAT


def flat(cluster: ir.Cluster, lines: Sequence[Token]) -> tuple[Token, ...]:
    """All in one section, for streams: nothing ever finds an endpoint of theirs unhealthy."""
    if levels(cluster) < _FLAT:
        return tuple(lines)
    return tuple(
        Token(f"{line} backup") if endpoint.priority else line
        for endpoint, line in zip(cluster.endpoints, lines, strict=True)
    )


def split(
    cluster: ir.Cluster, lines: Sequence[Token], name: Token, socket: Callable[[str], Token]
) -> tuple[tuple[Token, ...], tuple[Level, ...]]:
    """The lines of the first section, and the sections after it; ``lines`` are in the order of the endpoints."""
    if levels(cluster) < _FLAT:
        return tuple(lines), ()
    priorities = sorted({endpoint.priority for endpoint in cluster.endpoints})
    pairs = list(zip(cluster.endpoints, lines, strict=True))
    by_level = [tuple(line for endpoint, line in pairs if endpoint.priority == each) for each in priorities]
    names = [quoting.name(f"{name}:p{number}") for number in range(1, len(by_level) - 1)]
    sections = []
    for number, level_name in enumerate((None, *names)):
        backups: tuple[Token, ...]
        if number < len(names):
            spoken = " proto h2" if cluster.protocol.multiplexed else ""
            backups = (Token(f"server next {socket(names[number])}{spoken} backup"),)
        else:
            backups = tuple(Token(f"{line} backup") for line in by_level[number + 1])
        sections.append((level_name, (*by_level[number], *backups)))
    first, *others = sections
    return first[1], tuple(Level(each, socket(each), servers) for each, servers in others if each)
