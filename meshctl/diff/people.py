"""Changes as people want to be told: once, wherever the same has changed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from meshctl.diff.change import Change, Sign, merge_alike

MANY = 3
"""From so many services on, a change of the same value is told once for all of them: it is a default's, or like one."""

_NAMED = 8
_Key = tuple[str, str, str]


def for_people(changes: Iterable[Change]) -> tuple[Change, ...]:
    """The tree with what changes alike told together: at several parts of a service, and at many services.

    Of the latter the routes and callers are left out; the tree that this is made of has them.
    """
    merged = [replace(each, changes=merge_alike(each.changes)) for each in changes]
    services: dict[_Key, list[str]] = {}
    for each in merged:
        if each.what == "service":
            for key in dict.fromkeys(_values(each)):
                services.setdefault(key, []).append(each.name)
    common = {key: names for key, names in services.items() if len(names) >= MANY}
    told = [_for_all(key, names) for key, names in common.items()]
    rest = [_without(each, common) if each.what == "service" else each for each in merged]
    first = [each for each in rest if each is not None and each.what == "mesh"]
    return (*first, *told, *(each for each in rest if each is not None and each.what != "mesh"))


def _for_all(key: _Key, names: list[str]) -> Change:
    what, before, after = key
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    of = f"{', '.join(names[:_NAMED])}{more}"
    return Change(Sign.CHANGED, what, f"of {len(names)} services", before, after, of=of)


def _is_value(change: Change) -> bool:
    return change.sign is Sign.CHANGED and not change.changes and change.what != "weight"


def _key(change: Change) -> _Key:
    # Of a listener the name is the kind.
    kind = f"{change.what} {change.name}" if change.what == "listener" else change.what
    return kind, change.before, change.after


def _values(change: Change) -> Iterator[_Key]:
    for each in change.changes:
        if _is_value(each):
            yield _key(each)
        yield from _values(each)


def _without(change: Change, common: Collection[_Key]) -> Change | None:
    """None where nothing is left."""
    if not change.changes or not common:
        return change
    left = tuple(
        found
        for each in change.changes
        if not (_is_value(each) and _key(each) in common) and (found := _without(each, common)) is not None
    )
    if not left and change.sign is Sign.CHANGED:
        return None
    return replace(change, changes=left)
