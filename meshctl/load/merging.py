"""The top levels of files as one, and the rule that a name is defined once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Position, Related
from meshctl.load.text import brief
from meshctl.spec.source import Node, Origin, Positions

ONE_NAMESPACE = ("services", "externals", "gateways")
"""Each file may add to these; a name stands once in all of them together."""

_IN_EVERY_FILE = "apiVersion"
Mapping = dict[str, Node]


def merge(tops: Sequence[Mapping], positions: Positions) -> tuple[Mapping, list[Finding]]:
    """One top level from those of the files, and what was defined twice (the first one is kept).

    The places of containers that are made here are added to ``positions``; the top level of a single
    file is given back as it is.
    """
    findings: list[Finding] = []
    if len(tops) == 1:
        return tops[0], findings
    holders_of: dict[str, list[Mapping]] = {}
    for top in tops:
        for key in top:
            holders_of.setdefault(key, []).append(top)
    data: Mapping = {}
    for key, holders in holders_of.items():
        first = holders[0]
        if key in ONE_NAMESPACE and len(holders) > 1:
            data[key] = _joined(key, holders, positions, findings)
            continue
        data[key] = first[key]
        findings.extend(
            _twice(key, positions.key(other, key), positions.key(first, key))
            for other in holders[1:]
            if key != _IN_EVERY_FILE or other[key] != first[key]
        )
    positions.derive(
        data, tops[0] if tops else None, {key: (holders[0], key) for key, holders in holders_of.items()}
    )
    return data, findings


def _joined(
    section: str, holders: Sequence[Mapping], positions: Positions, findings: list[Finding]
) -> Mapping:
    joined: Mapping = {}
    origins: dict[str, Origin] = {}
    for holder in holders:
        part = holder[section]
        if not isinstance(part, dict):
            slug = "empty-value" if part is None else "invalid-value"
            findings.append(
                finding(slug, positions.value(holder, section), f"`{section}` must be a mapping of names")
            )
            continue
        for name, node in part.items():
            if name in joined:
                before = positions.key(*origins[name])
                findings.append(_twice(name, positions.key(part, name), before))
                continue
            joined[name] = node
            origins[name] = part, name
    positions.derive(joined, holders[0][section], origins)
    return joined


def clashes(data: Mapping, positions: Positions) -> Iterator[Finding]:
    """Names that stand in more than one section of the shared namespace of one top level."""
    first: dict[str, Mapping] = {}
    for section in ONE_NAMESPACE:
        part = data.get(section)
        if not isinstance(part, dict):
            continue
        for name in part:
            if name in first:
                yield _twice(name, positions.key(part, name), positions.key(first[name], name))
            else:
                first[name] = part


def _twice(name: str, at: Position | None, first: Position | None) -> Finding:
    related = (Related(first, "the first one"),) if first else ()
    return finding("duplicate-definition", at, f"`{brief(name)}` is defined twice", related=related)
