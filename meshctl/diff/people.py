"""Changes as people want to be told: once, wherever the same has changed."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from msgspec.structs import replace

from meshctl.diff.change import Change, Sign, merge_alike

MANY = 3
"""From so many services on, a change of the same value is told once for all of them: it is a default's, or like one."""

_NAMED = 8
_Key = tuple[Sign, str, str, str]
_SOCKET = re.compile(r"(?P<address>\[[^\]\s]*\]|[^\s,:\[\]]+):(?P<port>\d+)(?=[\s,]|$)")


def for_people(changes: Iterable[Change]) -> tuple[Change, ...]:
    """The tree with what changes alike told together: at several parts of a service, and at many services.

    Of the latter the routes and callers are left out; the tree that this is made of has them.
    """
    everything = tuple(changes)
    ports = _many_ports(everything)
    merged = [replace(each, changes=merge_alike(_by_port(each.changes, ports))) for each in everything]
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
    sign, what, before, after = key
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    of = f"{', '.join(names[:_NAMED])}{more}"
    return Change(sign, what, f"of {len(names)} services", before, after, of=of)


def _many_ports(changes: Iterable[Change]) -> dict[Change, Change]:
    """Listeners that change alike but for their addresses at many instances, and the same by their ports alone."""
    alike: dict[Change, list[Change]] = {}
    for each in _listeners(changes):
        alike.setdefault(_port(each), []).append(each)
    many = {port: some for port, some in alike.items() if len(some) >= MANY and len(set(some)) > 1}
    return {each: port for port, some in many.items() for each in some}


def _listeners(changes: Iterable[Change]) -> Iterator[Change]:
    for each in changes:
        if each.what == "listener":
            yield each
        yield from _listeners(each.changes)


def _port(listener: Change) -> Change:
    """The listener without its addresses, unless these change."""
    old, new = (
        {each["address"] for each in _SOCKET.finditer(text)} for text in (listener.before, listener.after)
    )
    if listener.sign is Sign.CHANGED and old != new:
        return listener
    before, after = (_SOCKET.sub(r"port \g<port>", text) for text in (listener.before, listener.after))
    return replace(listener, before=before, after=after)


def _by_port(changes: Iterable[Change], ports: Mapping[Change, Change]) -> tuple[Change, ...]:
    return tuple(ports.get(each) or replace(each, changes=_by_port(each.changes, ports)) for each in changes)


def _is_value(change: Change) -> bool:
    if change.what == "listener":
        return True
    return change.sign is Sign.CHANGED and not change.changes and change.what != "weight"


def _key(change: Change) -> _Key:
    # Of a listener the name is the kind.
    kind = f"{change.what} {change.name}" if change.what == "listener" else change.what
    return change.sign, kind, change.before, change.after


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
