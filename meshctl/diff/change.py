"""The tree of changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from meshctl.ir.change import Consequence


class Sign(StrEnum):
    """What became of a thing."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    RENAMED = "renamed"
    """``before`` and ``after`` are the names; ``changes`` is what differs besides."""


class Change(Struct, frozen=True):
    """One thing that differs. ``before`` and ``after`` are texts for people, empty where there is nothing."""

    sign: Sign
    what: str
    """Its kind: service, route, timeout …"""
    name: str = ""
    """Empty where there is one of its kind."""
    before: str = ""
    after: str = ""
    changes: tuple[Change, ...] = ()
    of: str = ""
    """Of a route the requests that it takes, empty where it takes all."""
    meaning: str = ""
    """A sentence that says what the changes inside come to, where there is a better one than theirs."""


Pair = tuple[str, str]
"""A caller and its callee."""


class MeshDiff(Struct, frozen=True):
    """All that differs between two meshes."""

    changes: tuple[Change, ...]
    sidecars: tuple[Change, ...]
    """The bundles, by build id: what has to be deployed."""
    reach_added: tuple[Pair, ...]
    """Who can newly send requests to whom."""
    reach_removed: tuple[Pair, ...]
    order: tuple[str, ...] = ()
    """Steps in words, where the order in which bundles are deployed matters."""
    consequences: tuple[Consequence, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    """Services and gateways that have another name now: the old one and the new one."""

    @property
    def differs(self) -> bool:
        """Whether anything does."""
        return bool(self.changes or self.sidecars)


def merge_alike(changes: Iterable[Change]) -> tuple[Change, ...]:
    """For people: what changes in the same way at several parts of one thing is told once, with all their names."""
    alike: dict[Change, list[Change]] = {}
    for each in changes:
        inside = replace(each, changes=merge_alike(each.changes))
        # What came or went is told by itself.
        key = replace(inside, name="", of="") if each.sign is Sign.CHANGED else inside
        alike.setdefault(key, []).append(inside)
    return tuple(_merged(key, some) for key, some in alike.items())


def _merged(alike: Change, some: list[Change]) -> Change:
    if len(some) == 1:
        return some[0]
    names = ", ".join(each.name for each in some if each.name)
    # Beside the whole its parts are named, for others of them may not have changed.
    return (
        replace(alike, name=names) if all(each.name for each in some) else replace(alike, of=f"with {names}")
    )


def changed(what: str, before: str, after: str, name: str = "") -> Iterator[Change]:
    """The change of a value, unless both are equal."""
    if before != after:
        yield Change(Sign.CHANGED, what, name, before, after)


def keyed(what: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    """The changes of a mapping of names to values."""
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            yield Change(Sign.ADDED, what, name, after=after[name])
        elif name not in after:
            yield Change(Sign.REMOVED, what, name, before=before[name])
        else:
            yield from changed(what, before[name], after[name], name)


def whole(what: str, name: str, changes: Iterable[Change]) -> Iterator[Change]:
    """The change of a thing that has changes inside; nothing where there are none."""
    inside = tuple(changes)
    if inside:
        yield Change(Sign.CHANGED, what, name, changes=inside)
