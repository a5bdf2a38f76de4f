"""The matches of each virtual host, in the order in which they are tried."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from meshctl.lint.facts import MatchFacts, World

Table = tuple[MatchFacts, ...]


def tables(world: World) -> Iterator[Table]:
    """One for each virtual host, as each group of callers sees it."""
    for _, matches in groupby(world.matches, key=lambda each: (each.service, each.callers, each.hostnames)):
        yield tuple(matches)


def written(match: MatchFacts) -> tuple[object, ...]:
    """What tells one match of the spec from all others, whoever sees it."""
    conditions = (tuple(match.headers.items()), tuple(match.query.items()))
    return (match.service, match.route, match.path, match.methods, *conditions)
