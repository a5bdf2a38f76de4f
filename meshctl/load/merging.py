"""The top levels of all files as one, and the rule that a name is defined once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from meshctl.catalogue import finding
from meshctl.diagnostics import Finding, Position, Related
from meshctl.load.text import brief
from meshctl.spec.source import Node, Positions

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
    data = tops[0] if len(tops) == 1 else _merged(tops, positions, findings)
    findings.extend(_clashes(data, positions))
    return data, findings


def _merged(tops: Sequence[Mapping], positions: Positions, findings: list[Finding]) -> Mapping:
    holders_of: dict[str, list[Mapping]] = {}
    for top in tops:
        for key in top:
            holders_of.setdefault(key, []).append(top)
    data: Mapping = {}
    keys: dict[str, Position] = {}
    values: dict[str, Position] = {}
    for key, holders in holders_of.items():
        first = holders[0]
        _copy_place(key, first, positions, keys, values)
        if key in ONE_NAMESPACE and len(holders) > 1:
            data[key] = _joined(key, holders, positions, findings)
            continue
        data[key] = first[key]
        findings.extend(
            _twice(key, positions.key(other, key), positions.key(first, key))
            for other in holders[1:]
            if key != _IN_EVERY_FILE or other[key] != first[key]
        )
    positions.place(data, positions.container(tops[0]) if tops else None, keys, values)
    return data


def _joined(
    section: str, holders: Sequence[Mapping], positions: Positions, findings: list[Finding]
) -> Mapping:
    joined: Mapping = {}
    keys: dict[str, Position] = {}
    values: dict[str, Position] = {}
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
                findings.append(_twice(name, positions.key(part, name), keys.get(name)))
                continue
            joined[name] = node
            _copy_place(name, part, positions, keys, values)
    positions.place(joined, positions.container(holders[0][section]), keys, values)
    return joined


def _copy_place(
    key: str, of: Mapping, positions: Positions, keys: dict[str, Position], values: dict[str, Position]
) -> None:
    key_at, value_at = positions.key(of, key), positions.value(of, key)
    if key_at is not None and value_at is not None:
        keys[key] = key_at
        values[key] = value_at


def _clashes(data: Mapping, positions: Positions) -> Iterator[Finding]:
    """Names that stand in more than one section of the shared namespace."""
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
