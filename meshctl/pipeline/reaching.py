"""Who can reach a service, with the lines of the spec that permit it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct, structs

from meshctl.diagnostics import UsageError
from meshctl.pipeline.checking import check, load
from meshctl.pipeline.explaining import place
from meshctl.suggestions import meant

if TYPE_CHECKING:
    from meshctl.ir.reachability import Entrance, Permission, Unpermitted, Way
    from meshctl.spec import Source

    Placed = TypeVar("Placed", Entrance, Permission, Unpermitted)

MOST_WAYS = 1000
"""So many are told where all are asked for."""


class Reached(Struct, frozen=True):
    """The answer about one service, gateway or external."""

    target: str
    section: str
    """Of the spec."""
    ways: tuple[Way, ...]
    more: bool
    """Whether there are further ways, which were not looked for."""
    permissions: tuple[Permission, ...]
    """Those of each call on the ways, in the order in which the ways need them."""
    uncalled: tuple[Permission, ...]
    unpermitted: tuple[Unpermitted, ...]
    entrances: tuple[tuple[str, Entrance], ...]
    """Where somebody without a certificate gets in: at the target itself, and at each where a way begins."""


def who_can_reach(
    location: str, target: str, *, environment: str | None = None, all_ways: bool = False
) -> Reached:
    """Everybody who can reach ``target``, by the spec alone: the shortest way of each, or all of them.

    Raises FindingsError for a spec with errors, UsageError for a target that the spec does not have.
    """
    from meshctl import simulate

    validated = check(load(location, environment), builds=False)
    found = simulate.reachability(validated.require())
    section = _section(validated.source, target)
    ways, more = found.all_ways(target, MOST_WAYS) if all_ways else (found.ways(target), False)
    calls = dict.fromkeys(pair for way in ways for pair in itertools.pairwise(way))
    begins = dict.fromkeys((target, *(way[0] for way in ways)))
    source = validated.source
    return Reached(
        target,
        section,
        ways,
        more,
        permissions=tuple(
            _placed(each, source) for caller, callee in calls for each in found.permissions[callee][caller]
        ),
        uncalled=tuple(_placed(each, source) for each in found.uncalled.get(target, ())),
        unpermitted=tuple(_placed(each, source) for each in found.unpermitted.get(target, ())),
        entrances=tuple(
            (name, _opened(each, source)) for name in begins for each in found.entrances.get(name, ())
        ),
    )


def _section(source: Source, target: str) -> str:
    sections = ("services", "gateways", "externals")
    found = next((each for each in sections if each in source and target in source[each]), None)
    if found is not None:
        return found
    known = [name for each in sections if each in source for name in source[each].node]
    raise UsageError(f"there is no service, gateway or external `{target}` in the mesh{meant(target, known)}")


def _placed(each: Placed, source: Source) -> Placed:
    if each.at is not None or not each.path:
        return each
    return structs.replace(each, at=place(source, each.path))


def _opened(entrance: Entrance, source: Source) -> Entrance:
    permissions = tuple(_placed(each, source) for each in entrance.permissions)
    return structs.replace(_placed(entrance, source), permissions=permissions)
